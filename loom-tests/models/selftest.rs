//! Controls for the harness itself: each kind of failure is planted once and has to be noticed.

use super::harness::check;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, Condvar, Mutex, UnsafeCell, mutant, ord};
use loom::thread;

/// A value that one thread hands to another by setting `state` from 0 to 1.
struct Mailbox {
    value: UnsafeCell<u64>,
    state: AtomicU64,
}

// SAFETY: `value` is written before `state` becomes 1 and read after; that this is enough is what
// the models below check.
unsafe impl Sync for Mailbox {}

impl Mailbox {
    fn new() -> Arc<Mailbox> {
        Arc::new(Mailbox { value: UnsafeCell::new(0), state: AtomicU64::new(0) })
    }

    fn write(&self, value: u64) {
        self.value.with_mut(|slot| {
            // SAFETY: `state` is 0, so the reader stays away.
            unsafe { *slot = value }
        });
    }

    fn read(&self) -> u64 {
        self.value.with(|slot| {
            // SAFETY: `state` is 1, so the writer is done.
            unsafe { *slot }
        })
    }
}

/// A race on plain memory is seen from both ends of a publication.
#[test]
fn selftest_message_passing() {
    check("selftest_message_passing", None, || {
        let mailbox = Mailbox::new();
        let writer = Arc::clone(&mailbox);
        let writer = thread::spawn(move || {
            writer.write(7);
            // ORDERING(selftest.publish): Release; pairs with selftest.take
            writer.state.store(1, ord!("selftest.publish", Release => Relaxed));
        });
        // ORDERING(selftest.take): Acquire; pairs with selftest.publish
        if mailbox.state.load(ord!("selftest.take", Acquire => Relaxed)) == 1 {
            assert_eq!(mailbox.read(), 7);
        }
        writer.join().unwrap();
    });
}

/// The shape that unpatched loom explores once: a load against a load followed by a store to the
/// same atomic. Its mutant survives there, so its death shows that the patch is in.
#[test]
fn selftest_load_then_store() {
    check("selftest_load_then_store", None, || {
        let mailbox = Mailbox::new();
        let writer = Arc::clone(&mailbox);
        let writer = thread::spawn(move || {
            if writer.state.load(Ordering::Relaxed) == 0 {
                writer.write(7);
                // ORDERING(selftest.late_publish): Release; pairs with selftest.late_take
                writer.state.store(1, ord!("selftest.late_publish", Release => Relaxed));
            }
        });
        // ORDERING(selftest.late_take): Acquire; pairs with selftest.late_publish
        if mailbox.state.load(ord!("selftest.late_take", Acquire => Relaxed)) == 1 {
            assert_eq!(mailbox.read(), 7);
        }
        writer.join().unwrap();
    });
}

/// A lost wake-up is a deadlock.
#[test]
fn selftest_wakeup() {
    check("selftest_wakeup", None, || {
        let ready = Arc::new((Mutex::new(false), Condvar::new()));
        let sleeper = Arc::clone(&ready);
        let sleeper = thread::spawn(move || {
            let mut awake = sleeper.0.lock().unwrap();
            while !*awake {
                awake = sleeper.1.wait(awake).unwrap();
            }
        });
        *ready.0.lock().unwrap() = true;
        if !mutant!("selftest.no_wake") {
            ready.1.notify_one();
        }
        sleeper.join().unwrap();
    });
}

/// A lost update is a failed assertion.
#[test]
fn selftest_counter() {
    check("selftest_counter", None, || {
        let counter = Arc::new(AtomicU64::new(0));
        let other = Arc::clone(&counter);
        let other = thread::spawn(move || add_one(&other));
        add_one(&counter);
        other.join().unwrap();
        assert_eq!(counter.load(Ordering::Relaxed), 2);
    });
}

fn add_one(counter: &AtomicU64) {
    if mutant!("selftest.split_add") {
        let seen = counter.load(Ordering::Relaxed);
        counter.store(seen + 1, Ordering::Relaxed);
    } else {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
