//! One run of an engine whose tenants all have limits: rates, caps, and a budget that others report to and
//! refund; jobs with priorities, due moments and deadlines.

use crate::load::{Load, PRODUCERS, TENANTS, cost, job_with_terms, tenant};
use crate::producer::Producer;
use crate::register::Register;
use crate::watch::check_snapshots;
use fairlane::{
    Cap, DrainReport, Engine, Expired, Grant, Limits, Own, Policy, Rate, Reported, Tenant, Unit,
    Weight,
};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

/// Cost units of the budget that all tenants but the first draw on, and of each refund.
const BUDGET: u64 = 20_000;
/// Longest that the last jobs may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A count that only grants of a tenant with one grant at a time change: no two at once, and each after the
/// one before. ThreadSanitizer sees it when that is not so.
#[derive(Default)]
struct Alone(UnsafeCell<u64>);

// SAFETY: `Alone::count` is called by holders of the one slot of a tenant, which the gate orders; that it
// does is what the run is to show.
unsafe impl Sync for Alone {}

impl Alone {
    /// Counts one grant, which the caller holds.
    fn count(&self) {
        // SAFETY: as for `Sync`: nobody else holds a grant of this tenant now.
        unsafe { *self.0.get() += 1 };
    }

    /// The grants counted. To be asked when no thread is left that counts.
    fn total(&self) -> u64 {
        // SAFETY: nobody counts any more.
        unsafe { *self.0.get() }
    }
}

pub(crate) struct Limited {
    register: Register,
    tenants: OnceLock<Vec<Tenant>>,
    /// Grants of tenant 0, whose cap is 1, as the cap lets them count, and as they are.
    alone: Alone,
    of_first: AtomicU64,
    expired: AtomicU64,
}

/// One of two policies that differ in caps and rates. The first tenant has one grant at a time in both, and no
/// budget: settling one takes a lock, and would order its grants in place of the slot.
fn policy(number: u32) -> Policy {
    let wide = u64::from(number % 2);
    let per = Duration::from_millis(2);
    let hot = Rate::strict(400 + 100 * wide, Unit::Jobs, per).unwrap();
    let cold = Rate::smooth(2_000, Unit::Cost, per, 500 + 500 * wide).unwrap();
    let limits = |rate, cap| Limits::default().rate(rate).concurrency(cap);
    let org = Own::Is(vec!["org".to_owned()]);
    Policy::builder()
        .queue_max(4_096)
        .tenants_max(256)
        .concurrency(12 + number % 2 * 4)
        .tier("hot", Weight::ONE)
        .tier("cold", Weight::new(2.0).unwrap())
        .tier_queue_max("hot", 256)
        .tier_queue_max("cold", 64)
        .tier_limits("hot", limits(hot, Cap::Grants(1)))
        .tier_limits("cold", limits(cold, Cap::Grants(2 + number % 2)).budgets(org))
        .tier_concurrency("cold", Cap::Grants(6 + number % 2 * 4))
        .default_tier("cold")
        .budget_hard("org", "cost", BUDGET)
        .budget_reset("org", Duration::from_secs(1))
        .build()
        .unwrap()
}

impl Limited {
    pub(crate) fn new(jobs: u32) -> Arc<Limited> {
        Arc::new(Limited {
            register: Register::new(jobs, 0),
            tenants: OnceLock::new(),
            alone: Alone::default(),
            of_first: AtomicU64::new(0),
            expired: AtomicU64::new(0),
        })
    }

    fn tenant(&self, number: u32) -> Tenant {
        self.tenants.get().expect("named before the first job")[tenant(number)]
    }

    fn start(self: &Arc<Self>) -> Engine<Load> {
        let (hook, handler) = (Arc::clone(self), Arc::clone(self));
        let builder = Engine::builder().workers(3).policy(policy(0));
        let builder = builder.on_expired(move |job| hook.expires(&job));
        let engine = builder.start(move |grant| handler.run(grant)).unwrap();
        let tier = |k| if k == 0 { "hot" } else { "cold" };
        let name = |k| engine.tenant(&format!("tenant-{k}"), tier(k)).unwrap();
        self.tenants.set((0..TENANTS).map(name).collect()).unwrap();
        engine
    }

    /// Every third job turns out to be cheaper than it was said to be, and every third dearer.
    fn run(&self, grant: Grant<Load>) {
        let number = grant.payload().number;
        let is_right = grant.tenant() == self.tenant(number) && grant.cost() == cost(number);
        self.register.ended(grant.payload(), is_right);
        if tenant(number) == 0 {
            self.alone.count();
            self.of_first.fetch_add(1, Relaxed);
        }
        match number % 3 {
            0 => grant.settle(cost(number) / 2),
            1 => grant.settle(cost(number) + 1),
            _ => drop(grant),
        }
    }

    fn expires(&self, job: &Expired<Load>) {
        let number = job.payload.number;
        let is_right = job.tenant == self.tenant(number) && job.cost == cost(number);
        self.register.ended(&job.payload, is_right);
        self.expired.fetch_add(1, Relaxed);
    }

    /// Submits everything beside policy swaps, snapshots, explanations, reports and refunds, and drains: all
    /// these go on until the last job has ended.
    pub(crate) fn run_to_the_end(self: &Arc<Self>) {
        let engine = self.start();
        let ends = AtomicBool::new(false);
        let (accepted, report) = thread::scope(|scope| {
            let beside = [
                scope.spawn(|| {
                    check_snapshots(&engine, &ends);
                }),
                scope.spawn(|| swap_policies(&engine, &ends)),
                scope.spawn(|| spend(&engine, &ends)),
                scope.spawn(|| self.explain(&engine, &ends)),
            ];
            let ended = self.produce(&engine);
            let report = engine.drain(PATIENCE);
            // Before a failure is passed on: the scope waits for the others.
            ends.store(true, Relaxed);
            // ThreadSanitizer sees these joins, and not how the scope waits.
            beside.into_iter().for_each(|thread| thread.join().expect("it failed"));
            (ended.expect("a producer failed"), report)
        });
        self.account(engine, &accepted, report);
    }

    /// The numbers of the jobs that were accepted.
    fn produce(&self, engine: &Engine<Load>) -> thread::Result<Vec<u32>> {
        let tenants = self.tenants.get().expect("named at the start");
        thread::scope(|scope| {
            let start = |number| {
                let numbers = self.register.numbers_of(number);
                let submit = move || {
                    Producer::new(engine, tenants, job_with_terms).submit_all(numbers).accepted
                };
                scope.spawn(submit)
            };
            let producers: Vec<_> = (0..PRODUCERS).map(start).collect();
            let ended: thread::Result<Vec<_>> = producers.into_iter().map(|it| it.join()).collect();
            ended.map(|accepted| accepted.concat())
        })
    }

    /// Asks why tenants wait.
    fn explain(&self, engine: &Engine<Load>, ends: &AtomicBool) {
        let tenants = self.tenants.get().expect("named at the start");
        for tenant in tenants.iter().cycle() {
            for (tenant, cap) in [(tenants[0], 1), (*tenant, 3)] {
                let explained = engine.explain(tenant).expect("nobody is given up");
                let out = explained.in_flight.expect("all have limits");
                assert!(out <= cap, "{out} of {cap} grants in flight: {explained:?}");
            }
            if ends.load(Relaxed) {
                return;
            }
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// The report adds up, every accepted job ended once, and nothing is held. Joins the engine's threads.
    fn account(&self, engine: Engine<Load>, accepted: &[u32], report: DrainReport<Load>) {
        let snapshot = engine.snapshot();
        let (returned, expired) = (report.returned.len() as u64, snapshot.expired);
        println!("{} accepted, {} run, {expired} expired", accepted.len(), report.finished);
        assert_eq!((report.running, report.unpublished), (0, 0), "{report:?}");
        assert_eq!(report.finished + returned + expired, accepted.len() as u64, "{report:?}");
        assert_eq!(snapshot.limits.in_flight, 0, "slots are left taken");
        let mut dimensions = snapshot.budgets.iter().flat_map(|budget| &budget.dimensions);
        assert!(dimensions.all(|it| it.reserved == 0), "{:?}", snapshot.budgets);
        for back in &report.returned {
            self.register
                .ended(back.job.payload(), back.tenant == self.tenant(back.job.payload().number));
        }
        drop(engine);
        let checked = self.register.check(accepted, 0);
        checked.unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!(self.expired.load(Relaxed), expired, "the hook is told of each");
        assert!(expired > 0, "the deadlines are near enough to be missed");
        assert_eq!(
            self.alone.total(),
            self.of_first.load(Relaxed),
            "grants of a cap of 1 overlapped"
        );
    }
}

fn swap_policies(engine: &Engine<Load>, ends: &AtomicBool) {
    for number in 1.. {
        if ends.load(Relaxed) {
            return;
        }
        engine.set_policy(policy(number)).expect("the sizes stay");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Spends of the budget, each amount reported twice under one key, and gives much back.
fn spend(engine: &Engine<Load>, ends: &AtomicBool) {
    let org = engine.budget("org").expect("every policy has it");
    let dimension = engine.dimension("cost").expect("a good name");
    for number in 0_u64.. {
        if ends.load(Relaxed) {
            return;
        }
        let key = number.to_string();
        let report = || engine.report(org, Some(&key), &[(dimension, 10)]).expect("it fits");
        assert_ne!(report(), Reported::AlreadyApplied, "key {key} is new");
        assert_eq!(report(), Reported::AlreadyApplied, "key {key} counts once");
        engine.refund(org, &[(dimension, BUDGET)], engine.now()).expect("both are the engine's");
        thread::sleep(Duration::from_micros(500));
    }
}
