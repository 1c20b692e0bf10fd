//! Compares fairlane with its alternatives in one run: what it asks, how it measures and how to
//! read the figures is in this package's README.

mod allocator;
mod arrivals;
mod harness;
mod machine;
mod report;
mod systems;
mod workloads;

use clap::Parser;
use machine::Machine;
use report::Row;
use serde_json::{Map, Value, json};
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;
use workloads::{Context, Workload};

/// Runs fairlane and its alternatives side by side and prints what they did.
#[derive(Parser)]
#[command(name = "fairlane-rivals", version)]
struct Options {
    /// Prints one JSON object instead of tables.
    #[arg(long)]
    json: bool,
    /// Lists the workloads with the question that each asks, and runs none.
    #[arg(long)]
    list: bool,
    /// Workloads to run; all by default.
    #[arg(long, value_name = "W,...", value_delimiter = ',')]
    workload: Vec<String>,
    /// Systems to run, by name or a part of it; all by default.
    #[arg(long, alias = "only", value_name = "NAME,...", value_delimiter = ',')]
    system: Vec<String>,
    /// Rounds that count; one more warms up.
    #[arg(long, value_name = "N", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
    /// Jobs a round of the throughput workloads; the others take a part of it.
    #[arg(long, value_name = "N", default_value_t = 2_000_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    jobs: u32,
    /// Numbers of tenants instead of those of W1 to W4, W12, W14 and solo; runs W3 if no workload is
    /// chosen.
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    tenants: Option<Vec<u32>>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.list {
        return finish(list());
    }
    let chosen = chosen_workloads(&options).and_then(|list| Ok((list, context(&options)?)));
    let (chosen, context) = match chosen {
        Ok(chosen) => chosen,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    finish(run(&options, &chosen, &context))
}

fn finish(outcome: Result<(), String>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

/// Prints to standard output, which may be a pipe that someone has closed.
fn print(text: impl Display) -> Result<(), String> {
    writeln!(io::stdout(), "{text}").map_err(|error| format!("cannot print: {error}"))
}

fn list() -> Result<(), String> {
    workloads::ALL.iter().try_for_each(|w| print(format_args!("{:<8}{}", w.name, w.question)))
}

fn chosen_workloads(options: &Options) -> Result<Vec<&'static Workload>, String> {
    let mut names = options.workload.clone();
    if names.is_empty() && options.tenants.is_some() {
        names.push(workloads::UNIFORM.to_owned());
    }
    for name in &names {
        if !workloads::ALL.iter().any(|workload| workload.name.eq_ignore_ascii_case(name)) {
            return Err(format!("unknown workload {name:?}: --list shows them"));
        }
    }
    let wanted = |workload: &&Workload| {
        names.is_empty() || names.iter().any(|name| workload.name.eq_ignore_ascii_case(name))
    };
    Ok(workloads::ALL.iter().filter(wanted).collect())
}

fn context(options: &Options) -> Result<Context, String> {
    let systems: Vec<String> = options.system.iter().map(|name| name.to_lowercase()).collect();
    for part in &systems {
        if !systems::names().any(|name| name.to_lowercase().contains(part)) {
            let known: Vec<&str> = systems::names().collect();
            return Err(format!("unknown system {part:?}: there are {}", known.join("; ")));
        }
    }
    let tenants = options.tenants.as_ref().map(|all| all.iter().map(|&n| n as usize).collect());
    Ok(Context { rounds: options.rounds as usize, jobs: options.jobs as usize, tenants, systems })
}

fn run(options: &Options, chosen: &[&Workload], context: &Context) -> Result<(), String> {
    // Read first: a pinned thread would see its own core only.
    let machine = Machine::read();
    if !options.json {
        print(machine.lines())?;
    }
    let mut rows = Vec::new();
    for workload in chosen {
        let measured = (workload.run)(context)?;
        if !options.json {
            let table = report::table(&measured);
            print(format_args!("\n{}: {}\n{table}", workload.name, workload.question))?;
        }
        rows.extend(measured);
    }
    if options.json {
        print(document(options, &machine, &rows))?;
    }
    Ok(())
}

fn document(options: &Options, machine: &Machine, rows: &[Row]) -> Value {
    let mut fields = Map::new();
    fields.extend(machine.json().map(|(name, value)| (name.to_owned(), value)));
    fields.insert("rounds".to_owned(), json!(options.rounds));
    fields.insert("jobs".to_owned(), json!(options.jobs));
    fields.insert("rows".to_owned(), rows.iter().map(Row::json).collect());
    Value::Object(fields)
}
