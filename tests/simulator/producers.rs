//! What producers do: name tenants, submit, submit in batches, stop half-way.

use crate::mix::Crowd;
use crate::oracle::Verdict;
use crate::systems::{Job, Wishes};
use crate::world::{Stop, World};
use fairlane::Reason;

impl World<'_> {
    /// A producer's step.
    pub(crate) fn produce(&mut self, producer: usize) -> Verdict {
        if let Some(stop) = self.producers[producer].stopped {
            return if stop.until <= self.step { self.finish(producer) } else { Ok(()) };
        }
        let tenant = self.choose_tenant();
        if !self.clients[tenant].named || self.chance.per_mille(self.mix.faults.rename) {
            self.name(tenant)?;
        }
        if !self.clients[tenant].named {
            return Ok(());
        }
        if self.chance.per_mille(self.mix.faults.stall) {
            return self.stop_halfway(producer, tenant);
        }
        if self.chance.per_mille(self.mix.batch) {
            return self.submit_batch(tenant);
        }
        let job = self.job(tenant);
        let submitted = self.system.submit(tenant, job);
        self.trace.note("submit", tenant as u64, job.number << 1 | u64::from(submitted.is_ok()));
        match submitted {
            Ok(()) => self.oracle.accepted(tenant, job, true),
            Err(reason) => self.refused(tenant, job, reason, false),
        }
    }

    fn choose_tenant(&mut self) -> usize {
        let tenants = self.clients.len();
        match self.mix.crowd {
            Crowd::Uniform => self.chance.index(tenants),
            Crowd::Skewed => (tenants as f64 * self.chance.part().powi(4)) as usize,
            Crowd::Hot if self.chance.per_mille(800) => 0,
            Crowd::Hot => self.chance.index(tenants),
            Crowd::Waves => {
                let wave = self.step / 400 * 7_919;
                (wave + self.chance.below(1 + tenants as u64 / 8)) as usize % tenants
            }
        }
    }

    fn job(&mut self, tenant: usize) -> Job {
        let client = self.clients[tenant];
        let cost = if client.alike { client.cost } else { self.chance.within(1..=client.cost) };
        let wishes = match self.mix.habits {
            Some(habits) => habits.draw_wishes(&mut self.chance, self.now),
            None => Wishes::default(),
        };
        Job { number: self.number(), cost: cost as u32, wishes }
    }

    /// Names a tenant for the first time, after it was given up, or in another tier.
    fn name(&mut self, tenant: usize) -> Verdict {
        let known = self.clients[tenant].named;
        let tier = if known {
            self.chance.index(self.terms.tiers.len())
        } else {
            self.clients[tenant].tier
        };
        let named = self.system.name(tenant, tier);
        self.trace.note("name", tenant as u64, u64::from(named.is_ok()));
        match named {
            Ok(fresh) => {
                if fresh && self.oracle.is_crowded() {
                    self.take_census(tenant)?;
                }
                self.clients[tenant].named = true;
                self.clients[tenant].tier = tier;
                self.oracle.named(tenant, tier, fresh)
            }
            Err(reason) => {
                self.tally.add("names refused", 1);
                self.oracle.not_named(reason)
            }
        }
    }

    /// A new name may have cost others their place.
    fn take_census(&mut self, named: usize) -> Verdict {
        let figures = self.system.figures();
        self.tally.set("retired", figures.retired);
        self.trace.note("retired", named as u64, figures.retired);
        self.oracle.census(&figures)
    }

    fn submit_batch(&mut self, tenant: usize) -> Verdict {
        let len = self.chance.scaled(1..=self.mix.batch_max);
        let jobs: Vec<Job> = (0..len).map(|_| self.job(tenant)).collect();
        let (accepted, reason) = self.system.submit_batch(tenant, &jobs);
        self.trace.note("batch", tenant as u64, (len << 32) + accepted as u64);
        self.tally.add("batches", 1);
        for (at, job) in jobs.iter().enumerate() {
            match reason {
                Some(reason) if at >= accepted => {
                    self.refused(tenant, *job, reason, at > accepted)?
                }
                _ => self.oracle.accepted(tenant, *job, true)?,
            }
        }
        Ok(())
    }

    fn refused(&mut self, tenant: usize, job: Job, reason: Reason, follows: bool) -> Verdict {
        self.tally.add(reason.code(), 1);
        match reason {
            // The next submission asks for a new handle.
            Reason::StaleTenant => self.clients[tenant].named = false,
            // A snapshot is a pass over all tenants.
            Reason::EngineFull if self.clients.len() < 100 || job.number % 64 == 0 => {
                let figures = self.system.figures();
                self.oracle.is_full(tenant, &figures)?;
            }
            _ => {}
        }
        self.oracle.refused(tenant, job, reason, follows)
    }

    fn stop_halfway(&mut self, producer: usize, tenant: usize) -> Verdict {
        let job = self.job(tenant);
        let reserved = self.system.reserve(tenant, job);
        self.trace.note("reserve", tenant as u64, job.number << 1 | u64::from(reserved.is_ok()));
        match reserved {
            Ok(place) => {
                self.tally.add("stalls", 1);
                let until = self.step + self.chance.scaled(1..=self.mix.faults.stall_steps);
                let stop = Stop { tenant, number: job.number, place, until };
                self.producers[producer].stopped = Some(stop);
                self.oracle.accepted(tenant, job, false)
            }
            Err(reason) => self.refused(tenant, job, reason, false),
        }
    }

    /// A producer that had stopped goes on: it publishes, or gives its place up.
    pub(crate) fn finish(&mut self, producer: usize) -> Verdict {
        let Some(stop) = self.producers[producer].stopped.take() else { return Ok(()) };
        let gives_up = self.chance.per_mille(self.mix.faults.abandon);
        self.trace.note("finish", stop.number, u64::from(gives_up));
        if gives_up {
            self.tally.add("abandoned", 1);
            self.system.abandon(stop.place);
            self.oracle.abandoned(stop.tenant, stop.number);
        } else {
            self.system.publish(stop.place);
            self.oracle.published(stop.tenant, stop.number);
        }
        Ok(())
    }
}
