//! W14: what limits on every tenant cost that never bind, beside the same engine without any.

use super::{Context, throughput};
use crate::arrivals;
use crate::harness::{Run, race};
use crate::report::{Figure, Row, Spread};
use crate::systems::{LIMITED, Setup};

/// Jobs a second by the number of tenants, and the part of the unlimited engine's that is kept.
pub(super) fn run(context: &Context) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for tenants in context.sizes(&[1, 100, 1_000]) {
        rows.extend(size(context, tenants)?);
    }
    Ok(rows)
}

fn size(context: &Context, tenants: usize) -> Result<Vec<Row>, String> {
    let (names, systems): (Vec<_>, Vec<_>) =
        context.build(&LIMITED, &Setup::tiers(tenants), |_| true).into_iter().unzip();
    let order = arrivals::uniform(context.jobs, tenants);
    let runs = race(&systems, &order, context.rounds)?;
    let unlimited = names.iter().position(|name| *name == LIMITED[0].0).map(|at| &runs[at]);
    let row = |(system, own): (&&'static str, &Vec<Run>)| {
        let mops = own.iter().map(|run| order.len() as f64 / run.seconds / 1e6);
        let on_core = own.iter().map(|run| run.on_core);
        let kept = unlimited.and_then(|all| {
            Spread::of(all.iter().zip(own).map(|(all, own)| all.seconds / own.seconds))
        });
        let figures: Vec<(&'static str, Figure)> = vec![
            ("mops", Spread::of(mops).into()),
            ("kept", kept.into()),
            ("on_core", Spread::of(on_core).into()),
        ];
        Row { workload: "W14", case: throughput::tenants_text(tenants), system, figures }
    };
    Ok(names.iter().zip(&runs).map(row).collect())
}
