//! Locks for ThreadSanitizer. The standard library comes without its instrumentation, so a wait
//! inside its locks would look like no order at all; these are compiled with the rest.

use std::convert::Infallible;
use std::time::Duration;

pub(crate) use parking_lot::MutexGuard;
use parking_lot::{RwLockReadGuard, RwLockWriteGuard};

/// As the standard library's, never poisoned.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Mutex(parking_lot::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> Result<MutexGuard<'_, T>, Infallible> {
        Ok(self.0.lock())
    }
}

/// As the standard library's, never poisoned.
pub(crate) struct RwLock<T>(parking_lot::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        RwLock(parking_lot::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> Result<RwLockReadGuard<'_, T>, Infallible> {
        Ok(self.0.read())
    }

    pub(crate) fn write(&self) -> Result<RwLockWriteGuard<'_, T>, Infallible> {
        Ok(self.0.write())
    }
}

/// As the standard library's.
pub(crate) struct Condvar(parking_lot::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Condvar(parking_lot::Condvar::new())
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait_timeout<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        span: Duration,
    ) -> Result<(MutexGuard<'a, T>, bool), Infallible> {
        let timed_out = self.0.wait_for(&mut guard, span).timed_out();
        Ok((guard, timed_out))
    }
}
