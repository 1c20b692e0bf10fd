//! The visit: the only place where rings, rotation, accounts and policy meet.
//!
//! A passive value: [`Seat::tick`] takes the time as an argument and runs no user code. Threads,
//! handlers and sleeping are the engine's.

mod barren;
mod claimed;
mod classes;
mod expired;
mod gated;
mod granting;
mod lanes;
mod linger;
mod ordered;
mod pace;
mod plan;
mod routes;
mod seat;
mod timely;
mod visit;

pub use expired::Expired;
pub(crate) use lanes::{Keeping, Lanes, Start};
pub(crate) use ordered::HandedBack;
pub(crate) use plan::{Plan, PlanError};
pub(crate) use routes::{Branch, Branches};
pub(crate) use seat::{Seat, Tick, unit};
