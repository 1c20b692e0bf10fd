//! Hooks for simulations: the steps of a submission and of a worker's sleep that otherwise pass
//! within one call, and engines whose counters begin just before a wrap.
//!
//! Behind the feature `testing` and no part of the API: it may change in any release.

use super::job::{Accepted, Job, Refused};
use super::submit::door;
use super::{Builder, Engine, Worker};
use crate::claim::Grant;
use crate::dispatch::{Start, Tick};
use crate::ring::{Stamp, Ticket};
use crate::tenant::Tenant;
use crate::units::Nanos;

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
    let stamp = shared.stamp(lanes, row);
    match row.tail.reserve(&lanes.pool, door) {
        Ok(ticket) => {
            let held = Some((ticket, job.payload));
            Ok(Pending { engine, tenant, cost, stamp, held })
        }
        Err(error) => {
            let (reason, detail) = shared.why(error, door.bound);
            Err(shared.refuse(job, Some((row, cost)), reason, detail))
        }
    }
}

impl<T: Send + 'static> Pending<'_, T> {
    /// Publishes the job and does the rest of the submission.
    pub fn finish(mut self) -> Accepted {
        let (ticket, payload) = self.held.take().expect("held until it ends");
        let (place, activates) = (ticket.position(), ticket.activates);
        ticket.publish(self.cost, self.stamp, payload);
        self.join(activates);
        let shared = &self.engine.shared;
        shared.tell_enqueued(self.tenant, self.engine.lanes.table.row(self.tenant.slot()));
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
/// [`tick`] said: then only a lane that has become backlogged since counts as work.
pub fn look_again<T: Send + 'static>(worker: &mut Worker<T>, stalled: bool) -> bool {
    let rotation = &worker.shared.lanes.rotation;
    let has_work = if stalled { rotation.has_fresh() } else { !rotation.is_empty() };
    let sleeps = !has_work && !worker.shared.is_stopped();
    if !sleeps {
        get_up(worker);
    }
    sleeps
}

/// Whether somebody has chosen a worker that lay down to wake it.
pub fn is_woken<T: Send + 'static>(worker: &Worker<T>) -> bool {
    !worker.shared.lanes.sleepers.is_announced(worker.index)
}

/// Ends a sleep, whether woken or not.
pub fn get_up<T: Send + 'static>(worker: &mut Worker<T>) {
    worker.shared.lanes.sleepers.withdraw(worker.index);
}
