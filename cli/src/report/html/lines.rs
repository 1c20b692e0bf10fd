//! The charts of waits and of queues: one panel for the largest tenant, one for all others.

use fairlane::Nanos;

use super::axis::{Counts, Parts, Time, WaitAxis};
use super::plot::{Line, Plot};
use super::text::{clipped, count, escaped, percent};
use super::waits::{AT_ONCE, Waits};
use super::{Run, key, runs};
use crate::report::{Part, Report, SchedulerReport};

/// Letters of a name that fit above a panel.
const NAME_CELLS: usize = 32;

/// The part of the jobs that wait longer than the 99th percentile: every axis reaches to it.
const P99: f64 = 0.01;

fn heading(part: Part, first: &SchedulerReport) -> String {
    let others = first.course.of(Part::Others).tenants;
    match part {
        Part::Others => format!("All other tenants ({})", count(others as u64)),
        Part::Largest => {
            let name = first.tenants.first().map_or("", |row| &row.tenant);
            format!(
                "<bdi title=\"{}\">{}</bdi>, the {} tenant",
                escaped(name),
                clipped(name, NAME_CELLS),
                if others > 0 { "largest" } else { "only" }
            )
        }
    }
}

/// Draws which part of the jobs waited longer than how long.
pub(super) fn waits(report: &Report) -> String {
    let runs = runs(report);
    let all: Vec<Waits> =
        runs.iter().flat_map(|run| Part::ALL.map(|part| waits_of(run, part))).collect();
    let waits = || all.iter();
    let from = waits().filter_map(quickest).min().unwrap_or_default();
    let to = waits().filter_map(|waits| waits.begun.last()).map(|(limit, _)| *limit).max();
    let x = WaitAxis::over(from, to.unwrap_or_default());
    let parts = || waits().flat_map(|waits| waits.begun.iter().map(|(_, jobs)| left(waits, *jobs)));
    let y = Parts::down_to(parts().filter(|left| *left > 0.0).fold(P99, f64::min));
    let panels = panels(report, |part| wait_panel(&runs, part, &x, &y));
    section(
        "Waits",
        "How long the jobs waited that were served, from their intended arrival. At 1 % is the wait \
         that one job in a hundred exceeds, the 99th percentile. Further left is better.",
        &runs,
        &panels,
    )
}

fn waits_of(run: &Run, part: Part) -> Waits {
    Waits::of(run.course().of(part))
}

/// The wait of the quickest tenth of the jobs that waited at all: an axis that reached to the single
/// quickest job would be mostly empty, and of the top tenth little is to be seen anyway.
fn quickest(waits: &Waits) -> Option<Nanos> {
    let many = |begun: &u64| {
        (begun - waits.at_once()).saturating_mul(10) >= waits.served() - waits.at_once()
    };
    waits
        .begun
        .iter()
        .find(|(limit, begun)| *limit > AT_ONCE && many(begun))
        .map(|(limit, _)| *limit)
}

/// The part of the served jobs that waited longer, when so many had begun.
fn left(waits: &Waits, begun: u64) -> f64 {
    let served = waits.served();
    served.saturating_sub(begun) as f64 / served.max(1) as f64
}

fn wait_panel(runs: &[Run], part: Part, x: &WaitAxis, y: &Parts) -> String {
    let line = |run: &Run| {
        let waits = waits_of(run, part);
        let point = |limit: &Nanos, begun| (x.place(limit.0), y.place(left(&waits, begun)));
        let start = waits.begun.first().map(|(limit, _)| [point(&Nanos::ZERO, 0), point(limit, 0)]);
        let steps = waits.begun.iter().map(|(limit, jobs)| point(limit, *jobs));
        let points = start.into_iter().flatten().chain(steps);
        Line { class: run.class, points: points.collect(), filled: false }
    };
    let never = |run: &Run| {
        let waits = waits_of(run, part);
        let never = waits.offered.saturating_sub(waits.served());
        let part = percent(never as f64 / waits.offered.max(1) as f64);
        format!("{} of {} jobs ({part})", count(never), count(waits.offered))
    };
    let note = told(runs, never);
    let plot = Plot {
        summary: format!("Served jobs by how long they waited. Not served: {note}"),
        x: x.marks(),
        y: y.marks(),
        lines: runs.iter().map(line).collect(),
    };
    panel("served jobs that waited longer", &plot, "wait, logarithmic", "Not served", &note)
}

/// Draws how many jobs were queued over time.
pub(super) fn depth(report: &Report) -> String {
    let runs = runs(report);
    let end = |run: &Run| {
        let last = run.course().depth(Part::Others).last();
        last.map_or(Nanos::ZERO, |(end, _)| end)
    };
    let x = Time::until(runs.iter().map(end).max().unwrap_or_default());
    let panels = panels(report, |part| depth_panel(&runs, part, &x));
    section(
        "Queue depth",
        "Jobs accepted and not begun, from their intended arrival on, over the time of the run. Each \
         panel has a scale of its own.",
        &runs,
        &panels,
    )
}

fn depth_panel(runs: &[Run], part: Part, x: &Time) -> String {
    let depth = |run: &Run| run.course().depth(part).collect::<Vec<_>>();
    let most = |run: &Run| depth(run).into_iter().map(|(_, jobs)| jobs).max().unwrap_or(0);
    let y = Counts::up_to(runs.iter().map(most).max().unwrap_or(0));
    let line = |run: &Run| {
        let samples = std::iter::once((Nanos::ZERO, 0)).chain(run.course().depth(part));
        let point = |(at, jobs): (Nanos, u64)| (x.place(at.0), 1.0 - y.place(jobs));
        Line { class: run.class, points: samples.map(point).collect(), filled: true }
    };
    let note = told(runs, |run| format!("{} jobs", count(most(run))));
    let mut marks = y.marks();
    marks.iter_mut().for_each(|mark| mark.at = 1.0 - mark.at);
    let plot = Plot {
        summary: format!("Jobs queued over time. Most at once: {note}"),
        x: x.marks(),
        y: marks,
        lines: runs.iter().map(line).collect(),
    };
    panel("jobs queued", &plot, "time in the run", "Most at once", &note)
}

/// The panels of the parts that have tenants, each under its heading.
fn panels(report: &Report, draw: impl Fn(Part) -> String) -> String {
    let Some((_, first)) = report.schedulers.first() else { return String::new() };
    let parts = Part::ALL.into_iter().filter(|part| first.course.of(*part).tenants > 0);
    let panel = |part: Part| {
        format!("<div class=\"panel\"><h3>{}</h3>\n{}</div>\n", heading(part, first), draw(part))
    };
    parts.map(panel).collect()
}

fn panel(y_title: &str, plot: &Plot, x_title: &str, what: &str, note: &str) -> String {
    format!(
        "<p class=\"axis\">{y_title}</p>\n{}<p class=\"axis below\">{x_title}</p>\n\
         <p class=\"note\">{what}: {note}.</p>\n",
        plot.svg(),
        note = escaped(note)
    )
}

/// What there is to say of each run, under its name.
fn told(runs: &[Run], say: impl Fn(&Run) -> String) -> String {
    let told: Vec<String> = runs.iter().map(|run| format!("{} {}", run.label, say(run))).collect();
    told.join(", ")
}

fn section(title: &str, lead: &str, runs: &[Run], panels: &str) -> String {
    format!(
        "<section><h2>{title}</h2>\n<p class=\"lead\">{lead}</p>\n{}<div class=\"panels\">\n{panels}</div></section>\n",
        key(runs, "lines")
    )
}
