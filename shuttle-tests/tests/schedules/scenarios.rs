//! What is explored. Each function is one execution; shuttle calls it once per schedule.

use crate::load::{JOBS_EACH, Load, producer, tenant};
use crate::rig::{QUANTA, Rig, Size, join, named, policy};
use fairlane::{Engine, Grant, Observer, PanicReport, Served};
use shuttle::rand::{Rng, thread_rng};
use shuttle::thread::{spawn, yield_now};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Producers, workers and nothing else. All jobs run before the engine is asked to stop, so that
/// nothing but the engine's own wake-ups can make them run.
pub(crate) fn plain(size: Size) {
    let rig = Rig::new(size);
    let engine = rig.start(rig.builder(size));
    join(rig.produce(&engine, size));
    rig.await_all_runs();
    let report = engine.drain(Duration::MAX);
    assert_eq!((report.running, report.returned.len()), (0, 0), "all had begun");
    rig.account(engine, report);
}

/// Policies are swapped while producers submit and workers visit.
pub(crate) fn swap(size: Size) {
    let rig = Rig::new(size);
    let watch = Watch::default();
    let engine = rig.start(rig.builder(size).observer(watch.clone()));
    let producers = rig.produce(&engine, size);
    let swapper = engine.clone();
    let swapper = spawn(move || {
        (1..4).for_each(|number| swapper.set_policy(policy(number)).expect("the sizes stay"));
    });
    join(producers);
    rig.await_all_runs();
    let report = engine.drain(Duration::MAX);
    swapper.join().unwrap();
    let visits = std::mem::take(&mut *watch.0.lock().unwrap());
    let served: u64 = visits.iter().map(|visit| u64::from(visit.jobs)).sum();
    assert_eq!(served, report.finished, "every visit is told once");
    let torn = visits.iter().find(|visit| !QUANTA.contains(&visit.quantum));
    assert_eq!(torn, None, "a visit follows one policy, whole");
    rig.account(engine, report);
}

/// Keeps what it is told.
#[derive(Clone, Default)]
struct Watch(Arc<Mutex<Vec<Served>>>);

impl Observer for Watch {
    fn served(&self, served: Served) {
        self.0.lock().unwrap().push(served);
    }
}

/// A drain comes while producers submit and workers run, and hands the rest back after a few looks.
pub(crate) fn shutdown(size: Size) {
    let rig = Rig::new(size);
    let engine = rig.start(rig.builder(size));
    let producers = rig.produce(&engine, size);
    rig.await_runs(thread_rng().gen_range(0..=size.producers as u64 * 2));
    let report = engine.drain(Duration::from_micros(thread_rng().gen_range(0..100)));
    let begun = rig.register.runs();
    let unsettled = report.running;
    join(producers);
    let again = engine.drain(Duration::ZERO);
    assert_eq!(again.returned.len(), 0, "nothing is handed back twice");
    assert_eq!(again.finished + again.running, report.finished + report.running);
    rig.account(engine, report);
    let late = rig.register.runs() - begun;
    assert!(late <= unsettled, "{late} jobs began after the drain, {unsettled} may");
}

/// Each producer's second job panics, without the panic hook, which would take it for a failure of the
/// scenario. The grants of even producers' jobs end right before, which the engine cannot tell from an end on the way
/// up. Those of odd producers' are in the panic's payload: they live while the panic is caught and told of, and end
/// when the engine drops it. None ends in the middle of an unwinding: README.md says why.
pub(crate) fn panics(size: Size) {
    let rig = Rig::new(size);
    let reports = Arc::new(Mutex::new(Vec::new()));
    let (told, runs) = (Arc::clone(&reports), Arc::clone(&rig));
    let builder = rig.builder(size).on_panic(move |report| told.lock().unwrap().push(report));
    let handler = move |grant: Grant<Load>| {
        runs.runs(&grant);
        let number = grant.payload().number;
        if is_bad(number) && is_carried(number) {
            resume_unwind(Box::new(grant));
        }
        drop(grant);
        if is_bad(number) {
            resume_unwind(Box::new(number.to_string()));
        }
    };
    let engine = builder.start(handler).unwrap();
    join(rig.produce(&engine, size));
    rig.await_all_runs();
    let report = engine.drain(Duration::MAX);
    assert_eq!((report.running, report.returned.len()), (0, 0), "a panic ends its job");
    // The job has ended before its panic is caught; the count comes after the report.
    while panics_of(&engine) < size.producers as u64 {
        yield_now();
    }
    check_reports(&reports.lock().unwrap(), &engine, size);
    rig.account(engine, report);
}

fn panics_of(engine: &Engine<Load>) -> u64 {
    engine.snapshot().workers.iter().map(|worker| worker.panics).sum()
}

fn is_bad(number: usize) -> bool {
    number % JOBS_EACH == 1
}

/// Whether the panic of a bad job carries the job's grant.
fn is_carried(number: usize) -> bool {
    producer(number) % 2 == 1
}

/// Every panic is reported once, with its worker and its tenant.
fn check_reports(reports: &[PanicReport], engine: &Engine<Load>, size: Size) {
    // One that carries a grant has no message.
    let told = |report: &PanicReport| (report.message.clone(), report.tenant.expect("a handler"));
    let due = |number| {
        let message = (!is_carried(number)).then(|| number.to_string());
        (message, named(engine, tenant(number)).unwrap())
    };
    let bad = (0..size.producers * JOBS_EACH).filter(|number| is_bad(*number));
    let mut missing: Vec<_> = bad.map(due).collect();
    for report in reports {
        let at = missing.iter().position(|due| *due == told(report));
        missing.swap_remove(at.unwrap_or_else(|| panic!("{report:?}, left {missing:?}")));
        assert!(report.worker.is_some_and(|worker| worker < size.workers));
    }
    assert_eq!(missing, [], "every panic is told");
}

/// The service's own threads pull the jobs, so that the order of grants can be told.
pub(crate) fn pulled(size: Size) {
    let rig = Rig::new(size);
    let engine = rig.builder(size).build().unwrap();
    let start = |_| {
        let (rig, engine) = (Arc::clone(&rig), engine.clone());
        spawn(move || pull(&rig, &engine))
    };
    let workers = (0..size.workers).map(start).collect();
    join(rig.produce(&engine, size));
    let report = engine.drain(Duration::MAX);
    join(workers);
    assert_eq!((report.running, report.returned.len()), (0, 0), "all were pulled");
    let stream = |number| (producer(number), tenant(number));
    rig.register.check_order(stream).unwrap_or_else(|problem| panic!("{problem}"));
    rig.account(engine, report);
}

/// Pulls and runs jobs, two at a time, until the engine stops.
fn pull(rig: &Rig, engine: &Engine<Load>) {
    let mut worker = engine.worker().unwrap();
    while !worker.is_stopped() {
        let began = rig.register.moment();
        let grants: Vec<_> = worker.wait_batch(2, Duration::MAX).collect();
        let ended = rig.register.moment();
        for grant in grants {
            rig.register.pulled(grant.payload().number, began, ended);
            rig.runs(&grant);
        }
    }
}
