//! growth: what a job costs, in and out on one thread, by the number of backlogged tenants.

use super::Context;
use crate::harness::{EMPTY_LOOKS, Tally, alone, thread_time, turns};
use crate::report::{Row, Spread};
use crate::systems::{BATCH, Drill, Ends, MEA, Payload, READY_QUEUE, SOLO, Setup, Solo, Weights};
use std::time::Duration;

/// Numbers of backlogged tenants compared.
const SIZES: [usize; 2] = [100, 10_000];
/// Jobs that wait at any moment, the same for both: 400 a tenant, and 4.
const BACKLOG: usize = 40_000;
/// Room for many more, since what is measured is not how a system refuses.
const ROOM: usize = 262_144;

/// Nanoseconds a job at both sizes, and their quotient.
pub(super) fn run(context: &Context) -> Result<Vec<Row>, String> {
    let jobs = (context.jobs / 4).max(2 * BACKLOG) as u64;
    let [few, many] = SIZES.map(|tenants| alone(|| size(context, tenants, jobs)));
    let (few, many) = (few?, many?);
    Ok(few.into_iter().zip(many).map(|((system, few), (_, many))| row(system, few, many)).collect())
}

fn row(system: &'static str, few: Option<Spread>, many: Option<Spread>) -> Row {
    let growth = few.zip(many).map(|(few, many)| many.median / few.median);
    let figures =
        vec![("ns_100", few.into()), ("ns_10000", many.into()), ("growth", growth.into())];
    Row { workload: "growth", case: format!("{BACKLOG} jobs wait"), system, figures }
}

/// Left out: mea looks at every waiting tenant for each permit, minutes at 10,000; a bounded queue
/// per tenant cannot hold the backlog.
fn fits(system: &str) -> bool {
    system != MEA && system != READY_QUEUE
}

/// Nanoseconds a job; none for a system that refused one.
type Costs = Vec<(&'static str, Option<Spread>)>;

fn size(context: &Context, tenants: usize, jobs: u64) -> Result<Costs, String> {
    let setup = Setup { tenants, capacity: ROOM, weights: Weights::Tiers };
    let mut systems: Vec<(&'static str, Solo)> = context.build(&SOLO, &setup, fits);
    let mut ns: Vec<Vec<f64>> = vec![Vec::new(); systems.len()];
    for (round, k) in turns(systems.len(), context.rounds) {
        let (name, system) = &mut systems[k];
        let took = system.drill(&Backlog { tenants, jobs, system: name })?;
        if let Some(took) = took.filter(|_| round > 0) {
            ns[k].push(took.as_nanos() as f64 / jobs as f64);
        }
    }
    Ok(systems.iter().zip(ns).map(|((name, _), ns)| (*name, Spread::of(ns))).collect())
}

/// Every job taken out is put in again, so that all tenants stay backlogged.
struct Backlog {
    tenants: usize,
    jobs: u64,
    system: &'static str,
}

impl Drill for Backlog {
    /// The time for all jobs; none when the system refused one.
    type Output = Result<Option<Duration>, String>;

    #[inline(never)]
    fn on(&self, ends: &mut impl Ends) -> Result<Option<Duration>, String> {
        let mut inside = Tally::default();
        for number in 0..BACKLOG as u64 {
            let tenant = number % self.tenants as u64;
            let payload = Payload { number, tenant };
            if ends.offer(tenant as u32, 1, payload) {
                inside.add(payload);
            }
        }
        let begin = thread_time();
        let kept = inside.jobs == BACKLOG as u64 && self.turn_over(ends);
        let took = thread_time() - begin;
        let outside = ends.drain();
        // What was refused on the way is lost to the sums, and the system has no figure.
        if kept {
            outside.check(inside, self.system)?;
        }
        Ok(kept.then_some(took))
    }
}

impl Backlog {
    /// Takes jobs out and puts them in again; `false` when one was refused or none came.
    fn turn_over(&self, ends: &mut impl Ends) -> bool {
        let mut batch = Vec::with_capacity(BATCH);
        let (mut moved, mut looks) = (0, 0);
        while moved < self.jobs {
            let taken = ends.take(BATCH, &mut |payload| batch.push(payload));
            looks = if taken == 0 { looks + 1 } else { 0 };
            let back = |payload: Payload| ends.offer(payload.tenant as u32, 1, payload);
            if looks > EMPTY_LOOKS || !batch.drain(..).all(back) {
                return false;
            }
            moved += taken as u64;
        }
        true
    }
}
