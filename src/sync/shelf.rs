//! A queue of one owner that others may take from.

pub(crate) use crossbeam_deque::Steal;

#[cfg(not(fairlane_shuttle))]
pub(crate) use crossbeam_deque::{Stealer, Worker as Shelf};

#[cfg(fairlane_shuttle)]
pub(crate) use mocked::{Shelf, Stealer};

#[cfg(fairlane_shuttle)]
mod mocked {
    use super::Steal;
    use crate::sync::{Arc, Mutex};
    use std::collections::VecDeque;

    /// The same contract as crossbeam's deque, first in, first out, on a mutex.
    pub(crate) struct Shelf<T>(Stealer<T>);

    pub(crate) struct Stealer<T>(Arc<Mutex<VecDeque<T>>>);

    impl<T> Shelf<T> {
        pub(crate) fn new_fifo() -> Self {
            Shelf(Stealer(Arc::new(Mutex::new(VecDeque::new()))))
        }

        pub(crate) fn stealer(&self) -> Stealer<T> {
            Stealer(Arc::clone(&self.0.0))
        }

        pub(crate) fn push(&self, value: T) {
            self.0.0.lock().unwrap().push_back(value);
        }

        pub(crate) fn pop(&self) -> Option<T> {
            self.0.0.lock().unwrap().pop_front()
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.0.is_empty()
        }
    }

    impl<T> Stealer<T> {
        /// Takes the oldest value, or says that somebody else is at it.
        pub(crate) fn steal(&self) -> Steal<T> {
            match self.0.try_lock() {
                Ok(mut values) => values.pop_front().map_or(Steal::Empty, Steal::Success),
                Err(_) => Steal::Retry,
            }
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.0.lock().unwrap().is_empty()
        }
    }
}
