//! The two packed words of a lane: where producers stand, and what a slot says of its job.

use crate::sync::mutant;

/// A block number: 24 bits.
pub(crate) type BlockId = u32;

/// No block. In a lane's word it also means: nobody has this lane in the rotation.
pub(crate) const NO_BLOCK: BlockId = (1 << BLOCK_BITS) - 1;

/// No block either, but the lane is in the rotation: its next producer brings a block, and need not
/// put the lane there.
pub(super) const BLOCKLESS: BlockId = NO_BLOCK - 1;

/// Beside the number of a lane's first block: all its slots have been passed, and its next one is the first.
pub(super) const PASSED: u32 = 1 << 31;

const BLOCK_BITS: u32 = 24;
const CLOSED_SHIFT: u32 = BLOCK_BITS;
const GENERATION_SHIFT: u32 = CLOSED_SHIFT + 1;
const TAIL_SHIFT: u32 = GENERATION_SHIFT + 16;
const TAIL_BITS: u32 = u64::BITS - TAIL_SHIFT;
const TAIL_MASK: u32 = (1 << TAIL_BITS) - 1;

/// Positions count modulo this; a lane's bound stays far below half of it.
pub(crate) const POSITIONS: u32 = 1 << TAIL_BITS;

/// `to - from` on positions, which wrap at 23 bits; `from` must not be ahead of `to`.
#[inline]
pub(crate) const fn distance(from: u32, to: u32) -> u32 {
    to.wrapping_sub(from) & TAIL_MASK
}

/// Jobs from `head` to a `tail` that was read before it: none when the head has passed that tail,
/// which says that the tail is out of date.
#[inline]
pub(super) fn backlog(head: u32, tail: u32) -> u32 {
    if mutant!("ring.plain_compare") {
        return tail.saturating_sub(head);
    }
    let jobs = distance(head, tail);
    if jobs > POSITIONS / 2 && !mutant!("ring.stale_tail") { 0 } else { jobs }
}

/// The position after `pos`.
#[inline]
pub(crate) const fn following(pos: u32) -> u32 {
    (pos + 1) & TAIL_MASK
}

/// The position `n` after `pos`.
#[inline]
pub(crate) const fn advanced(pos: u32, n: u32) -> u32 {
    pos.wrapping_add(n) & TAIL_MASK
}

/// The position `n` before `pos`.
#[inline]
pub(crate) const fn behind(pos: u32, n: u32) -> u32 {
    pos.wrapping_sub(n) & TAIL_MASK
}

/// Where a lane's producers stand, in the one word that a reservation compares and swaps:
/// `tail 23 | generation 16 | closed 1 | block 24`. The tail is on top so that it wraps by itself.
///
/// The block is the one that holds the last reserved slot. It is [`NO_BLOCK`] exactly while the
/// lane is out of the rotation, so "was it idle?" needs no flag of its own. A tail that wraps is
/// harmless: a compare-and-swap that succeeds has compared everything the reservation uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Word(pub(crate) u64);

impl Word {
    /// An idle, open lane of `generation` whose next job goes to position `tail`.
    #[inline]
    pub(crate) const fn idle(generation: u16, tail: u32) -> Word {
        Word(
            (tail as u64) << TAIL_SHIFT | (generation as u64) << GENERATION_SHIFT | NO_BLOCK as u64,
        )
    }

    #[inline]
    pub(crate) const fn generation(self) -> u16 {
        (self.0 >> GENERATION_SHIFT) as u16
    }

    #[inline]
    pub(crate) const fn is_closed(self) -> bool {
        self.0 >> CLOSED_SHIFT & 1 == 1
    }

    /// The closed bit alone, for `fetch_or`.
    pub(crate) const CLOSED: u64 = 1 << CLOSED_SHIFT;

    #[inline]
    pub(crate) const fn tail(self) -> u32 {
        (self.0 >> TAIL_SHIFT) as u32
    }

    #[inline]
    pub(crate) const fn block(self) -> BlockId {
        self.0 as u32 & NO_BLOCK
    }

    /// Whether the lane is out of the rotation, with no job and no block.
    #[inline]
    pub(crate) const fn is_idle(self) -> bool {
        self.block() == NO_BLOCK
    }

    /// Whether the lane has a block: the one that holds its last reserved slot.
    #[inline]
    pub(super) const fn has_block(self) -> bool {
        self.block() < BLOCKLESS
    }

    /// The block of a lane that is open and in the rotation, or a number that no block has: the
    /// closed bit stands above the block's, so one look tells.
    #[inline]
    pub(crate) const fn open_block(self) -> BlockId {
        self.0 as u32 & (Word::CLOSED as u32 | NO_BLOCK)
    }

    /// Whether the next position begins a block of `mask + 1` slots.
    #[inline]
    pub(crate) const fn needs_block(self, mask: u32) -> bool {
        !self.has_block() || self.tail() & mask == 0
    }

    /// The same lane with another tail and block.
    #[inline]
    pub(crate) const fn at(self, tail: u32, block: BlockId) -> Word {
        let keep = self.0 & (0x1_FFFF << CLOSED_SHIFT);
        Word((tail as u64) << TAIL_SHIFT | keep | block as u64)
    }

    /// The same lane and block, one position on.
    #[inline]
    pub(crate) const fn advanced(self) -> Word {
        Word(self.0.wrapping_add(1 << TAIL_SHIFT))
    }
}

/// The cost that marks a slot without a job.
pub(crate) const TOMBSTONE: u32 = 0;

const COST_BITS: u32 = 20;
const COST_MASK: u64 = (1 << COST_BITS) - 1;
const STAMP_BITS: u32 = 39;
const STAMP_MASK: u64 = (1 << STAMP_BITS) - 1;
/// The job has an order of its own.
const ORDERED: u64 = 1 << STAMP_BITS;
const COST_SHIFT: u32 = STAMP_BITS + 1;
const TAG_SHIFT: u32 = COST_SHIFT + COST_BITS;

/// The largest tag; tag 0 is a slot nobody has written.
pub(crate) const TAG_MAX: u32 = 15;

/// What a published slot says of its job: `tag 4 | cost 20 | ordered 1 | stamp 39`.
///
/// The tag names the use of the block, so that a drainer never has to clear a slot: what an
/// earlier use left behind carries another tag. Cost 0 is a tombstone: no payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Meta(pub(crate) u64);

impl Meta {
    #[inline]
    pub(crate) const fn new(tag: u32, cost: u32, stamp: Stamp) -> Meta {
        Meta((tag as u64) << TAG_SHIFT | (cost as u64) << COST_SHIFT | stamp.0)
    }

    #[inline]
    pub(crate) const fn tag(self) -> u32 {
        (self.0 >> TAG_SHIFT) as u32
    }

    #[inline]
    pub(crate) const fn cost(self) -> u32 {
        (self.0 >> COST_SHIFT & COST_MASK) as u32
    }

    /// The same of a job that has an order of its own, noted with [`super::orders::Orders`].
    pub(crate) const fn ordered(self) -> Meta {
        Meta(self.0 | ORDERED)
    }

    #[inline]
    pub(crate) const fn is_ordered(self) -> bool {
        self.0 & ORDERED != 0
    }

    #[inline]
    pub(crate) const fn stamp(self) -> Stamp {
        Stamp(self.0 & STAMP_MASK)
    }

    /// The cost of a job under `tag` that is neither stamped nor ordered; `None` for anything else.
    #[inline]
    pub(crate) const fn plain_cost(self, tag: u32) -> Option<u32> {
        // With the right tag, no stamp and no order, nothing but the cost is left.
        let cost = (self.0 ^ (tag as u64) << TAG_SHIFT).rotate_right(COST_SHIFT);
        if cost.wrapping_sub(1) < COST_MASK { Some(cost as u32) } else { None }
    }
}

/// When a job was accepted, in units of 1,024 ns modulo 6 days, or not at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stamp(u64);

impl Stamp {
    /// The job was not stamped.
    pub(crate) const NONE: Stamp = Stamp(0);

    /// Stamps the moment `nanos`.
    #[inline]
    pub(crate) const fn at(nanos: u64) -> Stamp {
        let unit = nanos >> 10 & STAMP_MASK;
        Stamp(if unit == 0 { 1 } else { unit })
    }

    #[inline]
    pub(crate) const fn is_some(self) -> bool {
        self.0 != 0
    }

    /// Nanoseconds from the stamp to `now`, a multiple of 1,024; 0 when `now` is earlier.
    #[inline]
    pub(crate) const fn age(self, now: u64) -> u64 {
        let age = (now >> 10).wrapping_sub(self.0) & STAMP_MASK;
        if age > STAMP_MASK / 2 { 0 } else { age << 10 }
    }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_word_gives_back_what_was_packed(
            generation: u16, tail in 0..POSITIONS, next in 0..POSITIONS, block in 0..NO_BLOCK,
        ) {
            let idle = Word::idle(generation, tail);
            prop_assert!(idle.is_idle() && !idle.is_closed());
            let word = Word(idle.0 | Word::CLOSED).at(next, block);
            prop_assert_eq!(
                (word.generation(), word.is_closed(), word.tail(), word.block()),
                (generation, true, next, block)
            );
        }

        #[test]
        fn a_slot_word_gives_back_what_was_packed(
            tag in 0..=TAG_MAX, cost in 0u32..=1_000_000, nanos: u64,
        ) {
            let meta = Meta::new(tag, cost, Stamp::at(nanos));
            prop_assert_eq!((meta.tag(), meta.cost(), meta.stamp()), (tag, cost, Stamp::at(nanos)));
            prop_assert_eq!(meta.plain_cost(tag), None);
            prop_assert!(!meta.is_ordered());
            let ordered = Meta::new(tag, cost, Stamp::NONE).ordered();
            prop_assert!(ordered.is_ordered() && ordered.plain_cost(tag).is_none());
            prop_assert_eq!((ordered.tag(), ordered.cost()), (tag, cost));
        }

        #[test]
        fn a_plain_job_is_one_that_has_the_tag_and_a_cost_and_no_stamp(
            tag in 0..=TAG_MAX, other in 0..=TAG_MAX, cost in 0u32..=1_000_000,
        ) {
            let plain = Meta::new(tag, cost, Stamp::NONE).plain_cost(other);
            prop_assert_eq!(plain, (tag == other && cost != TOMBSTONE).then_some(cost));
        }

        #[test]
        fn an_age_is_right_to_a_unit_up_to_three_days(
            start in 1_024u64..1 << 60, wait in 0u64..1 << 48,
        ) {
            let age = Stamp::at(start).age(start + wait);
            prop_assert!(age.abs_diff(wait) <= 2_048);
        }
    }

    #[test]
    fn positions_wrap() {
        let last = POSITIONS - 1;
        assert_eq!(following(last), 0);
        assert_eq!(distance(last, 1), 2);
        assert_eq!(advanced(last, 3), 2);
    }

    #[test]
    fn a_stamp_from_the_future_has_no_age() {
        assert_eq!(Stamp::at(5_000_000).age(4_000_000), 0);
    }
}
