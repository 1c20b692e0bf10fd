//! What producers and workers share.

use super::plan::Plan;
use crate::claim::Books;
use crate::park::{Crowd, Sleepers};
use crate::policy::Policy;
use crate::ring::{BLOCKS_MAX, Pool};
use crate::rotation::Rotation;
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{CachePadded, Published};
use crate::tenant::{Table, Tenant};

/// Every lane of an engine, and what moves jobs through them.
pub(crate) struct Lanes<T> {
    pub(crate) table: Table,
    pub(crate) pool: Pool<T>,
    pub(crate) rotation: Rotation,
    pub(crate) sleepers: Sleepers,
    pub(crate) plan: Published<Plan>,
    /// Which engine of the process this is; handles carry it.
    pub(crate) number: u16,
    /// A job is stamped when its position has none of these bits: 0 stamps all, 63 every 64th.
    /// Written by workers when their handlers change pace.
    pub(crate) stamp_mask: CachePadded<AtomicU32>,
    /// Submitters that wait for room.
    pub(crate) crowd: Crowd,
}

/// Every 64th job of a lane is stamped while handlers are fast.
pub(crate) const STAMP_SOME: u32 = 63;
/// Every job is stamped.
pub(crate) const STAMP_ALL: u32 = 0;

impl<T> Lanes<T> {
    pub(crate) fn new(policy: Policy, seats: usize, sleepers: Sleepers, number: u16) -> Self {
        let (slots, blocks) = blocks_for(policy.queue_max(), policy.tenants_max());
        Lanes {
            table: Table::new(policy.tenants_max()),
            pool: Pool::new(slots, blocks, seats as u32),
            rotation: Rotation::new(policy.tenants_max() as usize, seats),
            sleepers,
            plan: Published::new(Plan::new(policy)),
            number,
            stamp_mask: CachePadded::new(AtomicU32::new(STAMP_SOME)),
            crowd: Crowd::new(),
        }
    }

    /// Puts a lane whose first job has just been published into the rotation, and wakes a worker.
    #[inline]
    pub(crate) fn activate(&self, lane: u32) {
        self.rotation.activate(lane);
        self.sleepers.wake_one();
    }

    /// Wakes the submitters whose lane has room again.
    #[cold]
    pub(crate) fn admit_waiting(&self) {
        self.crowd.wake(|lane| {
            let row = self.table.row(lane);
            row.progress().1 < row.bound.load(Relaxed)
        });
    }
}

impl<T: Send> Books for Lanes<T> {
    fn correct(&self, tenant: Tenant, micros: i64) {
        self.table.row(tenant.slot()).drained.correct(tenant.generation(), micros);
    }
}

/// Most slots in a block.
const SLOTS_MAX: u32 = 32;

/// Slots per block, and blocks, for an engine-wide bound of `jobs`.
///
/// The fewer jobs the bound allows per tenant, the smaller the blocks: a lane with one job holds a
/// block, so blocks should not be scarcer than tenants, and small bounds are exact.
fn blocks_for(jobs: u32, tenants: u32) -> (u32, u32) {
    let share = (jobs / tenants).clamp(1, SLOTS_MAX);
    let mut slots = 1 << share.ilog2();
    while jobs.div_ceil(slots) > BLOCKS_MAX {
        slots *= 2;
    }
    (slots, jobs.div_ceil(slots))
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_as_many_as_tenants_and_small_bounds_are_exact() {
        assert_eq!(blocks_for(1_000_000, 100_000), (8, 125_000));
        assert_eq!(blocks_for(32, 100_000), (1, 32));
        assert_eq!(blocks_for(16_384, 1), (32, 512));
        let (slots, blocks) = blocks_for(100_000_000, 4_000_000);
        assert!(blocks <= BLOCKS_MAX && slots * blocks >= 100_000_000);
    }
}
