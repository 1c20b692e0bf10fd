//! Pulling grants from a service's own threads.

use super::Engine;
use super::shared::Shared;
use crate::claim::Grant;
use crate::dispatch::{Seat, Tick};
use crate::park::Bed;
use crate::sync::{self, Outbox};
use crate::units::{Capabilities, Nanos};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Most jobs granted by one call.
const BATCH_MAX: usize = 4_096;

/// A place from which one thread takes grants. It stays on the thread that made it:
///
/// ```compile_fail,E0277
/// fn is_send<T: Send>() {}
/// is_send::<fairlane::Worker<u64>>();
/// ```
///
/// Grants it hands out are `Send`, as every payload must be: they may be completed anywhere, also
/// after the worker is gone.
///
/// Several workers on one thread are fine; that is how tests and simulations run many of them
/// under a manual clock.
///
/// Jobs that a call has handed out are the caller's: no other worker can take them over. So take
/// few at a time (1 is best) when jobs are slow, many when they are fast.
pub struct Worker<T: Send + 'static> {
    pub(super) shared: Arc<Shared<T>>,
    pub(super) seat: Seat,
    /// Always there until the worker drops.
    bed: Option<Bed>,
    pub(super) index: usize,
    pub(super) batch: Outbox<Grant<T>>,
    /// Consecutive times that only unfinished producers were left.
    stalls: u32,
}

/// Why there is no worker to be had.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WorkerError {
    /// All of the engine's worker places are taken; the number is set with `Builder::workers`.
    AllTaken {
        /// How many there are.
        workers: usize,
    },
}

impl fmt::Display for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WorkerError::AllTaken { workers } => write!(f, "all {workers} worker places are taken"),
        }
    }
}

impl std::error::Error for WorkerError {}

impl<T: Send + 'static> Engine<T> {
    /// Takes a worker place for the calling thread; dropping the worker gives it back.
    ///
    /// # Errors
    /// [`WorkerError::AllTaken`], always so on an engine that runs threads of its own.
    pub fn worker(&self) -> Result<Worker<T>, WorkerError> {
        self.worker_with(Capabilities::default())
    }

    /// The same for a worker that has `capabilities`, and so is granted jobs that require any of them as
    /// well. It finds jobs that have waited for such a worker with its first look.
    ///
    /// # Errors
    /// As [`worker`](Engine::worker).
    pub fn worker_with(&self, capabilities: Capabilities) -> Result<Worker<T>, WorkerError> {
        let shared = &self.shared;
        let workers = shared.workers();
        let free = shared.desks[..workers].iter().enumerate().find_map(|(index, desk)| {
            let bed = desk.bed.lock().expect("no code panics under this lock").take()?;
            Some((index, bed))
        });
        let (index, bed) = free.ok_or(WorkerError::AllTaken { workers })?;
        Ok(Worker {
            shared: Arc::clone(shared),
            seat: shared.sit_down_with(index, capabilities),
            bed: Some(bed),
            index,
            batch: Outbox::with_capacity(64),
            stalls: 0,
        })
    }
}

impl<T: Send + 'static> Worker<T> {
    /// Grants up to `most` jobs (at most 4,096), in the order the tenants' turns come. Never
    /// blocks; empty when nothing is ready or the engine has stopped.
    ///
    /// Grants that the caller does not take out of the iterator are dropped with it, which
    /// settles them. Deadlines are looked at when jobs are granted: whoever takes many at once and runs
    /// them one after the other may begin some of them later than that.
    ///
    /// # Panics
    /// When the engine is broken, a bug of ours. What the worker held is then another's, and what it was
    /// granted comes with its next call; a worker that drops before settles that too.
    ///
    /// # Cost
    /// One clock read a call, a few read-modify-writes per 64 tenants visited, none per job.
    #[inline]
    pub fn next_batch(&mut self, most: usize) -> std::vec::Drain<'_, Grant<T>> {
        let now = self.shared.clock.now();
        self.tick(now, most)
    }

    /// As [`next_batch`](Worker::next_batch) at a moment the caller names: the passive form, for
    /// tests and simulations. Moments must not decrease from call to call.
    #[inline]
    pub fn tick(&mut self, now: Nanos, most: usize) -> std::vec::Drain<'_, Grant<T>> {
        if self.fill(now, most) == Tick::Stalled {
            self.leave_stalled();
        }
        self.batch.drain_some(most)
    }

    /// Before the caller does something else: others look after the unfinished producers, whose jobs wake
    /// nobody when they come.
    #[cold]
    fn leave_stalled(&self) {
        self.shared.lanes.wake_for_all();
    }

    /// The next moment at which something is to be done although nothing is submitted and no grant
    /// ends: a parked lane returns, a job comes due or expires. `None` when nothing waits for a moment.
    ///
    /// For those who drive [`tick`](Worker::tick) by a clock of their own: a tick at that moment, for any
    /// number of jobs, does it. The threads of an engine and [`wait_batch`](Worker::wait_batch) see to
    /// it themselves.
    #[must_use]
    pub fn next_moment(&self) -> Option<Nanos> {
        Some(self.shared.lanes.gate.next_at()).filter(|at| *at < Nanos::MAX)
    }

    pub(super) fn fill(&mut self, now: Nanos, most: usize) -> Tick {
        let most = most.min(BATCH_MAX);
        if self.batch.len() > 0 {
            // Granted by a call that has ended in a panic.
            return Tick::Granted(self.batch.len() as u32);
        }
        self.batch.prepare(most);
        if !self.shared.begin_look(self.index) {
            return Tick::Idle;
        }
        let look = Looking { shared: &self.shared, index: self.index };
        let tick = self.seat.tick(&self.shared.lanes, now, most as u32, &mut self.batch);
        drop(look);
        if self.seat.has_news() {
            self.shared.tell_seen(self.index, &mut self.seat, now);
        }
        self.shared.tell_expired(Some(self.index));
        tick
    }

    /// Whether the engine has stopped, so that no grant will come any more.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.shared.is_stopped()
    }

    /// As [`next_batch`](Worker::next_batch), but sleeps up to `limit` for the first job. Empty
    /// when the time is up or the engine has stopped, and at once for `most` 0.
    pub fn wait_batch(&mut self, most: usize, limit: Duration) -> std::vec::Drain<'_, Grant<T>> {
        // Asleep it would be woken for jobs that it does not take.
        let limit = if most == 0 { Duration::ZERO } else { limit };
        let deadline = sync::now().checked_add(limit);
        loop {
            let now = self.shared.clock.now();
            let tick = self.fill(now, most);
            let left = match deadline {
                Some(deadline) => deadline.saturating_duration_since(sync::now()),
                None => limit,
            };
            if matches!(tick, Tick::Granted(_)) || left.is_zero() || self.shared.is_stopped() {
                self.stalls = 0;
                if tick == Tick::Stalled {
                    self.leave_stalled();
                }
                return self.batch.drain_some(most);
            }
            self.rest(tick, left);
        }
    }

    fn rest(&mut self, tick: Tick, left: Duration) {
        self.seat.settle_down(&self.shared.lanes);
        self.shared.tell_quiet();
        let bed = self.bed.as_ref().expect("a worker has its bed until it drops");
        match tick {
            Tick::Stalled => {
                self.stalls += 1;
                self.seat.counters.stalls.add(1);
                self.shared.wait_out_stall(bed, self.stalls, left);
            }
            _ => {
                self.stalls = 0;
                self.seat.counters.sleeps.add(1);
                let lanes = &self.shared.lanes;
                let next = lanes.gate.next_at();
                let left = left.min(next.since(self.shared.clock.now()).as_duration());
                bed.sleep(&lanes.sleepers, Some(left), || {
                    self.shared.is_stopped()
                        || self.seat.has_work(lanes)
                        || lanes.gate.next_at() < next
                });
            }
        }
    }
}

/// Tries before a worker that sees only unfinished producers sleeps.
const STALL_YIELDS: u32 = 16;
/// First and longest sleep over unfinished producers.
const STALL_SLEEP: (Duration, Duration) = (Duration::from_micros(50), Duration::from_millis(1));

impl<T: Send + 'static> Shared<T> {
    /// Lets unfinished producers finish: yields at first, then sleeps longer each time. A lane
    /// that becomes backlogged ends the sleep.
    pub(super) fn wait_out_stall(&self, bed: &Bed, stalls: u32, most: Duration) {
        let Some(sleeps) = stalls.checked_sub(STALL_YIELDS) else {
            sync::yield_now();
            return;
        };
        let (first, longest) = STALL_SLEEP;
        let limit = (first * (1 << sleeps.min(5))).min(longest).min(most);
        bed.sleep(&self.lanes.sleepers, Some(limit), || {
            self.is_stopped() || self.lanes.rotation.has_fresh()
        });
    }
}

/// A look for work, which ends when this drops: also by a panic.
struct Looking<'a, T: Send + 'static> {
    shared: &'a Shared<T>,
    index: usize,
}

impl<T: Send + 'static> Drop for Looking<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.shared.end_look(self.index);
    }
}

impl<T: Send + 'static> Drop for Worker<T> {
    fn drop(&mut self) {
        let shared = Arc::clone(&self.shared);
        // A second panic while one passes would end the process.
        let _ = shared.guard_own(Some(self.index), || self.seat.settle_down(&shared.lanes));
        self.seat.counters.begin_idleness(self.shared.clock.now());
        self.shared.lanes.dismiss(self.index, self.shared.clock.now());
        // From here on the place may be another's.
        let bed = self.bed.take();
        *self.shared.desks[self.index].bed.lock().expect("no code panics under this lock") = bed;
        // A wake meant for this worker is passed on.
        self.shared.lanes.wake_for_all();
    }
}

impl<T: Send + 'static> fmt::Debug for Worker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("index", &self.index).finish_non_exhaustive()
    }
}
