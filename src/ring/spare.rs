//! Blocks that stay with a lane whose jobs have been taken out of its ring and set aside, so that those
//! still count towards the engine-wide bound.

use super::head::Left;
use super::pool::{Pool, Returns};
use super::tail::Tail;
use super::word::{BlockId, NO_BLOCK};
use crate::sync::atomic::AtomicU32;
use crate::sync::{mutant, ord};

/// The drainer's: blocks that jobs set aside have come from.
#[derive(Default)]
pub(crate) struct Kept(pub(super) Vec<BlockId>);

impl Kept {
    /// Gives back all but `most` blocks.
    pub(crate) fn trim<T>(&mut self, most: usize, pool: &Pool<T>, returns: &mut Returns) {
        while self.0.len() > most {
            let id = self.0.pop().expect("more than that are kept");
            pool.give(returns, id);
        }
    }

    /// Takes back what the lane kept at hand while it was idle.
    pub(crate) fn reclaim(&mut self, spare: &Spare) {
        self.0.extend(spare.take());
    }
}

/// The block of an idle lane whose jobs are not due: [`Tail::rouse`] needs one, and the pool may be
/// empty, by the very jobs that it is to bring back.
#[derive(Debug)]
pub(crate) struct Spare(AtomicU32);

impl Spare {
    pub(crate) fn new() -> Self {
        Spare(AtomicU32::new(NO_BLOCK))
    }

    /// Takes the block out. Whoever gets it owns it.
    pub(super) fn take(&self) -> Option<BlockId> {
        self.swap(NO_BLOCK)
    }

    /// Puts a block in; returns the one that was there.
    fn put(&self, id: BlockId) -> Option<BlockId> {
        self.swap(id)
    }

    /// Always a swap: of two, one sees the other's.
    fn swap(&self, id: BlockId) -> Option<BlockId> {
        // ORDERING(spare.swap): AcqRel: with the block comes its tag, and with none the activation that
        // went before whoever took it; pairs with spare.swap.
        let before = self.0.swap(id, ord!("spare.swap", AcqRel => Relaxed));
        (before != NO_BLOCK).then_some(before)
    }
}

impl Tail {
    /// As [`Tail::deactivate`], for a lane with jobs set aside: its block stays at hand in `spare`.
    pub(crate) fn deactivate_sparing<T>(
        &self,
        left: Left,
        spare: &Spare,
        pool: &Pool<T>,
        returns: &mut Returns,
    ) -> bool {
        if !self.fall_idle(left) {
            return false;
        }
        // Not before: until the lane is idle, its block may get another job.
        spare.put(left.block).into_iter().for_each(|id| pool.give(returns, id));
        // The next drainer takes the spare once, and it may have been too early for this one.
        if !self.is_idle_at(left) && !mutant!("spare.left_behind") {
            spare.take().into_iter().for_each(|id| pool.give(returns, id));
        }
        true
    }
}
