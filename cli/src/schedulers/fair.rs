//! The engine under test, with worker threads of its own.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fairlane::{Clock, Engine, Expired, Grant, Nanos, Policy, Reason};

use super::{Door, Leftovers, Request, Scheduler, Watch, handle};
use crate::report::{Ending, Tape, TenantInfo};

/// Between two looks at whether all that can be served has been.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A running engine and its handles for the run's tenants.
pub(crate) struct Fair {
    door: Door,
    tape: Arc<Tape>,
    /// How far the engine's clock is ahead of the run's.
    ahead: Nanos,
}

impl Fair {
    /// Starts an engine with `workers` threads.
    pub(crate) fn start(
        workers: u32,
        policy: Policy,
        tenants: Vec<TenantInfo>,
        tape: Arc<Tape>,
    ) -> Result<Fair, String> {
        let (notes, watch) = (Arc::clone(&tape), Watch::default());
        let (ends, expiries) = (watch.clone(), watch.clone());
        let clock = Clock::monotonic();
        let lead = tape.epoch().saturating_duration_since(Instant::now());
        let ahead = clock.now().after(Nanos::from_duration(lead));
        let times = clock.clone();
        let is_capped = |tenant: &TenantInfo| tenant.quota(&policy).concurrency.is_some();
        let is_capped: Vec<bool> = tenants.iter().map(is_capped).collect();
        let engine = Engine::builder()
            .policy(policy)
            .workers(workers as usize)
            .clock(clock)
            .observer(watch.clone())
            .on_expired(move |job: Expired<Request>| expiries.expired(&job))
            .start(move |grant: Grant<Request>| {
                let request = *grant.payload();
                handle(&notes, request);
                grant.complete();
                if is_capped[request.tenant as usize] {
                    ends.ended(times.now(), request.tenant);
                }
            })
            .map_err(|error| format!("the engine does not start: {error}"))?;
        Ok(Fair { door: Door::new(engine, tenants, watch), tape, ahead })
    }

    /// Waits until all is served but what nothing lets go any more.
    fn serve_all(&self) {
        loop {
            let snapshot = self.door.engine.snapshot();
            // Lanes are looked at after the counts: what has been granted in between is missing there,
            // so nothing that still holds room in a budget goes unnoticed.
            if snapshot.running == 0 && snapshot.depth == self.door.stuck() {
                return;
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

impl Scheduler for Fair {
    fn submit(&mut self, request: Request) -> Result<(), Reason> {
        self.door.submit(request)
    }

    fn finish(self, leftovers: Leftovers) -> Ending {
        if leftovers == Leftovers::Serve {
            self.serve_all();
        }
        let report = self.door.engine.drain(Duration::ZERO);
        let parked = self.door.parked();
        let notes = self.door.close(self.ahead);
        // Dropping the engine joined its workers: every job begun is on the tape after that.
        Ending {
            services: self.tape.take(),
            notes,
            parked,
            returned: report.returned.len() as u64,
            queued: report.unpublished,
        }
    }
}
