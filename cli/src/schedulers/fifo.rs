//! The plain alternative: one queue for everybody, served in order of arrival.
//!
//! It has the same bounds, the same number of workers and the same handler as the engine, so that
//! the order of service is all that differs.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use fairlane::Reason;

use super::{Bounds, Leftovers, Request, Scheduler, handle};
use crate::report::{Ending, Tape};

/// A bounded first-in first-out queue.
pub(crate) struct FifoQueue {
    bounds: Bounds,
    jobs: VecDeque<Request>,
    /// Jobs in `jobs` by tenant.
    queued: Vec<u32>,
}

impl FifoQueue {
    pub(crate) fn new(bounds: Bounds) -> FifoQueue {
        FifoQueue { queued: vec![0; bounds.tenant_max.len()], jobs: VecDeque::new(), bounds }
    }

    pub(crate) fn push(&mut self, request: Request) -> Result<(), Reason> {
        let tenant = request.tenant as usize;
        if self.queued[tenant] >= self.bounds.tenant_max[tenant] {
            return Err(Reason::QueueFull);
        }
        if self.jobs.len() >= self.bounds.engine_max as usize {
            return Err(Reason::EngineFull);
        }
        self.queued[tenant] += 1;
        self.jobs.push_back(request);
        Ok(())
    }

    pub(crate) fn pop(&mut self) -> Option<Request> {
        let request = self.jobs.pop_front()?;
        self.queued[request.tenant as usize] -= 1;
        Some(request)
    }

    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }
}

/// A FIFO with worker threads.
pub(crate) struct Fifo {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// Signalled once per accepted job, and for all when intake ends.
    changed: Condvar,
    tape: Arc<Tape>,
}

struct State {
    queue: FifoQueue,
    /// Set when no more jobs come.
    end: Option<Leftovers>,
}

impl Fifo {
    /// Starts `workers` threads on an empty queue.
    pub(crate) fn start(workers: u32, bounds: Bounds, tape: Arc<Tape>) -> Fifo {
        let state = State { queue: FifoQueue::new(bounds), end: None };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), tape });
        let spawn = |_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.work())
        };
        Fifo { workers: (0..workers).map(spawn).collect(), shared }
    }
}

impl Scheduler for Fifo {
    fn submit(&mut self, request: Request) -> Result<(), Reason> {
        self.shared.lock().queue.push(request)?;
        self.shared.changed.notify_one();
        Ok(())
    }

    fn finish(self, leftovers: Leftovers) -> Ending {
        self.shared.lock().end = Some(leftovers);
        self.shared.changed.notify_all();
        for worker in self.workers {
            worker.join().expect("the handler does not panic");
        }
        let returned = self.shared.lock().queue.len() as u64;
        Ending { services: self.shared.tape.take(), returned, ..Ending::default() }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(request) = self.next() {
            handle(&self.tape, request);
        }
    }

    /// Waits for the oldest job; `None` once none is to be served any more.
    fn next(&self) -> Option<Request> {
        let idle = |state: &mut State| state.end.is_none() && state.queue.len() == 0;
        let waited = self.changed.wait_while(self.lock(), idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        if state.end == Some(Leftovers::Return) {
            return None;
        }
        state.queue.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairlane::Nanos;
    use std::time::{Duration, Instant};

    fn start(workers: u32, tenant_max: u32, engine_max: u32) -> Fifo {
        let bounds = Bounds { tenant_max: vec![tenant_max; 9], engine_max };
        Fifo::start(workers, bounds, Arc::new(Tape::new(Instant::now(), workers as usize)))
    }

    fn request(tenant: u32) -> Request {
        Request { tenant, cost: 1, arrived: Nanos::ZERO, takes: Nanos(1_000_000) }
    }

    #[test]
    fn bounds_are_exact_for_a_tenant_and_for_all() {
        // The `bounds` scenario: 32 in all, 4 each, 8 tenants full.
        let mut fifo = start(0, 4, 32);
        for tenant in 0..8 {
            (0..4).for_each(|_| assert_eq!(fifo.submit(request(tenant)), Ok(())));
        }
        assert_eq!(fifo.submit(request(0)), Err(Reason::QueueFull));
        assert_eq!(fifo.submit(request(8)), Err(Reason::EngineFull));
        let ending = fifo.finish(Leftovers::Return);
        assert_eq!((ending.returned, ending.services.len()), (32, 0));
    }

    #[test]
    fn jobs_are_served_in_order_of_arrival_and_give_their_place_back() {
        let mut fifo = start(1, 2, 100);
        let mut offered = Vec::new();
        for tenant in [3, 1, 2, 1, 3] {
            assert_eq!(fifo.submit(request(tenant)), Ok(()));
            offered.push(tenant);
        }
        while fifo.shared.lock().queue.len() > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(fifo.submit(request(1)), Ok(()));
        let mut services = fifo.finish(Leftovers::Serve).services;
        services.sort_by_key(|service| service.at);
        let served: Vec<u32> = services.iter().map(|service| service.tenant).collect();
        assert_eq!((&served[..5], served.len()), (&offered[..], 6));
    }

    #[test]
    fn what_is_still_queued_at_the_end_is_returned_or_served_as_asked() {
        for leftovers in [Leftovers::Return, Leftovers::Serve] {
            let mut fifo = start(2, 1_000, 1_000);
            (0..200).for_each(|_| assert_eq!(fifo.submit(request(0)), Ok(())));
            let ending = fifo.finish(leftovers);
            assert_eq!(ending.services.len() as u64 + ending.returned, 200);
            assert_eq!(ending.returned > 0, leftovers == Leftovers::Return);
        }
    }
}
