//! One lane small enough for loom, with nothing of tenants, rounds and workers around it.

use crate::ring::{
    Door, Head, Left, Pool, ReserveError, Rest, Returns, Stamp, Stop, Tail, Taker, Ticket,
};
use crate::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sync::{Outbox, UnsafeCell};
use std::sync::Arc;
use std::sync::atomic::AtomicU32 as Uncounted;

/// A lane, its pool, and a rotation with one place.
pub(super) struct Lane<T> {
    pub(super) pool: Pool<T>,
    pub(super) tail: Tail,
    /// The drainer's state, for whoever took the lane out of the rotation.
    drain: UnsafeCell<Head>,
    /// The head that producers see. Relaxed, so that models do not lean on its ordering.
    head: AtomicU32,
    /// 1 while the lane stands in the rotation. Only ever swapped.
    standing: AtomicU32,
    bound: u32,
    start: u32,
    /// Jobs and tombstones passed, as loom's scheduler sees it: an atomic that models nothing.
    passed: Uncounted,
}

// SAFETY: `drain` is touched by the one thread that swapped `standing` to 0; that this is enough
// is what the models check.
unsafe impl<T: Send> Sync for Lane<T> {}

/// Takes every job as it is.
struct TakesAll;

impl<T> Taker<T> for TakesAll {
    type Out = T;
    type Till = ();

    fn open(&self) {}

    fn close(&mut self, (): ()) {}

    fn admit(&mut self, (): &mut (), _cost: u32) -> bool {
        true
    }

    fn make(&mut self, (): &mut (), _cost: u32, _stamp: Stamp, payload: T) -> T {
        payload
    }
}

impl<T: Send> Lane<T> {
    /// An idle lane of generation 0 that holds `bound` jobs, in blocks of `slots`.
    pub(super) fn new(slots: u32, blocks: u32, bound: u32) -> Arc<Lane<T>> {
        Lane::starting_at(0, slots, blocks, bound)
    }

    /// The same, counting positions from `start`.
    pub(super) fn starting_at(start: u32, slots: u32, blocks: u32, bound: u32) -> Arc<Lane<T>> {
        Arc::new(Lane {
            pool: Pool::shaped(slots, blocks, 1, 1),
            tail: Tail::new(0, start),
            drain: UnsafeCell::new(Head::new(start)),
            head: AtomicU32::new(start),
            standing: AtomicU32::new(0),
            bound,
            start,
            passed: Uncounted::new(0),
        })
    }

    /// What a handle of `generation` knows.
    pub(super) fn door(&self, generation: u16) -> Door<'_> {
        Door { generation, bound: self.bound, head: &self.head }
    }

    /// What `Shared::submit` does: reserve, publish, activate.
    pub(super) fn push(&self, job: T) -> Result<(), ReserveError> {
        self.push_as(0, job)
    }

    /// The same with a handle of `generation`.
    pub(super) fn push_as(&self, generation: u16, job: T) -> Result<(), ReserveError> {
        let ticket = self.reserve(generation)?;
        self.assert_within_bound(ticket.position());
        let activates = ticket.activates;
        ticket.publish(1, Stamp::NONE, job);
        if activates {
            self.activate();
        }
        Ok(())
    }

    fn reserve(&self, generation: u16) -> Result<Ticket<'_, T>, ReserveError> {
        let (door, word) = (self.door(generation), self.tail.enter());
        match self.tail.reserve_next(&self.pool, door, word, self.pool.mask()) {
            Some(ticket) => Ok(ticket),
            None => self.tail.reserve(&self.pool, door),
        }
    }

    /// Reserves a position and gives up before publishing.
    pub(super) fn give_up(&self) {
        let ticket = self.reserve(0).expect("there is room");
        let activates = ticket.activates;
        drop(ticket);
        if activates {
            self.activate();
        }
    }

    /// What `Shared::submit_batch` does; gives up after `jobs` if the span is longer.
    pub(super) fn push_span(
        &self,
        wanted: u32,
        jobs: impl IntoIterator<Item = T>,
    ) -> Result<u32, ReserveError> {
        let mut span = self.tail.reserve_span(&self.pool, self.door(0), wanted)?;
        let (activates, len) = (span.activates, span.len());
        for job in jobs {
            let Some(ticket) = span.next_ticket() else { break };
            self.assert_within_bound(ticket.position());
            ticket.publish(1, Stamp::NONE, job);
        }
        drop(span);
        if activates {
            self.activate();
        }
        Ok(len)
    }

    fn assert_within_bound(&self, position: u32) {
        let reserved = position.wrapping_sub(self.start) % (1 << 23) + 1;
        assert!(reserved - self.passed.load(Relaxed) <= self.bound);
    }

    /// Puts the lane into the rotation.
    pub(super) fn activate(&self) {
        assert_eq!(self.standing.swap(1, Release), 0, "the lane is in the rotation already");
    }

    /// What a worker's visit does: claims the lane, takes at most `most` jobs, and puts it back, or
    /// takes it out of the rotation when it is empty.
    pub(super) fn visit(&self, most: usize) -> Vec<T> {
        let mut jobs = Vec::new();
        if self.standing.swap(0, Acquire) == 1 {
            let mut returns = Returns::new();
            let left = self.open(|head| {
                let stop = self.take(head, most, &mut returns, &mut jobs);
                let empty = stop == Stop::Nothing && head.rest(&self.tail) == Rest::Empty;
                empty.then(|| head.leave())
            });
            self.put_back(left, &mut returns);
        }
        jobs
    }

    /// The same for a lane that stays in the rotation, whether it is empty or not.
    pub(super) fn visit_and_stay(&self, most: usize) -> Vec<T> {
        let mut jobs = Vec::new();
        if self.standing.swap(0, Acquire) == 1 {
            self.open(|head| self.take(head, most, &mut Returns::new(), &mut jobs));
            self.activate();
        }
        jobs
    }

    /// The same for a lane that, when it is empty, stays without a block.
    pub(super) fn visit_and_linger(&self, most: usize) -> Vec<T> {
        let mut jobs = Vec::new();
        if self.standing.swap(0, Acquire) == 1 {
            let mut returns = Returns::new();
            self.open(|head| {
                let stop = self.take(head, most, &mut returns, &mut jobs);
                if stop == Stop::Nothing && !jobs.is_empty() {
                    head.give_up_block((&self.tail, &self.pool, &mut returns));
                }
            });
            self.activate();
        }
        jobs
    }

    fn open<R>(&self, work: impl FnOnce(&mut Head) -> R) -> R {
        self.drain.with_mut(|head| {
            // SAFETY: the caller has taken the lane out of the rotation.
            work(unsafe { &mut *head })
        })
    }

    fn take(&self, head: &mut Head, most: usize, returns: &mut Returns, jobs: &mut Vec<T>) -> Stop {
        let mut out = Outbox::with_capacity(most.min(8));
        let lane = (&self.tail, &self.pool, returns);
        let stop = head.take_while(lane, &mut out, &mut TakesAll);
        jobs.extend(out.drain());
        let passed = head.position().wrapping_sub(self.start) % (1 << 23);
        self.passed.store(passed, Relaxed);
        self.head.store(head.position(), Relaxed);
        stop
    }

    fn put_back(&self, left: Option<Left>, returns: &mut Returns) {
        if let Some(left) = left {
            if self.tail.deactivate(left, &self.pool, returns) {
                return;
            }
            self.open(|head| head.stay(left));
        }
        self.activate();
    }

    /// Takes what is left once all producers are done; then the lane is idle, and every block is
    /// free again.
    pub(super) fn finish(&self) -> Vec<T> {
        let mut jobs = Vec::new();
        for _ in 0..3 {
            jobs.extend(self.visit(usize::MAX));
        }
        assert!(self.tail.look().is_idle());
        assert_eq!(self.standing.swap(0, Acquire), 0, "an idle lane is out of the rotation");
        jobs
    }

    /// Takes every block out of the pool: `blocks` of them, each once.
    pub(super) fn assert_blocks(&self, blocks: usize) {
        let mut free: Vec<_> = std::iter::from_fn(|| self.pool.take(0)).collect();
        free.sort_unstable();
        assert_eq!(free, (0..blocks as u32).collect::<Vec<_>>());
    }
}

/// The jobs in `all` that came from `producer`, which numbers them `producer * 10 + 1..`.
pub(super) fn from(producer: u64, all: &[u64]) -> Vec<u64> {
    all.iter().copied().filter(|job| job / 10 == producer).collect()
}
