//! Quotas as arithmetic: what a limit is, and what it says at a moment. No clock, no threads.

#[allow(dead_code, reason = "the gate asks it")]
mod budget;
#[allow(dead_code, reason = "the gate asks it")]
mod gcra;
#[allow(dead_code, reason = "the gate asks it")]
mod meter;
mod terms;
#[allow(dead_code, reason = "the gate asks it")]
mod window;

#[allow(unused_imports, reason = "the gate asks it")]
pub(crate) use budget::{Breach, Budget, Reported};
#[allow(unused_imports, reason = "the gate asks it")]
pub(crate) use meter::{Meter, Refusal};
pub use terms::{BudgetError, BudgetTerms, Cap, DimensionTerms, Rate, RateError, Shape, Unit};
