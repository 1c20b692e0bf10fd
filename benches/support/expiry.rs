//! How long after its deadline a job's expiry is told, while every worker sits in a handler.

use fairlane::{Clock, Engine, Expired, Grant, Job, Nanos, Policy, Tenant};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long each handler takes.
const HANDLER: Duration = Duration::from_millis(100);
/// Between two lots of submissions.
const LOT: Duration = Duration::from_millis(1);

/// What is to expire.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// Tenants that the jobs are of, in turn.
    pub(crate) tenants: usize,
    /// Deadlines in a second, evenly spread.
    pub(crate) per_second: u64,
    pub(crate) jobs: u64,
    /// Between a submission and its deadline: so long jobs wait that nobody has put in order when the first
    /// deadline comes.
    pub(crate) patience: Duration,
    /// Whether handlers keep their cores busy, in place of sleeping.
    pub(crate) spins: bool,
    /// What the hook takes for each job; a negative control makes it dear.
    pub(crate) hook: Duration,
}

/// From deadlines to calls of the hook.
#[derive(Debug)]
pub(crate) struct Lateness {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) max: Duration,
    pub(crate) expired: u64,
    /// Jobs that a worker took between two handlers, before their deadline.
    pub(crate) ran: u64,
}

impl Lateness {
    /// The figures of `late`, in nanoseconds.
    pub(crate) fn of(mut late: Vec<u64>, ran: u64) -> Lateness {
        late.sort_unstable();
        let at = |per_mille: usize| {
            let rank = (late.len() * per_mille).div_ceil(1_000).saturating_sub(1);
            Duration::from_nanos(late.get(rank).copied().unwrap_or(u64::MAX))
        };
        let (p50, p99, max) = (at(500), at(990), at(1_000));
        Lateness { p50, p99, max, expired: late.len() as u64, ran }
    }
}

impl fmt::Display for Lateness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Lateness { p50, p99, max, expired, ran } = self;
        write!(f, "p50 {p50:.2?}, p99 {p99:.2?}, max {max:.2?}; {expired} expired, {ran} ran")
    }
}

/// A job that occupies a worker, or one with a deadline.
type Payload = Option<Nanos>;

fn policy() -> Policy {
    Policy::builder().default_queue_max(1_000_000).build().expect("the sizes are in range")
}

/// Runs the load on an engine with two workers, each in handlers of 100 ms.
pub(crate) fn measure(load: Load) -> Lateness {
    let clock = Clock::monotonic();
    let (late, ran) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
    let (told, counted, time) = (Arc::clone(&late), Arc::clone(&ran), clock.clone());
    let engine = Engine::<Payload>::builder()
        .policy(policy())
        .workers(2)
        .clock(clock.clone())
        .on_expired(move |job: Expired<Payload>| {
            let deadline = job.payload.expect("only jobs with a deadline expire");
            let since = time.now().since(deadline);
            told.lock().expect("nothing panics under this lock").push(since.0);
            if !load.hook.is_zero() {
                thread::sleep(load.hook);
            }
        })
        .start(move |grant: Grant<Payload>| {
            counted.fetch_add(u64::from(grant.payload().is_some()), Relaxed);
            occupy(load.spins);
        })
        .expect("two workers are in range");
    submit(&engine, &clock, load);
    thread::sleep(load.patience + HANDLER);
    let report = engine.drain(Duration::ZERO);
    drop(engine);
    let late = std::mem::take(&mut *late.lock().expect("nothing panics under this lock"));
    let lateness = Lateness::of(late, ran.load(Relaxed));
    let back = report.returned.iter().filter(|back| back.job.payload().is_some()).count() as u64;
    assert_eq!(lateness.expired, report.expired, "each is told of once");
    assert_eq!(lateness.expired + lateness.ran + back, load.jobs, "none is lost");
    lateness
}

/// What the machine itself allows: a plain thread that sleeps to the same moments, one after the other, beside
/// two threads that do what the handlers do.
pub(crate) fn bare(load: Load) -> Lateness {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Relaxed) {
                    occupy(load.spins);
                }
            });
        }
        let start = Instant::now() + HANDLER;
        let late = (0..load.jobs).map(|number| {
            let moment = start + Duration::from_nanos(number * 1_000_000_000 / load.per_second);
            thread::sleep(moment.saturating_duration_since(Instant::now()));
            moment.elapsed().as_nanos() as u64
        });
        let late = late.collect();
        is_done.store(true, Relaxed);
        Lateness::of(late, 0)
    })
}

fn occupy(spins: bool) {
    let start = Instant::now();
    while spins && start.elapsed() < HANDLER {
        std::hint::spin_loop();
    }
    thread::sleep(HANDLER.saturating_sub(start.elapsed()));
}

/// Submits at the pace of the deadlines, beside a tenant that has both workers in hand.
fn submit(engine: &Engine<Payload>, clock: &Clock, load: Load) {
    let tenant = |name: &str| engine.tenant(name, "starter").expect("room in the table");
    let tenants: Vec<Tenant> = (0..load.tenants).map(|k| tenant(&format!("tenant-{k}"))).collect();
    let busy = tenant("busy");
    let put = |tenant, job: Job<Payload>| assert!(engine.submit(tenant, job).is_ok(), "no room");
    (0..200).for_each(|_| put(busy, Job::new(None)));
    thread::sleep(HANDLER / 5);
    let (start, first) = (Instant::now(), clock.now().after(Nanos::from_duration(load.patience)));
    let mut number = 0;
    while number < load.jobs {
        let due = (start.elapsed() + LOT).as_nanos() as u64 * load.per_second / 1_000_000_000;
        for number in number..due.min(load.jobs) {
            let deadline = first.after(Nanos(number * 1_000_000_000 / load.per_second));
            let job = Job::new(Some(deadline)).deadline(deadline);
            put(tenants[number as usize % tenants.len()], job);
        }
        number = due.min(load.jobs);
        thread::sleep(LOT);
    }
}
