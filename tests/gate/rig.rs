//! An engine under a manual clock.

use fairlane::{
    Cap, Capabilities, Clock, Engine, Expired, Grant, Job, Limits, ManualClock, Nanos, Policy,
    PolicyBuilder, Standing, Tenant, Wait, Worker,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MS;

/// A passive engine, its workers, and what has expired.
pub(crate) struct Rig {
    pub(crate) engine: Engine<&'static str>,
    pub(crate) clock: ManualClock,
    pub(crate) workers: Vec<Worker<&'static str>>,
    pub(crate) expired: Arc<Mutex<Vec<(&'static str, Duration)>>>,
}

pub(crate) fn policy(change: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> Policy {
    change(Policy::builder()).build().expect("a valid policy")
}

/// The default policy with limits for the tier `starter`.
pub(crate) fn limited(limits: Limits) -> Policy {
    policy(|policy| policy.tier("starter", fairlane::Weight::ONE).tier_limits("starter", limits))
}

/// So many grants in flight and no more.
pub(crate) fn at_most(grants: u32) -> Limits {
    Limits::default().concurrency(Cap::Grants(grants))
}

pub(crate) fn caps(tokens: &str) -> Capabilities {
    tokens.parse().expect("good tokens")
}

/// What a lane of that standing waits for.
#[track_caller]
pub(crate) fn wait_of(standing: Standing) -> Wait {
    match standing {
        Standing::Waiting(wait) => wait,
        other => panic!("{other:?}"),
    }
}

/// What the tenant's lane waits for.
#[track_caller]
pub(crate) fn wait(rig: &Rig, tenant: Tenant) -> Wait {
    wait_of(rig.engine.explain(tenant).expect("a live handle").standing)
}

impl Rig {
    pub(crate) fn new(policy: Policy) -> Rig {
        let clock = ManualClock::new();
        let expired = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&expired);
        let engine = Engine::builder()
            .workers(2)
            .policy(policy)
            .clock(Clock::Manual(clock.clone()))
            .on_expired(move |job: Expired<&'static str>| {
                told.lock().unwrap().push((job.payload, job.waited));
            })
            .build()
            .expect("a passive engine");
        let workers = (0..2).map(|_| engine.worker().expect("a place")).collect();
        Rig { engine, clock, workers, expired }
    }

    pub(crate) fn tenant(&self, name: &str) -> Tenant {
        self.engine.tenant(name, "starter").expect("room in the table")
    }

    pub(crate) fn submit(&self, tenant: Tenant, job: impl Into<Job<&'static str>>) {
        self.engine.submit(tenant, job).expect("room in the queue");
    }

    /// Moves the clock to `at`.
    pub(crate) fn at(&self, at: u64) {
        self.clock.advance_to(Nanos(at));
    }

    /// Grants of one look for up to `most` jobs, by the first worker.
    pub(crate) fn look(&mut self, most: usize) -> Vec<Grant<&'static str>> {
        self.workers[0].next_batch(most).collect()
    }

    /// Looks until one finds nothing, and drops what is granted; the jobs in the order of their grants.
    pub(crate) fn serve(&mut self) -> Vec<&'static str> {
        let mut all = Vec::new();
        loop {
            let some = self.look(1);
            if some.is_empty() {
                return all;
            }
            all.extend(some.into_iter().map(Grant::into_payload));
        }
    }
}
