//! The rows that need real threads and time (scenarios.md: slow_handlers, mixed_handlers,
//! light_under_flood, per_core), the audit of decision 1's bound, how late expiries are told, who gets the
//! places of a full queue, what threads use while they rest, where they run, and what snapshots say of delays.
//! The machine's other load disturbs those that measure time, so each has a bounded number of tries and prints
//! what it measured.

#[path = "threads/audit.rs"]
mod audit;
#[path = "threads/crowd.rs"]
mod crowd;
#[path = "threads/expiry.rs"]
mod expiry;
#[path = "threads/flood.rs"]
mod flood;
#[path = "threads/handlers.rs"]
mod handlers;
#[path = "threads/idleness.rs"]
mod idleness;
#[path = "../benches/support/expiry.rs"]
mod lateness;
#[cfg(target_os = "linux")]
#[path = "threads/places.rs"]
mod places;
#[cfg(target_os = "linux")]
#[path = "threads/proc.rs"]
mod proc;
#[cfg(target_os = "linux")]
#[path = "threads/rest.rs"]
mod rest;
#[path = "support/rng.rs"]
mod rng;
#[path = "threads/shares.rs"]
mod shares;
#[path = "threads/statistics.rs"]
mod statistics;
#[path = "threads/tries.rs"]
mod tries;
