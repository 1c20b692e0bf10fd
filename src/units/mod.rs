//! Values that cannot be wrong: a [`Cost`], [`Weight`] or [`Nanos`] that exists is in range.
//!
//! Nothing here knows atomics, threads or tenants.

mod capabilities;
mod cost;
mod handles;
mod nanos;
mod order;
mod priority;
mod weight;

pub use capabilities::{Capabilities, CapabilitiesError};
pub use cost::{Cost, CostError};
pub use handles::{BudgetId, Dimension};
pub use nanos::Nanos;
pub(crate) use order::Order;
pub use priority::{Band, Bands, BandsError, Priority};
pub use weight::{Weight, WeightError};
