//! How whoever stops the workers waits for the looks for work that they have begun.

use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{full_fence, mutant, ord, yield_now};

/// Whether one worker is looking for work. Between the beginning and the end of a look it may hold
/// grants that nobody else can reach. A look runs no user code, so waiting for its end is short.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Look {
    /// 1 during a look. Stored by the worker only.
    going: AtomicU32,
}

impl Look {
    pub(crate) fn new() -> Self {
        Look { going: AtomicU32::new(0) }
    }

    /// Begins a look, unless `is_stopped` says that there are to be no more.
    #[inline]
    pub(crate) fn begin(&self, is_stopped: impl Fn() -> bool) -> bool {
        self.going.store(1, Relaxed);
        // ORDERING(look.begin_fence): either this look sees the stop, or whoever stops sees the
        // look; pairs with look.settle_fence.
        full_fence(ord!("look.begin_fence", SeqCst => AcqRel));
        let goes = !is_stopped();
        if !goes {
            self.end();
        }
        goes
    }

    /// Ends a look: what it found is where others can reach it.
    #[inline]
    pub(crate) fn end(&self) {
        // ORDERING(look.end): Release; pairs with look.wait.
        self.going.store(0, ord!("look.end", Release => Relaxed));
    }

    /// Waits for the end of this look; only [`Look::settle`] calls it, behind its fence.
    fn wait(&self) {
        // ORDERING(look.wait): Acquire; pairs with look.end.
        while self.going.load(ord!("look.wait", Acquire => Relaxed)) != 0 {
            yield_now();
        }
    }

    /// Waits until none of `looks` is going on. Call after the stop, and before taking what looks
    /// have found.
    pub(crate) fn settle<'a>(looks: impl Iterator<Item = &'a Look>) {
        // ORDERING(look.settle_fence): as for look.begin_fence; pairs with look.begin_fence.
        full_fence(ord!("look.settle_fence", SeqCst => AcqRel));
        if !mutant!("look.no_wait") {
            looks.for_each(Look::wait);
        }
    }
}
