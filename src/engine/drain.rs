//! The way out: stopping without losing a job.

use super::job::{Job, Wishes};
use super::shared::{Shared, Shelves};
use super::{Engine, Owner};
use crate::claim::Grant;
use crate::dispatch::HandedBack;
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{IS_MODEL, Outbox, Steal, Stealer, mutant, now, thread, wait_timeout};
use crate::tenant::Tenant;
use crate::units::Nanos;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Longest pause between two looks at whether all is done: grants that end on foreign threads
/// tell nobody.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// Jobs handed back at a time.
const COLLECT_JOBS: u32 = 1_024;
/// How long a drain waits for producers that have reserved a place and not finished.
const PRODUCERS_GRACE: Duration = Duration::from_millis(if IS_MODEL { 1 << 40 } else { 10 });

/// What a drain found, at its end. Every job accepted since the start is in exactly one of the five
/// numbers, or was handed back by an earlier drain, whose report has it: `accepted = finished + running +
/// expired + unpublished + returned`, the last one over all drains up to this one.
#[non_exhaustive]
pub struct DrainReport<T> {
    /// Jobs settled since the engine started, without those that drains have handed back.
    pub finished: u64,
    /// Jobs that were still waiting, handed back by this drain. Among them are those that were not due, and
    /// those whose deadline nobody had looked at before the engine stopped.
    pub returned: Vec<Returned<T>>,
    /// Jobs handed out and not settled yet; their grants stay good.
    pub running: u64,
    /// Jobs whose deadline came first, since the engine started; they were not run. The expiry hook gets each
    /// of them, the last ones perhaps after this report.
    pub expired: u64,
    /// Jobs whose producer had reserved a place and did not finish in time.
    pub unpublished: u64,
}

/// A job that a drain hands back.
#[non_exhaustive]
#[derive(Debug)]
pub struct Returned<T> {
    /// Whose job it is.
    pub tenant: Tenant,
    /// The job, as it was submitted, but that
    /// - its cost is what its kind cost then, and its kind is not known any more;
    /// - a [`delay`](Job::delay) is the moment it came to, and no moment is left once that has passed;
    /// - the earliest of what limited its wait, its tenant's longest wait included, is its
    ///   [`deadline`](Job::deadline), also one that has passed;
    /// - a budget that it named twice is named once.
    ///
    /// Moments are the engine's clock's, which may be handed on with
    /// [`Builder::clock`](crate::Builder::clock). What it [requires](Job::requires) and
    /// [draws on](Job::budget) is good for that engine: another one refuses the job (`invalid`), and does
    /// not run it as if it required nothing.
    ///
    /// A job that had been granted to a worker's thread and not begun has its cost and nothing else: it
    /// was due, in time, and its worker could run it.
    pub job: Job<T>,
}

impl<T> fmt::Debug for DrainReport<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DrainReport")
            .field("finished", &self.finished)
            .field("returned", &self.returned.len())
            .field("running", &self.running)
            .field("expired", &self.expired)
            .field("unpublished", &self.unpublished)
            .finish()
    }
}

impl<T: Send + 'static> Engine<T> {
    /// Stops the engine: intake at once (blocked submitters wake with `draining` and their job),
    /// workers when all ready jobs are done or `timeout` has passed. What still waits then is
    /// handed back.
    ///
    /// May be called from a handler, whose own job does not count as one to wait for. May be called
    /// again, also at the same time: every job is handed back once, and what one drain reports as
    /// `unpublished`, a later one may hand back. An engine without threads needs its workers to go
    /// on pulling meanwhile.
    pub fn drain(&self, timeout: Duration) -> DrainReport<T> {
        let shared = &self.shared;
        shared.stop_intake();
        let own = u32::from(super::threads::is_home(shared));
        shared.draining_handlers.fetch_add(own, Relaxed);
        shared.wait_until_done(timeout);
        shared.draining_handlers.fetch_sub(own, Relaxed);
        shared.stop_workers();
        shared.await_looks();
        shared.hand_back()
    }
}

impl<T: Send + 'static> Shared<T> {
    /// Waits until no job waits and none runs but those that drain, or until `timeout` has passed.
    fn wait_until_done(&self, timeout: Duration) {
        let deadline = now().checked_add(timeout);
        let mut quiet = self.quiet.0.lock().expect("no code panics under this lock");
        loop {
            let left = match deadline {
                Some(deadline) => deadline.saturating_duration_since(now()),
                None => LOOK_EVERY,
            };
            if left.is_zero() || self.is_done() {
                return;
            }
            quiet = wait_timeout(&self.quiet.0, &self.quiet.1, quiet, left.min(LOOK_EVERY));
        }
    }

    /// Looks at the lanes first: a job that has left its lane has been granted.
    fn is_done(&self) -> bool {
        let empty = self.is_empty();
        let (granted, settled) = self.grants();
        empty && granted - settled <= u64::from(self.draining_handlers.load(Relaxed))
    }

    pub(super) fn keep_shelves(&self, shelves: Arc<[Stealer<Grant<T>>]>) {
        *self.shelves.lock().expect("no code panics under this lock") = Some(shelves);
    }

    /// Takes back what has not started. One drain at a time, so that the report of each counts all
    /// that earlier ones have handed back.
    fn hand_back(&self) -> DrainReport<T> {
        let mut shelves = self.shelves.lock().expect("no code panics under this lock");
        let mut returned = self.take_back_shelves(shelves.take());
        self.collect(&mut returned);
        self.report(returned)
    }

    /// Takes back what was granted to workers' shelves and not started.
    fn take_back_shelves(&self, shelves: Option<Shelves<T>>) -> Vec<Returned<T>> {
        let mut returned = Vec::new();
        for shelf in shelves.iter().flat_map(|shelves| shelves.iter()) {
            loop {
                match shelf.steal() {
                    Steal::Success(grant) => returned.push(give_back(grant)),
                    Steal::Retry => crate::sync::spin(),
                    Steal::Empty => break,
                }
            }
        }
        self.taken_back.fetch_add(returned.len() as u64, Relaxed);
        returned
    }

    /// Takes every waiting job out of the lanes, in the order of the tenants' turns.
    fn collect(&self, returned: &mut Vec<Returned<T>>) {
        let mut seat = self.sit_down(self.collectors_desk());
        seat.observed = false;
        seat.hands_back = true;
        if !mutant!("engine.parked_left") {
            self.lanes.wake_parked();
        }
        let before = returned.len();
        let mut batch = Outbox::with_capacity(COLLECT_JOBS as usize);
        let mut patience = now() + PRODUCERS_GRACE;
        loop {
            self.lanes.rouse_all();
            match seat.tick(&self.lanes, self.clock.now(), COLLECT_JOBS, &mut batch) {
                crate::dispatch::Tick::Granted(_) => patience = now() + PRODUCERS_GRACE,
                _ if self.is_empty() || now() >= patience || mutant!("engine.no_patience") => break,
                _ => crate::sync::yield_now(),
            }
            let mut terms = seat.handed_back.drain(..).peekable();
            let grants = batch.drain().enumerate();
            returned.extend(grants.map(|(at, grant)| {
                let mut back = give_back(grant);
                if let Some(terms) = terms.next_if(|terms| terms.at == at) {
                    back.job.order = self.wishes(terms);
                }
                back
            }));
        }
        seat.settle_down(&self.lanes);
        self.taken_back.fetch_add((returned.len() - before) as u64, Relaxed);
    }

    /// What a job that comes back is to be submitted with once more.
    fn wishes(&self, terms: HandedBack) -> Wishes {
        let HandedBack { order, extra, set, .. } = terms;
        let is_due = order.due <= self.clock.now();
        Wishes {
            any: true,
            priority: order.priority,
            not_before: if is_due { Nanos::ZERO } else { order.due },
            deadline: order.deadline,
            set,
            set_engine: if set == 0 { 0 } else { self.lanes.number },
            spends: extra.map(|extra| self.spends(&extra)),
            ..Wishes::NONE
        }
    }

    fn is_empty(&self) -> bool {
        self.lanes.table.lanes().all(|(_, row)| row.progress().1 == 0)
    }

    fn report(&self, returned: Vec<Returned<T>>) -> DrainReport<T> {
        let (granted, settled) = self.grants();
        let waiting = self.lanes.table.lanes().map(|(_, row)| u64::from(row.progress().1));
        DrainReport {
            finished: settled - self.taken_back.load(Relaxed).min(settled),
            returned,
            running: granted - settled,
            expired: self.lanes.expired.total(),
            unpublished: waiting.sum(),
        }
    }

    /// Drops what still waits when the last handle goes. Payloads are not ours: they may panic.
    pub(super) fn discard_leftovers(&self) {
        self.await_looks();
        for job in self.hand_back().returned {
            let _ = self.guard(None, None, || drop(job));
        }
    }
}

fn give_back<T>(grant: Grant<T>) -> Returned<T> {
    let (tenant, cost) = (grant.tenant(), grant.cost());
    Returned { tenant, job: Job::new(grant.take_back()).cost(cost) }
}

impl<T: Send + 'static> Owner<T> {
    /// Joins the engine's threads, except the one that asks.
    pub(super) fn join_threads(&self) {
        let mut threads = self.threads.lock().expect("no code panics under this lock");
        let me = thread::current().id();
        for thread in threads.drain(..) {
            if thread.thread().id() != me {
                // A thread's panics are caught inside; nothing is left to pass on.
                let _ = thread.join();
            }
        }
    }
}
