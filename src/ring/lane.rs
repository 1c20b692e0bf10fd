//! The two ends of a lane.

use super::pool::{Pool, Returns, is_current};
use super::word::{BlockId, Meta, NO_BLOCK, Stamp, Word, advanced, distance, following};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sync::{ord, spin};

/// The producers' end: one word that every reservation compares and swaps, and two hints.
#[derive(Debug)]
pub(crate) struct Tail {
    /// See [`Word`]. Changed only by compare-and-swap (and `fetch_or` for the closed bit).
    word: AtomicU64,
    /// A head position some producer has read; at or behind the real one. Spares producers the
    /// drainer's cache line until the lane looks full.
    head_seen: AtomicU32,
    /// The block of the first job since the lane was last idle. Stored by the producer that ended
    /// the idleness, read by the drainer it hands the lane to.
    first: AtomicU32,
}

/// The drainer's end. Plain state: it belongs to whoever holds the lane's drain right.
#[derive(Debug)]
pub(crate) struct Head {
    /// The position of the next job to take.
    pos: u32,
    /// The block `pos` falls on, or, when `spent`, the one before; [`NO_BLOCK`] while idle.
    block: BlockId,
    /// The tag of that block's current use.
    tag: u32,
    /// Whether the last slot of `block` has been taken.
    spent: bool,
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
    pool: &'a Pool<T>,
    block: BlockId,
    pos: u32,
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
        let slot = self.pool.slot(self.block, self.pos);
        slot.payload.with_mut(|cell| {
            // SAFETY: invariant R1 (ring/README.md): the reservation made this position ours
            // alone, and the drainer does not read the payload before the store below.
            unsafe { (*cell).write(payload) };
        });
        self.seal(cost, stamp);
        std::mem::forget(self);
    }

    fn seal(&self, cost: u32, stamp: Stamp) {
        let tag = self.pool.header(self.block).tag();
        let slot = self.pool.slot(self.block, self.pos);
        // ORDERING(ring.publish): Release; pairs with ring.peek.
        slot.meta.store(Meta::new(tag, cost, stamp).0, ord!("ring.publish", Release => Relaxed));
    }
}

impl<T> Drop for Ticket<'_, T> {
    fn drop(&mut self) {
        if !mutant_no_tombstone() {
            self.seal(TOMBSTONE, Stamp::NONE);
        }
    }
}

/// The cost that marks a slot without a job.
const TOMBSTONE: u32 = 0;

fn mutant_no_tombstone() -> bool {
    crate::sync::mutant!("ring.no_tombstone")
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

    /// Reserves the next position: one compare-and-swap when the lane's block has room.
    ///
    /// On a lane at its bound, or with a pool that has no block for it, nothing changes.
    #[inline]
    pub(crate) fn reserve<'a, T>(
        &self,
        pool: &'a Pool<T>,
        door: Door<'_>,
    ) -> Result<Ticket<'a, T>, ReserveError> {
        // ORDERING(ring.enter): Acquire: the block's tag is visible; pairs with ring.reserve.
        let mut word = Word(self.word.load(ord!("ring.enter", Acquire => Relaxed)));
        let mut spare = None;
        loop {
            let block = match self.block_for(word, pool, door, &mut spare) {
                Ok(block) => block,
                Err(error) => {
                    spare.into_iter().for_each(|id| pool.untake(id));
                    return Err(error);
                }
            };
            let next = word.at(following(word.tail()), block);
            match self.swap(word, next) {
                Ok(()) => {
                    if spare == Some(block) {
                        self.link(pool, word, block);
                    } else {
                        spare.into_iter().for_each(|id| pool.untake(id));
                    }
                    let activates = word.is_idle();
                    return Ok(Ticket { pool, block, pos: word.tail(), activates });
                }
                Err(now) => word = now,
            }
            spin();
        }
    }

    #[inline]
    fn swap(&self, word: Word, next: Word) -> Result<(), Word> {
        // ORDERING(ring.reserve): Release: a new block's tag travels with its number, and on an
        // idle lane `first` and all that the last drainer left; Acquire to take that over; pairs
        // with ring.enter and ring.deactivate.
        self.word
            .compare_exchange_weak(
                word.0,
                next.0,
                ord!("ring.reserve", AcqRel => Relaxed),
                ord!("ring.enter", Acquire => Relaxed),
            )
            .map(drop)
            .map_err(Word)
    }

    /// The block that `word`'s next position falls on, taken into `spare` when it must be new.
    #[inline]
    fn block_for<T>(
        &self,
        word: Word,
        pool: &Pool<T>,
        door: Door<'_>,
        spare: &mut Option<BlockId>,
    ) -> Result<BlockId, ReserveError> {
        if word.generation() != door.generation {
            return Err(ReserveError::Stale);
        }
        if word.is_closed() {
            return Err(ReserveError::Closed);
        }
        if distance(self.head_seen.load(Relaxed), word.tail()) >= door.bound {
            self.check_bound(word, door)?;
        }
        if !needs_block(word, pool.mask()) {
            return Ok(word.block());
        }
        self.new_block(word, pool, door, spare)
    }

    /// Looks at the real head. It may move on meanwhile, which only makes room.
    #[cold]
    fn check_bound(&self, word: Word, door: Door<'_>) -> Result<(), ReserveError> {
        let head = door.head.load(Relaxed);
        self.head_seen.store(head, Relaxed);
        let depth = distance(head, word.tail());
        if depth >= door.bound && !crate::sync::mutant!("ring.no_bound") {
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
        let held = if word.is_idle() {
            0
        } else {
            let waiting = distance(door.head.load(Relaxed), word.tail());
            waiting.div_ceil(pool.mask() + 1).max(1)
        };
        *spare = pool.take(held);
        spare.ok_or(ReserveError::Exhausted)
    }

    /// Lets the drainer find the block that begins at the position just reserved.
    #[inline]
    fn link<T>(&self, pool: &Pool<T>, before: Word, block: BlockId) {
        if before.is_idle() {
            self.first.store(block, Relaxed);
        } else {
            // ORDERING(ring.link): Release: the new block's tag; pairs with ring.cross.
            pool.header(before.block()).next.store(block, ord!("ring.link", Release => Relaxed));
        }
    }

    /// Closes the lane: every later reservation is refused. Returns the word before.
    pub(crate) fn close(&self) -> Word {
        // ORDERING(ring.close): AcqRel; pairs with ring.reserve: a reservation is either before
        // it, and so in the tail that the closer sees, or refused.
        Word(self.word.fetch_or(Word::CLOSED, ord!("ring.close", AcqRel => Relaxed)))
    }

    /// Gives the idle lane to `generation + 1`, so that handles of the old one are stale.
    /// Returns the new generation, or `None` when the lane is in use or was changed meanwhile.
    pub(crate) fn retire(&self, generation: u16) -> Option<u16> {
        let word = self.look();
        let next = generation.checked_add(1)?;
        if word.generation() != generation || !word.is_idle() {
            return None;
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

#[inline]
fn needs_block(word: Word, mask: u32) -> bool {
    word.is_idle() || word.tail() & mask == 0
}

/// What stands at the head of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Front {
    /// A job that can be taken.
    Job(Meta),
    /// Nothing published: the lane is empty, or its next producer has not finished.
    Nothing,
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

    /// Looks at the next job, passing tombstones.
    #[inline]
    pub(crate) fn front<T>(&mut self, tail: &Tail, pool: &Pool<T>, returns: &mut Returns) -> Front {
        loop {
            if (self.block == NO_BLOCK || self.spent) && !self.cross(tail, pool, returns) {
                return Front::Nothing;
            }
            let slot = pool.slot(self.block, self.pos);
            // ORDERING(ring.peek): Acquire; pairs with ring.publish.
            let meta = Meta(slot.meta.load(ord!("ring.peek", Acquire => Relaxed)));
            if !is_current(meta, self.tag) {
                return Front::Nothing;
            }
            if meta.cost() != TOMBSTONE {
                return Front::Job(meta);
            }
            self.step(pool);
        }
    }

    /// Moves to the block that `pos` falls on, if it is there.
    fn cross<T>(&mut self, tail: &Tail, pool: &Pool<T>, returns: &mut Returns) -> bool {
        let next = if self.block == NO_BLOCK {
            // Visible since the claim of this lane, which follows its activation.
            tail.first.load(Relaxed)
        } else {
            // ORDERING(ring.cross): Acquire; pairs with ring.link.
            pool.header(self.block).next.load(ord!("ring.cross", Acquire => Relaxed))
        };
        if next == NO_BLOCK {
            return false;
        }
        if self.spent {
            pool.give(returns, self.block);
        }
        self.block = next;
        self.tag = pool.header(next).tag();
        self.spent = false;
        true
    }

    #[inline]
    fn step<T>(&mut self, pool: &Pool<T>) {
        self.spent = self.pos & pool.mask() == pool.mask();
        self.pos = following(self.pos);
    }

    /// Takes the job that [`Head::front`] has just shown.
    #[inline]
    pub(crate) fn take<T>(&mut self, pool: &Pool<T>) -> T {
        let slot = pool.slot(self.block, self.pos);
        let payload = slot.payload.with(|cell| {
            // SAFETY: invariant R2 (ring/README.md): `front` saw the slot published under the
            // current tag, and `step` makes sure that it is read once.
            unsafe { (*cell).assume_init_read() }
        });
        self.step(pool);
        payload
    }

    /// Asks the processor for the slot of the next job.
    #[inline]
    pub(crate) fn prefetch<T>(&self, tail: &Tail, pool: &Pool<T>) {
        let block = if self.block == NO_BLOCK { tail.first.load(Relaxed) } else { self.block };
        if block != NO_BLOCK {
            pool.prefetch(block, self.pos);
        }
    }

    /// Tells an empty lane from one whose next producer has not finished.
    pub(crate) fn rest(&self, tail: &Tail) -> Rest {
        if tail.look().tail() == self.pos { Rest::Empty } else { Rest::Busy }
    }

    /// Takes an empty lane out of service and gives its block back. `false` when a producer was
    /// faster: then the lane stays in the rotation.
    pub(crate) fn deactivate<T>(
        &mut self,
        tail: &Tail,
        pool: &Pool<T>,
        returns: &mut Returns,
    ) -> bool {
        let word = tail.look();
        if word.tail() != self.pos && !crate::sync::mutant!("ring.no_recheck") {
            return false;
        }
        // ORDERING(ring.deactivate): Release hands the drainer's state to whoever activates the
        // lane next; pairs with ring.reserve.
        let swapped = tail.word.compare_exchange(
            word.0,
            word.at(self.pos, NO_BLOCK).0,
            ord!("ring.deactivate", AcqRel => Relaxed),
            Relaxed,
        );
        if swapped.is_err() {
            return false;
        }
        if self.block != NO_BLOCK {
            pool.give(returns, self.block);
        }
        self.block = NO_BLOCK;
        self.spent = false;
        true
    }
}

/// Jobs in a lane: reserved positions not yet taken. Read `head` before calling.
#[inline]
pub(crate) fn depth(head: u32, tail: &Tail) -> u32 {
    distance(head, tail.look().tail())
}

/// Reserves up to `n` positions at once.
pub(crate) struct Span<'a, T> {
    pool: &'a Pool<T>,
    /// The block of every position reserved, in order, is found by walking from here.
    block: BlockId,
    pos: u32,
    left: u32,
    /// Whether the span ended the lane's idleness.
    pub(crate) activates: bool,
}

/// Most positions reserved by one compare-and-swap.
pub(crate) const SPAN_MAX: u32 = 64;

impl Tail {
    /// Reserves `1..=SPAN_MAX` positions, as many of `wanted` as bound and pool allow, by one
    /// compare-and-swap.
    pub(crate) fn reserve_span<'a, T>(
        &self,
        pool: &'a Pool<T>,
        door: Door<'_>,
        wanted: u32,
    ) -> Result<Span<'a, T>, ReserveError> {
        let mut spares = Spares::new(pool);
        // Same site as in `reserve`: pairs with ring.reserve.
        let mut word = Word(self.word.load(ord!("ring.enter", Acquire => Relaxed)));
        loop {
            let n = self.room(word, door, wanted.min(SPAN_MAX))?;
            let n = spares.cover(word, door, n)?;
            let last = spares.last(word, n);
            match self.swap(word, word.at(advanced(word.tail(), n), last)) {
                Ok(()) => {
                    let first = spares.first(word);
                    spares.join(self, word, n);
                    let block = if needs_block(word, pool.mask()) { first } else { word.block() };
                    return Ok(Span {
                        pool,
                        block,
                        pos: word.tail(),
                        left: n,
                        activates: word.is_idle(),
                    });
                }
                Err(now) => word = now,
            }
            spin();
        }
    }

    fn room(&self, word: Word, door: Door<'_>, wanted: u32) -> Result<u32, ReserveError> {
        if word.generation() != door.generation {
            return Err(ReserveError::Stale);
        }
        if word.is_closed() {
            return Err(ReserveError::Closed);
        }
        let depth = distance(door.head.load(Relaxed), word.tail());
        match door.bound.saturating_sub(depth) {
            0 => Err(ReserveError::Full { depth }),
            room => Ok(room.min(wanted)),
        }
    }
}

/// Blocks taken for a span before its compare-and-swap; what is not used goes back.
struct Spares<'a, T> {
    pool: &'a Pool<T>,
    ids: [BlockId; SPAN_MAX as usize],
    len: usize,
}

impl<'a, T> Spares<'a, T> {
    fn new(pool: &'a Pool<T>) -> Self {
        Spares { pool, ids: [NO_BLOCK; SPAN_MAX as usize], len: 0 }
    }

    /// New blocks that `n` positions from `word`'s tail begin.
    fn needed(&self, word: Word, n: u32) -> usize {
        let size = self.pool.mask() + 1;
        let offset = word.tail() & self.pool.mask();
        let begun = if needs_block(word, self.pool.mask()) { 0 } else { 1 };
        ((offset + n).div_ceil(size) - begun) as usize
    }

    /// Takes blocks for `n` positions, or for as many as the pool allows.
    fn cover(&mut self, word: Word, door: Door<'_>, n: u32) -> Result<u32, ReserveError> {
        let size = self.pool.mask() + 1;
        let waiting = distance(door.head.load(Relaxed), word.tail());
        let held = if word.is_idle() { 0 } else { waiting.div_ceil(size).max(1) };
        while self.len < self.needed(word, n) {
            let Some(id) = self.pool.take(held + self.len as u32) else { break };
            self.ids[self.len] = id;
            self.len += 1;
        }
        let offset = word.tail() & self.pool.mask();
        let begun = if needs_block(word, self.pool.mask()) { 0 } else { 1 };
        let room = ((self.len as u32 + begun) * size).saturating_sub(offset);
        if room == 0 { Err(ReserveError::Exhausted) } else { Ok(n.min(room)) }
    }

    fn first(&self, word: Word) -> BlockId {
        if self.len > 0 { self.ids[0] } else { word.block() }
    }

    /// The block of the last of `n` positions.
    fn last(&self, word: Word, n: u32) -> BlockId {
        match self.needed(word, n) {
            0 => word.block(),
            k => self.ids[k - 1],
        }
    }

    /// Links the blocks used behind the lane's, in order; the drainer may follow at once.
    fn join(&mut self, tail: &Tail, word: Word, n: u32) {
        let used = self.needed(word, n);
        for k in 1..used {
            let next = &self.pool.header(self.ids[k - 1]).next;
            next.store(self.ids[k], ord!("ring.link", Release => Relaxed));
        }
        if used > 0 {
            tail.link(self.pool, word, self.ids[0]);
        }
        self.ids.copy_within(used..self.len, 0);
        self.len -= used;
    }
}

impl<T> Drop for Spares<'_, T> {
    fn drop(&mut self) {
        self.ids[..self.len].iter().for_each(|&id| self.pool.untake(id));
    }
}

impl<'a, T> Span<'a, T> {
    /// Positions reserved and not yet handed out.
    pub(crate) fn len(&self) -> u32 {
        self.left
    }

    /// The next position of the span.
    pub(crate) fn next_ticket(&mut self) -> Option<Ticket<'a, T>> {
        if self.left == 0 {
            return None;
        }
        let ticket = Ticket { pool: self.pool, block: self.block, pos: self.pos, activates: false };
        self.left -= 1;
        self.pos = following(self.pos);
        if self.left > 0 && self.pos & self.pool.mask() == 0 {
            // Linked by `join`; the block stays ours while one of its slots is unpublished.
            self.block = self.pool.header(self.block).next.load(Relaxed);
        }
        Some(ticket)
    }
}

impl<T> Drop for Span<'_, T> {
    fn drop(&mut self) {
        while self.next_ticket().is_some() {}
    }
}
