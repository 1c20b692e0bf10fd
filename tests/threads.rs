#![doc = include_str!("threads/README.md")]

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
