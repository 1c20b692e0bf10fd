//! The engine under test, with worker threads of its own.

use std::sync::Arc;
use std::time::Duration;

use fairlane::{Engine, Grant, Job, Policy, Reason, Tenant};

use super::arrivals::Load;
use super::{Request, Scheduler, handle};
use crate::report::{Ending, Tape};

/// A running engine and its handles for the load's tenants.
pub(super) struct Fair {
    engine: Engine<Request>,
    /// In the order of the load's list.
    tenants: Vec<Tenant>,
    tape: Arc<Tape>,
}

impl Fair {
    /// Starts an engine with `workers` threads and registers the load's tenants.
    pub(super) fn start(
        workers: u32,
        policy: Policy,
        load: &Load,
        tape: Arc<Tape>,
    ) -> Result<Fair, String> {
        let notes = Arc::clone(&tape);
        let engine = Engine::builder()
            .policy(policy)
            .workers(workers as usize)
            .start(move |grant: Grant<Request>| handle(&notes, *grant.payload()))
            .map_err(|error| format!("the engine does not start: {error}"))?;
        let tenants = load.tenants.iter().map(|tenant| {
            let handle = engine.tenant(&tenant.name, &tenant.tier);
            handle.map_err(|error| format!("tenant {} is refused: {error}", tenant.name))
        });
        let tenants = tenants.collect::<Result<Vec<Tenant>, String>>()?;
        Ok(Fair { tenants, engine, tape })
    }
}

impl Scheduler for Fair {
    fn submit(&self, request: Request) -> Result<(), Reason> {
        let job = Job::new(request).cost(request.cost);
        match self.engine.submit(self.tenants[request.tenant as usize], job) {
            Ok(_) => Ok(()),
            Err(refused) => Err(refused.reason()),
        }
    }

    fn finish(self) -> Ending {
        let report = self.engine.drain(Duration::ZERO);
        // Dropping the engine joins its workers: every job begun is on the tape after that.
        drop(self.engine);
        Ending {
            services: self.tape.take(),
            expired: 0,
            returned: report.returned.len() as u64,
            queued: report.unpublished,
        }
    }
}
