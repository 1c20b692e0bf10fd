//! An engine in the smallest setting that still has full queues, and what its threads share.

use crate::load::{JOBS_EACH, Load, cost, tenant};
use crate::producer::Producer;
use crate::register::Register;
use fairlane::{
    Builder, Clock, DrainReport, Engine, Grant, ManualClock, Policy, Tenant, TenantError, Weight,
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

/// The handle of a tenant, named now if it is new.
pub(crate) fn named(engine: &Engine<Load>, tenant: usize) -> Result<Tenant, TenantError> {
    engine.tenant(["common", "own-1", "own-2"][tenant], "only")
}

/// What all threads of an execution share.
pub(crate) struct Rig {
    pub(crate) register: Arc<Register>,
    /// Jobs that have begun to run.
    begun: Mutex<u64>,
    more: Condvar,
}

impl Rig {
    pub(crate) fn new(size: Size) -> Arc<Rig> {
        let register = Arc::new(Register::new(size.producers * JOBS_EACH));
        Arc::new(Rig { register, begun: Mutex::new(0), more: Condvar::new() })
    }

    pub(crate) fn builder(size: Size) -> Builder<Load> {
        let clock = Clock::Manual(ManualClock::new());
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
        assert_eq!(grant.cost(), cost(number), "a job keeps its cost");
        self.register.ran(number);
        *self.begun.lock().unwrap() += 1;
        self.more.notify_all();
    }

    /// Blocks until `jobs` have begun to run; when a wake-up is lost, for ever.
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
            let producer = Producer::new(number, &self.register, engine);
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
        assert_eq!(report.finished + returned + report.running, accepted, "{report:?}");
        for back in report.returned {
            let number = back.job.payload().number;
            assert_eq!(Ok(back.tenant), named(&engine, tenant(number)), "whose job it is");
            self.register.returned(number);
        }
        drop(engine);
        self.register.check_ends().unwrap_or_else(|problem| panic!("{problem}"));
    }
}

pub(crate) fn join(threads: Vec<JoinHandle<()>>) {
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}
