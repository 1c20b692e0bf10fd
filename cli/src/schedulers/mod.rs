//! What runs are compared on: the engine and a plain FIFO, under the same bounds, each with worker
//! threads of its own or as a passive queue that a simulation drives.

mod door;
mod fair;
mod fifo;
mod watch;

pub(crate) use door::Door;
pub(crate) use fair::Fair;
pub(crate) use fifo::{Fifo, FifoQueue};
pub(crate) use watch::{Scribe, Watch};

use std::thread;
use std::time::Instant;

use fairlane::{Nanos, Policy, Reason};

use crate::report::{Ending, Tape, TenantInfo};

/// One job of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Request {
    /// The tenant's place in the run's list.
    pub(crate) tenant: u32,
    /// Cost units.
    pub(crate) cost: u32,
    /// Intended arrival on the run's clock.
    pub(crate) arrived: Nanos,
    /// For how long it keeps a worker.
    pub(crate) takes: Nanos,
}

/// A scheduler with running worker threads.
pub(crate) trait Scheduler {
    /// Offers a job without ever blocking.
    fn submit(&mut self, request: Request) -> Result<(), Reason>;

    /// Takes no more jobs, waits for the handlers that run, and accounts for every accepted job.
    fn finish(self, leftovers: Leftovers) -> Ending;
}

/// What becomes of the jobs that still wait when a run ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Leftovers {
    /// They are handed back.
    Return,
    /// They are served first.
    Serve,
}

/// What every scheduler's threads do with a job they are given.
fn handle(tape: &Tape, request: Request) {
    tape.begin(request.tenant, request.cost, request.arrived);
    thread::sleep(request.takes.as_duration());
}

/// Sleeps until `moment`, or not at all when it has passed: a late generator catches up at once.
pub(crate) fn sleep_until(moment: Instant) {
    let left = moment.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        thread::sleep(left);
    }
}

/// How many jobs may wait.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bounds {
    /// For each tenant of the run.
    pub(crate) tenant_max: Vec<u32>,
    /// For all together.
    pub(crate) engine_max: u32,
}

impl Bounds {
    /// The bounds that `policy` sets for these tenants.
    pub(crate) fn of(policy: &Policy, tenants: &[TenantInfo]) -> Bounds {
        let bound = |tenant: &TenantInfo| {
            let own = policy.override_for(&tenant.name).and_then(|own| own.queue_max);
            let tier = || policy.tier(&tenant.tier).map(|tier| tier.queue_max());
            own.or_else(tier).unwrap_or(policy.default_queue_max())
        };
        let tenant_max = tenants.iter().map(bound).collect();
        Bounds { tenant_max, engine_max: policy.queue_max() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairlane::Weight;

    #[test]
    fn a_tenants_own_bound_goes_before_its_tiers() {
        let text = "[defaults]\ntier = 'gold'\n[tiers.gold]\nweight = 2\nqueue_max = 7\n\
                    [tenants.acme]\nqueue_max = 3";
        let policy = Policy::from_toml(text).unwrap();
        let tenant = |name: &str| TenantInfo {
            name: name.to_owned(),
            tier: "gold".to_owned(),
            weight: Weight::ONE,
        };
        let bounds = Bounds::of(&policy, &[tenant("acme"), tenant("umbra")]);
        assert_eq!((bounds.tenant_max, bounds.engine_max), (vec![3, 7], 1_000_000));
    }
}
