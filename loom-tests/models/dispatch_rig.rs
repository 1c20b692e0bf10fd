//! Lanes small enough for loom, and the few things that models do with them.

use crate::dispatch::{Lanes, Seat, Tick};
use crate::park::{Bed, dormitory};
use crate::policy::Policy;
use crate::ring::{Door, ReserveError, Stamp};
use crate::stats::{Delays, SeatCounters};
use crate::sync::atomic::Ordering::Relaxed;
use crate::tenant::{Tenant, Terms};
use crate::units::Nanos;
use std::sync::Arc;

/// Jobs are numbers here.
pub(super) type Jobs = Vec<u64>;

/// Lanes of `tenants` named tenants with room for `jobs` in all, and a bed for each of `seats`.
pub(super) fn lanes(tenants: u32, jobs: u32, seats: usize) -> (Arc<Lanes<u64>>, Vec<Bed>) {
    let policy = Policy::builder().tenants_max(tenants).queue_max(jobs).build().expect("valid");
    let (sleepers, beds) = dormitory(seats);
    let lanes = Arc::new(Lanes::new(policy, seats, sleepers, 0));
    for tenant in 0..tenants {
        let known = lanes.table.intern(&tenant.to_string(), Terms { profile: 0, bound: jobs });
        assert_eq!(known.map(|known| known.slot), Ok(tenant));
    }
    (lanes, beds)
}

/// The first handle of the lane's tenant.
pub(super) fn tenant(lane: u32) -> Tenant {
    Tenant::new(lane, 0, 0)
}

/// What `Shared::submit` does: reserve, publish, activate.
pub(super) fn submit(lanes: &Lanes<u64>, tenant: Tenant, job: u64) -> Result<(), ReserveError> {
    let row = lanes.table.row(tenant.slot());
    let door = Door {
        generation: tenant.generation(),
        bound: row.bound.load(Relaxed),
        head: &row.drained.head_seen,
    };
    let ticket = row.tail.reserve(&lanes.pool, door)?;
    let activates = ticket.activates;
    ticket.publish(1, Stamp::NONE, job);
    if activates {
        lanes.activate(tenant.slot());
    }
    Ok(())
}

/// A worker at place `index`, made on the thread that is to use it.
pub(super) struct Place {
    pub(super) seat: Seat,
    lanes: Arc<Lanes<u64>>,
}

impl Place {
    pub(super) fn new(index: usize, lanes: &Arc<Lanes<u64>>) -> Place {
        let counters = Arc::new(SeatCounters::new());
        let (seat, _) = Seat::new(index, lanes, counters, Arc::new(Delays::new()));
        Place { seat, lanes: Arc::clone(lanes) }
    }

    /// Takes up to `most` jobs and settles them.
    pub(super) fn tick(&mut self, most: u32) -> (Tick, Jobs) {
        let mut grants = Vec::new();
        let tick = self.seat.tick(&self.lanes, Nanos::ZERO, most, &mut grants);
        (tick, grants.into_iter().map(|grant| grant.into_payload()).collect())
    }

    /// Takes all jobs there are. No producer may be at work.
    pub(super) fn drain(&mut self) -> Jobs {
        let mut jobs = Vec::new();
        loop {
            match self.tick(u32::MAX) {
                (Tick::Granted(_), more) => jobs.extend(more),
                (Tick::Idle, _) => return jobs,
                (Tick::Stalled, _) => panic!("stalled without a producer at work"),
            }
        }
    }
}
