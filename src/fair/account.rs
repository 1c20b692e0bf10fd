//! Deficit round robin (Shreedhar and Varghese, 1995) for one lane.

use crate::units::Weight;

/// Rounds count modulo this. A lane that stays away for exactly this many rounds waits one more.
pub(crate) const ROUNDS: u32 = 1 << 25;
/// Most turns one refill may stand for.
pub(crate) const LEAP_MAX: u32 = (1 << 18) - 1;
/// Most halvings of the quantum.
pub(crate) const SHIFT_MAX: u32 = 31;
/// Most turns a lane is given back for rounds it missed while a worker held it.
const MISSED_MAX: u32 = 8;
/// Balances are kept in millionths of a cost unit, so that small weights lose nothing.
const MICROS: i64 = 1_000_000;

/// What a lane may spend in one turn: weight times the policy's base, in millionths of a cost unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Quantum(i64);

impl Quantum {
    /// `weight x base`; at most 10^15 millionths, since the base is at most a million.
    pub(crate) fn new(weight: Weight, base: u32) -> Self {
        Quantum(i64::from(weight.thousandths()) * i64::from(base) * (MICROS / 1_000))
    }

    /// One of `parts` equal parts.
    pub(crate) fn part(self, parts: u32) -> Self {
        Quantum((self.0 / i64::from(parts)).max(1))
    }

    /// Halved `shift` times, and never nothing.
    #[inline]
    fn shifted(self, shift: u32) -> i64 {
        (self.0 >> shift).max(1)
    }

    /// In cost units.
    pub(crate) fn units(self) -> f64 {
        self.0 as f64 / MICROS as f64
    }
}

/// What a turn in the current round is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refill {
    /// The round, modulo [`ROUNDS`].
    pub(crate) round: u32,
    /// Turns given at once to lanes whose last turn granted nothing, `1..=LEAP_MAX`.
    pub(crate) leap: u32,
    /// How often the quantum is halved in this round.
    pub(crate) shift: u32,
}

/// A lane's balance.
///
/// `IDLE -> IN TURN -> WAITING -> IN TURN ...`, and back to idle when the lane empties.
#[derive(Clone, Copy, Debug)]
#[repr(C, packed(4))]
pub(crate) struct Account {
    /// Millionths of a cost unit. Between turns 0 <= deficit < dearest job, less corrections.
    deficit: i64,
    /// `flags 7 | round 25`: the round of the last turn, and what it was like.
    mark: u32,
}

/// An account's record of its last turn.
#[derive(Clone, Copy)]
pub(crate) struct Turn(u32);

const ROUND_MASK: u32 = ROUNDS - 1;
/// The lane has been idle since its last turn: rounds it was away for are not given back.
const RESTED: u32 = 1 << 25;
/// The last turn granted nothing because the deficit did not cover the first job.
const HUNGRY: u32 = 1 << 26;
/// Nothing was granted so far in the turn.
const BARREN: u32 = 1 << 27;
/// The lane has never had a turn, or none in the round of its last one.
const NEW: u32 = 1 << 28;
/// The lane was parked in the middle of its last turn.
const PAUSED: u32 = 1 << 29;

impl Account {
    /// The account of a lane that has never had a turn.
    pub(crate) const fn new() -> Self {
        Account { deficit: 0, mark: RESTED | NEW }
    }

    #[inline]
    fn has(self, flag: u32) -> bool {
        self.mark & flag != 0
    }

    #[inline]
    fn set(&mut self, flag: u32, on: bool) {
        self.mark = if on { self.mark | flag } else { self.mark & !flag };
    }

    /// Rounds from the last turn to `round`; 0 also when the last turn was in a later round,
    /// which a worker with an old view of the cursor may see.
    #[inline]
    fn away(self, round: u32) -> u32 {
        let away = round.wrapping_sub(self.mark) & ROUND_MASK;
        if away > ROUND_MASK / 2 { 0 } else { away }
    }

    /// Whether the lane has had, or is in the middle of, its turn of `round`.
    #[inline]
    pub(crate) fn had_turn(self, round: u32) -> bool {
        !self.has(NEW) && self.away(round) == 0
    }

    /// Begins the turn of `refill.round`, or goes on with it: the quantum is added once a round.
    #[inline]
    pub(crate) fn begin(&mut self, refill: Refill, quantum: Quantum) {
        if self.had_turn(refill.round) {
            return;
        }
        let turns = self.turns_due(refill);
        let credit = quantum.shifted(refill.shift).saturating_mul(i64::from(turns));
        self.deficit = self.deficit.saturating_add(credit);
        self.mark = refill.round | BARREN;
    }

    /// Cuts a leap that gives more than `enough` millionths and a turn besides: its turns were
    /// counted in quanta that may be other ones now. `plain` is what the account would be with a
    /// single turn.
    pub(crate) fn cap_leap(&mut self, plain: Account, enough: i64, quantum: Quantum, shift: u32) {
        let most = enough.saturating_add(quantum.shifted(shift));
        self.deficit = self.deficit.min(most.max(plain.deficit));
    }

    fn turns_due(self, refill: Refill) -> u32 {
        let leap = if self.has(HUNGRY) { refill.leap } else { 1 };
        if self.has(RESTED) {
            return leap;
        }
        leap + (self.away(refill.round) - 1).min(MISSED_MAX - 1)
    }

    /// Leaves the turn in the middle, for as long as the lane is parked. In the same round it goes on;
    /// rounds it is away for are not given back.
    pub(crate) fn pause(&mut self) {
        self.mark |= RESTED | PAUSED;
    }

    /// Whether the lane, back in the rotation, must wait for the round after `round`: it has had its
    /// turn, and was not parked in the middle of it.
    #[inline]
    pub(crate) fn waits_out(self, round: u32) -> bool {
        !self.has(NEW | PAUSED) && self.away(round) == 0
    }

    /// The balance, to pay jobs from; [`Account::take_back`] comes after them.
    #[inline]
    pub(crate) fn purse(self) -> Purse {
        Purse(self.deficit)
    }

    /// Takes over what is left in the purse. Returns the cost of the jobs paid from it.
    #[inline]
    pub(crate) fn take_back(&mut self, purse: Purse) -> u64 {
        let paid = self.deficit - purse.0;
        self.deficit = purse.0;
        paid as u64 / MICROS as u64
    }

    /// Whether the balance covers a job of `cost`.
    #[inline]
    pub(crate) fn covers(self, cost: u32) -> bool {
        self.purse().covers(cost)
    }

    /// Records that the turn granted something.
    #[inline]
    pub(crate) fn granted(&mut self) {
        self.mark &= !BARREN;
    }

    /// Ends the turn before a first job of `cost` that the balance does not cover. When the turn
    /// granted nothing at all, returns the turns that would.
    pub(crate) fn end_short(&mut self, cost: u32, quantum: Quantum, shift: u32) -> Option<u32> {
        let hungry = self.has(BARREN);
        self.set(HUNGRY, hungry);
        if !hungry {
            return None;
        }
        let missing = (i64::from(cost) * MICROS).saturating_sub(self.deficit).max(1);
        let per_turn = quantum.shifted(shift);
        let turns = (missing - 1) / per_turn + 1;
        Some(u32::try_from(turns).unwrap_or(LEAP_MAX).min(LEAP_MAX))
    }

    /// Empties the balance of a lane without jobs; credit is not saved up. Debt stays.
    #[inline]
    pub(crate) fn empty(&mut self) {
        self.deficit = self.deficit.min(0);
        self.set(HUNGRY, false);
    }

    /// Whether corrections have left the balance below zero.
    #[inline]
    pub(crate) fn owes(self) -> bool {
        self.deficit < 0
    }

    /// Records that the lane leaves the rotation, and returns what the record was before.
    #[inline]
    pub(crate) fn rest(&mut self) -> Turn {
        let turn = Turn(self.mark);
        // A turn in which the lane was found empty was none.
        let unused = if self.has(BARREN) { NEW } else { 0 };
        self.mark = self.mark & (ROUND_MASK | NEW) | RESTED | unused;
        turn
    }

    /// Takes back a [`rest`](Account::rest).
    #[inline]
    pub(crate) fn stay(&mut self, turn: Turn) {
        self.mark = turn.0;
    }

    /// Corrects the balance by `micros` after jobs turned out cheaper (positive) or dearer.
    #[inline]
    pub(crate) fn correct(&mut self, micros: i64) {
        self.deficit = self.deficit.saturating_add(micros);
    }

    /// The balance in millionths of a cost unit.
    #[cfg(test)]
    pub(crate) fn deficit(self) -> i64 {
        self.deficit
    }

    /// Pays for a job of `cost` if the balance covers it.
    #[cfg(test)]
    fn pay(&mut self, cost: u32) -> bool {
        let mut purse = self.purse();
        let paid = purse.pay(cost);
        assert_eq!(self.take_back(purse), if paid { cost.into() } else { 0 });
        paid
    }
}

/// The balance of an account while jobs are paid from it: one number, so that it stays in a register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purse(i64);

impl Purse {
    /// Pays for a job of `cost` if the balance covers it.
    #[inline]
    pub(crate) fn pay(&mut self, cost: u32) -> bool {
        let covered = self.covers(cost);
        if covered {
            self.0 -= i64::from(cost) * MICROS;
        }
        covered
    }

    /// Pays for a job of `cost`, covered or not: the engine has stopped and hands it back.
    pub(crate) fn draw(&mut self, cost: u32) {
        self.0 -= i64::from(cost) * MICROS;
    }

    /// Whether the balance covers a job of `cost`.
    #[inline]
    pub(crate) fn covers(self, cost: u32) -> bool {
        self.0 >= i64::from(cost) * MICROS
    }
}

/// Cost units as millionths.
#[inline]
pub(crate) const fn micros(cost: i64) -> i64 {
    cost.saturating_mul(MICROS)
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;

    fn refill(round: u32) -> Refill {
        Refill { round, leap: 1, shift: 0 }
    }

    fn quantum(units: f64) -> Quantum {
        Quantum::new(Weight::new(units).unwrap(), 1)
    }

    #[test]
    fn the_quantum_is_added_once_a_round_whatever_path_led_there() {
        let mut account = Account::new();
        account.begin(refill(7), quantum(20.0));
        account.begin(refill(7), quantum(20.0));
        assert_eq!(account.deficit(), micros(20));
    }

    #[test]
    fn a_balance_is_carried_over_while_the_lane_has_jobs_and_not_beyond() {
        let mut account = Account::new();
        account.begin(refill(1), quantum(20.0));
        assert!(account.pay(14) && !account.pay(7));
        account.begin(refill(2), quantum(20.0));
        assert_eq!(account.deficit(), micros(26));
        account.empty();
        assert_eq!(account.deficit(), 0);
    }

    #[test]
    fn a_rested_lane_gets_one_turn_and_a_held_one_at_most_eight() {
        let mut account = Account::new();
        account.begin(refill(1), quantum(1.0));
        account.rest();
        account.begin(refill(1_000), quantum(1.0));
        assert_eq!(account.deficit(), micros(2));
        account.begin(refill(1_003), quantum(1.0));
        assert_eq!(account.deficit(), micros(5), "two missed rounds are given back");
        account.begin(refill(2_000), quantum(1.0));
        assert_eq!(account.deficit(), micros(13), "at most eight turns");
    }

    #[test]
    fn only_a_lane_that_was_granted_nothing_takes_part_in_a_leap() {
        let leap = |round| Refill { round, leap: 50, shift: 0 };
        let (mut hungry, mut served) = (Account::new(), Account::new());
        for account in [&mut hungry, &mut served] {
            account.begin(refill(1), quantum(20.0));
        }
        assert_eq!(hungry.end_short(1_000, quantum(20.0), 0), Some(49));
        assert!(served.pay(1));
        served.granted();
        assert_eq!(served.end_short(1_000, quantum(20.0), 0), None);
        hungry.begin(leap(2), quantum(20.0));
        served.begin(leap(2), quantum(20.0));
        assert_eq!(hungry.deficit(), micros(20 + 1_000));
        assert_eq!(served.deficit(), micros(19 + 20));
    }

    #[test]
    fn an_empty_lanes_visit_is_no_turn() {
        let mut account = Account::new();
        account.begin(refill(3), quantum(1.0));
        account.empty();
        account.rest();
        assert!(!account.had_turn(3));
        account.begin(refill(3), quantum(1.0));
        assert!(account.pay(1));
        account.granted();
        account.rest();
        assert!(account.had_turn(3));
    }

    #[test]
    fn a_round_seen_late_by_another_worker_gives_no_second_turn() {
        let mut account = Account::new();
        account.begin(refill(5), quantum(1.0));
        account.begin(refill(4), quantum(1.0));
        assert_eq!(account.deficit(), micros(1));
    }

    #[test]
    fn rounds_wrap() {
        let mut account = Account::new();
        account.begin(refill(ROUNDS - 1), quantum(1.0));
        account.begin(refill(0), quantum(1.0));
        assert_eq!(account.deficit(), micros(2));
    }

    #[test]
    fn the_smallest_weight_still_gains_in_every_round() {
        let mut account = Account::new();
        let tiny = Quantum::new(Weight::MIN, 1);
        for round in 0..100 {
            account.begin(Refill { round, leap: 1, shift: 0 }, tiny);
        }
        assert!(account.pay(1) && !account.pay(1));
    }
}
