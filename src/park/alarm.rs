//! Who is told that something waits for an earlier moment than before.

use super::Sleepers;
use crate::sync::{Mutex, Unparker, full_fence, ord};

/// The timekeeper, where the engine has one; else any sleeping worker, whose sleep is then too long.
#[derive(Default)]
pub(crate) struct Alarm {
    timekeeper: Mutex<Option<Unparker>>,
}

impl Alarm {
    /// From now on the timekeeper is told.
    pub(crate) fn set(&self, timekeeper: Unparker) {
        *self.timekeeper.lock().expect("no code panics under this lock") = Some(timekeeper);
    }

    /// Tells that the next moment is an earlier one, which the caller has stored before.
    #[cold]
    pub(crate) fn ring(&self, sleepers: &Sleepers) {
        // ORDERING(alarm.fence): either a worker on its way to bed sees the new moment, or this
        // look sees the worker; pairs with park.fence.
        full_fence(ord!("alarm.fence", SeqCst => AcqRel));
        match &*self.timekeeper.lock().expect("no code panics under this lock") {
            Some(timekeeper) => timekeeper.unpark(),
            None => sleepers.wake_one(),
        }
    }
}
