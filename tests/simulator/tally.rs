//! What happened in a run, so that a feature that never shows is noticed.

use std::collections::BTreeMap;

/// Counts of what a seed may bring about, by name.
#[derive(Clone, Default, Debug)]
pub(crate) struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    pub(crate) fn add(&mut self, what: &'static str, count: u64) {
        *self.0.entry(what).or_default() += count;
    }

    pub(crate) fn set(&mut self, what: &'static str, count: u64) {
        self.0.insert(what, count);
    }

    pub(crate) fn get(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    pub(crate) fn merge(&mut self, other: &Tally) {
        other.0.iter().for_each(|(what, count)| self.add(what, *count));
    }
}
