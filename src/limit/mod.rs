//! Quotas as arithmetic: what a limit is, and what it says at a moment. No clock, no threads.

mod budget;
mod gcra;
mod meter;
mod terms;
mod window;

pub(crate) use budget::{Breach, Budget, Reported};
pub(crate) use meter::Meter;
pub(crate) use terms::{BudgetTerms, DimensionTerms};
pub use terms::{Cap, Rate, RateError, Shape, Unit};
