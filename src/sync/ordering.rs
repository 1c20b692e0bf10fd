//! Named orderings and named mutants.
//!
//! `ord!("ring.publish", Release => Relaxed)` is plain `Release` in every normal build. In a build
//! for loom, shuttle or ThreadSanitizer the environment variable `FAIRLANE_MUTANT=ring.publish`
//! turns that one site into the weaker ordering, and `mutant!("park.no_recheck")` into `true`, so
//! that those who check can show that they notice. The label is also what the partner site names in
//! its `ORDERING(...)` comment.
//!
//! The feature `mutants` switches `mutant!` on in normal builds as well, for tests of whole programs;
//! a build without it has no trace of the mutants.

/// The ordering of a named site.
macro_rules! ord {
    ($label:literal, $strong:ident => $weak:ident) => {{
        #[cfg(not(any(fairlane_loom, fairlane_shuttle, fairlane_tsan)))]
        {
            $crate::sync::atomic::Ordering::$strong
        }
        #[cfg(any(fairlane_loom, fairlane_shuttle, fairlane_tsan))]
        {
            if $crate::sync::ordering::chosen($label) {
                $crate::sync::atomic::Ordering::$weak
            } else {
                $crate::sync::atomic::Ordering::$strong
            }
        }
    }};
}

/// Whether the named mutant is switched on; `false` in normal builds without the feature `mutants`.
macro_rules! mutant {
    ($label:literal) => {{
        #[cfg(not(any(fairlane_loom, fairlane_shuttle, fairlane_tsan, feature = "mutants")))]
        {
            false
        }
        #[cfg(any(fairlane_loom, fairlane_shuttle, fairlane_tsan, feature = "mutants"))]
        {
            $crate::sync::ordering::chosen($label)
        }
    }};
}

pub(crate) use {mutant, ord};

/// Whether `FAIRLANE_MUTANT` names `label`. Read once per process.
#[cfg(any(fairlane_loom, fairlane_shuttle, fairlane_tsan, feature = "mutants"))]
pub(crate) fn chosen(label: &str) -> bool {
    static MUTANT: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    MUTANT.get_or_init(|| std::env::var("FAIRLANE_MUTANT").ok()).as_deref() == Some(label)
}
