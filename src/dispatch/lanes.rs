//! What producers and workers share.

use super::expired::ExpiredJobs;
use super::ordered::Asides;
use super::plan::Plan;
use super::routes::{Branch, Branches, Routes};
use crate::claim::{Books, Outcome};
use crate::clock::Clock;
use crate::error::BudgetError;
use crate::gate::{Gate, Held, Note, Purse};
use crate::park::{Alarm, Crowd, NewRoom, Sleepers};
use crate::policy::Policy;
use crate::ring::{BLOCKS_MAX, Pool};
use crate::rotation::Rotation;
use crate::route::ClassId;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sync::{CachePadded, Chunks, IS_MODEL, Mutex, Published, full_fence, ord};
use crate::tenant::{Beside, Row, Table, Tenant};
use crate::units::{Band, Bands, Dimension, Nanos, Order};
use std::sync::Arc;

/// Every lane of an engine, and what moves jobs through them.
pub(crate) struct Lanes<T> {
    pub(crate) table: Table,
    /// The first lane that is not a tenant's first one.
    pub(super) first_branch: u32,
    pub(crate) pool: Pool<T>,
    pub(crate) rotation: Rotation,
    pub(crate) sleepers: Sleepers,
    pub(crate) plan: Published<Plan>,
    /// Which engine of the process this is; handles carry it.
    pub(crate) number: u16,
    pub(crate) cadence: CachePadded<Cadence>,
    /// See [`latest`](Lanes::latest).
    latest: AtomicU32,
    /// The engine's clock, by which budgets are settled.
    pub(crate) clock: Clock,
    /// Submitters that wait for room.
    pub(crate) crowd: Crowd,
    pub(crate) gate: Gate,
    /// Who can run what, and the rotations of jobs that not everybody can run.
    pub(crate) routes: Routes,
    /// The tenants' lanes for such jobs, by slot. Locked by submissions of such jobs.
    branches: Chunks<[Mutex<Branches>; CHUNK_TENANTS as usize]>,
    /// Jobs that have an order of their own, by lane.
    pub(super) asides: Asides<T>,
    /// The policy's bands of priority, packed. Stored when a policy is taken over.
    bands: AtomicU64,
    pub(crate) expired: ExpiredJobs<T>,
    /// Who is told of moments that parked lanes wait for.
    pub(crate) alarm: Alarm,
}

/// How often a submission does more than reserve a position and publish the job.
pub(crate) struct Cadence {
    /// `stamped 32 | careful 32`: two masks, each for the positions that have none of its bits.
    /// Jobs at stamped positions are timed; careful positions are stamped, begin a block, or are
    /// observed. Written by workers when their handlers change pace.
    masks: AtomicU64,
    /// Positions that begin a block; all when every job is observed.
    always_careful: u32,
}

/// Every 64th job of a lane is stamped while handlers are fast.
const STAMP_SOME: u32 = 63;
/// Every job is stamped.
const STAMP_ALL: u32 = 0;

impl Cadence {
    fn new(block_mask: u32) -> Self {
        let cadence = Cadence { masks: AtomicU64::new(0), always_careful: block_mask };
        cadence.stamp(false);
        cadence
    }

    /// Stamps every job, or every 64th of a lane.
    #[inline]
    pub(crate) fn stamp(&self, all: bool) {
        let stamped = if all { STAMP_ALL } else { STAMP_SOME };
        let masks = u64::from(stamped) << 32 | u64::from(stamped & self.always_careful);
        if self.masks.load(Relaxed) != masks {
            self.masks.store(masks, Relaxed);
        }
    }

    /// Whether the job at `position` is stamped.
    #[inline]
    pub(crate) fn is_stamped(&self, position: u32) -> bool {
        u64::from(position) & self.masks.load(Relaxed) >> 32 == 0
    }

    /// The mask of positions that are taken with care: one look for all that is not done for
    /// every job.
    #[inline]
    pub(crate) fn careful(&self) -> u32 {
        self.masks.load(Relaxed) as u32
    }

    /// Of how many jobs of a lane one is stamped.
    pub(crate) fn stamped_every(&self) -> u32 {
        (self.masks.load(Relaxed) >> 32) as u32 + 1
    }
}

/// Where an engine's counters begin, and the key of its names' hash: zero and a random one, unless
/// a test wants wraps and the same order in every run.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Start {
    /// The first round, modulo 2^25.
    pub(crate) round: u32,
    /// The first position of every lane's ring, modulo 2^23.
    pub(crate) position: u32,
    /// The key of the names' hash; random when `None`.
    pub(crate) names_key: Option<u64>,
}

impl<T> Lanes<T> {
    #[cfg(all(test, fairlane_loom))]
    pub(crate) fn new(policy: Policy, seats: usize, sleepers: Sleepers, number: u16) -> Self {
        Lanes::starting_at(policy, seats, sleepers, number, Start::default())
    }

    pub(crate) fn starting_at(
        policy: Policy,
        seats: usize,
        sleepers: Sleepers,
        number: u16,
        start: Start,
    ) -> Self {
        let (slots, blocks) = blocks_for(policy.queue_max(), policy.tenants_max());
        let (tenants, plan) = (policy.tenants_max(), Plan::new(policy));
        let table = Table::starting_at(tenants, start.position, start.names_key);
        let (first_branch, branches) = table.extra();
        let lanes = first_branch + branches;
        Lanes {
            pool: Pool::new(slots, blocks, seats as u32),
            rotation: Rotation::starting_at(0, tenants as usize, seats, start.round),
            sleepers,
            number,
            cadence: CachePadded::new(Cadence::new(slots - 1)),
            latest: AtomicU32::new(0),
            crowd: Crowd::new(),
            clock: Clock::monotonic(),
            gate: Gate::new(lanes, Arc::clone(&plan.budgets)),
            routes: Routes::new(&table, seats),
            branches: Chunks::new(tenants.div_ceil(CHUNK_TENANTS) as usize),
            table,
            first_branch,
            asides: Asides::new(lanes),
            bands: AtomicU64::new(0),
            expired: ExpiredJobs::new(),
            alarm: Alarm::default(),
            plan: Published::new(plan),
        }
        .tuned()
    }

    /// With the engine's clock; budgets of the policy begin now.
    pub(crate) fn timed(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self.adopt_budgets(&self.plan.load());
        self
    }

    /// Makes the budgets of `plan` hold: before it is published.
    pub(crate) fn adopt_budgets(&self, plan: &Plan) {
        self.gate.budgets.adopt(&plan.budget_terms(), self.clock.now());
    }

    fn tuned(self) -> Self {
        self.tune(&self.plan.load());
        self
    }

    /// Makes the limits of `plan` hold for the grants of the engine, of its tiers and of every tenant:
    /// before it is published, and again once tenants have moved to other profiles. The caller holds the
    /// planning lock.
    pub(crate) fn tune(&self, plan: &Plan) {
        for (slot, row) in self.table.rows() {
            if let Some(rules) = plan.rules.get(row.profile() as usize) {
                self.gate.tune(slot, rules);
            }
        }
        self.gate.set_caps(plan.policy.concurrency(), plan.tier_caps());
        self.bands.store(plan.policy.priority_bands().pack(), Relaxed);
    }

    /// Which priorities are which band.
    #[inline]
    pub(crate) fn bands(&self) -> Bands {
        Bands::unpack(self.bands.load(Relaxed))
    }

    /// Sees to it that the job which has just been published in a lane goes before those that it may
    /// overtake, and that somebody comes when it expires.
    pub(crate) fn expect(&self, lane: u32, order: Order) {
        if order.band != Band::LAST {
            self.table.row(lane).drained.tell_urgent();
        }
        if order.deadline == Nanos::MAX {
            return;
        }
        // ORDERING(submit.fence): either this look sees that no alarm is set, or whoever took the alarm
        // sees the job; pairs with timely.fence.
        full_fence(ord!("submit.fence", SeqCst => AcqRel));
        if order.deadline < self.gate.entry(lane).alarm() && self.gate.arm(lane, order.deadline) {
            self.alarm.ring(&self.sleepers);
        }
    }

    /// Takes every position with care when every job `is_observed`.
    pub(crate) fn observed(mut self, is_observed: bool) -> Self {
        if is_observed {
            self.cadence = CachePadded::new(Cadence::new(0));
        }
        self
    }

    /// Puts a lane whose first job has just been published into the rotation, and wakes a worker.
    #[inline]
    pub(crate) fn activate(&self, lane: u32) {
        if lane >= self.first_branch {
            return self.activate_branch(lane);
        }
        self.rotation.activate(lane);
        self.sleepers.wake_one();
    }

    #[cold]
    fn activate_branch(&self, lane: u32) {
        let class = self.table.row(lane).class();
        self.routes.rotation(class).activate(lane);
        self.routes.wake_capable(class, &self.sleepers);
    }

    /// Wakes a worker for every rotation that has work.
    pub(crate) fn wake_for_all(&self) {
        if !self.rotation.is_empty() {
            self.sleepers.wake_one();
        }
        self.routes.wake_for_all(&self.sleepers);
    }

    /// The rotation that a lane stands in while it is backlogged.
    pub(super) fn rotation_of(&self, lane: u32) -> &Rotation {
        if lane < self.first_branch {
            return &self.rotation;
        }
        self.routes.rotation(self.table.row(lane).class())
    }

    /// Since when no live worker can run the jobs that wait in a lane; `None` while one can.
    pub(crate) fn lacks_worker_since(&self, lane: u32) -> Option<Nanos> {
        let class = self.class_of(lane);
        if class == ClassId::ANY.index() {
            return None;
        }
        let since = self.routes.lacks_worker_since(class)?;
        Some(since.max(self.gate.entry(lane).filled_at()))
    }

    /// The class of a lane's jobs.
    pub(super) fn class_of(&self, lane: u32) -> usize {
        if lane < self.first_branch { 0 } else { self.table.row(lane).class() }
    }

    /// The tenant's slot, and how many other lanes of the tenant are backlogged, of a lane that is not a
    /// tenant's first.
    pub(super) fn kin(&self, row: &Row) -> (u32, u32) {
        let owner = row.owner();
        let first = self.table.row(owner);
        let is_first_idle = first.idle_word().is_some();
        let branches = first.drained.others().saturating_sub(1);
        (owner, branches + u32::from(!is_first_idle))
    }

    /// Has the terms of a tenant hold for all its lanes.
    pub(crate) fn spread_terms(&self, slot: u32) {
        if !self.may_have_branches(slot) {
            return;
        }
        // Under the lock under which a lane becomes the tenant's and takes its terms over, or is given back.
        self.branches(slot, |branches| {
            let terms = self.table.row(slot).terms();
            for branch in branches.iter().flatten() {
                self.table.row(branch.lane).set_terms(terms);
            }
        });
    }

    /// The latest moment of which a worker has looked for work, in units of 2^30 ns. Not before any grant of
    /// a lane that the caller has claimed: workers read the clock at different times.
    pub(crate) fn latest(&self) -> u32 {
        self.latest.load(Relaxed)
    }

    /// Notes that a worker looks for work. By an RMW once in a unit.
    #[inline]
    pub(crate) fn note_look(&self, unit: u32) {
        if self.latest.load(Relaxed) < unit {
            self.latest.fetch_max(unit, Relaxed);
        }
    }

    /// Whether some tenant nearby has had a lane beside its first.
    fn may_have_branches(&self, slot: u32) -> bool {
        self.branches.get((slot / CHUNK_TENANTS) as usize).is_some()
    }

    /// Runs `look` on the lanes that the tenant in `slot` has beside its first.
    pub(crate) fn branches<R>(&self, slot: u32, look: impl FnOnce(&mut Branches) -> R) -> R {
        let make = || std::array::from_fn(|_| Mutex::default());
        let chunk = self.branches.get_or_make((slot / CHUNK_TENANTS) as usize, make);
        let branches = &chunk[(slot % CHUNK_TENANTS) as usize];
        look(&mut branches.lock().expect("no code panics under a tenant's lock"))
    }

    /// The same for a tenant that may never have had one: nothing is made for those.
    pub(crate) fn known_branches(&self, slot: u32) -> Branches {
        match self.may_have_branches(slot) {
            false => Branches::default(),
            true => self.branches(slot, |branches| *branches),
        }
    }

    /// Brings every lane into the rotation that has jobs, none of which is due.
    pub(crate) fn rouse_all(&self) {
        for (lane, _) in self.table.lanes() {
            self.rouse_rested(lane);
        }
    }

    /// Brings a lane into the rotation that has jobs, none of which could go when it was visited last.
    fn rouse_rested(&self, lane: u32) {
        let row = self.table.row(lane);
        if row.idle_word().is_some() && row.progress().1 > 0 {
            self.rouse(lane);
        }
    }

    /// Brings an idle lane into the rotation.
    pub(crate) fn rouse(&self, lane: u32) {
        let row = self.table.row(lane);
        if row.tail.rouse(&self.pool, self.asides.spare(lane)) {
            if lane != row.owner() {
                self.table.row(row.owner()).drained.count_other();
            }
            self.activate(lane);
        }
    }

    /// Gives back the tenant's lanes beside its first, unless any holds a job. Whether none is left.
    fn drop_branches(&self, slot: u32) -> bool {
        if !self.may_have_branches(slot) {
            return true;
        }
        self.branches(slot, |branches| {
            for place in branches.iter_mut() {
                if let Some(branch) = place.take_if(|branch| self.is_vacant(branch.lane)) {
                    self.give_back(branch);
                }
            }
            branches.iter().all(Option::is_none)
        })
    }

    /// Gives a vacant lane back. What it has counted stays in the engine's totals.
    pub(crate) fn give_back(&self, branch: Branch) {
        let counts = self.table.row(branch.lane).take_counts();
        self.routes.detach(branch, counts, self.clock.now());
        // It may become another's before those look that wait for room in it.
        self.crowd.wake_lane(branch.lane);
    }

    /// Whether a lane holds no job and nobody serves it.
    pub(crate) fn is_vacant(&self, lane: u32) -> bool {
        let row = self.table.row(lane);
        row.idle_word().is_some() && row.progress().1 == 0
    }

    /// Gives back every tenant's lanes without a job: classes are scarce.
    #[cold]
    pub(crate) fn sweep_branches(&self) {
        for (slot, _) in self.table.rows() {
            self.drop_branches(slot);
        }
    }

    /// Puts lanes that have left the lot into the rotation.
    pub(crate) fn wake(&self, woken: &mut Vec<u32>) {
        woken.drain(..).for_each(|lane| self.bring_back(lane));
    }

    /// Puts a lane that has left the lot into the rotation.
    pub(super) fn bring_back(&self, lane: u32) {
        self.gate.entry(lane).come_back();
        self.activate(lane);
    }

    /// Has a lane decided about anew whose tenant has other limits now.
    pub(crate) fn reconsider(&self, slot: u32) {
        let mut woken = Vec::new();
        let branches = self.known_branches(slot);
        let others = branches.iter().flatten().map(|branch| branch.lane);
        for lane in std::iter::once(slot).chain(others) {
            self.gate.take_back(lane, slot, &mut woken);
            if self.gate.call_back(lane) {
                woken.push(lane);
            }
            self.rouse_rested(lane);
        }
        self.wake(&mut woken);
    }

    /// Takes every parked lane back into the rotation.
    pub(crate) fn wake_parked(&self) {
        let mut woken = Vec::new();
        self.gate.wake_all(&mut woken);
        // Slots handed over under other limits: a lane without any would keep its one for good.
        for (lane, row) in self.table.lanes() {
            self.gate.take_back(lane, row.owner(), &mut woken);
            self.rouse_rested(lane);
        }
        self.wake(&mut woken);
    }

    /// Gives back the slots that the tenant in `slot` `held`, to whoever waits for them.
    fn release(&self, slot: u32, held: Held) {
        let mut woken = Vec::new();
        for scope in held.scopes(slot) {
            self.gate.release(scope, slot, &mut woken);
        }
        if !woken.is_empty() {
            self.wake(&mut woken);
        }
    }

    /// Gives back all that a grant has held, and wakes who waits for any of it.
    #[cold]
    fn release_all(&self, tenant: Tenant, held: Held, waited: u32) {
        if held.is_reserved() {
            let gaining = self.gate.entry(tenant.slot()).settle(waited, self.clock.now());
            self.share(&gaining);
        }
        self.release(tenant.slot(), held);
    }

    /// Wakes lanes that wait for room in `purses`, as far as there is some.
    pub(crate) fn share(&self, purses: &[Arc<Purse>]) {
        let mut woken = Vec::new();
        purses.iter().for_each(|purse| self.gate.share(purse, &mut woken));
        self.wake(&mut woken);
    }

    /// Wakes submitters that wait for room that has been made.
    #[cold]
    pub(crate) fn admit_waiting(&self, made: &NewRoom) {
        self.crowd.wake(made, |lane| self.room(lane));
    }

    /// Wakes all submitters that wait for room in a lane of the tenant in `slot`.
    pub(crate) fn admit_tenant(&self, slot: u32) {
        self.crowd.wake_lane(slot);
        for branch in self.known_branches(slot).into_iter().flatten() {
            self.crowd.wake_lane(branch.lane);
        }
    }

    /// How many more jobs the bound of a lane allows.
    pub(crate) fn room(&self, lane: u32) -> u32 {
        let row = self.table.row(lane);
        row.bound.load(Relaxed).saturating_sub(row.progress().1)
    }
}

/// What the lanes keep for their tenants at the moment `now`.
pub(crate) struct Keeping<'a, T> {
    pub(crate) lanes: &'a Lanes<T>,
    pub(crate) now: Nanos,
}

impl<T> Beside for Keeping<'_, T> {
    fn is_idle(&self, slot: u32, profile: u32) -> bool {
        let lanes = self.lanes;
        let row = lanes.table.row(slot);
        if !lanes.drop_branches(slot) || row.progress().1 > 0 {
            return false;
        }
        let Some(entry) = lanes.gate.known(slot) else { return true };
        let plan = lanes.plan.load();
        let rules = plan.rules.get(profile as usize);
        let rate = rules.and_then(|rules| rules.rate.as_ref());
        entry.is_idle(row.tail.look().generation(), rate, self.now)
    }

    fn if_alone(&self, slot: u32, retire: &mut dyn FnMut()) {
        self.lanes.branches(slot, |branches| {
            if branches.iter().all(Option::is_none) {
                retire();
            }
        });
    }
}

impl<T: Send> Books for Lanes<T> {
    fn correct(&self, tenant: Tenant, micros: i64) {
        self.table.row(tenant.slot()).drained.correct(tenant.generation(), micros);
    }

    #[inline]
    fn release(&self, tenant: Tenant, holds: u16, waited: u32) {
        let held = Held::from_bits(holds);
        if held != Held::OWN || !self.gate.give_own(tenant.slot()) {
            self.release_all(tenant, held, waited);
        }
    }

    fn note(&self, tenant: Tenant, holds: u16, waited: u32, outcome: Outcome) {
        if Held::from_bits(holds).is_reserved() {
            let note = match outcome {
                Outcome::Cost(cost) => Note::Cost(cost),
                Outcome::Void => Note::Void,
            };
            self.gate.entry(tenant.slot()).note(waited, note);
        }
    }

    fn spent(
        &self,
        tenant: Tenant,
        holds: u16,
        waited: u32,
        amounts: &[(Dimension, u64)],
    ) -> Result<(), BudgetError> {
        if amounts.iter().any(|(dimension, _)| dimension.engine != self.number) {
            return Err(BudgetError::Foreign);
        }
        let numbers: Vec<_> = amounts.iter().map(|(it, amount)| (it.number, *amount)).collect();
        let is_noted = !Held::from_bits(holds).is_reserved()
            || self.gate.entry(tenant.slot()).note(waited, Note::Spent(&numbers));
        if is_noted { Ok(()) } else { Err(BudgetError::Dimensions) }
    }

    fn waited(&self, tenant: Tenant, holds: u16, waited: u32) -> u32 {
        if Held::from_bits(holds).is_reserved() {
            self.gate.entry(tenant.slot()).waited(waited)
        } else {
            waited
        }
    }
}

/// Tenants per chunk of branches.
const CHUNK_TENANTS: u32 = if IS_MODEL { 2 } else { 16 };

/// Most slots in a block.
const SLOTS_MAX: u32 = 32;

/// Slots per block, and blocks, for an engine-wide bound of `jobs`.
///
/// The fewer jobs the bound allows per tenant, the smaller the blocks: a lane with one job holds a
/// block, so there should be a quarter more blocks than tenants, and small bounds are exact.
fn blocks_for(jobs: u32, tenants: u32) -> (u32, u32) {
    let share = u64::from(jobs) * 4 / 5 / u64::from(tenants);
    let mut slots = 1 << (share.clamp(1, SLOTS_MAX.into()) as u32).ilog2();
    while jobs.div_ceil(slots) > BLOCKS_MAX {
        slots *= 2;
    }
    (slots, jobs.div_ceil(slots))
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_more_than_tenants_and_small_bounds_are_exact() {
        assert_eq!(blocks_for(1_000_000, 100_000), (8, 125_000));
        assert_eq!(blocks_for(16_384, 1_000), (8, 2_048));
        assert_eq!(blocks_for(32, 100_000), (1, 32));
        assert_eq!(blocks_for(16_384, 1), (32, 512));
        let (slots, blocks) = blocks_for(100_000_000, 4_000_000);
        assert!(blocks <= BLOCKS_MAX && slots * blocks >= 100_000_000);
    }
}
