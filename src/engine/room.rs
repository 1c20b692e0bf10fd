//! Submissions for which there is no room: refused, or made to wait.

use super::job::{Accepted, Job};
use super::refusal::{Refusal, Refused, Why};
use super::shared::Shared;
use crate::error::Reason;
use crate::park::Want;
use crate::sync::{self, atomic::Ordering::Relaxed};
use crate::tenant::{Row, Tenant};
use crate::units::{Nanos, Order};
use std::time::{Duration, Instant};

/// What a submission does when there is no room for its job.
#[derive(Clone, Copy)]
pub(super) enum Manner {
    /// It waits if its tenant's overload rule says so.
    ByRule,
    /// It is refused.
    Once,
    /// It is the first of several tries. For want of room it fails without being counted: it is not over yet.
    First,
    /// It is a further one, of a job that had this order with the first.
    Again(Order),
}

impl Manner {
    /// Where the job stands in its lane's order, which the first try decides, at `now`: a wait for room
    /// neither puts off when the job is due nor when it expires.
    pub(super) fn order(self, now: Nanos, first: impl FnOnce() -> Order) -> Order {
        match self {
            Manner::Again(order) if order.due <= now => Order { due: Nanos::ZERO, ..order },
            Manner::Again(order) => order,
            Manner::ByRule | Manner::Once | Manner::First => first(),
        }
    }

    /// The reason for a refusal. A lane that is found closed after a wait has been closed meanwhile, by a drain,
    /// even if that has ended too.
    fn reason(self, reason: Reason) -> Reason {
        match (self, reason) {
            (Manner::Again(_), Reason::Closed) => Reason::Draining,
            _ => reason,
        }
    }
}

/// For how long a submission waits for room.
struct Patience {
    end: Instant,
    /// Where its job stands in its lane's order.
    order: Order,
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
        (reason, detail): Why,
        (cost, manner): (u32, Manner),
    ) -> Result<Accepted, Refused<T>> {
        let row = self.lanes.table.row(tenant.slot());
        if !waits(reason) {
            return Err(self.refuse(job, Some((row, cost)), manner.reason(reason), detail));
        }
        let refused = Refused { job, why: self.advise(lane, (reason, detail)) };
        let rule = match manner {
            Manner::First | Manner::Again(_) => return Err(refused),
            Manner::ByRule => self.overload_rule(row),
            Manner::Once => None,
        };
        if let Some(time) = rule {
            return self.wait_for_room(tenant, refused, sync::now() + time);
        }
        self.count_refusal(reason, Some(row), cost);
        Err(refused)
    }

    /// The refusal, with when the next place in `lane` can come free, where that is known.
    pub(super) fn advise(&self, lane: u32, (reason, detail): Why) -> Refusal {
        let mut refusal = Refusal::new((reason, detail));
        if reason == Reason::QueueFull {
            let entry = self.lanes.gate.known(lane);
            let left = entry.and_then(|entry| entry.returns_in(self.clock.now()));
            let ms = left.map_or(0, |left| left.0.div_ceil(1_000_000));
            refusal.retry_ms = u32::try_from(ms).unwrap_or(u32::MAX);
        }
        refusal
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
        match self.submit(&self.lanes, tenant, job, Manner::First) {
            Err(refused) if waits(refused.reason()) => {
                self.wait_for_room(tenant, refused, deadline)
            }
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
            let manner = Manner::Again(patience.order);
            match self.submit(&self.lanes, tenant, refused.into_job(), manner) {
                Err(refused) if waits(refused.reason()) => Err(refused),
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
        match refused.reason() {
            Reason::EngineFull => Want::Engine(lane),
            _ => Want::Lane(lane),
        }
    }

    /// For how long to wait for room for `job`: until `end`, or until it expires if that is earlier.
    fn patience(&self, tenant: Tenant, job: &Job<T>, end: Instant) -> Patience {
        let now = self.clock.now();
        let max_wait = Nanos(self.lanes.table.row(tenant.slot()).max_wait.load(Relaxed));
        let order = job.order.order(now, max_wait, self.lanes.bands());
        let expiry = sync::now().checked_add(order.deadline.since(now).as_duration());
        match expiry.filter(|at| *at < end && order.deadline < Nanos::MAX) {
            Some(at) => Patience { end: at, order, expires: true },
            None => Patience { end, order, expires: false },
        }
    }

    /// Counts the refusal that ends a wait for room.
    fn give_up(&self, tenant: Tenant, refused: Refused<T>, expires: bool) -> Refused<T> {
        let row = self.lanes.table.row(tenant.slot());
        let cost = self.check_job(tenant, &refused.job).unwrap_or(refused.job.cost);
        if expires {
            return self.refuse(refused.job, Some((row, cost)), Reason::Deadline, (0, 0));
        }
        self.count_refusal(refused.reason(), Some(row), cost);
        refused
    }
}

/// Whether a refusal may turn into acceptance by waiting.
fn waits(reason: Reason) -> bool {
    matches!(reason, Reason::QueueFull | Reason::EngineFull)
}

#[cfg(all(test, not(any(fairlane_loom, fairlane_shuttle))))]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};
    use crate::engine::Engine;
    use crate::policy::{Limits, Overload, Policy};
    use crate::units::Weight;
    use std::thread;

    const SECOND: Duration = Duration::from_secs(1);

    /// An engine without threads whose only tenant's queue, of one job, is full.
    fn full(overload: Overload) -> (Engine<u32>, ManualClock, Tenant) {
        let clock = ManualClock::new();
        let policy = Policy::builder()
            .tier("starter", Weight::ONE)
            .tier_limits("starter", Limits::default().overload(overload))
            .default_queue_max(1);
        let timed = Engine::builder().workers(1).clock(Clock::Manual(clock.clone()));
        let engine = timed.policy(policy.build().unwrap()).build().unwrap();
        let acme = engine.tenant("acme", "starter").unwrap();
        let _ = engine.submit(acme, 1).unwrap();
        (engine, clock, acme)
    }

    /// Runs `submit` on a thread, which has begun to wait for room when this returns.
    fn waiting<R: Send + 'static>(
        engine: &Engine<u32>,
        submit: impl FnOnce(&Engine<u32>) -> R + Send + 'static,
    ) -> thread::JoinHandle<R> {
        let handle = engine.clone();
        let thread = thread::spawn(move || submit(&handle));
        while !engine.lanes.crowd.is_waiting() {
            thread::yield_now();
        }
        thread
    }

    #[test]
    fn a_wait_that_a_drain_ends_is_told_so_however_late_it_wakes() {
        for by_rule in [false, true].repeat(20) {
            let overload = if by_rule { Overload::Wait(20 * SECOND) } else { Overload::Reject };
            let (engine, _, acme) = full(overload);
            let waits = waiting(&engine, move |engine| match by_rule {
                true => engine.submit(acme, 2),
                false => engine.submit_blocking(acme, 2, Instant::now() + 20 * SECOND),
            });
            // Over, most likely, before the other thread has looked.
            drop(engine.drain(Duration::ZERO));
            let refused = waits.join().unwrap().unwrap_err();
            assert_eq!((refused.reason(), refused.into_payload()), (Reason::Draining, 2));
            assert_eq!(engine.snapshot().refused, [(Reason::Draining, 1)].into());
        }
    }

    #[test]
    fn only_who_has_waited_is_told_of_the_drain_afterwards() {
        let (engine, _, acme) = full(Overload::Reject);
        drop(engine.drain(Duration::ZERO));
        for (manner, reason) in [
            (Manner::Again(Order::PLAIN), Reason::Draining),
            (Manner::First, Reason::Closed),
            (Manner::Once, Reason::Closed),
            (Manner::ByRule, Reason::Closed),
        ] {
            let refused = engine.shared.submit(&engine.lanes, acme, Job::new(2), manner);
            assert_eq!(refused.unwrap_err().reason(), reason);
        }
    }

    // A delay and a longest wait count from the submission, not from when there is room.
    #[test]
    fn a_wait_for_room_puts_off_neither_due_moment_nor_deadline() {
        for waits in [5, 10] {
            let (engine, clock, acme) = full(Overload::Reject);
            let submitted = waiting(&engine, move |engine| {
                let job = Job::new(2).delay(10 * SECOND).max_wait(SECOND);
                engine.submit_blocking(acme, job, Instant::now() + 60 * SECOND)
            });
            clock.advance_to(Nanos::from_duration(waits * SECOND));
            let mut worker = engine.worker().unwrap();
            assert_eq!(worker.next_batch(1).count(), 1);
            submitted.join().unwrap().expect("there is room now");
            let due = Nanos::from_duration(10 * SECOND);
            clock.advance_to(Nanos(due.0 - 1));
            let is_due = clock.now() == due;
            assert_eq!(worker.next_batch(1).count() == 1, is_due, "it waited {waits} s for room");
            clock.advance_to(due);
            assert_eq!(worker.next_batch(1).count() == 1, !is_due, "it waited {waits} s for room");
        }
    }
}
