//! `fairlane replay` as a user runs it: logs in, one report out.

#[path = "replay/bad_input.rs"]
mod bad_input;
#[path = "replay/command.rs"]
mod command;
#[path = "replay/formats.rs"]
mod formats;
#[path = "replay/page.rs"]
mod page;
#[path = "replay/quotas.rs"]
mod quotas;
#[path = "replay/real_log.rs"]
mod real_log;
#[path = "replay/runs.rs"]
mod runs;
