//! solo: one thread puts a burst of jobs in and takes it out again.

use super::{Context, throughput};
use crate::arrivals;
use crate::harness::{EMPTY_LOOKS, Tally, alone, payloads, thread_time, turns};
use crate::report::{Row, Spread};
use crate::systems::{BATCH, Drill, Ends, SOLO, Setup, Solo};
use std::time::Duration;

/// Jobs put in before any is taken out.
const BURST: usize = 1_024;

/// Jobs a second by the number of tenants, on one thread.
pub(super) fn run(context: &Context) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for tenants in context.sizes(&[1, 100, 1_000, 10_000, 100_000]) {
        rows.extend(alone(|| size(context, tenants))?);
    }
    Ok(rows)
}

fn size(context: &Context, tenants: usize) -> Result<Vec<Row>, String> {
    let setup = Setup::tiers(tenants);
    let mut systems = context.build(&SOLO, &setup, |_| true);
    let order = arrivals::uniform((context.jobs / 4).max(1), tenants);
    let mops = rounds(&mut systems, &order, context.rounds)?;
    let names: Vec<_> = systems.iter().map(|(name, _)| *name).collect();
    Ok(throughput::rows("solo", &throughput::tenants_text(tenants), &names, &mops))
}

fn rounds(
    systems: &mut [(&'static str, Solo)],
    order: &[u32],
    rounds: usize,
) -> Result<Vec<Option<Spread>>, String> {
    let expected = payloads(order).collect();
    let mut mops = vec![Vec::new(); systems.len()];
    for (round, k) in turns(systems.len(), rounds) {
        let (name, system) = &mut systems[k];
        let (tally, took) = system.drill(&Bursts(order));
        Tally::check(tally, expected, name)?;
        if round > 0 {
            mops[k].push(order.len() as f64 / took.as_secs_f64() / 1e6);
        }
    }
    Ok(mops.into_iter().map(Spread::of).collect())
}

/// All jobs of an order, a burst at a time.
struct Bursts<'a>(&'a [u32]);

impl Drill for Bursts<'_> {
    type Output = (Tally, Duration);

    #[inline(never)]
    fn on(&self, ends: &mut impl Ends) -> (Tally, Duration) {
        let mut tally = Tally::default();
        let begin = thread_time();
        let mut jobs = payloads(self.0);
        for burst in self.0.chunks(BURST) {
            let mut inside = 0;
            for (&tenant, payload) in burst.iter().zip(&mut jobs) {
                inside += u32::from(ends.offer(tenant, 1, payload));
            }
            empty(ends, inside, &mut tally);
        }
        (tally, thread_time() - begin)
    }
}

/// Takes out what is inside; what is lost shows in the tally.
fn empty(ends: &mut impl Ends, inside: u32, tally: &mut Tally) {
    let target = tally.jobs + u64::from(inside);
    let mut looks = 0;
    while tally.jobs < target && looks < EMPTY_LOOKS {
        let taken = ends.take(BATCH, &mut |payload| tally.add(payload));
        looks = if taken == 0 { looks + 1 } else { 0 };
    }
}
