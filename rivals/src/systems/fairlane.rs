//! fairlane, through its public API: `submit` or `submit_batch`, and a worker that pulls. Only the
//! stalled producer of W11 needs a hook.

use super::{
    BASE_QUANTUM, BATCH, Entry, Exit, Parking, Payload, Setup, Sleeper, Stalling, System, Weights,
};
use crate::harness::{Contestant, Finish, Moment, Start, Tally, consume, pause};
use fairlane::testing;
use fairlane::{
    Cap, Engine, Job, Limits, Policy, PolicyBuilder, Rate, RateError, Tenant, Unit, Weight, Worker,
};
use std::time::Duration;

pub(crate) const NAME: &str = "fairlane";
pub(crate) const BATCHES: &str = "fairlane, batches of 64";
pub(crate) const SMOOTH: &str = "fairlane, smooth rate and concurrency";
pub(crate) const STRICT: &str = "fairlane, strict rate and concurrency";
pub(crate) const BUDGETED: &str = "fairlane, a budget over all tenants";
/// Far more than any machine does in a second, and not the most that may be stated.
const NEVER_REACHED: u64 = 100_000_000_000;
/// The largest limit of a budget.
const NEVER_SPENT: u64 = 1_000_000_000_000_000;
/// Far more than are ever in flight.
const MANY_GRANTS: u32 = 1_000_000;

/// Statistics are on, as in every engine.
pub(crate) struct Fairlane {
    engine: Engine<Payload>,
    tenants: Vec<Tenant>,
}

impl Fairlane {
    /// An engine with one worker place, whose tenants are known.
    pub(crate) fn new(setup: &Setup) -> Fairlane {
        Fairlane::under(policy(setup), setup)
    }

    fn under(policy: PolicyBuilder, setup: &Setup) -> Fairlane {
        let policy = policy.build().expect("the sizes are in range");
        let engine = Engine::builder().policy(policy).workers(1).build();
        let engine = engine.expect("1 worker is in range");
        let tier = |k: usize| match setup.weights {
            Weights::Tiers => ["starter", "growth", "scale"][k % 3],
            Weights::Each(_) => "starter",
        };
        let tenants = (0..setup.tenants)
            .map(|k| engine.tenant(&name(k), tier(k)).expect("the table has room for all"))
            .collect();
        Fairlane { engine, tenants }
    }
}

/// A job that is never published: a run in which it came out would fail its check.
const NEVER: Payload = Payload { number: 0, tenant: 0 };

fn name(tenant: usize) -> String {
    format!("tenant-{tenant}")
}

fn policy(setup: &Setup) -> PolicyBuilder {
    let capacity = setup.capacity as u32;
    let mut policy = Policy::builder()
        .queue_max(capacity)
        .default_queue_max(capacity.min(1_048_576))
        .tenants_max(setup.tenants as u32)
        .base_quantum(BASE_QUANTUM);
    if let Weights::Each(weights) = &setup.weights {
        for (tenant, &weight) in weights.iter().enumerate() {
            let weight = Weight::new(f64::from(weight)).expect("weights are 1..=1000");
            policy = policy.tenant_weight(name(tenant), weight);
        }
    }
    policy
}

/// The same engine with limits for every tenant, which never bind: a rate and a bound on grants in flight, or
/// a budget that all share.
pub(crate) struct Limited {
    fairlane: Fairlane,
    name: &'static str,
}

impl Limited {
    /// The generic cell rate algorithm.
    pub(crate) fn smooth(setup: &Setup) -> Limited {
        let second = Duration::from_secs(1);
        let rate = Rate::smooth(NEVER_REACHED, Unit::Jobs, second, NEVER_REACHED);
        Limited { fairlane: limited(policy(setup), &rated(rate), setup), name: SMOOTH }
    }

    /// Sub-windows.
    pub(crate) fn strict(setup: &Setup) -> Limited {
        let rate = Rate::strict(NEVER_REACHED, Unit::Jobs, Duration::from_secs(1));
        Limited { fairlane: limited(policy(setup), &rated(rate), setup), name: STRICT }
    }

    /// Each job reserves its cost and settles it.
    pub(crate) fn budgeted(setup: &Setup) -> Limited {
        let policy = policy(setup).budget_hard("all", "cost", NEVER_SPENT);
        let limits = Limits::default().budgets(vec!["all".to_owned()]);
        Limited { fairlane: limited(policy, &limits, setup), name: BUDGETED }
    }
}

fn rated(rate: Result<Rate, RateError>) -> Limits {
    let rate = rate.expect("the rate is in range");
    Limits::default().rate(rate).concurrency(Cap::Grants(MANY_GRANTS))
}

fn limited(policy: PolicyBuilder, limits: &Limits, setup: &Setup) -> Fairlane {
    let tiers = [("starter", 1.0), ("growth", 1.2), ("scale", 2.0)];
    let tier = |policy: PolicyBuilder, (name, weight)| {
        let weight = Weight::new(weight).expect("in range");
        policy.tier(name, weight).tier_limits(name, limits.clone())
    };
    Fairlane::under(tiers.into_iter().fold(policy, tier), setup)
}

impl System for Limited {
    fn name(&self) -> &'static str {
        self.name
    }

    fn entry(&self) -> impl Entry {
        self.fairlane.entry()
    }

    fn exit(&self) -> impl Exit {
        self.fairlane.exit()
    }
}

impl System for Fairlane {
    fn name(&self) -> &'static str {
        NAME
    }

    fn entry(&self) -> impl Entry {
        Submit(self)
    }

    fn exit(&self) -> impl Exit {
        Pull(self.engine.worker().expect("the only worker place is free"))
    }
}

impl Parking for Fairlane {
    fn sleeper(&self) -> impl Sleeper {
        Pull(self.engine.worker().expect("the only worker place is free"))
    }
}

impl Stalling for Fairlane {
    /// The place is given up in the end.
    ///
    /// Before it is one that has been given up at once. It leaves the lane backlogged; otherwise the
    /// lane would join the rotation only when the stall ends, and no worker would come upon it.
    fn stall(&self, tenant: u32) -> impl Sized {
        let reserve = || testing::reserve(&self.engine, self.tenants[tenant as usize], NEVER);
        let first = reserve().expect("a lane has room for two");
        let stalled = reserve().expect("a lane has room for two");
        drop(first);
        stalled
    }
}

struct Submit<'a>(&'a Fairlane);

impl Entry for Submit<'_> {
    #[inline]
    fn offer(&mut self, tenant: u32, cost: u32, payload: Payload) -> bool {
        let Fairlane { engine, tenants } = self.0;
        engine.submit(tenants[tenant as usize], Job::new(payload).cost(cost)).is_ok()
    }
}

struct Pull(Worker<Payload>);

impl Exit for Pull {
    #[inline]
    fn take(&mut self, most: usize, sink: &mut impl FnMut(Payload)) -> usize {
        let mut taken = 0;
        for grant in self.0.next_batch(most) {
            taken += 1;
            sink(grant.into_payload());
        }
        taken
    }
}

impl Sleeper for Pull {
    fn wait(&mut self, limit: Duration, sink: &mut impl FnMut(Payload)) -> usize {
        let mut taken = 0;
        for grant in self.0.wait_batch(1, limit) {
            taken += 1;
            sink(grant.into_payload());
        }
        taken
    }
}

/// The same with a producer that hands over 64 jobs of one tenant at a time.
pub(crate) struct Batches(Fairlane);

impl Batches {
    /// As [`Fairlane::new`].
    pub(crate) fn new(setup: &Setup) -> Batches {
        Batches(Fairlane::new(setup))
    }

    fn submit(&self, tenant: u32, jobs: Vec<Job<Payload>>) {
        let tenant = self.0.tenants[tenant as usize];
        let mut batch = self.0.engine.submit_batch(tenant, jobs);
        while !batch.refused.is_empty() {
            pause();
            batch = self.0.engine.submit_batch(tenant, batch.refused);
        }
    }
}

/// The jobs in batches: all of a batch are the first one's tenant's.
fn batches(order: &[u32]) -> impl Iterator<Item = impl Iterator<Item = Payload>> {
    order.chunks(BATCH).zip(0u64..).map(|(chunk, batch)| {
        let first = batch * BATCH as u64;
        let numbers = first..first + chunk.len() as u64;
        numbers.map(|number| Payload { number, tenant: u64::from(chunk[0]) })
    })
}

impl Contestant for Batches {
    fn name(&self) -> &'static str {
        BATCHES
    }

    fn expected(&self, order: &[u32]) -> Tally {
        batches(order).flatten().collect()
    }

    fn produce(&self, order: &[u32], start: &Start<'_>) -> Moment {
        let begin = start.wait();
        for batch in batches(order) {
            let jobs: Vec<_> = batch.map(Job::new).collect();
            self.submit(jobs[0].payload().tenant as u32, jobs);
        }
        begin
    }

    fn consume(&self, jobs: u64, start: &Start<'_>) -> Finish {
        consume(&mut self.0.exit(), jobs, start)
    }
}
