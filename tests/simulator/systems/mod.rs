//! What the simulator drives: the engine, or a control that the oracle must reject.

pub(crate) mod engine;
pub(crate) mod twin;
pub(crate) mod usher;

use crate::terms::Terms;
use fairlane::Reason;
use std::collections::BTreeMap;

/// A job; numbers are never used twice in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Job {
    pub(crate) number: u64,
    pub(crate) cost: u32,
    pub(crate) wishes: Wishes,
}

/// When a job is to go, in its submitter's words.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Wishes {
    pub(crate) priority: Option<i32>,
    /// Not before this moment, or after this long.
    pub(crate) not_before: Option<u64>,
    pub(crate) delay: Option<u64>,
    pub(crate) deadline: Option<u64>,
    pub(crate) max_wait: Option<u64>,
}

impl Wishes {
    /// Whether the submitter has said nothing.
    pub(crate) fn are_none(&self) -> bool {
        *self == Wishes::default()
    }
}

/// A job whose deadline came first, as the hook was told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expired {
    pub(crate) tenant: usize,
    pub(crate) number: u64,
    pub(crate) cost: u32,
}

/// What a tenant's lane is doing, as explained.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    Idle,
    Ready,
    /// Why, and until when if that is known.
    Waits(Reason, Option<u64>),
}

/// A job handed to a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Granted {
    /// By which the system knows the grant.
    pub(crate) key: usize,
    pub(crate) tenant: usize,
    pub(crate) job: Job,
}

/// What becomes of a grant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ending {
    Completed,
    /// With this actual cost.
    Settled(u32),
    Panicked,
}

impl Ending {
    /// For the event hash.
    pub(crate) fn code(self) -> u64 {
        match self {
            Ending::Completed => 0,
            Ending::Panicked => 1,
            Ending::Settled(actual) => 2 + u64::from(actual),
        }
    }
}

/// One tenant in a snapshot.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub(crate) struct Row {
    pub(crate) tenant: usize,
    pub(crate) weight: f64,
    pub(crate) bound: u32,
    pub(crate) accepted: u64,
    pub(crate) dispatched: u64,
    pub(crate) served_cost: u64,
    pub(crate) depth: u64,
    pub(crate) refused: u64,
    pub(crate) refused_cost: u64,
    pub(crate) expired: u64,
    /// Grants in flight, where they are counted.
    pub(crate) in_flight: Option<u32>,
    pub(crate) waits_for: Option<Reason>,
}

/// A snapshot.
#[derive(Clone, Default, Debug)]
pub(crate) struct Figures {
    pub(crate) accepted: u64,
    pub(crate) dispatched: u64,
    pub(crate) served_cost: u64,
    pub(crate) depth: u64,
    pub(crate) running: u64,
    pub(crate) refused: BTreeMap<Reason, u64>,
    /// Tenants given up.
    pub(crate) retired: u64,
    /// Slots of the blocks in use.
    pub(crate) reserved: u64,
    /// Jobs granted and their cost, over all workers.
    pub(crate) by_workers: (u64, u64),
    pub(crate) expired: u64,
    /// Grants that count towards the engine's bound.
    pub(crate) in_flight: u32,
    /// Parked lanes by reason.
    pub(crate) waiting: BTreeMap<Reason, u64>,
    pub(crate) rows: Vec<Row>,
}

impl Figures {
    /// The totals of these rows; everything else is zero.
    fn of(rows: Vec<Row>) -> Figures {
        let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum();
        Figures {
            accepted: sum(|row| row.accepted),
            dispatched: sum(|row| row.dispatched),
            served_cost: sum(|row| row.served_cost),
            depth: sum(|row| row.depth),
            rows,
            ..Figures::default()
        }
    }
}

/// What a drain reported.
#[derive(Debug)]
pub(crate) struct Drained {
    pub(crate) finished: u64,
    /// Tenant and number of each job handed back.
    pub(crate) returned: Vec<(usize, u64)>,
    pub(crate) running: u64,
    pub(crate) expired: u64,
    pub(crate) unpublished: u64,
}

/// An engine as the simulator sees it. Tenants and workers go by the simulator's own numbers.
///
/// No call blocks; a submission and a sleep can also be taken in steps.
pub(crate) trait System {
    /// Asks for a tenant's handle. `true` when it is not the one given out before.
    fn name(&mut self, tenant: usize, tier: usize) -> Result<bool, Reason>;

    /// Submits under the handle given out last.
    fn submit(&mut self, tenant: usize, job: Job) -> Result<(), Reason>;
    /// Returns how many were accepted, and why the rest was not.
    fn submit_batch(&mut self, tenant: usize, jobs: &[Job]) -> (usize, Option<Reason>);

    /// Begins a submission; the number is for `publish` or `abandon`.
    fn reserve(&mut self, tenant: usize, job: Job) -> Result<usize, Reason>;
    fn publish(&mut self, place: usize);
    fn abandon(&mut self, place: usize);

    /// Up to `most` jobs for a worker, and whether only unfinished producers were left.
    fn tick(&mut self, worker: usize, now: u64, most: usize) -> (bool, Vec<Granted>);
    fn end(&mut self, grant: usize, ending: Ending);

    /// Announces that a worker sleeps.
    fn lie_down(&mut self, worker: usize);
    /// The look after the announcement; whether the worker parks. `until` is the moment read before.
    fn look_again(&mut self, worker: usize, stalled: bool, until: u64) -> bool;
    /// The next moment that anything waits for; `u64::MAX` for none.
    fn next_moment(&self) -> u64;
    /// Jobs that have expired since the last call.
    fn expired(&mut self) -> Vec<Expired>;
    fn explain(&self, tenant: usize) -> Standing;
    /// Whether somebody has chosen a worker that lay down to wake it.
    fn is_woken(&self, worker: usize) -> bool;
    fn get_up(&mut self, worker: usize);

    /// The worker's thread ends; grants it has handed out live on.
    fn leave(&mut self, worker: usize);
    fn come(&mut self, worker: usize);

    /// Asks the clock to show `to`; returns what it shows.
    fn turn_clock(&mut self, to: u64) -> u64;
    /// Whether the policy was taken over.
    fn set_policy(&mut self, terms: &Terms) -> bool;
    fn figures(&mut self) -> Figures;
    /// Stops the engine without waiting.
    fn drain(&mut self) -> Drained;
    /// Payloads made and not dropped yet.
    fn payloads(&self) -> u64;
}

/// A batch as submissions one by one: the first refusal ends it, and is counted for each job behind it too.
fn submit_each<S: System>(
    system: &mut S,
    tenant: usize,
    jobs: &[Job],
    refuse: fn(&mut S, usize, Job, Reason) -> Reason,
) -> (usize, Option<Reason>) {
    for (at, job) in jobs.iter().enumerate() {
        if let Err(reason) = system.submit(tenant, *job) {
            for job in &jobs[at + 1..] {
                refuse(system, tenant, *job, reason);
            }
            return (at, Some(reason));
        }
    }
    (jobs.len(), None)
}
