//! The head of the page: what the run shows in a sentence, and its key figures.

use std::collections::BTreeMap;

use super::text::{count, escaped, percent, rate, ratio, span};
use super::{Run, runs};
use crate::report::{Part, Report, SchedulerReport, WaitMs, percentiles};

/// Says what the run shows, whichever way it points.
pub(super) fn finding(report: &Report) -> String {
    let runs = runs(report);
    let share = |run: &Run| run.report.min_share_ratio.map(percent);
    let shares = match compared(&runs, share).filter(|_| runs.iter().any(are_judged)) {
        Some(shares) => format!("Of its fair share the worst-off tenant got {shares}."),
        None => unjudged(report),
    };
    let wait = |run: &Run| others_wait(run.report).p50.map(span);
    let waits = compared(&runs, wait).map(|waits| {
        format!(" Half of the served jobs of all tenants but the largest waited at most {waits}.")
    });
    shares + &waits.unwrap_or_default()
}

fn others_wait(report: &SchedulerReport) -> WaitMs {
    percentiles(&report.course.of(Part::Others).waits)
}

/// A figure under every scheduler that has it.
fn compared(runs: &[Run], figure: impl Fn(&Run) -> Option<String>) -> Option<String> {
    let told = runs
        .iter()
        .filter_map(|run| Some(format!("{} under {}", strong(run, &figure(run)?), run.under())));
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join(" and "))
}

/// Tells whether anybody but the largest tenant did enough work to judge its share.
fn are_judged(run: &Run) -> bool {
    run.report.tenants.iter().skip(1).any(|row| row.share_ratio.is_some())
}

/// What can be said where nobody was judged.
fn unjudged(report: &Report) -> String {
    match report.schedulers.first().map(|(_, first)| &first.tenants[..]) {
        Some([only]) => format!(
            "There was one tenant, <bdi>{}</bdi>, so there was nothing to share.",
            escaped(&only.tenant)
        ),
        _ => "The tenants did too little work to judge their shares.".to_owned(),
    }
}

fn strong(run: &Run, text: &str) -> String {
    format!("<b class=\"{}\">{text}</b>", run.class)
}

/// The key figures, each for every scheduler.
pub(super) fn tiles(report: &Report) -> String {
    let runs = runs(report);
    let wait = |run: &SchedulerReport| others_wait(run).p99.map_or("–".to_owned(), span);
    let jobs = &report.jobs;
    let lost = format!(
        "<div class=\"tile\"><h2>Jobs lost</h2><p class=\"{}\">{}</p>\
         <p class=\"hint\">of {} accepted</p></div>\n",
        if jobs.lost == 0 { "value" } else { "value bad" },
        jobs.lost,
        count(jobs.accepted)
    );
    let tiles = [
        tile(&runs, "Jain index", "of shares; 1 is even", |run| ratio(run.jain)),
        tile(&runs, "Smallest share", "of what is fair", |run| ratio(run.min_share_ratio)),
        tile(&runs, "Wait, 99th percentile", "all tenants but the largest", wait),
        tile(&runs, "Throughput", "jobs begun per second", |run| {
            escaped(&rate(run.throughput_per_s))
        }),
    ];
    format!("<div class=\"tiles\">\n{}{lost}</div>\n", tiles.concat())
}

fn tile(
    runs: &[Run],
    title: &str,
    hint: &str,
    value: impl Fn(&SchedulerReport) -> String,
) -> String {
    let values = runs.iter().enumerate().map(|(number, run)| {
        let class = if number == 0 { "value" } else { "value other" };
        let (own, label) = (run.class, run.label);
        let value = value(run.report);
        format!("<p class=\"{class}\">{value} <small class=\"{own}\">{label}</small></p>")
    });
    let values: String = values.collect();
    format!("<div class=\"tile\"><h2>{title}</h2>{values}<p class=\"hint\">{hint}</p></div>\n")
}

/// What became of every job, in the run of the first scheduler.
pub(super) fn fate(report: &Report) -> String {
    let Some(first) = runs(report).into_iter().next() else { return String::new() };
    let jobs = &report.jobs;
    let refused: u64 = jobs.refused.values().sum();
    let malformed = match jobs.malformed {
        0 => String::new(),
        malformed => format!("{} were malformed, ", count(malformed)),
    };
    format!(
        "<p class=\"fate\">Of {} jobs offered under {}, {malformed}{} were refused{}, {} ran, {} \
         expired, {} were handed back at the end and {} were lost.{}</p>\n",
        count(jobs.read),
        first.under(),
        count(refused),
        reasons(&jobs.refused),
        count(jobs.dispatched),
        count(jobs.expired),
        count(jobs.returned),
        jobs.lost,
        limits(report, &first)
    )
}

/// How often limits held the first scheduler up, and that they held up no other.
fn limits(report: &Report, first: &Run) -> String {
    let parked: u64 = first.report.parked.values().sum();
    let mut text = String::new();
    if parked > 0 {
        text = format!(
            " Limits took tenants out of their turns {} times{}.",
            count(parked),
            reasons(&first.report.parked)
        );
    }
    if (parked > 0 || report.jobs.expired > 0) && report.scheduler("fifo").is_some() {
        text += " The FIFO has the same bounds and no quotas.";
    }
    text
}

/// Reasons in brackets; how often each where there are several.
fn reasons(counts: &BTreeMap<&str, u64>) -> String {
    let words = |reason: &str| reason.replace('_', " ");
    let told: Vec<String> = match counts.len() {
        0 => return String::new(),
        1 => counts.keys().map(|reason| words(reason)).collect(),
        _ => counts.iter().map(|(reason, times)| count(*times) + " " + &words(reason)).collect(),
    };
    format!(" ({})", told.join(", "))
}
