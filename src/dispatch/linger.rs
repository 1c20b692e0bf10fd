//! Whether a lane found empty stays in the rotation for one more round.

/// Most lanes a worker leaves lingering with a block each.
const WITH_BLOCK_MAX: u32 = 1_024;
/// Bound of the score.
const SCORE_MAX: i32 = 32;
/// Out of luck, lanes of every so many ticks linger all the same, to see whether that has changed.
const TRY_EVERY: u32 = 64;

/// What becomes of a lane that is found empty after jobs of it were granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stay {
    /// It leaves the rotation.
    No,
    /// It stays for one more round and keeps its block, so that nothing of the producers' is touched.
    WithBlock,
    /// It stays for one more round, and its block goes back: there are too many such lanes, or too
    /// few blocks. That is a compare-and-swap, as leaving is, but spares the next producer bringing
    /// the lane back.
    Blockless,
}

/// What a worker knows of the lanes it leaves lingering.
///
/// Under steady light traffic a lane has a job again a round later, and staying saves it a way out
/// and in. Under sparse traffic it has not, and the visit that finds that out is wasted. So the
/// worker goes by its luck.
#[derive(Default, Debug)]
pub(super) struct Linger {
    /// Lanes left lingering with a block, less those found again.
    with_block: u32,
    /// Lanes found with a job, less those found without, of about the last hundred.
    score: i32,
    ticks: u32,
}

impl Linger {
    /// What becomes of lanes that the coming tick finds empty.
    pub(super) fn decide(&mut self, blocks_are_scarce: bool) -> Stay {
        self.ticks = self.ticks.wrapping_add(1);
        let is_lucky = self.score >= 0 || self.ticks % TRY_EVERY == 0;
        match (is_lucky, blocks_are_scarce || self.with_block >= WITH_BLOCK_MAX) {
            (false, _) => Stay::No,
            (true, false) => Stay::WithBlock,
            (true, true) => Stay::Blockless,
        }
    }

    /// Notes that a lane has been left lingering with its block.
    #[inline]
    pub(super) fn left_with_block(&mut self) {
        self.with_block += 1;
    }

    /// Notes that a lingering lane has been found again, with a job or without.
    #[inline]
    pub(super) fn found(&mut self, with_job: bool, with_block: bool) {
        self.with_block = self.with_block.saturating_sub(u32::from(with_block));
        let step = if with_job { 1 } else { -1 };
        self.score = (self.score + step).clamp(-SCORE_MAX, SCORE_MAX);
    }

    /// Notes that the rotation is empty.
    pub(super) fn none_left(&mut self) {
        self.with_block = 0;
    }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;

    /// Of 1,000 ticks, how many leave their one empty lane lingering, when it has a job a round
    /// later as `has_job` says.
    fn lingering(linger: &mut Linger, has_job: bool) -> usize {
        let mut tick = |_: &i32| {
            let stays = linger.decide(false) == Stay::WithBlock;
            if stays {
                linger.left_with_block();
                linger.found(has_job, true);
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
        assert!((33..100).contains(&unlucky), "{unlucky} of 1,000 tried in vain");
        assert!(lingering(&mut linger, false) <= 1_000 / TRY_EVERY as usize + 1);
        for _ in 0..3 {
            lingering(&mut linger, true);
        }
        assert_eq!(lingering(&mut linger, true), 1_000, "the luck has turned");
    }

    #[test]
    fn lanes_give_their_blocks_back_when_many_linger_or_blocks_are_scarce() {
        let mut linger = Linger::default();
        assert_eq!(linger.decide(true), Stay::Blockless);
        (0..WITH_BLOCK_MAX).for_each(|_| linger.left_with_block());
        assert_eq!(linger.decide(false), Stay::Blockless);
        linger.found(true, false);
        assert_eq!(linger.decide(false), Stay::Blockless, "that one had no block");
        linger.found(true, true);
        assert_eq!(linger.decide(false), Stay::WithBlock);
        linger.left_with_block();
        linger.none_left();
        assert_eq!(linger.decide(false), Stay::WithBlock);
    }
}
