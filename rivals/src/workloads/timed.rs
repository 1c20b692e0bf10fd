//! Open loops: jobs come when they come, and a job's wait begins when it was meant to come, not
//! when there was room for it. So a system that holds up its producer cannot hide that.

use crate::arrivals::Arrival;
use crate::harness::{EMPTY_LOOKS, Tally, pause, pin};
use crate::report::{Figure, Spread};
use crate::systems::{Entry, Exit, Parking, Payload, Sleeper, System};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Time between the last thread's being ready and the start.
const LEAD: Duration = Duration::from_micros(200);
/// Longest sleep of a consumer that may sleep.
const SLEEP_MAX: Duration = Duration::from_millis(1);

/// One run: who comes when, and how long each job takes.
pub(super) struct Plan {
    /// In order of time.
    pub(super) arrivals: Vec<Arrival>,
    /// Time in the handler.
    pub(super) service: Duration,
    /// Whether a job that finds no room is dropped; otherwise it is offered again until there is.
    pub(super) shed: bool,
    /// The first tenant whose waits are recorded.
    pub(super) watched: u32,
}

/// What became of a run.
pub(super) struct Outcome {
    /// Waits of the watched tenants' jobs, in nanoseconds, sorted.
    pub(super) waits_ns: Vec<u64>,
    /// The watched tenants' jobs that were dropped.
    pub(super) dropped: u64,
}

/// A system under an open loop: one call for all jobs of a run.
pub(super) trait Timed: Sync {
    /// Offers each job at its time; what was accepted, and how many watched jobs were not.
    fn offer(&self, plan: &Plan, clock: &Clock<'_>) -> (Tally, u64);
    /// Runs each job; what was run, and the watched jobs' waits.
    fn serve(&self, plan: &Plan, clock: &Clock<'_>) -> (Tally, Vec<u64>);
}

/// The start, and the end of the arrivals.
pub(super) struct Clock<'a> {
    begin: Instant,
    ready: &'a Barrier,
    done: &'a AtomicBool,
}

impl Clock<'_> {
    fn now_ns(&self) -> u64 {
        self.begin.elapsed().as_nanos() as u64
    }

    fn wait_for(&self, at_ns: u64) {
        while self.now_ns() < at_ns {
            pause();
        }
    }
}

/// A consumer that never sleeps.
pub(super) struct Spinning<S>(pub(super) S);
/// A consumer that sleeps when there is nothing to do.
pub(super) struct Parked<S>(pub(super) S);

impl<S: System> Timed for Spinning<S> {
    fn offer(&self, plan: &Plan, clock: &Clock<'_>) -> (Tally, u64) {
        offer_all(self.0.entry(), plan, clock)
    }

    fn serve(&self, plan: &Plan, clock: &Clock<'_>) -> (Tally, Vec<u64>) {
        let mut exit = self.0.exit();
        serve_all(plan, clock, |handler| exit.take(1, &mut |payload| handler(payload)))
    }
}

impl<S: Parking> Timed for Parked<S> {
    fn offer(&self, plan: &Plan, clock: &Clock<'_>) -> (Tally, u64) {
        offer_all(self.0.entry(), plan, clock)
    }

    fn serve(&self, plan: &Plan, clock: &Clock<'_>) -> (Tally, Vec<u64>) {
        let mut exit = self.0.sleeper();
        serve_all(plan, clock, |handler| exit.wait(SLEEP_MAX, &mut |payload| handler(payload)))
    }
}

fn offer_all(mut entry: impl Entry, plan: &Plan, clock: &Clock<'_>) -> (Tally, u64) {
    let (mut accepted, mut dropped) = (Tally::default(), 0);
    clock.ready.wait();
    for (arrival, number) in plan.arrivals.iter().zip(0..) {
        clock.wait_for(arrival.at_ns);
        let payload = Payload { number, tenant: u64::from(arrival.tenant) };
        let mut taken = entry.offer(arrival.tenant, 1, payload);
        while !taken && !plan.shed {
            pause();
            taken = entry.offer(arrival.tenant, 1, payload);
        }
        if taken {
            accepted.add(payload);
        } else if arrival.tenant >= plan.watched {
            dropped += 1;
        }
    }
    // Before the end is announced: an entry may hold jobs back until it is dropped.
    drop(entry);
    clock.done.store(true, Ordering::Release);
    (accepted, dropped)
}

/// A handler that notes how long the job waited, then works for as long as the plan says.
struct Handler<'a> {
    plan: &'a Plan,
    clock: &'a Clock<'a>,
    waits_ns: Vec<u64>,
    tally: Tally,
}

impl Handler<'_> {
    fn run(&mut self, payload: Payload) {
        let began_ns = self.clock.now_ns();
        let arrival = self.plan.arrivals[payload.number as usize];
        if arrival.tenant >= self.plan.watched {
            self.waits_ns.push(began_ns.saturating_sub(arrival.at_ns));
        }
        self.tally.add(payload);
        let end_ns = began_ns + self.plan.service.as_nanos() as u64;
        while self.clock.now_ns() < end_ns {
            std::hint::spin_loop();
        }
    }
}

fn serve_all(
    plan: &Plan,
    clock: &Clock<'_>,
    mut take: impl FnMut(&mut dyn FnMut(Payload)) -> usize,
) -> (Tally, Vec<u64>) {
    let waits_ns = Vec::with_capacity(plan.arrivals.len());
    let mut handler = Handler { plan, clock, waits_ns, tally: Tally::default() };
    clock.ready.wait();
    let mut empty_looks = 0;
    while empty_looks < EMPTY_LOOKS {
        let last = clock.done.load(Ordering::Acquire);
        let taken = take(&mut |payload| handler.run(payload));
        empty_looks = if taken == 0 && last { empty_looks + 1 } else { 0 };
    }
    (handler.tally, handler.waits_ns)
}

/// Runs the plan once on two pinned threads; a producer that spins until the next arrival, and the
/// one consumer.
pub(super) fn run(name: &str, system: &dyn Timed, plan: &Plan) -> Result<Outcome, String> {
    let (ready, done) = (Barrier::new(2), AtomicBool::new(false));
    let clock = Clock { begin: Instant::now() + LEAD, ready: &ready, done: &done };
    let (offered, served) = thread::scope(|scope| {
        let producer = scope.spawn(|| {
            pin(0);
            system.offer(plan, &clock)
        });
        let consumer = scope.spawn(|| {
            pin(1);
            system.serve(plan, &clock)
        });
        let offered = producer.join().expect("the producer does not panic");
        (offered, consumer.join().expect("the consumer does not panic"))
    });
    let ((accepted, dropped), (tally, mut waits_ns)) = (offered, served);
    tally.check(accepted, name)?;
    waits_ns.sort_unstable();
    Ok(Outcome { waits_ns, dropped })
}

impl Outcome {
    /// The wait that `part` of the recorded jobs do not exceed, in microseconds; none if no job
    /// was served.
    pub(super) fn wait_us(&self, part: f64) -> Option<f64> {
        let rank = (part * self.waits_ns.len() as f64).ceil() as usize;
        let wait = self.waits_ns.get(rank.max(1) - 1)?;
        Some(*wait as f64 / 1e3)
    }
}

/// The figure of a quantile over the rounds.
pub(super) fn wait_figure(rounds: &[Outcome], part: f64) -> Figure {
    Spread::of(rounds.iter().filter_map(|outcome| outcome.wait_us(part))).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrivals::poisson;
    use crate::harness::tests::{Broken, Fault};

    fn run_of(fault: Fault) -> Result<Outcome, String> {
        let plan = Plan {
            arrivals: poisson(2_000, 10_000.0, 0, 3),
            service: Duration::from_micros(1),
            shed: false,
            watched: 1,
        };
        run("broken", &Spinning(Broken::new(fault)), &plan)
    }

    #[test]
    fn every_watched_job_has_a_wait() {
        let watched = poisson(2_000, 10_000.0, 0, 3).iter().filter(|a| a.tenant >= 1).count();
        let outcome = run_of(Fault::None).unwrap();
        assert_eq!((outcome.waits_ns.len(), outcome.dropped), (watched, 0));
    }

    #[test]
    fn jobs_that_get_lost_or_doubled_in_an_open_loop_are_noticed() {
        for fault in [Fault::Lose, Fault::Double, Fault::Alter] {
            assert!(run_of(fault).is_err());
        }
    }

    #[test]
    fn a_system_that_holds_up_its_producer_cannot_hide_it() {
        // Two stalls of 20 ms in 20 ms of arrivals: most jobs wait for one of them before they are
        // even offered.
        let outcome = run_of(Fault::Stall).unwrap();
        let median = outcome.wait_us(0.5).unwrap();
        assert!(median > 5_000.0, "{median} us");
    }

    #[test]
    fn quantiles_are_waits_that_occurred() {
        let waits_ns = (1..=1_000).map(|k| k * 1_000).collect();
        let outcome = Outcome { waits_ns, dropped: 0 };
        let waits = [0.0, 0.5, 0.99, 0.999, 1.0].map(|part| outcome.wait_us(part).unwrap());
        assert_eq!(waits, [1.0, 500.0, 990.0, 999.0, 1_000.0]);
        assert_eq!(Outcome { waits_ns: Vec::new(), dropped: 0 }.wait_us(0.5), None);
    }
}
