//! The drainer's end of a lane.

use super::pool::{Pool, Returns, Slot};
use super::spare::Kept;
use super::tail::Tail;
use super::word::{BLOCKLESS, BlockId, Meta, NO_BLOCK, PASSED, Stamp, TOMBSTONE, Word, advanced};
use crate::sync::atomic::Ordering::{Relaxed, Release};
use crate::sync::{Outbox, mutant, ord};
use crate::units::Order;

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
    /// The drainer's note that jobs of this lane wait elsewhere, set aside. The ring makes nothing of it.
    pub(crate) has_aside: bool,
}

/// What becomes of the jobs that are taken.
pub(crate) trait Taker<T> {
    /// What a job becomes.
    type Out;

    /// What every job changes or reads. While jobs are taken it is a variable of its own, so that it
    /// stays in registers: what is behind a reference is loaded anew after each look into a slot,
    /// which is an Acquire load.
    type Till;

    /// Opens the till for some jobs; [`Taker::close`] comes after them.
    fn open(&self) -> Self::Till;

    /// Takes over what has been done with the till.
    fn close(&mut self, till: Self::Till);

    /// Whether a job of `cost` is taken now; if so it is, with [`Taker::make`] next.
    fn admit(&mut self, till: &mut Self::Till, cost: u32) -> bool;

    /// Makes something of a job. Must not panic.
    fn make(&mut self, till: &mut Self::Till, cost: u32, stamp: Stamp, payload: T) -> Self::Out;
}

/// Why no more jobs were taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// Nothing more is published: the lane is empty, or its next producer has not finished.
    Nothing,
    /// The next job, of this cost, was not admitted, or there is no room for what becomes of it.
    Held(u32),
    /// The next job has an order of its own: see [`Head::sort_out`].
    Ordered,
}

/// A job taken out of the ring to be put in order.
pub(crate) struct Sorted<T> {
    pub(crate) cost: u32,
    pub(crate) stamp: Stamp,
    /// The job's own order, if it has one.
    pub(crate) order: Option<Order>,
    pub(crate) payload: T,
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
        Head {
            pos: Word::idle(0, start).tail(),
            block: NO_BLOCK,
            tag: 0,
            spent: false,
            has_aside: false,
        }
    }

    /// The position of the next job, for publication to producers.
    #[inline]
    pub(crate) fn position(&self) -> u32 {
        self.pos
    }

    /// Takes jobs in order, as long as `out` has room and `taker` admits them, and puts what it
    /// makes of them into `out`.
    #[inline]
    pub(crate) fn take_while<T, K: Taker<T>>(
        &mut self,
        lane: (&Tail, &Pool<T>, &mut Returns),
        out: &mut Outbox<K::Out>,
        taker: &mut K,
    ) -> Stop {
        let (tail, pool, returns) = lane;
        loop {
            if (self.block == NO_BLOCK || self.spent)
                && !self.cross(tail, pool, |id| pool.give(returns, id))
            {
                return Stop::Nothing;
            }
            if let Some(stop) = self.take_plain(pool, out, taker) {
                return stop;
            }
            if self.spent {
                continue;
            }
            if let Some(stop) = self.take_any(pool, out, taker) {
                return stop;
            }
        }
    }

    /// Takes out up to `most` jobs, whatever they cost, for `sink` to put in order. Their blocks stay
    /// out of the pool, in `kept`. Returns how many it took.
    pub(crate) fn sort_out<T>(
        &mut self,
        lane: (&Tail, &Pool<T>, &mut Kept),
        most: u32,
        mut sink: impl FnMut(Sorted<T>),
    ) -> u32 {
        let (tail, pool, kept) = lane;
        let mut taken = 0;
        while taken < most {
            if (self.block == NO_BLOCK || self.spent)
                && !self.cross(tail, pool, |id| kept.0.push(id))
            {
                break;
            }
            let slot = pool.block(self.block).slot(self.pos);
            let meta = look_into(slot);
            if meta.tag() != u32::from(self.tag) {
                break;
            }
            let (cost, stamp) = (meta.cost(), meta.stamp());
            let order = meta.is_ordered().then(|| pool.orders.get(self.block, self.pos));
            drop(Passed { head: self, mask: pool.mask(), slots: 1 });
            if cost != TOMBSTONE {
                sink(Sorted { cost, stamp, order, payload: take_from(slot) });
                taken += 1;
            }
        }
        taken
    }

    /// The cost of the next job, if it is published. Passes tombstones on the way.
    pub(crate) fn first_cost<T>(&mut self, lane: (&Tail, &Pool<T>, &mut Returns)) -> Option<u32> {
        let (tail, pool, returns) = lane;
        loop {
            if (self.block == NO_BLOCK || self.spent)
                && !self.cross(tail, pool, |id| pool.give(returns, id))
            {
                return None;
            }
            let meta = look_into(pool.block(self.block).slot(self.pos));
            if meta.tag() != u32::from(self.tag) {
                return None;
            }
            if meta.cost() != TOMBSTONE {
                return Some(meta.cost());
            }
            drop(Passed { head: self, mask: pool.mask(), slots: 1 });
        }
    }

    /// Takes jobs out of the present block, as long as they are not stamped. Nearly all are not,
    /// so this is the loop that a dispatcher spends its time in: not inlined, so that it has the
    /// registers for itself. `None` when it cannot tell what comes next.
    #[inline(never)]
    fn take_plain<T, K: Taker<T>>(
        &mut self,
        pool: &Pool<T>,
        out: &mut Outbox<K::Out>,
        taker: &mut K,
    ) -> Option<Stop> {
        let tag = u32::from(self.tag);
        let slots = pool.block(self.block).slots_from(self.pos);
        let mut passed = Passed { head: self, mask: pool.mask(), slots: 0 };
        let mut till = taker.open();
        let mut stop = None;
        out.append_while(slots, |slot, place| {
            let meta = look_into(slot);
            let Some(cost) = meta.plain_cost(tag) else {
                stop = (meta.tag() != tag).then_some(Stop::Nothing);
                return None;
            };
            if !taker.admit(&mut till, cost) {
                stop = Some(Stop::Held(cost));
                return None;
            }
            passed.slots += 1;
            Some(place.put(taker.make(&mut till, cost, Stamp::NONE, take_from(slot))))
        });
        taker.close(till);
        stop
    }

    /// Takes the next job of the present block, if it is there and admitted.
    #[inline(never)]
    fn take_any<T, K: Taker<T>>(
        &mut self,
        pool: &Pool<T>,
        out: &mut Outbox<K::Out>,
        taker: &mut K,
    ) -> Option<Stop> {
        let slot = pool.block(self.block).slot(self.pos);
        let meta = look_into(slot);
        if meta.tag() != u32::from(self.tag) {
            return Some(Stop::Nothing);
        }
        if meta.is_ordered() {
            return Some(Stop::Ordered);
        }
        let mut till = taker.open();
        if meta.cost() != TOMBSTONE && (out.room() == 0 || !taker.admit(&mut till, meta.cost())) {
            return Some(Stop::Held(meta.cost()));
        }
        // Moved on before the payload is, so that no panic can make it be read twice.
        drop(Passed { head: self, mask: pool.mask(), slots: 1 });
        if meta.cost() != TOMBSTONE {
            out.push(taker.make(&mut till, meta.cost(), meta.stamp(), take_from(slot)));
        }
        taker.close(till);
        None
    }

    /// Moves to the block that `pos` falls on, if it is there. `spent` gets the block before.
    fn cross<T>(&mut self, tail: &Tail, pool: &Pool<T>, mut spent: impl FnMut(BlockId)) -> bool {
        let first = if self.block == NO_BLOCK {
            // ORDERING(ring.first_seen): Acquire: a lane that stayed without a block may get one at
            // any time; pairs with ring.first.
            tail.first.load(ord!("ring.first_seen", Acquire => Relaxed))
        } else {
            NO_BLOCK
        };
        if first & PASSED != 0 {
            (self.block, self.spent) = (first & !PASSED, true);
        }
        let next = if self.block == NO_BLOCK {
            first
        } else {
            let header = pool.block(self.block).header();
            // ORDERING(ring.cross): Acquire; pairs with ring.link.
            header.next.load(ord!("ring.cross", Acquire => Relaxed))
        };
        if self.spent && mutant!("ring.early_return") {
            spent(self.block);
        }
        if next == NO_BLOCK {
            return false;
        }
        if self.spent && !mutant!("ring.early_return") {
            spent(self.block);
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
        if block != NO_BLOCK && block & PASSED == 0 {
            pool.block(block).prefetch(self.pos);
        }
    }

    /// Tells an empty lane from one whose next producer has not finished.
    pub(crate) fn rest(&self, tail: &Tail) -> Rest {
        if tail.look().tail() == self.pos { Rest::Empty } else { Rest::Busy }
    }

    /// Leaves the state of an idle lane behind; [`Tail::deactivate`] comes next.
    #[inline]
    pub(crate) fn leave(&mut self) -> Left {
        let left = Left { pos: self.pos, block: self.block, spent: self.spent };
        self.block = NO_BLOCK;
        self.spent = false;
        left
    }

    /// Gives back the block of an empty lane that stays in the rotation. `false` when a producer was
    /// faster: then the block stays as well.
    pub(crate) fn give_up_block<T>(&mut self, lane: (&Tail, &Pool<T>, &mut Returns)) -> bool {
        let (tail, pool, returns) = lane;
        let is_given_up = tail.fall_blockless(self.pos);
        if is_given_up {
            pool.give(returns, self.leave().block);
        }
        is_given_up
    }

    /// Whether the lane holds a block.
    #[inline]
    pub(crate) fn has_block(&self) -> bool {
        self.block != NO_BLOCK
    }

    /// Takes back that it left: a producer was faster.
    #[inline]
    pub(crate) fn stay(&mut self, left: Left) {
        self.block = left.block;
        self.spent = left.spent;
    }
}

/// What a head had when it left. Small values, not a copy of the head: a copy would have to wait
/// for all of the head to reach the cache.
#[derive(Clone, Copy)]
pub(crate) struct Left {
    pos: u32,
    pub(super) block: BlockId,
    spent: bool,
}

/// Slots of the present block that have been taken; the head moves past them when this drops, so
/// that no panic can make a payload be read twice.
struct Passed<'a> {
    head: &'a mut Head,
    /// The pool's.
    mask: u32,
    slots: usize,
}

impl Drop for Passed<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.slots > 0 {
            self.head.pos = advanced(self.head.pos, self.slots as u32);
            self.head.spent = self.head.pos & self.mask == 0;
        }
    }
}

#[inline]
fn look_into<T>(slot: &Slot<T>) -> Meta {
    // ORDERING(ring.peek): Acquire; pairs with ring.publish.
    Meta(slot.meta.load(ord!("ring.peek", Acquire => Relaxed)))
}

/// Moves a published payload out of its slot, which the head passes now.
#[inline]
fn take_from<T>(slot: &Slot<T>) -> T {
    if mutant!("ring.read_twice") {
        // SAFETY: none; this is the mutant.
        slot.payload.with(|cell| drop(unsafe { cell.cast::<T>().read() }));
    }
    slot.payload.with(|cell| {
        // SAFETY: invariant R2 (ring/README.md): the slot was published under the current tag, and
        // the head passes it, so that it is read once.
        unsafe { cell.cast::<T>().read() }
    })
}

impl Tail {
    /// Takes the empty lane whose head has `left` out of service and gives its block back. From
    /// then on the lane may be another drainer's: all that this one does to it is done before.
    ///
    /// `false` when a producer was faster: then the head stays.
    pub(crate) fn deactivate<T>(&self, left: Left, pool: &Pool<T>, returns: &mut Returns) -> bool {
        let is_idle = self.fall_idle(left);
        if is_idle && left.block != NO_BLOCK {
            pool.give(returns, left.block);
        }
        is_idle
    }

    /// Leaves the empty lane whose head stands at `pos` without a block, unless a producer was
    /// faster.
    #[inline]
    fn fall_blockless(&self, pos: u32) -> bool {
        let word = self.look();
        if word.tail() != pos && !mutant!("ring.blockless_unchecked") {
            return false;
        }
        if !mutant!("ring.first_kept") {
            // The number of a block given back long ago: the next producer's comes in its place.
            self.first.store(NO_BLOCK, Relaxed);
        }
        // ORDERING(ring.fall_blockless): Release: the store above comes before the next producer's;
        // pairs with ring.reserve.
        let swapped = self.word.compare_exchange(
            word.0,
            word.at(pos, BLOCKLESS).0,
            ord!("ring.fall_blockless", AcqRel => Relaxed),
            Relaxed,
        );
        swapped.is_ok()
    }

    /// Makes the empty lane idle whose head has `left`, unless a producer was faster.
    #[inline]
    pub(super) fn fall_idle(&self, left: Left) -> bool {
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
        swapped.is_ok()
    }
}
