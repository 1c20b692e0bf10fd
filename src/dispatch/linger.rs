//! Whether a lane found empty stays in the rotation for one more round.

/// Most lanes a worker leaves lingering: each keeps a block.
const LINGERING_MAX: u32 = 1_024;
/// Bound of the score.
const SCORE_MAX: i32 = 32;
/// Out of luck, lanes of every so many ticks linger all the same, to see whether that has changed.
const TRY_EVERY: u32 = 16;

/// What a worker knows of the lanes it leaves lingering.
///
/// Under steady light traffic a lane has a job again a round later, and staying saves it a way out
/// and in. Under sparse traffic it has not, and the visit that finds that out is wasted. So the
/// worker goes by its luck.
#[derive(Default, Debug)]
pub(super) struct Linger {
    /// Lanes left lingering, less those found again.
    lanes: u32,
    /// Lanes found with a job, less those found without, of about the last hundred.
    score: i32,
    ticks: u32,
}

impl Linger {
    /// Whether lanes that a tick finds empty shall linger.
    pub(super) fn is_worth_it(&mut self) -> bool {
        self.ticks = self.ticks.wrapping_add(1);
        let is_lucky = self.score >= 0 || self.ticks % TRY_EVERY == 0;
        is_lucky && self.lanes < LINGERING_MAX
    }

    /// Notes that a lane has been left lingering.
    #[inline]
    pub(super) fn left(&mut self) {
        self.lanes += 1;
    }

    /// Notes that a lingering lane has been found again, with a job or without.
    #[inline]
    pub(super) fn found(&mut self, with_job: bool) {
        self.lanes = self.lanes.saturating_sub(1);
        let step = if with_job { 1 } else { -1 };
        self.score = (self.score + step).clamp(-SCORE_MAX, SCORE_MAX);
    }

    /// Notes that the rotation is empty.
    pub(super) fn none_left(&mut self) {
        self.lanes = 0;
    }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;

    /// Of 1,000 ticks, how many leave their one empty lane lingering, when it has a job a round
    /// later as `has_job` says.
    fn lingering(linger: &mut Linger, has_job: bool) -> usize {
        let mut tick = |_: &i32| {
            let stays = linger.is_worth_it();
            if stays {
                linger.left();
                linger.found(has_job);
            }
            stays
        };
        (0..1_000).filter(|at| tick(at)).count()
    }

    #[test]
    fn lanes_that_come_back_linger_and_others_are_tried_now_and_then() {
        let mut linger = Linger::default();
        assert_eq!(lingering(&mut linger, true), 1_000);
        let unlucky = lingering(&mut linger, false);
        assert!((60..200).contains(&unlucky), "{unlucky} of 1,000 tried in vain");
        assert_eq!(lingering(&mut linger, false), 1_000 / TRY_EVERY as usize);
        lingering(&mut linger, true);
        assert_eq!(lingering(&mut linger, true), 1_000, "the luck has turned");
    }

    #[test]
    fn no_more_linger_than_may_keep_a_block() {
        let mut linger = Linger::default();
        (0..LINGERING_MAX).for_each(|_| linger.left());
        assert!(!linger.is_worth_it());
        linger.none_left();
        assert!(linger.is_worth_it());
    }
}
