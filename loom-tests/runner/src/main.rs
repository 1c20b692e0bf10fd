//! Runs the loom models and their mutants.
//!
//! `check` runs every model against its floor and every mutant against its model; `record` writes
//! the floors anew; `stock` says which mutants an unpatched loom misses. Words after the command
//! keep only the models whose names contain one of them.

mod binary;
mod check;
mod config;
mod process;
mod sites;
#[path = "../../../tests/tidy/source.rs"]
mod source;
mod stock;
mod verdict;

use std::process::ExitCode;

/// Which models a command is about.
#[derive(Debug)]
struct Filter(Vec<String>);

impl Filter {
    fn takes(&self, model: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|part| model.contains(part))
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let filter = Filter(arguments.collect());
    let root = loom_prepare::project_root();
    let done = match command.as_str() {
        "check" => check::check(&root, &filter),
        "record" => check::record(&root, &filter),
        "stock" => stock::compare(&root, &filter),
        _ => Err("usage: loom-runner check|record|stock [NAME...]".to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("loom-runner: {problem}");
            ExitCode::FAILURE
        }
    }
}
