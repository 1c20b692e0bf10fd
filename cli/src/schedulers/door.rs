use std::collections::BTreeMap;
use std::time::Instant;

use fairlane::{Engine, Job, Nanos, Reason, Tenant};

use super::{Request, Scribe, Watch};
use crate::report::{Note, TenantInfo};

/// The way into an engine for a run's tenants, each registered at its first job.
pub(crate) struct Door {
    pub(crate) engine: Engine<Request>,
    tenants: Vec<TenantInfo>,
    handles: Vec<Option<Tenant>>,
    watch: Watch,
    scribe: Scribe,
    /// A moment that has passed: arrivals do not wait for room, whatever the policy's overload rule
    /// says, or they would no longer be those of the log.
    at_once: Instant,
}

impl Door {
    /// The way into `engine`, which `watch` listens to.
    pub(crate) fn new(engine: Engine<Request>, tenants: Vec<TenantInfo>, watch: Watch) -> Door {
        Door {
            engine,
            handles: vec![None; tenants.len()],
            tenants,
            watch,
            scribe: Scribe::default(),
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
