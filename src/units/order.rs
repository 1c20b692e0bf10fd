use super::{Band, Nanos};

/// Where a job stands in its lane's order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Order {
    pub(crate) band: Band,
    /// From when on it may go; [`Nanos::ZERO`] for at once.
    pub(crate) due: Nanos,
    /// From when on it may not go any more; [`Nanos::MAX`] for never.
    pub(crate) deadline: Nanos,
}
