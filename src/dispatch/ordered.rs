//! Visits of lanes whose jobs have priorities, due moments or deadlines.

use super::expired::Expired;
use super::granting::Granting;
use super::seat::Seat;
use super::visit::{Next, Place, Spot, Tally};
use crate::aside::Aside;
use crate::claim::Grant;
use crate::gate::{Held, Pass, Refused};
use crate::ring::{Kept, Stamp, behind};
use crate::rotation::Findings;
use crate::sync::{Chunks, DrainRight, IS_MODEL, Outbox, Owned};
use crate::tenant::Drain;
use crate::units::{Band, Nanos, Order};

/// Jobs put in order by one visit.
const SORTED_MAX: u32 = 4_096;
/// When a lane is looked at again whose jobs could not all be put in order, or that somebody else held.
const SOON: Nanos = Nanos(1_000_000);
/// Lanes per chunk of memory.
const CHUNK_LANES: u32 = if IS_MODEL { 2 } else { 16 };

/// Jobs of each lane that wait outside its ring, in their order. Made when a lane has the first of them.
pub(crate) struct Asides<T>(Chunks<[Cell<T>; CHUNK_LANES as usize]>);

/// A lane's, if it has any.
type Cell<T> = Owned<Option<Box<Apart<T>>>>;

/// One lane's jobs outside its ring.
pub(crate) struct Apart<T> {
    jobs: Aside<Waiting<T>>,
    /// Blocks that those jobs have come from: they count towards the engine-wide bound here too.
    kept: Kept,
}

struct Waiting<T> {
    cost: u32,
    /// Since when the job waits: acceptance, or its due moment.
    since: Stamp,
    payload: T,
}

impl<T> Asides<T> {
    pub(super) fn new(lanes: u32) -> Self {
        Asides(Chunks::new(lanes.div_ceil(CHUNK_LANES) as usize))
    }

    fn cell(&self, lane: u32) -> &Cell<T> {
        let first = lane / CHUNK_LANES * CHUNK_LANES;
        let make = || std::array::from_fn(|at| Owned::new(first + at as u32, None));
        let chunk = self.0.get_or_make((lane / CHUNK_LANES) as usize, make);
        &chunk[(lane % CHUNK_LANES) as usize]
    }
}

impl<T> Default for Apart<T> {
    fn default() -> Self {
        Apart { jobs: Aside::new(), kept: Kept::default() }
    }
}

impl Seat {
    /// Serves one lane in the order of its jobs: what has come is put in order, what has expired goes,
    /// and what is due is granted.
    #[inline(never)]
    pub(super) fn visit_ordered<T>(
        &mut self,
        spot: &Spot<'_, T>,
        right: &mut DrainRight,
        tally: &mut Tally<'_, T>,
        findings: &mut Findings,
    ) -> Place {
        for of in [spot.tenant.slot(), spot.lane] {
            spot.lanes.gate.entry(of).begin_for(spot.tenant.generation());
        }
        let cell = spot.lanes.asides.cell(right.lane());
        let visited = cell.open_both(&spot.row.drained.drain, right, |apart, drain| {
            let apart = &mut **apart.get_or_insert_default();
            let before = (tally.out.len(), tally.cost);
            let is_sorted = self.put_in_order(spot, drain, apart, tally.now);
            let expired = self.expire(spot, apart, tally.now);
            let next = self.grant_in_order(spot, drain, apart, tally);
            let (jobs, cost) = ((tally.out.len() - before.0) as u32, tally.cost - before.1);
            findings.granted |= jobs > 0;
            findings.expired |= expired > 0;
            self.settle_apart(spot, drain, apart, (jobs + expired, cost), (is_sorted, tally.now));
            if jobs > 0 {
                self.observe(spot, jobs, cost);
            }
            match next {
                Next::Nothing if !is_sorted => Ok(Place::Again),
                next => {
                    let place = self.place(spot, drain, (next, jobs > 0), tally, findings);
                    if place.is_err() {
                        rest(spot, apart, tally.now);
                    }
                    place
                }
            }
        });
        visited.unwrap_or_else(|left| self.leave(spot, right, left))
    }

    /// Moves what has been published out of the ring. `false` when there may be more.
    fn put_in_order<T>(
        &mut self,
        spot: &Spot<'_, T>,
        drain: &mut Drain,
        apart: &mut Apart<T>,
        now: Nanos,
    ) -> bool {
        drain.head.has_aside = true;
        let Apart { jobs, kept } = apart;
        jobs.settle(now);
        let lane = (&spot.row.tail, &spot.lanes.pool, kept);
        let taken = drain.head.sort_out(lane, SORTED_MAX, |job| {
            let plain = Order { band: Band::LAST, due: Nanos::ZERO, deadline: Nanos::MAX };
            let order = job.order.unwrap_or(plain);
            let is_due = order.due == Nanos::ZERO;
            let since = if is_due { job.stamp } else { Stamp::at(order.due.0) };
            jobs.put(order, Waiting { cost: job.cost, since, payload: job.payload });
        });
        taken < SORTED_MAX
    }

    /// Takes out what may not go any more, for the hook to be told. Returns how many that were.
    fn expire<T>(&mut self, spot: &Spot<'_, T>, apart: &mut Apart<T>, now: Nanos) -> u32 {
        if self.hands_back {
            return 0;
        }
        let mut count = 0;
        while let Some(job) = apart.jobs.expired(now) {
            let waited = Nanos(job.since.age(now.0)).as_duration();
            let Waiting { cost, payload, .. } = job;
            spot.lanes.expired.push(Expired { tenant: spot.tenant, cost, waited, payload });
            count += 1;
        }
        if count > 0 {
            spot.lanes.gate.entry(spot.lane).count_expired(count.into());
        }
        count
    }

    fn grant_in_order<T>(
        &mut self,
        spot: &Spot<'_, T>,
        drain: &mut Drain,
        apart: &mut Apart<T>,
        tally: &mut Tally<'_, T>,
    ) -> Next {
        let is_limited = self.holds_to_limits(spot);
        let whose = (spot.tenant, &spot.profile);
        let books = (&self.ledger, &mut self.log);
        let mut granting = Granting::new(drain.account.purse(), whose, tally.now, books);
        let errands = &mut self.errands;
        let next = if self.hands_back {
            hand_back(&mut apart.jobs, tally.out, &mut granting)
        } else if is_limited {
            let (gate, slot) = (&spot.lanes.gate, spot.tenant.slot());
            let entry = gate.entry(slot);
            let rules = &self.plan.rules[spot.number as usize];
            entry.open(|state| {
                let mut pass = Pass::new(gate, (spot.lane, slot), (entry, state), rules, tally.now);
                let next = take_in_order(&mut apart.jobs, tally.out, &mut granting, |cost| {
                    pass.admit(cost).map_err(|denial| {
                        let since = pass.waits(&denial);
                        let refused = Refused { lane: spot.lane, slot, denial, since };
                        errands.refused.push((refused, spot.number));
                    })
                });
                errands.back.extend(pass.close());
                next
            })
        } else {
            take_in_order(&mut apart.jobs, tally.out, &mut granting, |_| Ok(Held::NOTHING))
        };
        tally.cost += drain.account.take_back(granting.purse);
        next
    }

    /// Publishes what a visit did, and sees to it that the lane is looked at when its next moment comes.
    fn settle_apart<T>(
        &mut self,
        spot: &Spot<'_, T>,
        drain: &mut Drain,
        apart: &mut Apart<T>,
        gone: (u32, u64),
        (is_sorted, now): (bool, Nanos),
    ) {
        let Apart { jobs, kept } = apart;
        spot.lanes.pool.give_kept(&mut self.returns, kept, jobs.len());
        // Jobs set aside count as waiting: they keep their places in the depth.
        let head = behind(drain.head.position(), jobs.len() as u32);
        match gone {
            (0, _) => spot.row.drained.publish_skips(head),
            (jobs, cost) => spot.row.drained.publish(head, jobs, cost),
        }
        drain.head.has_aside = !jobs.is_empty();
        let soon = (!is_sorted).then(|| now.after(SOON));
        let moments = [jobs.next_due(), jobs.next_deadline(), soon];
        if let Some(next) = moments.into_iter().flatten().min() {
            self.errands.set_alarm(spot.lanes, spot.lane, next);
        }
    }
}

/// What a lane without a job that is due leaves behind.
fn rest<T>(spot: &Spot<'_, T>, apart: &mut Apart<T>, now: Nanos) {
    match apart.jobs.next_due() {
        Some(due) => spot.lanes.gate.entry(spot.lane).rest_until(due, now),
        None => apart.jobs.shrink(),
    }
}

/// Grants jobs in the order in which they came, whatever they cost and whenever they are due.
fn hand_back<T>(
    jobs: &mut Aside<Waiting<T>>,
    out: &mut Outbox<Grant<T>>,
    granting: &mut Granting<'_>,
) -> Next {
    let mut till = granting.open_till();
    while out.room() > 0 {
        let Some(job) = jobs.take_any() else { break };
        till.purse.draw(job.cost);
        let charge = (job.cost, Held::NOTHING);
        out.push(granting.grant(&mut till, charge, job.since, job.payload));
    }
    granting.close_till(till);
    if jobs.is_empty() { Next::Nothing } else { Next::Costs(0) }
}

/// Grants jobs in their order, as long as there is room for grants, the balance covers them, and the
/// gate lets them through.
fn take_in_order<T>(
    jobs: &mut Aside<Waiting<T>>,
    out: &mut Outbox<Grant<T>>,
    granting: &mut Granting<'_>,
    mut admit: impl FnMut(u32) -> Result<Held, ()>,
) -> Next {
    let mut till = granting.open_till();
    let next = loop {
        let Some(job) = jobs.peek() else { break Next::Nothing };
        let cost = job.cost;
        if out.room() == 0 || !till.purse.covers(cost) {
            break Next::Costs(cost);
        }
        let Ok(held) = admit(cost) else { break Next::Refused };
        till.purse.pay(cost);
        let job = jobs.take().expect("it was there to be seen");
        out.push(granting.grant(&mut till, (cost, held), job.since, job.payload));
    };
    granting.close_till(till);
    next
}
