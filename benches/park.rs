//! Question: how long from a submission to the start of its handler, when the worker sleeps?
//!
//! Two pinned threads where there are two cores: this one submits, the engine's only worker sleeps.
//! Every sample first waits until the worker has gone to sleep, then submits one job that carries
//! the moment. `std_unpark` is the same with a bare `std::thread::park`: what the operating system
//! takes, so the difference is the engine's. Figures are per wake.

#[path = "support/machine.rs"]
mod machine;

use criterion::Criterion;
use fairlane::{Engine, Grant, Tenant};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// From a worker's word that it sleeps to its being asleep.
const SETTLE: Duration = Duration::from_micros(100);
const WAIT_MAX: Duration = Duration::from_secs(10);

/// What the woken thread reports: how long its wake took, in nanoseconds, and how often it woke.
#[derive(Default)]
struct Report {
    nanos: AtomicU64,
    wakes: AtomicU64,
}

impl Report {
    fn woken(&self, since: Instant) {
        self.nanos.store(since.elapsed().as_nanos() as u64, Ordering::Relaxed);
        self.wakes.fetch_add(1, Ordering::Release);
    }

    /// Waits for wake number `wakes` and returns what it took.
    fn wait(&self, wakes: u64) -> Duration {
        wait_until(|| self.wakes.load(Ordering::Acquire) >= wakes);
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

fn wait_until(done: impl Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < WAIT_MAX, "the other thread does not answer");
        std::thread::yield_now();
    }
}

struct Rig {
    engine: Engine<Instant>,
    tenant: Tenant,
    report: Arc<Report>,
    sent: u64,
}

impl Rig {
    fn new(pin: bool) -> Rig {
        let report = Arc::new(Report::default());
        let told = Arc::clone(&report);
        let handler = move |grant: Grant<Instant>| told.woken(*grant.payload());
        let builder = Engine::builder().workers(1).pin(pin);
        let engine = builder.start(handler).expect("the engine starts");
        let tenant = engine.tenant("sleeper", "starter").expect("the table has room");
        Rig { engine, tenant, report, sent: 0 }
    }

    fn sleeps(&self) -> u64 {
        self.engine.snapshot().workers[0].sleeps
    }

    /// Wakes the sleeping worker once.
    fn wake(&mut self) -> Duration {
        let before = self.sleeps();
        std::thread::sleep(SETTLE);
        self.sent += 1;
        let _ = self.engine.submit(self.tenant, Instant::now()).expect("the lane is empty");
        let took = self.report.wait(self.sent);
        // The worker counts a sleep each time it finds nothing more.
        wait_until(|| self.sleeps() > before);
        took
    }

    /// A job that finds the worker asleep is run, and the worker sleeps again.
    fn check(&mut self) {
        wait_until(|| self.sleeps() > 0);
        (0..10).for_each(|_| assert!(self.wake() < WAIT_MAX));
        let snapshot = self.engine.snapshot();
        assert_eq!((snapshot.accepted, snapshot.dispatched, snapshot.depth), (10, 10, 0));
        assert!(snapshot.workers[0].sleeps > 10, "the worker did not sleep between the jobs");
    }
}

/// A thread that parks, wakes and reports, until told to stop.
struct Bare {
    thread: std::thread::JoinHandle<()>,
    sent: Arc<std::sync::Mutex<Option<Instant>>>,
    stop: Arc<AtomicBool>,
    report: Arc<Report>,
}

impl Bare {
    fn start(core: Option<core_affinity::CoreId>) -> Bare {
        let sent = Arc::new(std::sync::Mutex::new(None::<Instant>));
        let stop = Arc::new(AtomicBool::new(false));
        let report = Arc::new(Report::default());
        let (inbox, stopped, told) = (Arc::clone(&sent), Arc::clone(&stop), Arc::clone(&report));
        let thread = std::thread::spawn(move || {
            core.map(core_affinity::set_for_current);
            while !stopped.load(Ordering::Acquire) {
                std::thread::park();
                let message = inbox.lock().expect("nobody panics").take();
                if let Some(since) = message {
                    told.woken(since);
                }
            }
        });
        Bare { thread, sent, stop, report }
    }

    fn wake(&self, wakes: u64) -> Duration {
        std::thread::sleep(SETTLE);
        *self.sent.lock().expect("nobody panics") = Some(Instant::now());
        self.thread.thread().unpark();
        self.report.wait(wakes)
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        self.thread.join().expect("the thread does not panic");
    }
}

fn bench(criterion: &mut Criterion) {
    // The engine pins its worker to the first core; this thread takes the second.
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let mut rig = Rig::new(cores.len() > 1);
    if let Some(&second) = cores.get(1) {
        core_affinity::set_for_current(second);
    }
    rig.check();
    let mut group = criterion.benchmark_group("park");
    group.bench_function("submit_to_handler", |b| {
        b.iter_custom(|wakes| (0..wakes).map(|_| rig.wake()).sum());
    });
    let bare = Bare::start(cores.first().copied().filter(|_| cores.len() > 1));
    let mut wakes = 0;
    group.bench_function("std_unpark", |b| {
        b.iter_custom(|count| {
            (0..count)
                .map(|_| {
                    wakes += 1;
                    bare.wake(wakes)
                })
                .sum()
        });
    });
    bare.stop();
    group.finish();
}

fn main() {
    machine::announce("park: how long from a submission to its handler, when the worker sleeps?");
    // A wake is rare and slow, so few samples of many wakes each.
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    bench(&mut criterion);
    criterion.final_summary();
}
