//! The world of the models: loom explores every interleaving of one protocol.

pub(crate) use loom::cell::UnsafeCell;
pub(crate) use loom::sync::{Arc, Condvar, Mutex, MutexGuard, RwLock};
pub(crate) use loom::thread::yield_now;
pub(crate) use loom::thread::yield_now as spin;
pub(crate) use std::sync::mpsc;
pub(crate) use std::thread_local;

pub(super) use loom::sync::atomic::fence;

use std::time::{Duration, Instant};

pub(crate) mod atomic {
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering,
    };
}

/// No model starts the engine's own threads.
pub(crate) mod thread {
    pub(crate) use std::thread::{Builder, JoinHandle, current};
}

/// The machine's clock: models wait for ever or not at all.
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn cores() -> usize {
    1
}

pub(crate) fn wait_timeout<'a, T>(
    _lock: &'a Mutex<T>,
    signal: &Condvar,
    guard: MutexGuard<'a, T>,
    span: Duration,
) -> MutexGuard<'a, T> {
    signal.wait_timeout(guard, span).expect("no code panics under this lock").0
}

/// Loom's own number of this thread: unlike a counter of ours it is the same in every replay.
pub(crate) fn thread_number() -> u64 {
    let id = format!("{:?}", loom::thread::current().id());
    let digits: String = id.chars().filter(char::is_ascii_digit).collect();
    digits.parse::<u64>().expect("loom numbers its threads") + 1
}

/// As `thread_number`: here every thread has one from the start.
pub(crate) fn known_thread_number() -> u64 {
    thread_number()
}
