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

/// How property tests of the crate's rooms run: `FAIRLANE_CASES` cases, 512 unless that is set. Failing cases
/// are reported in full; nothing is written beside the sources.
#[cfg(all(test, not(fairlane_loom)))]
pub(crate) fn property_config() -> proptest::test_runner::Config {
    let cases = std::env::var("FAIRLANE_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(512);
    let defaults = proptest::test_runner::Config::default();
    proptest::test_runner::Config { cases, failure_persistence: None, ..defaults }
}
