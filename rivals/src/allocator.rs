//! mimalloc for all systems, with a count of live bytes that can be turned on.

use mimalloc::MiMalloc;
use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI64};

/// The program's allocator.
pub(crate) struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Off while speed is measured: then an allocation costs one more load of a line that nobody
/// writes, and threads do not meet at a counter.
static COUNTS: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicI64 = AtomicI64::new(0);

/// Counts what is allocated from now on, until it drops. One at a time.
pub(crate) struct Count;

impl Count {
    /// Starts at 0.
    pub(crate) fn start() -> Count {
        LIVE.store(0, Relaxed);
        COUNTS.store(true, Relaxed);
        Count
    }

    /// Bytes asked for since the start and not freed.
    pub(crate) fn live(&self) -> i64 {
        LIVE.load(Relaxed)
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        COUNTS.store(false, Relaxed);
    }
}

#[inline]
fn count(bytes: i64) {
    if COUNTS.load(Relaxed) {
        LIVE.fetch_add(bytes, Relaxed);
    }
}

// SAFETY: every call is passed on to mimalloc as it came.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { MiMalloc.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { MiMalloc.dealloc(at, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { MiMalloc.realloc(at, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::Count;

    #[test]
    fn live_bytes_are_those_allocated_and_not_freed() {
        // Other tests' allocations count too: the blocks are larger than anything they make.
        let count = Count::start();
        let kept = vec![1u8; 64 << 20];
        drop(vec![1u8; 64 << 20]);
        let live = count.live();
        assert!((60 << 20..72 << 20).contains(&live), "{live}");
        drop(kept);
        assert!(count.live() < 8 << 20);
    }
}
