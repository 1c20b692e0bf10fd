//! Blocks of slots, shared by all lanes of an engine: the engine-wide bound.

use super::depot::{Depot, Magazine, magazine_size};
use super::orders::Orders;
use super::word::{BLOCKLESS, BlockId, NO_BLOCK, TAG_MAX};
use crate::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sync::{CachePadded, IS_MODEL, UnsafeCell, mutant, ord, spin};
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

/// Where one job waits.
pub(super) struct Slot<T> {
    /// What the slot holds, and for which use of its block. Stored by the producer that reserved
    /// the slot; read by the lane's drainer.
    pub(super) meta: AtomicU64,
    /// Written before `meta`, moved out by the drainer that has seen `meta`.
    pub(super) payload: UnsafeCell<MaybeUninit<T>>,
}

/// What stands before the slots of a block.
pub(super) struct Header {
    /// The lane's next block, stored by the producer that reserved its first slot; [`NO_BLOCK`]
    /// when there is none.
    pub(super) next: AtomicU32,
    /// The tag of the block's current use. Written only by whoever holds the block.
    tag: AtomicU32,
}

impl Header {
    #[inline]
    pub(super) fn tag(&self) -> u32 {
        self.tag.load(Relaxed)
    }
}

/// A block in memory. Numbers come from [`Pool::take`], so its chunk has been initialised, and it
/// lives as long as the pool.
pub(super) struct Block<'a, T> {
    base: *mut u8,
    slots: *mut u8,
    mask: u32,
    pool: PhantomData<&'a Pool<T>>,
}

impl<T> Clone for Block<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Block<'_, T> {}

impl<'a, T> Block<'a, T> {
    #[inline]
    pub(super) fn header(self) -> &'a Header {
        // SAFETY: the header stands at the block's start, initialised by `new_chunk`.
        unsafe { &*self.base.cast::<Header>() }
    }

    /// The slot that position `pos` falls on.
    #[inline]
    pub(super) fn slot(self, pos: u32) -> &'a Slot<T> {
        let slot = self.slots.cast::<Slot<T>>().wrapping_add((pos & self.mask) as usize);
        // SAFETY: the masked position is one of the block's slots, initialised by `new_chunk`.
        unsafe { &*slot }
    }

    /// The slots from the one that `pos` falls on to the last.
    #[inline]
    pub(super) fn slots_from(self, pos: u32) -> &'a [Slot<T>] {
        let first = (pos & self.mask) as usize;
        let slots = self.slots.cast::<Slot<T>>().wrapping_add(first);
        // SAFETY: the slots of a block lie side by side, initialised by `new_chunk`.
        unsafe { std::slice::from_raw_parts(slots, self.mask as usize + 1 - first) }
    }

    /// Asks the processor to fetch the whole block, which another thread wrote last.
    #[inline]
    pub(super) fn prefetch_all(self) {
        let bytes = (self.mask as usize + 1) * size_of::<Slot<T>>();
        (0..bytes).step_by(64).for_each(|at| prefetch_line(self.slots.wrapping_add(at)));
    }

    /// Asks for the first line of the block, to write into it.
    #[inline]
    fn prefetch_for_writing(self) {
        prefetch_line_to_write(self.base);
    }

    /// The same for the whole block.
    #[inline]
    fn prefetch_all_for_writing(self) {
        let bytes = (self.mask as usize + 1) * size_of::<Slot<T>>();
        (64..bytes).step_by(64).for_each(|at| prefetch_line_to_write(self.base.wrapping_add(at)));
    }

    /// Asks the processor to fetch the slot that `pos` falls on.
    #[inline]
    pub(super) fn prefetch(self, pos: u32) {
        let slot = self.slots.cast::<Slot<T>>().wrapping_add((pos & self.mask) as usize);
        prefetch_line(slot.cast());
    }
}

/// Blocks per chunk of memory taken from the allocator.
pub(super) const CHUNK_BLOCKS: u32 = if IS_MODEL { 2 } else { 256 };
/// Threads that submit spread over this many magazines; a power of two.
const STRIPES: usize = if IS_MODEL { 1 } else { 16 };
/// Blocks a lane may hold and still count as light, when blocks are smaller than this many jobs.
const LIGHT_JOBS: u32 = 8;
/// The most blocks a pool can number.
///
/// Whole chunks, and not the last one: [`NO_BLOCK`] and [`BLOCKLESS`] are in none.
pub(crate) const BLOCKS_MAX: u32 = BLOCKLESS / CHUNK_BLOCKS * CHUNK_BLOCKS;

/// Free blocks that a drainer has gathered and not yet given back.
pub(crate) struct Returns {
    gathered: Magazine,
    /// Whether some have gone back since this was asked last.
    has_given: bool,
}

impl Returns {
    pub(crate) const fn new() -> Self {
        Returns { gathered: Magazine::EMPTY, has_given: false }
    }

    /// Whether blocks have gone back since this was asked last.
    #[inline]
    pub(crate) fn has_given(&mut self) -> bool {
        std::mem::take(&mut self.has_given)
    }
}

/// A bounded supply of blocks. Memory is taken when first needed and kept until the pool drops.
pub(crate) struct Pool<T> {
    /// Chunks of raw memory, null until carved; each is `chunk_blocks` blocks.
    chunks: Box<[AtomicPtr<u8>]>,
    chunk_layout: Layout,
    chunk_blocks: u32,
    block_bytes: usize,
    /// Slots per block minus one; the number of slots is a power of two, at most 32.
    mask: u32,
    blocks_max: u32,
    /// Blocks carved from memory so far; never more than `blocks_max`.
    carved: CachePadded<AtomicU32>,
    depot: Depot,
    pub(super) orders: Orders,
    _owns: PhantomData<T>,
}

// SAFETY: the raw chunks hold slots whose payloads move in and out under the ring's protocol;
// the pool itself hands out shared references to atomics and cells only.
unsafe impl<T: Send> Sync for Pool<T> {}
// SAFETY: as above; no thread owns the chunks.
unsafe impl<T: Send> Send for Pool<T> {}

impl<T> Pool<T> {
    /// Where the slots of a block begin.
    const SLOTS_OFFSET: usize = size_of::<Header>().next_multiple_of(align_of::<Slot<T>>());

    /// Makes a pool of `blocks_max` blocks of `slots` slots (a power of two in `1..=32`) that
    /// up to `drainers` threads give blocks back to.
    pub(crate) fn new(slots: u32, blocks_max: u32, drainers: u32) -> Self {
        Pool::shaped(slots, blocks_max, magazine_size(blocks_max, drainers), STRIPES)
    }

    /// The same with magazines of `size` blocks and `stripes` of them at hand, a power of two, so
    /// that models are small.
    pub(crate) fn shaped(slots: u32, blocks_max: u32, size: u32, stripes: usize) -> Self {
        assert!(slots.is_power_of_two() && slots <= 32, "slots per block: a power of two to 32");
        assert!((1..=BLOCKS_MAX).contains(&blocks_max), "blocks: 1..={BLOCKS_MAX}");
        let chunk_blocks = CHUNK_BLOCKS.min(blocks_max);
        let block = block_layout::<T>(slots);
        let chunk_layout =
            Layout::from_size_align(block.size() * chunk_blocks as usize, block.align())
                .expect("a chunk is far below the address space");
        Pool {
            chunks: (0..blocks_max.div_ceil(chunk_blocks))
                .map(|_| AtomicPtr::new(ptr::null_mut()))
                .collect(),
            chunk_layout,
            chunk_blocks,
            block_bytes: block.size(),
            mask: slots - 1,
            blocks_max,
            carved: CachePadded::new(AtomicU32::new(0)),
            depot: Depot::new(blocks_max, size, stripes),
            orders: Orders::new(blocks_max.div_ceil(CHUNK_BLOCKS) as usize, slots),
            _owns: PhantomData,
        }
    }

    /// Slots per block minus one.
    #[inline]
    pub(crate) fn mask(&self) -> u32 {
        self.mask
    }

    /// Slots in all blocks together.
    pub(crate) fn slots_max(&self) -> u64 {
        u64::from(self.blocks_max) * u64::from(self.mask + 1)
    }

    /// Blocks that lanes hold or threads keep at hand; at most the pool's size.
    pub(crate) fn blocks_out(&self) -> u32 {
        self.depot.out()
    }

    /// The block numbered `id`.
    #[inline]
    pub(super) fn block(&self, id: BlockId) -> Block<'_, T> {
        self.find(id).expect("a number comes from `take`")
    }

    /// The block numbered `id`; `None` for [`NO_BLOCK`] and numbers above.
    #[inline]
    pub(super) fn find(&self, id: BlockId) -> Option<Block<'_, T>> {
        let (chunk, place) = (id / CHUNK_BLOCKS, id % CHUNK_BLOCKS);
        // ORDERING(pool.chunk): Acquire; pairs with pool.install. The thread that passed the id
        // on has seen the chunk, so this is for the formality of a fresh load.
        let chunk = self.chunks.get(chunk as usize)?.load(ord!("pool.chunk", Acquire => Relaxed));
        debug_assert!(!chunk.is_null(), "block {id} was never carved");
        let base = chunk.wrapping_add(place as usize * self.block_bytes);
        Some(Block {
            base,
            slots: base.wrapping_add(Self::SLOTS_OFFSET),
            mask: self.mask,
            pool: PhantomData,
        })
    }

    /// Takes a block for a lane, ready for use under a new tag.
    ///
    /// `held` is the number of blocks the lane has now. The last eighth of the pool is open only
    /// to lanes that hold at most one block (or eight jobs' worth, when blocks are smaller).
    #[inline(always)]
    pub(crate) fn take(&self, held: u32) -> Option<BlockId> {
        if self.is_heavy(held) && self.is_scarce() {
            return None;
        }
        let id = self.depot.take(|| self.carve(), |id| self.block(id).prefetch_for_writing())?;
        self.begin_use(id);
        Some(id)
    }

    /// The same out of line, for whoever takes blocks seldom or several.
    #[inline(never)]
    pub(super) fn take_apart(&self, held: u32) -> Option<BlockId> {
        self.take(held)
    }

    /// Makes a block ready for use again that never went back.
    pub(super) fn renew(&self, id: BlockId) -> BlockId {
        self.begin_use(id);
        id
    }

    fn is_heavy(&self, held: u32) -> bool {
        held * (self.mask + 1) > LIGHT_JOBS.max(self.mask + 1)
    }

    /// Whether only the last eighth of the blocks is left.
    #[inline]
    pub(crate) fn is_scarce(&self) -> bool {
        let reserve = self.blocks_max / 8;
        self.blocks_out() + reserve >= self.blocks_max
    }

    /// Gives the block its next tag. What an earlier use wrote carries another tag; when the tags
    /// run out, the slots are wiped once.
    #[inline]
    fn begin_use(&self, id: BlockId) {
        // Found once: after an atomic load, the compiler would find it anew.
        let block = self.block(id);
        let header = block.header();
        let tag = header.tag();
        if tag == TAG_MAX {
            if !mutant!("pool.no_wipe") {
                (0..=block.mask).for_each(|pos| block.slot(pos).meta.store(0, Relaxed));
            }
            header.tag.store(1, Relaxed);
        } else if !(mutant!("pool.same_tag") && tag != 0) {
            header.tag.store(tag + 1, Relaxed);
        }
        header.next.store(NO_BLOCK, Relaxed);
        block.prefetch_all_for_writing();
    }

    /// Gives back a block that no lane refers to any more.
    #[inline]
    pub(crate) fn give(&self, returns: &mut Returns, id: BlockId) {
        if self.depot.give(&mut returns.gathered, id) {
            returns.has_given = true;
        }
    }

    /// Gives back a block taken in vain.
    pub(crate) fn untake(&self, id: BlockId) {
        let mut back = Magazine::of(id, 1);
        loop {
            self.depot.give_some(&mut back);
            if back.ids().is_empty() {
                return;
            }
            spin();
        }
    }

    /// Blocks that `jobs` jobs fill.
    pub(crate) fn blocks_of(&self, jobs: usize) -> usize {
        jobs.div_ceil(self.mask as usize + 1)
    }

    /// Gives back what `returns` has gathered, as far as there is room at hand. `false` when there
    /// was nothing.
    pub(crate) fn flush(&self, returns: &mut Returns) -> bool {
        let any = !returns.gathered.ids().is_empty();
        if any {
            self.depot.give_some(&mut returns.gathered);
        }
        any
    }

    /// Makes a magazine of blocks nobody has used yet.
    fn carve(&self) -> Option<Magazine> {
        let size = self.depot.size();
        let carved = self.carved.fetch_update(Relaxed, Relaxed, |carved| {
            let more = size.min(self.blocks_max - carved);
            (more > 0).then_some(carved + more)
        });
        let first = carved.ok()?;
        let len = size.min(self.blocks_max - first);
        (first..first + len).for_each(|id| self.ensure_chunk(id / CHUNK_BLOCKS));
        self.depot.count_new(len);
        Some(Magazine::of(first, len))
    }

    fn ensure_chunk(&self, index: u32) {
        let entry = &self.chunks[index as usize];
        // ORDERING(pool.chunk): Acquire: the chunk is initialised; pairs with pool.install.
        if !entry.load(ord!("pool.chunk", Acquire => Relaxed)).is_null() {
            return;
        }
        let mine = self.new_chunk();
        // ORDERING(pool.install): Release publishes the initialised chunk; pairs with pool.chunk.
        let installed = entry.compare_exchange(
            ptr::null_mut(),
            mine.as_ptr(),
            ord!("pool.install", AcqRel => Relaxed),
            // ORDERING(pool.chunk): the winner's is initialised; pairs with pool.install.
            ord!("pool.chunk", Acquire => Relaxed),
        );
        if installed.is_err() {
            // SAFETY: this thread made the chunk and nobody else has seen it.
            unsafe { self.free_chunk(mine.as_ptr()) };
        }
    }

    fn new_chunk(&self) -> NonNull<u8> {
        // SAFETY: a block has at least a header, so the layout is not empty.
        let memory = unsafe { alloc(self.chunk_layout) };
        let Some(chunk) = NonNull::new(memory) else { handle_alloc_error(self.chunk_layout) };
        for place in 0..self.chunk_blocks as usize {
            let base = chunk.as_ptr().wrapping_add(place * self.block_bytes);
            let header = Header { next: AtomicU32::new(NO_BLOCK), tag: AtomicU32::new(0) };
            // SAFETY: the block lies inside the chunk, suitably aligned, and is not shared yet.
            unsafe { base.cast::<Header>().write(header) };
            let slots = base.wrapping_add(Self::SLOTS_OFFSET).cast::<Slot<T>>();
            for at in 0..=self.mask as usize {
                let slot = Slot {
                    meta: AtomicU64::new(0),
                    payload: UnsafeCell::new(MaybeUninit::uninit()),
                };
                // SAFETY: as above; `block_layout` made room for `mask + 1` slots.
                unsafe { slots.wrapping_add(at).write(slot) };
            }
        }
        chunk
    }

    /// # Safety
    /// `chunk` came from `new_chunk` and nobody uses it any more.
    unsafe fn free_chunk(&self, chunk: *mut u8) {
        for place in 0..self.chunk_blocks as usize {
            let base = chunk.wrapping_add(place * self.block_bytes);
            // SAFETY: `new_chunk` wrote a header there.
            unsafe { ptr::drop_in_place(base.cast::<Header>()) };
            let slots = base.wrapping_add(Self::SLOTS_OFFSET).cast::<Slot<T>>();
            for at in 0..=self.mask as usize {
                // SAFETY: `new_chunk` wrote a slot there; its payload is not dropped with it.
                unsafe { ptr::drop_in_place(slots.wrapping_add(at)) };
            }
        }
        // SAFETY: allocated with this layout by `new_chunk`.
        unsafe { dealloc(chunk, self.chunk_layout) };
    }
}

impl<T> Drop for Pool<T> {
    /// Frees the memory. Payloads still inside are not dropped: the owner drains its lanes first.
    fn drop(&mut self) {
        for at in 0..self.chunks.len() {
            let chunk = self.chunks[at].load(Relaxed);
            if !chunk.is_null() {
                // SAFETY: `&mut self`: no lane refers to the pool any more.
                unsafe { self.free_chunk(chunk) };
            }
        }
    }
}

/// The layout of a block: its header, then `slots` slots.
fn block_layout<T>(slots: u32) -> Layout {
    let slots = Layout::array::<Slot<T>>(slots as usize).expect("at most 32 slots");
    let (block, offset) = Layout::new::<Header>().extend(slots).expect("a block is small");
    debug_assert_eq!(offset, Pool::<T>::SLOTS_OFFSET);
    block.pad_to_align()
}

/// Asks the processor to fetch a line that is about to be read.
#[inline]
pub(crate) fn prefetch_line(at: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(fairlane_loom)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing; any address is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(fairlane_loom))))]
    let _ = at;
}

/// Asks the processor to fetch a line that is about to be written.
#[inline]
pub(crate) fn prefetch_line_to_write(at: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(fairlane_loom)))]
    // SAFETY: a prefetch changes nothing, any address is allowed, and a processor that does not
    // know it takes it for a no-op. (The intrinsic becomes an ordinary prefetch unless the whole
    // program is compiled for newer processors.)
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) at, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(all(target_arch = "x86_64", not(fairlane_loom))))]
    let _ = at;
}
