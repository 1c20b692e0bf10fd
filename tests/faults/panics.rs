//! Code that is not the engine's, and panics.

use fairlane::{Engine, Grant, Job, Observer, PanicReport, Served, Tenant};
use std::panic::panic_any;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, Once};
use std::time::{Duration, Instant};

/// Panics that are part of a test say so; they are not worth a backtrace each.
const EXPECTED: &str = "expected";

/// A panic's payload that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("{EXPECTED}: the payload's drop");
    }
}

/// How a visit of a lane ends that a test has broken.
const BROKEN: &str = "but the index is 4294967295";

pub(crate) fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let thrown = info.payload();
            let text = thrown.downcast_ref::<&str>().copied();
            let text = text.or_else(|| thrown.downcast_ref::<String>().map(String::as_str));
            let ours = info.payload().is::<Bomb>() || info.payload().is::<u64>();
            let is_expected = |text: &str| text.starts_with(EXPECTED) || text.ends_with(BROKEN);
            if !ours && !text.is_some_and(is_expected) {
                loud(info);
            }
        }));
    });
}

type Reports = Arc<Mutex<Vec<PanicReport>>>;

fn misbehave(number: u64) {
    match number % 50 {
        7 => panic!("{EXPECTED}: a text"),
        17 => panic_any(format!("{EXPECTED}: number {number}")),
        27 => panic_any(number),
        37 => panic_any(Bomb),
        _ => {}
    }
}

fn misbehaves(number: &u64) -> bool {
    [7, 17, 27, 37].contains(&(number % 50))
}

fn count(reports: &[PanicReport], of: impl Fn(&PanicReport) -> bool) -> usize {
    reports.iter().filter(|report| of(report)).count()
}

/// Runs 2,000 jobs of which 160 panic.
fn run_panicking(hook: impl Fn(PanicReport) + Send + Sync + 'static) -> (Engine<u64>, u64, Tenant) {
    hush();
    let done = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&done);
    let engine = Engine::builder()
        .workers(2)
        .on_panic(hook)
        .start(move |grant: Grant<u64>| {
            misbehave(*grant.payload());
            counter.fetch_add(1, Relaxed);
        })
        .unwrap();
    let tenant = engine.tenant("acme", "scale").unwrap();
    for number in 0..2_000 {
        let _ = engine.submit(tenant, Job::new(number)).unwrap();
    }
    let report = engine.drain(Duration::from_secs(20));
    assert_eq!((report.finished, report.returned.len(), report.running), (2_000, 0, 0));
    (engine, done.load(Relaxed), tenant)
}

// R9, decision 14
#[test]
fn a_panicking_handler_is_reported_once_and_the_worker_lives_on() {
    let reports = Reports::default();
    let sink = Arc::clone(&reports);
    let (engine, done, tenant) = run_panicking(move |report| sink.lock().unwrap().push(report));
    let panicking = (0..2_000).filter(misbehaves).count();
    // The last panic is told and counted after its job is settled, which is what the drain waits for.
    let counted = || engine.snapshot().workers.iter().map(|worker| worker.panics).sum::<u64>();
    let limit = Instant::now() + Duration::from_secs(5);
    while reports.lock().unwrap().len() < panicking || (counted() as usize) < panicking {
        assert!(Instant::now() < limit, "{} panics counted of {panicking}", counted());
        std::thread::sleep(Duration::from_millis(1));
    }
    let reports = reports.lock().unwrap();
    assert_eq!((done as usize, reports.len()), (2_000 - panicking, panicking));
    assert_eq!(counted() as usize, panicking);
    assert!(reports.iter().all(|report| report.tenant == Some(tenant) && report.worker.is_some()));
    assert_eq!(count(&reports, |report| report.message.as_deref() == Some("expected: a text")), 40);
    assert_eq!(
        count(&reports, |report| report.message.as_deref() == Some("expected: number 117")),
        1
    );
    assert_eq!(count(&reports, |report| report.message.is_none()), 80);
}

#[test]
fn a_panicking_panic_hook_is_survived() {
    let (_, done, _) = run_panicking(|_| panic_any(Bomb));
    assert_eq!(done, 2_000 - 160);
}

/// Panics in both of its methods now and then.
struct Nervous(AtomicU64);

impl Nervous {
    fn twitch(&self) {
        match self.0.fetch_add(1, Relaxed) % 10 {
            3 => panic!("{EXPECTED}: observer"),
            6 => panic_any(Bomb),
            _ => {}
        }
    }
}

impl Observer for Nervous {
    fn enqueued(&self, _tenant: Tenant, _depth: u32) {
        self.twitch();
    }

    fn served(&self, _served: Served) {
        self.twitch();
    }
}

#[test]
fn a_panicking_observer_disturbs_neither_submitters_nor_workers() {
    hush();
    let reports = Reports::default();
    let sink = Arc::clone(&reports);
    let sum = Arc::new(AtomicU64::new(0));
    let total = Arc::clone(&sum);
    let engine = Engine::builder()
        .workers(2)
        .observer(Nervous(AtomicU64::new(0)))
        .on_panic(move |report| sink.lock().unwrap().push(report))
        .start(move |grant: Grant<u64>| {
            total.fetch_add(grant.into_payload(), Relaxed);
        })
        .unwrap();
    let tenant = engine.tenant("acme", "scale").unwrap();
    for number in 0..1_000 {
        let _ = engine.submit(tenant, number).expect("accepted, whatever the observer does");
    }
    assert_eq!(engine.drain(Duration::from_secs(20)).finished, 1_000);
    assert_eq!(sum.load(Relaxed), 999 * 1_000 / 2);
    let reports = reports.lock().unwrap();
    assert!(count(&reports, |report| report.worker.is_none()) >= 150, "submitters are reported");
    assert!(reports.iter().all(|report| report.tenant.is_none()), "no job was running");
}

/// A payload whose own drop panics, unless told otherwise.
struct Touchy;

impl Drop for Touchy {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("{EXPECTED}: a job's drop");
        }
    }
}

#[test]
fn jobs_whose_drop_panics_are_survived_wherever_they_are_dropped() {
    hush();
    let reports = Reports::default();
    let sink = Arc::clone(&reports);
    let engine = Engine::builder()
        .workers(1)
        .on_panic(move |report| sink.lock().unwrap().push(report))
        .start(|grant: Grant<Touchy>| {
            std::thread::sleep(Duration::from_millis(20));
            drop(grant);
        })
        .unwrap();
    let tenant = engine.tenant("acme", "scale").unwrap();
    for _ in 0..100 {
        let _ = engine.submit(tenant, Touchy).unwrap();
    }
    // Some are dropped by the handler, the others by the engine's own drop.
    std::thread::sleep(Duration::from_millis(30));
    drop(engine);
    assert_eq!(reports.lock().unwrap().len(), 100);
}
