//! Lender and loans: freed once, after the last use, and counted right.

use super::harness::check;
use crate::sync::{Arc, Lender, UnsafeCell};
use loom::thread;

/// A value that notices when it is used while it is freed, and counts that it was.
struct Value {
    uses: UnsafeCell<u32>,
    freed: std::sync::Arc<std::sync::atomic::AtomicU32>,
}

// SAFETY: `uses` is read while shared and written by `drop` alone; the models check that.
unsafe impl Sync for Value {}

impl Value {
    fn look(&self) {
        // SAFETY: only `drop` writes.
        self.uses.with(|uses| unsafe { assert_eq!(*uses, 0) });
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: `drop` has the value alone.
        self.uses.with_mut(|uses| unsafe { *uses = 1 });
        self.freed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

fn value() -> (Value, std::sync::Arc<std::sync::atomic::AtomicU32>) {
    let freed = std::sync::Arc::default();
    (Value { uses: UnsafeCell::new(0), freed: std::sync::Arc::clone(&freed) }, freed)
}

fn times(freed: &std::sync::atomic::AtomicU32) -> u32 {
    freed.load(std::sync::atomic::Ordering::Relaxed)
}

/// The value is freed once, after every use, by the last of the lender and two loans that end on
/// other threads.
#[test]
fn lent_freed_once() {
    check("lent_freed_once", None, || {
        let (value, freed) = value();
        let (lender, handle) = Lender::new(value);
        drop(handle);
        let mut run = lender.run();
        let loans = [run.lend(), run.lend(), run.lend()];
        drop(run);
        let [home, away, later] = loans;
        let threads = [away, later].map(|loan| {
            thread::spawn(move || {
                loan.look();
                drop(loan);
            })
        });
        home.look();
        drop(home);
        lender.look();
        drop(lender);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(times(&freed), 1);
    });
}

/// A loan that ends on the lender's thread after the lender has gone is counted like any other.
#[test]
fn lent_home_after_lender() {
    check("lent_home_after_lender", None, || {
        let (value, freed) = value();
        let (lender, handle) = Lender::new(value);
        let mut run = lender.run();
        let (home, away) = (run.lend(), run.lend());
        drop(run);
        let away = thread::spawn(move || drop(away));
        drop(lender);
        drop(home);
        away.join().unwrap();
        assert_eq!(handle.counts(), (2, 2));
        assert_eq!(handle.settled(), Some(2));
        assert_eq!(times(&freed), 0);
        drop(handle);
        assert_eq!(times(&freed), 1);
    });
}

/// Whoever reads the counts never sees more loans ended than made; and when they are settled, all
/// are counted.
#[test]
fn lent_counts() {
    check("lent_counts", None, || {
        let (value, _) = value();
        let (lender, handle) = Lender::new(value);
        let reader = Arc::clone(&handle);
        let reader = thread::spawn(move || {
            let settled = reader.settled();
            let (lent, ended) = reader.counts();
            assert!(ended <= lent && lent <= 2, "{ended} of {lent}");
            assert!(settled.is_none_or(|all| all == 2), "two loans were made: {settled:?}");
        });
        let mut run = lender.run();
        let (first, second) = (run.lend(), run.lend());
        drop(run);
        let away = thread::spawn(move || drop(first));
        drop(second);
        drop(lender);
        reader.join().unwrap();
        away.join().unwrap();
        assert_eq!((handle.counts(), handle.settled()), ((2, 2), Some(2)));
    });
}

/// What the reader of the counts sees ended has happened before: the uses of an ended loan.
#[test]
fn lent_counts_acquire() {
    check("lent_counts_acquire", None, || {
        let (value, _) = value();
        let (lender, handle) = Lender::new(value);
        let mut run = lender.run();
        let loan = run.lend();
        drop(run);
        let done = std::sync::Arc::new(Done(UnsafeCell::new(0)));
        let worker = std::sync::Arc::clone(&done);
        let worker = thread::spawn(move || {
            worker.set();
            drop(loan);
        });
        if handle.counts().1 == 1 {
            done.get();
        }
        worker.join().unwrap();
        drop(lender);
    });
}

/// Written by the holder of a loan, read by whoever has seen the loan ended.
struct Done(UnsafeCell<u32>);

// SAFETY: as said above; the model checks that the count orders the two.
unsafe impl Sync for Done {}

impl Done {
    fn set(&self) {
        // SAFETY: the loan has not ended.
        self.0.with_mut(|cell| unsafe { *cell = 1 });
    }

    fn get(&self) {
        // SAFETY: the loan has ended.
        self.0.with(|cell| unsafe { assert_eq!(*cell, 1) });
    }
}
