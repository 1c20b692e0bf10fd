//! Free blocks, and how they move between threads.

use super::word::BlockId;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sync::{CachePadded, IS_MODEL, TryLock, mutant, ord, spin, thread_number};

/// Most blocks in a magazine: with the count they fill a cache line.
const MAGAZINE_MAX: u32 = 15;
/// Shelves more than there can be full magazines: one for each thread that has taken a shelf off one
/// stack and not yet put it on the other.
const SPARE_SHELVES: u32 = if IS_MODEL { 4 } else { 64 };
/// Blocks of a pool that is exact to the block.
const SMALL_POOL: u32 = 512;

/// Numbers of free blocks that move together. A magazine is a line of its own: whoever gets it
/// knows all its blocks at once, and can have them fetched side by side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Magazine {
    ids: [BlockId; MAGAZINE_MAX as usize],
    len: u32,
}

impl Magazine {
    pub(super) const EMPTY: Magazine = Magazine { ids: [0; MAGAZINE_MAX as usize], len: 0 };

    /// A magazine of the numbers `first..first + len`.
    pub(super) fn of(first: BlockId, len: u32) -> Magazine {
        let mut magazine = Magazine::EMPTY;
        (first..first + len).for_each(|id| magazine.push(id));
        magazine
    }

    /// The numbers inside.
    pub(super) fn ids(&self) -> &[BlockId] {
        &self.ids[..self.len as usize]
    }

    #[inline]
    fn push(&mut self, id: BlockId) {
        self.ids[self.len as usize] = id;
        self.len += 1;
    }

    #[inline]
    fn pop(&mut self) -> Option<BlockId> {
        self.len = self.len.checked_sub(1)?;
        Some(self.ids[self.len as usize])
    }
}

/// Where a full magazine lies in the depot.
#[repr(align(64))]
struct Shelf {
    /// The next shelf of its stack, [`NO_SHELF`] for the last.
    next: AtomicU32,
    /// The magazine's blocks; written and read by whoever has taken the shelf off its stack.
    ids: [AtomicU32; MAGAZINE_MAX as usize],
}

const NO_SHELF: u32 = u32::MAX;

/// Shelves by number, last in, first out: `count 32 | shelf 32`. The count defeats ABA.
struct Stack(CachePadded<AtomicU64>);

impl Stack {
    fn new(top: u32) -> Stack {
        Stack(CachePadded::new(AtomicU64::new(u64::from(top))))
    }

    fn push(&self, shelves: &[Shelf], shelf: u32) {
        let mut top = self.0.load(Relaxed);
        loop {
            shelves[shelf as usize].next.store(top as u32, Relaxed);
            // ORDERING(pool.give): Release: what was written to the shelf, or read from it, came
            // before, and so did all earlier use of the blocks; pairs with pool.take.
            let pushed = self.0.compare_exchange_weak(
                top,
                changed(top, shelf),
                ord!("pool.give", Release => Relaxed),
                Relaxed,
            );
            match pushed {
                Ok(_) => return,
                Err(now) => top = now,
            }
            spin();
        }
    }

    fn pop(&self, shelves: &[Shelf]) -> Option<u32> {
        // ORDERING(pool.take): Acquire, here and on the exchange; pairs with pool.give.
        let mut top = self.0.load(ord!("pool.take", Acquire => Relaxed));
        loop {
            let shelf = top as u32;
            let next = shelves.get(shelf as usize)?.next.load(Relaxed);
            let popped = self.0.compare_exchange_weak(
                top,
                changed(top, next),
                // ORDERING(pool.take): as above, won or lost; pairs with pool.give.
                ord!("pool.take", Acquire => Relaxed),
                ord!("pool.take", Acquire => Relaxed),
            );
            match popped {
                Ok(_) => return Some(shelf),
                Err(now) => top = now,
            }
            spin();
        }
    }
}

/// A stack's word with `shelf` on top and the next count.
#[inline]
fn changed(top: u64, shelf: u32) -> u64 {
    let count = (top >> 32).wrapping_add(u64::from(!mutant!("pool.no_count")));
    count << 32 | u64::from(shelf)
}

/// Where free blocks wait.
///
/// They move in magazines: a drainer fills one and puts it into the depot, a submitting thread
/// takes one to its stripe. So a block costs a fraction of an RMW on the way. Magazines in the
/// depot are full; what does not fill one lies in a stripe.
pub(super) struct Depot {
    /// Enough for all full magazines there can be, and [`SPARE_SHELVES`].
    shelves: Box<[Shelf]>,
    full: Stack,
    empty: Stack,
    /// What submitting threads have at hand; each uses the one of its number, most of the time.
    stripes: Box<[CachePadded<TryLock<Magazine>>]>,
    /// Blocks in a full magazine.
    size: u32,
    /// Blocks that have left the depot, or never were in it, and have not come back.
    out: CachePadded<AtomicU32>,
}

impl Depot {
    /// Makes an empty depot for `blocks` blocks in magazines of `size`, with `stripes` at hand.
    pub(super) fn new(blocks: u32, size: u32, stripes: usize) -> Self {
        assert!((1..=MAGAZINE_MAX).contains(&size), "magazine size: 1..={MAGAZINE_MAX}");
        let stripe = || CachePadded::new(TryLock::new(Magazine::EMPTY));
        Depot {
            shelves: shelves(blocks.div_ceil(size) + SPARE_SHELVES),
            full: Stack::new(NO_SHELF),
            empty: Stack::new(0),
            stripes: (0..stripes).map(|_| stripe()).collect(),
            size,
            out: CachePadded::new(AtomicU32::new(0)),
        }
    }

    /// Blocks in a full magazine.
    pub(super) fn size(&self) -> u32 {
        self.size
    }

    /// Blocks that lanes hold or threads keep at hand.
    #[inline]
    pub(super) fn out(&self) -> u32 {
        self.out.load(Relaxed)
    }

    /// Takes a block from this thread's stripe, filled from the depot, or with `more`, when it is
    /// empty. `soon` is told of the blocks that will be taken next.
    #[inline(always)]
    pub(super) fn take(
        &self,
        more: impl Fn() -> Option<Magazine>,
        soon: impl Fn(BlockId),
    ) -> Option<BlockId> {
        let mine = self.mine();
        let own = self.stripes[mine].with(|stripe| {
            if stripe.len == 0 {
                self.fill(stripe, &more, &soon)?;
            }
            stripe.pop()
        });
        own.flatten().or_else(|| self.take_elsewhere(mine, &more))
    }

    /// Fills a stripe: once for a magazine's blocks, so it is kept out of the way of the others.
    #[cold]
    fn fill(
        &self,
        stripe: &mut Magazine,
        more: &impl Fn() -> Option<Magazine>,
        soon: &impl Fn(BlockId),
    ) -> Option<()> {
        *stripe = self.refill().or_else(more)?;
        stripe.ids().iter().for_each(|&id| soon(id));
        Some(())
    }

    /// Takes a block when this thread's stripe is in use, or nothing is left in the depot: what
    /// other threads have at hand is free too.
    #[cold]
    fn take_elsewhere(&self, mine: usize, more: &impl Fn() -> Option<Magazine>) -> Option<BlockId> {
        // Magazines of one are never left lying.
        let others = if self.size == 1 { 0 } else { self.stripes.len() };
        let others = (1..others).map(|k| (mine + k) % self.stripes.len());
        let taken = others.filter_map(|at| self.stripes[at].with(Magazine::pop).flatten()).next();
        taken.or_else(|| self.take_and_share(more))
    }

    /// Takes a block out of a new magazine, whose rest goes to whatever stripe is free.
    fn take_and_share(&self, more: &impl Fn() -> Option<Magazine>) -> Option<BlockId> {
        let mut magazine = self.refill().or_else(more)?;
        let id = magazine.pop();
        while !magazine.ids().is_empty() {
            self.give_some(&mut magazine);
        }
        id
    }

    fn refill(&self) -> Option<Magazine> {
        let shelf = self.full.pop(&self.shelves)?;
        let mut magazine = Magazine { len: self.size, ..Magazine::EMPTY };
        let places = magazine.ids.iter_mut().zip(&self.shelves[shelf as usize].ids);
        places.for_each(|(id, place)| *id = place.load(Relaxed));
        self.empty.push(&self.shelves, shelf);
        self.out.fetch_add(self.size, Relaxed);
        Some(magazine)
    }

    /// Counts blocks that have just been made.
    pub(super) fn count_new(&self, blocks: u32) {
        self.out.fetch_add(blocks, Relaxed);
    }

    /// Adds a block to `gathered`, and puts that into the depot when it is full. Whether it was.
    #[inline]
    pub(super) fn give(&self, gathered: &mut Magazine, id: BlockId) -> bool {
        gathered.push(id);
        let is_full = gathered.len == self.size;
        if is_full {
            self.store(gathered);
        }
        is_full
    }

    fn store(&self, full: &mut Magazine) {
        let shelf = loop {
            match self.empty.pop(&self.shelves) {
                Some(shelf) => break shelf,
                // As many threads as there are spare shelves stand between a pop and a push.
                None => spin(),
            }
        };
        let places = full.ids.iter().zip(&self.shelves[shelf as usize].ids);
        places.for_each(|(&id, place)| place.store(id, Relaxed));
        full.len = 0;
        self.full.push(&self.shelves, shelf);
        self.out.fetch_sub(self.size, Relaxed);
    }

    /// Puts what `gathered` has into a stripe, where any thread finds it; what finds no room stays.
    pub(super) fn give_some(&self, gathered: &mut Magazine) {
        let mine = self.mine();
        for k in 0..self.stripes.len() {
            let at = (mine + k) % self.stripes.len();
            let given = self.stripes[at].with(|stripe| {
                while let Some(id) = gathered.pop() {
                    self.give(stripe, id);
                }
            });
            if given.is_some() {
                return;
            }
        }
    }

    #[inline]
    fn mine(&self) -> usize {
        // A power of two, so that this is a mask.
        thread_number() as usize & (self.stripes.len() - 1)
    }
}

/// `count` shelves, each on the stack that begins with the first.
fn shelves(count: u32) -> Box<[Shelf]> {
    let shelf = |at| Shelf {
        next: AtomicU32::new(if at + 1 < count { at + 1 } else { NO_SHELF }),
        ids: std::array::from_fn(|_| AtomicU32::new(0)),
    };
    (0..count).map(shelf).collect()
}

/// The size of the magazines of a pool of `blocks` blocks that `drainers` threads give blocks back
/// to. Larger ones cost fewer RMWs, but blocks in an unfinished one are out of reach: at most a
/// sixteenth of the pool may be. Small pools move single blocks, so that every one is found.
pub(super) fn magazine_size(blocks: u32, drainers: u32) -> u32 {
    if blocks < SMALL_POOL { 1 } else { (blocks / (16 * drainers)).clamp(1, MAGAZINE_MAX) }
}
