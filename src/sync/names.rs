//! The map from names to numbers, in shards.

use super::RwLock;
use foldhash::SharedSeed;
use foldhash::fast::SeedableRandomState;
use std::collections::HashMap;
use std::hash::BuildHasher;

type Shard = HashMap<Box<str>, u64, SeedableRandomState>;

/// Names to 64-bit values. Hashed with a per-map random key, because tenants choose the names; under
/// shuttle with a fixed one, so that a replay walks the map in the same order.
///
/// Looking a name up takes its shard's lock for reading: it waits only while another thread puts a
/// name into or takes one out of the same shard.
pub(crate) struct Names {
    /// Chooses the shard, with a key of its own.
    spread: SeedableRandomState,
    shards: Box<[RwLock<Shard>]>,
}

/// Moves the entries to a table without tombstones. Left to itself, a map of steady size in which
/// names come and go doubles its table to get rid of them.
fn rebuild(shard: &mut Shard) {
    let room = shard.len() + shard.len() / 8 + 4;
    let mut fresh = Shard::with_capacity_and_hasher(room, shard.hasher().clone());
    fresh.extend(shard.drain());
    *shard = fresh;
}

const SHARDS: usize = if cfg!(fairlane_loom) { 1 } else { 16 };

/// How far a walk over the shards has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    shards: usize,
}

impl Part {
    /// The same part of `whole`: whoever takes entries out takes as many from every shard, or some
    /// would grow while others shrink.
    pub(crate) fn of(self, whole: usize) -> usize {
        (whole * self.shards).div_ceil(SHARDS)
    }
}

impl Names {
    /// An empty map. `key` is for tests that must see the same order in every run; otherwise every
    /// map has a random one.
    pub(crate) fn new(key: Option<u64>) -> Self {
        let key = key.or(cfg!(fairlane_shuttle).then_some(0));
        let state = |part: usize| match key {
            None => SeedableRandomState::random(),
            Some(key) => {
                SeedableRandomState::with_seed(key ^ part as u64, SharedSeed::global_fixed())
            }
        };
        let shard = |at| RwLock::new(Shard::with_hasher(state(at)));
        Names { spread: state(SHARDS), shards: (0..SHARDS).map(shard).collect() }
    }

    fn shard(&self, name: &str) -> &RwLock<Shard> {
        &self.shards[self.spread.hash_one(name) as usize % SHARDS]
    }

    pub(crate) fn get(&self, name: &str) -> Option<u64> {
        self.shard(name).read().expect("no code panics under this lock").get(name).copied()
    }

    pub(crate) fn insert(&self, name: &str, value: u64) {
        let mut shard = self.shard(name).write().expect("no code panics under this lock");
        if shard.len() == shard.capacity() {
            rebuild(&mut shard);
        }
        shard.insert(name.into(), value);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.shard(name).write().expect("no code panics under this lock").remove(name);
    }

    /// Calls `visit` for every entry, shard by shard, with the part of the shards that are done when
    /// the entry's is, as a fraction. It must not use the map.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&str, u64, Part)) {
        for (at, shard) in self.shards.iter().enumerate() {
            let part = Part { shards: at + 1 };
            let shard = shard.read().expect("no code panics under this lock");
            shard.iter().for_each(|(name, value)| visit(name, *value, part));
        }
    }
}
