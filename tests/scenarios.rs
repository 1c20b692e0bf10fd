//! The fairness scenarios, on the passive engine under a manual clock: counts, not milliseconds.
//!
//! A check is a function over picks; where it is about fairness, a FIFO run through the same
//! harness must fail it. The scenario's id stands in brackets above each test.

#[path = "scenarios/arrival.rs"]
mod arrival;
#[path = "scenarios/checks.rs"]
mod checks;
#[path = "scenarios/clients.rs"]
mod clients;
#[path = "scenarios/doors.rs"]
mod doors;
#[path = "scenarios/policy.rs"]
mod policy;
#[path = "support/queue.rs"]
mod queue;
#[path = "support/rng.rs"]
mod rng;
#[path = "scenarios/shares.rs"]
mod shares;
#[path = "scenarios/simulation.rs"]
mod simulation;
#[path = "scenarios/turns.rs"]
mod turns;
