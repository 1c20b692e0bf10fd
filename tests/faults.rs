//! Stops, panics and foreign threads: nothing is lost, nothing happens twice, and the report adds
//! up (decisions 3, 10, 14; verification.md, "Faults"; T-C10, C-7).

#[path = "faults/death.rs"]
mod death;
#[path = "faults/drain.rs"]
mod drain;
#[path = "faults/grants.rs"]
mod grants;
#[path = "faults/handed_back.rs"]
mod handed_back;
#[path = "faults/panics.rs"]
mod panics;
#[path = "faults/register.rs"]
mod register;
#[cfg(target_os = "linux")]
#[path = "faults/spawn.rs"]
mod spawn;
