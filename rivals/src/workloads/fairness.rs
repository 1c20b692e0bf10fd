//! W10: two tenants that always have jobs waiting, and the share of the cost that each is served.

use super::Context;
use crate::harness::{EMPTY_LOOKS, Tally, alone};
use crate::report::{Figure, Row};
use crate::systems::{
    CAPACITY, Drill, Ends, GROMMET, MEA, Payload, Permits, SOLO, Setup, Solo, Weights,
};

/// Weights and costs of the two tenants.
struct Case {
    weights: [u32; 2],
    costs: [u32; 2],
}

const CASES: [Case; 6] = [
    Case { weights: [1, 1], costs: [1, 1] },
    Case { weights: [1, 1], costs: [1, 10] },
    Case { weights: [1, 2], costs: [1, 1] },
    Case { weights: [1, 2], costs: [1, 10] },
    Case { weights: [1, 10], costs: [1, 1] },
    Case { weights: [1, 10], costs: [1, 10] },
];
/// Jobs that wait at any moment. They are uneven, so that serving in order of arrival is not fair
/// by chance.
const BACKLOG: [u64; 2] = [4_000, 1_000];
/// Permits that mea shares out.
const PERMITS: usize = 4;

impl Case {
    fn setup(&self) -> Setup {
        Setup { tenants: 2, capacity: CAPACITY, weights: Weights::Each(self.weights.to_vec()) }
    }

    /// The first tenant's part of the weights.
    fn entitled(&self) -> f64 {
        f64::from(self.weights[0]) / f64::from(self.weights[0] + self.weights[1])
    }

    /// Whether a system promises anything about it: grommet-core has turns without weights or
    /// costs, mea has permits without weights. Of the others all promise weights and costs, except
    /// the FIFO, which promises nothing and is here to show that the measure tells.
    fn is_claimed(&self, system: &str) -> bool {
        match system {
            GROMMET => self.weights == [1, 1] && self.costs == [1, 1],
            MEA => self.weights == [1, 1],
            _ => true,
        }
    }

    fn text(&self) -> String {
        let Case { weights: [a, b], costs: [c, d] } = self;
        format!("weights {a}:{b}, costs {c}:{d}")
    }
}

/// Shares of the first tenant beside what it is entitled to.
pub(super) fn run(context: &Context) -> Result<Vec<Row>, String> {
    let jobs = (context.jobs / 10).clamp(20_000, 200_000);
    let mut rows = Vec::new();
    for case in &CASES {
        rows.extend(alone(|| measure(context, case, jobs))?);
    }
    Ok(rows)
}

fn measure(context: &Context, case: &Case, jobs: usize) -> Result<Vec<Row>, String> {
    let systems = context.build(&SOLO, &case.setup(), |name| case.is_claimed(name));
    let row = |(system, mut built): (&'static str, Solo)| {
        let share = match &mut built {
            Solo::Permits(_) => permit_share(case.costs, jobs)?,
            other => other.drill(&Served { system, costs: case.costs, jobs })?,
        };
        let figures =
            vec![("share", Figure::One(share)), ("entitled", Figure::One(case.entitled()))];
        Ok(Row { workload: "W10", case: case.text(), system, figures })
    };
    systems.into_iter().map(row).collect()
}

/// Takes jobs one by one and puts each in again.
struct Served {
    system: &'static str,
    costs: [u32; 2],
    jobs: usize,
}

impl Drill for Served {
    /// The first tenant's share of the cost served.
    type Output = Result<f64, String>;

    fn on(&self, ends: &mut impl Ends) -> Result<f64, String> {
        let filled = fill(ends, self.costs);
        let mut served = [0, 0];
        for _ in 0..self.jobs {
            let payload = one(ends).ok_or(format!("{}: nothing to take", self.system))?;
            let cost = self.costs[payload.tenant as usize];
            served[payload.tenant as usize] += u64::from(cost);
            // What is refused here is missing in the sums.
            ends.offer(payload.tenant as u32, cost, payload);
        }
        ends.drain().check(filled, self.system)?;
        Ok(share(served))
    }
}

/// The next job. A round that only refills balances takes nothing, so there are several tries.
fn one(ends: &mut impl Ends) -> Option<Payload> {
    let mut taken = None;
    for _ in 0..EMPTY_LOOKS {
        if ends.take(1, &mut |payload| taken = Some(payload)) > 0 {
            break;
        }
    }
    taken
}

fn fill(ends: &mut impl Ends, costs: [u32; 2]) -> Tally {
    let mut filled = Tally::default();
    for tenant in 0..2u32 {
        for number in 0..BACKLOG[tenant as usize] {
            let payload = Payload { number, tenant: u64::from(tenant) };
            ends.offer(tenant, costs[tenant as usize], payload);
            filled.add(payload);
        }
    }
    filled
}

fn share([first, second]: [u64; 2]) -> f64 {
    first as f64 / (first + second) as f64
}

/// A job of cost `c` holds its permit for `c` ticks; a tenant's share is that of the ticks, so of
/// the cost.
fn permit_share(costs: [u32; 2], ticks: usize) -> Result<f64, String> {
    let mut permits = Permits::with_permits(PERMITS, CAPACITY);
    let filled = fill(&mut permits, costs);
    let mut held = Vec::new();
    let mut used = [0, 0];
    for _ in 0..ticks {
        while let Some((permit, payload)) = permits.next() {
            held.push((permit, payload, costs[payload.tenant as usize]));
        }
        for (_, payload, left) in &mut held {
            used[payload.tenant as usize] += 1;
            *left -= 1;
        }
        for (permit, payload, _) in held.extract_if(.., |(_, _, left)| *left == 0) {
            drop(permit);
            permits.offer(payload.tenant as u32, 1, payload);
        }
    }
    let running: Vec<Payload> = held.drain(..).map(|(_, payload, _)| payload).collect();
    let mut left = permits.drain();
    running.into_iter().for_each(|payload| left.add(payload));
    left.check(filled, MEA)?;
    Ok(share(used))
}
