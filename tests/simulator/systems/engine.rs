//! The engine itself, through its public API and the hooks of `fairlane::testing`.

use super::{Drained, Ending, Expired, Figures, Granted, Job, Row, Standing, System, Wishes};
use crate::mix::Mix;
use crate::terms::{Terms, tenant_name, tier_name};
use fairlane::testing::{self, Pending};
use fairlane::{Clock, Engine, Grant, ManualClock, Nanos, Reason, Tenant, Worker};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A payload that is counted while it exists.
pub(crate) struct Load {
    tenant: usize,
    number: u64,
    alive: Arc<AtomicU64>,
}

impl Drop for Load {
    fn drop(&mut self) {
        // Wraps far above any count when a payload is dropped twice.
        self.alive.fetch_sub(1, Relaxed);
    }
}

/// What the expiry hook was told and the simulator has not looked at.
pub(crate) type Told = Arc<Mutex<Vec<(Tenant, Expired)>>>;

/// Makes the engine for a run.
pub(crate) fn build(mix: &Mix, hand: &ManualClock, told: &Told) -> Engine<Load> {
    let told = Arc::clone(told);
    Engine::builder()
        .on_expired(move |job: fairlane::Expired<Load>| {
            let Load { tenant, number, .. } = job.payload;
            let expired = Expired { tenant, number, cost: job.cost };
            told.lock().expect("nothing panics here").push((job.tenant, expired));
        })
        .workers(mix.workers)
        .clock(Clock::Manual(hand.clone()))
        .policy(mix.terms.policy())
        .starting_at(mix.first_round, mix.first_position, mix.seed)
        .build()
        .expect("workers are in range")
}

pub(crate) struct Fairlane<'a> {
    engine: &'a Engine<Load>,
    hand: ManualClock,
    handles: Vec<Option<Tenant>>,
    workers: Vec<Option<Worker<Load>>>,
    pending: Slots<Pending<'a, Load>>,
    grants: Slots<Grant<Load>>,
    alive: Arc<AtomicU64>,
    told: Told,
}

/// Values by number; numbers are used again.
pub(crate) struct Slots<V> {
    values: Vec<Option<V>>,
    free: Vec<usize>,
}

impl<V> Slots<V> {
    pub(crate) fn new() -> Self {
        Slots { values: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn put(&mut self, value: V) -> usize {
        let key = self.free.pop().unwrap_or(self.values.len());
        if key == self.values.len() {
            self.values.push(None);
        }
        self.values[key] = Some(value);
        key
    }

    pub(crate) fn take(&mut self, key: usize) -> V {
        self.free.push(key);
        self.values[key].take().expect("a number that was given out")
    }
}

impl<'a> Fairlane<'a> {
    /// `alive` counts payloads, also beyond the engine's end.
    pub(crate) fn new(
        engine: &'a Engine<Load>,
        hand: ManualClock,
        mix: &Mix,
        (alive, told): (Arc<AtomicU64>, Told),
    ) -> Self {
        Fairlane {
            engine,
            hand,
            handles: vec![None; mix.tenants],
            workers: (0..mix.workers).map(|_| Some(engine.worker().expect("a place"))).collect(),
            pending: Slots::new(),
            grants: Slots::new(),
            alive,
            told,
        }
    }

    fn load(&self, tenant: usize, job: Job) -> fairlane::Job<Load> {
        self.alive.fetch_add(1, Relaxed);
        let load = Load { tenant, number: job.number, alive: Arc::clone(&self.alive) };
        wished(fairlane::Job::new(load).cost(job.cost), &job.wishes)
    }

    fn handle(&self, tenant: usize) -> Tenant {
        self.handles[tenant].expect("named before it submits")
    }

    fn worker(&mut self, worker: usize) -> &mut Worker<Load> {
        self.workers[worker].as_mut().expect("a worker that is there")
    }
}

impl System for Fairlane<'_> {
    fn name(&mut self, tenant: usize, tier: usize) -> Result<bool, Reason> {
        let named = self.engine.tenant(&tenant_name(tenant), &tier_name(tier));
        let handle = named.map_err(|error| error.reason())?;
        Ok(self.handles[tenant].replace(handle) != Some(handle))
    }

    fn submit(&mut self, tenant: usize, job: Job) -> Result<(), Reason> {
        let submitted = self.engine.submit(self.handle(tenant), self.load(tenant, job));
        submitted.map(drop).map_err(|refused| refused.reason())
    }

    fn submit_batch(&mut self, tenant: usize, jobs: &[Job]) -> (usize, Option<Reason>) {
        let loads = jobs.iter().map(|job| self.load(tenant, *job)).collect();
        let batch = self.engine.submit_batch(self.handle(tenant), loads);
        assert_eq!(batch.accepted + batch.refused.len(), jobs.len(), "a batch came back short");
        (batch.accepted, batch.reason)
    }

    fn reserve(&mut self, tenant: usize, job: Job) -> Result<usize, Reason> {
        let load = self.load(tenant, job);
        let pending = testing::reserve(self.engine, self.handle(tenant), load);
        pending.map(|pending| self.pending.put(pending)).map_err(|refused| refused.reason())
    }

    fn publish(&mut self, place: usize) {
        self.pending.take(place).finish();
    }

    fn abandon(&mut self, place: usize) {
        drop(self.pending.take(place));
    }

    fn tick(&mut self, worker: usize, now: u64, most: usize) -> (bool, Vec<Granted>) {
        let Fairlane { workers, grants, .. } = self;
        let worker = workers[worker].as_mut().expect("a worker that is there");
        let (stalled, batch) = testing::tick(worker, Nanos(now), most);
        let granted = batch.map(|grant| {
            let (cost, load) = (grant.cost(), grant.payload());
            let (tenant, job) =
                (load.tenant, Job { number: load.number, cost, wishes: Wishes::default() });
            Granted { key: grants.put(grant), tenant, job }
        });
        (stalled, granted.collect())
    }

    fn end(&mut self, grant: usize, ending: Ending) {
        let grant = self.grants.take(grant);
        match ending {
            Ending::Completed => grant.complete(),
            Ending::Settled(actual) => grant.settle(actual),
            Ending::Panicked => {
                let panicked = catch_unwind(AssertUnwindSafe(move || {
                    let _grant = grant;
                    // Unlike `panic!`, without the hook that writes to stderr.
                    resume_unwind(Box::new("the handler panics"));
                }));
                assert!(panicked.is_err());
            }
        }
    }

    fn lie_down(&mut self, worker: usize) {
        testing::lie_down(self.worker(worker));
    }

    fn look_again(&mut self, worker: usize, stalled: bool, until: u64) -> bool {
        testing::look_again(self.worker(worker), stalled, Nanos(until))
    }

    fn next_moment(&self) -> u64 {
        testing::next_moment(self.engine).0
    }

    fn expired(&mut self) -> Vec<Expired> {
        let told = std::mem::take(&mut *self.told.lock().expect("nothing panics here"));
        let whose = |(handle, expired): (Tenant, Expired)| {
            // A handle of somebody else shows as a tenant that there is not.
            let is_its = self.handles[expired.tenant] == Some(handle);
            Expired { tenant: if is_its { expired.tenant } else { usize::MAX }, ..expired }
        };
        told.into_iter().map(whose).collect()
    }

    fn explain(&self, tenant: usize) -> Standing {
        let explained = self.engine.explain(self.handle(tenant)).expect("a live handle");
        match explained.standing {
            fairlane::Standing::Waiting(wait) => {
                Standing::Waits(wait.reason, wait.eligible_at.map(|at| at.0))
            }
            fairlane::Standing::Ready => Standing::Ready,
            _ => Standing::Idle,
        }
    }

    fn is_woken(&self, worker: usize) -> bool {
        self.workers[worker].as_ref().is_some_and(testing::is_woken)
    }

    fn get_up(&mut self, worker: usize) {
        testing::get_up(self.worker(worker));
    }

    fn leave(&mut self, worker: usize) {
        self.workers[worker] = None;
    }

    fn come(&mut self, worker: usize) {
        self.workers[worker] = Some(self.engine.worker().expect("the place of one that left"));
    }

    fn turn_clock(&mut self, to: u64) -> u64 {
        self.hand.advance_to(Nanos(to));
        self.hand.now().0
    }

    fn set_policy(&mut self, terms: &Terms) -> bool {
        self.engine.set_policy(terms.policy()).is_ok()
    }

    fn figures(&mut self) -> Figures {
        let seen = self.engine.snapshot();
        let rows = seen.tenant_rows.iter().map(|row| Row {
            tenant: row.tenant[1..].parse().expect("a name of the simulator"),
            weight: row.weight,
            bound: row.queue_max,
            accepted: row.accepted,
            dispatched: row.dispatched,
            served_cost: row.served_cost,
            depth: row.depth.into(),
            refused: row.refused.into(),
            refused_cost: row.refused_cost,
            expired: row.expired,
            in_flight: row.in_flight,
            waits_for: row.waits_for,
        });
        let sum = |of: fn(&fairlane::WorkerRow) -> u64| seen.workers.iter().map(of).sum();
        Figures {
            accepted: seen.accepted,
            dispatched: seen.dispatched,
            served_cost: seen.served_cost,
            depth: seen.depth,
            running: seen.running,
            refused: seen.refused.clone(),
            retired: seen.tenants_retired,
            reserved: seen.queue_reserved,
            expired: seen.expired,
            in_flight: seen.limits.in_flight,
            waiting: seen.limits.waiting.clone(),
            by_workers: (sum(|row| row.granted), sum(|row| row.cost)),
            rows: rows.collect(),
        }
    }

    fn drain(&mut self) -> Drained {
        let report = self.engine.drain(Duration::ZERO);
        let returned = report.returned.into_iter().map(|back| {
            let load = back.job.payload();
            (load.tenant, load.number)
        });
        Drained {
            finished: report.finished,
            returned: returned.collect(),
            running: report.running,
            expired: report.expired,
            unpublished: report.unpublished,
        }
    }

    fn payloads(&self) -> u64 {
        self.alive.load(Relaxed)
    }
}

/// The job with what its submitter wishes.
fn wished(mut job: fairlane::Job<Load>, wishes: &Wishes) -> fairlane::Job<Load> {
    if let Some(priority) = wishes.priority {
        job = job.priority(priority);
    }
    if let Some(moment) = wishes.not_before {
        job = job.not_before(Nanos(moment));
    }
    if let Some(time) = wishes.delay {
        job = job.delay(Duration::from_nanos(time));
    }
    if let Some(moment) = wishes.deadline {
        job = job.deadline(Nanos(moment));
    }
    if let Some(time) = wishes.max_wait {
        job = job.max_wait(Duration::from_nanos(time));
    }
    job
}
