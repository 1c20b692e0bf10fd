//! The packed words of the rotation.

use crate::fair::{LEAP_MAX, ROUNDS, Refill, SHIFT_MAX};

/// Whose turn it is: `round 25 | shift 5 | leap 18 | position 16`.
///
/// The position is the word where the search goes on; being wrong about it costs a look, never a
/// turn. All that makes a turn worth something in this round travels with the round's number, so
/// every worker of a round sees the same values. A wrap of the round is harmless: a lane that
/// stayed away for exactly 2^25 rounds waits one round longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Cursor(pub(super) u64);

const POSITION_BITS: u32 = 16;
const LEAP_BITS: u32 = 18;
const SHIFT_AT: u32 = POSITION_BITS + LEAP_BITS;
const ROUND_AT: u32 = SHIFT_AT + 5;

impl Cursor {
    pub(super) const fn start(round: u32) -> Cursor {
        Cursor::pack(round % ROUNDS, 0, 1, 0)
    }

    const fn pack(round: u32, shift: u32, leap: u32, position: u32) -> Cursor {
        Cursor(
            (round as u64) << ROUND_AT
                | (shift as u64) << SHIFT_AT
                | (leap as u64) << POSITION_BITS
                | position as u64,
        )
    }

    #[inline]
    pub(super) const fn round(self) -> u32 {
        (self.0 >> ROUND_AT) as u32
    }

    /// Which of the two sets is the current round's.
    #[inline]
    pub(super) const fn parity(self) -> usize {
        (self.0 >> ROUND_AT) as usize & 1
    }

    #[inline]
    pub(super) const fn position(self) -> u32 {
        self.0 as u32 & 0xFFFF
    }

    #[inline]
    const fn leap(self) -> u32 {
        (self.0 >> POSITION_BITS) as u32 & LEAP_MAX
    }

    #[inline]
    const fn shift(self) -> u32 {
        (self.0 >> SHIFT_AT) as u32 & SHIFT_MAX
    }

    #[inline]
    pub(super) const fn refill(self) -> Refill {
        Refill { round: self.round(), leap: self.leap(), shift: self.shift() }
    }

    /// The same round, going on at word `position`.
    #[inline]
    pub(super) const fn at(self, position: u32) -> Cursor {
        Cursor(self.0 & !0xFFFF | position as u64)
    }

    /// The start of the next round.
    pub(super) const fn next_round(self, leap: u32, shift: u32) -> Cursor {
        Cursor::pack((self.round() + 1) % ROUNDS, shift, leap, 0)
    }
}

/// What a round has granted: `round 32 | need 32`. Need 0 says that something was granted; any
/// other value is the fewest turns that would let some lane's first job run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Harvest(pub(super) u64);

impl Harvest {
    /// No round has been noted.
    pub(super) const NOTHING: Harvest = Harvest(u64::MAX);

    fn round(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn need(self) -> u32 {
        self.0 as u32
    }

    /// The need of `round` when it granted nothing.
    pub(super) fn need_of(self, round: u32) -> Option<u32> {
        (self.round() == round && self.need() != 0).then(|| self.need().min(LEAP_MAX))
    }

    /// With another finding of `round`, or `None` when that changes nothing.
    #[inline]
    pub(super) fn with(self, round: u32, need: u32) -> Option<Harvest> {
        let merged = if self.round() == round { need.min(self.need()) } else { need };
        let next = Harvest(u64::from(round) << 32 | u64::from(merged));
        (next != self).then_some(next)
    }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cursor_gives_back_what_was_packed(
            round in 0..ROUNDS, shift in 0..=SHIFT_MAX, leap in 1..=LEAP_MAX, at in 0u32..1 << 16,
        ) {
            let cursor = Cursor::pack(round, shift, leap, 0).at(at);
            prop_assert_eq!(cursor.refill(), Refill { round, leap, shift });
            prop_assert_eq!(cursor.position(), at);
            prop_assert_eq!(cursor.parity() as u32, round & 1);
            let next = cursor.next_round(1, 0);
            prop_assert_eq!(next.round(), (round + 1) % ROUNDS);
            prop_assert_eq!(next.position(), 0);
        }
    }

    #[test]
    fn a_harvest_keeps_the_smallest_need_of_its_round_and_a_grant_wins() {
        let first = Harvest::NOTHING.with(3, 50).unwrap();
        assert_eq!(first.need_of(3), Some(50));
        assert_eq!(first.with(3, 70), None);
        let less = first.with(3, 20).unwrap();
        assert_eq!(less.need_of(3), Some(20));
        let granted = less.with(3, 0).unwrap();
        assert_eq!(granted.need_of(3), None);
        assert_eq!(granted.with(4, 9).unwrap().need_of(4), Some(9));
    }
}
