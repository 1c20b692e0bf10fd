use fairlane::{Engine, Job, Reason, Tenant};

use super::Request;
use crate::report::TenantInfo;

/// The way into an engine for a run's tenants, each registered at its first job.
pub(crate) struct Door {
    pub(crate) engine: Engine<Request>,
    tenants: Vec<TenantInfo>,
    handles: Vec<Option<Tenant>>,
}

impl Door {
    pub(crate) fn new(engine: Engine<Request>, tenants: Vec<TenantInfo>) -> Door {
        Door { engine, handles: vec![None; tenants.len()], tenants }
    }

    /// Offers a job without ever blocking.
    pub(crate) fn submit(&mut self, request: Request) -> Result<(), Reason> {
        let handle = self.handle(request.tenant as usize)?;
        let job = Job::new(request).cost(request.cost);
        self.engine.submit(handle, job).map(drop).map_err(|refused| refused.reason())
    }

    fn handle(&mut self, place: usize) -> Result<Tenant, Reason> {
        if let Some(handle) = self.handles[place] {
            return Ok(handle);
        }
        let TenantInfo { name, tier, .. } = &self.tenants[place];
        let handle = self.engine.tenant(name, tier).map_err(|error| error.reason())?;
        self.handles[place] = Some(handle);
        Ok(handle)
    }
}
