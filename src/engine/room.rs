//! Submissions for which there is no room: refused, or made to wait.

use super::job::{Accepted, Job, Refused};
use super::shared::Shared;
use crate::error::Reason;
use crate::park::Want;
use crate::sync::{self, atomic::Ordering::Relaxed};
use crate::tenant::{Row, Tenant};
use crate::units::Nanos;
use std::time::{Duration, Instant};

/// What a submission does when there is no room for its job.
#[derive(Clone, Copy)]
pub(super) enum Manner {
    /// It waits if its tenant's overload rule says so.
    ByRule,
    /// It is refused.
    Once,
    /// It is one of several tries of a job that expires at this moment at the latest. For want of room it
    /// fails without being counted: it is not over yet.
    Try(Nanos),
}

impl Manner {
    /// When the job expires at the latest.
    pub(super) fn deadline(self) -> Nanos {
        match self {
            Manner::Try(deadline) => deadline,
            Manner::ByRule | Manner::Once => Nanos::MAX,
        }
    }
}

/// For how long a submission waits for room.
struct Patience {
    end: Instant,
    /// When its job expires.
    deadline: Nanos,
    /// Whether it ends because the job expires.
    expires: bool,
}

impl<T: Send + 'static> Shared<T> {
    /// What becomes of a job that has found no place in `lane`, which is its tenant's.
    #[cold]
    pub(super) fn turn_away(
        &self,
        (tenant, lane): (Tenant, u32),
        job: Job<T>,
        (reason, detail): (Reason, (u64, u64)),
        (cost, manner): (u32, Manner),
    ) -> Result<Accepted, Refused<T>> {
        let row = self.lanes.table.row(tenant.slot());
        if !waits(reason) {
            return Err(self.refuse(job, Some((row, cost)), reason, detail));
        }
        let refused = self.with_advice(lane, Refused::new(job, reason, detail));
        let rule = match manner {
            Manner::Try(_) => return Err(refused),
            Manner::ByRule => self.overload_rule(row),
            Manner::Once => None,
        };
        if let Some(time) = rule {
            return self.wait_for_room(tenant, refused, sync::now() + time);
        }
        self.count_refusal(reason, Some(row), cost);
        Err(refused)
    }

    /// Says with a refusal when the next place in `lane` can come free, where that is known.
    fn with_advice(&self, lane: u32, mut refused: Refused<T>) -> Refused<T> {
        if refused.reason == Reason::QueueFull {
            let entry = self.lanes.gate.known(lane);
            let left = entry.and_then(|entry| entry.returns_in(self.clock.now()));
            let ms = left.map_or(0, |left| left.0.div_ceil(1_000_000));
            refused.retry_ms = u32::try_from(ms).unwrap_or(u32::MAX);
        }
        refused
    }

    /// For how long a submission to the tenant of `row` waits when there is no room.
    fn overload_rule(&self, row: &Row) -> Option<Duration> {
        let (plan, profile) = self.plan_of(row);
        plan.rules[profile].overload
    }

    pub(super) fn submit_blocking(
        &self,
        tenant: Tenant,
        job: Job<T>,
        deadline: Instant,
    ) -> Result<Accepted, Refused<T>> {
        match self.submit(&self.lanes, tenant, job, Manner::Try(Nanos::MAX)) {
            Err(refused) if waits(refused.reason) => self.wait_for_room(tenant, refused, deadline),
            done => done,
        }
    }

    /// Tries again whenever there may be room, until `end` or until the job expires. Only the refusal that
    /// ends it is counted.
    fn wait_for_room(
        &self,
        tenant: Tenant,
        mut refused: Refused<T>,
        end: Instant,
    ) -> Result<Accepted, Refused<T>> {
        let patience = self.patience(tenant, &refused.job, end);
        let again = |refused: Refused<T>| {
            let manner = Manner::Try(patience.deadline);
            match self.submit(&self.lanes, tenant, refused.into_job(), manner) {
                Err(refused) if waits(refused.reason) => Err(refused),
                done => Ok(done),
            }
        };
        let mut wait = self.lanes.crowd.wait(|lane| self.lanes.room(lane));
        loop {
            let left = patience.end.saturating_duration_since(sync::now());
            if left.is_zero() {
                return Err(self.give_up(tenant, refused, patience.expires));
            }
            let want = self.want(tenant, &refused);
            let mut first = Some(refused);
            let mut last = None;
            let done = wait.once(want, left, || match again(first.take().expect("offered once")) {
                // It would be woken for something else now.
                Err(refused) if self.want(tenant, &refused) != want => Some(Err(refused)),
                Err(refused) => {
                    last = Some(refused);
                    None
                }
                done => Some(done),
            });
            refused = match done.unwrap_or_else(|| again(last.expect("given back by the attempt")))
            {
                Ok(done) => return done,
                Err(refused) => refused,
            };
        }
    }

    /// What a refused job has to wait for.
    fn want(&self, tenant: Tenant, refused: &Refused<T>) -> Want {
        let lane = self.lane_for(tenant, &refused.job);
        match refused.reason {
            Reason::EngineFull => Want::Engine(lane),
            _ => Want::Lane(lane),
        }
    }

    /// For how long to wait for room for `job`: until `end`, or until it expires if that is earlier.
    fn patience(&self, tenant: Tenant, job: &Job<T>, end: Instant) -> Patience {
        let now = self.clock.now();
        let max_wait = Nanos(self.lanes.table.row(tenant.slot()).max_wait.load(Relaxed));
        let deadline = job.order.order(now, max_wait, self.lanes.bands()).deadline;
        let expiry = sync::now().checked_add(deadline.since(now).as_duration());
        match expiry.filter(|at| *at < end && deadline < Nanos::MAX) {
            Some(at) => Patience { end: at, deadline, expires: true },
            None => Patience { end, deadline, expires: false },
        }
    }

    /// Counts the refusal that ends a wait for room.
    fn give_up(&self, tenant: Tenant, refused: Refused<T>, expires: bool) -> Refused<T> {
        let row = self.lanes.table.row(tenant.slot());
        let cost = self.check_job(tenant, &refused.job).unwrap_or(refused.job.cost);
        if expires {
            return self.refuse(refused.job, Some((row, cost)), Reason::Deadline, (0, 0));
        }
        self.count_refusal(refused.reason, Some(row), cost);
        refused
    }
}

/// Whether a refusal may turn into acceptance by waiting.
fn waits(reason: Reason) -> bool {
    matches!(reason, Reason::QueueFull | Reason::EngineFull)
}
