//! Hooks for simulations: the steps of a submission and of a worker's sleep that otherwise pass
//! within one call, and engines whose counters begin just before a wrap.
//!
//! Behind the feature `testing` and no part of the API: it may change in any release.

use super::job::{Accepted, Job};
use super::refusal::Refused;
use super::shared::Shared;
use super::submit::door;
use super::{Builder, Engine, Worker};
use crate::claim::Grant;
use crate::dispatch::{Lanes, Start, Tick};
use crate::error::Reason;
use crate::ring::{Stamp, Ticket};
use crate::sync::atomic::Ordering::Relaxed;
use crate::tenant::{Row, Tenant, Terms};
use crate::units::{Nanos, Order};

impl<T: Send + 'static> Builder<T> {
    /// Sets the first round (modulo 2^25), the first ring position of every lane (modulo 2^23) and
    /// the key of the names' hash, which decides the order in which idle tenants are given up.
    #[doc(hidden)]
    pub fn starting_at(mut self, round: u32, position: u32, names_key: u64) -> Self {
        self.start = Start { round, position, names_key: Some(names_key) };
        self
    }
}

/// A job whose producer has stopped between reserving its place and publishing it.
///
/// Dropped without [`finish`](Pending::finish), it leaves a tombstone, as an unwinding producer
/// would. Either way the lane joins the rotation if this job ended its idleness.
#[must_use = "dropping it gives the place up"]
pub struct Pending<'a, T: Send + 'static> {
    engine: &'a Engine<T>,
    tenant: Tenant,
    cost: u32,
    stamp: Stamp,
    /// Where the job stands in its lane's order, if not at its end.
    order: Option<Order>,
    /// The reserved place and the job, until one of the two ends.
    held: Option<(Ticket<'a, T>, T)>,
}

/// Begins [`Engine::submit`] and stops after the reservation.
///
/// # Errors
/// As [`Engine::submit`].
pub fn reserve<T: Send + 'static>(
    engine: &Engine<T>,
    tenant: Tenant,
    job: impl Into<Job<T>>,
) -> Result<Pending<'_, T>, Refused<T>> {
    let (shared, lanes, job) = (&*engine.shared, &*engine.lanes, job.into());
    let cost = match shared.check_job(tenant, &job) {
        Ok(cost) => cost,
        Err((reason, detail)) => return Err(shared.refuse(job, None, reason, detail)),
    };
    let row = lanes.table.row(tenant.slot());
    let door = door(tenant, row);
    if row.tail.look().generation() != tenant.generation() {
        return Err(shared.refuse(job, None, Reason::StaleTenant, (0, 0)));
    }
    let (order, stamp) = match order(shared, row, &job, cost) {
        Ok(None) => (None, shared.stamp(lanes, row)),
        Ok(Some((now, order))) => (Some(order), Stamp::at(now.0)),
        Err((reason, detail)) => {
            return Err(shared.refuse(job, Some((row, cost)), reason, detail));
        }
    };
    match row.tail.reserve(&lanes.pool, door) {
        Ok(ticket) => {
            let held = Some((ticket, job.payload));
            Ok(Pending { engine, tenant, cost, stamp, order, held })
        }
        Err(error) => {
            let (reason, detail) = shared.why(error, door.bound);
            Err(shared.refuse(job, Some((row, cost)), reason, detail))
        }
    }
}

/// The moment of a submission, and the order of its job.
type Ordered = (Nanos, Order);

/// The moment of a submission and the order that its job wishes for, if any, as in a whole submission.
fn order<T: Send + 'static>(
    shared: &Shared<T>,
    row: &Row,
    job: &Job<T>,
    cost: u32,
) -> Result<Option<Ordered>, (Reason, (u64, u64))> {
    if !job.order.any && row.plain_bound.load(Relaxed) == row.bound.load(Relaxed) {
        return Ok(None);
    }
    let cost_max = row.cost_max.load(Relaxed);
    if cost > cost_max {
        return Err((Reason::TooWide, (cost.into(), cost_max.into())));
    }
    let now = shared.clock.now();
    let order = job.order.order(now, Nanos(row.max_wait.load(Relaxed)), shared.lanes.bands());
    if order.deadline <= now {
        return Err((Reason::Deadline, (0, 0)));
    }
    Ok(Some((now, order)))
}

impl<T: Send + 'static> Pending<'_, T> {
    /// Publishes the job and does the rest of the submission.
    pub fn finish(mut self) -> Accepted {
        let (ticket, payload) = self.held.take().expect("held until it ends");
        let (place, activates) = (ticket.position(), ticket.activates);
        let lanes: &Lanes<T> = &self.engine.lanes;
        match self.order {
            None => ticket.publish(self.cost, self.stamp, payload),
            Some(order) => {
                ticket.publish_ordered(&lanes.pool, (self.cost, self.stamp), order, payload);
            }
        }
        self.join(activates);
        self.order.into_iter().for_each(|order| lanes.expect(self.tenant.slot(), order));
        let shared = &self.engine.shared;
        shared.tell_enqueued(self.tenant, 1);
        Accepted { tenant: self.tenant, place }
    }

    fn join(&self, activates: bool) {
        if activates {
            self.engine.lanes.activate(self.tenant.slot());
        }
    }
}

impl<T: Send + 'static> Drop for Pending<'_, T> {
    fn drop(&mut self) {
        if let Some((ticket, payload)) = self.held.take() {
            let activates = ticket.activates;
            drop(ticket);
            self.join(activates);
            drop(payload);
        }
    }
}

/// As [`Worker::tick`]; also says whether only unfinished producers were left.
pub fn tick<T: Send + 'static>(
    worker: &mut Worker<T>,
    now: Nanos,
    most: usize,
) -> (bool, std::vec::Drain<'_, Grant<T>>) {
    let stalled = worker.fill(now, most) == Tick::Stalled;
    (stalled, worker.batch.drain())
}

/// The first half of a sleep: gives back what the worker keeps at hand and announces it.
pub fn lie_down<T: Send + 'static>(worker: &mut Worker<T>) {
    worker.seat.settle_down(&worker.shared.lanes);
    worker.shared.tell_quiet();
    worker.shared.lanes.sleepers.announce(worker.index);
}

/// The second half: the look for work after the announcement. `false` when there is some, and the
/// announcement is withdrawn; otherwise the worker would now park. `stalled` is what the last
/// [`tick`] said: then only a lane that has become backlogged since counts as work. `next` is what
/// [`next_moment`] said before the announcement: the worker sleeps no longer.
pub fn look_again<T: Send + 'static>(worker: &mut Worker<T>, stalled: bool, next: Nanos) -> bool {
    let rotation = &worker.shared.lanes.rotation;
    let is_sooner = worker.shared.lanes.gate.next_at() < next;
    let has_work = if stalled { rotation.has_fresh() } else { !rotation.is_empty() || is_sooner };
    let sleeps = !has_work && !worker.shared.is_stopped();
    if !sleeps {
        get_up(worker);
    }
    sleeps
}

/// The next moment that anything in the engine waits for; [`Nanos::MAX`] for none.
pub fn next_moment<T: Send + 'static>(engine: &Engine<T>) -> Nanos {
    engine.lanes.gate.next_at()
}

/// Whether somebody has chosen a worker that lay down to wake it.
pub fn is_woken<T: Send + 'static>(worker: &Worker<T>) -> bool {
    !worker.shared.lanes.sleepers.is_announced(worker.index)
}

/// Ends a sleep, whether woken or not.
pub fn get_up<T: Send + 'static>(worker: &mut Worker<T>) {
    worker.shared.lanes.sleepers.withdraw(worker.index);
}

/// A tenant whose lane names a profile that no plan has: whoever visits it panics, as with a bug of the
/// engine's own, until this drops. So may a snapshot.
#[must_use = "dropping it mends the lane"]
pub struct Broken<T: Send + 'static> {
    engine: Engine<T>,
    tenant: Tenant,
    terms: Terms,
}

/// Breaks the lane of a tenant.
pub fn break_lane<T: Send + 'static>(engine: &Engine<T>, tenant: Tenant) -> Broken<T> {
    let row = engine.lanes.table.row(tenant.slot());
    let terms = row.terms();
    row.set_terms(Terms { profile: u32::MAX, ..terms });
    Broken { engine: engine.clone(), tenant, terms }
}

impl<T: Send + 'static> Drop for Broken<T> {
    fn drop(&mut self) {
        self.engine.lanes.table.row(self.tenant.slot()).set_terms(self.terms);
    }
}
