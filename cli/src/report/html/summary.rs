//! The head of the page: what the run shows in a sentence, and its key figures.

use super::text::{count, escaped, percent, rate, ratio, span};
use super::{Run, runs};
use crate::report::table::{light, light_p99};
use crate::report::{JobCounts, Report, SchedulerReport};

/// The part of its fair share from which a tenant counts as having got it.
const KEPT: f64 = 0.95;

/// Says what the run shows, whichever way it points.
pub(super) fn finding(report: &Report) -> String {
    let runs = runs(report);
    let judged = |run: &Run| {
        let shares: Vec<f64> = light(run.report).filter_map(|row| row.share_ratio).collect();
        (shares.iter().filter(|share| **share >= KEPT).count(), shares.len())
    };
    let shares = runs.iter().enumerate().filter_map(|(number, run)| {
        let (kept, judged) = judged(run);
        let kept = strong(run, &format!("{kept} of {judged}"));
        let told = match number {
            0 => format!(
                "Under {}, {kept} smaller tenants got at least {} of their fair share",
                run.under(),
                percent(KEPT)
            ),
            _ => format!("under {}, {kept} did", run.under()),
        };
        (judged > 0).then_some(told)
    });
    let shares: Vec<String> = shares.collect();
    let waits = runs.iter().filter_map(|run| {
        let wait = strong(run, &span(light_p99(run.report)?));
        Some(format!("{wait} under {}", run.under()))
    });
    let waits: Vec<String> = waits.collect();
    let mut sentences = Vec::new();
    match shares.len() {
        0 => sentences.push(alone(report)),
        _ => sentences.push(shares.join("; ") + "."),
    }
    if !waits.is_empty() {
        sentences.push(format!("The longest p99 wait of any of them was {}.", waits.join(" and ")));
    }
    sentences.join(" ")
}

/// What can be said where no smaller tenant was judged.
fn alone(report: &Report) -> String {
    let rows = report.schedulers.first().map_or(&[][..], |(_, first)| &first.tenants);
    match rows {
        [only] => format!(
            "There was one tenant, <bdi>{}</bdi>, so there was nothing to share.",
            escaped(&only.tenant)
        ),
        _ => "The smaller tenants did too little work to judge their shares.".to_owned(),
    }
}

fn strong(run: &Run, text: &str) -> String {
    format!("<b class=\"{}\">{text}</b>", run.class)
}

/// The key figures, each for every scheduler.
pub(super) fn tiles(report: &Report) -> String {
    let runs = runs(report);
    let wait = |run: &SchedulerReport| light_p99(run).map_or("–".to_owned(), span);
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
        tile(&runs, "Longest p99 wait", "of a smaller tenant", wait),
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
         expired, {} were handed back at the end and {} were lost.</p>\n",
        count(jobs.read),
        first.under(),
        count(refused),
        reasons(jobs),
        count(jobs.dispatched),
        count(jobs.expired),
        count(jobs.returned),
        jobs.lost
    )
}

/// Why jobs were refused, in brackets; how many for each reason where there are several.
fn reasons(jobs: &JobCounts) -> String {
    let words = |reason: &str| reason.replace('_', " ");
    let told: Vec<String> = match jobs.refused.len() {
        0 => return String::new(),
        1 => jobs.refused.keys().map(|reason| words(reason)).collect(),
        _ => {
            jobs.refused.iter().map(|(reason, jobs)| count(*jobs) + " " + &words(reason)).collect()
        }
    };
    format!(" ({})", told.join(", "))
}
