//! The way in.

use super::Engine;
use super::explain::mean_cost;
use super::job::{Accepted, Job, Kind, Wishes};
use super::observe::Observer;
use super::refusal::{Batch, FOREIGN_KIND, Refusal, Refused, Why};
use super::require::BRANCH_SHIFT;
use super::room::Manner;
use super::shared::Shared;
use crate::dispatch::Lanes;
use crate::error::Reason;
use crate::ring::{Door, ReserveError, Stamp, distance};
use crate::sync::atomic::Ordering::Relaxed;
use crate::tenant::{InternError, Row, Tenant};
use crate::units::{Cost, Nanos};
use std::fmt;
use std::time::{Duration, Instant};

/// Longest name of a tenant, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// Why a name got no handle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TenantError {
    reason: Reason,
    message: String,
}

impl TenantError {
    /// [`Reason::Invalid`], [`Reason::TooManyTenants`], [`Reason::Draining`] or [`Reason::Closed`].
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }
}

impl fmt::Display for TenantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TenantError {}

impl<T: Send + 'static> Engine<T> {
    /// The handle of the tenant `name` (1 to 256 bytes), which belongs to `tier` from now on.
    ///
    /// # Errors
    /// `invalid` for a name or tier that cannot be, `too_many_tenants` when the table is full of
    /// tenants with work, `draining` or `closed` for a new name when intake has stopped.
    ///
    /// # Concurrency
    /// A known name in its tier is found under a shared lock, and waits only while a name enters or
    /// leaves the same sixteenth of the table. A new name, or one that changes its tier, waits for
    /// policy swaps and for other such names.
    pub fn tenant(&self, name: &str, tier: &str) -> Result<Tenant, TenantError> {
        self.shared.tenant(name, tier)
    }

    /// The kind of job that the policy's `[costs]` calls `name`.
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<Kind> {
        let plan = self.shared.lanes.plan.load();
        let number = plan.kinds.iter().position(|kind| kind == name)?;
        Some(Kind { number: number as u16, engine: self.shared.lanes.number })
    }

    /// Queues a job for a tenant. Never blocks, unless the policy's `overload` rule says that a tenant's
    /// submissions wait for room: then as [`submit_blocking`](Engine::submit_blocking).
    ///
    /// # Errors
    /// [`Refused`] gives the job back with the reason; nothing of it stays behind. A submission counts one
    /// refusal at most, and none when it is accepted after a wait.
    ///
    /// # Cost
    /// One read-modify-write when the tenant already has work waiting; a few more when it was
    /// idle and joins the rotation.
    #[inline]
    pub fn submit(&self, tenant: Tenant, job: impl Into<Job<T>>) -> Result<Accepted, Refused<T>> {
        self.shared.submit(&self.lanes, tenant, job.into(), Manner::ByRule)
    }

    /// Queues jobs in order, with one read-modify-write for up to 64 of them; stops at the first
    /// that is refused. Never waits for room, whatever the tenant's overload rule says: what does not fit
    /// comes back, and [`Batch::why`] says what a refusal of the first job says that came back.
    pub fn submit_batch(&self, tenant: Tenant, jobs: Vec<Job<T>>) -> Batch<T> {
        self.shared.submit_batch(tenant, jobs)
    }

    /// Queues a job; when the tenant's queue or the engine is full, waits for room until
    /// `deadline`, or until the job expires if that comes first: its deadline and its longest wait count
    /// from now. Blocks the thread: not for async code. Threads that wait for room in one queue get its places
    /// in the order in which they came, as far as nobody who comes by meanwhile is quicker.
    ///
    /// # Errors
    /// As [`submit`](Engine::submit). A wait that ends at `deadline` gives the last refusal; one that the
    /// job's own deadline ends gives `deadline`, and one that a drain ends gives `draining`. However long it
    /// waits, it counts as one refusal, and as none when it is accepted.
    pub fn submit_blocking(
        &self,
        tenant: Tenant,
        job: impl Into<Job<T>>,
        deadline: Instant,
    ) -> Result<Accepted, Refused<T>> {
        self.shared.submit_blocking(tenant, job.into(), deadline)
    }

    /// How many jobs of its tenant are ahead of an accepted one, itself included: 1 is next.
    /// `None` once it has been handed to a worker, or its tenant was given up. Places repeat after
    /// 2^23 jobs of a tenant, so ask about jobs that may still wait.
    #[must_use]
    pub fn position(&self, accepted: &Accepted) -> Option<u32> {
        self.shared.position(accepted)
    }

    /// How long an accepted job will wait from now, if the load stays as it is:
    /// `ceil(cost ahead / quantum)` rounds, each as long as all backlogged tenants' quanta take
    /// when every worker that has served is busy. `None` as for [`position`](Engine::position), and as long
    /// as no job has been settled.
    ///
    /// Costs of jobs that wait are not added up. The cost ahead is the job's position times what the
    /// tenant's jobs have cost so far on average, when they were granted; of a tenant of which none has been
    /// granted, what all tenants' have. Jobs with a requirement have an average of their own for each tenant.
    ///
    /// How fast the workers are is measured since the start, over the time in which they had something
    /// to do: idle hours do not count. Limits, due moments, priorities and what workers cannot run are not looked at,
    /// nor does a tenant's quantum count as shared between jobs with different requirements: with any
    /// of these the wait may be longer.
    ///
    /// # Cost
    /// A pass over the backlogged tenants.
    #[must_use]
    pub fn estimated_wait(&self, accepted: &Accepted) -> Option<Duration> {
        self.shared.estimated_wait(accepted)
    }
}

impl<T: Send + 'static> Shared<T> {
    fn tenant(&self, name: &str, tier: &str) -> Result<Tenant, TenantError> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            let message = format!("tenant name of {} bytes is outside 1..=256", name.len());
            return Err(TenantError { reason: Reason::Invalid, message });
        }
        let interned = self.intern(name, tier).ok_or_else(|| self.unknown_tier(tier))?;
        let known = interned.map_err(|error| self.not_interned(error))?;
        Ok(Tenant::new(known.slot, known.generation, self.lanes.number))
    }

    fn unknown_tier(&self, tier: &str) -> TenantError {
        let plan = self.lanes.plan.load();
        let known: Vec<&str> = plan.policy.tiers().iter().map(|tier| tier.name()).collect();
        let message = format!("unknown tier {tier:?}: the policy has {}", known.join(", "));
        TenantError { reason: Reason::Invalid, message }
    }

    fn not_interned(&self, error: InternError) -> TenantError {
        let (reason, message) = match error {
            InternError::Full => {
                let most = self.lanes.table.tenants_max();
                (Reason::TooManyTenants, format!("too many tenants: {most} of {most} are in use"))
            }
            InternError::Closed => {
                let reason = self.closed_reason();
                (reason, format!("{reason}: the engine takes no new tenants"))
            }
        };
        self.count_refusal(reason, None, 0);
        TenantError { reason, message }
    }

    // Always inlined, so that the job of a caller who has just made it is never in memory.
    #[inline(always)]
    pub(super) fn submit(
        &self,
        lanes: &Lanes<T>,
        tenant: Tenant,
        job: Job<T>,
        manner: Manner,
    ) -> Result<Accepted, Refused<T>> {
        // Taken apart, so that a job on its way in is not built in memory.
        let Job { payload, cost: own, kind, order } = job;
        let cost = match self.check(lanes, tenant, own, kind) {
            Ok(cost) => cost,
            Err((reason, detail)) => {
                let job = Job { payload, cost: own, kind, order };
                return Err(self.refuse(job, None, reason, detail));
            }
        };
        let row = lanes.table.row(tenant.slot());
        if order.any {
            let job = Job { payload, cost: own, kind, order };
            return self.submit_in_order(lanes, tenant, job, (cost, manner));
        }
        let (careful, door) = (lanes.cadence.careful(), plain_door(tenant, row));
        let next = row.tail.reserve_next(&lanes.pool, door, row.tail.enter(), careful);
        let Some(ticket) = next else {
            return self.submit_with_care(lanes, tenant, (payload, own, kind), (cost, manner));
        };
        let place = ticket.position();
        ticket.publish(cost, Stamp::NONE, payload);
        Ok(Accepted { tenant, place })
    }

    /// Submits a job that is stamped or observed, or to a lane that is idle, looks full, needs a
    /// block, or is contended; and what has an order of its own, or belongs to a tenant whose limits
    /// concern submissions.
    #[inline(never)]
    fn submit_with_care(
        &self,
        lanes: &Lanes<T>,
        tenant: Tenant,
        parts: (T, u32, Option<Kind>),
        (cost, manner): (u32, Manner),
    ) -> Result<Accepted, Refused<T>> {
        // Made where it is needed: most of a job is about its order, which this one does not have.
        let whole = |(payload, cost, kind)| Job { payload, cost, kind, order: Wishes::NONE };
        let row = lanes.table.row(tenant.slot());
        let door = door(tenant, row);
        if row.plain_bound.load(Relaxed) != door.bound {
            return self.submit_in_order(lanes, tenant, whole(parts), (cost, manner));
        }
        let stamp = self.stamp(lanes, row);
        let ticket = match row.tail.reserve(&lanes.pool, door) {
            Ok(ticket) => ticket,
            Err(error) => return self.no_room(tenant, (whole(parts), error), (cost, manner)),
        };
        let (place, activates) = (ticket.position(), ticket.activates);
        ticket.publish(cost, stamp, parts.0);
        if activates {
            lanes.activate(tenant.slot());
        }
        self.tell_enqueued(tenant, 1);
        Ok(Accepted { tenant, place })
    }

    /// Submits a job that may have an order of its own, or a limit that it is too wide for.
    #[inline(never)]
    fn submit_in_order(
        &self,
        lanes: &Lanes<T>,
        tenant: Tenant,
        job: Job<T>,
        (cost, manner): (u32, Manner),
    ) -> Result<Accepted, Refused<T>> {
        let row = lanes.table.row(tenant.slot());
        // Before limits that may be another tenant's by now.
        if row.tail.look().generation() != tenant.generation() {
            return Err(self.refuse(job, None, Reason::StaleTenant, (0, 0)));
        }
        let cost_max = row.cost_max.load(Relaxed);
        if cost > cost_max {
            let detail = (u64::from(cost), u64::from(cost_max));
            return Err(self.refuse(job, Some((row, cost)), Reason::TooWide, detail));
        }
        let now = self.clock.now();
        let max_wait = Nanos(row.max_wait.load(Relaxed));
        let mut order = manner.order(now, || job.order.order(now, max_wait, lanes.bands()));
        if order.deadline <= now {
            return Err(self.refuse(job, Some((row, cost)), Reason::Deadline, (0, 0)));
        }
        let extra = match self.extra(&job.order, row.profile(), cost) {
            Ok(extra) => extra,
            Err((reason, detail)) => {
                return Err(self.refuse(job, Some((row, cost)), reason, detail));
            }
        };
        if job.order.set != 0 {
            if job.order.set_engine != lanes.number {
                return Err(self.refuse(job, None, Reason::Invalid, (0, FOREIGN_KIND)));
            }
            return self.submit_to_branch(tenant, job, (cost, manner), (now, order), extra);
        }
        let ticket = match row.tail.reserve(&lanes.pool, door(tenant, row)) {
            Ok(ticket) => ticket,
            Err(error) => return self.no_room(tenant, (job, error), (cost, manner)),
        };
        if let Some(extra) = extra {
            order.extra = lanes.gate.budgets.keep(extra);
        }
        let (place, activates) = (ticket.position(), ticket.activates);
        ticket.publish_ordered(&lanes.pool, (cost, Stamp::at(now.0)), order, job.payload);
        if activates {
            lanes.activate(tenant.slot());
        }
        lanes.expect(tenant.slot(), order);
        self.tell_enqueued(tenant, 1);
        Ok(Accepted { tenant, place })
    }

    /// What becomes of a job whose place could not be reserved.
    #[cold]
    fn no_room(
        &self,
        tenant: Tenant,
        (job, error): (Job<T>, ReserveError),
        (cost, manner): (u32, Manner),
    ) -> Result<Accepted, Refused<T>> {
        let why = self.why(error, self.lanes.table.row(tenant.slot()).bound.load(Relaxed));
        self.turn_away((tenant, tenant.slot()), job, why, (cost, manner))
    }

    /// Checks what needs no tenant state, and resolves the cost.
    #[inline]
    pub(super) fn check(
        &self,
        lanes: &Lanes<T>,
        tenant: Tenant,
        own: u32,
        kind: Option<Kind>,
    ) -> Result<u32, Why> {
        if tenant.engine() != lanes.number {
            return Err((Reason::StaleTenant, (0, 0)));
        }
        let cost = match kind {
            Some(kind) => self.cost_of_kind(kind, own)?,
            None => own,
        };
        match Cost::new(cost) {
            Ok(cost) => Ok(cost.get()),
            Err(_) => Err((Reason::Invalid, (u64::from(cost), 0))),
        }
    }

    pub(super) fn check_job(&self, tenant: Tenant, job: &Job<T>) -> Result<u32, Why> {
        self.check(&self.lanes, tenant, job.cost, job.kind)
    }

    fn cost_of_kind(&self, kind: Kind, own: u32) -> Result<u32, Why> {
        if kind.engine != self.lanes.number {
            return Err((Reason::Invalid, (0, FOREIGN_KIND)));
        }
        Ok(self.kind_cost(kind.number).unwrap_or(own))
    }

    /// The moment of acceptance, for a job that is to be timed.
    #[inline]
    pub(super) fn stamp(&self, lanes: &Lanes<T>, row: &Row) -> Stamp {
        if lanes.cadence.is_stamped(row.tail.look().tail()) {
            Stamp::at(self.clock.now().0)
        } else {
            Stamp::NONE
        }
    }

    pub(super) fn why(&self, error: ReserveError, bound: u32) -> Why {
        match error {
            ReserveError::Stale => (Reason::StaleTenant, (0, 0)),
            ReserveError::Closed => (self.closed_reason(), (0, 0)),
            ReserveError::Full { depth } => {
                (Reason::QueueFull, (u64::from(depth), u64::from(bound)))
            }
            ReserveError::Exhausted => (Reason::EngineFull, (0, self.lanes.pool.slots_max())),
        }
    }

    #[cold]
    pub(super) fn refuse(
        &self,
        job: Job<T>,
        of: Option<(&Row, u32)>,
        reason: Reason,
        detail: (u64, u64),
    ) -> Refused<T> {
        // A stale handle's row may be another tenant's by now.
        let row = of.filter(|_| reason != Reason::StaleTenant);
        self.count_refusal(reason, row.map(|(row, _)| row), row.map_or(0, |(_, cost)| cost));
        let mut why = Refusal::new((reason, detail));
        if let (Reason::TooWide, Some((row, cost))) = (reason, row) {
            why.bound = self.bound_of(row, cost, &job.order, detail);
        }
        Refused { job, why }
    }

    /// Tells the observer, if there is one, of jobs of the tenant that have just been accepted.
    #[inline]
    pub(super) fn tell_enqueued(&self, tenant: Tenant, jobs: u32) {
        if let Some(observer) = &self.observer {
            self.tell_observer(&**observer, tenant, jobs);
        }
    }

    #[cold]
    fn tell_observer(&self, observer: &dyn Observer, tenant: Tenant, jobs: u32) {
        let branches = self.lanes.known_branches(tenant.slot());
        let branches = branches.iter().flatten().map(|branch| branch.lane);
        let lanes = std::iter::once(tenant.slot()).chain(branches);
        let depth: u32 = lanes.map(|lane| self.lanes.table.row(lane).progress().1).sum();
        for later in (0..jobs).rev() {
            // Workers may have taken it already, and it has been accepted all the same.
            let depth = depth.saturating_sub(later).max(1);
            let _ = self.guard(None, None, || observer.enqueued(tenant, depth));
        }
    }

    fn submit_batch(&self, tenant: Tenant, jobs: Vec<Job<T>>) -> Batch<T> {
        let mut jobs = std::collections::VecDeque::from(jobs);
        let mut accepted = 0;
        while let Some(job) = jobs.front() {
            let checked = self.check_job(tenant, job).map_err(|why| (Refusal::new(why), 0));
            let taken = checked.and_then(|_| self.submit_some(tenant, &mut jobs));
            match taken {
                Ok(count) => accepted += count,
                Err((why, counted)) => {
                    let uncounted = jobs.iter().skip(counted);
                    uncounted.for_each(|job| self.count_batch_refusal(tenant, job, why.reason));
                    return Batch::new(accepted, jobs.into(), Some(why));
                }
            }
        }
        Batch::new(accepted, Vec::new(), None)
    }

    fn count_batch_refusal(&self, tenant: Tenant, job: &Job<T>, reason: Reason) {
        let known = !matches!(reason, Reason::StaleTenant | Reason::Invalid);
        let row = known.then(|| self.lanes.table.row(tenant.slot()));
        let cost = self.check_job(tenant, job).unwrap_or(job.cost);
        self.count_refusal(reason, row, cost);
    }

    /// Submits jobs from the front of `jobs`, by one reservation where they allow it; at least one is
    /// accepted. The error says how many refusals have been counted already.
    fn submit_some(
        &self,
        tenant: Tenant,
        jobs: &mut std::collections::VecDeque<Job<T>>,
    ) -> Result<usize, (Refusal, usize)> {
        let row = self.lanes.table.row(tenant.slot());
        let door = door(tenant, row);
        let is_plain = |job: &Job<T>| !job.order.any && self.check_job(tenant, job).is_ok();
        let good = jobs.iter().take_while(|job| is_plain(job)).count();
        if good == 0 || row.plain_bound.load(Relaxed) != door.bound {
            return self.submit_first(tenant, jobs);
        }
        let wanted = u32::try_from(good).unwrap_or(u32::MAX);
        let stamp = self.stamp(&self.lanes, row);
        let reserved = row.tail.reserve_span(&self.lanes.pool, door, wanted);
        let refusal = |error| self.advise(tenant.slot(), self.why(error, door.bound));
        let mut span = reserved.map_err(|error| (refusal(error), 0))?;
        let (activates, count) = (span.activates, span.len() as usize);
        while let Some(ticket) = span.next_ticket() {
            let job = jobs.pop_front().expect("no more positions than jobs were asked for");
            let cost = self.check_job(tenant, &job).unwrap_or(job.cost.max(1));
            ticket.publish(cost, stamp, job.payload);
        }
        if activates {
            self.lanes.activate(tenant.slot());
        }
        self.tell_enqueued(tenant, count as u32);
        Ok(count)
    }

    /// Submits the first of `jobs` by itself.
    fn submit_first(
        &self,
        tenant: Tenant,
        jobs: &mut std::collections::VecDeque<Job<T>>,
    ) -> Result<usize, (Refusal, usize)> {
        let job = jobs.pop_front().expect("the caller has seen one");
        match self.submit(&self.lanes, tenant, job, Manner::Once) {
            Ok(_) => Ok(1),
            Err(refused) => {
                jobs.push_front(refused.job);
                Err((refused.why, 1))
            }
        }
    }

    /// The lane that an accepted job was put into, unless that lane is gone.
    fn lane_of(&self, accepted: &Accepted) -> Option<&Row> {
        let tenant = accepted.tenant;
        if tenant.engine() != self.lanes.number {
            return None;
        }
        let lane = match accepted.place >> BRANCH_SHIFT {
            0 => tenant.slot(),
            at => {
                let branches = self.lanes.known_branches(tenant.slot());
                branches.get(at as usize - 1)?.as_ref()?.lane
            }
        };
        Some(self.lanes.table.row(lane))
    }

    fn position(&self, accepted: &Accepted) -> Option<u32> {
        let (tenant, row) = (accepted.tenant, self.lane_of(accepted)?);
        let head = row.drained.head_seen.load(Relaxed);
        let ahead = distance(head, accepted.place & ((1 << BRANCH_SHIFT) - 1));
        let waits = ahead < distance(head, row.tail.look().tail());
        let first = self.lanes.table.row(tenant.slot());
        let is_good = first.tail.look().generation() == tenant.generation();
        (waits && is_good).then_some(ahead + 1)
    }

    fn estimated_wait(&self, accepted: &Accepted) -> Option<Duration> {
        let position = self.position(accepted)?;
        let plan = self.lanes.plan.load();
        let quantum_of = |slot: u32| {
            let profile = self.lanes.table.row(slot).profile() as usize;
            plan.profiles.get(profile).map_or(0.0, |profile| profile.quantum.units())
        };
        let speed = self.speed()?;
        let job_cost = mean_cost(self.lane_of(accepted)?).unwrap_or(speed.job_cost);
        let ahead = f64::from(position) * job_cost;
        let own = quantum_of(accepted.tenant.slot());
        let mut all = 0.0;
        self.lanes.rotation.for_each(|lane| all += quantum_of(lane));
        let rounds = (ahead / own).ceil();
        Duration::try_from_secs_f64(rounds * all.max(own) / speed.cost_per_s).ok()
    }
}

/// The door for submissions without care: closed for tenants whose every submission needs some.
#[inline]
fn plain_door(tenant: Tenant, row: &Row) -> Door<'_> {
    // Not made of the other door: its bound would be loaded all the same, as atomics are.
    let (generation, bound) = (tenant.generation(), row.plain_bound.load(Relaxed));
    Door { generation, bound, head: &row.drained.head_seen }
}

#[inline]
pub(super) fn door(tenant: Tenant, row: &Row) -> Door<'_> {
    Door {
        generation: tenant.generation(),
        bound: row.bound.load(Relaxed),
        head: &row.drained.head_seen,
    }
}
