//! The policy: everything an operator may set, as one validated, immutable value.
//!
//! A [`Policy`] comes from code ([`Policy::builder`]), from TOML text (`Policy::from_toml`) or from
//! TOML text with environment overrides (`Policy::from_toml_with_env`). All three fill the same
//! draft of raw settings, and one checker turns the draft into a policy or into a [`PolicyError`]
//! that lists every [`Problem`] at once. So a range is written down once and holds for every way in.
//!
//! The weight is the truth and the quantum follows from it (`weight x base_quantum`); a quantum
//! that says otherwise is refused, because two sources of truth drift apart (T-C11). Numbers are read
//! strictly, and what is out of range is refused rather than taken for unset (C-23, T-Z14).
//!
//! Invariants of a `Policy` that exists: every number is in the range its getter states, tier names
//! are unique, the default tier is one of the tiers, every budget that is named exists, and every
//! percentage and minimum has an engine's concurrency to be a part of. Nothing here knows the engine.

mod builder;
mod check;
mod check_quota;
mod cross;
mod draft;
#[cfg(feature = "toml")]
mod env;
#[cfg(feature = "toml")]
mod file;
mod model;
mod problem;
mod quota;
mod schema;
mod schema_quota;
mod suggest;
mod text;

pub use builder::PolicyBuilder;
pub use model::{KindCost, Override, Policy, Tier};
pub use problem::{PolicyError, Problem};
pub use quota::{Budget, BudgetLimit, Limits, Overload, Own, Quota};
