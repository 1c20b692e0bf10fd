//! Jobs that were not run because their deadline came first.

use crate::sync::Mutex;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::tenant::Tenant;
use std::time::Duration;

/// A job whose deadline passed in its queue. It was not run and will not be.
#[non_exhaustive]
#[derive(Debug)]
pub struct Expired<T> {
    /// Whose job it was.
    pub tenant: Tenant,
    /// What it would have cost, in cost units.
    pub cost: u32,
    /// For how long it waited since it was accepted, or since it was due if that was later. To 2 us.
    pub waited: Duration,
    /// What was submitted.
    pub payload: T,
}

/// Expired jobs that nobody has been told of: payloads are not dropped, and hooks not called, while a
/// lane is held.
pub(crate) struct ExpiredJobs<T> {
    jobs: Mutex<Vec<Expired<T>>>,
    /// How many there are. Stored under the lock.
    count: AtomicU64,
    /// Jobs that expired since the start. Stored under the lock.
    total: AtomicU64,
}

impl<T> ExpiredJobs<T> {
    pub(super) fn new() -> Self {
        ExpiredJobs {
            jobs: Mutex::new(Vec::new()),
            count: AtomicU64::new(0),
            total: AtomicU64::new(0),
        }
    }

    pub(super) fn push(&self, job: Expired<T>) {
        let mut jobs = self.jobs.lock().expect("no code panics under this lock");
        jobs.push(job);
        self.count.store(jobs.len() as u64, Relaxed);
        self.total.store(self.total.load(Relaxed) + 1, Relaxed);
    }

    /// Jobs that expired since the start.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Relaxed)
    }

    /// Whether there is none, as far as this thread knows.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Relaxed) == 0
    }

    /// Takes out all there are.
    pub(crate) fn take(&self) -> Vec<Expired<T>> {
        let mut jobs = self.jobs.lock().expect("no code panics under this lock");
        self.count.store(0, Relaxed);
        std::mem::take(&mut jobs)
    }
}
