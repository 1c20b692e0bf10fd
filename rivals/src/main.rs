//! Compares fairlane with its alternatives in one run.
//!
//! One producer and one consumer on pinned threads, a 16-byte payload, systems interleaved round by
//! round; every run is checked by count and sum. Part 2 of the project grows this.

mod harness;
mod systems;

use harness::{Figures, Options};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    let options = match Options::from_args(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}");
            return std::process::ExitCode::from(2);
        }
    };
    let rows: Vec<Figures> =
        options.tenants.iter().map(|&tenants| harness::compare(&options, tenants)).collect();
    if options.json {
        harness::print_json(&rows)
    } else {
        harness::print_table(&rows)
    }
    std::process::ExitCode::SUCCESS
}
