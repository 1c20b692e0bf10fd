//! The producers' end of a lane.

use super::pool::{Block, Pool};
use super::spare::Spare;
use super::word::{
    BlockId, Meta, NO_BLOCK, PASSED, Stamp, TOMBSTONE, Word, backlog, distance, following,
};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::Release};
use crate::sync::{mutant, ord, spin};
use crate::units::Order;

/// The producers' end: one word that every reservation compares and swaps, and two hints.
#[derive(Debug)]
pub(crate) struct Tail {
    /// See [`Word`]. Changed only by compare-and-swap (and `fetch_or` for the closed bit).
    pub(super) word: AtomicU64,
    /// A head position some producer has read; at or behind the real one. Spares producers the
    /// drainer's cache line until the lane looks full.
    head_seen: AtomicU32,
    /// The block of the first job since the lane last had none, or with [`PASSED`] the one before.
    /// Stored by whoever brought that block, read by the drainer. [`NO_BLOCK`] until then where the
    /// lane stays in the rotation without a block.
    pub(super) first: AtomicU32,
}

/// Why a position could not be reserved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReserveError {
    /// The lane belongs to a later generation than the handle.
    Stale,
    /// The lane takes no more jobs.
    Closed,
    /// `depth` jobs wait, which is the bound or more.
    Full {
        /// Jobs in the lane.
        depth: u32,
    },
    /// The pool has no block for this lane.
    Exhausted,
}

/// What a producer must know to reserve.
#[derive(Clone, Copy)]
pub(crate) struct Door<'a> {
    /// The generation of the caller's handle.
    pub(crate) generation: u16,
    /// Most jobs that may wait in the lane.
    pub(crate) bound: u32,
    /// Where the lane's drainer publishes its head.
    pub(crate) head: &'a AtomicU32,
}

/// A reserved position that must be published. Dropped without, it becomes a tombstone: the
/// drainer skips it, so an unwinding producer does not block its lane.
pub(crate) struct Ticket<'a, T> {
    pub(super) id: BlockId,
    pub(super) block: Block<'a, T>,
    pub(super) pos: u32,
    /// Whether this job ended the lane's idleness, so that it must be put into the rotation.
    pub(crate) activates: bool,
}

impl<T> Ticket<'_, T> {
    /// The position reserved.
    #[inline]
    pub(crate) fn position(&self) -> u32 {
        self.pos
    }

    /// Moves the job into its slot and lets the drainer see it.
    #[inline]
    pub(crate) fn publish(self, cost: u32, stamp: Stamp, payload: T) {
        self.block.slot(self.pos).payload.with_mut(|cell| {
            // SAFETY: invariant R1 (ring/README.md): the reservation made this position ours
            // alone, and the drainer does not read the payload before the store below.
            unsafe { (*cell).write(payload) };
        });
        self.seal(cost, stamp);
        if !mutant!("ring.sealed_twice") {
            std::mem::forget(self);
        }
    }

    /// The same for a job with an order of its own.
    pub(crate) fn publish_ordered(
        self,
        pool: &Pool<T>,
        (cost, stamp): (u32, Stamp),
        order: Order,
        payload: T,
    ) {
        pool.orders.put(self.id, self.pos, order);
        self.block.slot(self.pos).payload.with_mut(|cell| {
            // SAFETY: as in `publish`.
            unsafe { (*cell).write(payload) };
        });
        self.store(Meta::new(self.block.header().tag(), cost, stamp).ordered());
        std::mem::forget(self);
    }

    #[inline]
    fn seal(&self, cost: u32, stamp: Stamp) {
        self.store(Meta::new(self.block.header().tag(), cost, stamp));
    }

    #[inline]
    fn store(&self, meta: Meta) {
        // ORDERING(ring.publish): Release; pairs with ring.peek.
        self.block.slot(self.pos).meta.store(meta.0, ord!("ring.publish", Release => Relaxed));
    }
}

impl<T> Drop for Ticket<'_, T> {
    fn drop(&mut self) {
        if !mutant!("ring.no_tombstone") {
            self.seal(TOMBSTONE, Stamp::NONE);
        }
    }
}

impl Tail {
    /// The end of an idle lane of `generation` that counts positions from `start`.
    pub(crate) fn new(generation: u16, start: u32) -> Self {
        Tail {
            word: AtomicU64::new(Word::idle(generation, start).0),
            head_seen: AtomicU32::new(Word::idle(0, start).tail()),
            first: AtomicU32::new(NO_BLOCK),
        }
    }

    /// A look at the word; stale by the time it is used.
    #[inline]
    pub(crate) fn look(&self) -> Word {
        Word(self.word.load(Relaxed))
    }

    /// A look at the word, for a reservation that begins with it.
    #[inline]
    pub(crate) fn enter(&self) -> Word {
        // ORDERING(ring.enter): Acquire: the block's tag is visible; pairs with ring.reserve.
        Word(self.word.load(ord!("ring.enter", Acquire => Relaxed)))
    }

    /// Reserves the next position when that is one compare-and-swap: the lane has jobs waiting,
    /// `word` is its present word, and the position has any of the bits of `careful`, which is
    /// within the pool's mask, and so does not begin a block. [`Tail::reserve`] does the rest.
    #[inline]
    pub(crate) fn reserve_next<'a, T>(
        &self,
        pool: &'a Pool<T>,
        door: Door<'_>,
        word: Word,
        careful: u32,
    ) -> Option<Ticket<'a, T>> {
        debug_assert_eq!(careful & !pool.mask(), 0, "the first position of a block needs care");
        let pos = word.tail();
        let depth = distance(self.head_seen.load(Relaxed), pos);
        if word.generation() != door.generation || depth >= door.bound || pos & careful == 0 {
            return None;
        }
        let id = word.open_block();
        let block = pool.find(id)?;
        self.swap(word, word.advanced()).ok()?;
        Some(Ticket { id, block, pos, activates: false })
    }

    /// Reserves the next position, also of a lane that is idle, looks full, needs a block, or is
    /// contended.
    ///
    /// On a lane at its bound, or with a pool that has no block for it, nothing changes.
    #[inline(never)]
    pub(crate) fn reserve<'a, T>(
        &self,
        pool: &'a Pool<T>,
        door: Door<'_>,
    ) -> Result<Ticket<'a, T>, ReserveError> {
        let mut word = self.enter();
        let mut spare = None;
        loop {
            let block = match self.block_for(word, pool, door, &mut spare) {
                Ok(block) => block,
                Err(error) => {
                    spare.into_iter().for_each(|id| pool.untake(id));
                    return Err(error);
                }
            };
            match self.swap(word, word.at(following(word.tail()), block)) {
                Ok(()) => {
                    if spare == Some(block) {
                        self.link(pool, word, block);
                    } else {
                        spare.into_iter().for_each(|id| pool.untake(id));
                    }
                    let activates = word.is_idle();
                    let (id, block) = (block, pool.block(block));
                    return Ok(Ticket { id, block, pos: word.tail(), activates });
                }
                Err(now) => word = now,
            }
            spin();
        }
    }

    /// Ends a lane's idleness without a job, so that it can be put into the rotation. Also of a lane that
    /// is closed or at its bound. `false` when the lane is not idle, or neither its `spare` nor the pool
    /// has a block.
    pub(crate) fn rouse<T>(&self, pool: &Pool<T>, spare: &Spare) -> bool {
        let mut word = self.enter();
        if !word.is_idle() {
            return false;
        }
        let Some(id) = spare.take().map(|id| pool.renew(id)).or_else(|| pool.take_apart(0)) else {
            return false;
        };
        while word.is_idle() {
            match self.swap(word, word.at(word.tail(), id)) {
                Ok(()) => {
                    // Where the next position begins a block, its producer takes one, as ever, and links it
                    // behind this one.
                    let is_passed = word.tail() & pool.mask() == 0;
                    self.first.store(if is_passed { id | PASSED } else { id }, Relaxed);
                    return true;
                }
                Err(now) => word = now,
            }
            spin();
        }
        pool.untake(id);
        false
    }

    #[inline]
    pub(super) fn swap(&self, word: Word, next: Word) -> Result<(), Word> {
        if mutant!("ring.blind_reserve") {
            self.word.store(next.0, Release);
            return Ok(());
        }
        // ORDERING(ring.reserve): Release: a new block's tag travels with its number, and on an
        // idle lane `first` and all that the last drainer left; Acquire to take that over; pairs
        // with ring.enter and ring.deactivate.
        self.word
            .compare_exchange_weak(
                word.0,
                next.0,
                ord!("ring.reserve", AcqRel => Relaxed),
                // ORDERING(ring.enter): as above; pairs with ring.reserve.
                ord!("ring.enter", Acquire => Relaxed),
            )
            .map(drop)
            .map_err(Word)
    }

    /// The block that `word`'s next position falls on, taken into `spare` when it must be new.
    fn block_for<T>(
        &self,
        word: Word,
        pool: &Pool<T>,
        door: Door<'_>,
        spare: &mut Option<BlockId>,
    ) -> Result<BlockId, ReserveError> {
        admit(word, door)?;
        if distance(self.head_seen.load(Relaxed), word.tail()) >= door.bound {
            self.check_bound(word, door)?;
        }
        if !word.needs_block(pool.mask()) {
            return Ok(word.block());
        }
        self.new_block(word, pool, door, spare)
    }

    /// Looks at the real head. It may move on meanwhile, which only makes room.
    #[cold]
    fn check_bound(&self, word: Word, door: Door<'_>) -> Result<(), ReserveError> {
        let head = door.head.load(Relaxed);
        self.head_seen.store(head, Relaxed);
        let depth = backlog(head, word.tail());
        if depth >= door.bound && !mutant!("ring.no_bound") {
            return Err(ReserveError::Full { depth });
        }
        Ok(())
    }

    fn new_block<T>(
        &self,
        word: Word,
        pool: &Pool<T>,
        door: Door<'_>,
        spare: &mut Option<BlockId>,
    ) -> Result<BlockId, ReserveError> {
        if let Some(id) = *spare {
            return Ok(id);
        }
        *spare = pool.take(held(word, pool, door));
        spare.ok_or(ReserveError::Exhausted)
    }

    /// Lets the drainer find the block that begins at the position just reserved.
    #[inline]
    pub(super) fn link<T>(&self, pool: &Pool<T>, before: Word, block: BlockId) {
        if !before.has_block() {
            // ORDERING(ring.first): Release: the block's tag; pairs with ring.first_seen, where the
            // lane is in the rotation. Otherwise its activation comes after this.
            self.first.store(block, ord!("ring.first", Release => Relaxed));
        } else {
            // ORDERING(ring.link): Release: the new block's tag; pairs with ring.cross.
            pool.block(before.block())
                .header()
                .next
                .store(block, ord!("ring.link", Release => Relaxed));
        }
    }

    /// Closes the lane: every later reservation is refused. Returns the word before.
    pub(crate) fn close(&self) -> Word {
        // ORDERING(ring.close): AcqRel; pairs with ring.reserve: a reservation is either before
        // it, and so in the tail that the closer sees, or refused.
        Word(self.word.fetch_or(Word::CLOSED, ord!("ring.close", AcqRel => Relaxed)))
    }

    /// Gives the idle lane that `word` shows to the next generation, so that handles of the old one
    /// are stale. Returns the new generation, or `None` when the lane is in use, has been used
    /// since, or has no generation left.
    pub(crate) fn retire(&self, word: Word) -> Option<u16> {
        let next = word.generation().checked_add(1)?;
        if !word.is_idle() {
            return None;
        }
        if mutant!("ring.retire_by_store") {
            self.word.store(Word::idle(next, word.tail()).0, Release);
            return Some(next);
        }
        // ORDERING(ring.retire): AcqRel; pairs with ring.deactivate and ring.reserve.
        self.word
            .compare_exchange(
                word.0,
                Word::idle(next, word.tail()).0,
                ord!("ring.retire", AcqRel => Relaxed),
                Relaxed,
            )
            .ok()
            .map(|_| next)
    }
}

/// Jobs in a lane: reserved positions not yet taken. Read `head` before calling.
#[inline]
pub(crate) fn depth(head: u32, tail: &Tail) -> u32 {
    backlog(head, tail.look().tail())
}

/// Blocks that the lane which `word` shows holds.
pub(super) fn held<T>(word: Word, pool: &Pool<T>, door: Door<'_>) -> u32 {
    if !word.has_block() {
        return 0;
    }
    let waiting = backlog(door.head.load(Relaxed), word.tail());
    waiting.div_ceil(pool.mask() + 1).max(1)
}

/// Whether the lane that `word` shows takes jobs from the handle.
#[inline]
pub(super) fn admit(word: Word, door: Door<'_>) -> Result<(), ReserveError> {
    if word.generation() != door.generation && !mutant!("ring.no_generation") {
        return Err(ReserveError::Stale);
    }
    if word.is_closed() && !mutant!("ring.no_closed") {
        return Err(ReserveError::Closed);
    }
    Ok(())
}
