//! Deficit round robin behind one mutex: what people write.

use super::{Entry, Exit, Payload, Setup, System};
use parking_lot::Mutex;
use std::collections::VecDeque;

pub(crate) const NAME: &str = "mutex DRR";

/// Queues of interned tenants and whose turn it is. Queues keep their memory, so that a warm one
/// allocates nothing per job.
pub(crate) struct Drr {
    lanes: Vec<Lane>,
    /// Lanes with jobs, each once; the first has its turn.
    active: VecDeque<u32>,
    waiting: usize,
    capacity: usize,
}

struct Lane {
    jobs: VecDeque<(Payload, u32)>,
    /// Cost units left to spend.
    deficit: u32,
    quantum: u32,
    /// Whether this turn's quantum has been added.
    refilled: bool,
}

impl Drr {
    /// One lane for each quantum, and room for `capacity` jobs in all.
    pub(crate) fn new(quanta: impl Iterator<Item = u32>, capacity: usize) -> Drr {
        let lane = |quantum| {
            let jobs = VecDeque::with_capacity(4);
            Lane { jobs, deficit: 0, quantum, refilled: false }
        };
        let lanes: Vec<_> = quanta.map(lane).collect();
        let active = VecDeque::with_capacity(lanes.len());
        Drr { lanes, active, waiting: 0, capacity }
    }

    /// Queues a job; `false` when there is no room.
    #[inline]
    pub(crate) fn push(&mut self, lane: usize, cost: u32, payload: Payload) -> bool {
        if self.waiting >= self.capacity {
            return false;
        }
        self.waiting += 1;
        let jobs = &mut self.lanes[lane].jobs;
        if jobs.is_empty() {
            self.active.push_back(lane as u32);
        }
        jobs.push_back((payload, cost));
        true
    }

    /// Moves jobs into `out` until it holds `most` or nothing waits.
    pub(crate) fn take(&mut self, most: usize, out: &mut Vec<Payload>) {
        while out.len() < most {
            let Some(&at) = self.active.front() else { return };
            let lane = &mut self.lanes[at as usize];
            self.waiting -= lane.serve(most, out);
            if lane.jobs.is_empty() {
                lane.deficit = 0;
            } else if out.len() == most {
                return;
            }
            lane.refilled = false;
            let waits = !lane.jobs.is_empty();
            self.active.pop_front();
            if waits {
                self.active.push_back(at);
            }
        }
    }
}

impl Lane {
    /// Takes what the balance covers; how many jobs.
    #[inline]
    fn serve(&mut self, most: usize, out: &mut Vec<Payload>) -> usize {
        if !self.refilled {
            self.refilled = true;
            self.deficit += self.quantum;
        }
        let before = out.len();
        while out.len() < most
            && let Some(&(payload, cost)) = self.jobs.front()
            && cost <= self.deficit
        {
            self.jobs.pop_front();
            self.deficit -= cost;
            out.push(payload);
        }
        out.len() - before
    }
}

/// One lock around all of it.
pub(crate) struct MutexDrr(Mutex<Drr>);

impl MutexDrr {
    pub(crate) fn new(setup: &Setup) -> MutexDrr {
        MutexDrr(Mutex::new(Drr::new(setup.quanta(), setup.capacity)))
    }
}

impl System for MutexDrr {
    fn name(&self) -> &'static str {
        NAME
    }

    fn entry(&self) -> impl Entry {
        Push(self)
    }

    fn exit(&self) -> impl Exit {
        Take { system: self, batch: Vec::with_capacity(super::BATCH) }
    }
}

struct Push<'a>(&'a MutexDrr);

impl Entry for Push<'_> {
    #[inline]
    fn offer(&mut self, tenant: u32, cost: u32, payload: Payload) -> bool {
        self.0.0.lock().push(tenant as usize, cost, payload)
    }
}

struct Take<'a> {
    system: &'a MutexDrr,
    batch: Vec<Payload>,
}

impl Exit for Take<'_> {
    #[inline]
    fn take(&mut self, most: usize, sink: &mut impl FnMut(Payload)) -> usize {
        self.system.0.lock().take(most, &mut self.batch);
        let taken = self.batch.len();
        self.batch.drain(..).for_each(sink);
        taken
    }
}
