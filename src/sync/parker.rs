//! Putting one thread to sleep until another wakes it; a wake that comes first is kept.

#[cfg(not(any(fairlane_loom, fairlane_shuttle)))]
pub(crate) use crossbeam_utils::sync::{Parker, Unparker};

#[cfg(any(fairlane_loom, fairlane_shuttle))]
pub(crate) use mocked::{Parker, Unparker};

#[cfg(any(fairlane_loom, fairlane_shuttle))]
mod mocked {
    use crate::sync::{Arc, Condvar, Mutex};

    /// The same contract as crossbeam's parker, on the model's primitives.
    pub(crate) struct Parker {
        unparker: Unparker,
    }

    #[derive(Clone)]
    pub(crate) struct Unparker {
        token: Arc<(Mutex<bool>, Condvar)>,
    }

    impl Parker {
        pub(crate) fn new() -> Self {
            Parker { unparker: Unparker { token: Arc::new((Mutex::new(false), Condvar::new())) } }
        }

        pub(crate) fn unparker(&self) -> &Unparker {
            &self.unparker
        }

        pub(crate) fn park(&self) {
            let (token, changed) = &*self.unparker.token;
            let mut token = token.lock().unwrap();
            while !*token {
                token = changed.wait(token).unwrap();
            }
            *token = false;
        }

        /// Loom has no timeouts: the models wait for the wake.
        #[cfg(fairlane_loom)]
        pub(crate) fn park_timeout(&self, _span: std::time::Duration) {
            self.park();
        }

        /// Lets others run and returns, woken or not: a timeout may pass at any moment.
        #[cfg(fairlane_shuttle)]
        pub(crate) fn park_timeout(&self, _span: std::time::Duration) {
            crate::sync::yield_now();
            *self.unparker.token.0.lock().unwrap() = false;
        }
    }

    impl Unparker {
        pub(crate) fn unpark(&self) {
            let (token, changed) = &*self.token;
            *token.lock().unwrap() = true;
            changed.notify_one();
        }
    }
}
