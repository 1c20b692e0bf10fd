//! The concurrent map from names to numbers; readers never block.

use foldhash::fast::RandomState;

/// Names to 64-bit values. Hashed with a per-map random key, because tenants choose the names.
pub(crate) struct Names {
    #[cfg(not(fairlane_loom))]
    map: papaya::HashMap<Box<str>, u64, RandomState>,
    #[cfg(fairlane_loom)]
    map: super::Mutex<std::collections::HashMap<Box<str>, u64, RandomState>>,
}

#[cfg(not(fairlane_loom))]
impl Names {
    pub(crate) fn new() -> Self {
        Names { map: papaya::HashMap::with_hasher(RandomState::default()) }
    }

    pub(crate) fn get(&self, name: &str) -> Option<u64> {
        self.map.pin().get(name).copied()
    }

    pub(crate) fn insert(&self, name: &str, value: u64) {
        self.map.pin().insert(name.into(), value);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.map.pin().remove(name);
    }

    /// Calls `visit` for every entry present throughout the call, in no order.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&str, u64)) {
        for (name, value) in &self.map.pin() {
            visit(name, *value);
        }
    }
}

#[cfg(fairlane_loom)]
impl Names {
    pub(crate) fn new() -> Self {
        let map = std::collections::HashMap::with_hasher(RandomState::default());
        Names { map: super::Mutex::new(map) }
    }

    pub(crate) fn get(&self, name: &str) -> Option<u64> {
        self.map.lock().unwrap().get(name).copied()
    }

    pub(crate) fn insert(&self, name: &str, value: u64) {
        self.map.lock().unwrap().insert(name.into(), value);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.map.lock().unwrap().remove(name);
    }

    pub(crate) fn for_each(&self, mut visit: impl FnMut(&str, u64)) {
        for (name, value) in self.map.lock().unwrap().iter() {
            visit(name, *value);
        }
    }
}
