//! One worker's place at the rotation.

use super::granting::Granting;
use super::lanes::Lanes;
use super::linger::Linger;
use super::pace::Pace;
use super::plan::{Plan, Profile};
use crate::claim::{Grant, Ledger};
use crate::fair::{Account, Refill, micros};
use crate::ring::{Rest, Returns, Stop, prefetch_line};
use crate::rotation::{Claim, Findings};
use crate::stats::{DelayLog, Delays, SeatCounters};
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::sync::{DrainRight, Lender, Lent, Outbox, Reader, full_fence, mutant, ord};
use crate::tenant::{Drain, LeftBehind, Row, Tenant};
use crate::units::Nanos;
use std::sync::Arc;

/// Most lanes taken out of the rotation at once, while handlers are fast.
const LANES_FAST: u32 = 64;
/// Lanes between asking for a lane's first job and reading it.
const PREFETCH_LANES: usize = 4;
/// Rounds that come no nearer to a grant before a worker concludes that only unfinished producers
/// are left.
const BARREN_ROUNDS: u32 = 2;

/// What a tick came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Tick {
    /// This many jobs were granted.
    Granted(u32),
    /// Only lanes are left whose producer has reserved a place and not finished.
    Stalled,
    /// Nothing waits.
    Idle,
}

/// What one visit served, for an observer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Visit {
    pub(crate) tenant: Tenant,
    pub(crate) jobs: u32,
    pub(crate) cost: u64,
    pub(crate) quantum: f64,
}

/// What a worker owns: it claims lanes, visits them, and turns jobs into grants.
pub(crate) struct Seat {
    index: usize,
    reader: Reader<Plan>,
    /// The plan of the current tick.
    plan: Arc<Plan>,
    returns: Returns,
    ledger: Lender<Ledger>,
    pub(crate) counters: Arc<SeatCounters>,
    pub(crate) delays: Arc<Delays>,
    pub(crate) log: DelayLog,
    pace: Pace,
    linger: Linger,
    /// Lanes of a claim to prepare at once: as many as a tick's jobs were found to come from.
    reach: u32,
    /// Rights of the claim being served; kept for its memory.
    rights: Vec<DrainRight>,
    /// Visits of the last tick that granted something; filled only for an observer.
    pub(crate) visits: Vec<Visit>,
    pub(crate) observed: bool,
}

/// What the visits of one tick need and add up.
struct Tally<'a, T> {
    /// Has room for the jobs that may still be granted.
    out: &'a mut Outbox<Grant<T>>,
    now: Nanos,
    cost: u64,
    visits: u32,
    stalled: bool,
    /// Whether a lane found empty stays for one more round.
    linger: bool,
}

/// A lane as a visit finds it.
struct Spot<'a, T> {
    lanes: &'a Lanes<T>,
    row: &'a Row,
    tenant: Tenant,
    profile: Profile,
    refill: Refill,
    is_fresh: bool,
    /// The lane has a new tenant, with a balance of its own.
    is_new: bool,
}

impl Seat {
    pub(crate) fn new<T: Send + 'static>(
        index: usize,
        lanes: &Arc<Lanes<T>>,
        counters: Arc<SeatCounters>,
        delays: Arc<Delays>,
    ) -> (Seat, crate::sync::Arc<Lent<Ledger>>) {
        let books: Arc<dyn crate::claim::Books> = Arc::clone(lanes) as _;
        let (ledger, lent) = Lender::new(Ledger::new(books));
        let seat = Seat {
            index,
            reader: lanes.plan.reader(),
            plan: lanes.plan.load(),
            returns: Returns::new(),
            ledger,
            counters,
            delays,
            log: DelayLog::new(),
            pace: Pace::new(),
            linger: Linger::default(),
            reach: LANES_FAST,
            rights: Vec::with_capacity(LANES_FAST as usize),
            visits: Vec::new(),
            observed: false,
        };
        (seat, lent)
    }

    /// Whether jobs take so long that each is granted alone.
    #[inline]
    pub(crate) fn is_slow(&self) -> bool {
        self.pace.is_slow()
    }

    /// Whether jobs take so long that each is timed.
    #[inline]
    pub(crate) fn is_timed(&self) -> bool {
        self.pace.is_timed()
    }

    /// Grants up to `most` jobs at the moment `now`, appending them to `out` as far as it has room.
    /// Runs no user code and returns with no lane claimed.
    pub(crate) fn tick<T>(
        &mut self,
        lanes: &Lanes<T>,
        now: Nanos,
        most: u32,
        out: &mut Outbox<Grant<T>>,
    ) -> Tick {
        self.arrive(now);
        let slow = self.pace.is_slow();
        let before = out.len();
        out.limit(most as usize);
        let most = out.room() as u32;
        let mut tally = Tally {
            out,
            now,
            cost: 0,
            visits: 0,
            stalled: false,
            linger: !slow && self.linger.is_worth_it() && !lanes.pool.is_scarce(),
        };
        let shift = self.shift();
        let mut barren = Barren::default();
        while tally.out.room() > 0 {
            let most = if slow { 1 } else { LANES_FAST };
            let claim = lanes.rotation.claim(self.index, most, tally.out.room() as u32, shift);
            let Some(claim) = claim else { break };
            let refill = claim.refill;
            if claim.wakes && !mutant!("dispatch.no_rewake") {
                lanes.sleepers.wake_one();
            }
            let came_nearer = self.serve(lanes, claim, &mut tally);
            if barren.is_over(refill, came_nearer) && tally.stalled {
                break;
            }
        }
        let jobs = (tally.out.len() - before) as u32;
        let full = tally.out.room() == 0;
        self.reach = if full { tally.visits } else { 2 * self.reach }.clamp(1, LANES_FAST);
        self.pace.found(jobs, most);
        self.finish(lanes, now, jobs, tally.cost);
        match jobs {
            0 if tally.stalled => Tick::Stalled,
            0 => {
                self.found_nothing(now);
                Tick::Idle
            }
            jobs => Tick::Granted(jobs),
        }
    }

    /// What comes before the first claim of a tick.
    #[inline]
    fn arrive(&mut self, now: Nanos) {
        if !self.pace.arrive(now) {
            self.counters.end_idleness(now);
        }
        self.pace.gather();
        self.visits.clear();
        if self.ledger.is_quiet() {
            self.counters.busy_since.store(unit(now), Relaxed);
        }
        self.look_at_plan();
    }

    fn found_nothing(&mut self, now: Nanos) {
        self.linger.none_left();
        // Grants that run elsewhere keep the worker busy until a later look.
        if self.ledger.is_quiet() {
            self.counters.begin_idleness(now);
        }
    }

    /// Takes over a newly published plan; a load and a compare when there is none.
    #[inline]
    fn look_at_plan(&mut self) {
        let newest = self.reader.get();
        if !Arc::ptr_eq(newest, &self.plan) {
            self.plan = Arc::clone(newest);
        }
    }

    fn shift(&self) -> u32 {
        self.pace.shift(self.plan.policy.base_quantum(), self.plan.smallest_quantum)
    }

    fn finish<T>(&mut self, lanes: &Lanes<T>, now: Nanos, jobs: u32, cost: u64) {
        if jobs == 0 {
            return;
        }
        self.log.flush_full(&self.delays);
        self.pace.depart(now, jobs, cost);
        self.counters.granted.add(u64::from(jobs));
        self.counters.cost.add(cost);
        lanes.cadence.stamp(self.pace.is_timed());
    }

    /// Gives back what the worker keeps at hand, before it sleeps or leaves.
    pub(crate) fn settle_down<T>(&mut self, lanes: &Lanes<T>) {
        self.log.flush(&self.delays);
        if lanes.pool.flush(&mut self.returns) {
            // ORDERING(dispatch.settle_fence): either a submitter's last attempt finds the blocks,
            // or this look sees the submitter; pairs with crowd.fence. No model notices when it is
            // weaker: it decides only where the attempt found a stripe taken, and there models
            // wait.
            full_fence(SeqCst);
            if lanes.crowd.is_waiting() && !mutant!("dispatch.blocks_untold") {
                lanes.admit_waiting();
            }
        }
    }

    /// Visits every lane of a claim and puts them back. Returns whether a job was granted, or a
    /// lane saves up for its first one.
    fn serve<T>(&mut self, lanes: &Lanes<T>, mut claim: Claim, tally: &mut Tally<'_, T>) -> bool {
        let mut rights = std::mem::take(&mut self.rights);
        let mut findings = Findings::default();
        let before = tally.visits;
        while tally.out.room() > 0 && !claim.is_used_up() {
            let more = std::iter::from_fn(|| claim.next_right()).take(self.reach as usize);
            rights.extend(more);
            prefetch_rows(lanes, &rights, claim.is_fresh());
            match &mut rights[..] {
                [right] if claim.is_used_up() && !findings.leaves_backlog() => {
                    self.visit_alone(lanes, &mut claim, right, tally, &mut findings);
                }
                rights => self.visit_all(lanes, &claim, rights, tally, &mut findings),
            }
            // What stands here has been visited, or is put back unseen: the rights end.
            rights.clear();
        }
        findings.all_unseen(&mut claim);
        self.rights = rights;
        lanes.rotation.put_back(self.index, &claim, &findings);
        self.counters.claims.add(1);
        self.counters.visits.add(u64::from(tally.visits - before));
        self.tell(lanes, &findings);
        findings.granted || findings.is_short()
    }

    fn visit_all<T>(
        &mut self,
        lanes: &Lanes<T>,
        claim: &Claim,
        rights: &mut [DrainRight],
        tally: &mut Tally<'_, T>,
        findings: &mut Findings,
    ) {
        for at in 0..rights.len() {
            if let Some(right) = rights.get_mut(at + PREFETCH_LANES) {
                prefetch_job(lanes, right);
            }
            let right = &mut rights[at];
            if tally.out.room() == 0 {
                findings.unseen(right);
                continue;
            }
            let place = self.visit(lanes, claim, right, tally, findings);
            self.note(place, right, findings);
        }
    }

    /// Visits a claim's only lane, again and again as long as there is no other in the rotation:
    /// each time is a turn in a round of its own.
    fn visit_alone<T>(
        &mut self,
        lanes: &Lanes<T>,
        claim: &mut Claim,
        right: &mut DrainRight,
        tally: &mut Tally<'_, T>,
        findings: &mut Findings,
    ) {
        let shift = self.shift();
        loop {
            let before = tally.out.len();
            let place = self.visit(lanes, claim, right, tally, findings);
            let goes_on = place == Place::Over && tally.out.len() > before && tally.out.room() > 0;
            if !(goes_on && lanes.rotation.go_round_alone(self.index, claim, shift)) {
                return self.note(place, right, findings);
            }
        }
    }

    fn note(&mut self, place: Place, right: &DrainRight, findings: &mut Findings) {
        match place {
            Place::Again => findings.again(right),
            Place::Over => findings.over(right),
            Place::Lingers => {
                self.linger.left();
                findings.lingers(right);
            }
            Place::Gone => {}
        }
    }

    #[inline]
    fn visit<T>(
        &mut self,
        lanes: &Lanes<T>,
        claim: &Claim,
        right: &mut DrainRight,
        tally: &mut Tally<'_, T>,
        findings: &mut Findings,
    ) -> Place {
        tally.visits += 1;
        let spot = &self.spot(lanes, right.lane(), claim);
        let visited = spot.row.drained.drain.open(right, |drain| {
            if spot.is_new {
                drain.account = Account::new();
            }
            if spot.is_fresh && drain.account.had_turn(spot.refill.round) {
                return Ok(Place::Over);
            }
            self.begin(spot, drain);
            let before = (tally.out.len(), tally.cost);
            let visited = self.drain(spot, drain, tally, findings);
            let (jobs, cost) = ((tally.out.len() - before.0) as u32, tally.cost - before.1);
            if claim.is_lingering() {
                self.linger.found(jobs > 0);
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
        visited.unwrap_or_else(|left| self.leave(spot, right, left))
    }

    /// Takes an empty lane out of the rotation, unless a producer is faster. All that the visit
    /// does to the lane comes before: the next moment it may be another worker's.
    fn leave<T>(&mut self, spot: &Spot<'_, T>, right: &mut DrainRight, left: LeftBehind) -> Place {
        let Spot { lanes, row, .. } = spot;
        if row.tail.deactivate(left.head, &lanes.pool, &mut self.returns) {
            return Place::Gone;
        }
        row.drained.drain.open(right, |drain| drain.stay(left));
        Place::Over
    }

    /// Tells others what the claim leaves behind: work for a sleeper, room for a submitter.
    #[inline]
    fn tell<T>(&self, lanes: &Lanes<T>, findings: &Findings) {
        if findings.leaves_backlog() {
            if !mutant!("dispatch.no_wake_passed") {
                lanes.sleepers.wake_one();
            }
        } else if findings.granted {
            // ORDERING(dispatch.room_fence): the put-back had no lane to insert, and so no fence;
            // pairs with crowd.fence.
            full_fence(ord!("dispatch.room_fence", SeqCst => AcqRel));
        }
        if findings.granted && lanes.crowd.is_waiting() {
            lanes.admit_waiting();
        }
    }

    /// All about a lane that does not change during a visit.
    #[inline]
    fn spot<'a, T>(&self, lanes: &'a Lanes<T>, lane: u32, claim: &Claim) -> Spot<'a, T> {
        let row = lanes.table.row(lane);
        let number = row.profile() as usize;
        let profile = match self.plan.profiles.get(number) {
            Some(profile) => *profile,
            // The tenant was named after this tick's plan was read.
            None => lanes.plan.load().profiles[number],
        };
        let (generation, is_new) = row.drained.visit_tenant();
        let tenant = Tenant::new(lane, generation, lanes.number);
        Spot {
            lanes,
            row,
            tenant,
            profile,
            refill: claim.refill,
            is_fresh: claim.is_fresh(),
            is_new,
        }
    }

    #[inline]
    fn begin<T>(&mut self, spot: &Spot<'_, T>, drain: &mut Drain) {
        let corrected = spot.row.drained.take_corrections();
        if corrected != 0 {
            drain.account.correct(corrected);
        }
        let mut refill = spot.refill;
        // A replay must notice: what a turn is worth is decided here and nowhere else.
        refill.shift += u32::from(mutant!("dispatch.half_turn"));
        if refill.leap > 1 {
            self.leap(spot, drain, corrected);
        } else {
            drain.account.begin(refill, spot.profile.quantum);
        }
    }

    /// Begins a turn that may stand for many. The need for it was counted before a policy swap or
    /// a change of tier may have made quanta larger. What has just been given back comes on top.
    #[cold]
    fn leap<T>(&mut self, spot: &Spot<'_, T>, drain: &mut Drain, corrected: i64) {
        let Spot { lanes, row, profile, refill, .. } = *spot;
        let mut plain = drain.account;
        plain.begin(Refill { leap: 1, ..refill }, profile.quantum);
        drain.account.begin(refill, profile.quantum);
        let first = drain.head.first_cost((&row.tail, &lanes.pool, &mut self.returns));
        let enough = micros(first.unwrap_or(0).into()) + corrected.max(0);
        drain.account.cap_leap(plain, enough, profile.quantum, refill.shift);
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
        let stop = self.grant_jobs(spot, drain, tally);
        let any = tally.out.len() > before;
        if any {
            drain.account.granted();
        }
        let meta = match stop {
            // Most likely empty, but looking at the producers' line to be sure would cost more
            // than visiting the lane once again.
            Stop::Nothing if any && tally.linger => {
                drain.account.empty();
                return Ok(Place::Lingers);
            }
            Stop::Nothing => return Self::rest(spot.row, drain, tally),
            Stop::Held(meta) => meta,
        };
        if tally.out.room() == 0 {
            let goes_on = drain.account.covers(meta.cost());
            return Ok(if goes_on { Place::Again } else { Place::Over });
        }
        let (quantum, shift) = (spot.profile.quantum, spot.refill.shift);
        if let Some(turns) = drain.account.end_short(meta.cost(), quantum, shift) {
            findings.needs(turns);
        }
        Ok(Place::Over)
    }

    /// Grants jobs of one lane while its balance and the tick's allowance last.
    #[inline]
    fn grant_jobs<T>(
        &mut self,
        spot: &Spot<'_, T>,
        drain: &mut Drain,
        tally: &mut Tally<'_, T>,
    ) -> Stop {
        let mut granting = Granting {
            account: drain.account,
            cost: 0,
            loans: self.ledger.run(),
            tenant: spot.tenant,
            tier: spot.profile.tier,
            now: tally.now,
            log: &mut self.log,
        };
        let lane = (&spot.row.tail, &spot.lanes.pool, &mut self.returns);
        let stop = drain.head.take_while(lane, tally.out, &mut granting);
        drain.account = granting.account;
        tally.cost += granting.cost;
        stop
    }

    /// What becomes of a lane without a published job.
    fn rest<T>(
        row: &Row,
        drain: &mut Drain,
        tally: &mut Tally<'_, T>,
    ) -> Result<Place, LeftBehind> {
        if drain.head.rest(&row.tail) == Rest::Busy {
            // Nothing is saved up meanwhile, as with an empty lane: a stall must not end in a
            // burst.
            drain.account.empty();
            tally.stalled = true;
            return Ok(Place::Over);
        }
        drain.account.empty();
        row.note_rest(unit(tally.now), drain.account.owes());
        Err(drain.leave())
    }

    #[inline]
    fn observe<T>(&mut self, spot: &Spot<'_, T>, jobs: u32, cost: u64) {
        if self.observed {
            let quantum = spot.profile.quantum.units();
            self.visits.push(Visit { tenant: spot.tenant, jobs, cost, quantum });
        }
    }
}

/// A moment in units of 2^30 ns, about a second. Never 0, which stands for "never".
#[inline]
pub(crate) fn unit(now: Nanos) -> u32 {
    ((now.0 >> 30) as u32).saturating_add(1)
}

/// Where a visited lane goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Again,
    Over,
    Lingers,
    Gone,
}

/// Counts rounds that came no nearer to a grant.
#[derive(Default)]
struct Barren {
    round: Option<u32>,
    rounds: u32,
}

impl Barren {
    fn is_over(&mut self, refill: Refill, came_nearer: bool) -> bool {
        if came_nearer {
            *self = Barren::default();
            return false;
        }
        if self.round != Some(refill.round) {
            self.round = Some(refill.round);
            self.rounds += 1;
        }
        self.rounds > BARREN_ROUNDS
    }
}

/// Asks for the first job of a lane that is visited soon.
#[inline]
fn prefetch_job<T>(lanes: &Lanes<T>, right: &mut DrainRight) {
    let row = lanes.table.row(right.lane());
    row.drained.drain.open(right, |drain| drain.head.prefetch(&row.tail, &lanes.pool));
}

/// Brings the rows of lanes close: with many lanes each would be a cache miss. Of a lane that stays
/// in the rotation only the drainer's line is needed: taking the producers' away from them costs
/// more than all the rest of a visit.
#[inline]
fn prefetch_rows<T>(lanes: &Lanes<T>, rights: &[DrainRight], are_fresh: bool) {
    for right in rights.iter().skip(1) {
        let row = lanes.table.row(right.lane());
        if are_fresh {
            prefetch_line(std::ptr::from_ref(row).cast());
        }
        prefetch_line(std::ptr::from_ref(&row.drained).cast());
    }
}
