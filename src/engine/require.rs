//! Jobs that not every worker can run.

use super::Engine;
use super::job::{Accepted, Job};
use super::refusal::Refused;
use super::room::Manner;
use super::shared::Shared;
use crate::dispatch::{Branch, Branches, Lanes};
use crate::error::Reason;
use crate::gate::Extra;
use crate::ring::{Door, ReserveError, Stamp};
use crate::route::CLASSES_MAX;
use crate::sync::atomic::Ordering::Relaxed;
use crate::tenant::{EXTRA_PER_TENANT, Row, Tenant};
use crate::units::{Capabilities, Nanos, Order};

/// What a job requires of its worker, good for one engine: a set of capabilities.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Requirement {
    /// What stands for the set; 0 is the empty one.
    pub(super) set: u32,
    pub(super) engine: u16,
}

/// Which of its tenant's lanes a place is in stands above the place's own bits; see [`Accepted`].
pub(super) const BRANCH_SHIFT: u32 = 23;

/// Why a branch got no job.
enum NoPlace {
    /// The tenant's requirements and how many it may have, or 0 and how many the engine may have.
    TooManyClasses(u64, u64),
    /// In this lane.
    Reserve(ReserveError, u32),
}

impl<T: Send + 'static> Engine<T> {
    /// What stands for `capabilities` in [`Job::requires`]: only workers that have all of them are
    /// granted such a job. An engine remembers at most 4,096 distinct sets over its life, the empty one
    /// included; `None` for one more. A set that it knows is always found.
    ///
    /// # Cost
    /// A lock and a comparison with every set asked for before: ask once, not for every job.
    #[must_use]
    pub fn requirement(&self, capabilities: &Capabilities) -> Option<Requirement> {
        let set = self.shared.lanes.routes.intern(capabilities)?;
        self.shared.lanes.table.allow_extra();
        Some(Requirement { set, engine: self.shared.lanes.number })
    }
}

impl<T: Send + 'static> Shared<T> {
    /// Submits a job to the tenant's lane for what the job requires.
    pub(super) fn submit_to_branch(
        &self,
        tenant: Tenant,
        job: Job<T>,
        (cost, manner): (u32, Manner),
        (now, order): (Nanos, Order),
        mut extra: Option<Box<Extra>>,
    ) -> Result<Accepted, Refused<T>> {
        let mut job = Some(job);
        let mut attempt = || self.try_branch(tenant, (&mut job, &mut extra), cost, (now, order));
        let mut placed = attempt();
        if matches!(placed, Err(NoPlace::TooManyClasses(..))) {
            // Classes and lanes go when somebody needs them.
            self.lanes.sweep_branches();
            placed = attempt();
        }
        let row = self.lanes.table.row(tenant.slot());
        match placed {
            Ok((lane, accepted)) => {
                self.lanes.expect(lane, order);
                self.tell_enqueued(tenant, 1);
                Ok(accepted)
            }
            Err(no_place) => {
                let (why, lane) = match no_place {
                    NoPlace::TooManyClasses(used, most) => {
                        ((Reason::TooManyClasses, (used, most)), tenant.slot())
                    }
                    NoPlace::Reserve(error, lane) => {
                        (self.why(error, row.bound.load(Relaxed)), lane)
                    }
                };
                let job = job.expect("given back by the attempt");
                self.turn_away((tenant, lane), job, why, (cost, manner))
            }
        }
    }

    /// The lane that a job goes to: its tenant's own as long as there is none for what the job requires.
    pub(super) fn lane_for(&self, tenant: Tenant, job: &Job<T>) -> u32 {
        let slot = tenant.slot();
        if job.order.set == 0 {
            return slot;
        }
        self.lanes.branches(slot, |branches| {
            let mut made = branches.iter().flatten();
            made.find(|branch| branch.set == job.order.set).map_or(slot, |branch| branch.lane)
        })
    }

    /// One attempt. Reserves and publishes under the tenant's lock, so that the lane stays the tenant's
    /// until the job is in it.
    fn try_branch(
        &self,
        tenant: Tenant,
        (job, extra): (&mut Option<Job<T>>, &mut Option<Box<Extra>>),
        cost: u32,
        (now, mut order): (Nanos, Order),
    ) -> Result<(u32, Accepted), NoPlace> {
        let lanes = &*self.lanes;
        let set = job.as_ref().map_or(0, |job| job.order.set);
        let (lane, accepted, activates) = lanes.branches(tenant.slot(), |branches| {
            let (at, lane) = branch_for(lanes, branches, (tenant, now), set)?;
            let row = lanes.table.row(lane);
            let ticket = row
                .tail
                .reserve(&lanes.pool, own_door(row))
                .map_err(|error| NoPlace::Reserve(error, lane))?;
            let place = ticket.position() | (at as u32 + 1) << BRANCH_SHIFT;
            let activates = ticket.activates;
            if row.drained.head_seen.load(Relaxed) == ticket.position() {
                lanes.gate.entry(lane).fill(now);
            }
            if let Some(extra) = extra.take() {
                order.extra = lanes.gate.budgets.keep(extra);
            }
            let payload = job.take().expect("offered once").payload;
            ticket.publish_ordered(&lanes.pool, (cost, Stamp::at(now.0)), order, payload);
            Ok((lane, Accepted { tenant, place }, activates))
        })?;
        if activates {
            lanes.table.row(tenant.slot()).drained.count_other();
            lanes.activate(lane);
        }
        Ok((lane, accepted))
    }
}

/// The place and the number of the tenant's lane for what `set` stands for; a new one if it has none.
fn branch_for<T>(
    lanes: &Lanes<T>,
    branches: &mut Branches,
    (tenant, now): (Tenant, Nanos),
    set: u32,
) -> Result<(usize, u32), NoPlace> {
    check(lanes, tenant)?;
    let is_it = |branch: &Option<Branch>| branch.is_some_and(|branch| branch.set == set);
    if let Some(at) = branches.iter().position(is_it) {
        return Ok((at, branches[at].expect("just seen").lane));
    }
    let is_vacant =
        |branch: &Option<Branch>| branch.is_none_or(|branch| lanes.is_vacant(branch.lane));
    let own = u64::from(EXTRA_PER_TENANT);
    let at = branches.iter().position(is_vacant).ok_or(NoPlace::TooManyClasses(own, own))?;
    if let Some(branch) = branches[at].take() {
        lanes.give_back(branch);
    }
    // The class of jobs that require nothing is always there.
    let all = NoPlace::TooManyClasses(0, CLASSES_MAX as u64 - 1);
    let branch = lanes.routes.attach(set, &lanes.table, now).ok_or(all)?;
    let row = lanes.table.row(branch.lane);
    row.adopt(tenant.slot(), branch.class.index());
    row.drained.begin_tenant(tenant.generation());
    row.set_terms(lanes.table.row(tenant.slot()).terms());
    branches[at] = Some(branch);
    Ok((at, branch.lane))
}

/// Whether the tenant's handle is good and its lanes are open.
fn check<T>(lanes: &Lanes<T>, tenant: Tenant) -> Result<(), NoPlace> {
    let word = lanes.table.row(tenant.slot()).tail.look();
    if word.generation() != tenant.generation() {
        return Err(NoPlace::Reserve(ReserveError::Stale, tenant.slot()));
    }
    if word.is_closed() {
        return Err(NoPlace::Reserve(ReserveError::Closed, tenant.slot()));
    }
    Ok(())
}

/// A branch's handle is its tenant's, which has been checked; its own generation never changes.
fn own_door(row: &Row) -> Door<'_> {
    Door {
        generation: row.tail.look().generation(),
        bound: row.bound.load(Relaxed),
        head: &row.drained.head_seen,
    }
}
