//! A thread that submits its range of jobs, each group in its own way.

use crate::load::{GROUP, Load, Way, tenant, way};
use fairlane::{Accepted, Engine, Job, Reason, Refused, Tenant};
use std::ops::Range;
use std::time::{Duration, Instant};

pub(crate) struct Producer<'a> {
    engine: &'a Engine<Load>,
    tenants: &'a [Tenant],
    /// Makes the job of a number, always the same.
    job: fn(u32) -> Job<Load>,
    /// Numbers of the jobs that were accepted.
    pub(crate) accepted: Vec<u32>,
    /// Refusals for want of room, those included that were tried again.
    pub(crate) refusals: u64,
    /// Whether intake has stopped.
    pub(crate) is_stopped: bool,
}

impl<'a> Producer<'a> {
    pub(crate) fn new(
        engine: &'a Engine<Load>,
        tenants: &'a [Tenant],
        job: fn(u32) -> Job<Load>,
    ) -> Producer<'a> {
        Producer { engine, tenants, job, accepted: Vec::new(), refusals: 0, is_stopped: false }
    }

    /// Submits in the order of numbers until all are done or intake stops.
    pub(crate) fn submit_all(mut self, numbers: Range<u32>) -> Self {
        let mut next = numbers.start;
        while next < numbers.end && !self.is_stopped {
            let group_end = (next / GROUP + 1) * GROUP;
            let end = group_end.min(numbers.end);
            self.submit_group(next..end);
            next = end;
        }
        self
    }

    fn submit_group(&mut self, numbers: Range<u32>) {
        let to = self.tenants[tenant(numbers.start)];
        match way(numbers.start) {
            Way::Single => numbers.for_each(|number| {
                let taken = self.engine.submit(to, (self.job)(number));
                if let Some(back) = self.note(number, taken) {
                    self.insist_or_give_up(to, number, back);
                }
            }),
            Way::Blocking => {
                numbers.for_each(|number| self.submit_blocking(to, number, (self.job)(number)))
            }
            Way::Batch => self.submit_batch(to, numbers),
        }
    }

    fn submit_batch(&mut self, to: Tenant, numbers: Range<u32>) {
        let batch = self.engine.submit_batch(to, numbers.clone().map(self.job).collect());
        let accepted = batch.accepted as u32;
        assert_eq!(batch.accepted + batch.refused.len(), numbers.len(), "a batch adds up");
        assert_eq!(batch.reason.is_none(), batch.refused.is_empty());
        self.accepted.extend(numbers.start..numbers.start + accepted);
        for (number, back) in (numbers.start + accepted..numbers.end).zip(batch.refused) {
            let reason = batch.reason.expect("just compared");
            self.note_refusal(number, reason, &back);
            self.insist_or_give_up(to, number, back);
        }
    }

    /// Three of four refused jobs are submitted until they are taken.
    fn insist_or_give_up(&mut self, to: Tenant, number: u32, back: Job<Load>) {
        if number % 4 != 0 {
            self.submit_blocking(to, number, back);
        }
    }

    fn submit_blocking(&mut self, to: Tenant, number: u32, job: Job<Load>) {
        if !self.is_stopped {
            let deadline = Instant::now() + Duration::from_secs(30);
            let taken = self.engine.submit_blocking(to, job, deadline);
            let back = self.note(number, taken);
            assert!(back.is_none() || self.is_stopped, "no room for 30 s");
        }
    }

    fn note(&mut self, number: u32, taken: Result<Accepted, Refused<Load>>) -> Option<Job<Load>> {
        match taken {
            Ok(_) => {
                self.accepted.push(number);
                None
            }
            Err(refused) => {
                let reason = refused.reason();
                let back = refused.into_job();
                self.note_refusal(number, reason, &back);
                (reason != Reason::Deadline).then_some(back)
            }
        }
    }

    fn note_refusal(&mut self, number: u32, reason: Reason, back: &Job<Load>) {
        assert_eq!(*back, (self.job)(number), "a refused job comes back as it was");
        match reason {
            Reason::QueueFull | Reason::EngineFull => self.refusals += 1,
            Reason::Draining | Reason::Closed => self.is_stopped = true,
            Reason::Deadline => {}
            other => panic!("job {number} was refused: {other}"),
        }
    }
}
