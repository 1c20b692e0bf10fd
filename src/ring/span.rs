//! Reserving many positions at once.

use super::pool::{Block, Pool};
use super::tail::{Door, ReserveError, Tail, Ticket, admit, held};
use super::word::{BlockId, NO_BLOCK, Word, advanced, backlog, following};
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{ord, spin};

/// Reserves up to `n` positions at once.
pub(crate) struct Span<'a, T> {
    pool: &'a Pool<T>,
    /// The block that `pos` falls on.
    id: BlockId,
    block: Block<'a, T>,
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
        let mut word = self.enter();
        loop {
            let n = self.room(word, door, wanted.min(SPAN_MAX))?;
            let n = spares.cover(word, door, n)?;
            let last = spares.last(word, n);
            match self.swap(word, word.at(advanced(word.tail(), n), last)) {
                Ok(()) => {
                    let first = spares.first(word);
                    spares.join(self, word, n);
                    let id = if word.needs_block(pool.mask()) { first } else { word.block() };
                    return Ok(Span {
                        pool,
                        id,
                        block: pool.block(id),
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
        admit(word, door)?;
        let depth = backlog(door.head.load(Relaxed), word.tail());
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

    /// Slots per block, the place in its block of `word`'s tail, and 1 if the lane has that block.
    fn shape(&self, word: Word) -> (u32, u32, u32) {
        let mask = self.pool.mask();
        (mask + 1, word.tail() & mask, u32::from(!word.needs_block(mask)))
    }

    /// New blocks that `n` positions from `word`'s tail begin.
    fn needed(&self, word: Word, n: u32) -> usize {
        let (size, offset, begun) = self.shape(word);
        ((offset + n).div_ceil(size) - begun) as usize
    }

    /// Takes blocks for `n` positions, or for as many as the pool allows.
    fn cover(&mut self, word: Word, door: Door<'_>, n: u32) -> Result<u32, ReserveError> {
        let held = held(word, self.pool, door);
        while self.len < self.needed(word, n) {
            let Some(id) = self.pool.take_apart(held + self.len as u32) else { break };
            self.ids[self.len] = id;
            self.len += 1;
        }
        let (size, offset, begun) = self.shape(word);
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
            let next = &self.pool.block(self.ids[k - 1]).header().next;
            // ORDERING(ring.link): Release, as in `Tail::link`; pairs with ring.cross.
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
        let ticket = Ticket { id: self.id, block: self.block, pos: self.pos, activates: false };
        self.left -= 1;
        self.pos = following(self.pos);
        if self.left > 0 && self.pos & self.pool.mask() == 0 {
            // Linked by `join`; the block stays ours while one of its slots is unpublished.
            self.id = self.block.header().next.load(Relaxed);
            self.block = self.pool.block(self.id);
        }
        Some(ticket)
    }
}

impl<T> Drop for Span<'_, T> {
    fn drop(&mut self) {
        while self.next_ticket().is_some() {}
    }
}
