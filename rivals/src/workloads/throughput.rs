//! W1 to W5, W7, W8: one producer, one consumer, as fast as they can.

use super::Context;
use crate::arrivals;
use crate::harness::{Run, race};
use crate::report::{Row, Spread};
use crate::systems::{BATCHES, CAPACITY, FAIRLANE, RACERS, Setup, Weights};

/// Tenants of W8: more than jobs fit, so that no queue ever holds two.
const CHURNING: usize = 2 * CAPACITY;
/// Tenants of W7.
const WEIGHTED: usize = 1_000;

/// W1 to W4: every tenant is as likely as any other.
pub(super) fn uniform(
    context: &Context,
    workload: &'static str,
    sizes: &[usize],
) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for tenants in context.sizes(sizes) {
        let order = arrivals::uniform(context.jobs, tenants);
        rows.extend(measure(
            context,
            workload,
            &Setup::tiers(tenants),
            &order,
            &tenants_text(tenants),
        )?);
    }
    Ok(rows)
}

/// "1 tenant", "8 tenants".
pub(super) fn tenants_text(tenants: usize) -> String {
    format!("{tenants} tenant{}", if tenants == 1 { "" } else { "s" })
}

/// W5: few tenants have most of the jobs.
pub(super) fn skewed(context: &Context) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for (tenants, hot) in [(100_000, 100), (10_000, 10_000)] {
        let order = arrivals::zipf(context.jobs, tenants, hot, 1.1);
        let case = format!("{hot} of {tenants} busy");
        rows.extend(measure(context, "W5", &Setup::tiers(tenants), &order, &case)?);
    }
    Ok(rows)
}

/// W7: tenant `k` has weight `k + 1`.
pub(super) fn weighted(context: &Context) -> Result<Vec<Row>, String> {
    let weights = Weights::Each((1..=WEIGHTED as u32).collect());
    let setup = Setup { tenants: WEIGHTED, capacity: CAPACITY, weights };
    let order = arrivals::uniform(context.jobs, WEIGHTED);
    measure(context, "W7", &setup, &order, "weights 1..1000")
}

/// W8: each job finds its tenant idle, and leaves it idle.
pub(super) fn churn(context: &Context) -> Result<Vec<Row>, String> {
    let order = arrivals::cycle(context.jobs, CHURNING);
    measure(context, "W8", &Setup::tiers(CHURNING), &order, &tenants_text(CHURNING))
}

fn measure(
    context: &Context,
    workload: &'static str,
    setup: &Setup,
    order: &[u32],
    case: &str,
) -> Result<Vec<Row>, String> {
    let (names, systems): (Vec<_>, Vec<_>) =
        context.build(&RACERS, setup, |_| true).into_iter().unzip();
    let runs = race(&systems, order, context.rounds)?;
    let mops =
        |runs: &Vec<Run>| Spread::of(runs.iter().map(|run| order.len() as f64 / run.seconds / 1e6));
    let mops: Vec<Option<Spread>> = runs.iter().map(mops).collect();
    let mut rows = rows(workload, case, &names, &mops);
    for (row, runs) in rows.iter_mut().zip(runs) {
        row.figures.push(("on_core", Spread::of(runs.iter().map(|run| run.on_core)).into()));
    }
    Ok(rows)
}

/// Rows with their ratios to fairlane's, which is the first if it runs at all.
pub(super) fn rows(
    workload: &'static str,
    case: &str,
    names: &[&'static str],
    mops: &[Option<Spread>],
) -> Vec<Row> {
    let own = names.iter().position(|&name| name == FAIRLANE).and_then(|at| mops[at]);
    let row = |(&system, &mops): (&&'static str, &Option<Spread>)| {
        // Batches are another way to submit, not a rival: they have no ratio.
        let both = own.zip(mops).filter(|_| system != BATCHES);
        let ratio = both.map(|(own, other)| own.median / other.median);
        let figures = vec![("mops", mops.into()), ("ratio", ratio.into())];
        Row { workload, case: case.to_owned(), system, figures }
    };
    names.iter().zip(mops).map(row).collect()
}
