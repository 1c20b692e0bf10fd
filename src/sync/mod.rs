//! The one door to shared memory.
//!
//! Atomics, fences, cells, locks and threads come from here and from nowhere else, so that the
//! same source compiles against std for use and against loom for the models. Nothing in this room
//! knows what a tenant is.

mod chunks;
mod lent;
mod names;
pub(crate) mod ordering;
mod outbox;
mod owned;
mod parker;
mod published;
mod try_lock;

pub(crate) use chunks::Chunks;
pub(crate) use lent::{Lender, Loan, Run, Shared as Lent, thread_number};
pub(crate) use names::Names;
pub(crate) use ordering::{mutant, ord};
pub(crate) use outbox::Outbox;
pub(crate) use owned::{DrainRight, Owned};
pub(crate) use parker::{Parker, Unparker};
pub(crate) use published::{Published, Reader};
pub(crate) use try_lock::TryLock;

#[cfg(fairlane_loom)]
pub(crate) use loom::sync::{Arc, Condvar, Mutex, RwLock};
#[cfg(not(fairlane_loom))]
pub(crate) use std::sync::{Arc, Condvar, Mutex, RwLock};

pub(crate) mod atomic {
    #[cfg(fairlane_loom)]
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering,
    };
    #[cfg(not(fairlane_loom))]
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering,
    };
}

pub(crate) use crossbeam_utils::CachePadded;
#[cfg(fairlane_loom)]
use loom::sync::atomic::fence;
#[cfg(not(fairlane_loom))]
use std::sync::atomic::fence;

/// One turn of a retry loop: lets the other thread make progress.
#[inline]
pub(crate) fn spin() {
    #[cfg(not(fairlane_loom))]
    std::hint::spin_loop();
    #[cfg(fairlane_loom)]
    loom::thread::yield_now();
}

/// Gives the rest of the time slice to another thread.
#[inline]
pub(crate) fn yield_now() {
    #[cfg(not(fairlane_loom))]
    std::thread::yield_now();
    #[cfg(fairlane_loom)]
    loom::thread::yield_now();
}

/// A full fence: a `SeqCst` one, unless a mutant asks for less. The two sides of a protocol in which
/// each thread writes its own word and then looks at the other's stand on either side of one.
#[inline]
pub(crate) fn full_fence(order: atomic::Ordering) {
    fence(order);
}

/// The same right behind a read-modify-write. On x86-64 that one is a full fence by itself (Intel
/// SDM volume 3, 9.2; AMD APM volume 2, 7.4: locked instructions are not passed), so only the
/// compiler has to be told.
#[inline]
pub(crate) fn rmw_full_fence(order: atomic::Ordering) {
    #[cfg(all(target_arch = "x86_64", not(fairlane_loom)))]
    std::sync::atomic::compiler_fence(order);
    #[cfg(not(all(target_arch = "x86_64", not(fairlane_loom))))]
    fence(order);
}

/// A number that no other call in this process has returned, until it wraps.
pub(crate) fn next_serial() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

/// A cell that is read and written through closures, so that loom sees every access.
#[cfg(not(fairlane_loom))]
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(fairlane_loom))]
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

#[cfg(fairlane_loom)]
pub(crate) use loom::cell::UnsafeCell;
