//! Where jobs set aside are kept, and the chains that run through them.

use crate::units::Order;

/// No slot.
const NONE: u32 = u32::MAX;

/// Jobs by slot. Slots of jobs that left are used again first, so that memory follows the most jobs
/// that were here at once.
pub(super) struct Slab<J> {
    cells: Vec<Cell<J>>,
    /// The free slot that the next job gets, or `NONE`.
    free: u32,
    /// Jobs here.
    used: usize,
}

enum Cell<J> {
    Used(Entry<J>),
    /// The free slot after this one, or `NONE`.
    Free(u32),
}

/// One job, and where it stands.
pub(super) struct Entry<J> {
    pub(super) order: Order,
    pub(super) job: J,
    /// Whether it stands apart from its band: see [`Aside::bar`](super::Aside::bar).
    pub(super) is_barred: bool,
    links: [Link; CHAINS],
}

/// The neighbours in a chain; `NONE` where there is none.
#[derive(Clone, Copy)]
struct Link {
    before: u32,
    after: u32,
}

impl Link {
    const LOOSE: Link = Link { before: NONE, after: NONE };
}

impl<J> Entry<J> {
    pub(super) fn new(order: Order, job: J) -> Self {
        Entry { order, job, is_barred: false, links: [Link::LOOSE; CHAINS] }
    }
}

impl<J> Slab<J> {
    pub(super) const fn new() -> Self {
        Slab { cells: Vec::new(), free: NONE, used: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// Slots that need no memory of the allocator's.
    pub(super) fn capacity(&self) -> usize {
        self.cells.capacity()
    }

    /// Keeps a job, and says in which slot.
    pub(super) fn add(&mut self, entry: Entry<J>) -> u32 {
        self.used += 1;
        let slot = self.free;
        if slot == NONE {
            self.cells.push(Cell::Used(entry));
            let slot = u32::try_from(self.cells.len() - 1).ok().filter(|&slot| slot != NONE);
            return slot.expect("a lane's bound is below 2^32 - 1 jobs");
        }
        match std::mem::replace(&mut self.cells[slot as usize], Cell::Used(entry)) {
            Cell::Free(next) => self.free = next,
            Cell::Used(_) => unreachable!("slot {slot} is in the free list"),
        }
        slot
    }

    /// Takes the job out of a slot that has one. It must be in no chain any more.
    pub(super) fn remove(&mut self, slot: u32) -> Entry<J> {
        match std::mem::replace(&mut self.cells[slot as usize], Cell::Free(self.free)) {
            Cell::Used(entry) => {
                self.free = slot;
                self.used -= 1;
                entry
            }
            Cell::Free(_) => unreachable!("slot {slot} has no job to take"),
        }
    }

    pub(super) fn entry(&self, slot: u32) -> &Entry<J> {
        match &self.cells[slot as usize] {
            Cell::Used(entry) => entry,
            Cell::Free(_) => unreachable!("slot {slot} has no job"),
        }
    }

    pub(super) fn set_barred(&mut self, slot: u32, is_barred: bool) {
        match &mut self.cells[slot as usize] {
            Cell::Used(entry) => entry.is_barred = is_barred,
            Cell::Free(_) => unreachable!("slot {slot} has no job to bar"),
        }
    }

    fn link(&mut self, slot: u32, chain: usize) -> &mut Link {
        match &mut self.cells[slot as usize] {
            Cell::Used(entry) => &mut entry.links[chain],
            Cell::Free(_) => unreachable!("slot {slot} has no job to link"),
        }
    }
}

/// How many chains a job may be in at once: the lane's, and its band's.
const CHAINS: usize = 2;

/// A queue of slots that any slot can leave in one step. `CHAIN` says which of a job's links it is
/// made of.
pub(super) struct Chain<const CHAIN: usize> {
    first: u32,
    last: u32,
}

impl<const CHAIN: usize> Chain<CHAIN> {
    pub(super) const fn new() -> Self {
        Chain { first: NONE, last: NONE }
    }

    pub(super) fn first(&self) -> Option<u32> {
        (self.first != NONE).then_some(self.first)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first == NONE
    }

    /// Puts a slot at the end.
    pub(super) fn push<J>(&mut self, slab: &mut Slab<J>, slot: u32) {
        *slab.link(slot, CHAIN) = Link { before: self.last, after: NONE };
        match self.last {
            NONE => self.first = slot,
            last => slab.link(last, CHAIN).after = slot,
        }
        self.last = slot;
    }

    pub(super) fn last(&self) -> Option<u32> {
        (self.last != NONE).then_some(self.last)
    }

    /// Puts a slot at the beginning.
    pub(super) fn push_first<J>(&mut self, slab: &mut Slab<J>, slot: u32) {
        *slab.link(slot, CHAIN) = Link { before: NONE, after: self.first };
        match self.first {
            NONE => self.last = slot,
            first => slab.link(first, CHAIN).before = slot,
        }
        self.first = slot;
    }

    /// Takes out a slot that is in this chain.
    pub(super) fn remove<J>(&mut self, slab: &mut Slab<J>, slot: u32) {
        let Link { before, after } = std::mem::replace(slab.link(slot, CHAIN), Link::LOOSE);
        match before {
            NONE => self.first = after,
            before => slab.link(before, CHAIN).after = after,
        }
        match after {
            NONE => self.last = before,
            after => slab.link(after, CHAIN).before = before,
        }
    }
}
