//! Panics that a model asks for, at places where nothing panics by itself.
//!
//! `fault!("visit.granted")` is nothing in a normal build. In a build for loom the first thread of a model
//! that comes there dies, once the model has asked for it.

#[cfg(fairlane_loom)]
pub(crate) use armed::{Fault, arm, strike};

/// A place where a model may have a thread die.
macro_rules! fault {
    ($label:literal) => {
        #[cfg(fairlane_loom)]
        $crate::sync::fault::strike($label)
    };
}

pub(crate) use fault;

#[cfg(fairlane_loom)]
mod armed {
    use std::cell::Cell;

    /// What a thread dies of that a model has asked to.
    pub(crate) struct Fault;

    std::thread_local! {
        /// Where the next thread dies. A model's threads share one thread of the machine.
        static ARMED: Cell<Option<&'static str>> = const { Cell::new(None) };
    }

    /// While this lives, a thread may die.
    pub(crate) struct Armed(());

    impl Drop for Armed {
        fn drop(&mut self) {
            ARMED.set(None);
        }
    }

    /// Has the first thread die that comes to the place `label`, and no other.
    pub(crate) fn arm(label: &'static str) -> Armed {
        ARMED.set(Some(label));
        Armed(())
    }

    /// Dies here, if this is the place.
    pub(crate) fn strike(label: &'static str) {
        if ARMED.get() == Some(label) {
            ARMED.set(None);
            std::panic::resume_unwind(Box::new(Fault));
        }
    }
}
