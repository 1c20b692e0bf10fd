//! An engine in the smallest setting that still has full queues, and what its threads share.

use crate::load::{JOBS_EACH, Load, TENANTS, TermsOf, cost, plain, tenant};
use crate::producer::Producer;
use crate::register::Register;
use fairlane::{
    Builder, Clock, DrainReport, Engine, Expired, Grant, ManualClock, Policy, Tenant, TenantError,
    Weight,
};
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread::{JoinHandle, spawn};
use std::sync::Arc;

#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) producers: usize,
    pub(crate) workers: usize,
}

/// A tenant's quantum under the even and the odd policies. They differ in base and in weight, and
/// values of both mixed give neither.
pub(crate) const QUANTA: [f64; 2] = [20.0, 60.0];

/// The policies that scenarios swap. Their bounds are so small that lanes and the engine are full
/// now and then, and blocks have two slots.
pub(crate) fn policy(number: usize) -> Policy {
    let (base, weight) = [(20, 1.0), (30, 2.0)][number % 2];
    let builder = Policy::builder().tenants_max(4).queue_max(8).base_quantum(base);
    let builder = builder.tier("only", Weight::new(weight).unwrap()).default_tier("only");
    builder.tier_queue_max("only", 2 + number as u32 % 2).build().unwrap()
}

/// The tenants' names.
pub(crate) const NAMES: [&str; TENANTS] = ["common", "own-1", "own-2"];

/// The handle of a tenant, named now if it is new.
pub(crate) fn named(engine: &Engine<Load>, tenant: usize) -> Result<Tenant, TenantError> {
    engine.tenant(NAMES[tenant], "only")
}

/// What all threads of an execution share.
pub(crate) struct Rig {
    pub(crate) register: Arc<Register>,
    /// The engine's; it stands still unless a scenario moves it.
    pub(crate) clock: ManualClock,
    terms: TermsOf,
    /// Jobs that have begun to run, or have expired.
    begun: Mutex<u64>,
    more: Condvar,
}

impl Rig {
    /// For plain jobs.
    pub(crate) fn new(size: Size) -> Arc<Rig> {
        Rig::with(size, plain)
    }

    /// For jobs on `terms`.
    pub(crate) fn with(size: Size, terms: TermsOf) -> Arc<Rig> {
        let register = Arc::new(Register::new(size.producers * JOBS_EACH));
        let (clock, begun, more) = (ManualClock::new(), Mutex::new(0), Condvar::new());
        Arc::new(Rig { register, clock, terms, begun, more })
    }

    pub(crate) fn builder(&self, size: Size) -> Builder<Load> {
        let clock = Clock::Manual(self.clock.clone());
        Engine::builder().policy(policy(0)).workers(size.workers).clock(clock)
    }

    /// Starts an engine whose handler only tells.
    pub(crate) fn start(self: &Arc<Self>, builder: Builder<Load>) -> Engine<Load> {
        let rig = Arc::clone(self);
        builder.start(move |grant| rig.runs(&grant)).unwrap()
    }

    /// A job begins to run.
    pub(crate) fn runs(&self, grant: &Grant<Load>) {
        let number = grant.payload().number;
        if grant.cost() != cost(number) {
            self.register.object(format!("job {number} costs {}", grant.cost()));
        }
        self.register.ran(number);
        self.count();
    }

    /// A job has expired.
    pub(crate) fn expires(&self, job: &Expired<Load>) {
        let number = job.payload.number;
        if job.cost != cost(number) {
            self.register.object(format!("job {number} expires with cost {}", job.cost));
        }
        self.register.expires(number, self.clock.now());
        self.count();
    }

    fn count(&self) {
        *self.begun.lock().unwrap() += 1;
        self.more.notify_all();
    }

    /// Blocks until `jobs` have begun to run or expired; when a wake-up is lost, for ever.
    pub(crate) fn await_runs(&self, jobs: u64) {
        let mut begun = self.begun.lock().unwrap();
        while *begun < jobs {
            begun = self.more.wait(begun).unwrap();
        }
    }

    /// The same for all jobs. To be called when no more are submitted.
    pub(crate) fn await_all_runs(&self) {
        self.await_runs(self.register.accepted_jobs());
    }

    /// Starts the producers.
    pub(crate) fn produce(
        self: &Arc<Self>,
        engine: &Engine<Load>,
        size: Size,
    ) -> Vec<JoinHandle<()>> {
        let start = |number| {
            let producer = Producer::new(number, (&self.register, self.terms), engine);
            spawn(move || producer.submit_all())
        };
        (0..size.producers).map(start).collect()
    }

    /// Checks that the report adds up and, once the engine's threads are joined, that every job
    /// ended once. Takes the last handle.
    pub(crate) fn account(&self, engine: Engine<Load>, report: DrainReport<Load>) {
        let accepted = self.register.accepted_jobs();
        let returned = report.returned.len() as u64;
        assert_eq!(report.unpublished, 0, "a drain waits for producers");
        let expired = engine.snapshot().expired;
        assert_eq!(report.finished + returned + report.running + expired, accepted, "{report:?}");
        for back in report.returned {
            let number = back.job.payload().number;
            assert_eq!(Ok(back.tenant), named(&engine, tenant(number)), "whose job it is");
            self.register.returned(number);
        }
        drop(engine);
        assert_eq!(self.register.expiries(), expired, "the hook is told of every expired job");
        self.register.check_ends().unwrap_or_else(|problem| panic!("{problem}"));
    }
}

pub(crate) fn join(threads: Vec<JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}
