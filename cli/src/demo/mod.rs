//! `fairlane demo`: a noisy neighbour on real threads, once behind a plain FIFO, once behind the
//! engine.
//!
//! Handlers sleep one millisecond, so capacity is about workers x 1,000 jobs a second whatever the
//! machine. One tenant offers ten times that, fifty others a hundredth each. Arrivals are open-loop:
//! every job has an intended arrival from a seeded schedule, waits count from there, and a late
//! generator makes waits longer instead of hiding them. Both schedulers get the same arrivals, the
//! same bounds and the same number of workers. A run ends with its arrivals: what is still queued is
//! handed back and counted as returned.

mod arrivals;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlane::{Nanos, Policy};
use indicatif::ProgressBar;

use self::arrivals::{LIGHT_TENANTS, Load};
use crate::check;
use crate::progress;
use crate::report::html::{Page, PageFile};
use crate::report::{JobCounts, Recording, Report, SchedulerReport, Tape, json, publish, table};
use crate::schedulers::{Bounds, Fair, Fifo, Leftovers, Request, Scheduler, sleep_until};

/// What every job takes.
const HANDLER: Nanos = Nanos(1_000_000);
/// Time for the worker threads to come up before the first arrival.
const START_LEAD: Duration = Duration::from_millis(50);
/// A run's progress is shown in this many steps.
const STEPS: u64 = 100;

const SECONDS_MAX: u32 = 3_600;
const WORKERS_MAX: u32 = 1_024;
/// Two workers for an hour. Every service is kept in memory until the report: about 150 KB for each
/// second of a worker.
const WORKER_SECONDS_MAX: u32 = 7_200;
const USAGE_EXIT: u8 = 2;
/// The page's title.
const TITLE: &str = "fairlane demo: a noisy neighbour";

/// Shows one noisy tenant beside fifty quiet ones: first through a plain FIFO, then through fairlane.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    // Text, because a number that does not parse deserves a line that says what would be right.
    /// Seconds of arrivals for each of the two schedulers, 1 to 3600; times workers at most 7200.
    #[arg(long, value_name = "N", default_value = "5", allow_hyphen_values = true)]
    seconds: String,
    /// Worker threads, 1 to 1024; each serves about 1000 jobs a second.
    #[arg(long, value_name = "N", default_value = "2", allow_hyphen_values = true)]
    workers: String,
    /// Policy (TOML), with FAIRLANE__ variables over it [default: the engine's own]
    ///
    /// The hot tenant, `hot`, is in the tier `scale`, the light ones, `light-01` to `light-50`, in all
    /// tiers in turn. Quotas hold under fair; fifo has the same bounds and no quotas.
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    policy: Option<PathBuf>,
    /// Print one JSON object and nothing else.
    #[arg(long)]
    json: bool,
    // Not a path, because clap would say of an empty one that there is none.
    /// Also write the report to FILE as a page to look at.
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    html: Option<OsString>,
}

/// Runs the demo and prints its report.
///
/// Exits with 2 when a flag or the policy is unfit or the page's file cannot be made, with 1 when the engine
/// does not start, the report cannot be written, or a job got lost.
pub(crate) fn run(args: DemoArgs) -> ExitCode {
    let prepared = size(&args).and_then(|size| Ok((size, policy(&args)?, page(&args)?)));
    let ((seconds, workers), policy, file) = match prepared {
        Ok(prepared) => prepared,
        Err(problem) => return fail(USAGE_EXIT, &problem),
    };
    let report = match compare(seconds, workers, &policy) {
        Ok(report) => report,
        Err(problem) => return fail(1, &problem),
    };
    let setup = heading(seconds, workers);
    let page = Page { title: TITLE, setup: &setup, report: &report, policy: &policy };
    let text = if args.json {
        json::render(&report) + "\n"
    } else {
        setup.clone() + "\n\n" + &table::render(&report)
    };
    match publish(&page, file, &text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => fail(1, &problem),
    }
}

fn policy(args: &DemoArgs) -> Result<Policy, String> {
    args.policy.as_deref().map_or_else(|| Ok(Policy::default()), check::load_or_first_problem)
}

/// Opens the file of the page, if one is asked for.
fn page(args: &DemoArgs) -> Result<Option<PageFile>, String> {
    let sources: Vec<&Path> = args.policy.iter().map(PathBuf::as_path).collect();
    let create = |file: &OsString| PageFile::create(Path::new(file), &sources);
    args.html.as_ref().map(create).transpose()
}

/// Reads the seconds and the workers, each in range and not too many together.
fn size(args: &DemoArgs) -> Result<(u32, u32), String> {
    let seconds = number("--seconds", &args.seconds, SECONDS_MAX)?;
    let workers = number("--workers", &args.workers, WORKERS_MAX)?;
    if seconds * workers <= WORKER_SECONDS_MAX {
        Ok((seconds, workers))
    } else {
        Err(format!(
            "--seconds x --workers must be at most {WORKER_SECONDS_MAX}, not {}",
            seconds * workers
        ))
    }
}

/// Reads a flag's value: a whole number from 1 to `max`.
fn number(flag: &str, text: &str, max: u32) -> Result<u32, String> {
    let value = text.parse().ok().filter(|value| (1..=max).contains(value));
    value.ok_or_else(|| format!("{flag} must be a whole number from 1 to {max}, not `{text}`"))
}

fn fail(code: u8, problem: &str) -> ExitCode {
    // There is nowhere left to complain to if stderr is gone as well.
    let _ = writeln!(io::stderr(), "fairlane demo: {problem}");
    ExitCode::from(code)
}

fn heading(seconds: u32, workers: u32) -> String {
    format!(
        "One hot tenant offers 10 times the capacity of {workers} workers (about {} jobs/s), \
         {LIGHT_TENANTS} light ones 1 % each: {seconds} s through each scheduler.",
        workers * 1_000
    )
}

/// Puts the same load through both schedulers.
fn compare(seconds: u32, workers: u32, policy: &Policy) -> Result<Report, String> {
    let load = Load::new(policy, workers, seconds);
    let bar = progress::bar(2 * STEPS);

    bar.set_message("fifo");
    let tape = new_tape(workers);
    let fifo = Fifo::start(workers, Bounds::of(policy, &load.tenants), Arc::clone(&tape));
    let (_, fifo) = drive(fifo, &load, &tape, &bar);

    bar.set_message("fair");
    let tape = new_tape(workers);
    let fair = Fair::start(workers, policy.clone(), load.tenants.clone(), Arc::clone(&tape))?;
    let (jobs, fair) = drive(fair, &load, &tape, &bar);

    bar.finish_and_clear();
    Ok(Report { jobs, schedulers: vec![("fair", fair), ("fifo", fifo)] })
}

fn new_tape(workers: u32) -> Arc<Tape> {
    Arc::new(Tape::new(Instant::now() + START_LEAD, workers as usize))
}

/// Offers the whole load on time and reports what became of it.
fn drive<S: Scheduler>(
    mut scheduler: S,
    load: &Load,
    tape: &Tape,
    bar: &ProgressBar,
) -> (JobCounts, SchedulerReport) {
    let step = load.end.0 / STEPS;
    let mut recording = Recording::new(load.tenants.clone(), Nanos(step / 1_000));
    let mut shown = 0;
    for arrival in load.arrivals() {
        sleep_until(tape.epoch() + arrival.at.as_duration());
        let request =
            Request { tenant: arrival.tenant, cost: 1, arrived: arrival.at, takes: HANDLER };
        let verdict = scheduler.submit(request);
        recording.offer(request.arrived, request.tenant, request.cost, verdict);
        if arrival.at.0 / step > shown {
            shown += 1;
            bar.inc(1);
        }
    }
    sleep_until(tape.epoch() + load.end.as_duration());
    bar.inc(STEPS - shown);
    recording.finish(scheduler.finish(Leftovers::Return))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_whole_numbers_in_range() {
        assert_eq!(number("--workers", "1024", 1_024), Ok(1_024));
        for bad in ["0", "1025", "-1", "1.5", "abc", "", "99999999999999999999"] {
            let problem = number("--workers", bad, 1_024).unwrap_err();
            assert!(problem.contains("--workers") && problem.contains("1024"), "{problem}");
        }
    }

    #[test]
    fn a_fifo_lets_the_noisy_neighbour_take_nearly_everything() {
        // The negative control of the whole comparison.
        let policy = Policy::default();
        let load = Load::new(&policy, 2, 1);
        let tape = new_tape(2);
        let fifo = Fifo::start(2, Bounds::of(&policy, &load.tenants), Arc::clone(&tape));
        let (jobs, report) = drive(fifo, &load, &tape, &ProgressBar::hidden());
        assert_eq!(jobs.lost, 0);
        assert_eq!(jobs.read, load.arrivals().count() as u64);
        assert!(report.jain.unwrap() < 0.7, "{:?}", report.jain);
        assert!(report.min_share_ratio.unwrap() < 0.4, "{:?}", report.min_share_ratio);
        assert!(report.tenants[0].share_ratio.unwrap() > 0.95);
    }
}
