use super::{Band, Nanos, Priority};

/// Where a job stands in its lane's order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Order {
    pub(crate) band: Band,
    /// What the job states, of which the band has been made: for whoever gets the job back.
    pub(crate) priority: Priority,
    /// From when on it may go; [`Nanos::ZERO`] for at once.
    pub(crate) due: Nanos,
    /// From when on it may not go any more; [`Nanos::MAX`] for never.
    pub(crate) deadline: Nanos,
    /// Where what it draws on beside its tenant's budgets is kept, or [`Order::NO_EXTRA`].
    pub(crate) extra: u32,
}

impl Order {
    /// It draws on nothing else.
    pub(crate) const NO_EXTRA: u32 = u32::MAX;
    /// The order of a job that has none of its own.
    pub(crate) const PLAIN: Order = Order {
        band: Band::LAST,
        priority: Priority::MIN,
        due: Nanos::ZERO,
        deadline: Nanos::MAX,
        extra: Order::NO_EXTRA,
    };
}
