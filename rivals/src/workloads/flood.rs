//! W6: light tenants, alone and beside one that offers ten times what the worker can do.

use super::Context;
use super::timed::{Outcome, Plan, Spinning, Timed, run as run_once, wait_figure};
use crate::arrivals::{self, Arrival};
use crate::harness::turns;
use crate::report::{Row, Spread};
use crate::systems::{Build, CrossbeamArrayQueue, Fairlane, Firq, MutexDrr, Setup};
use std::time::Duration;

/// Time in the handler: the worker can do 50,000 jobs a second.
const SERVICE: Duration = Duration::from_micros(20);
/// Light tenants, each of which offers a hundredth of the capacity. Tenant 0 is the heavy one.
const LIGHT: usize = 50;
/// What the heavy tenant offers, in capacities.
const FLOOD: f64 = 10.0;

const SYSTEMS: [Build<Box<dyn Timed>>; 4] = [
    ("fairlane", |setup| Box::new(Spinning(Fairlane::new(setup)))),
    ("crossbeam ArrayQueue", |setup| Box::new(Spinning(CrossbeamArrayQueue::new(setup)))),
    ("mutex DRR", |setup| Box::new(Spinning(MutexDrr::new(setup)))),
    ("firq-core", |setup| Box::new(Spinning(Firq::new(setup)))),
];

/// The light tenants' waits without the flood and with it.
pub(super) fn run(context: &Context) -> Result<Vec<Row>, String> {
    let systems = context.build(&SYSTEMS, &Setup::tiers(1 + LIGHT), |_| true);
    let light = light(context.jobs);
    let calm = plan(light.clone());
    let flooded = plan(with_flood(light));
    let mut outcomes: Vec<(Vec<Outcome>, Vec<Outcome>)> =
        systems.iter().map(|_| Default::default()).collect();
    for (round, k) in turns(systems.len(), context.rounds) {
        let (name, system) = &systems[k];
        let (alone, beside) =
            (run_once(name, &**system, &calm)?, run_once(name, &**system, &flooded)?);
        if round > 0 {
            outcomes[k].0.push(alone);
            outcomes[k].1.push(beside);
        }
    }
    let rows = systems.iter().zip(&outcomes);
    Ok(rows.map(|((name, _), (alone, beside))| row(name, alone, beside)).collect())
}

fn plan(arrivals: Vec<Arrival>) -> Plan {
    Plan { arrivals, service: SERVICE, shed: true, watched: 1 }
}

fn service_ns() -> f64 {
    SERVICE.as_nanos() as f64
}

/// The light tenants' jobs: half the capacity; a second of them for two million jobs.
fn light(jobs: usize) -> Vec<Arrival> {
    let gap_ns = service_ns() * 100.0 / LIGHT as f64;
    arrivals::poisson((jobs / 80).max(100), gap_ns, 1, LIGHT)
}

fn with_flood(light: Vec<Arrival>) -> Vec<Arrival> {
    let gap_ns = service_ns() / FLOOD;
    let end_ns = light.last().map_or(0, |last| last.at_ns);
    let mut all = arrivals::poisson((end_ns as f64 / gap_ns) as usize, gap_ns, 0, 1);
    all.extend(light);
    all.sort_by_key(|arrival| arrival.at_ns);
    all
}

fn row(system: &'static str, alone: &[Outcome], beside: &[Outcome]) -> Row {
    // Each round has its own calm to compare with, so that a slow minute hits both.
    let ratios = alone
        .iter()
        .zip(beside)
        .filter_map(|(alone, beside)| Some(beside.wait_us(0.99)? / alone.wait_us(0.99)?));
    let refused = beside.iter().map(|outcome| {
        outcome.dropped as f64 / (outcome.dropped as f64 + outcome.waits_ns.len() as f64)
    });
    let figures = vec![
        ("alone_p50_us", wait_figure(alone, 0.5)),
        ("alone_p99_us", wait_figure(alone, 0.99)),
        ("flood_p50_us", wait_figure(beside, 0.5)),
        ("flood_p99_us", wait_figure(beside, 0.99)),
        ("p99_ratio", Spread::of(ratios).into()),
        ("refused", Spread::of(refused).into()),
    ];
    let case = "50 light tenants".to_owned();
    Row { workload: "W6", case, system, figures }
}

#[cfg(test)]
mod tests {
    use super::{light, with_flood};

    #[test]
    fn the_flood_is_ten_times_the_capacity_and_the_light_tenants_half_of_it() {
        let light = light(2_000_000);
        let end_ns = light.last().unwrap().at_ns as f64;
        let capacity = end_ns / 20_000.0;
        assert!((0.48..0.52).contains(&(light.len() as f64 / capacity)));
        let all = with_flood(light);
        assert!(all.is_sorted_by_key(|arrival| arrival.at_ns));
        let heavy = all.iter().filter(|arrival| arrival.tenant == 0).count();
        assert!((9.8..10.2).contains(&(heavy as f64 / capacity)), "{heavy}");
    }
}
