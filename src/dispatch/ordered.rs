//! Visits of lanes whose jobs have priorities, due moments or deadlines.

use super::claimed::{GrantedApart, Resting};
use super::expired::Expired;
use super::granting::Granting;
use super::plan::Plan;
use super::seat::Seat;
use super::visit::{Next, Place, Spot, Tally};
use crate::aside::Aside;
use crate::claim::{Grant, Waited};
use crate::gate::{Denial, Extra, Held, Pass, Refused, Until};
use crate::ring::{Kept, Rest, Spare, Stamp, behind};
use crate::rotation::Findings;
use crate::sync::{Chunks, DrainRight, IS_MODEL, Outbox, Owned, fault, mutant};
use crate::tenant::{Drain, Tenant};
use crate::units::{Nanos, Order};
use std::sync::Arc;

/// Jobs put in order by one visit.
const SORTED_MAX: u32 = 4_096;
/// When a lane is looked at again whose jobs could not all be put in order, or that somebody else held.
const SOON: Nanos = Nanos(1_000_000);
/// Lanes per chunk of memory.
const CHUNK_LANES: u32 = if IS_MODEL { 2 } else { 16 };

/// Jobs of each lane that wait outside its ring, in their order. Made when a lane has the first of them.
pub(crate) struct Asides<T>(Chunks<[Cell<T>; CHUNK_LANES as usize]>);

/// One lane's.
struct Cell<T> {
    /// The jobs, once there have been any.
    apart: Owned<Option<Box<Apart<T>>>>,
    /// The lane's block while it is idle and has jobs here.
    spare: Spare,
}

/// One lane's jobs outside its ring.
pub(crate) struct Apart<T> {
    jobs: Aside<Waiting<T>>,
    /// Blocks that those jobs have come from: they count towards the engine-wide bound here too.
    kept: Kept,
    /// Whether a job may be there that draws on budgets of its own.
    has_extras: bool,
    /// Whether the lane has left the rotation since its last visit, and a block in its spare.
    has_left: bool,
    /// By which plan and profile jobs were found that no limit of it will ever let go, and why not.
    barred: Option<Barred>,
}

struct Barred {
    plan: Arc<Plan>,
    profile: u32,
    denial: Denial,
}

struct Waiting<T> {
    cost: u32,
    /// Since when the job waits: acceptance, or its due moment.
    since: Stamp,
    /// What it draws on beside its tenant's budgets.
    extra: Option<Box<Extra>>,
    payload: T,
}

/// What a job was submitted with that a drain hands back, beside payload and cost.
pub(crate) struct HandedBack {
    /// Which of the tick's grants has the job.
    pub(crate) at: usize,
    pub(crate) order: Order,
    /// What it draws on beside its tenant's budgets.
    pub(crate) extra: Option<Box<Extra>>,
    /// What stands for what it requires; 0 for nothing.
    pub(crate) set: u32,
}

impl<T> Asides<T> {
    pub(super) fn new(lanes: u32) -> Self {
        Asides(Chunks::new(lanes.div_ceil(CHUNK_LANES) as usize))
    }

    fn cell(&self, lane: u32) -> &Cell<T> {
        let first = lane / CHUNK_LANES * CHUNK_LANES;
        let new = |at| Cell { apart: Owned::new(first + at as u32, None), spare: Spare::new() };
        let make = || std::array::from_fn(new);
        let chunk = self.0.get_or_make((lane / CHUNK_LANES) as usize, make);
        &chunk[(lane % CHUNK_LANES) as usize]
    }

    /// Where a lane keeps a block at hand.
    pub(super) fn spare(&self, lane: u32) -> &Spare {
        &self.cell(lane).spare
    }
}

impl<T> Apart<T> {
    /// Jobs that wait here.
    pub(super) fn waiting(&self) -> u32 {
        self.jobs.len() as u32
    }
}

impl<T> Default for Apart<T> {
    fn default() -> Self {
        Apart {
            jobs: Aside::new(),
            kept: Kept::default(),
            has_extras: false,
            has_left: false,
            barred: None,
        }
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
        let visited = cell.apart.open_both(&spot.row.drained.drain, right, |apart, drain| {
            let apart = &mut **apart.get_or_insert_default();
            if std::mem::take(&mut apart.has_left) {
                apart.kept.reclaim(&cell.spare);
            }
            let before = (tally.out.len(), tally.cost);
            let mut granted = GrantedApart {
                row: spot.row,
                drain: &mut *drain,
                apart: &mut *apart,
                tally: &mut *tally,
                before,
                expired: 0,
            };
            let (is_sorted, next) = self.serve_in_order(spot, &mut granted);
            let expired = granted.expired;
            std::mem::forget(granted);
            let (jobs, cost) = ((tally.out.len() - before.0) as u32, tally.cost - before.1);
            findings.granted |= jobs > 0;
            findings.expired |= expired > 0;
            end_wait(spot, apart, (jobs, expired), next);
            self.settle_apart(spot, drain, apart, (jobs + expired, cost), (is_sorted, tally.now));
            if jobs > 0 {
                self.observe(spot, jobs, cost);
            }
            match next {
                Next::Nothing if !is_sorted => Ok(Place::Again),
                next => {
                    let place = self.place(spot, drain, (next, jobs > 0), tally, findings);
                    place.map_err(|left| {
                        let resting = Resting { drain, left };
                        let has_jobs = self.rest_apart(spot, apart, tally.now);
                        std::mem::forget(resting);
                        (left, has_jobs)
                    })
                }
            }
        });
        visited.unwrap_or_else(|(left, has_jobs)| {
            let spare = has_jobs.then_some(&cell.spare);
            self.leave(spot, right, left, |tail, head, returns| match spare {
                Some(spare) => tail.deactivate_sparing(head, spare),
                None => tail.deactivate(head, &spot.lanes.pool, returns),
            })
        })
    }

    /// The part of a visit that grants. Whether all jobs have been put in order, and what comes next.
    fn serve_in_order<T>(
        &mut self,
        spot: &Spot<'_, T>,
        granted: &mut GrantedApart<'_, '_, T>,
    ) -> (bool, Next) {
        let GrantedApart { drain, apart, tally, expired, .. } = granted;
        self.unbar(spot, apart);
        let is_sorted = self.put_in_order(spot, drain, apart, tally.now);
        self.expire(spot, apart, tally.now, expired);
        let next = self.grant_in_order(spot, drain, apart, tally);
        fault!("visit.granted_in_order");
        (is_sorted, next)
    }

    /// Has jobs looked at again that the limits of another plan or profile would never have let go.
    fn unbar<T>(&self, spot: &Spot<'_, T>, apart: &mut Apart<T>) {
        let is_same =
            |old: &Barred| Arc::ptr_eq(&old.plan, &self.plan) && old.profile == spot.number;
        if apart.barred.as_ref().is_some_and(|old| !is_same(old)) {
            apart.barred = None;
            apart.jobs.unbar();
        }
    }

    /// What a lane without a job that is due leaves behind. Whether it has others.
    fn rest_apart<T>(&mut self, spot: &Spot<'_, T>, apart: &mut Apart<T>, now: Nanos) -> bool {
        if apart.jobs.is_empty() {
            apart.jobs.shrink();
            return false;
        }
        let entry = spot.lanes.gate.entry(spot.lane);
        match (apart.jobs.next_due(), &apart.barred) {
            (None, Some(barred)) => entry.rest_for_good(barred.denial, now),
            (due, _) => entry.rest_until(due.unwrap_or(Nanos::MAX), now),
        }
        if apart.jobs.has_barred() {
            self.errands.barred.push((spot.lane, spot.number));
        }
        // The lane's own block stays as well.
        let blocks = spot.lanes.pool.blocks_of(apart.jobs.len());
        apart.kept.trim(blocks - 1, &spot.lanes.pool, &mut self.returns);
        apart.has_left = true;
        true
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
        let Apart { jobs, kept, has_extras, .. } = apart;
        jobs.settle(now);
        let lane = (&spot.row.tail, &spot.lanes.pool, kept);
        let taken = drain.head.sort_out(lane, SORTED_MAX, |job| {
            let order = job.order.unwrap_or(Order::PLAIN);
            let extra = spot.lanes.gate.budgets.take(order.extra);
            *has_extras |= extra.is_some();
            let is_due = order.due == Nanos::ZERO;
            let since = if is_due { job.stamp } else { Stamp::at(order.due.0) };
            jobs.put(order, Waiting { cost: job.cost, since, extra, payload: job.payload });
        });
        taken < SORTED_MAX
    }

    /// Takes out what may not go any more, for the hook to be told, and counts how many that are.
    fn expire<T>(&mut self, spot: &Spot<'_, T>, apart: &mut Apart<T>, now: Nanos, count: &mut u32) {
        if self.hands_back || mutant!("ordered.no_expiry") {
            return;
        }
        while let Some(job) = apart.jobs.expired(now) {
            let waited = Nanos(job.since.age(now.0)).as_duration();
            let Waiting { cost, payload, .. } = job;
            spot.lanes.expired.push(Expired { tenant: spot.tenant, cost, waited, payload });
            *count += 1;
        }
        if *count > 0 {
            spot.lanes.gate.entry(spot.lane).count_expired((*count).into());
        }
    }

    fn grant_in_order<T>(
        &mut self,
        spot: &Spot<'_, T>,
        drain: &mut Drain,
        apart: &mut Apart<T>,
        tally: &mut Tally<'_, T>,
    ) -> Next {
        let is_limited = self.holds_to_limits(spot) || (apart.has_extras && !self.hands_back);
        let whose = (spot.tenant, spot.tier);
        let books = (&self.ledger, &mut self.log);
        let mut granting = Granting::new(drain.account.purse(), whose, tally.now, books);
        let errands = &mut self.errands;
        let shelved_for = self.grants_are_shelved.then_some(spot.tenant);
        let (next, is_last) = if self.hands_back {
            let notes = (&mut self.handed_back, set_of(spot));
            (hand_back(&mut apart.jobs, tally.out, &mut granting, notes), false)
        } else if is_limited {
            let (gate, slot) = (&spot.lanes.gate, spot.tenant.slot());
            let entry = gate.entry(slot);
            let rules = &self.plan.rules[spot.number as usize];
            entry.open(|state| {
                let mut pass = Pass::new(gate, (spot.lane, slot), (entry, state), rules, tally.now);
                let (jobs, out) = (&mut apart.jobs, &mut *tally.out);
                let taken = take_in_order((jobs, shelved_for), out, &mut granting, Some(&mut pass));
                if let Some(denial) = taken.barred {
                    let (plan, profile) = (Arc::clone(&self.plan), spot.number);
                    apart.barred.get_or_insert(Barred { plan, profile, denial });
                }
                if let Some(denial) = taken.refused {
                    let since = pass.waits(&denial);
                    let refused = Refused { lane: spot.lane, slot, denial, since };
                    errands.refused.push((refused, spot.number));
                }
                errands.add(slot, pass.close());
                (taken.next, taken.is_last)
            })
        } else {
            let jobs = (&mut apart.jobs, shelved_for);
            let taken = take_in_order(jobs, tally.out, &mut granting, None);
            (taken.next, taken.is_last)
        };
        self.last_goes_first |= is_last;
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
        let Apart { jobs, kept, has_extras, .. } = apart;
        *has_extras &= !jobs.is_empty();
        let pool = &spot.lanes.pool;
        kept.trim(pool.blocks_of(jobs.len()), pool, &mut self.returns);
        // Jobs set aside count as waiting: they keep their places in the depth.
        let head = behind(drain.head.position(), jobs.len() as u32);
        match gone {
            (0, _) => spot.row.drained.publish_skips(head),
            (jobs, cost) => spot.row.drained.publish(head, jobs, cost),
        }
        // An unfinished producer may keep the job from being seen that this lane is put in order for.
        let is_busy = drain.head.rest(&spot.row.tail) == Rest::Busy;
        drain.head.has_aside = !jobs.is_empty() || is_busy;
        let soon = (!is_sorted).then(|| now.after(SOON));
        let moments = [jobs.next_due(), jobs.next_deadline(), soon];
        if let Some(next) = moments.into_iter().flatten().min() {
            self.errands.set_alarm(spot.lanes, spot.lane, next);
        }
    }
}

/// What stands for what the jobs of a lane require; 0 for nothing.
fn set_of<T>(spot: &Spot<'_, T>) -> u32 {
    let branches = spot.lanes.known_branches(spot.tenant.slot());
    let mut made = branches.iter().flatten();
    made.find(|branch| branch.lane == spot.lane).map_or(0, |branch| branch.set)
}

/// Notes the end of a wait: jobs have gone, or the last have expired. A refusal after grants has begun
/// another one already.
fn end_wait<T>(spot: &Spot<'_, T>, apart: &Apart<T>, (jobs, expired): (u32, u32), next: Next) {
    let is_empty = expired > 0 && apart.jobs.is_empty();
    if is_empty || (jobs > 0 && !matches!(next, Next::Refused)) {
        spot.lanes.gate.entry(spot.lane).end_wait();
    }
}

/// Grants jobs in the order in which they came, whatever they cost and whenever they are due, and notes what
/// each was submitted with. They require what `set` stands for.
fn hand_back<T>(
    jobs: &mut Aside<Waiting<T>>,
    out: &mut Outbox<Grant<T>>,
    granting: &mut Granting<'_>,
    (notes, set): (&mut Vec<HandedBack>, u32),
) -> Next {
    let mut till = granting.open_till();
    while out.room() > 0 {
        let Some((order, job)) = jobs.take_any() else { break };
        if order != Order::PLAIN || set != 0 {
            notes.push(HandedBack { at: out.len(), order, extra: job.extra, set });
        }
        till.purse.draw(job.cost);
        let charge = (job.cost, Held::NOTHING);
        let waited = granting.waited(job.since);
        out.push(granting.grant(&mut till, charge, waited, job.payload));
    }
    granting.close_till(till);
    if jobs.is_empty() { Next::Nothing } else { Next::Costs(0) }
}

/// What came of an attempt to grant jobs in their order.
struct Taken {
    next: Next,
    /// Why the next job was refused, if it was.
    refused: Option<Denial>,
    /// Why the first job will never go that was set apart, if any was.
    barred: Option<Denial>,
    /// Whether the last grant is the tick's last, and runs before the others.
    is_last: bool,
}

/// Grants jobs in their order, as long as there is room for grants, the balance covers them, and the
/// gate lets them through. Jobs that it will never let through are set apart.
///
/// Where grants are shelved, a job with a deadline is the last of its tick and runs first: behind others it might
/// run after its deadline. Behind jobs of its own lane it waits for the next tick.
fn take_in_order<T>(
    (jobs, shelved_for): (&mut Aside<Waiting<T>>, Option<Tenant>),
    out: &mut Outbox<Grant<T>>,
    granting: &mut Granting<'_>,
    mut pass: Option<&mut Pass<'_>>,
) -> Taken {
    let mut till = granting.open_till();
    let (mut barred, mut is_last) = (None, false);
    let (next, refused) = loop {
        let Some(job) = jobs.peek() else { break (Next::Nothing, None) };
        let cost = job.cost;
        let has_deadline = || jobs.peek_order().is_some_and(|it| it.deadline < Nanos::MAX);
        let whose = shelved_for.filter(|_| has_deadline());
        let is_its = |grant: &Grant<T>| Some(grant.tenant()) == whose;
        if whose.is_some() && till.purse.covers(cost) && out.after(0).iter().any(is_its) {
            out.limit(0);
        }
        if out.room() == 0 || !till.purse.covers(cost) {
            break (Next::Costs(cost), None);
        }
        let admitted = match &mut pass {
            Some(pass) => pass.admit(cost, job.extra.as_deref()),
            None => Ok(Held::NOTHING),
        };
        let held = match admitted {
            Ok(held) => held,
            Err(denial) if denial.until == Until::Change => {
                barred.get_or_insert(denial);
                jobs.bar();
                continue;
            }
            Err(denial) => break (Next::Refused, Some(denial)),
        };
        till.purse.pay(cost);
        let job = jobs.take().expect("it was there to be seen");
        let mut waited = granting.waited(job.since);
        if let Some(pass) = &mut pass {
            waited = Waited::from_bits(pass.keep(held, cost, job.extra, waited.to_bits()));
        }
        out.push(granting.grant(&mut till, (cost, held), waited, job.payload));
        if whose.is_some() {
            out.limit(0);
            is_last = true;
        }
    };
    granting.close_till(till);
    Taken { next, refused, barred, is_last }
}
