//! What is counted and measured. Counters have one writer each; nothing here is on a job's path
//! except a plain add.

mod counters;
mod delays;
mod snapshot;

pub(crate) use counters::SeatCounters;
pub(crate) use delays::{DelayLog, Delays, Kind};
pub use snapshot::{
    BudgetDimensionRow, BudgetRow, LimitsRow, Quantiles, Snapshot, TenantRow, TierRow, WorkerRow,
};
