//! One worker's place at the rotation.

use super::barren::Barren;
use super::claimed::Claimed;
use super::gated::Errands;
use super::lanes::Lanes;
use super::linger::{Linger, Stay};
use super::ordered::HandedBack;
use super::pace::Pace;
use super::plan::Plan;
use super::visit::{Place, Tally, prefetch_job};
use crate::claim::{Grant, Ledger};
use crate::gate::Denial;
use crate::park::NewRoom;
use crate::ring::Returns;
use crate::rotation::{Claim, Findings};
use crate::stats::{DelayLog, Delays, SeatCounters};
use crate::sync::atomic::Ordering::{Relaxed, SeqCst};
use crate::sync::{DrainRight, Lender, Lent, Outbox, Reader, full_fence, mutant, ord};
use crate::tenant::Tenant;
use crate::units::Nanos;
use std::sync::Arc;

/// Most lanes taken out of the rotation at once, while handlers are fast.
const LANES_FAST: u32 = 64;
/// Lanes between asking for a lane's first job and reading it.
const PREFETCH_LANES: usize = 4;

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
    pub(super) index: usize,
    reader: Reader<Plan>,
    /// The plan of the current tick.
    pub(super) plan: Arc<Plan>,
    pub(super) returns: Returns,
    pub(super) ledger: Lender<Ledger>,
    pub(crate) counters: Arc<SeatCounters>,
    pub(crate) delays: Arc<Delays>,
    pub(crate) log: DelayLog,
    pub(super) pace: Pace,
    pub(super) linger: Linger,
    /// Lanes of a claim to prepare at once: as many as a tick's jobs were found to come from.
    pub(super) reach: u32,
    /// Rights of the claim being served; kept for its memory.
    pub(super) rights: Vec<DrainRight>,
    pub(super) errands: Errands,
    /// The classes of jobs that may be granted here, a bit each, and of which version that is true.
    pub(super) reach_of: (u64, u64),
    /// The class of the present claim, and the one that is served next.
    pub(super) class: usize,
    pub(super) next_class: usize,
    /// The round of each class that was served last.
    pub(super) rounds: [u32; 64],
    /// Whether what one tick grants runs one after the other on the engine's own thread.
    pub(crate) grants_are_shelved: bool,
    /// Whether the last grant of the last tick is to run before the others: its job has a deadline.
    pub(crate) last_goes_first: bool,
    /// Whether this is a drain that hands back what waits: no limits, no order, no due times.
    pub(crate) hands_back: bool,
    /// What jobs of the last tick were submitted with that were handed back, in the order of their grants;
    /// those that say nothing but their cost are left out.
    pub(crate) handed_back: Vec<HandedBack>,
    /// Visits of the last tick that granted something; filled only for an observer.
    pub(crate) visits: Vec<Visit>,
    pub(crate) observed: bool,
}

/// A lane that was parked, for an observer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Park {
    pub(crate) tenant: Tenant,
    pub(crate) denial: Denial,
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
            errands: Errands::default(),
            reach_of: (1, 0),
            class: 0,
            next_class: 0,
            rounds: [0; 64],
            grants_are_shelved: false,
            last_goes_first: false,
            hands_back: false,
            handed_back: Vec::new(),
            visits: Vec::new(),
            observed: false,
        };
        (seat, lent)
    }

    /// Lets an observer see what this seat does.
    pub(crate) fn be_observed(&mut self) {
        (self.observed, self.errands.are_observed) = (true, true);
    }

    /// Whether there is anything to tell an observer.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        self.observed && !(self.visits.is_empty() && self.errands.parked.is_empty())
    }

    /// Lanes parked since the last call; only for an observer.
    pub(crate) fn take_parks<T>(&mut self, lanes: &Lanes<T>) -> Vec<Park> {
        let park = |(lane, denial)| {
            // Its jobs wait, so the tenant is still the one that was visited.
            let generation = lanes.table.row(lane).tail.look().generation();
            Park { tenant: Tenant::new(lane, generation, lanes.number), denial }
        };
        self.errands.parked.drain(..).map(park).collect()
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
        let was_busy = self.arrive(lanes, now);
        self.keep_time(lanes, now);
        if lanes.routes.version() != self.reach_of.1 {
            self.look_at_routes(lanes);
        }
        let slow = self.pace.is_slow();
        out.limit(most as usize);
        let most = out.room() as u32;
        let mut tally = Tally::of(out, now);
        tally.stay = if slow { Stay::No } else { self.linger.decide(lanes.pool.is_scarce()) };
        let shift = self.shift();
        let mut barren = Barren::default();
        while tally.out.room() > 0 {
            let most = if slow { 1 } else { LANES_FAST };
            let jobs = tally.out.room() as u32;
            let claim = if self.reach_of.0 == 1 {
                lanes.rotation.claim(self.index, most, jobs, shift)
            } else {
                self.claim_of_any_class(lanes, most, jobs, shift)
            };
            let Some(claim) = claim else { break };
            let refill = claim.refill;
            if claim.wakes && !mutant!("dispatch.no_rewake") {
                self.wake_one(lanes);
            }
            let came_nearer = self.serve(lanes, claim, &mut tally);
            if barren.is_over(refill, came_nearer) && tally.stalled {
                break;
            }
        }
        let jobs = tally.jobs();
        let full = tally.out.room() == 0;
        self.reach = if full { tally.visits } else { 2 * self.reach }.clamp(1, LANES_FAST);
        // A job with a deadline may have left no room for others.
        self.pace.found(jobs, if full { jobs } else { most });
        self.finish(lanes, now, jobs, tally.cost);
        if tally.stalled && jobs > 0 {
            // Somebody else is to look after the unfinished producers while these jobs run.
            lanes.wake_for_all();
        }
        match jobs {
            0 if tally.stalled => Tick::Stalled,
            0 => {
                // Without room for a grant nothing was looked for: others may have their turn to come.
                let is_over = was_busy && !full;
                self.found_nothing(lanes, now, is_over);
                Tick::Idle
            }
            jobs => Tick::Granted(jobs),
        }
    }

    /// What comes before the first claim of a tick. Whether the tick before granted anything.
    #[inline]
    fn arrive<T>(&mut self, lanes: &Lanes<T>, now: Nanos) -> bool {
        let was_busy = self.pace.arrive(now);
        if !was_busy {
            self.counters.end_idleness(now);
        }
        self.pace.gather();
        self.visits.clear();
        self.last_goes_first = false;
        lanes.note_look(unit(now));
        if self.ledger.is_quiet() {
            self.counters.busy_since.store(unit(now), Relaxed);
        }
        self.look_at_plan();
        was_busy
    }

    /// Notes that a tick has come to nothing, and ends the round if that `is_over` with it.
    fn found_nothing<T>(&mut self, lanes: &Lanes<T>, now: Nanos, is_over: bool) {
        self.linger.none_left();
        if is_over {
            self.rotation(lanes).end_round(self.index, self.shift());
        }
        // Grants that run elsewhere keep the worker busy until a later look.
        if self.ledger.is_quiet() {
            self.counters.begin_idleness(now);
        }
    }

    /// Takes over a newly published plan; a load and a compare when there is none.
    #[inline(always)]
    pub(super) fn look_at_plan(&mut self) {
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

    /// Counts what a tick has granted that a panic cuts short.
    pub(super) fn count_grants<T>(&self, tally: &Tally<'_, T>) {
        self.counters.granted.add(tally.jobs().into());
        self.counters.cost.add(tally.cost);
    }

    /// Gives back what the worker keeps at hand, before it sleeps or leaves, and does what a panic may have
    /// left undone.
    pub(crate) fn settle_down<T>(&mut self, lanes: &Lanes<T>) {
        if !self.errands.are_none() {
            self.run_errands(lanes);
        }
        self.log.flush(&self.delays);
        if lanes.pool.flush(&mut self.returns) {
            // ORDERING(dispatch.settle_fence): either a submitter's last attempt finds the blocks,
            // or this look sees the submitter; pairs with crowd.fence. No model notices when it is
            // weaker: it decides only where the attempt found a stripe taken, and there models
            // wait.
            full_fence(SeqCst);
            if lanes.crowd.is_waiting() && !mutant!("dispatch.blocks_untold") {
                lanes.admit_waiting(&NewRoom { lanes: 0..0, blocks: true });
            }
        }
    }

    /// Visits every lane of a claim and puts them back. Returns whether a job was granted, or a
    /// lane saves up for its first one.
    fn serve<T>(&mut self, lanes: &Lanes<T>, mut claim: Claim, tally: &mut Tally<'_, T>) -> bool {
        let mut rights = std::mem::take(&mut self.rights);
        let mut findings = Findings::default();
        let before = tally.visits;
        let claimed = Claimed {
            seat: self,
            lanes,
            claim: &mut claim,
            rights: &mut rights,
            findings: &mut findings,
            tally,
            visits_before: before,
        };
        claimed.visit();
        findings.all_unseen(&mut claim);
        self.rights = rights;
        self.rotation(lanes).put_back(self.index, &claim, &findings);
        self.counters.claims.add(1);
        self.counters.visits.add(u64::from(tally.visits - before));
        self.tell(lanes, &claim, &findings);
        if !self.errands.are_none() {
            self.run_errands(lanes);
            // Or a lane parked by this tick's moment, and brought back by a later one, would come and go as
            // long as the tick lasts.
            if !mutant!("dispatch.stale_moment") {
                tally.now = tally.now.max(lanes.gate.seen_at());
            }
        }
        findings.granted || findings.is_short()
    }

    pub(super) fn visit_all<T>(
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
            tally.visits += 1;
        }
    }

    /// Visits a claim's only lane, again and again as long as there is no other in the rotation:
    /// each time is a turn in a round of its own.
    pub(super) fn visit_alone<T>(
        &mut self,
        lanes: &Lanes<T>,
        claim: &mut Claim,
        right: &mut DrainRight,
        tally: &mut Tally<'_, T>,
        findings: &mut Findings,
    ) {
        let shift = self.shift();
        let mut visits = 0;
        loop {
            visits += 1;
            let before = tally.out.len();
            let place = self.visit(lanes, claim, right, tally, findings);
            let goes_on = place == Place::Over && tally.out.len() > before && tally.out.room() > 0;
            if !(goes_on && self.rotation(lanes).go_round_alone(self.index, claim, shift)) {
                self.note(place, right, findings);
                tally.visits += visits;
                return;
            }
        }
    }

    fn note(&mut self, place: Place, right: &DrainRight, findings: &mut Findings) {
        match place {
            Place::Again => findings.again(right),
            Place::Over => findings.over(right),
            Place::Stalled => findings.stalled(right),
            Place::Lingers => findings.lingers(right),
            Place::Gone | Place::Parked | Place::Ordered => {}
        }
    }

    /// Tells others what the claim leaves behind: work for a sleeper, room for a submitter.
    #[inline]
    pub(super) fn tell<T>(&mut self, lanes: &Lanes<T>, claim: &Claim, findings: &Findings) {
        let blocks = self.returns.has_given();
        let makes_room = findings.makes_room() || blocks;
        if findings.leaves_backlog() {
            if !mutant!("dispatch.no_wake_passed") {
                self.wake_one(lanes);
            }
        } else if makes_room {
            // ORDERING(dispatch.room_fence): the put-back had no lane to insert, and so no fence;
            // pairs with crowd.fence.
            full_fence(ord!("dispatch.room_fence", SeqCst => AcqRel));
        }
        if makes_room && lanes.crowd.is_waiting() {
            lanes.admit_waiting(&NewRoom { lanes: claim.lanes(), blocks });
        }
    }
}

/// A moment in units of 2^30 ns, about a second. Never 0, which stands for "never".
#[inline]
pub(crate) fn unit(now: Nanos) -> u32 {
    ((now.0 >> 30) as u32).saturating_add(1)
}
