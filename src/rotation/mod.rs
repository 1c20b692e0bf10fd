#![doc = include_str!("README.md")]

mod cursor;
mod set;

use crate::fair::Refill;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering, Ordering::Relaxed};
use crate::sync::{CachePadded, DrainRight, IS_MODEL, full_fence, mutant, ord, spin};
use cursor::{Cursor, Harvest};
use set::LaneSet;
use std::ops::Range;

/// How often a worker looks whether others have finished their visits before it begins a round.
const HELD_SPINS: u32 = if IS_MODEL { 2 } else { 500 };

/// The set of backlogged lanes and the cursor that says whose turn it is.
pub(crate) struct Rotation {
    /// The number of its first lane, a multiple of 64.
    base: u32,
    /// Lanes that became backlogged and have not been looked at since.
    fresh: LaneSet,
    /// Lanes of the even and of the odd rounds.
    rounds: [LaneSet; 2],
    /// Lanes found empty in the round before an even or an odd one. They come first in it: one that
    /// has a job again is light, and one that has none leaves.
    lingering: [LaneSet; 2],
    clockwork: CachePadded<Clockwork>,
    /// One flag per seat: 1 while the seat holds claimed lanes. Stored by the seat only.
    holding: Box<[CachePadded<AtomicU32>]>,
}

struct Clockwork {
    /// See [`Cursor`]; advanced by compare-and-swap by any worker.
    cursor: AtomicU64,
    /// See [`Harvest`]: what the current round has granted so far.
    harvest: AtomicU64,
}

/// Lanes that one worker has taken out of the rotation, to visit and put back.
#[derive(Debug)]
pub(crate) struct Claim {
    /// The first lane of the rotation.
    base: u32,
    /// Index of the 64-lane word.
    word: u32,
    /// The lanes of that word.
    mask: u64,
    /// What a turn is worth, as seen after the lanes were taken.
    pub(crate) refill: Refill,
    /// Which set the lanes came from.
    origin: Origin,
    /// Whether the search hid lanes from others for a moment: somebody may have gone to sleep over
    /// them, so the claimer wakes one. A `SeqCst` fence has been passed.
    pub(crate) wakes: bool,
}

impl Claim {
    /// The lanes that it may have taken.
    pub(crate) fn lanes(&self) -> Range<u32> {
        let first = self.base + self.word * 64;
        first..first + 64
    }

    /// Whether the lanes had been found empty in the round before.
    #[inline]
    pub(crate) fn is_lingering(&self) -> bool {
        self.origin == Origin::Lingering
    }

    /// Whether the lanes had just become backlogged.
    #[inline]
    pub(crate) fn is_fresh(&self) -> bool {
        matches!(self.origin, Origin::Fresh | Origin::FreshRound)
    }

    /// Takes the drain right of the next lane, lowest first.
    #[inline]
    pub(crate) fn next_right(&mut self) -> Option<DrainRight> {
        if self.mask == 0 {
            return None;
        }
        let bit = self.mask.trailing_zeros();
        self.mask &= self.mask - 1;
        // SAFETY: the bit was set in a set and cleared by this claim's RMW alone, a lane stands
        // in at most one set (rotation/README.md, I1), and `mask` gives it out once. The RMW
        // acquired the put-back or activation that set the bit.
        Some(unsafe { DrainRight::new(self.base + self.word * 64 + bit) })
    }

    /// Whether all rights have been handed out.
    #[inline]
    pub(crate) fn is_used_up(&self) -> bool {
        self.mask == 0
    }
}

/// Where a claim's lanes stood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    /// The fresh set, while other lanes were in the middle of the round.
    Fresh,
    /// The fresh set, with no lane left in the round: these make up the rest of it.
    FreshRound,
    Lingering,
    Round,
}

/// What a worker found out about the lanes of a claim, and where they go.
#[derive(Default, Debug)]
pub(crate) struct Findings {
    /// Lanes in the middle of their turn.
    again: u64,
    /// Lanes whose turn is over.
    over: u64,
    /// Those of them whose next producer has not finished: nobody else could take their jobs either.
    stalled: u64,
    /// Lanes found empty that stay for one more round.
    lingering: u64,
    /// Lanes that were not visited after all.
    unseen: u64,
    /// Whether any job was granted.
    pub(crate) granted: bool,
    /// Whether jobs left their lanes without a grant.
    pub(crate) expired: bool,
    /// The fewest turns that would let some lane's first job run; 0 when no lane was that short.
    need: u32,
}

impl Findings {
    /// The lane goes on with its turn at the next visit.
    #[inline]
    pub(crate) fn again(&mut self, right: &DrainRight) {
        self.again |= 1 << (right.lane() % 64);
    }

    /// The lane waits for its next turn.
    #[inline]
    pub(crate) fn over(&mut self, right: &DrainRight) {
        self.over |= 1 << (right.lane() % 64);
    }

    /// The same, because its next producer has not finished.
    pub(crate) fn stalled(&mut self, right: &DrainRight) {
        self.over(right);
        self.stalled |= 1 << (right.lane() % 64);
    }

    /// The lane is empty and stays for one more round, at whose start it is looked at first.
    #[inline]
    pub(crate) fn lingers(&mut self, right: &DrainRight) {
        self.lingering |= 1 << (right.lane() % 64);
    }

    /// The lane was not visited and keeps its place.
    #[inline]
    pub(crate) fn unseen(&mut self, right: &DrainRight) {
        self.unseen |= 1 << (right.lane() % 64);
    }

    /// The lanes whose rights were not handed out keep their places.
    #[inline]
    pub(crate) fn all_unseen(&mut self, claim: &mut Claim) {
        self.unseen |= std::mem::take(&mut claim.mask);
    }

    /// Notes the lanes of a claim whose visits have ended in a panic. `rest` are the rights of those that
    /// had not been noted, the one first whose visit may have been cut short: it has had its turn, so
    /// that the others come before it. All others keep their places.
    pub(crate) fn cut_short(&mut self, rest: &[DrainRight], claim: &mut Claim) {
        let noted = self.again | self.over | self.lingering | self.unseen;
        for (at, right) in rest.iter().enumerate().filter(|(_, right)| !right.has_ended()) {
            match at {
                _ if noted >> (right.lane() % 64) & 1 == 1 => {}
                0 => self.over(right),
                _ => self.unseen(right),
            }
        }
        self.all_unseen(claim);
        // There may have been grants: a round that leaps over them would be the worse mistake.
        self.granted = true;
    }

    /// Some lane's first job needs `turns` more turns.
    pub(crate) fn needs(&mut self, turns: u32) {
        self.need = if self.need == 0 { turns } else { self.need.min(turns) };
    }

    /// Whether some lane saves up for its first job.
    #[inline]
    pub(crate) fn is_short(&self) -> bool {
        self.need != 0
    }

    /// Whether there is room in some lane that had none.
    #[inline]
    pub(crate) fn makes_room(&self) -> bool {
        self.granted | self.expired
    }

    /// Whether any lane stays in the rotation.
    #[inline]
    pub(crate) fn keeps_any(&self) -> bool {
        self.again | self.over | self.lingering | self.unseen != 0
    }

    /// Whether any lane stays in the rotation that another worker could serve.
    #[inline]
    pub(crate) fn leaves_backlog(&self) -> bool {
        self.again | self.over & !self.stalled | self.lingering | self.unseen != 0
    }
}

impl Rotation {
    /// Makes an empty rotation for `lanes` lanes and `seats` workers.
    #[cfg(all(test, fairlane_loom))]
    pub(crate) fn new(lanes: usize, seats: usize) -> Self {
        Rotation::starting_at(0, lanes, seats, 0)
    }

    /// Makes an empty rotation for `lanes` lanes, numbered from `base`, and `seats` workers that
    /// begins with `round`: tests start just before the wrap.
    pub(crate) fn starting_at(base: u32, lanes: usize, seats: usize, round: u32) -> Self {
        assert_eq!(base % 64, 0, "lanes of two rotations share no word");
        Rotation {
            base,
            fresh: LaneSet::new(lanes),
            rounds: [LaneSet::new(lanes), LaneSet::new(lanes)],
            lingering: [LaneSet::new(lanes), LaneSet::new(lanes)],
            clockwork: CachePadded::new(Clockwork {
                cursor: AtomicU64::new(Cursor::start(round).0),
                harvest: AtomicU64::new(Harvest::NOTHING.0),
            }),
            holding: (0..seats).map(|_| CachePadded::new(AtomicU32::new(0))).collect(),
        }
    }

    /// Puts a lane that has just become backlogged into the fresh set. Ends with a `SeqCst`
    /// fence, so that the caller may look at the sleepers next.
    #[inline]
    pub(crate) fn activate(&self, lane: u32) {
        let place = lane - self.base;
        self.fresh.insert(place / 64, 1 << (place % 64));
    }

    /// Whether no lane stands in the rotation. Lanes claimed by a worker are not counted: that
    /// worker puts them back and looks at the sleepers.
    pub(crate) fn is_empty(&self) -> bool {
        self.sets().all(|set| set.look(0).is_none())
    }

    fn sets(&self) -> impl Iterator<Item = &LaneSet> {
        self.rounds.iter().chain(&self.lingering).chain([&self.fresh])
    }

    /// Whether a fresh lane waits.
    #[inline]
    pub(crate) fn has_fresh(&self) -> bool {
        self.fresh.is_hinted()
    }

    /// What a turn is worth now.
    #[inline]
    pub(crate) fn refill(&self) -> Refill {
        self.cursor().refill()
    }

    #[inline]
    fn cursor(&self) -> Cursor {
        // ORDERING(rotation.cursor): Acquire; pairs with rotation.advance.
        Cursor(self.clockwork.cursor.load(ord!("rotation.cursor", Acquire => Relaxed)))
    }

    /// Claims up to `most` lanes of one word: fresh ones first, then those of the current round.
    /// While others are in the middle of the round, no more fresh lanes than the `jobs` about to be
    /// granted, so that those left over keep their precedence. Begins the next round, with the
    /// quantum halved `shift` times, when this one is used up.
    ///
    /// Returns `None` when the rotation is empty. A claim must be put back before the next one.
    #[inline(always)]
    pub(crate) fn claim(&self, seat: usize, most: u32, jobs: u32, shift: u32) -> Option<Claim> {
        let mut wakes = false;
        let claim = self
            .claim_fresh(seat, most, jobs, &mut wakes)
            .or_else(|| self.claim_in_round(seat, most, jobs, shift, &mut wakes));
        claim.map(|claim| Claim { wakes, ..claim })
    }

    #[inline(always)]
    fn claim_fresh(&self, seat: usize, most: u32, jobs: u32, wakes: &mut bool) -> Option<Claim> {
        let word = self.fresh.find(0, wakes)?;
        let (origin, most) = if self.rounds[self.cursor().parity()].is_bare() {
            (Origin::FreshRound, most)
        } else {
            (Origin::Fresh, most.min(jobs))
        };
        let mask = self.take(seat, &self.fresh, word, most)?;
        Some(Claim { base: self.base, word, mask, refill: self.refill(), origin, wakes: false })
    }

    #[inline(always)]
    fn claim_in_round(
        &self,
        seat: usize,
        most: u32,
        jobs: u32,
        shift: u32,
        wakes: &mut bool,
    ) -> Option<Claim> {
        let mut patience = HELD_SPINS;
        loop {
            let cursor = self.cursor();
            let (set, next) = (&self.rounds[cursor.parity()], cursor.parity() ^ 1);
            let lingering = &self.lingering[cursor.parity()];
            if let Some(word) = lingering.find(0, wakes) {
                if let Some(mask) = self.take(seat, lingering, word, most) {
                    let (refill, origin) = (self.refill(), Origin::Lingering);
                    return Some(Claim {
                        base: self.base,
                        word,
                        mask,
                        refill,
                        origin,
                        wakes: false,
                    });
                }
            } else if let Some(word) =
                set.find(cursor.position(), wakes).or_else(|| set.find(0, wakes))
            {
                if let Some(mask) = self.take(seat, set, word, most) {
                    self.move_to(cursor, word);
                    let (refill, origin) = (self.refill(), Origin::Round);
                    return Some(Claim {
                        base: self.base,
                        word,
                        mask,
                        refill,
                        origin,
                        wakes: false,
                    });
                }
            } else if [&self.rounds[next], &self.lingering[next]].iter().any(|set| !set.is_bare()) {
                if patience > 0 && self.is_held_elsewhere(seat) {
                    // A lane in the middle of its turn may come back into this round.
                    patience -= 1;
                } else if set.is_bare() && lingering.is_bare() {
                    self.next_round(seat, cursor, shift);
                }
            } else {
                return self.claim_fresh(seat, most, jobs, wakes);
            }
            spin();
        }
    }

    /// Claims one lane, wherever it stands in the rotation. `None` when it does not, which may mean that
    /// another worker holds it. A claim must be put back before the next one; the lane's place is kept
    /// if it is noted as unseen.
    pub(crate) fn claim_lane(&self, seat: usize, lane: u32) -> Option<Claim> {
        let (word, bit) = ((lane - self.base) / 64, 1 << (lane % 64));
        self.holding[seat].store(1, Relaxed);
        let current = self.cursor().parity();
        let places = [
            (&self.fresh, Origin::Fresh),
            (&self.rounds[current], Origin::Round),
            (&self.rounds[current ^ 1], Origin::Round),
            (&self.lingering[current], Origin::Lingering),
            (&self.lingering[current ^ 1], Origin::Lingering),
        ];
        let found = places.into_iter().find(|(set, _)| set.take_only(word, bit));
        let Some((_, origin)) = found else {
            self.let_go(seat);
            return None;
        };
        Some(Claim {
            base: self.base,
            word,
            mask: bit,
            refill: self.refill(),
            origin,
            wakes: false,
        })
    }

    /// Begins the next round with a lane in hand that has had its turn and makes up the whole
    /// rotation: what putting it back and claiming it again comes to. `false` when there are
    /// others, or somebody else has begun it.
    #[inline]
    pub(crate) fn go_round_alone(&self, seat: usize, claim: &mut Claim, shift: u32) -> bool {
        let cursor = self.cursor();
        let is_alone = cursor.round() == claim.refill.round
            && self.is_empty()
            && !self.is_held_elsewhere(seat);
        if !is_alone && !mutant!("rotation.alone_unchecked") {
            return false;
        }
        let next = cursor.next_round(1, shift);
        let is_begun = self.advance(cursor, next);
        if is_begun {
            claim.refill = next.refill();
            claim.origin = Origin::Round;
        }
        is_begun
    }

    /// Ends the round of a rotation that has just been found empty: lanes that become backlogged from now
    /// on need not wait for their next turn, as those with which the round was shared are gone.
    pub(crate) fn end_round(&self, seat: usize, shift: u32) {
        let cursor = self.cursor();
        if !self.is_held_elsewhere(seat) {
            self.advance(cursor, cursor.next_round(1, shift));
        }
    }

    /// Takes lanes out of a set, and says so before and as long as any are held.
    #[inline]
    fn take(&self, seat: usize, set: &LaneSet, word: u32, most: u32) -> Option<u64> {
        self.holding[seat].store(1, Relaxed);
        let mask = set.take(word, most);
        if mask == 0 {
            self.let_go(seat);
            return None;
        }
        Some(mask)
    }

    /// Notes that the words before `word` are done with. Only a hint for the next search.
    #[inline]
    fn move_to(&self, cursor: Cursor, word: u32) {
        if cursor.position() != word {
            self.advance(cursor, cursor.at(word));
        }
    }

    /// Moves the cursor on, unless another worker has.
    #[inline]
    fn advance(&self, cursor: Cursor, next: Cursor) -> bool {
        // ORDERING(rotation.advance): AcqRel; pairs with rotation.cursor.
        let advanced = self.clockwork.cursor.compare_exchange(
            cursor.0,
            next.0,
            ord!("rotation.advance", AcqRel => Relaxed),
            Relaxed,
        );
        advanced.is_ok()
    }

    /// Begins the round after `cursor`'s, unless another worker has.
    fn next_round(&self, seat: usize, cursor: Cursor, shift: u32) {
        let leap = self.leap(seat, cursor);
        // The need was counted in this round's quanta.
        let shift = if leap > 1 { cursor.refill().shift } else { shift };
        let next = cursor.next_round(leap, shift);
        if mutant!("rotation.advance_by_store") {
            self.clockwork.cursor.store(next.0, Ordering::Release);
            return;
        }
        self.advance(cursor, next);
    }

    /// Turns in the refill that follows `cursor`'s round: one, or, when the round granted nothing,
    /// the fewest that let some job run. One also while a lane is still held: it might grant.
    fn leap(&self, seat: usize, cursor: Cursor) -> u32 {
        let need_now = || Harvest(self.clockwork.harvest.load(Relaxed)).need_of(cursor.round());
        match need_now() {
            None | Some(1) => 1,
            Some(need) if mutant!("rotation.leap_at_once") => need,
            Some(_) if self.is_held_elsewhere(seat) => 1,
            Some(need) if mutant!("rotation.no_second_look") => need,
            // What the others noted before they let go counts too.
            Some(need) => need_now().unwrap_or(1).min(need),
        }
    }

    fn is_held_elsewhere(&self, seat: usize) -> bool {
        // The sets were found empty by plain looks: whoever emptied them said so before.
        full_fence(Ordering::Acquire);
        let others = self.holding.iter().enumerate().filter(|(at, _)| *at != seat);
        // ORDERING(rotation.held): Acquire; pairs with rotation.let_go.
        others
            .into_iter()
            .any(|(_, flag)| flag.load(ord!("rotation.held", Acquire => Relaxed)) != 0)
    }

    fn let_go(&self, seat: usize) {
        // ORDERING(rotation.let_go): Release: the claim's harvest and put-back come first; pairs
        // with rotation.held.
        self.holding[seat].store(0, ord!("rotation.let_go", Release => Relaxed));
    }

    /// Puts a claim's lanes back where they belong. Ends with a `SeqCst` fence when any lane
    /// stays, so that the caller may look at the sleepers next.
    pub(crate) fn put_back(&self, seat: usize, claim: &Claim, findings: &Findings) {
        debug_assert_eq!(claim.mask, 0, "every lane of a claim is visited or put back");
        self.note(claim.refill.round, findings);
        let now = self.cursor();
        let moved_on = now.round() != claim.refill.round;
        let current = now.parity();
        // A lane whose turn was in an earlier round has its next one in this round.
        let next = if moved_on { current } else { current ^ 1 };
        let origin = match claim.origin {
            Origin::Fresh => &self.fresh,
            Origin::Lingering => &self.lingering[current],
            Origin::FreshRound | Origin::Round => &self.rounds[current],
        };
        let homes = [
            (&self.rounds[current], findings.again),
            (&self.rounds[next], findings.over),
            (&self.lingering[next], findings.lingering),
            (origin, findings.unseen),
        ];
        for (set, lanes) in homes {
            if lanes != 0 {
                set.insert(claim.word, lanes);
            }
        }
        self.let_go(seat);
    }

    #[inline]
    fn note(&self, round: u32, findings: &Findings) {
        if !findings.granted && findings.need == 0 {
            return;
        }
        let need = if findings.granted { 0 } else { findings.need };
        let mut harvest = Harvest(self.clockwork.harvest.load(Relaxed));
        while let Some(next) = harvest.with(round, need) {
            let swapped = self.clockwork.harvest.compare_exchange_weak(
                harvest.0,
                next.0,
                Ordering::Relaxed,
                Relaxed,
            );
            match swapped {
                Ok(_) => return,
                Err(now) => harvest = Harvest(now),
            }
            spin();
        }
    }

    /// Calls `visit` for every lane that stood in the rotation at some moment of the call.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(u32)) {
        for set in self.sets() {
            set.for_each(&mut |place| visit(self.base + place));
        }
    }
}
