//! The `fairlane` command: what an operator runs beside the engine.

mod check;
mod demo;
mod progress;
mod replay;
mod report;
mod schedulers;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

// The engine picks no allocator; a program that embeds it does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Schedules the requests of many tenants fairly: replay of real logs, a demonstration, policy checks.
#[derive(Parser)]
#[command(name = "fairlane", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks a policy file and lists every problem at once.
    Check(check::CheckArgs),
    /// Shows a noisy neighbour beside light tenants.
    Demo(demo::DemoArgs),
    /// Replays a real log: who would have waited how long?
    Replay(Box<replay::ReplayArgs>),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Check(args) => check::run(&args),
        Command::Demo(args) => demo::run(args),
        Command::Replay(args) => replay::run(&args),
    }
}
