//! Quotas as arithmetic: what a limit is, and what it says at a moment. No clock, no threads.

mod terms;

pub use terms::{Cap, Rate, RateError, Shape, Unit};
