//! A thread that submits its jobs in order: one alone, two at once, and one that waits for room.

use crate::load::{Load, Terms, TermsOf, cost, numbers, tenant};
use crate::register::Register;
use crate::rig::named;
use fairlane::{Accepted, Engine, Job, Reason, Refused, Tenant};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Far later than any execution lasts.
const LATE: Duration = Duration::from_secs(86_400);

pub(crate) struct Producer {
    number: usize,
    register: Arc<Register>,
    engine: Engine<Load>,
    terms: TermsOf,
}

/// Intake has stopped.
struct Stopped;

impl Producer {
    /// A producer of jobs on `terms`.
    pub(crate) fn new(
        number: usize,
        (register, terms): (&Arc<Register>, TermsOf),
        engine: &Engine<Load>,
    ) -> Producer {
        Producer { number, register: Arc::clone(register), engine: engine.clone(), terms }
    }

    /// Submits until all jobs are accepted or come too late, or intake stops.
    pub(crate) fn submit_all(self) {
        let _ = self.submit_in_order();
    }

    fn submit_in_order(&self) -> Result<(), Stopped> {
        let numbers = numbers(self.number);
        let (single, batch, last) = (numbers.start, numbers.start + 1, numbers.end - 1);
        let common = self.tenant(single)?;
        let submitted = self.engine.submit(common, self.job(single));
        self.insist(common, single, submitted)?;
        self.submit_batch(common, batch..last)?;
        let own = self.tenant(last)?;
        let submitted = self.engine.submit_blocking(own, self.job(last), Instant::now() + LATE);
        self.insist(own, last, submitted)
    }

    fn job(&self, number: usize) -> Job<Load> {
        let job = Job::new(Load::new(number, &self.register)).cost(cost(number));
        let Some(terms) = (self.terms)(number, self.engine.now()) else { return job };
        let Terms { priority, not_before, deadline } = terms;
        self.register.is_due(number, not_before, deadline);
        job.priority(priority).not_before(not_before).deadline(deadline)
    }

    fn tenant(&self, number: usize) -> Result<Tenant, Stopped> {
        named(&self.engine, tenant(number)).map_err(|error| stopped(error.reason()))
    }

    fn submit_batch(&self, to: Tenant, numbers: std::ops::Range<usize>) -> Result<(), Stopped> {
        let batch = self.engine.submit_batch(to, numbers.clone().map(|k| self.job(k)).collect());
        assert_eq!(batch.accepted + batch.refused.len(), numbers.len(), "a batch adds up");
        let first_refused = numbers.start + batch.accepted;
        (numbers.start..first_refused).for_each(|number| self.register.accepted(number));
        for (number, job) in (first_refused..).zip(batch.refused) {
            let submitted = self.engine.submit_blocking(to, job, Instant::now() + LATE);
            self.insist(to, number, submitted)?;
        }
        Ok(())
    }

    /// Notes an accepted job; waits for room for one that was refused, until its deadline.
    fn insist(
        &self,
        to: Tenant,
        number: usize,
        submitted: Result<Accepted, Refused<Load>>,
    ) -> Result<(), Stopped> {
        let Err(refused) = submitted else {
            self.register.accepted(number);
            return Ok(());
        };
        match refused.reason() {
            Reason::QueueFull | Reason::EngineFull => {
                let job = refused.into_job();
                let again = self.engine.submit_blocking(to, job, Instant::now() + LATE);
                self.insist(to, number, again)
            }
            Reason::Deadline => Ok(()),
            reason => Err(stopped(reason)),
        }
    }
}

#[track_caller]
fn stopped(reason: Reason) -> Stopped {
    assert!(matches!(reason, Reason::Draining | Reason::Closed), "refused: {reason}");
    Stopped
}
