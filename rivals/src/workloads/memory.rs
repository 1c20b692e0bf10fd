//! W12: bytes a tenant takes, and bytes a job takes.

use super::Context;
use crate::allocator::Count;
use crate::harness::{Tally, alone};
use crate::report::Row;
use crate::systems::{ARRAY_QUEUE, Build, Drill, Ends, MEA, Payload, SOLO, Setup, Solo, Weights};

/// Jobs of each tenant with a shallow queue.
const SHALLOW: usize = 16;
/// Tenants with deep queues, and the jobs of each.
const DEEP: (usize, usize) = (10, 10_000);

/// Bytes by the allocator's count: all that a system takes, over its tenants.
pub(super) fn run(context: &Context) -> Result<Vec<Row>, String> {
    let mut rows = Vec::new();
    for tenants in context.sizes(&[(context.jobs / 20).clamp(1_000, 100_000)]) {
        rows.extend(alone(|| size(context, tenants))?);
    }
    Ok(rows)
}

/// Left out: what has no tenants, and mea, which knows a key only while it is used.
fn fits(system: &str) -> bool {
    system != ARRAY_QUEUE && system != MEA
}

fn size(context: &Context, tenants: usize) -> Result<Vec<Row>, String> {
    let systems = SOLO.iter().filter(|(name, _)| context.wants(name) && fits(name));
    systems.map(|build| measure(build, tenants)).collect()
}

fn measure(&(system, build): &Build<Solo>, tenants: usize) -> Result<Row, String> {
    let jobs = (tenants * SHALLOW).max(DEEP.0 * DEEP.1);
    // Room for twice as many: what is measured is not how a system refuses.
    let setup = Setup { tenants, capacity: 2 * jobs, weights: Weights::Tiers };
    let idle = built(build, &setup, |_, count| Ok(count.live()))?;
    let (light, heavy) =
        (Fill { tenants, jobs: SHALLOW }, Fill { tenants: DEEP.0.min(tenants), jobs: DEEP.1 });
    let shallow = built(build, &setup, |solo, count| filled(solo, &light, count, system))?;
    let deep = built(build, &setup, |solo, count| filled(solo, &heavy, count, system))?;
    let each = |bytes: i64, parts: usize| bytes as f64 / parts as f64;
    let figures = vec![
        ("idle_bytes", Some(each(idle, tenants)).into()),
        ("shallow_bytes", shallow.map(|live| each(live, tenants)).into()),
        ("deep_bytes_a_job", deep.map(|live| each(live - idle, heavy.tenants * heavy.jobs)).into()),
    ];
    Ok(Row { workload: "W12", case: format!("{tenants} tenants"), system, figures })
}

/// Builds the system under a count, and measures.
fn built<T>(
    build: fn(&Setup) -> Solo,
    setup: &Setup,
    measure: impl FnOnce(&mut Solo, &Count) -> Result<T, String>,
) -> Result<T, String> {
    let count = Count::start();
    measure(&mut build(setup), &count)
}

/// Live bytes with the jobs inside; none when there was no room for one.
fn filled(solo: &mut Solo, fill: &Fill, count: &Count, name: &str) -> Result<Option<i64>, String> {
    let (inside, live, outside) = solo.drill(&Filled { fill, count });
    outside.check(inside, name)?;
    Ok((inside.jobs == (fill.tenants * fill.jobs) as u64).then_some(live))
}

struct Fill {
    tenants: usize,
    /// Of each tenant.
    jobs: usize,
}

struct Filled<'a> {
    fill: &'a Fill,
    count: &'a Count,
}

impl Drill for Filled<'_> {
    /// What went in, live bytes with it inside, and what came out.
    type Output = (Tally, i64, Tally);

    fn on(&self, ends: &mut impl Ends) -> (Tally, i64, Tally) {
        let mut inside = Tally::default();
        let Fill { tenants, jobs } = *self.fill;
        for number in 0..(tenants * jobs) as u64 {
            let tenant = number % tenants as u64;
            let payload = Payload { number, tenant };
            if ends.offer(tenant as u32, 1, payload) {
                inside.add(payload);
            }
        }
        let live = self.count.live();
        (inside, live, ends.drain())
    }
}
