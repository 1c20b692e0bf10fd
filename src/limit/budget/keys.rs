//! The keys of reports already counted.

use crate::units::Nanos;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// How long a key is remembered.
const KEPT: Nanos = Nanos::from_duration(Duration::from_secs(24 * 60 * 60));

/// Keys of the last 24 hours, at most [`Keys::MAX`]; beyond that the oldest are forgotten early.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    known: BTreeSet<Box<str>>,
    /// The same keys by the moment of their first use.
    order: VecDeque<(Nanos, Box<str>)>,
}

impl Keys {
    /// The most keys remembered: about 10 MB for a budget whose keys have 36 bytes.
    pub(super) const MAX: usize = 65_536;

    /// Remembers `key`; whether it is new. A key used again is not remembered longer.
    pub(super) fn insert(&mut self, key: &str, now: Nanos) -> bool {
        self.forget(|at| now.since(at) >= KEPT);
        if self.known.contains(key) {
            return false;
        }
        if self.order.len() == Keys::MAX {
            let (_, oldest) = self.order.pop_front().expect("the bound is above zero");
            self.known.remove(&oldest);
        }
        self.known.insert(key.into());
        self.order.push_back((now, key.into()));
        true
    }

    fn forget(&mut self, old: impl Fn(Nanos) -> bool) {
        while let Some((at, key)) = self.order.front() {
            if !old(*at) {
                return;
            }
            self.known.remove(key);
            self.order.pop_front();
        }
    }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_for_24_hours_from_its_first_use() {
        let mut keys = Keys::default();
        assert!(keys.insert("a", Nanos(5)));
        assert!(!keys.insert("a", Nanos(KEPT.0 + 4)));
        assert!(keys.insert("a", Nanos(KEPT.0 + 5)));
        assert_eq!((keys.known.len(), keys.order.len()), (1, 1));
    }

    #[test]
    fn beyond_the_bound_the_oldest_key_is_forgotten() {
        let mut keys = Keys::default();
        for number in 0..Keys::MAX {
            assert!(keys.insert(&number.to_string(), Nanos(0)));
        }
        assert!(!keys.insert("0", Nanos(1)));
        assert!(keys.insert("one more", Nanos(1)));
        assert_eq!((keys.known.len(), keys.order.len()), (Keys::MAX, Keys::MAX));
        assert!(!keys.insert("1", Nanos(1)));
        assert!(keys.insert("0", Nanos(1)));
    }
}
