//! Putting one thread to sleep until another wakes it; a wake that comes first is kept.

#[cfg(not(fairlane_loom))]
pub(crate) use crossbeam_utils::sync::{Parker, Unparker};

#[cfg(fairlane_loom)]
pub(crate) use mocked::{Parker, Unparker};

#[cfg(fairlane_loom)]
mod mocked {
    use loom::sync::{Arc, Condvar, Mutex};

    /// The same contract as crossbeam's parker, on loom's primitives and without timeouts.
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

        pub(crate) fn park_timeout(&self, _span: std::time::Duration) {
            self.park();
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
