//! The gate on the public surface: rates, concurrency, budgets, priorities, due times, deadlines, and what
//! `explain` says of them. A manual clock and passive workers; counts, not milliseconds.

#[path = "gate/barred.rs"]
mod barred;
#[path = "gate/budget.rs"]
mod budget;
#[path = "support/cases.rs"]
mod cases;
#[path = "gate/classes.rs"]
mod classes;
#[path = "gate/combined.rs"]
mod combined;
#[path = "gate/concurrency.rs"]
mod concurrency;
#[path = "gate/explain.rs"]
mod explain;
#[path = "gate/order.rs"]
mod order;
#[path = "gate/races.rs"]
mod races;
#[path = "gate/rate.rs"]
mod rate;
#[path = "gate/refused.rs"]
mod refused;
#[path = "gate/rig.rs"]
mod rig;
#[path = "gate/spending.rs"]
mod spending;
#[path = "gate/told.rs"]
mod told;
#[path = "gate/walk.rs"]
mod walk;
