//! One tenant's lane: a line for producers, a line for the drainer.

use crate::fair::{Account, Turn};
use crate::ring::{Head, Left, Tail, Word};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sync::{IS_MODEL, Owned, mutant, ord, yield_now};
use crate::units::{Cost, Nanos};

/// What a lane's drainer alone may touch.
#[derive(Debug)]
pub(crate) struct Drain {
    /// The ring's consuming end.
    pub(crate) head: Head,
    /// The lane's balance.
    pub(crate) account: Account,
}

impl Drain {
    /// Leaves the state of an idle lane behind.
    #[inline]
    pub(crate) fn leave(&mut self) -> LeftBehind {
        LeftBehind { head: self.head.leave(), turn: self.account.rest() }
    }

    /// Takes back that it left: the lane turned out not to be empty.
    #[inline]
    pub(crate) fn stay(&mut self, left: LeftBehind) {
        self.head.stay(left.head);
        self.account.stay(left.turn);
    }
}

/// What a lane's state was when its drainer left.
#[derive(Clone, Copy)]
pub(crate) struct LeftBehind {
    pub(crate) head: Left,
    turn: Turn,
}

/// What the policy says about one tenant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Terms {
    /// Index into the plan's profiles.
    pub(crate) profile: u32,
    /// Most jobs that may wait.
    pub(crate) bound: u32,
    /// The dearest job that its limits ever let go.
    pub(crate) cost_max: u32,
    /// The longest a job may wait; [`Nanos::MAX`] without a limit.
    pub(crate) max_wait: Nanos,
}

impl Terms {
    /// Terms that limit nothing but the jobs that wait.
    #[cfg(test)]
    pub(crate) const fn plain(profile: u32, bound: u32) -> Terms {
        Terms { profile, bound, cost_max: u32::MAX, max_wait: Nanos::MAX }
    }

    /// Whether every submission is to look at more than the bound.
    fn need_care(self) -> bool {
        self.cost_max < Cost::MAX.get() || self.max_wait != Nanos::MAX
    }
}

/// Written by producers: two cache lines apart from what the drainer writes.
#[repr(C, align(64))]
pub(crate) struct Row {
    /// The ring's producing end.
    pub(crate) tail: Tail,
    /// Most jobs that may wait. Written when the tenant is named or the
    /// policy swapped, as the other terms are.
    pub(crate) bound: AtomicU32,
    /// The same for submissions without care, or 0 when every one is to be taken with care.
    pub(crate) plain_bound: AtomicU32,
    /// The dearest job accepted.
    pub(crate) cost_max: AtomicU32,
    /// Jobs refused. `fetch_add` by producers, on refusal only.
    pub(crate) refused: AtomicU32,
    /// The longest a job may wait, `u64::MAX` without a limit.
    pub(crate) max_wait: AtomicU64,
    /// Cost of those jobs.
    pub(crate) refused_cost: AtomicU64,
    /// 1 while the lane is idle and owes cost: such a tenant is not given up. Written by the
    /// drainer as it leaves.
    pub(crate) in_debt: AtomicU32,
    /// When the lane left the rotation last, in units of 2^30 ns: no job of it was granted later, by whichever
    /// worker's clock.
    /// Written by the drainer as it leaves.
    pub(crate) rested_at: AtomicU32,
    /// 1 after the tenant was asked for by name since the last search for idle tenants.
    pub(crate) touched: AtomicU32,
    /// `class 8 | owner 24`: whose lane this is, and of which class. Written while the lane is idle.
    kin: AtomicU32,
    pub(crate) drained: Drained,
}

/// Written by the drainer, and by nobody else but now and then.
#[repr(align(64))]
pub(crate) struct Drained {
    /// `under way 1 | jobs taken out of the lane 63`. Written by the drainer at the end of a visit:
    /// marked before the head moves on, and with the new count after it.
    dispatched: AtomicU64,
    /// Cost of those jobs.
    served_cost: AtomicU64,
    /// Corrections not yet booked; see [`Owed`]. Changed by RMW only.
    owed: AtomicU64,
    /// The head's position, for producers that check the bound. Written once per visit.
    pub(crate) head_seen: AtomicU32,
    /// Index into the plan's profiles. Written when the tenant is named or the policy swapped.
    pub(crate) profile: AtomicU32,
    /// `others 14 | urgent 1 | new 1 | generation 16` of the handle given out last, what the drainer is to
    /// know, and how many lanes the tenant has in rotations beside this one: see
    /// [`Drained::begin_tenant`]. Changed by RMW.
    generation: AtomicU32,
    /// The rest belongs to the holder of the drain right.
    pub(crate) drain: Owned<Drain>,
}

#[cfg(not(any(fairlane_loom, fairlane_shuttle)))]
const _: () = assert!(size_of::<Row>() == 128, "a tenant's lane is two cache lines");

impl Row {
    /// The row of a lane that has never had a tenant, whose ring counts positions from `start`.
    pub(crate) fn starting_at(lane: u32, start: u32) -> Self {
        let head = Head::new(start);
        Row {
            tail: Tail::new(0, start),
            bound: AtomicU32::new(0),
            plain_bound: AtomicU32::new(0),
            cost_max: AtomicU32::new(u32::MAX),
            max_wait: AtomicU64::new(u64::MAX),
            refused: AtomicU32::new(0),
            refused_cost: AtomicU64::new(0),
            in_debt: AtomicU32::new(0),
            rested_at: AtomicU32::new(0),
            touched: AtomicU32::new(0),
            kin: AtomicU32::new(lane),
            drained: Drained {
                dispatched: AtomicU64::new(0),
                served_cost: AtomicU64::new(0),
                owed: AtomicU64::new(Owed::nothing(0).0),
                head_seen: AtomicU32::new(head.position()),
                profile: AtomicU32::new(0),
                generation: AtomicU32::new(0),
                drain: Owned::new(lane, Drain { head, account: Account::new() }),
            },
        }
    }

    /// The slot of the tenant whose lane this is.
    #[inline]
    pub(crate) fn owner(&self) -> u32 {
        self.kin.load(Relaxed) & OWNER_MASK
    }

    /// The class of the lane's jobs.
    #[inline]
    pub(crate) fn class(&self) -> usize {
        (self.kin.load(Relaxed) >> OWNER_BITS) as usize
    }

    /// Gives the idle lane to the tenant in slot `owner`, for jobs of `class`.
    pub(crate) fn adopt(&self, owner: u32, class: usize) {
        self.kin.store((class as u32) << OWNER_BITS | owner, Relaxed);
    }

    /// Stores what the policy says about the tenant.
    pub(crate) fn set_terms(&self, terms: Terms) {
        // Looked at first: the line is the producers', and terms seldom change.
        let plain_bound = if terms.need_care() { 0 } else { terms.bound };
        store(&self.bound, terms.bound);
        store(&self.plain_bound, plain_bound);
        store(&self.cost_max, terms.cost_max);
        if self.max_wait.load(Relaxed) != terms.max_wait.0 {
            self.max_wait.store(terms.max_wait.0, Relaxed);
        }
        if self.drained.profile.load(Relaxed) != terms.profile {
            // ORDERING(row.profile): Release: the plan that has the profile was published before;
            // pairs with row.terms.
            self.drained.profile.store(terms.profile, ord!("row.profile", Release => Relaxed));
        }
    }

    /// What [`Row::set_terms`] stored last.
    pub(crate) fn terms(&self) -> Terms {
        Terms {
            profile: self.profile(),
            bound: self.bound.load(Relaxed),
            cost_max: self.cost_max.load(Relaxed),
            max_wait: Nanos(self.max_wait.load(Relaxed)),
        }
    }

    /// The word of an idle lane, for [`Tail::retire`].
    pub(crate) fn idle_word(&self) -> Option<Word> {
        Some(self.tail.enter()).filter(|word| word.is_idle())
    }

    /// Whether the tenant owes cost for jobs granted since `unit`. Credit protects nobody.
    pub(crate) fn owes_since(&self, unit: u32) -> bool {
        let owes = self.in_debt.load(Relaxed) == 1 || self.drained.owed().micros() < 0;
        owes && self.rested_at.load(Relaxed) >= unit
    }

    /// Notes that the lane leaves the rotation at `unit`, owing or not. Only its drainer may call
    /// this.
    #[inline]
    pub(crate) fn note_rest(&self, unit: u32, owes: bool) {
        if self.rested_at.load(Relaxed) != unit {
            self.rested_at.store(unit, Relaxed);
        }
        if self.in_debt.load(Relaxed) != u32::from(owes) {
            self.in_debt.store(u32::from(owes), Relaxed);
        }
    }

    /// The lane's profile in the plan.
    #[inline]
    pub(crate) fn profile(&self) -> u32 {
        // ORDERING(row.terms): Acquire; pairs with row.profile.
        self.drained.profile.load(ord!("row.terms", Acquire => Relaxed))
    }

    /// Counts a refused job.
    pub(crate) fn count_refusal(&self, cost: u32) {
        self.refused.fetch_add(1, Relaxed);
        self.refused_cost.fetch_add(u64::from(cost), Relaxed);
    }

    /// Jobs dispatched and their cost.
    pub(crate) fn served(&self) -> (u64, u64) {
        let dispatched = self.drained.dispatched.load(Relaxed) & !UNDER_WAY;
        (dispatched, self.drained.served_cost.load(Relaxed))
    }

    /// Takes what an idle lane has counted: jobs dispatched and their cost.
    pub(crate) fn take_counts(&self) -> (u64, u64) {
        let counts = self.served();
        self.drained.dispatched.store(0, Relaxed);
        self.drained.served_cost.store(0, Relaxed);
        counts
    }

    /// Forgets what was counted, for the slot's next tenant, of `generation`. The lane must be idle
    /// and unknown.
    pub(crate) fn clear_for(&self, generation: u16) {
        self.drained.owed.swap(Owed::nothing(generation).0, Relaxed);
        self.refused.swap(0, Relaxed);
        self.refused_cost.swap(0, Relaxed);
        // No grant of the tenant before was out, and its debt is not the next one's.
        self.rested_at.store(0, Relaxed);
        self.in_debt.store(0, Relaxed);
        self.drained.dispatched.store(0, Relaxed);
        self.drained.served_cost.store(0, Relaxed);
    }
}

/// Bits of a slot in [`Row::kin`].
const OWNER_BITS: u32 = 24;
const OWNER_MASK: u32 = (1 << OWNER_BITS) - 1;

/// Stores a number that is seldom another one.
fn store(place: &AtomicU32, number: u32) {
    if place.load(Relaxed) != number {
        place.store(number, Relaxed);
    }
}

/// Corrections of a balance that wait for the lane's drainer: `generation 16 | micros 48`, signed
/// millionths of a cost unit. The generation keeps a late completion off the slot's next tenant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Owed(u64);

const MICROS_BITS: u32 = 48;
const MICROS_MAX: i64 = (1 << (MICROS_BITS - 1)) - 1;

impl Owed {
    fn nothing(generation: u16) -> Owed {
        Owed(u64::from(generation) << MICROS_BITS)
    }

    fn generation(self) -> u16 {
        (self.0 >> MICROS_BITS) as u16
    }

    fn micros(self) -> i64 {
        (self.0 << (64 - MICROS_BITS)) as i64 >> (64 - MICROS_BITS)
    }

    /// With `micros` more, at most 140 million cost units either way.
    fn plus(self, micros: i64) -> Owed {
        let sum = self.micros().saturating_add(micros).clamp(-MICROS_MAX, MICROS_MAX);
        Owed(Owed::nothing(self.generation()).0 | sum as u64 & ((1 << MICROS_BITS) - 1))
    }
}

/// In [`Drained::dispatched`]: the head has moved on, or is about to, and the count has not yet.
const UNDER_WAY: u64 = 1 << 63;
/// How often a reader tries to find the two in step, before it takes what it sees.
const PROGRESS_TRIES: u32 = if IS_MODEL { 2 } else { 100 };

/// In [`Drained::generation`]: the drainer has not visited the lane since it has a new tenant.
const NEW_TENANT: u32 = 1 << 16;
/// In [`Drained::generation`]: nor since a job came that goes before those that stand there.
const URGENT: u32 = 1 << 17;
/// In [`Drained::generation`] above that: how many other lanes of the tenant are backlogged.
const SHARE_SHIFT: u32 = 18;

/// What has happened to a lane since its last visit.
#[derive(Clone, Copy)]
pub(crate) struct News(u32);

impl News {
    /// Mostly there are none.
    #[inline]
    pub(crate) fn any(self) -> bool {
        self.0 != 0
    }

    /// The lane has a new tenant.
    pub(crate) fn has_new_tenant(self) -> bool {
        self.0 & NEW_TENANT != 0
    }

    /// A job has come that goes before those that stand there.
    pub(crate) fn has_urgent(self) -> bool {
        self.0 & URGENT != 0
    }
}

impl Drained {
    /// Gives the lane to the tenant of `generation`. The balance is the drainer's, so it is left to
    /// the first visit to begin a new one.
    pub(crate) fn begin_tenant(&self, generation: u16) {
        self.generation.swap(u32::from(generation) | NEW_TENANT, Relaxed);
    }

    /// The generation of the lane's handle, what the drainer has not been told yet, and how many other
    /// lanes of the tenant are backlogged.
    #[inline]
    pub(crate) fn visit_tenant(&self) -> (u16, News, u32) {
        let word = self.generation.load(Relaxed);
        let mut news = News(word & (NEW_TENANT | URGENT));
        if news.any() {
            news = self.take_news();
        }
        (word as u16, news, word >> SHARE_SHIFT)
    }

    #[cold]
    fn take_news(&self) -> News {
        const ALL: u32 = NEW_TENANT | URGENT;
        // ORDERING(row.news): Acquire: the urgent job is seen; pairs with row.urgent.
        let before = self.generation.fetch_and(!ALL, ord!("row.news", Acquire => Relaxed));
        News(before & ALL)
    }

    /// Tells the drainer that a job has been published that goes before others.
    pub(crate) fn tell_urgent(&self) {
        // Also when the drainer has been told of another: it may be on its way, and miss this one.
        // ORDERING(row.urgent): Release; pairs with row.news.
        self.generation.fetch_or(URGENT, ord!("row.urgent", Release => Relaxed));
    }

    /// How many other lanes of the tenant are backlogged.
    pub(crate) fn others(&self) -> u32 {
        self.generation.load(Relaxed) >> SHARE_SHIFT
    }

    /// Notes that another lane of the tenant has become backlogged.
    pub(crate) fn count_other(&self) {
        self.generation.fetch_add(1 << SHARE_SHIFT, Relaxed);
    }

    /// Notes that another lane of the tenant is idle again.
    pub(crate) fn discount_other(&self) {
        self.generation.fetch_sub(1 << SHARE_SHIFT, Relaxed);
    }

    /// Books a correction for the tenant of `generation`; for an earlier one it is dropped.
    pub(crate) fn correct(&self, generation: u16, micros: i64) {
        let booked = self.owed.fetch_update(Relaxed, Relaxed, |owed| {
            let owed = Owed(owed);
            (owed.generation() == generation).then(|| owed.plus(micros).0)
        });
        let _ = booked;
    }

    /// Takes the corrections booked so far; a look when there are none.
    #[inline]
    pub(crate) fn take_corrections(&self) -> i64 {
        if self.owed().micros() == 0 { 0 } else { self.take_some() }
    }

    #[cold]
    fn take_some(&self) -> i64 {
        Owed(self.owed.fetch_and(!0 << MICROS_BITS, Relaxed)).micros()
    }

    fn owed(&self) -> Owed {
        Owed(self.owed.load(Relaxed))
    }

    /// Publishes where the head stands after a visit that took no job, but maybe tombstones: they
    /// count as depth until then. The caller holds the lane's drain right.
    #[inline]
    pub(crate) fn publish_skips(&self, head: u32) {
        if self.head_seen.load(Relaxed) != head {
            // ORDERING(row.head): as in `publish`; pairs with row.depth.
            self.head_seen.store(head, ord!("row.head", Release => Relaxed));
        }
    }

    /// Publishes what a visit did: `jobs` of `cost` in all, and where the head stands now.
    ///
    /// The caller holds the lane's drain right, so these plain stores have one writer.
    #[inline]
    pub(crate) fn publish(&self, head: u32, jobs: u32, cost: u64) {
        self.served_cost.store(self.served_cost.load(Relaxed) + cost, Relaxed);
        let before = self.dispatched.load(Relaxed);
        if !mutant!("row.no_mark") {
            self.dispatched.store(before | UNDER_WAY, Relaxed);
        }
        let dispatched = before + u64::from(jobs);
        if mutant!("row.count_before_head") {
            self.dispatched.store(dispatched, Relaxed);
        }
        // ORDERING(row.head): Release: a job that has left the depth has been granted; pairs with
        // row.depth.
        self.head_seen.store(head, ord!("row.head", Release => Relaxed));
        // ORDERING(row.count): Release: whoever counts a job as dispatched sees the head past it;
        // pairs with row.counted.
        self.dispatched.store(dispatched, ord!("row.count", Release => Relaxed));
    }
}

impl Row {
    /// Jobs dispatched and jobs waiting. Their sum is the jobs accepted at some moment of the call;
    /// less, but never more, when the drainer was stopped in the middle of publishing a visit.
    pub(crate) fn progress(&self) -> (u64, u32) {
        for _ in 0..PROGRESS_TRIES {
            if let Some(settled) = self.settled_progress() {
                return settled;
            }
            // The drainer is a store away from its end, or not running.
            yield_now();
        }
        let (dispatched, depth) = self.look_at_progress();
        (dispatched & !UNDER_WAY, depth)
    }

    /// The same, unless a visit is being published.
    pub(crate) fn settled_progress(&self) -> Option<(u64, u32)> {
        let (dispatched, depth) = self.look_at_progress();
        // A head of a later visit, read with Acquire, brings that visit's mark along.
        let again = self.drained.dispatched.load(Relaxed);
        (again == dispatched && dispatched & UNDER_WAY == 0).then_some((dispatched, depth))
    }

    fn look_at_progress(&self) -> (u64, u32) {
        // The count first, the head after it, the tail last: a job dispatched in between is
        // missing from the sum, never in it twice.
        // ORDERING(row.counted): Acquire; pairs with row.count.
        let dispatched = self.drained.dispatched.load(ord!("row.counted", Acquire => Relaxed));
        // ORDERING(row.depth): Acquire; pairs with row.head.
        let head = self.drained.head_seen.load(ord!("row.depth", Acquire => Relaxed));
        (dispatched, crate::ring::depth(head, &self.tail))
    }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn corrections_add_up_and_keep_their_generation(
            generation: u16, all in prop::collection::vec(-1_000_000_000_000i64..1_000_000_000_000, 0..20),
        ) {
            let owed = all.iter().fold(Owed::nothing(generation), |owed, &one| owed.plus(one));
            prop_assert_eq!((owed.generation(), owed.micros()), (generation, all.iter().sum()));
        }
    }

    #[test]
    fn a_late_correction_does_not_reach_the_next_tenant() {
        let row = Row::starting_at(0, 0);
        row.drained.correct(0, 5);
        row.clear_for(1);
        row.drained.correct(0, 7);
        assert_eq!(row.drained.owed(), Owed::nothing(1));
        row.drained.correct(1, -3);
        assert_eq!((row.drained.take_corrections(), row.drained.take_corrections()), (-3, 0));
    }
}
