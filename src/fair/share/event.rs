use crate::units::Nanos;

/// What happened to some cost of a tenant's.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Act {
    /// Offered and queued.
    Accepted,
    /// Offered and refused for `queue_full` or `engine_full`. Refusals for other reasons are no
    /// demand and are not recorded.
    RefusedFull,
    /// Granted to a worker.
    Served,
    /// Left the queue unserved: expired, cancelled or returned.
    Left,
    /// From here on a quota of the tenant's own keeps its next job from being served, having let go all
    /// that it lets go. Its cost does not count. Quotas shared with others are not meant: what those
    /// take, they take from it.
    Throttled,
    /// From here on its quotas let the next job go. Its cost does not count.
    Freed,
}

/// One thing that happened in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event {
    /// When, on the run's clock. An offer is dated by its intended arrival, which keeps it before
    /// the job's service whatever the threads do.
    pub at: Nanos,
    /// Whose: the tenant's place in the weights given to the meter.
    pub tenant: usize,
    /// The job's cost, in cost units.
    pub cost: u64,
    /// What happened.
    pub act: Act,
}

impl Event {
    /// Whether it may be stored as more of `earlier`.
    pub(super) fn continues(&self, earlier: &Event, grain: Nanos) -> bool {
        let same = self.tenant == earlier.tenant && self.act == earlier.act;
        same && self.at >= earlier.at && self.at.since(earlier.at) < grain
    }
}
