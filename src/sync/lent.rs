//! A reference count that costs its owner's thread no RMW.
//!
//! A worker lends its ledger to every grant it hands out. A loan that ends on the worker's own
//! thread is counted by a plain store; one that ends elsewhere by one `fetch_add`.

use super::Arc;
use super::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use super::{known_thread_number, mutant, ord, thread_number};
use std::marker::PhantomData;
use std::ops::Deref;

/// What is lent, and how many loans are out.
///
/// While the lender lives, `lent - home - away` loans are out. When it drops with `n` out, `away`
/// becomes `ORPHANED - n`; every loan that ends adds one, and the one that brings it to `ORPHANED`
/// frees the lender's share. So one word tells both whether the lender is gone and what is out.
/// Aligned to lines of its own: the lending thread writes here for every batch of jobs, and whatever
/// the allocator puts beside it would suffer.
#[repr(align(128))]
pub(crate) struct Shared<T> {
    value: T,
    /// Number of the lending thread, [`NOBODY`] once the lender is gone. Written by that thread only.
    owner: AtomicU64,
    /// Loans made. Written by the lending thread only.
    lent: AtomicU64,
    /// Loans that ended on the lending thread. Written by that thread only.
    home: AtomicU64,
    /// Loans that ended on other threads; or, below half of `ORPHANED`, see above.
    away: AtomicI64,
}

/// No thread has this number.
const NOBODY: u64 = u64::MAX;
/// Added to `away` when the lender goes.
const ORPHANED: i64 = -(1 << 62);

impl<T> Shared<T> {
    /// Loans made and loans ended so far. What has ended is read first, so it is never the more.
    pub(crate) fn counts(&self) -> (u64, u64) {
        // ORDERING(lent.counts): Acquire; pairs with lent.return and lent.orphan.
        let away = self.away.load(ord!("lent.counts", Acquire => Relaxed));
        let home = self.home.load(Relaxed);
        let lent = self.lent.load(Relaxed);
        if away < ORPHANED / 2 {
            return (lent, lent - (ORPHANED - away) as u64);
        }
        (lent, (home + away as u64).min(lent))
    }

    /// How many loans there were in all, once the lender is gone and every loan has ended.
    pub(crate) fn settled(&self) -> Option<u64> {
        // ORDERING(lent.counts): Acquire: the last count of loans; pairs with lent.orphan.
        let away = self.away.load(ord!("lent.counts", Acquire => Relaxed));
        (away == ORPHANED).then(|| self.lent.load(Relaxed))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// The one that lends. Stays on the thread that made it.
pub(crate) struct Lender<T> {
    shared: *const Shared<T>,
    _stays: PhantomData<*const ()>,
}

impl<T: Send + Sync> Lender<T> {
    /// Makes a lender on this thread, and a handle that outlives it.
    pub(crate) fn new(value: T) -> (Self, Arc<Shared<T>>) {
        let shared = Arc::new(Shared {
            value,
            owner: AtomicU64::new(thread_number()),
            lent: AtomicU64::new(0),
            home: AtomicU64::new(0),
            away: AtomicI64::new(0),
        });
        let lender = Lender { shared: Arc::into_raw(Arc::clone(&shared)), _stays: PhantomData };
        (lender, shared)
    }

    #[inline]
    fn shared(&self) -> &Shared<T> {
        // SAFETY: the lender's share of the Arc is given up only when it has dropped.
        unsafe { &*self.shared }
    }

    /// Whether no loan is out.
    pub(crate) fn is_quiet(&self) -> bool {
        let (lent, ended) = self.shared().counts();
        lent == ended
    }

    /// Begins a run of loans, counted together when the run ends.
    #[inline]
    pub(crate) fn run(&self) -> Run<'_, T> {
        Run { shared: self.shared(), made: 0 }
    }
}

/// Loans made one after the other and counted by one store. No loan of the run may end before the
/// run does: they stay in the caller's hands.
pub(crate) struct Run<'a, T> {
    shared: &'a Shared<T>,
    made: u64,
}

impl<T> Run<'_, T> {
    /// Lends once more.
    #[inline]
    pub(crate) fn lend(&mut self) -> Loan<T> {
        self.made += 1;
        Loan { shared: self.shared }
    }
}

impl<T> Drop for Run<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.made > 0 {
            let lent = &self.shared.lent;
            lent.store(lent.load(Relaxed) + self.made, Relaxed);
        }
    }
}

impl<T> Deref for Lender<T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: as in `Lender::shared`.
        unsafe { &(*self.shared).value }
    }
}

impl<T> Drop for Lender<T> {
    fn drop(&mut self) {
        // SAFETY: as in `Lender::shared`; the last use is before the share can be freed below.
        let shared = unsafe { &*self.shared };
        // What ends later is counted where the last one to end looks, on whichever thread.
        if !mutant!("lent.owner_kept") {
            shared.owner.store(NOBODY, Relaxed);
        }
        let left = (shared.lent.load(Relaxed) - shared.home.load(Relaxed)) as i64;
        // ORDERING(lent.orphan): AcqRel: everything the owner did to the value happens before
        // the last loan frees it, and the other way round; pairs with lent.return.
        let order = ord!("lent.orphan", AcqRel => Relaxed);
        let away = shared.away.fetch_add(ORPHANED - left, order);
        if away == left {
            // SAFETY: every loan has ended, so the lender's share of the Arc is the only raw one.
            drop(unsafe { Arc::from_raw(self.shared) });
        }
    }
}

/// A share of what was lent; it may end on any thread.
pub(crate) struct Loan<T> {
    shared: *const Shared<T>,
}

// SAFETY: a loan is a counted shared reference to a `Sync` value; the count is atomic, and the
// value may be dropped on whichever thread ends last, hence `Send` on T.
unsafe impl<T: Send + Sync> Send for Loan<T> {}
// SAFETY: as above; `&Loan` gives only `&T`.
unsafe impl<T: Send + Sync> Sync for Loan<T> {}

impl<T> Deref for Loan<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: a loan that is out keeps the lender's share alive.
        unsafe { &(*self.shared).value }
    }
}

impl<T> Drop for Loan<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: as in `deref`.
        let shared = unsafe { &*self.shared };
        if shared.owner.load(Relaxed) == known_thread_number() {
            shared.home.store(shared.home.load(Relaxed) + 1, Relaxed);
        } else {
            end_elsewhere(self.shared);
        }
    }
}

/// Ends a loan on another thread than the lender's. Not inlined, so that the drop of a loan is, wherever
/// it stands: then the loan need not be in memory.
#[inline(never)]
fn end_elsewhere<T>(lent: *const Shared<T>) {
    // SAFETY: as in `Loan::deref`; not used after the count below lets go.
    let shared = unsafe { &*lent };
    // ORDERING(lent.return): AcqRel; pairs with lent.orphan and lent.counts.
    let away = shared.away.fetch_add(1, ord!("lent.return", AcqRel => Relaxed));
    if away == ORPHANED - 1 {
        // SAFETY: the lender has gone and this was the last loan it left behind.
        drop(unsafe { Arc::from_raw(lent) });
    }
}
