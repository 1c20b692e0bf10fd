//! The world of schedules: shuttle decides at every access who goes on, and nothing waits for a
//! real clock or a real thread.

pub(crate) use shuttle::sync::{Arc, Condvar, Mutex, MutexGuard, RwLock, mpsc};
pub(crate) use shuttle::thread::yield_now;
pub(crate) use shuttle::thread::yield_now as spin;
pub(crate) use shuttle::thread_local;

pub(super) use shuttle::sync::atomic::fence;

use std::cell::Cell;
use std::time::{Duration, Instant};

pub(crate) mod atomic {
    pub(crate) use shuttle::sync::atomic::{
        AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, Ordering,
    };
}

pub(crate) mod thread {
    pub(crate) use shuttle::thread::{Builder, JoinHandle, current};
}

/// How far a look at the clock moves it on.
const TICK: Duration = Duration::from_micros(10);

/// A clock that only looks move, so that time is part of the schedule. All threads of an execution
/// share one thread of the machine, which is where it is kept.
pub(crate) fn now() -> Instant {
    std::thread_local! {
        static HAND: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    let now = HAND.get().unwrap_or_else(Instant::now) + TICK;
    HAND.set(Some(now));
    now
}

/// No core to spare, on any machine.
pub(crate) fn cores() -> usize {
    1
}

/// Lets others run: a wait that always ends, early or late. Shuttle's own never times out.
pub(crate) fn wait_timeout<'a, T>(
    lock: &'a Mutex<T>,
    _signal: &Condvar,
    guard: MutexGuard<'a, T>,
    _span: Duration,
) -> MutexGuard<'a, T> {
    drop(guard);
    yield_now();
    lock.lock().expect("no code panics under this lock")
}

/// Shuttle's own number of this thread, the same in every replay; never 0.
pub(crate) fn thread_number() -> u64 {
    usize::from(thread::current().id()) as u64 + 1
}

/// As `thread_number`: here every thread has one from the start.
pub(crate) fn known_thread_number() -> u64 {
    thread_number()
}

/// A cell that is read and written through closures. Shuttle does not look for races.
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}
