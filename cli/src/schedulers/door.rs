use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use fairlane::{BudgetId, Engine, Explanation, Job, Nanos, Quota, Reason, Standing, Tenant};

use super::{Request, Scribe, Watch};
use crate::report::{Note, TenantInfo};

/// The way into an engine for a run's tenants, each registered at its first job.
pub(crate) struct Door {
    pub(crate) engine: Engine<Request>,
    tenants: Vec<TenantInfo>,
    handles: Vec<Option<Tenant>>,
    /// Whether a tenant's jobs wait for so long and no longer.
    expires: Vec<bool>,
    watch: Watch,
    scribe: Scribe,
    /// A moment that has passed: arrivals do not wait for room, whatever the policy's overload rule
    /// says, or they would no longer be those of the log.
    at_once: Instant,
}

impl Door {
    /// The way into `engine`, which `watch` listens to.
    pub(crate) fn new(engine: Engine<Request>, tenants: Vec<TenantInfo>, watch: Watch) -> Door {
        let policy = engine.policy();
        let quotas: Vec<Quota> = tenants.iter().map(|tenant| tenant.quota(&policy)).collect();
        Door {
            scribe: Scribe::new(shared_budgets(&engine, &quotas)),
            engine,
            handles: vec![None; tenants.len()],
            expires: quotas.iter().map(|quota| quota.max_wait.is_some()).collect(),
            tenants,
            watch,
            at_once: Instant::now(),
        }
    }

    /// What the engine has told since the last call; `ahead` is how far its clock is ahead of the run's.
    pub(crate) fn notes(&mut self, ahead: Nanos) -> Vec<Note> {
        self.scribe.notes(&self.watch, ahead)
    }

    /// Drops the engine, which joins its workers, and says what it had still to tell.
    pub(crate) fn close(self, ahead: Nanos) -> Vec<Note> {
        let Door { engine, watch, mut scribe, .. } = self;
        drop(engine);
        scribe.notes(&watch, ahead)
    }

    /// How often lanes were parked, by reason.
    pub(crate) fn parked(&self) -> BTreeMap<&'static str, u64> {
        let parked = self.engine.snapshot().limits.parked;
        parked.into_iter().map(|(reason, times)| (reason.code(), times)).collect()
    }

    /// Jobs that nothing lets go any more once no grant is left to end: they wait for no moment, and
    /// do not expire.
    pub(crate) fn stuck(&self) -> u64 {
        let lasting = self.handles.iter().zip(&self.expires).filter(|(_, expires)| !**expires);
        let told = lasting.filter_map(|(handle, _)| self.engine.explain((*handle)?));
        told.filter(is_stuck).map(|told| u64::from(told.depth)).sum()
    }

    /// Offers a job without ever blocking.
    pub(crate) fn submit(&mut self, request: Request) -> Result<(), Reason> {
        let handle = self.handle(request.tenant as usize)?;
        let job = Job::new(request).cost(request.cost);
        let accepted = self.engine.submit_blocking(handle, job, self.at_once);
        accepted.map(drop).map_err(|refused| refused.reason())
    }

    fn handle(&mut self, place: usize) -> Result<Tenant, Reason> {
        if let Some(handle) = self.handles[place] {
            return Ok(handle);
        }
        let TenantInfo { name, tier, .. } = &self.tenants[place];
        let handle = self.engine.tenant(name, tier).map_err(|error| error.reason())?;
        self.handles[place] = Some(handle);
        self.scribe.register(handle, place as u32);
        Ok(handle)
    }
}

/// Budgets that more than one of the run's tenants draw on.
fn shared_budgets(engine: &Engine<Request>, quotas: &[Quota]) -> BTreeSet<BudgetId> {
    let mut drawers: BTreeMap<&str, u32> = BTreeMap::new();
    for budget in quotas.iter().flat_map(|quota| &quota.budgets) {
        *drawers.entry(budget).or_default() += 1;
    }
    let shared = drawers.into_iter().filter(|(_, tenants)| *tenants > 1);
    shared.filter_map(|(budget, _)| engine.budget(budget)).collect()
}

/// Whether the tenant's next job waits for neither a moment nor the end of a grant.
fn is_stuck(told: &Explanation) -> bool {
    use Reason::{Concurrency, EngineConcurrency, TierConcurrency};
    let Standing::Waiting(wait) = &told.standing else { return false };
    let is_for_a_grant = matches!(wait.reason, Concurrency | TierConcurrency | EngineConcurrency);
    wait.eligible_at.is_none() && !is_for_a_grant
}
