//! The one door to shared memory.
//!
//! Atomics, fences, cells, locks, threads and the time of waits come from here and from nowhere
//! else, so that the same source compiles against four worlds: std for use, loom for the models,
//! shuttle for schedules of the whole engine, and std with locks that ThreadSanitizer can see.
//! Nothing in this room knows what a tenant is.

mod chunks;
pub(crate) mod fault;
mod lent;
mod names;
pub(crate) mod ordering;
mod outbox;
mod owned;
mod parker;
mod published;
mod shelf;
mod try_lock;

#[cfg(not(any(fairlane_loom, fairlane_shuttle)))]
#[path = "under_std.rs"]
mod world;

#[cfg(fairlane_loom)]
#[path = "under_loom.rs"]
mod world;

#[cfg(fairlane_shuttle)]
#[path = "under_shuttle.rs"]
mod world;

#[cfg(fairlane_tsan)]
mod locks;

pub(crate) use chunks::Chunks;
pub(crate) use crossbeam_utils::CachePadded;
pub(crate) use fault::fault;
pub(crate) use lent::{Lender, Loan, Run, Shared as Lent};
pub(crate) use names::Names;
pub(crate) use ordering::{mutant, ord};
pub(crate) use outbox::Outbox;
pub(crate) use owned::{DrainRight, Owned};
pub(crate) use parker::{Parker, Unparker};
pub(crate) use published::{Published, Reader};
pub(crate) use shelf::{Shelf, Steal, Stealer};
pub(crate) use try_lock::TryLock;
pub(crate) use world::{
    Arc, Condvar, Mutex, RwLock, UnsafeCell, atomic, cores, known_thread_number, mpsc, now, spin,
    thread, thread_local, thread_number, wait_timeout, yield_now,
};

/// Whether a model checker runs this build: tables are as small as they can be, and limits on
/// patience are what keeps its runs short.
pub(crate) const IS_MODEL: bool = cfg!(any(fairlane_loom, fairlane_shuttle));

/// A full fence: a `SeqCst` one, unless a mutant asks for less. The two sides of a protocol in which
/// each thread writes its own word and then looks at the other's stand on either side of one.
#[inline]
pub(crate) fn full_fence(order: atomic::Ordering) {
    world::fence(order);
}

/// The same right behind a read-modify-write. On x86-64 that one is a full fence by itself (Intel
/// SDM volume 3, 9.2; AMD APM volume 2, 7.4: locked instructions are not passed), so only the
/// compiler has to be told.
#[inline]
pub(crate) fn rmw_full_fence(order: atomic::Ordering) {
    #[cfg(all(target_arch = "x86_64", not(any(fairlane_loom, fairlane_shuttle))))]
    std::sync::atomic::compiler_fence(order);
    #[cfg(not(all(target_arch = "x86_64", not(any(fairlane_loom, fairlane_shuttle)))))]
    world::fence(order);
}

/// A number that no other call in this process has returned, until it wraps.
pub(crate) fn next_serial() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}
