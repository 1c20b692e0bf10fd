//! The chart of shares: a line for each tenant, a mark for each scheduler.

use std::cmp::Ordering;
use std::fmt::Write;

use super::plot::in_percent;
use super::text::{cells, clipped, escaped, ratio};
use super::{Run, key, runs};
use crate::report::{OTHER, Report, TenantRow};

/// Height of a tenant's line, pixels.
const ROW_PX: usize = 18;
/// Letters of a name that fit beside a line.
const NAME_CELLS: usize = 15;
/// Tenants per column from which a further column is begun, by the number of columns.
const COLUMN_ROWS: [usize; 2] = [8, 14];
const COLUMNS_MAX: usize = 3;

/// One tenant and what it got, in the order of the report's schedulers.
struct Shared<'a> {
    row: &'a TenantRow,
    largest: bool,
    shares: Vec<Option<f64>>,
}

/// Draws the share ratio of every judged tenant, those first that got least.
pub(super) fn figure(report: &Report) -> String {
    let runs = runs(report);
    let all = shared(report, &runs);
    let in_all = all.len();
    let own = all.iter().filter(|tenant| tenant.row.tenant != OTHER).count();
    let mut judged: Vec<Shared> =
        all.into_iter().filter(|tenant| tenant.shares.iter().any(Option::is_some)).collect();
    judged.sort_by(order);
    let columns: String = match judged.len() {
        0 => "<p class=\"none\">No tenant had enough work to be judged.</p>\n".to_owned(),
        count => judged.chunks(rows_per_column(count)).map(|part| column(part, &runs)).collect(),
    };
    let judged_own = judged.iter().filter(|tenant| tenant.row.tenant != OTHER).count();
    let unjudged = match own - judged_own {
        0 => String::new(),
        left_out => format!(
            " {left_out} of the {}{own} had too little work to be judged and are left out.",
            if in_all > own { "largest " } else { "" }
        ),
    };
    format!(
        "<section><h2>Share of each tenant</h2>\n\
         <p class=\"lead\">What a tenant was served of its fair share: 1 is all that its weight and its \
         demand entitled it to, 0 is none of it.{unjudged}</p>\n{}\
         <div class=\"columns\">\n{columns}</div></section>\n",
        key(&runs, "dots")
    )
}

/// Every row of the report with its share under each scheduler.
fn shared<'a>(report: &'a Report, runs: &[Run<'a>]) -> Vec<Shared<'a>> {
    let rows = report.schedulers.first().map_or(&[][..], |(_, first)| &first.tenants);
    let shared = rows.iter().enumerate().map(|(place, row)| {
        let share = |run: &Run| run.row(place, &row.tenant).and_then(|row| row.share_ratio);
        Shared { row, largest: place == 0, shares: runs.iter().map(share).collect() }
    });
    shared.collect()
}

/// By the share under the last scheduler, the plain one where two are compared; then under those
/// before it. Who was not judged comes last.
fn order(a: &Shared, b: &Shared) -> Ordering {
    let share = |share: &Option<f64>| share.unwrap_or(f64::INFINITY);
    let pairs = a.shares.iter().zip(&b.shares).rev();
    let order = pairs.map(|(a, b)| share(a).total_cmp(&share(b)));
    order.fold(Ordering::Equal, Ordering::then)
}

fn rows_per_column(rows: usize) -> usize {
    let full = |columns: &usize| rows <= columns * COLUMN_ROWS[columns - 1];
    let columns = (1..COLUMNS_MAX).find(full).unwrap_or(COLUMNS_MAX);
    rows.div_ceil(columns)
}

fn column(tenants: &[Shared], runs: &[Run]) -> String {
    let cells = tenants.iter().map(|tenant| cells(&tenant.row.tenant)).max().unwrap_or_default();
    let mut out = format!(
        "<div class=\"shares\" style=\"--cells:{}\"><svg role=\"img\" aria-label=\"Share ratios of {} tenants; the table \
         below has the numbers\" height=\"{}\">\n",
        cells.min(NAME_CELLS),
        tenants.len(),
        tenants.len() * ROW_PX
    );
    for (at, label) in [("0%", "0"), ("25%", ""), ("50%", "0.5"), ("75%", ""), ("100%", "1")] {
        let class = if label == "1" { "grid whole" } else { "grid" };
        let _ = writeln!(out, "<line class=\"{class}\" x1=\"{at}\" x2=\"{at}\" y2=\"100%\"/>");
        let _ = writeln!(out, "<text class=\"x\" x=\"{at}\" dy=\"-8\">{label}</text>");
    }
    for (number, tenant) in tenants.iter().enumerate() {
        out += &line(tenant, runs, number * ROW_PX + ROW_PX / 2);
    }
    out + "</svg></div>\n"
}

/// A tenant's name, its marks, and a line between them, or from zero where there is one mark only.
fn line(tenant: &Shared, runs: &[Run], y: usize) -> String {
    let TenantRow { tenant: name, tier, weight, .. } = tenant.row;
    let values = runs.iter().zip(&tenant.shares);
    let told: Vec<String> =
        values.clone().map(|(run, share)| format!("{} {}", run.label, ratio(*share))).collect();
    let known = || tenant.shares.iter().flatten().copied();
    let from = if runs.len() > 1 { known().fold(1.0, f64::min) } else { 0.0 };
    let (from, to) = (in_percent(from), in_percent(known().fold(0.0, f64::max)));
    let class = if tenant.largest { "name largest" } else { "name" };
    let mut out = format!(
        "<g><title>{} ({}, weight {weight}): {}</title>\
         <text class=\"{class}\" y=\"{y}\" dx=\"-10\" dy=\"4\">{}</text>\
         <line class=\"gap\" x1=\"{from}\" x2=\"{to}\" y1=\"{y}\" y2=\"{y}\"/>",
        escaped(name),
        escaped(tier),
        told.join(", "),
        clipped(name, NAME_CELLS)
    );
    // The ring of a plain scheduler is drawn around the dot of a fair one, so that both are seen.
    for (run, share) in values {
        let Some(share) = share else { continue };
        let (class, radius) = (run.class, if run.class == "fifo" { 5 } else { 4 });
        let at = in_percent(*share);
        let _ = write!(out, "<circle class=\"{class}\" cx=\"{at}\" cy=\"{y}\" r=\"{radius}\"/>");
    }
    out + "</g>\n"
}
