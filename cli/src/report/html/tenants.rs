//! The table: a row for each tenant, with every figure of the report for every scheduler.

use super::text::{clipped, count, escaped, fixed, ratio};
use super::{Run, runs};
use crate::report::table::others;
use crate::report::{OTHER, Part, Report, TenantRow};

/// Letters of a name that fit into its column.
const NAME_CELLS: usize = 26;
/// Letters of a tier's name that fit.
const TIER_CELLS: usize = 12;

/// What waits are told in, by the longest of them in milliseconds: so that none takes the room of
/// two.
const UNITS: [(f64, Unit); 3] = [
    (1e5, Unit { ms: 1.0, name: "ms", decimals: 1 }),
    (1e6, Unit { ms: 1e3, name: "s", decimals: 2 }),
    (f64::INFINITY, Unit { ms: 1e3, name: "s", decimals: 1 }),
];

/// A figure that every scheduler has for a tenant.
struct Column {
    title: &'static str,
    /// Whether it is a time, whose unit stands in the title.
    timed: bool,
    figure: fn(&TenantRow, Unit) -> String,
}

/// The unit of all waits in the table.
#[derive(Clone, Copy)]
struct Unit {
    ms: f64,
    name: &'static str,
    decimals: usize,
}

impl Unit {
    fn of(report: &Report) -> Unit {
        let rows = report.schedulers.iter().flat_map(|(_, scheduler)| &scheduler.tenants);
        let longest = rows.filter_map(|row| row.wait_ms.max).fold(0.0, f64::max);
        let fits = UNITS.iter().find(|(below, _)| longest < *below);
        fits.map_or(UNITS[2].1, |(_, unit)| *unit)
    }

    fn tell(self, wait_ms: Option<f64>) -> String {
        fixed(wait_ms.map(|wait| wait / self.ms), self.decimals)
    }
}

const fn counted(title: &'static str, figure: fn(&TenantRow, Unit) -> String) -> Column {
    Column { title, timed: false, figure }
}

const fn timed(title: &'static str, figure: fn(&TenantRow, Unit) -> String) -> Column {
    Column { title, timed: true, figure }
}

/// The first has bars.
const COLUMNS: [Column; 8] = [
    counted("Share ratio", |row, _| ratio(row.share_ratio)),
    counted("Entitled cost", |row, _| count(row.entitled_cost.round() as u64)),
    counted("Served cost", |row, _| count(row.served_cost)),
    counted("Refused jobs", |row, _| count(row.refused)),
    timed("Wait p50", |row, unit| unit.tell(row.wait_ms.p50)),
    timed("Wait p99", |row, unit| unit.tell(row.wait_ms.p99)),
    timed("Wait p99.9", |row, unit| unit.tell(row.wait_ms.p999)),
    timed("Wait max", |row, unit| unit.tell(row.wait_ms.max)),
];

/// Writes the table, in the report's order.
pub(super) fn section(report: &Report) -> String {
    let (runs, unit) = (runs(report), Unit::of(report));
    let rows = report.schedulers.first().map_or(&[][..], |(_, first)| &first.tenants);
    let lines = rows.iter().enumerate().map(|(place, row)| line(place, row, &runs, unit));
    format!(
        "<section><h2>All figures</h2>\n\
         <p class=\"lead\">Tenants by the cost they offered, the largest first. Waits are those of the jobs \
         that were served.{smaller}</p>\n\
         <div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Table of all tenants\">\
         <table>\n{}<tbody>\n{}</tbody></table></div></section>\n",
        head(&runs, unit),
        lines.collect::<String>(),
        smaller = smaller(report)
    )
}

/// Says whose the last row is, where tenants share one.
fn smaller(report: &Report) -> String {
    let Some((_, first)) = report.schedulers.first() else { return String::new() };
    let all: usize = Part::ALL.iter().map(|part| first.course.of(*part).tenants).sum();
    match others(first) {
        Some(_) => format!(
            " {OTHER} is what the {} smaller tenants come to together.",
            count((all + 1 - first.tenants.len()) as u64)
        ),
        None => String::new(),
    }
}

fn head(runs: &[Run], unit: Unit) -> String {
    let text = ["Tenant", "Tier"].map(|title| (title, "text"));
    let numbers = ["Weight", "Jobs", "Offered cost"].map(|title| (title, "number"));
    let fixed = text.iter().chain(&numbers).map(|(title, class)| {
        format!("<th scope=\"col\" rowspan=\"2\" class=\"{class}\">{title}</th>")
    });
    let groups = COLUMNS.iter().map(|Column { title, timed, .. }| {
        let unit = if *timed { format!(", {}", unit.name) } else { String::new() };
        let span = runs.len();
        format!("<th scope=\"colgroup\" colspan=\"{span}\" class=\"group\">{title}{unit}</th>")
    });
    let own = runs.iter().enumerate().map(|(number, run)| {
        format!("<th scope=\"col\" class=\"{}{}\">{}</th>", first(number), run.class, run.label)
    });
    format!(
        "<thead><tr>{}{}</tr>\n<tr>{}</tr></thead>\n",
        fixed.collect::<String>(),
        groups.collect::<String>(),
        own.collect::<String>().repeat(COLUMNS.len())
    )
}

/// The class that draws a line before the first column of a group.
fn first(number: usize) -> &'static str {
    if number == 0 { "first " } else { "" }
}

fn line(place: usize, row: &TenantRow, runs: &[Run], unit: Unit) -> String {
    let fixed = format!(
        "<th scope=\"row\" class=\"text\"><bdi title=\"{}\">{}</bdi></th>\
         <td class=\"text\">{}</td><td>{}</td><td>{}</td><td>{}</td>",
        escaped(&row.tenant),
        clipped(&row.tenant, NAME_CELLS),
        clipped(&row.tier, TIER_CELLS),
        (row.weight * 1_000.0).round() / 1_000.0,
        count(row.jobs),
        count(row.offered_cost)
    );
    let own: Vec<Option<&TenantRow>> = runs.iter().map(|run| run.row(place, &row.tenant)).collect();
    let cells = COLUMNS.iter().enumerate().flat_map(|(number, column)| {
        let cell = move |(place, (row, run)): (usize, (&Option<&TenantRow>, &Run))| {
            let figure = row.map_or_else(|| "–".to_owned(), |row| (column.figure)(row, unit));
            let bar = row.filter(|_| number == 0).map(bar).unwrap_or_default();
            format!("<td class=\"{}{}\"{bar}>{}</td>", first(place), run.class, escaped(&figure))
        };
        own.iter().zip(runs).enumerate().map(cell)
    });
    format!("<tr>{fixed}{}</tr>\n", cells.collect::<String>())
}

/// The length of the bar below a share.
fn bar(row: &TenantRow) -> String {
    format!(" style=\"--share:{:.1}%\"", row.share_ratio.unwrap_or(0.0) * 100.0)
}
