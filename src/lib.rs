#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod aside;
mod claim;
mod clock;
mod dispatch;
mod engine;
mod error;
mod fair;
mod gate;
mod limit;
mod park;
mod policy;
mod ring;
mod rotation;
mod route;
mod stats;
mod sync;
mod tenant;
mod units;

#[cfg(all(test, fairlane_loom))]
#[path = "../loom-tests/models/mod.rs"]
mod models;

pub use claim::{Grant, Receipt};
pub use clock::{Clock, ManualClock};
#[cfg(feature = "testing")]
#[doc(hidden)]
pub use engine::testing;
pub use engine::{
    Accepted, Batch, BranchStanding, Breach, Builder, DrainReport, Engine, Expired, Explanation,
    Job, Kind, Observer, PanicReport, Parking, Refusal, Refused, Reported, Requirement, Returned,
    Served, SetPolicyError, Standing, StartError, TenantError, Wait, Worker, WorkerError,
};
pub use error::{BudgetError, Reason};
/// Who got what: the arithmetic of fairness reports.
pub use fair::share as fairness;
pub use limit::{Cap, Rate, RateError, Shape, Unit};
pub use policy::{
    Budget, BudgetLimit, KindCost, Limits, Overload, Override, Own, Policy, PolicyBuilder,
    PolicyError, Problem, Quota, Tier,
};
pub use stats::{
    BudgetDimensionRow, BudgetRow, LimitsRow, Quantiles, Snapshot, TenantRow, TierRow, WorkerRow,
};
pub use tenant::Tenant;
pub use units::{
    Band, Bands, BandsError, BudgetId, Capabilities, CapabilitiesError, Cost, CostError, Dimension,
    Nanos, Priority, Weight, WeightError,
};
