//! Workers that die while they hold lanes. Nothing that a user can do brings that about: the tests break an
//! invariant of the engine's, by a hook that only they have.

use crate::panics::hush;
use crate::register::{Load, Register};
use fairlane::testing::{Broken, break_lane};
use fairlane::{Clock, Engine, Grant, Job, ManualClock, Nanos, PanicReport, Tenant, Worker};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);

/// An engine whose handlers wait at a gate when their job's number is below `gated`, and its reports.
struct Rig {
    engine: Engine<Load>,
    register: Register,
    reports: mpsc::Receiver<PanicReport>,
    arrivals: mpsc::Receiver<()>,
    gate: mpsc::Sender<()>,
}

impl Rig {
    fn start(workers: usize, jobs: usize, gated: usize) -> Rig {
        hush();
        let register = Register::new(jobs);
        let (report, reports) = mpsc::channel();
        let (arrive, arrivals) = mpsc::channel();
        let (gate, turnstile) = mpsc::channel();
        let (marks, turnstile) = (register.clone(), Mutex::new(turnstile));
        let engine = Engine::builder()
            .workers(workers)
            .on_panic(move |panic| report.send(panic).unwrap())
            .start(move |grant: Grant<Load>| {
                marks.handled(grant.payload().number);
                if grant.payload().number < gated {
                    arrive.send(()).unwrap();
                    turnstile.lock().unwrap().recv().unwrap();
                }
            });
        Rig { engine: engine.unwrap(), register, reports, arrivals, gate }
    }

    fn tenant(&self, name: &str) -> Tenant {
        self.engine.tenant(name, "scale").unwrap()
    }

    fn submit(&self, tenant: Tenant, numbers: std::ops::Range<usize>) {
        for number in numbers {
            let _ = self.engine.submit(tenant, self.register.load(number)).unwrap();
        }
    }

    /// Drains, and checks that every one of `jobs` has ended once. Returns how many were handed back.
    fn account(self, jobs: usize) -> usize {
        let report = self.engine.drain(SOON);
        self.register.returned(&report);
        let returned = report.returned.len();
        assert_eq!((report.running, report.unpublished), (0, 0));
        assert_eq!(report.finished as usize + returned, jobs);
        drop((report, self.engine));
        self.register.assert_each_ended_once(jobs, "after a death");
        self.register.assert_each_dropped_once(jobs);
        returned
    }
}

// verification.md, "drainer panics"
#[test]
fn lanes_of_a_dead_worker_are_served_by_another_and_the_death_is_reported_once() {
    let rig = Rig::start(2, 301, 1);
    let tenants = ["busy", "before", "broken", "after"].map(|name| rig.tenant(name));
    rig.submit(tenants[0], 0..1);
    rig.arrivals.recv_timeout(SOON).expect("one of the workers is busy");
    let broken = break_lane(&rig.engine, tenants[2]);
    for (at, tenant) in tenants.into_iter().enumerate().skip(1) {
        rig.submit(tenant, at * 100 - 99..at * 100 + 1);
    }
    let report = rig.reports.recv_timeout(SOON).expect("the other dies of the broken lane");
    assert!(report.ends_worker && report.worker.is_some() && report.tenant.is_none(), "{report:?}");
    drop(broken);
    rig.gate.send(()).unwrap();
    let snapshot = rig.engine.snapshot();
    assert_eq!(snapshot.accepted, 301);
    assert_eq!(rig.reports.try_recv().ok(), None, "reported once");
    assert_eq!(rig.account(301), 0, "the live worker runs them all");
}

#[test]
fn what_the_last_worker_leaves_is_handed_back() {
    let rig = Rig::start(1, 100, 0);
    let tenant = rig.tenant("broken");
    let broken = break_lane(&rig.engine, tenant);
    rig.submit(tenant, 0..100);
    let report = rig.reports.recv_timeout(SOON).expect("the only worker dies");
    assert_eq!((report.worker, report.ends_worker), (Some(0), true));
    drop(broken);
    let drained = rig.engine.drain(Duration::from_millis(10));
    assert_eq!((drained.returned.len(), drained.finished, drained.running), (100, 0, 0));
    assert_eq!(rig.reports.try_recv().ok(), None, "reported once");
}

/// Workers at full speed die with jobs on their hands: whichever visits the lane first, and perhaps
/// another before the report has it mended.
#[test]
fn no_job_is_lost_or_run_twice_when_workers_die_in_full_flight() {
    hush();
    let (jobs, workers) = (60_000, 3);
    let register = Register::new(jobs);
    let broken: Arc<Mutex<Option<Broken<Load>>>> = Arc::default();
    let reports: Arc<Mutex<Vec<PanicReport>>> = Arc::default();
    let (told, mends, marks) = (Arc::clone(&reports), Arc::clone(&broken), register.clone());
    let engine = Engine::builder()
        .workers(workers)
        .on_panic(move |report| {
            drop(mends.lock().unwrap().take());
            told.lock().unwrap().push(report);
        })
        .start(move |grant: Grant<Load>| marks.handled(grant.payload().number))
        .unwrap();
    let tenants: Vec<Tenant> =
        (0..10).map(|k| engine.tenant(&format!("tenant-{k}"), "scale").unwrap()).collect();
    for number in 0..jobs {
        if number == jobs / 2 {
            *broken.lock().unwrap() = Some(break_lane(&engine, tenants[3]));
        }
        let tenant = tenants[number % tenants.len()];
        // Room comes with the workers, of which none may be left: then the rest is refused.
        if engine.submit(tenant, register.load(number)).is_err() {
            register.handled(number);
        }
    }
    let report = engine.drain(SOON);
    register.returned(&report);
    drop((report, engine));
    register.assert_each_ended_once(jobs, "deaths in full flight");
    register.assert_each_dropped_once(jobs);
    let mut dead: Vec<usize> = reports.lock().unwrap().iter().filter_map(|it| it.worker).collect();
    let deaths = dead.len();
    dead.sort_unstable();
    dead.dedup();
    assert!((1..=workers).contains(&deaths) && dead.len() == deaths, "each dies once: {dead:?}");
}

/// A service's own thread gets the panic. What it was granted by then comes with the next call, and the lanes
/// it held are another worker's meanwhile: the broken one last.
#[test]
fn a_pulling_worker_that_survives_a_panic_gets_what_it_was_granted() {
    hush();
    let (clock, register) = (ManualClock::new(), Register::new(1_030));
    let engine =
        Engine::<Load>::builder().workers(2).clock(Clock::Manual(clock.clone())).build().unwrap();
    let tenants = ["warm", "first", "broken", "last"];
    let tenants = tenants.map(|name| engine.tenant(name, "scale").unwrap());
    let submit = |tenant, number| {
        let _ = engine.submit(tenant, Job::new(register.load(number))).unwrap();
    };
    let mut worker = engine.worker().unwrap();
    // Fast jobs, so that the worker claims many lanes at once.
    for number in 30..1_030 {
        submit(tenants[0], number);
        worker.next_batch(1).for_each(|grant| register.handled(grant.payload().number));
        clock.advance(Nanos(100));
    }
    (0..30).for_each(|number| submit(tenants[1 + number / 10], number));
    let broken = break_lane(&engine, tenants[2]);
    let panicked = catch_unwind(AssertUnwindSafe(|| drop(worker.next_batch(64))));
    assert!(panicked.is_err());
    let mut other = engine.worker().unwrap();
    let take = |worker: &mut Worker<Load>, most| -> Vec<usize> {
        let grants = worker.next_batch(most).map(|grant| {
            register.handled(grant.payload().number);
            grant.payload().number
        });
        grants.collect()
    };
    assert_eq!(take(&mut other, 1), [20], "the lanes that were not visited keep their places");
    drop(broken);
    let snapshot = engine.snapshot();
    assert_eq!((snapshot.dispatched, snapshot.running), (1_011, 10), "ten of the first lane");
    assert_eq!(take(&mut worker, 4), [0, 1, 2, 3], "as many as are asked for");
    assert_eq!(take(&mut worker, 64), (4..10).collect::<Vec<_>>());
    let rest = take(&mut other, 64).len() + take(&mut worker, 64).len();
    assert_eq!((rest, engine.snapshot().accepted), (19, 1_030));
    register.assert_each_ended_once(1_030, "after a panic");
}

/// The timekeeper goes on: there is no other.
#[test]
fn a_timekeeper_that_panics_is_reported_and_keeps_time_again() {
    hush();
    let (expire, expired) = mpsc::channel();
    let (report, reports) = mpsc::channel();
    let (arrive, arrivals) = mpsc::channel();
    let (gate, turnstile) = mpsc::channel::<()>();
    let turnstile = Mutex::new(turnstile);
    let engine = Engine::builder()
        .workers(1)
        .on_panic(move |panic| report.send(panic).unwrap())
        .on_expired(move |job| expire.send(job.payload).unwrap())
        .start(move |_: Grant<u32>| {
            arrive.send(()).unwrap();
            turnstile.lock().unwrap().recv().unwrap();
        })
        .unwrap();
    let tenants = ["busy", "late"].map(|name| engine.tenant(name, "scale").unwrap());
    let _ = engine.submit(tenants[0], 1).unwrap();
    arrivals.recv_timeout(SOON).expect("the worker is busy");
    let broken = break_lane(&engine, tenants[1]);
    let _ = engine.submit(tenants[1], Job::new(2).max_wait(Duration::from_millis(5))).unwrap();
    let report = reports.recv_timeout(SOON).expect("the timekeeper panics");
    assert_eq!((report.worker, report.ends_worker), (None, false));
    drop(broken);
    assert_eq!(expired.recv_timeout(SOON).expect("it looks again"), 2);
    gate.send(()).unwrap();
    let drained = engine.drain(SOON);
    assert_eq!((drained.finished, drained.expired, drained.returned.len()), (1, 1, 0));
    assert_eq!(reports.try_recv().ok(), None, "reported once");
}
