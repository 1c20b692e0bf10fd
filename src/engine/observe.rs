use crate::error::Reason;
use crate::gate::{BudgetPart, Denial};
use crate::tenant::Tenant;
use crate::units::{BudgetId, Nanos};
use std::time::Duration;

/// Sees what the engine does, job by job on the way in and visit by visit on the way out.
///
/// Called on submitting and worker threads with no lane claimed and no lock held; a slow observer
/// slows those threads. A panic in it is reported through the panic hook and goes no further. An
/// engine without an observer pays nothing.
pub trait Observer: Send + Sync {
    /// A job was accepted; `depth` jobs of the tenant wait, this one and those with a requirement included.
    ///
    /// Called once for each job, in order, those of a batch included. Jobs of a batch that were accepted at
    /// once are told of one after the other, each with the depth up to it. Workers go on meanwhile: what they
    /// have taken by then does not count any more, but the job itself.
    fn enqueued(&self, tenant: Tenant, depth: u32) {
        let _ = (tenant, depth);
    }

    /// A worker visited a tenant and took out jobs.
    fn served(&self, served: Served) {
        let _ = served;
    }

    /// A tenant's lane was parked: its next job may not go now. What brings it back is not told.
    fn parked(&self, parking: Parking) {
        let _ = parking;
    }
}

/// A lane that was parked. At that moment the limit had let all go that it lets go.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parking {
    /// Whose lane it is.
    pub tenant: Tenant,
    /// What it waits for.
    pub reason: Reason,
    /// When, on the engine's clock.
    pub at: Nanos,
    /// When the limit lets its next job go, on the engine's clock, where that is known; jitter comes on
    /// top. `None` for what ends with a grant or a change of policy.
    pub eligible_at: Option<Nanos>,
    /// The budget that is used up, for [`Reason::Budget`].
    pub budget: Option<BudgetId>,
}

/// One visit's result.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Served {
    /// Whose jobs they were.
    pub tenant: Tenant,
    /// How many.
    pub jobs: u32,
    /// Their cost.
    pub cost: u64,
    /// What the tenant may spend per round, in cost units.
    pub quantum: f64,
    /// For how long the lane was claimed, counted from the start of the worker's search.
    pub held: Duration,
}

impl Parking {
    pub(super) fn new(tenant: Tenant, denial: &Denial, at: Nanos) -> Self {
        let id = |part: BudgetPart| BudgetId { number: part.budget, engine: tenant.engine() };
        let budget = denial.budget.filter(|_| denial.reason == Reason::Budget).map(id);
        Parking { tenant, reason: denial.reason, at, eligible_at: denial.until.moment(), budget }
    }
}

/// A panic that did not leave the engine.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PanicReport {
    /// The worker on whose thread it happened; `None` for a submitting thread and the timekeeper's.
    pub worker: Option<usize>,
    /// Whose job was running; `None` when it was an observer that panicked, or the engine itself.
    pub tenant: Option<Tenant>,
    /// Whether it was the engine itself that panicked, a bug of ours, on a worker's thread. The thread runs
    /// what it has been granted and ends; the other workers go on with its lanes.
    pub ends_worker: bool,
    /// The panic's message, when it was a string.
    pub message: Option<String>,
}

impl PanicReport {
    pub(super) fn new(
        worker: Option<usize>,
        tenant: Option<Tenant>,
        payload: &(dyn std::any::Any + Send),
    ) -> Self {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = text.or_else(|| payload.downcast_ref::<String>().cloned());
        PanicReport { worker, tenant, ends_worker: false, message }
    }
}
