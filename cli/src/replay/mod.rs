//! `fairlane replay`: a real log through the engine, and through a plain FIFO beside it.
//!
//! The log is read twice and never held: once to learn its tenants, its cost and its time, once to
//! replay it. Arrivals keep their pattern and are scaled to the load asked for; every job keeps a
//! worker busy for as long as its cost says. A run ends when all accepted jobs have been served.

mod flags;
mod format;
mod input;
mod job;
mod reorder;
mod run;
mod simulation;
mod time;
mod trace;

use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;

pub(crate) use self::flags::ReplayArgs;
use self::input::Source;
use self::run::{Replayed, Setup, replay};
use self::trace::{Survey, Trace};
use crate::report::html::{Page, PageFile};
use crate::report::{json, publish, table};

const USAGE_EXIT: u8 = 2;

/// Replays the log and prints the report.
///
/// Exits with 2 when a flag, the policy or the log is unfit or the page's file cannot be made, with 1
/// when the report cannot be written or a job got lost.
pub(crate) fn run(args: &ReplayArgs) -> ExitCode {
    let (file, survey, setup, replayed) = match execute(args) {
        Ok(done) => done,
        Err(problem) => return fail(USAGE_EXIT, &problem),
    };
    tell_malformed(&survey);
    if args.json {
        tell_late(replayed.late);
    }
    let (report, heading) = (&replayed.report, heading(&survey, &setup, &replayed));
    let title = format!("fairlane replay: {}", args.shown_file());
    let page = Page { title: &title, setup: &heading, report, policy: &setup.policy };
    let text = if args.json {
        json::render(report) + "\n"
    } else {
        heading.clone() + "\n" + &table::render(report)
    };
    match publish(&page, file, &text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => fail(1, &problem),
    }
}

/// Everything up to the report. The page's file is made first, and goes away again with an error.
fn execute(args: &ReplayArgs) -> Result<(Option<PageFile>, Survey, Setup, Replayed), String> {
    let (setup, format, wanted) = args.check()?;
    let file = args.page()?;
    let shown = args.shown_trace();
    let in_trace = |problem: String| format!("{shown}: {problem}");
    let source = Source::open(&args.trace).map_err(in_trace)?;
    let mut trace = Trace::survey(source, format, wanted, setup.readings()).map_err(in_trace)?;
    if let Some(problem) = trace.survey.problem() {
        return Err(in_trace(problem));
    }
    let replayed = replay(&mut trace, &setup).map_err(in_trace)?;
    Ok((file, trace.survey, setup, replayed))
}

fn fail(code: u8, problem: &str) -> ExitCode {
    // There is nowhere left to complain to if stderr is gone as well.
    let _ = writeln!(io::stderr(), "fairlane replay: {problem}");
    ExitCode::from(code)
}

/// Shows the first malformed lines, and how many there are.
fn tell_malformed(survey: &Survey) {
    let mut text = String::new();
    for (line, fault) in &survey.told {
        let _ = writeln!(text, "fairlane replay: line {line}: {fault}");
    }
    if survey.malformed > survey.told.len() as u64 {
        let all = survey.jobs + survey.malformed;
        let _ =
            writeln!(text, "fairlane replay: {} of {all} lines are malformed", survey.malformed);
    }
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Says under `--json`, which has no heading, what the heading would say.
fn tell_late(lines: u64) {
    if lines > 0 {
        let _ = write!(io::stderr(), "fairlane replay: {}", late(lines));
    }
}

/// What was replayed, in a few lines.
fn heading(survey: &Survey, setup: &Setup, replayed: &Replayed) -> String {
    let Setup { workers, capacity, load, is_live, .. } = setup;
    let time = if *is_live { "real" } else { "virtual" };
    let text = format!(
        "{} jobs of {} tenants, cost {}, arriving over {:.1} s of {time} time: {load} times the capacity\n\
         of {workers} workers, {capacity} cost units a second.\n",
        survey.jobs,
        survey.tenants.len(),
        survey.cost(),
        replayed.span.as_duration().as_secs_f64(),
    );
    text + &late(replayed.late)
}

/// How many lines came too late to be put in order; nothing where none did.
fn late(lines: u64) -> String {
    match lines {
        0 => String::new(),
        1 => "1 line was more than 60 s out of order: its time was moved up.\n".to_owned(),
        _ => format!("{lines} lines were more than 60 s out of order: their time was moved up.\n"),
    }
}
