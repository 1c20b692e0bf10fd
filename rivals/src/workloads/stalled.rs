//! W11: the other tenants while one producer of tenant 0 is stalled between reserving a place and
//! publishing its job, as when the system takes its core away there.
//!
//! Only fairlane and thingbuf: in no other system can the stall be brought about from outside.

use super::Context;
use super::timed::{Outcome, Parked, Plan, Spinning, Timed, run as run_once, wait_figure};
use crate::arrivals;
use crate::harness::{Contestant, Run, race, turns};
use crate::report::{Figure, Row, Spread};
use crate::systems::{
    Build, Entry, Exit, Fairlane, Parking, Payload, Setup, Sleeper, Stalling, System, Thingbuf,
};
use std::time::Duration;

/// Tenant 0, whose producer stalls, and the others.
const TENANTS: usize = 100;
/// Mean time between arrivals: 100,000 jobs a second, one in a hundred of tenant 0.
const GAP_NS: f64 = 10_000.0;
/// Time in the handler: a load of 50 %.
const SERVICE: Duration = Duration::from_micros(5);

/// A system where a producer of tenant 0 is stalled for as long as there is an entry.
struct Stalled<S>(S);

/// An entry, and the place that the stalled producer holds.
struct Beside<E, P> {
    entry: E,
    _stalled: P,
}

impl<E: Entry, P> Entry for Beside<E, P> {
    #[inline]
    fn offer(&mut self, tenant: u32, cost: u32, payload: Payload) -> bool {
        self.entry.offer(tenant, cost, payload)
    }
}

impl<S: Stalling> System for Stalled<S> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn entry(&self) -> impl Entry {
        Beside { entry: self.0.entry(), _stalled: self.0.stall(0) }
    }

    fn exit(&self) -> impl Exit {
        self.0.exit_past_stalls()
    }
}

impl<S: Stalling + Parking> Parking for Stalled<S> {
    fn sleeper(&self) -> impl Sleeper {
        self.0.sleeper()
    }
}

/// The same system without the stall and with it.
struct Pair {
    calm: Box<dyn Timed>,
    stalled: Box<dyn Timed>,
}

/// The one whose throughput is measured, too: a consumer that sleeps is not for that, and a queue
/// that stands still fills up and is not emptied before its producer has offered everything.
const SPINNING: &str = "fairlane, spinning";

const SYSTEMS: [Build<Pair>; 3] = [
    (SPINNING, |setup| Pair {
        calm: Box::new(Spinning(Fairlane::new(setup))),
        stalled: Box::new(Spinning(Stalled(Fairlane::new(setup)))),
    }),
    ("fairlane, parked", |setup| Pair {
        calm: Box::new(Parked(Fairlane::new(setup))),
        stalled: Box::new(Parked(Stalled(Fairlane::new(setup)))),
    }),
    ("thingbuf, spinning", |setup| Pair {
        calm: Box::new(Spinning(Thingbuf::new(setup))),
        stalled: Box::new(Spinning(Stalled(Thingbuf::new(setup)))),
    }),
];

/// The other tenants' waits and throughput, without the stall and with it.
pub(super) fn run(context: &Context) -> Result<Vec<Row>, String> {
    let setup = Setup::tiers(TENANTS);
    let systems = context.build(&SYSTEMS, &setup, |_| true);
    let plan = plan(context.jobs);
    let mut waits: Vec<(Vec<Outcome>, Vec<Outcome>)> =
        systems.iter().map(|_| Default::default()).collect();
    for (round, k) in turns(systems.len(), context.rounds) {
        let (name, Pair { calm, stalled }) = &systems[k];
        let (calm, stalled) = (run_once(name, &**calm, &plan)?, run_once(name, &**stalled, &plan)?);
        if round > 0 {
            waits[k].0.push(calm);
            waits[k].1.push(stalled);
        }
    }
    let row = |(&(system, _), (calm, stalled)): (&(&'static str, _), &(Vec<_>, Vec<_>))| {
        let mut figures = wait_figures(calm, stalled);
        figures.extend(throughput(context, &setup, system)?);
        let case = format!("{} other tenants", TENANTS - 1);
        Ok(Row { workload: "W11", case, system, figures })
    };
    systems.iter().zip(&waits).map(row).collect()
}

/// Every tenant's jobs, those of tenant 0 too: with the stall they come out when it ends. What finds
/// no room is dropped, so that a long run does not wait for the end of its own stall.
fn plan(jobs: usize) -> Plan {
    // A second's arrivals for two million jobs.
    let arrivals = arrivals::poisson((jobs / 20).max(100), GAP_NS, 0, TENANTS);
    Plan { arrivals, service: SERVICE, shed: true, watched: 1 }
}

fn wait_figures(calm: &[Outcome], stalled: &[Outcome]) -> Vec<(&'static str, Figure)> {
    // Each round has its own calm to compare with, so that a slow minute hits both.
    let ratios = calm
        .iter()
        .zip(stalled)
        .filter_map(|(calm, stalled)| Some(stalled.wait_us(0.99)? / calm.wait_us(0.99)?));
    let refused = stalled.iter().map(|outcome| {
        outcome.dropped as f64 / (outcome.dropped as f64 + outcome.waits_ns.len() as f64)
    });
    vec![
        ("calm_p50_us", wait_figure(calm, 0.5)),
        ("calm_p99_us", wait_figure(calm, 0.99)),
        ("stalled_p50_us", wait_figure(stalled, 0.5)),
        ("stalled_p99_us", wait_figure(stalled, 0.99)),
        ("p99_ratio", Spread::of(ratios).into()),
        ("refused", Spread::of(refused).into()),
    ]
}

/// Million jobs a second of the other tenants, as fast as they go.
fn throughput(
    context: &Context,
    setup: &Setup,
    system: &str,
) -> Result<[(&'static str, Figure); 2], String> {
    let figures = |calm, stalled| [("calm_mops", calm), ("stalled_mops", stalled)];
    if system != SPINNING {
        return Ok(figures(Figure::Missing, Figure::Missing));
    }
    let pair: [Box<dyn Contestant>; 2] =
        [Box::new(Fairlane::new(setup)), Box::new(Stalled(Fairlane::new(setup)))];
    let runs = race(&pair, &others(context.jobs), context.rounds)?;
    let mops = |runs: &[Run]| {
        Spread::of(runs.iter().map(|run| context.jobs as f64 / run.seconds / 1e6)).into()
    };
    Ok(figures(mops(&runs[0]), mops(&runs[1])))
}

/// Jobs of all tenants but the one that stalls.
fn others(jobs: usize) -> Vec<u32> {
    arrivals::uniform(jobs, TENANTS - 1).iter().map(|tenant| tenant + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fairlane() -> Fairlane {
        Fairlane::new(&Setup::tiers(TENANTS))
    }

    fn job(tenant: u32) -> Payload {
        Payload { number: u64::from(tenant), tenant: u64::from(tenant) }
    }

    /// Tenants whose jobs come out, in order of their numbers.
    fn served(exit: &mut impl Exit) -> Vec<u64> {
        let mut served = Vec::new();
        while exit.take(1, &mut |payload| served.push(payload.tenant)) > 0 {}
        served.sort_unstable();
        served
    }

    #[test]
    fn only_the_stalled_tenant_waits_and_only_until_the_stall_ends() {
        let system = Stalled(fairlane());
        let (mut entry, mut exit) = (system.entry(), system.exit());
        assert!((0..3).all(|tenant| entry.offer(tenant, 1, job(tenant))));
        assert_eq!(served(&mut exit), [1, 2]);
        drop(entry);
        assert_eq!(served(&mut exit), [0]);
    }

    #[test]
    fn without_a_stall_nobody_waits() {
        let system = fairlane();
        let (mut entry, mut exit) = (system.entry(), system.exit());
        assert!((0..3).all(|tenant| entry.offer(tenant, 1, job(tenant))));
        assert_eq!(served(&mut exit), [0, 1, 2]);
    }

    #[test]
    fn in_a_queue_that_all_share_everyone_waits_until_the_stall_ends() {
        let system = Stalled(Thingbuf::new(&Setup::tiers(TENANTS)));
        let (mut entry, mut exit) = (system.entry(), system.exit());
        assert!((0..3).all(|tenant| entry.offer(tenant, 1, job(tenant))));
        assert!(served(&mut exit).is_empty());
        drop(entry);
        // The first look passes over what the stall left behind.
        assert!(served(&mut exit).is_empty());
        assert_eq!(served(&mut exit), [0, 1, 2]);
    }

    #[test]
    fn a_stall_that_everyone_waits_for_shows_in_the_figures() {
        // 20 ms of arrivals, all of which wait for the end of the stall.
        let system = Stalled(Thingbuf::new(&Setup::tiers(TENANTS)));
        let outcome = run_once("thingbuf", &Spinning(system), &plan(40_000)).unwrap();
        let median = outcome.wait_us(0.5).unwrap();
        assert!(median > 5_000.0, "{median} us");
    }

    #[test]
    fn the_jobs_that_race_are_the_other_tenants() {
        let others = others(10_000);
        assert!(others.iter().all(|tenant| (1..TENANTS as u32).contains(tenant)));
        assert_eq!(others.len(), 10_000);
    }
}
