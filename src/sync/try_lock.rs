//! A lock that is only ever tried: nobody waits for it.

#[cfg(not(fairlane_loom))]
use super::atomic::{AtomicBool, Ordering};

/// A value for one thread at a time; the others are told so at once.
pub(crate) struct TryLock<T> {
    #[cfg(not(fairlane_loom))]
    locked: AtomicBool,
    #[cfg(not(fairlane_loom))]
    value: std::cell::UnsafeCell<T>,
    /// The flag is stored plainly on unlock, which loom 0.7 takes apart wrongly (its issue 254).
    #[cfg(fairlane_loom)]
    value: super::Mutex<T>,
}

// SAFETY: `with` gives out `&mut T` only between a successful lock and its unlock.
#[cfg(not(fairlane_loom))]
unsafe impl<T: Send> Sync for TryLock<T> {}

#[cfg(not(fairlane_loom))]
impl<T> TryLock<T> {
    pub(crate) fn new(value: T) -> Self {
        TryLock { locked: AtomicBool::new(false), value: std::cell::UnsafeCell::new(value) }
    }

    /// Runs `f` on the value, or returns `None` when another thread is inside. Costs one RMW.
    ///
    /// `f` must not panic: the lock would stay taken.
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.locked.load(Ordering::Relaxed) || self.locked.swap(true, Ordering::Acquire) {
            return None;
        }
        // SAFETY: the swap found the flag clear, so this thread alone is inside; Acquire pairs
        // with the Release store of the previous holder.
        let result = f(unsafe { &mut *self.value.get() });
        self.locked.store(false, Ordering::Release);
        Some(result)
    }
}

#[cfg(fairlane_loom)]
impl<T> TryLock<T> {
    pub(crate) fn new(value: T) -> Self {
        TryLock { value: super::Mutex::new(value) }
    }

    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        Some(f(&mut *self.value.lock().ok()?))
    }
}
