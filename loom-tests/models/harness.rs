//! Runs a model and counts what loom explored.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Switches between threads in one iteration, as a bound on spinning. Loom's own 1,000 is short
/// for models that wrap a ring.
const BRANCHES_MAX: usize = 10_000;

/// Explores every interleaving of `model`, or, with a bound, those with at most that many
/// preemptions. `FAIRLANE_LOOM_EXTRA_PREEMPTIONS` raises every bound.
///
/// Prints `model NAME iterations N bound B`. When no mutant is active and `FAIRLANE_LOOM_COUNTS`
/// names a file, it gets the line `NAME N`.
pub(super) fn check(
    name: &str,
    preemption_bound: Option<usize>,
    model: impl Fn() + Send + Sync + 'static,
) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = BRANCHES_MAX;
    builder.preemption_bound = preemption_bound.map(|bound| bound + extra_preemptions());
    // Both end a check early and call it a success, so the environment does not get to set them.
    builder.max_permutations = None;
    builder.max_duration = None;

    let progress = Progress::new(name);
    let iterations = Arc::clone(&progress.iterations);
    builder.check(move || {
        iterations.fetch_add(1, Relaxed);
        model();
    });
    let bound = builder.preemption_bound.map_or_else(|| "none".to_owned(), |b| b.to_string());
    println!("model {name} iterations {} bound {bound}", progress.count());
    record(name, progress.count());
}

/// Says how far a failing model came; the process may not survive to say it otherwise.
struct Progress<'a> {
    name: &'a str,
    iterations: Arc<AtomicU64>,
}

impl Progress<'_> {
    fn new(name: &str) -> Progress<'_> {
        Progress { name, iterations: Arc::new(AtomicU64::new(0)) }
    }

    fn count(&self) -> u64 {
        self.iterations.load(Relaxed)
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("model {} failed in iteration {}", self.name, self.count());
        }
    }
}

fn extra_preemptions() -> usize {
    std::env::var("FAIRLANE_LOOM_EXTRA_PREEMPTIONS")
        .map_or(0, |extra| extra.parse().expect("FAIRLANE_LOOM_EXTRA_PREEMPTIONS is not a number"))
}

fn record(name: &str, iterations: u64) {
    let Some(path) = std::env::var_os("FAIRLANE_LOOM_COUNTS") else {
        return;
    };
    if std::env::var_os("FAIRLANE_MUTANT").is_some() {
        return;
    }
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("the counts file opens");
    writeln!(file, "{name} {iterations}").expect("the counts file takes a line");
}
