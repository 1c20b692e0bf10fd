//! Blocks that stay with a lane whose jobs have been taken out of its ring and set aside, so that those
//! still count towards the engine-wide bound.

use super::head::Left;
use super::pool::{Pool, Returns};
use super::tail::Tail;
use super::word::{BlockId, NO_BLOCK};
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
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
        self.0.extend(spare.withdraw());
    }
}

/// The block of an idle lane whose jobs are not due: [`Tail::rouse`] needs one, and the pool may be
/// empty, by the very jobs that it is to bring back.
#[derive(Debug)]
pub(crate) struct Spare(AtomicU32);

/// Marks a block that is still the ring's: only the lane's drainer may take it.
const OFFERED: u32 = 1 << 31;

impl Spare {
    pub(crate) fn new() -> Self {
        Spare(AtomicU32::new(NO_BLOCK))
    }

    /// Puts a block in that will be the lane's no more once it is idle. Only its drainer may call this.
    pub(crate) fn offer(&self, id: BlockId) {
        self.0.store(id | OFFERED, Relaxed);
    }

    /// The lane is idle: anybody may take the block that was offered, if nobody has it yet.
    pub(crate) fn settle(&self, id: BlockId) {
        // ORDERING(spare.settle): Release: what the block's last use left there; pairs with spare.take.
        let order = ord!("spare.settle", Release => Relaxed);
        let _ = self.0.compare_exchange(id | OFFERED, id, order, Relaxed);
    }

    /// Takes the block out, also one that was only offered: the lane has been activated since, or does not
    /// become idle. Only its drainer may call this.
    fn withdraw(&self) -> Option<BlockId> {
        // ORDERING(spare.take): as below.
        let before = self.0.swap(NO_BLOCK, ord!("spare.take", Acquire => Relaxed));
        (before != NO_BLOCK).then_some(before & !OFFERED)
    }

    /// Takes the block out, if it is nobody's. Then it is the caller's.
    pub(crate) fn take(&self) -> Option<BlockId> {
        let id = self.0.load(Relaxed);
        let is_free = id != NO_BLOCK && (id & OFFERED == 0 || mutant!("spare.offered"));
        // ORDERING(spare.take): Acquire; pairs with spare.settle.
        let order = ord!("spare.take", Acquire => Relaxed);
        let taken = is_free && self.0.compare_exchange(id, NO_BLOCK, order, Relaxed).is_ok();
        taken.then_some(id & !OFFERED)
    }
}

impl Tail {
    /// As [`Tail::deactivate`], for a lane with jobs set aside: its block stays at hand in `spare`.
    pub(crate) fn deactivate_sparing(&self, left: Left, spare: &Spare) -> bool {
        // Before the lane is idle, so that its next drainer finds it, however soon that comes.
        debug_assert_ne!(left.block, NO_BLOCK, "a visit finds the lane's block");
        spare.offer(left.block);
        let is_idle = self.fall_idle(left);
        if is_idle {
            spare.settle(left.block);
        } else {
            spare.withdraw();
        }
        is_idle
    }
}
