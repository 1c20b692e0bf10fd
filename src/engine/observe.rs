use crate::tenant::Tenant;
use std::time::Duration;

/// Sees what the engine does, job by job on the way in and visit by visit on the way out.
///
/// Called on submitting and worker threads with no lane claimed and no lock held; a slow observer
/// slows those threads. A panic in it is reported through the panic hook and goes no further. An
/// engine without an observer pays nothing.
pub trait Observer: Send + Sync {
    /// A job was accepted; `depth` jobs of the tenant wait, this one included.
    fn enqueued(&self, tenant: Tenant, depth: u32) {
        let _ = (tenant, depth);
    }

    /// A worker visited a tenant and took out jobs.
    fn served(&self, served: Served) {
        let _ = served;
    }
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

/// A panic that did not leave the engine.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PanicReport {
    /// The worker on whose thread it happened; `None` for a submitting thread.
    pub worker: Option<usize>,
    /// Whose job was running; `None` when it was an observer that panicked.
    pub tenant: Option<Tenant>,
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
        PanicReport { worker, tenant, message }
    }
}
