//! W9: waits at a given load, from the intended arrival to the handler.

use super::Context;
use super::timed::{Outcome, Parked, Plan, Spinning, Timed, run as run_once, wait_figure};
use crate::arrivals;
use crate::harness::turns;
use crate::report::Row;
use crate::systems::{Build, CrossbeamArrayQueue, CrossbeamChannel, Fairlane, MutexDrr, Setup};
use std::time::Duration;

/// Mean time between arrivals: 100,000 jobs a second.
const GAP_NS: u64 = 10_000;
/// Loads in per cent; a handler takes that part of [`GAP_NS`].
const LOADS: [u64; 3] = [10, 50, 80];
const TENANTS: usize = 100;

const SYSTEMS: [Build<Box<dyn Timed>>; 5] = [
    ("fairlane, spinning", |setup| Box::new(Spinning(Fairlane::new(setup)))),
    ("fairlane, parked", |setup| Box::new(Parked(Fairlane::new(setup)))),
    ("crossbeam ArrayQueue, spinning", |setup| Box::new(Spinning(CrossbeamArrayQueue::new(setup)))),
    ("crossbeam channel, parked", |setup| Box::new(Parked(CrossbeamChannel::new(setup)))),
    ("mutex DRR, spinning", |setup| Box::new(Spinning(MutexDrr::new(setup)))),
];

/// p50, p99 and p99.9 of the waits at each load.
pub(super) fn run(context: &Context) -> Result<Vec<Row>, String> {
    let setup = Setup::tiers(TENANTS);
    let systems = context.build(&SYSTEMS, &setup, |_| true);
    let mut rows = Vec::new();
    for load in LOADS {
        let plan = Plan {
            // A second's arrivals for two million jobs.
            arrivals: arrivals::poisson((context.jobs / 20).max(100), GAP_NS as f64, 0, TENANTS),
            service: Duration::from_nanos(GAP_NS * load / 100),
            shed: false,
            watched: 0,
        };
        rows.extend(at_load(&systems, &plan, context.rounds, load)?);
    }
    Ok(rows)
}

fn at_load(
    systems: &[(&'static str, Box<dyn Timed>)],
    plan: &Plan,
    rounds: usize,
    load: u64,
) -> Result<Vec<Row>, String> {
    let mut outcomes: Vec<Vec<Outcome>> = systems.iter().map(|_| Vec::new()).collect();
    for (round, k) in turns(systems.len(), rounds) {
        let (name, system) = &systems[k];
        let outcome = run_once(name, &**system, plan)?;
        if round > 0 {
            outcomes[k].push(outcome);
        }
    }
    let row = |(&(system, _), outcomes): (&(&'static str, _), &Vec<Outcome>)| {
        let quantiles = [("wait_p50_us", 0.5), ("wait_p99_us", 0.99), ("wait_p999_us", 0.999)];
        let figures = quantiles.map(|(name, part)| (name, wait_figure(outcomes, part)));
        Row { workload: "W9", case: format!("{load} % load"), system, figures: figures.to_vec() }
    };
    Ok(systems.iter().zip(&outcomes).map(row).collect())
}
