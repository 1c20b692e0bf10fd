//! The `fairlane` command: what an operator runs beside the engine.

mod check;
mod demo;
mod progress;
mod replay;
mod report;
mod schedulers;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
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

const USAGE_EXIT: u8 = 2;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return tell(&error),
    };
    match cli.command {
        Command::Check(args) => check::run(&args),
        Command::Demo(args) => demo::run(args),
        Command::Replay(args) => replay::run(&args),
    }
}

/// Says on one line what is wrong with the command line. Help and version are no errors, and a command
/// line with nothing on it gets the help.
fn tell(error: &clap::Error) -> ExitCode {
    use ErrorKind::{
        DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand as Nothing, DisplayVersion,
    };
    if matches!(error.kind(), DisplayHelp | DisplayVersion | Nothing) {
        // A reader that has gone away does not change what was asked.
        let _ = error.print();
        return ExitCode::from(error.exit_code() as u8);
    }
    let page = error.render().to_string();
    // What comes after the first paragraph is usage and advice.
    let lines = page.lines().take_while(|line| !line.is_empty()).map(str::trim);
    let problem = lines.collect::<Vec<_>>().join(" ");
    let problem = problem.strip_prefix("error: ").unwrap_or(&problem);
    let _ = writeln!(io::stderr(), "fairlane: {}; see --help", check::printable(problem));
    ExitCode::from(USAGE_EXIT)
}
