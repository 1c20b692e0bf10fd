//! Lanes small enough for loom, and the few things that models do with them.

use crate::claim::Ledger;
use crate::dispatch::{Lanes, Seat, Tick};
use crate::limit::Cap;
use crate::park::{Bed, dormitory};
use crate::policy::{Limits, Policy};
use crate::ring::{Door, Pool, ReserveError, Stamp};
use crate::stats::{Delays, SeatCounters};
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::fault::Fault;
use crate::sync::{Lent, Outbox, mutant};
use crate::tenant::{Tenant, Terms};
use crate::units::{Nanos, Weight};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;

/// Blocks of two slots in the pool, so that no producer finds one on its way back.
const BLOCKS: u32 = 4;

/// Lanes of `tenants` named tenants, each for `bound` waiting jobs, and a bed for each of `seats`.
pub(super) fn lanes(tenants: u32, bound: u32, seats: usize) -> (Arc<Lanes<u64>>, Vec<Bed>) {
    let (lanes, beds) = lanes_apart(tenants, bound, seats);
    (Arc::new(lanes), beds)
}

/// Two lanes and a block for one of them. A drainer keeps it at hand, as half a magazine, until it
/// settles down; then it goes to whichever stripe no submitter is looking into.
pub(super) fn lanes_of_one_block() -> Arc<Lanes<u64>> {
    let (mut lanes, _beds) = lanes_apart(2, 1, 1);
    lanes.pool = Pool::shaped(1, 1, 2, 2);
    Arc::new(lanes)
}

/// The lane of one tenant, of the first of two tiers: its concurrency is 0, and the second has no limits.
/// With the terms of the second.
pub(super) fn lanes_of_paused_tier() -> (Arc<Lanes<u64>>, Terms) {
    let paused = Limits::default().concurrency(Cap::Grants(0));
    let policy = Policy::builder().tenants_max(BLOCKS).queue_max(2 * BLOCKS);
    let policy = policy.tier("starter", Weight::ONE).tier_limits("starter", paused);
    let policy = policy.tier("scale", Weight::ONE).build().expect("a valid policy");
    let lanes = Lanes::new(policy, 1, dormitory(1).0, 0);
    let plan = lanes.plan.load();
    let [paused, plain] = ["starter", "scale"].map(|tier| {
        let tier = plan.tier(tier).expect("a tier of the policy");
        plan.terms(tier, "0").expect("each tier has terms")
    });
    lanes.table.intern("0", paused).expect("room for it");
    lanes.gate.tune(0, &plan.rules[paused.profile as usize]);
    (Arc::new(lanes), plain)
}

fn lanes_apart(tenants: u32, bound: u32, seats: usize) -> (Lanes<u64>, Vec<Bed>) {
    let policy = Policy::builder().tenants_max(BLOCKS).queue_max(2 * BLOCKS).build();
    let (sleepers, beds) = dormitory(seats);
    let lanes = Lanes::new(policy.expect("a valid policy"), seats, sleepers, 0);
    for tenant in 0..tenants {
        let known = lanes.table.intern(&tenant.to_string(), Terms::plain(0, bound));
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
    let mut generation = tenant.generation();
    if mutant!("tenant.check_then_push") {
        if row.tail.look().generation() != generation {
            return Err(ReserveError::Stale);
        }
        generation = row.tail.look().generation();
    }
    let bound = row.bound.load(Relaxed);
    let door = Door { generation, bound, head: &row.drained.head_seen };
    let next = row.tail.reserve_next(&lanes.pool, door, row.tail.enter(), lanes.cadence.careful());
    let ticket = match next {
        Some(ticket) => ticket,
        None => row.tail.reserve(&lanes.pool, door)?,
    };
    let activates = ticket.activates;
    ticket.publish(1, Stamp::NONE, job);
    if activates {
        lanes.activate(tenant.slot());
    }
    Ok(())
}

/// A worker at place `index`, made on the thread that is to use it.
pub(super) struct Place {
    seat: Seat,
    lanes: Arc<Lanes<u64>>,
    /// Counts the jobs granted here.
    pub(super) ledger: crate::sync::Arc<Lent<Ledger>>,
}

impl Place {
    pub(super) fn new(index: usize, lanes: &Arc<Lanes<u64>>) -> Place {
        let counters = Arc::new(SeatCounters::new());
        let (seat, ledger) = Seat::new(index, lanes, counters, Arc::new(Delays::new()));
        Place { seat, lanes: Arc::clone(lanes), ledger }
    }

    /// Takes up to `most` jobs and settles them. Returns each with the handle it was granted for.
    pub(super) fn grants(&mut self, most: u32) -> (Tick, Vec<(Tenant, u64)>) {
        let mut grants = Outbox::with_capacity(8);
        let tick = self.seat.tick(&self.lanes, Nanos::ZERO, most, &mut grants);
        (tick, grants.drain().map(|grant| (grant.tenant(), grant.into_payload())).collect())
    }

    /// As [`grants`](Place::grants), the jobs alone.
    pub(super) fn tick(&mut self, most: u32) -> Vec<u64> {
        self.grants(most).1.into_iter().map(|(_, job)| job).collect()
    }

    /// Takes up to `most` jobs and settles them. `Err` when the worker has died of a fault that the model
    /// asked for, with the jobs that it had been granted.
    pub(super) fn tick_or_die(&mut self, most: u32) -> Result<Vec<u64>, Vec<u64>> {
        let mut grants = Outbox::with_capacity(8);
        let tick = || self.seat.tick(&self.lanes, Nanos::ZERO, most, &mut grants);
        let ticked = catch_unwind(AssertUnwindSafe(tick));
        let jobs = grants.drain().map(|grant| grant.into_payload()).collect();
        match ticked {
            Ok(_) => Ok(jobs),
            Err(payload) if payload.is::<Fault>() => Err(jobs),
            Err(payload) => resume_unwind(payload),
        }
    }

    /// Does what is to be done at `now`, as the timekeeper does.
    pub(super) fn keep_time(&mut self, now: Nanos) {
        self.seat.keep_time(&self.lanes, now);
    }

    /// What a worker does before it sleeps.
    pub(super) fn settle_down(&mut self) {
        self.seat.settle_down(&self.lanes);
    }

    /// Takes all jobs there are, until none waits or is being published.
    pub(super) fn drain(&mut self) -> Vec<(Tenant, u64)> {
        let mut jobs = Vec::new();
        while self.lanes.table.rows().any(|(_, row)| row.progress().1 > 0) {
            let (tick, more) = self.grants(u32::MAX);
            jobs.extend(more);
            if !matches!(tick, Tick::Granted(_)) {
                crate::sync::yield_now();
            }
        }
        jobs
    }
}
