//! A table of lazily made chunks: memory follows use, and an address never moves.

use super::atomic::{AtomicPtr, Ordering};
use super::{mutant, ord};
use std::ptr;

/// Up to `len` chunks, each made the first time it is asked for and kept until the table drops.
pub(crate) struct Chunks<C> {
    /// Null until made. Written once, by the thread whose chunk wins; read by everyone.
    table: Box<[AtomicPtr<C>]>,
}

impl<C> Chunks<C> {
    /// Makes a table that can hold `len` chunks, none of them made yet.
    pub(crate) fn new(len: usize) -> Self {
        Chunks { table: (0..len).map(|_| AtomicPtr::new(ptr::null_mut())).collect() }
    }

    /// The chunk at `index`, if it has been made.
    #[inline]
    pub(crate) fn get(&self, index: usize) -> Option<&C> {
        // ORDERING(chunks.get): Acquire; pairs with chunks.install.
        let chunk = self.table.get(index)?.load(ord!("chunks.get", Acquire => Relaxed));
        // SAFETY: a non-null entry came from `Box::into_raw` in `get_or_make`, is never replaced,
        // and is freed only by `drop`, which has `&mut self`; Acquire makes its contents visible.
        unsafe { chunk.as_ref() }
    }

    /// The chunk at `index`, made with `make` when missing. Two threads may both make one; the
    /// loser's is dropped.
    ///
    /// Panics when `index` is outside the table.
    pub(crate) fn get_or_make(&self, index: usize, make: impl FnOnce() -> C) -> &C {
        if let Some(chunk) = self.get(index) {
            return chunk;
        }
        let mine = Box::into_raw(Box::new(make()));
        if mutant!("chunks.by_store") {
            self.table[index].store(mine, Ordering::Release);
            // SAFETY: as below, as far as a mutant can be.
            return unsafe { &*mine };
        }
        // ORDERING(chunks.install): Release publishes the chunk's contents; pairs with chunks.get.
        let installed = self.table[index].compare_exchange(
            ptr::null_mut(),
            mine,
            ord!("chunks.install", AcqRel => Relaxed),
            // ORDERING(chunks.get): as in `get`, for the winner's; pairs with chunks.install.
            ord!("chunks.get", Acquire => Relaxed),
        );
        let chunk = match installed {
            Ok(_) => mine,
            Err(theirs) => {
                // SAFETY: `mine` lost the race, so nobody else has seen it.
                drop(unsafe { Box::from_raw(mine) });
                theirs
            }
        };
        // SAFETY: as in `get`: installed once, never replaced, freed only by `drop`.
        unsafe { &*chunk }
    }
}

impl<C> Drop for Chunks<C> {
    fn drop(&mut self) {
        for entry in &mut self.table {
            let chunk = entry.load(Ordering::Relaxed);
            if !chunk.is_null() {
                // SAFETY: it came from `Box::into_raw` and `&mut self` means no reader is left.
                drop(unsafe { Box::from_raw(chunk) });
            }
        }
    }
}
