//! Rounds that lead nowhere.

use crate::fair::Refill;

/// Rounds that come no nearer to a grant before a worker concludes that only unfinished producers are
/// left.
const BARREN_ROUNDS: u32 = 2;

/// Counts rounds that came no nearer to a grant.
#[derive(Default)]
pub(super) struct Barren {
    round: Option<u32>,
    rounds: u32,
}

impl Barren {
    /// Whether enough of them are over, now that a visit of the round that `refill` is of has come nearer
    /// or not.
    pub(super) fn is_over(&mut self, refill: Refill, came_nearer: bool) -> bool {
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
