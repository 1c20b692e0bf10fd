//! The drainer's end of a lane.

use super::pool::{Pool, Returns};
use super::tail::Tail;
use super::word::{BlockId, Meta, NO_BLOCK, TOMBSTONE, Word, following};
use crate::sync::atomic::Ordering::{Relaxed, Release};
use crate::sync::{mutant, ord};

/// The drainer's end. Plain state: it belongs to whoever holds the lane's drain right.
#[derive(Debug)]
pub(crate) struct Head {
    /// The position of the next job to take.
    pos: u32,
    /// The block `pos` falls on, or, when `spent`, the one before; [`NO_BLOCK`] while idle.
    block: BlockId,
    /// The tag of that block's current use.
    tag: u16,
    /// Whether the last slot of `block` has been taken.
    spent: bool,
}

/// Why no more jobs were taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// Nothing more is published: the lane is empty, or its next producer has not finished.
    Nothing,
    /// The next job was not admitted.
    Held(Meta),
}

/// What a lane without a published job is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rest {
    /// No position is reserved.
    Empty,
    /// The next position is reserved and not yet published.
    Busy,
}

impl Head {
    /// The end of an idle lane that counts positions from `start`.
    pub(crate) fn new(start: u32) -> Self {
        Head { pos: Word::idle(0, start).tail(), block: NO_BLOCK, tag: 0, spent: false }
    }

    /// The position of the next job, for publication to producers.
    #[inline]
    pub(crate) fn position(&self) -> u32 {
        self.pos
    }

    /// Takes jobs in order, as long as `admit` says so, and gives each to `sink`.
    #[inline]
    pub(crate) fn take_while<T>(
        &mut self,
        tail: &Tail,
        pool: &Pool<T>,
        returns: &mut Returns,
        mut admit: impl FnMut(Meta) -> bool,
        mut sink: impl FnMut(Meta, T),
    ) -> Stop {
        loop {
            if (self.block == NO_BLOCK || self.spent) && !self.cross(tail, pool, returns) {
                return Stop::Nothing;
            }
            if let Some(stop) = self.take_from_block(pool, &mut admit, &mut sink) {
                return stop;
            }
        }
    }

    /// Takes jobs out of the present block; `None` when it is used up.
    #[inline]
    fn take_from_block<T>(
        &mut self,
        pool: &Pool<T>,
        admit: &mut impl FnMut(Meta) -> bool,
        sink: &mut impl FnMut(Meta, T),
    ) -> Option<Stop> {
        let tag = u32::from(self.tag);
        for slot in pool.block(self.block).slots_from(self.pos) {
            // ORDERING(ring.peek): Acquire; pairs with ring.publish.
            let meta = Meta(slot.meta.load(ord!("ring.peek", Acquire => Relaxed)));
            if meta.tag() != tag {
                return Some(Stop::Nothing);
            }
            if meta.cost() == TOMBSTONE {
                self.step(pool);
                continue;
            }
            if !admit(meta) {
                return Some(Stop::Held(meta));
            }
            // Moved on before the payload is, so that no panic can make it be read twice.
            self.step(pool);
            let payload = slot.payload.with(|cell| {
                // SAFETY: invariant R2 (ring/README.md): the slot was published under the
                // current tag, and `pos` has moved past it, so that it is read once.
                unsafe { cell.cast::<T>().read() }
            });
            if mutant!("ring.read_twice") {
                // SAFETY: none; this is the mutant.
                slot.payload.with(|cell| drop(unsafe { cell.cast::<T>().read() }));
            }
            sink(meta, payload);
        }
        None
    }

    #[inline]
    fn step<T>(&mut self, pool: &Pool<T>) {
        self.spent = self.pos & pool.mask() == pool.mask();
        self.pos = following(self.pos);
    }

    /// Moves to the block that `pos` falls on, if it is there.
    fn cross<T>(&mut self, tail: &Tail, pool: &Pool<T>, returns: &mut Returns) -> bool {
        let next = if self.block == NO_BLOCK {
            // Visible since the claim of this lane, which follows its activation.
            tail.first.load(Relaxed)
        } else {
            let header = pool.block(self.block).header();
            // ORDERING(ring.cross): Acquire; pairs with ring.link.
            header.next.load(ord!("ring.cross", Acquire => Relaxed))
        };
        if self.spent && mutant!("ring.early_return") {
            pool.give(returns, self.block);
        }
        if next == NO_BLOCK {
            return false;
        }
        if self.spent && !mutant!("ring.early_return") {
            pool.give(returns, self.block);
        }
        let header = pool.block(next).header();
        self.block = next;
        self.tag = header.tag() as u16;
        self.spent = false;
        // ORDERING(ring.cross): as above: a number without it may be one of memory not seen made.
        let after = header.next.load(ord!("ring.cross", Acquire => Relaxed));
        if after != NO_BLOCK {
            pool.block(after).prefetch_all();
        }
        true
    }

    /// Asks the processor for the slot of the next job.
    #[inline]
    pub(crate) fn prefetch<T>(&self, tail: &Tail, pool: &Pool<T>) {
        let block = if self.block == NO_BLOCK { tail.first.load(Relaxed) } else { self.block };
        if block != NO_BLOCK {
            pool.block(block).prefetch(self.pos);
        }
    }

    /// Tells an empty lane from one whose next producer has not finished.
    pub(crate) fn rest(&self, tail: &Tail) -> Rest {
        if tail.look().tail() == self.pos { Rest::Empty } else { Rest::Busy }
    }

    /// Leaves the state of an idle lane behind and returns the state before; [`Tail::deactivate`]
    /// comes next.
    #[inline]
    pub(crate) fn leave(&mut self) -> Head {
        let idle = Head { pos: self.pos, block: NO_BLOCK, tag: self.tag, spent: false };
        std::mem::replace(self, idle)
    }
}

impl Tail {
    /// Takes the empty lane whose head was `left` out of service and gives its block back. From
    /// then on the lane may be another drainer's: all that this one does to it is done before.
    ///
    /// `false` when a producer was faster: then `left` goes back to its place.
    pub(crate) fn deactivate<T>(&self, left: &Head, pool: &Pool<T>, returns: &mut Returns) -> bool {
        let word = self.look();
        if word.tail() != left.pos && !mutant!("ring.no_recheck") {
            return false;
        }
        if mutant!("ring.deactivate_by_store") {
            self.word.store(word.at(left.pos, NO_BLOCK).0, Release);
            return true;
        }
        // ORDERING(ring.deactivate): Release hands the drainer's state to whoever activates the
        // lane next; pairs with ring.reserve.
        let swapped = self.word.compare_exchange(
            word.0,
            word.at(left.pos, NO_BLOCK).0,
            ord!("ring.deactivate", AcqRel => Relaxed),
            Relaxed,
        );
        if swapped.is_ok() && left.block != NO_BLOCK {
            pool.give(returns, left.block);
        }
        swapped.is_ok()
    }
}
