//! The engine under test, with worker threads of its own.

use std::sync::Arc;
use std::time::Duration;

use fairlane::{Engine, Grant, Policy, Reason};

use super::{Door, Leftovers, Request, Scheduler, handle};
use crate::report::{Ending, Tape, TenantInfo};

/// A running engine and its handles for the run's tenants.
pub(crate) struct Fair {
    door: Door,
    tape: Arc<Tape>,
}

impl Fair {
    /// Starts an engine with `workers` threads.
    pub(crate) fn start(
        workers: u32,
        policy: Policy,
        tenants: Vec<TenantInfo>,
        tape: Arc<Tape>,
    ) -> Result<Fair, String> {
        let notes = Arc::clone(&tape);
        let engine = Engine::builder()
            .policy(policy)
            .workers(workers as usize)
            .start(move |grant: Grant<Request>| handle(&notes, *grant.payload()))
            .map_err(|error| format!("the engine does not start: {error}"))?;
        Ok(Fair { door: Door::new(engine, tenants), tape })
    }
}

impl Scheduler for Fair {
    fn submit(&mut self, request: Request) -> Result<(), Reason> {
        self.door.submit(request)
    }

    fn finish(self, leftovers: Leftovers) -> Ending {
        let engine = self.door.engine;
        let report = engine.drain(match leftovers {
            Leftovers::Return => Duration::ZERO,
            Leftovers::Serve => Duration::MAX,
        });
        // Dropping the engine joins its workers: every job begun is on the tape after that.
        drop(engine);
        Ending {
            services: self.tape.take(),
            expired: 0,
            returned: report.returned.len() as u64,
            queued: report.unpublished,
        }
    }
}
