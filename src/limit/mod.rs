//! Quotas as arithmetic: what a limit is, and what it says at a moment. No clock, no threads.

#[allow(dead_code, reason = "the gate asks it in the next step")]
mod budget;
mod gcra;
mod meter;
mod terms;
mod window;

#[allow(unused_imports, reason = "the gate asks it in the next step")]
pub(crate) use budget::{Breach, Budget, Reported};
pub(crate) use meter::Meter;
pub use terms::{BudgetError, BudgetTerms, Cap, DimensionTerms, Rate, RateError, Shape, Unit};
