//! Virtual time: the engine's own dispatch under a clock that is turned, with simulated workers.
//!
//! A run is a function of its input: workers become free in order of time, then of number,
//! before parked lanes return, and those before anything arrives at the same moment.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use fairlane::{Clock, Engine, Expired, ManualClock, Nanos, Policy, Reason, Receipt, Worker};

use super::run::Run;
use crate::report::{Ending, JobCounts, Note, Recording, SchedulerReport, Service, TenantInfo};
use crate::schedulers::{Door, FifoQueue, Request, Watch};

/// A scheduler without threads: whoever drives it says what time it is.
pub(super) trait Passive {
    /// Offers a job at its arrival.
    fn submit(&mut self, request: Request) -> Result<(), Reason>;

    /// Ends what the worker does and gives it the next job, if there is one.
    fn next(&mut self, worker: u32, now: Nanos) -> Option<Request>;

    /// The next moment at which something changes although nothing arrives and no worker becomes free:
    /// a limit lets jobs go again, or a job has waited long enough.
    fn next_moment(&self) -> Option<Nanos> {
        None
    }

    /// Does what is to be done at `now` when no worker asks for a job.
    fn look(&mut self, _now: Nanos) {}

    /// What has happened since the last call, besides services.
    fn notes(&mut self) -> Vec<Note> {
        Vec::new()
    }

    /// Says what became of the jobs that were not given out.
    fn finish(self) -> Ending;
}

/// The engine, pulled from by hand.
pub(super) struct PassiveFair {
    door: Door,
    watch: Watch,
    clock: ManualClock,
    seats: Vec<Seat>,
}

/// A worker, and what it owes for the job it runs.
struct Seat {
    worker: Worker<Request>,
    running: Option<(u32, Receipt)>,
}

impl PassiveFair {
    pub(super) fn new(
        workers: u32,
        policy: Policy,
        tenants: Vec<TenantInfo>,
    ) -> Result<PassiveFair, String> {
        let (clock, watch) = (ManualClock::new(), Watch::default());
        let expiries = watch.clone();
        let engine = Engine::builder()
            .policy(policy)
            .workers(workers as usize)
            .clock(Clock::Manual(clock.clone()))
            .observer(watch.clone())
            .on_expired(move |job: Expired<Request>| expiries.expired(&job))
            .build();
        let engine = engine.map_err(|error| format!("the engine does not start: {error}"))?;
        let seat = |_| engine.worker().map(|worker| Seat { worker, running: None });
        let seats = (0..workers).map(seat).collect::<Result<Vec<Seat>, _>>();
        let seats = seats.map_err(|error| format!("the engine does not start: {error}"))?;
        let door = Door::new(engine, tenants, watch.clone());
        Ok(PassiveFair { door, watch, clock, seats })
    }
}

impl Passive for PassiveFair {
    fn submit(&mut self, request: Request) -> Result<(), Reason> {
        self.clock.advance_to(request.arrived);
        self.door.submit(request)
    }

    fn next(&mut self, worker: u32, now: Nanos) -> Option<Request> {
        self.clock.advance_to(now);
        let seat = &mut self.seats[worker as usize];
        if let Some((tenant, receipt)) = seat.running.take() {
            receipt.complete();
            self.watch.ended(now, tenant);
        }
        let grant = seat.worker.tick(now, 1).next()?;
        let (request, receipt) = grant.split();
        seat.running = Some((request.tenant, receipt));
        Some(request)
    }

    fn next_moment(&self) -> Option<Nanos> {
        self.seats[0].worker.next_moment()
    }

    fn look(&mut self, now: Nanos) {
        self.clock.advance_to(now);
        drop(self.seats[0].worker.tick(now, 0));
    }

    fn notes(&mut self) -> Vec<Note> {
        self.door.notes(Nanos::ZERO)
    }

    fn finish(self) -> Ending {
        drop(self.seats);
        let report = self.door.engine.drain(Duration::ZERO);
        Ending {
            parked: self.door.parked(),
            notes: self.door.close(Nanos::ZERO),
            returned: report.returned.len() as u64,
            queued: report.unpublished,
            ..Ending::default()
        }
    }
}

impl Passive for FifoQueue {
    fn submit(&mut self, request: Request) -> Result<(), Reason> {
        self.push(request)
    }

    fn next(&mut self, _worker: u32, _now: Nanos) -> Option<Request> {
        self.pop()
    }

    fn finish(self) -> Ending {
        Ending { returned: self.len() as u64, ..Ending::default() }
    }
}

/// One scheduler's run with simulated workers.
pub(super) struct Simulation<P> {
    queue: P,
    recording: Recording,
    /// When each busy worker becomes free.
    busy: BinaryHeap<Reverse<(Nanos, u32)>>,
    idle: Vec<u32>,
    /// Jobs accepted and neither begun nor expired.
    waiting: u64,
}

impl<P: Passive> Simulation<P> {
    pub(super) fn new(queue: P, workers: u32, recording: Recording) -> Simulation<P> {
        let idle = (0..workers).rev().collect();
        Simulation { queue, recording, busy: BinaryHeap::new(), idle, waiting: 0 }
    }

    /// Lets everything happen that happens up to `moment`: of what happens at the same time, workers
    /// become free first.
    fn advance_to(&mut self, moment: Nanos) {
        loop {
            let free = self.busy.peek().map(|Reverse((free, _))| *free);
            let due = self.queue.next_moment();
            let Some(next) = free.into_iter().chain(due).min().filter(|next| *next <= moment)
            else {
                return;
            };
            if free == Some(next) {
                let Reverse((_, worker)) = self.busy.pop().expect("it has just been seen");
                if self.give(worker, next) {
                    self.serve(next);
                }
            } else {
                self.queue.look(next);
                self.take_notes();
                self.serve(next);
            }
        }
    }

    /// Gives jobs to idle workers as long as there are both.
    fn serve(&mut self, now: Nanos) {
        while self.waiting > 0 {
            let Some(worker) = self.idle.pop() else { return };
            if !self.give(worker, now) {
                return;
            }
        }
    }

    /// Gives the worker its next job; `false` when there is none for it.
    fn give(&mut self, worker: u32, now: Nanos) -> bool {
        let given = self.queue.next(worker, now);
        match given {
            Some(request) => self.begin(worker, request, now),
            None => self.idle.push(worker),
        }
        self.take_notes();
        given.is_some()
    }

    fn begin(&mut self, worker: u32, request: Request, now: Nanos) {
        let Request { tenant, cost, arrived, takes } = request;
        self.waiting -= 1;
        self.recording.serve(&Service { at: now, wait: now.since(arrived), tenant, cost });
        let end = now.after(takes);
        self.recording.ends(tenant, end);
        self.busy.push(Reverse((end, worker)));
    }

    fn take_notes(&mut self) {
        for note in self.queue.notes() {
            self.waiting -= u64::from(matches!(note, Note::Expired { .. }));
            self.recording.note(&note);
        }
    }
}

impl<P: Passive> Run for Simulation<P> {
    fn offer(&mut self, request: Request, is_admitted: bool) {
        let Request { tenant, cost, arrived, .. } = request;
        self.advance_to(arrived);
        let verdict =
            if is_admitted { self.queue.submit(request) } else { Err(Reason::TooManyTenants) };
        self.recording.offer(arrived, tenant, cost, verdict);
        self.waiting += u64::from(verdict.is_ok());
        self.serve(arrived);
    }

    fn finish(mut self: Box<Self>, malformed: u64) -> (JobCounts, SchedulerReport) {
        self.advance_to(Nanos::MAX);
        self.recording.malformed(malformed);
        self.recording.finish(self.queue.finish())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedulers::Bounds;
    use fairlane::Weight;

    const WORKERS: u32 = 2;

    fn tenants() -> Vec<TenantInfo> {
        let tenant = |name: &str| TenantInfo {
            name: name.to_owned(),
            tier: "starter".to_owned(),
            weight: Weight::ONE,
        };
        vec![tenant("a"), tenant("b")]
    }

    /// A hundred jobs, every fourth of tenant 1, arriving twice as fast as two workers serve.
    fn run(queue: impl Passive) -> (JobCounts, SchedulerReport) {
        let recording = Recording::new(tenants(), Nanos(1));
        let mut run = Box::new(Simulation::new(queue, WORKERS, recording));
        for job in 0..100 {
            let (arrived, tenant) = (Nanos(job * 1_000_000), u32::from(job % 4 == 0));
            run.offer(Request { tenant, cost: 1, arrived, takes: Nanos(4_000_000) }, true);
        }
        run.finish(0)
    }

    fn fifo() -> FifoQueue {
        FifoQueue::new(Bounds { tenant_max: vec![1_000; 2], engine_max: 1_000 })
    }

    #[test]
    fn workers_are_never_idle_beside_a_job() {
        let fair = PassiveFair::new(WORKERS, Policy::default(), tenants()).unwrap();
        for (name, (jobs, report)) in [("fair", run(fair)), ("fifo", run(fifo()))] {
            assert_eq!((jobs.dispatched, jobs.lost, jobs.returned), (100, 0, 0), "{name}");
            // The last of a hundred jobs of 4 ms on two workers, less the wait for the second job,
            // begins at 196 ms or 197 ms.
            let seconds = 100.0 / report.throughput_per_s;
            assert!((0.196..=0.197).contains(&seconds), "{name}: {seconds}");
        }
    }

    #[test]
    fn a_worker_takes_one_job_at_a_time_and_the_oldest_from_a_fifo() {
        let (_, report) = run(fifo());
        // Job 99 arrives at 99 ms and begins when 98 others are done, two every 4 ms.
        let longest = report.tenants.iter().filter_map(|row| row.wait_ms.max).fold(0.0, f64::max);
        assert!((97.0..=98.1).contains(&longest), "{longest}");
    }

    /// A queue that drops every tenth job.
    struct Forgetful(FifoQueue, u32);

    impl Passive for Forgetful {
        fn submit(&mut self, request: Request) -> Result<(), Reason> {
            self.1 += 1;
            if self.1 % 10 == 0 { Ok(()) } else { self.0.submit(request) }
        }

        fn next(&mut self, worker: u32, now: Nanos) -> Option<Request> {
            self.0.next(worker, now)
        }

        fn finish(self) -> Ending {
            self.0.finish()
        }
    }

    #[test]
    fn a_scheduler_that_loses_jobs_is_found_out() {
        // Negative control of the count.
        let (jobs, _) = run(Forgetful(fifo(), 0));
        assert_eq!((jobs.lost, jobs.dispatched), (10, 90));
    }
}
