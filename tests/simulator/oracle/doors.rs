//! The way in: names, acceptances and refusals.

use super::{Fate, Kind, Known, Lane, Oracle, Place, State, Unsettled, Verdict, breach};
use crate::systems::{Figures, Job};
use fairlane::Reason;

impl Oracle {
    /// A tenant was named; `fresh` says that it has a new handle.
    pub(crate) fn named(&mut self, tenant: usize, tier: usize, fresh: bool) -> Verdict {
        if fresh == self.lanes[tenant].named {
            let text = format!("tenant {tenant} has a new handle: {fresh}, although it was known");
            return breach(Kind::Door, text);
        }
        let moves = tier != self.lanes[tenant].tier;
        if fresh {
            let due = self.terms.of(tenant, tier);
            self.lanes[tenant] = Lane::new(due);
            (self.lanes[tenant].named, self.lanes[tenant].tier) = (true, tier);
            if let Some(limits) = &mut self.limits {
                limits.begin(tenant, &self.terms.quota(tenant, tier));
            }
            self.quanta += due.quantum;
        } else if moves {
            self.move_to(tenant, tier);
        }
        let known = self.lanes.iter().filter(|lane| lane.named).count();
        if known > self.terms.tenants_max as usize {
            return breach(Kind::Door, format!("{known} tenants are known"));
        }
        Ok(())
    }

    /// Whether the table is at its cap, so that a new name may cost another tenant its place.
    pub(crate) fn is_crowded(&self) -> bool {
        self.terms.tenants_max as usize <= self.lanes.len()
    }

    /// A name was refused.
    pub(crate) fn not_named(&mut self, reason: Reason) -> Verdict {
        *self.refused.entry(reason).or_default() += 1;
        let known = || self.lanes.iter().filter(|lane| lane.named);
        let legal = match reason {
            Reason::TooManyTenants => {
                known().count() == self.terms.tenants_max as usize
                    && known().all(|lane| lane.accepted > 0)
            }
            Reason::Draining | Reason::Closed => self.stopped,
            _ => false,
        };
        if legal { Ok(()) } else { breach(Kind::Door, format!("a name was refused as {reason}")) }
    }

    /// Finds out who was given up, and whether that was right.
    pub(crate) fn census(&mut self, figures: &Figures) -> Verdict {
        let mut present = vec![false; self.lanes.len()];
        figures.rows.iter().for_each(|row| present[row.tenant] = true);
        for (tenant, lane) in self.lanes.iter_mut().enumerate() {
            if lane.named && !present[tenant] {
                if lane.jobs() > 0 || lane.running > 0 {
                    let text = format!("tenant {tenant} was given up with work: {lane:?}");
                    return breach(Kind::Conservation, text);
                }
                self.retired += 1;
                lane.named = false;
                lane.unsettled = Unsettled::default();
                self.pairs.forget(tenant);
            }
        }
        Ok(())
    }

    /// A job was accepted; `published` is false while its producer has not finished.
    pub(crate) fn accepted(&mut self, tenant: usize, job: Job, published: bool) -> Verdict {
        self.learn(tenant, job, Fate::Waiting);
        let lane = &self.lanes[tenant];
        let most = u64::from(self.terms.queue_max).next_multiple_of(self.terms.block());
        let order = self.order_of(tenant, &job);
        // Jobs set aside do not count towards the engine's bound by one.
        let is_full = self.waiting as u64 >= most && self.limits.is_none();
        let may_go = order.deadline > self.now && !(self.is_too_wide(tenant, job.cost));
        let legal = lane.named && !self.stopped && may_go;
        if !legal || lane.jobs() >= lane.due.bound as usize || is_full {
            let (jobs, waiting, bound) = (lane.jobs(), self.waiting, lane.due.bound);
            let text = format!(
                "accepted: {job:?} of tenant {tenant} with {jobs} of {bound} and {waiting} of {most} waiting"
            );
            return breach(Kind::Door, text);
        }
        let state = if published { State::Ready } else { State::Reserved };
        let blocks = !published && self.limits.is_some() && self.may_be_idle(tenant);
        if let (Some(limits), true) = (&mut self.limits, blocks) {
            limits.blocks(tenant, job.number);
        }
        let reserved = |place: &Place| place.state == State::Reserved;
        let is_hidden = !published || self.lanes[tenant].places.iter().any(reserved);
        self.push(
            tenant,
            Place { number: job.number, cost: job.cost, state, order, is_hidden, at: self.now },
        );
        Ok(())
    }

    /// A job was refused; `follows` when it came behind the refused one in a batch.
    pub(crate) fn refused(
        &mut self,
        tenant: usize,
        job: Job,
        reason: Reason,
        follows: bool,
    ) -> Verdict {
        self.learn(tenant, job, Fate::Refused);
        *self.refused.entry(reason).or_default() += 1;
        let stopped = self.stopped;
        let is_late = self.order_of(tenant, &job).deadline <= self.now;
        let is_too_wide = self.is_too_wide(tenant, job.cost);
        let lane = &mut self.lanes[tenant];
        if reason != Reason::StaleTenant {
            lane.refused += 1;
            lane.refused_cost += u64::from(job.cost);
        }
        let places = lane.places.len() + lane.unpassed;
        let legal = match reason {
            Reason::QueueFull => lane.named && places >= lane.due.bound as usize,
            Reason::EngineFull => lane.named,
            Reason::StaleTenant => !lane.named,
            Reason::Deadline => lane.named && is_late,
            Reason::TooWide => lane.named && is_too_wide,
            Reason::Draining | Reason::Closed => stopped,
            Reason::TooManyTenants | Reason::Invalid => false,
            _ => false,
        };
        if legal || follows {
            return Ok(());
        }
        let bound = lane.due.bound;
        let text =
            format!("{job:?} of tenant {tenant} was refused as {reason} at {places} of {bound}");
        breach(Kind::Door, text)
    }

    /// An engine that refuses as full has few blocks left, and none when the lane is empty.
    pub(crate) fn is_full(&self, tenant: usize, figures: &Figures) -> Verdict {
        let most = u64::from(self.terms.queue_max).next_multiple_of(self.terms.block());
        let kept = if self.lanes[tenant].places.is_empty() { 0 } else { most / 8 };
        let reserved = figures.reserved;
        if reserved + kept >= most {
            return Ok(());
        }
        let text = format!("tenant {tenant} was refused with {reserved} of {most} slots in use");
        breach(Kind::Door, text)
    }

    fn learn(&mut self, tenant: usize, job: Job, fate: Fate) {
        assert_eq!(self.jobs.len() as u64, job.number, "jobs are numbered in order");
        self.jobs.push(Known { tenant: tenant as u32, cost: job.cost, fate });
    }

    /// A producer that had stopped publishes its job.
    pub(crate) fn published(&mut self, tenant: usize, number: u64) {
        let lane = &mut self.lanes[tenant];
        let found = lane.places.iter_mut().find(|place| place.number == number);
        let place = found.expect("a reserved place stays");
        place.state = State::Ready;
        let place = *place;
        let alone = lane.places.len() == 1;
        if let Some(limits) = &mut self.limits {
            limits.finished(tenant, number, self.now);
        }
        self.refresh(tenant);
        if alone {
            self.note_fresh(tenant, place);
        }
    }

    /// A producer that had stopped gives its place up.
    pub(crate) fn abandoned(&mut self, tenant: usize, number: u64) {
        let lane = &mut self.lanes[tenant];
        let found = lane.places.iter_mut().find(|place| place.number == number);
        found.expect("a reserved place stays").state = State::Abandoned;
        lane.tombstones += 1;
        self.waiting -= 1;
        self.jobs[number as usize].fate = Fate::Abandoned;
        if let Some(limits) = &mut self.limits {
            limits.finished(tenant, number, self.now);
        }
        self.refresh(tenant);
    }
}
