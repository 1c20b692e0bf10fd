//! `cargo run --manifest-path loom-tests/prepare/Cargo.toml`: writes `target/loom-patched`.

use loom_prepare::{Prepared, prepare, project_root};
use std::process::ExitCode;

fn main() -> ExitCode {
    match prepare(&project_root()) {
        Ok(Prepared::UpToDate) => println!("target/loom-patched is up to date"),
        Ok(Prepared::Written) => println!("target/loom-patched written"),
        Err(problem) => {
            eprintln!("loom-prepare: {problem}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
