//! Deficit round robin in shards, a mutex each: less waiting for locks, and fairness inside a
//! shard only.

use super::drr::Drr;
use super::{BATCH, Entry, Exit, Payload, Setup, System};
use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

pub(crate) const NAME: &str = "sharded mutex DRR";
/// Enough that two threads seldom want the same one.
const SHARDS_MAX: usize = 8;

/// Tenant `k` is in shard `k` modulo the number of shards; each has its part of the room.
pub(crate) struct ShardedDrr(Vec<CachePadded<Mutex<Drr>>>);

impl ShardedDrr {
    pub(crate) fn new(setup: &Setup) -> ShardedDrr {
        let shards = SHARDS_MAX.min(setup.tenants);
        let shard = |first: usize| {
            let quanta = (first..setup.tenants).step_by(shards).map(|k| setup.quantum(k));
            CachePadded::new(Mutex::new(Drr::new(quanta, setup.capacity / shards)))
        };
        ShardedDrr((0..shards).map(shard).collect())
    }
}

impl System for ShardedDrr {
    fn name(&self) -> &'static str {
        NAME
    }

    fn entry(&self) -> impl Entry {
        Push(&self.0)
    }

    fn exit(&self) -> impl Exit {
        Take { shards: &self.0, next: 0, batch: Vec::with_capacity(BATCH) }
    }
}

struct Push<'a>(&'a [CachePadded<Mutex<Drr>>]);

impl Entry for Push<'_> {
    #[inline]
    fn offer(&mut self, tenant: u32, cost: u32, payload: Payload) -> bool {
        let (shards, tenant) = (self.0.len(), tenant as usize);
        self.0[tenant % shards].lock().push(tenant / shards, cost, payload)
    }
}

struct Take<'a> {
    shards: &'a [CachePadded<Mutex<Drr>>],
    next: usize,
    batch: Vec<Payload>,
}

impl Exit for Take<'_> {
    #[inline]
    fn take(&mut self, most: usize, sink: &mut impl FnMut(Payload)) -> usize {
        for _ in 0..self.shards.len() {
            self.shards[self.next].lock().take(most, &mut self.batch);
            self.next = (self.next + 1) % self.shards.len();
            if self.batch.len() == most {
                break;
            }
        }
        let taken = self.batch.len();
        self.batch.drain(..).for_each(sink);
        taken
    }
}
