//! One worker's service of one lane.

use super::claimed::{Granted, Leaving};
use super::gated::Gated;
use super::granting::Granting;
use super::lanes::Lanes;
use super::linger::Stay;
use super::plan::Profile;
use super::seat::{Seat, Visit};
use crate::claim::Grant;
use crate::fair::{Account, Quantum, Refill, micros};
use crate::gate::{Denial, Pass, Refused, Until};
use crate::ring::{Left, Rest, Returns, Stop, Tail, prefetch_line};
use crate::rotation::{Claim, Findings};
use crate::sync::{DrainRight, Outbox, fault, mutant};
use crate::tenant::{Drain, LeftBehind, News, Row, Tenant};
use crate::units::{Cost, Nanos};

/// What the visits of one tick need and add up.
pub(super) struct Tally<'a, T> {
    /// Has room for the jobs that may still be granted.
    pub(super) out: &'a mut Outbox<Grant<T>>,
    /// Grants that stood there before the tick.
    before: usize,
    pub(super) now: Nanos,
    pub(super) cost: u64,
    /// Lanes visited and noted.
    pub(super) visits: u32,
    pub(super) stalled: bool,
    /// What becomes of a lane found empty.
    pub(super) stay: Stay,
}

impl<T> Spot<'_, T> {
    /// Whether this is not its tenant's first lane.
    #[inline(always)]
    fn is_branch(&self) -> bool {
        self.lane >= self.lanes.first_branch
    }

    /// Takes note of what has happened since the lane's last visit.
    #[inline]
    pub(super) fn greet(&self, drain: &mut Drain) {
        if self.news.any() {
            self.greet_with_news(drain);
        }
    }

    #[cold]
    fn greet_with_news(&self, drain: &mut Drain) {
        if self.news.has_new_tenant() {
            drain.account = Account::new();
        }
        // What stands before that job is put in order with it.
        drain.head.has_aside |= self.news.has_urgent();
    }
}

impl<'a, T> Tally<'a, T> {
    /// Nothing done yet at `now`, and grants for as many jobs as `out` has room for.
    pub(super) fn of(out: &'a mut Outbox<Grant<T>>, now: Nanos) -> Self {
        let before = out.len();
        Tally { out, before, now, cost: 0, visits: 0, stalled: false, stay: Stay::No }
    }

    /// Jobs granted.
    #[inline]
    pub(super) fn jobs(&self) -> u32 {
        (self.out.len() - self.before) as u32
    }
}

/// A lane as a visit finds it.
pub(super) struct Spot<'a, T> {
    pub(super) lanes: &'a Lanes<T>,
    pub(super) row: &'a Row,
    pub(super) lane: u32,
    pub(super) tenant: Tenant,
    pub(super) quantum: Quantum,
    pub(super) tier: u32,
    is_limited: bool,
    pub(super) claim: &'a Claim,
    pub(super) news: News,
    /// The number of the profile that the three above are of.
    pub(super) number: u32,
}

/// Where a visited lane goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Again,
    Over,
    /// The same: the next producer has not finished.
    Stalled,
    Lingers,
    Gone,
    /// Out of the rotation, into the lot.
    Parked,
    /// The visit is not over: jobs of the lane have an order of their own.
    Ordered,
}

/// What a visit has come to when it grants no more.
#[derive(Clone, Copy)]
pub(super) enum Next {
    /// No job is there, or none that is due.
    Nothing,
    /// The next job costs so much: more than the balance, or there is no room for its grant.
    Costs(u32),
    /// The next job is refused.
    Refused,
    /// The next job has an order of its own.
    Ordered,
}

impl Next {
    #[inline]
    fn of(stop: Stop) -> Next {
        match stop {
            Stop::Nothing => Next::Nothing,
            Stop::Held(cost) => Next::Costs(cost),
            Stop::Ordered => Next::Ordered,
        }
    }
}

impl Seat {
    #[inline]
    pub(super) fn visit<T>(
        &mut self,
        lanes: &Lanes<T>,
        claim: &Claim,
        right: &mut DrainRight,
        tally: &mut Tally<'_, T>,
        findings: &mut Findings,
    ) -> Place {
        let spot = &self.spot(lanes, right.lane(), claim);
        fault!("visit.begun");
        let visited = spot.row.drained.drain.open(right, |drain| {
            spot.greet(drain);
            if claim.is_fresh() && drain.account.waits_out(claim.refill.round) {
                return Ok(Place::Over);
            }
            self.begin(spot, drain);
            if drain.head.has_aside {
                return Ok(Place::Ordered);
            }
            let before = (tally.out.len(), tally.cost);
            let had_block = drain.head.has_block();
            let granted = Granted { row: spot.row, drain, tally, before };
            let visited = self.drain(spot, granted.drain, granted.tally, findings);
            std::mem::forget(granted);
            let (jobs, cost) = ((tally.out.len() - before.0) as u32, tally.cost - before.1);
            if claim.is_lingering() {
                self.linger.found(jobs > 0, had_block);
            }
            if jobs > 0 {
                findings.granted = true;
                spot.row.drained.publish(drain.head.position(), jobs, cost);
                self.observe(spot, jobs, cost);
            } else {
                spot.row.drained.publish_skips(drain.head.position());
            }
            visited
        });
        match visited {
            Ok(Place::Ordered) => self.visit_ordered(spot, right, tally, findings),
            Ok(place) => place,
            Err(left) => self.leave(spot, right, left, |tail, head, returns| {
                tail.deactivate(head, &lanes.pool, returns)
            }),
        }
    }

    /// Takes an empty lane out of the rotation, unless a producer is faster. All that the visit
    /// does to the lane comes before: the next moment it may be another worker's.
    #[inline(always)]
    pub(super) fn leave<T>(
        &mut self,
        spot: &Spot<'_, T>,
        right: &mut DrainRight,
        left: LeftBehind,
        deactivate: impl FnOnce(&Tail, Left, &mut Returns) -> bool,
    ) -> Place {
        let Spot { lanes, row, .. } = spot;
        // Nothing panics before the lane is idle, so what panics in here does so after it.
        let leaving = Leaving(right);
        let is_gone = deactivate(&row.tail, left.head, &mut self.returns);
        if is_gone {
            fault!("visit.left");
            if spot.is_branch() {
                lanes.table.row(spot.tenant.slot()).drained.discount_other();
            }
        }
        std::mem::forget(leaving);
        if is_gone {
            if mutant!("visit.touched_late") {
                row.drained.drain.open(right, |drain| drain.account.empty());
            }
            return Place::Gone;
        }
        row.drained.drain.open(right, |drain| drain.stay(left));
        Place::Over
    }

    /// All about a lane that does not change during a visit.
    #[inline(always)]
    pub(super) fn spot<'a, T>(
        &mut self,
        lanes: &'a Lanes<T>,
        lane: u32,
        claim: &'a Claim,
    ) -> Spot<'a, T> {
        let row = lanes.table.row(lane);
        let number = row.profile();
        let Profile { tier, quantum, is_limited, .. } = *self.profile(number);
        let (generation, news, others) = row.drained.visit_tenant();
        let tenant = Tenant::new(lane, generation, lanes.number);
        // Made in one piece: what is changed or moved later is copied through memory.
        let (tenant, quantum) = if lane >= lanes.first_branch || others > 0 {
            shared(lanes, (lane, row), tenant, (quantum, others))
        } else {
            (tenant, quantum)
        };
        Spot { lanes, row, lane, tenant, quantum, tier, is_limited, claim, news, number }
    }

    #[inline(always)]
    fn profile(&mut self, number: u32) -> &Profile {
        if self.plan.profiles.len() <= number as usize {
            // The tenant was named after this tick's plan was read.
            self.look_again_at_plan();
        }
        &self.plan.profiles[number as usize]
    }

    #[cold]
    fn look_again_at_plan(&mut self) {
        self.look_at_plan();
        // Lanes of the claim that came before went by the older one.
        self.errands.are_late = true;
    }

    #[inline]
    fn begin<T>(&mut self, spot: &Spot<'_, T>, drain: &mut Drain) {
        let mut corrected = spot.row.drained.take_corrections();
        if spot.is_branch() {
            corrected += spot.lanes.table.row(spot.tenant.slot()).drained.take_corrections();
        }
        if corrected != 0 {
            drain.account.correct(corrected);
        }
        let mut refill = spot.claim.refill;
        // A replay must notice: what a turn is worth is decided here and nowhere else.
        refill.shift += u32::from(mutant!("dispatch.half_turn"));
        if refill.leap > 1 {
            self.leap(spot, drain, corrected);
        } else {
            drain.account.begin(refill, spot.quantum);
        }
    }

    /// Begins a turn that may stand for many. The need for it was counted before a policy swap or
    /// a change of tier may have made quanta larger. What has just been given back comes on top.
    #[cold]
    fn leap<T>(&mut self, spot: &Spot<'_, T>, drain: &mut Drain, corrected: i64) {
        let Spot { lanes, row, quantum, claim: &Claim { refill, .. }, .. } = *spot;
        let mut plain = drain.account;
        plain.begin(Refill { leap: 1, ..refill }, quantum);
        drain.account.begin(refill, quantum);
        let first = if drain.head.has_aside {
            // What comes first there shows later; it costs no more than this.
            Some(Cost::MAX.get())
        } else {
            drain.head.first_cost((&row.tail, &lanes.pool, &mut self.returns))
        };
        let enough = micros(first.unwrap_or(0).into()) + corrected.max(0);
        drain.account.cap_leap(plain, enough, quantum, refill.shift);
    }

    /// Serves one lane, and says where it goes. `Err` when it is empty and still to be taken
    /// out of the rotation.
    #[inline]
    fn drain<T>(
        &mut self,
        spot: &Spot<'_, T>,
        drain: &mut Drain,
        tally: &mut Tally<'_, T>,
        findings: &mut Findings,
    ) -> Result<Place, LeftBehind> {
        let before = tally.out.len();
        let next = if self.holds_to_limits(spot) {
            self.grant_limited(spot, drain, tally)
        } else {
            Next::of(self.grant_jobs(spot, drain, tally))
        };
        let any = tally.out.len() > before;
        fault!("visit.granted");
        match next {
            // Most likely empty, but looking at the producers' line to be sure would cost more
            // than visiting the lane once again.
            Next::Nothing if any && tally.stay != Stay::No => {
                drain.account.granted();
                drain.account.empty();
                self.let_linger(spot, drain, tally.stay);
                Ok(Place::Lingers)
            }
            next => self.place(spot, drain, (next, any), tally, findings),
        }
    }

    /// Leaves a lane in the rotation that seems to be empty.
    #[inline]
    fn let_linger<T>(&mut self, spot: &Spot<'_, T>, drain: &mut Drain, stay: Stay) {
        let lane = (&spot.row.tail, &spot.lanes.pool, &mut self.returns);
        if stay == Stay::WithBlock || !drain.head.give_up_block(lane) {
            self.linger.left_with_block();
        }
    }

    /// Whether the gate has a say in this visit.
    #[inline]
    pub(super) fn holds_to_limits<T>(&self, spot: &Spot<'_, T>) -> bool {
        spot.is_limited && !self.hands_back
    }

    /// Where a lane goes whose visit has come to `next`, after `any` grants.
    // Always inlined, so that what it is given and returns is never in memory.
    #[inline(always)]
    pub(super) fn place<T>(
        &mut self,
        spot: &Spot<'_, T>,
        drain: &mut Drain,
        (next, any): (Next, bool),
        tally: &mut Tally<'_, T>,
        findings: &mut Findings,
    ) -> Result<Place, LeftBehind> {
        if any {
            drain.account.granted();
        }
        let cost = match next {
            Next::Costs(cost) => cost,
            Next::Nothing => return Self::rest(spot, drain, tally),
            other => return Ok(Self::put_off(other, drain)),
        };
        if tally.out.room() == 0 {
            let goes_on = drain.account.covers(cost);
            return Ok(if goes_on { Place::Again } else { Place::Over });
        }
        let (quantum, shift) = (spot.quantum, spot.claim.refill.shift);
        if let Some(turns) = drain.account.end_short(cost, quantum, shift) {
            findings.needs(turns);
        }
        Ok(Place::Over)
    }

    /// Where a lane goes whose next job is not for the rotation.
    #[cold]
    fn put_off(next: Next, drain: &mut Drain) -> Place {
        if matches!(next, Next::Ordered) {
            return Place::Ordered;
        }
        drain.account.pause();
        Place::Parked
    }

    /// Grants jobs of one lane while its balance and the tick's allowance last.
    #[inline]
    fn grant_jobs<T>(
        &mut self,
        spot: &Spot<'_, T>,
        drain: &mut Drain,
        tally: &mut Tally<'_, T>,
    ) -> Stop {
        let whose = (spot.tenant, spot.tier);
        let books = (&self.ledger, &mut self.log);
        let mut granting = Granting::new(drain.account.purse(), whose, tally.now, books);
        let lane = (&spot.row.tail, &spot.lanes.pool, &mut self.returns);
        let stop = drain.head.take_while(lane, tally.out, &mut granting);
        tally.cost += drain.account.take_back(granting.purse);
        stop
    }

    /// The same for a tenant with limits.
    #[inline(never)]
    fn grant_limited<T>(
        &mut self,
        spot: &Spot<'_, T>,
        drain: &mut Drain,
        tally: &mut Tally<'_, T>,
    ) -> Next {
        let slot = spot.tenant.slot();
        let gate = &spot.lanes.gate;
        let entry = gate.entry(slot);
        entry.begin_for(spot.tenant.generation());
        if spot.is_branch() {
            gate.entry(spot.lane).begin_for(spot.tenant.generation());
        }
        let whose = (spot.tenant, spot.tier);
        let books = (&self.ledger, &mut self.log);
        let granting = Granting::new(drain.account.purse(), whose, tally.now, books);
        let rules = &self.plan.rules[spot.number as usize];
        let (returns, errands) = (&mut self.returns, &mut self.errands);
        entry.open(|state| {
            let pass = Pass::new(gate, (spot.lane, slot), (entry, state), rules, tally.now);
            let mut gated = Gated::new(granting, pass);
            let lane = (&spot.row.tail, &spot.lanes.pool, returns);
            let stop = drain.head.take_while(lane, tally.out, &mut gated);
            tally.cost += drain.account.take_back(gated.granting.purse);
            let denial = gated.denial;
            if let Some(Denial { until: Until::Change, .. }) = denial {
                // No limit will let the first job go: out of the way of the others.
                errands.add(slot, gated.pass.close());
                drain.head.has_aside = true;
                return Next::Ordered;
            }
            if let Some(denial) = denial {
                let since = gated.pass.waits(&denial);
                errands
                    .refused
                    .push((Refused { lane: spot.lane, slot, denial, since }, spot.number));
            }
            errands.add(slot, gated.pass.close());
            if denial.is_some() { Next::Refused } else { Next::of(stop) }
        })
    }

    /// What becomes of a lane without a published job.
    fn rest<T>(
        spot: &Spot<'_, T>,
        drain: &mut Drain,
        tally: &mut Tally<'_, T>,
    ) -> Result<Place, LeftBehind> {
        if drain.head.rest(&spot.row.tail) == Rest::Busy {
            // Nothing is saved up meanwhile, as with an empty lane: a stall must not end in a burst.
            drain.account.empty();
            tally.stalled = true;
            return Ok(Place::Stalled);
        }
        drain.account.empty();
        spot.row.note_rest(spot.lanes.latest(), drain.account.owes());
        Err(drain.leave())
    }

    #[inline]
    pub(super) fn observe<T>(&mut self, spot: &Spot<'_, T>, jobs: u32, cost: u64) {
        if self.observed {
            let quantum = spot.quantum.units();
            self.visits.push(Visit { tenant: spot.tenant, jobs, cost, quantum });
        }
    }
}

/// Whose a lane is, and its part of the quantum: a tenant with several backlogged lanes splits it
/// between them, and a lane beside its tenant's first does not know whose it is.
#[cold]
fn shared<T>(
    lanes: &Lanes<T>,
    (lane, row): (u32, &Row),
    tenant: Tenant,
    (quantum, others): (Quantum, u32),
) -> (Tenant, Quantum) {
    if lane < lanes.first_branch {
        return (tenant, quantum.part(others + 1));
    }
    let (owner, kin) = lanes.kin(row);
    let tenant = Tenant::new(owner, tenant.generation(), tenant.engine());
    (tenant, quantum.part(kin + 1))
}

/// Asks for the first job of a lane that is visited soon.
#[inline]
pub(super) fn prefetch_job<T>(lanes: &Lanes<T>, right: &mut DrainRight) {
    let row = lanes.table.row(right.lane());
    row.drained.drain.open(right, |drain| drain.head.prefetch(&row.tail, &lanes.pool));
}

/// Brings the rows of lanes close: with many lanes each would be a cache miss. Of a lane that stays
/// in the rotation only the drainer's line is needed: taking the producers' away from them costs
/// more than all the rest of a visit.
#[inline]
pub(super) fn prefetch_rows<T>(lanes: &Lanes<T>, rights: &[DrainRight], are_fresh: bool) {
    for right in rights.iter().skip(1) {
        let row = lanes.table.row(right.lane());
        if are_fresh {
            prefetch_line(std::ptr::from_ref(row).cast());
        }
        prefetch_line(std::ptr::from_ref(&row.drained).cast());
    }
}
