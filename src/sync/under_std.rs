//! The world for use: the standard library.

pub(crate) use std::hint::spin_loop as spin;
pub(crate) use std::sync::{Arc, mpsc};
pub(crate) use std::thread::yield_now;
pub(crate) use std::thread_local;

#[cfg(fairlane_tsan)]
pub(crate) use super::locks::{Condvar, Mutex, MutexGuard, RwLock};
#[cfg(not(fairlane_tsan))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, RwLock};

pub(super) use std::sync::atomic::fence;

use std::cell::Cell;
use std::time::{Duration, Instant};

pub(crate) mod atomic {
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering,
    };
}

pub(crate) mod thread {
    pub(crate) use std::thread::{Builder, JoinHandle, current};
}

/// The machine's monotonic clock.
#[inline]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Cores that this process may use, at least 1.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Waits for a signal, at most for `span`. May return early.
pub(crate) fn wait_timeout<'a, T>(
    _lock: &'a Mutex<T>,
    signal: &Condvar,
    guard: MutexGuard<'a, T>,
    span: Duration,
) -> MutexGuard<'a, T> {
    signal.wait_timeout(guard, span).expect("no code panics under this lock").0
}

static NEXT_THREAD: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);

thread_local! {
    static THREAD: Cell<u64> = const { Cell::new(0) };
}

/// This thread's number, unique in the process and never 0.
#[inline]
pub(crate) fn thread_number() -> u64 {
    let mine = THREAD.get();
    if mine != 0 { mine } else { first_thread_number() }
}

/// The same, or 0 as long as nobody has asked for it.
#[inline]
pub(crate) fn known_thread_number() -> u64 {
    THREAD.get()
}

#[cold]
fn first_thread_number() -> u64 {
    let mine = NEXT_THREAD.fetch_add(1, atomic::Ordering::Relaxed);
    THREAD.set(mine);
    mine
}

/// A cell that is read and written through closures, so that loom sees every access.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    #[inline]
    pub(crate) const fn new(value: T) -> Self {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }
    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}
