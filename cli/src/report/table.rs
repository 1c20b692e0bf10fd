//! The report as a table for people, with a reading of it in words.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use super::{OTHER, Report, SchedulerReport, TenantRow, percentiles};

/// A tenant is light when it offers at most this part of what the largest does.
const LIGHT_PART: f64 = 0.1;
/// Longest name that is shown whole, in characters.
const NAME_CHARS: usize = 32;

/// A light tenant's wait below which it is not worth a remark, milliseconds.
const WAIT_FLOOR_MS: f64 = 0.001;

/// Renders the report: one block per tier, the totals, and what they say when a plain FIFO ran too.
pub(crate) fn render(report: &Report) -> String {
    let mut out = String::new();
    let reading = write_tenants(&mut out, report)
        .and_then(|()| write_totals(&mut out, report))
        .and_then(|()| write_reading(&mut out, report))
        .and_then(|()| write_fate(&mut out, report));
    reading.expect("writing to a string cannot fail");
    out
}

/// The tenant that offered most, which the table calls the hot one.
fn hot(scheduler: &SchedulerReport) -> Option<&TenantRow> {
    scheduler.tenants.first()
}

/// The light tenants that have a row of their own.
fn light(scheduler: &SchedulerReport) -> impl Iterator<Item = &TenantRow> {
    let hot = hot(scheduler).map_or(0.0, |row| row.offered_cost as f64);
    let light = move |row: &&TenantRow| row.offered_cost as f64 <= LIGHT_PART * hot;
    scheduler.tenants.iter().skip(1).filter(|row| row.tenant != OTHER).filter(light)
}

/// The row that all smaller tenants share, where there are any.
pub(super) fn others(scheduler: &SchedulerReport) -> Option<&TenantRow> {
    scheduler.tenants.last().filter(|row| row.tenant == OTHER)
}

/// The light tenant with the smallest share of what it was entitled to; between equals, and where
/// nobody is judged, the one that waits longest.
fn worst<'a>(rows: impl Iterator<Item = &'a TenantRow>) -> Option<&'a TenantRow> {
    let share = |row: &TenantRow| row.share_ratio.unwrap_or(f64::INFINITY);
    let wait = |row: &TenantRow| row.wait_ms.p99.unwrap_or(0.0);
    rows.min_by(|a, b| share(a).total_cmp(&share(b)).then(wait(b).total_cmp(&wait(a))))
}

/// The longest 99th percentile of wait of any light tenant, milliseconds.
fn light_p99(scheduler: &SchedulerReport) -> Option<f64> {
    light(scheduler).filter_map(|row| row.wait_ms.p99).reduce(f64::max)
}

/// One line of the table of tenants.
struct Shown<'a> {
    role: &'static str,
    scheduler: &'static str,
    row: &'a TenantRow,
}

fn write_tenants(out: &mut String, report: &Report) -> fmt::Result {
    let shown = shown(report);
    let names = shown.iter().map(|line| name(line.row).chars().count());
    let width = names.max().unwrap_or(0).max(10);
    writeln!(
        out,
        "{:<10} {:<12} {:<9} {:<width$} {:>6} {:>10} {:>10} {:>10} {:>9}",
        "tier", "", "scheduler", "tenant", "share", "p50 ms", "p99 ms", "p99.9 ms", "refused"
    )?;
    shown.iter().try_for_each(|line| write_row(out, line, width))?;
    writeln!(out)
}

/// Of each tier the hot tenant, if it is its, and the worst light one; then all smaller ones.
fn shown(report: &Report) -> Vec<Shown<'_>> {
    let mut shown = Vec::new();
    let mut show = |role, pick: &dyn Fn(&SchedulerReport) -> Option<&TenantRow>| {
        let rows =
            report.schedulers.iter().filter_map(|(name, report)| Some((name, pick(report)?)));
        shown.extend(rows.map(|(scheduler, row)| Shown { role, scheduler, row }));
    };
    for tier in tiers(report) {
        show("hot", &|scheduler| hot(scheduler).filter(|row| row.tier == tier));
        show("worst light", &|scheduler| worst(light(scheduler).filter(|row| row.tier == tier)));
    }
    show("all smaller", &others);
    shown
}

/// A tenant's name on one line and not too long, whatever a log calls it.
fn name(row: &TenantRow) -> String {
    let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    let mut name: String = row.tenant.chars().map(printable).take(NAME_CHARS).collect();
    if row.tenant.chars().count() > NAME_CHARS {
        name.push_str("...");
    }
    name
}

/// The tiers that occur, the lightest first.
fn tiers(report: &Report) -> Vec<&str> {
    let rows = report.schedulers.iter().take(1).flat_map(|(_, scheduler)| &scheduler.tenants);
    let mut tiers: Vec<(f64, &str)> =
        rows.filter(|row| row.tenant != OTHER).map(|row| (row.weight, row.tier.as_str())).collect();
    tiers.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
    let mut seen = BTreeSet::new();
    tiers.into_iter().map(|(_, tier)| tier).filter(|tier| seen.insert(*tier)).collect()
}

fn write_row(out: &mut String, line: &Shown<'_>, width: usize) -> fmt::Result {
    let Shown { role, scheduler, row } = line;
    writeln!(
        out,
        "{:<10} {:<12} {:<9} {:<width$} {:>6} {:>10} {:>10} {:>10} {:>9}",
        row.tier,
        role,
        scheduler,
        name(row),
        number(row.share_ratio, 3),
        number(row.wait_ms.p50, 1),
        number(row.wait_ms.p99, 1),
        number(row.wait_ms.p999, 1),
        row.refused,
    )
}

fn write_totals(out: &mut String, report: &Report) -> fmt::Result {
    write!(out, "{:<28}", "")?;
    report.schedulers.iter().try_for_each(|(name, _)| write!(out, " {name:>10}"))?;
    writeln!(out)?;
    write_total(out, report, "Jain index of shares", |s| number(s.jain, 3))?;
    write_total(out, report, "smallest share", |s| number(s.min_share_ratio, 3))?;
    write_total(out, report, "jobs served per second", |s| number(Some(s.throughput_per_s), 0))?;
    write_total(out, report, "median wait of all jobs, ms", |s| {
        number(percentiles(&s.course.waits()).p50, 1)
    })?;
    write_total(out, report, "most jobs waiting", |s| s.course.peak().to_string())?;
    writeln!(out)
}

fn write_total(
    out: &mut String,
    report: &Report,
    label: &str,
    value: impl Fn(&SchedulerReport) -> String,
) -> fmt::Result {
    write!(out, "{label:<28}")?;
    report.schedulers.iter().try_for_each(|(_, s)| write!(out, " {:>10}", value(s)))?;
    writeln!(out)
}

fn number(value: Option<f64>, decimals: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
}

/// Says in words what the figures of `fair` and `fifo` say, whichever way they point.
fn write_reading(out: &mut String, report: &Report) -> fmt::Result {
    let (Some(fair), Some(fifo)) = (report.scheduler("fair"), report.scheduler("fifo")) else {
        return Ok(());
    };
    write_shares(out, fair, fifo)?;
    write_delays(out, fair, fifo)?;
    write_waits(out, fair, fifo)?;
    write_hot(out, fair, fifo)?;
    write_price(out, fair, fifo)
}

fn write_shares(out: &mut String, fair: &SchedulerReport, fifo: &SchedulerReport) -> fmt::Result {
    let (Some(with), Some(without)) = (worst(light(fair)), worst(light(fifo))) else {
        return Ok(());
    };
    let (Some(with), Some(without)) = (with.share_ratio, without.share_ratio) else {
        return writeln!(out, "The light tenants did too little work to judge their shares.");
    };
    let verdict = if with > without { "better" } else { "not better" };
    writeln!(
        out,
        "The worst-off light tenant got {:.0} % of its fair share under fair and {:.0} % under fifo: \
         fair is {verdict} for it.",
        with * 100.0,
        without * 100.0
    )
}

/// What those are judged by who did too little work for a share.
fn write_delays(out: &mut String, fair: &SchedulerReport, fifo: &SchedulerReport) -> fmt::Result {
    let unjudged = fair.tenants.iter().filter(|row| row.share_ratio.is_none());
    let unjudged: BTreeSet<&str> = unjudged.map(|row| row.tenant.as_str()).collect();
    let p99 = |scheduler: &SchedulerReport| {
        let rows = scheduler.tenants.iter().filter(|row| unjudged.contains(row.tenant.as_str()));
        rows.filter_map(|row| row.fluid_delay_ms.p99).reduce(f64::max)
    };
    let (Some(with), Some(without)) = (p99(fair), p99(fifo)) else { return Ok(()) };
    writeln!(
        out,
        "Of each tenant with too little work for a share, 99 of 100 served jobs ended at most {with:.1} ms \
         later than a fluid server would end them under fair and {without:.1} ms under fifo."
    )
}

fn write_waits(out: &mut String, fair: &SchedulerReport, fifo: &SchedulerReport) -> fmt::Result {
    let of = |scheduler| others(scheduler).and_then(|row| row.wait_ms.p99);
    let p99s = [(of(fair), of(fifo)), (light_p99(fair), light_p99(fifo))];
    let whose = ["the tenants below the largest hundred, taken together,", "each light tenant"];
    for (whose, p99) in whose.into_iter().zip(p99s) {
        if let (Some(with), Some(without)) = p99 {
            write_wait(out, whose, with, without)?;
        }
    }
    Ok(())
}

fn write_wait(out: &mut String, whose: &str, with: f64, without: f64) -> fmt::Result {
    let factor = without.max(WAIT_FLOOR_MS) / with.max(WAIT_FLOOR_MS);
    let (factor, verdict) =
        if factor >= 1.0 { (factor, "shorter") } else { (1.0 / factor, "longer") };
    writeln!(
        out,
        "99 of 100 served jobs of {whose} waited at most {with:.1} ms under fair and {without:.1} ms \
         under fifo: {factor:.1} times {verdict}."
    )
}

fn write_hot(out: &mut String, fair: &SchedulerReport, fifo: &SchedulerReport) -> fmt::Result {
    let (Some(with), Some(without)) = (hot(fair), hot(fifo)) else {
        return Ok(());
    };
    let percent = |row: &TenantRow, scheduler: &SchedulerReport| {
        let served: u64 = scheduler.tenants.iter().map(|row| row.served_cost).sum();
        100.0 * row.served_cost as f64 / served.max(1) as f64
    };
    write!(
        out,
        "Tenant {}, the largest, took {:.0} % of the capacity under fair and {:.0} % under fifo; ",
        name(with),
        percent(with, fair),
        percent(without, fifo),
    )?;
    match with.share_ratio {
        Some(share) => writeln!(out, "fair gave it {:.0} % of its fair share.", share * 100.0),
        None => writeln!(out, "it did too little work to judge its share."),
    }
}

fn write_price(out: &mut String, fair: &SchedulerReport, fifo: &SchedulerReport) -> fmt::Result {
    if fifo.throughput_per_s == 0.0 {
        return writeln!(out, "The fifo served nothing, so throughput cannot be compared.");
    }
    let change = 100.0 * (fair.throughput_per_s / fifo.throughput_per_s - 1.0);
    writeln!(out, "Throughput under fair differs from fifo by {change:+.1} %.")
}

/// What became of the jobs offered to the first scheduler, and how often limits held it up.
fn write_fate(out: &mut String, report: &Report) -> fmt::Result {
    let Some((name, scheduler)) = report.schedulers.first() else { return Ok(()) };
    let jobs = &report.jobs;
    let refused: u64 = jobs.refused.values().sum();
    writeln!(
        out,
        "Of {} jobs offered to {name} {refused} were refused{}, {} ran, {} expired, {} were handed back \
         at the end and {} were lost.",
        jobs.read,
        in_brackets(&jobs.refused),
        jobs.dispatched,
        jobs.expired,
        jobs.returned,
        jobs.lost
    )?;
    let parked: u64 = scheduler.parked.values().sum();
    if parked > 0 {
        let reasons = in_brackets(&scheduler.parked);
        writeln!(out, "Limits took tenants out of their turns {parked} times{reasons}.")?;
    }
    if (parked > 0 || jobs.expired > 0) && report.scheduler("fifo").is_some() {
        writeln!(out, "The fifo has the same bounds and no quotas.")?;
    }
    Ok(())
}

/// ` (8 rate, 3 concurrency)`; nothing where there is nothing.
fn in_brackets(counts: &BTreeMap<&str, u64>) -> String {
    let told: Vec<String> = counts.iter().map(|(code, count)| format!("{count} {code}")).collect();
    if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::super::{Course, DelayMs, JobCounts, WaitMs};
    use super::*;

    fn row(tenant: &str, tier: &str, share: Option<f64>, p99: f64) -> TenantRow {
        TenantRow {
            tenant: tenant.to_owned(),
            tier: tier.to_owned(),
            weight: if tier == "scale" { 2.0 } else { 1.0 },
            jobs: 100,
            offered_cost: if tenant == "hot" { 1_000 } else { 100 },
            served_cost: 50,
            entitled_cost: 60.0,
            share_ratio: share,
            wait_ms: WaitMs { p99: Some(p99), ..WaitMs::default() },
            fluid_delay_ms: DelayMs { p99: Some(p99 / 10.0), ..DelayMs::default() },
            refused: 7,
        }
    }

    fn scheduler(share: f64, p99: f64) -> SchedulerReport {
        let tenants = vec![
            row("hot", "scale", Some(1.0), 900.0),
            row("light-1", "starter", Some(share), p99),
            row("light-2", "starter", Some(share * 0.9), p99 / 2.0),
            row(OTHER, OTHER, Some(0.0), 9_999.0),
        ];
        SchedulerReport {
            jain: Some(share),
            min_share_ratio: Some(share),
            throughput_per_s: 200.0,
            parked: BTreeMap::new(),
            tenants,
            course: Course::default(),
        }
    }

    fn report(fair: SchedulerReport, fifo: SchedulerReport) -> Report {
        Report { jobs: JobCounts::default(), schedulers: vec![("fair", fair), ("fifo", fifo)] }
    }

    #[test]
    fn the_worst_light_tenant_of_each_tier_is_shown_and_the_shared_row_by_itself() {
        let text = render(&report(scheduler(1.0, 2.0), scheduler(0.1, 900.0)));
        let starter: Vec<&str> = text.lines().filter(|line| line.starts_with("starter")).collect();
        assert_eq!(starter.len(), 2, "{text}");
        assert!(starter.iter().all(|line| line.contains("light-2")), "{text}");
        assert!(text.lines().filter(|line| line.contains(" hot ")).count() >= 2, "{text}");
        let shared: Vec<&str> = text.lines().filter(|line| line.contains(OTHER)).collect();
        assert!(shared.len() == 2 && shared.iter().all(|line| line.contains("all smaller")));
    }

    #[test]
    fn a_tenant_that_asks_for_much_is_not_light() {
        let mut fair = scheduler(1.0, 2.0);
        fair.tenants[2].offered_cost = 101;
        let names: Vec<&str> = light(&fair).map(|row| row.tenant.as_str()).collect();
        assert_eq!(names, ["light-1"]);
    }

    #[test]
    fn a_name_from_a_log_stays_on_its_line() {
        let mut fair = scheduler(1.0, 2.0);
        fair.tenants[0].tenant = format!("a\u{1b}[2J\n{}", "x".repeat(300));
        let text = render(&report(fair, scheduler(0.1, 900.0)));
        assert!(!text.contains('\u{1b}') && text.lines().all(|line| line.chars().count() < 200));
        assert!(text.contains("xxx..."), "{text}");
    }

    #[test]
    fn the_reading_follows_the_figures_both_ways() {
        let good = render(&report(scheduler(1.0, 2.0), scheduler(0.1, 900.0)));
        assert!(good.contains("90 % of its fair share under fair and 9 % under fifo"), "{good}");
        assert!(good.contains("fair is better") && good.contains("450.0 times shorter"), "{good}");
        let bad = render(&report(scheduler(0.1, 900.0), scheduler(1.0, 2.0)));
        assert!(bad.contains("not better") && bad.contains("450.0 times longer"), "{bad}");
    }

    #[test]
    fn what_is_not_known_is_a_dash_and_nothing_is_claimed_about_it() {
        let mut fair = scheduler(1.0, 2.0);
        fair.jain = None;
        fair.tenants.iter_mut().for_each(|row| row.share_ratio = None);
        let text = render(&report(fair, scheduler(0.1, 900.0)));
        assert!(text.contains("too little work to judge"), "{text}");
        assert!(text.contains("ended at most 999.9 ms later than a fluid server"), "{text}");
        assert!(
            text.lines().any(|line| line.starts_with("Jain") && line.contains(" - ")),
            "{text}"
        );
        let largest = text.lines().find(|line| line.starts_with("Tenant hot")).expect("named");
        assert!(largest.ends_with("to judge its share."), "{largest}");
    }

    #[test]
    fn a_single_scheduler_gets_a_table_without_a_comparison() {
        let only =
            Report { jobs: JobCounts::default(), schedulers: vec![("fair", scheduler(1.0, 2.0))] };
        assert!(!render(&only).contains("fifo"));
    }
}
