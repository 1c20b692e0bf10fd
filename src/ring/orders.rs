//! What ordered jobs carry besides their slot.

use super::pool::CHUNK_BLOCKS;
use super::word::BlockId;
use crate::sync::{Chunks, UnsafeCell};
use crate::units::Order;
use std::mem::MaybeUninit;

/// A place for the order of each slot, apart from the slots: made for a chunk of blocks when the first
/// ordered job falls on it, so that lanes without such jobs pay nothing.
pub(super) struct Orders {
    chunks: Chunks<Places>,
    slots_per_block: u32,
}

struct Places(Box<[UnsafeCell<MaybeUninit<Order>>]>);

// SAFETY: a place is written by the producer that reserved its slot, before it publishes the slot, and
// read by the drainer that has seen it published (ring/README.md, R1 and R2): never both at once.
unsafe impl Sync for Places {}
// SAFETY: as above; an `Order` is plain data.
unsafe impl Send for Places {}

impl Orders {
    pub(super) fn new(chunks: usize, slots_per_block: u32) -> Self {
        Orders { chunks: Chunks::new(chunks), slots_per_block }
    }

    /// Notes the order of the job that is about to be published at `pos`.
    pub(super) fn put(&self, block: BlockId, pos: u32, order: Order) {
        let make = || {
            let places = CHUNK_BLOCKS * self.slots_per_block;
            Places((0..places).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect())
        };
        let places = self.chunks.get_or_make((block / CHUNK_BLOCKS) as usize, make);
        places.0[self.place(block, pos)].with_mut(|place| {
            // SAFETY: invariant R1: the position is the caller's alone until it publishes.
            unsafe { (*place).write(order) };
        });
    }

    /// The order of the job published at `pos`, whose slot says that it has one.
    pub(super) fn get(&self, block: BlockId, pos: u32) -> Order {
        let places = self.chunks.get((block / CHUNK_BLOCKS) as usize);
        let places = places.expect("the producer made the chunk before it published");
        places.0[self.place(block, pos)].with(|place| {
            // SAFETY: invariant R2: written before the slot was published, which the caller has seen.
            unsafe { place.cast::<Order>().read() }
        })
    }

    fn place(&self, block: BlockId, pos: u32) -> usize {
        let slot = pos & (self.slots_per_block - 1);
        (block % CHUNK_BLOCKS * self.slots_per_block + slot) as usize
    }
}
