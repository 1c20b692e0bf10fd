//! A bounded queue per tenant, and a queue of the tenants that have work: no locks, and memory for
//! every tenant's bound from the start.

use super::{Entry, Exit, Payload, Setup, System};
use crossbeam_queue::ArrayQueue;
use crossbeam_utils::CachePadded;
use std::sync::atomic::Ordering::{AcqRel, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicUsize};

pub(crate) const NAME: &str = "ArrayQueue per tenant";
/// Smallest bound of one tenant: with fewer slots a tenant that gets two jobs in a row is refused.
const TENANT_MIN: usize = 8;

/// Each lane is in the ready queue at most once, so that queue is never full.
pub(crate) struct ReadyQueue {
    lanes: Vec<Lane>,
    ready: ArrayQueue<u32>,
    /// Jobs in flight; exact, for the same bound as everyone's.
    waiting: CachePadded<AtomicUsize>,
    capacity: usize,
}

struct Lane {
    jobs: ArrayQueue<(Payload, u32)>,
    /// Whether the lane is in the ready queue or being served.
    scheduled: AtomicBool,
    quantum: u32,
}

impl ReadyQueue {
    pub(crate) fn new(setup: &Setup) -> ReadyQueue {
        // Four times its part for each, since jobs do not come evenly.
        let slots = (4 * setup.capacity / setup.tenants).clamp(TENANT_MIN, setup.capacity);
        let lane = |quantum| Lane {
            jobs: ArrayQueue::new(slots),
            scheduled: AtomicBool::new(false),
            quantum,
        };
        ReadyQueue {
            lanes: setup.quanta().map(lane).collect(),
            ready: ArrayQueue::new(setup.tenants),
            waiting: CachePadded::new(AtomicUsize::new(0)),
            capacity: setup.capacity,
        }
    }

    fn schedule(&self, lane: u32) {
        self.ready.push(lane).expect("each lane is in the ready queue at most once");
    }
}

impl System for ReadyQueue {
    fn name(&self) -> &'static str {
        NAME
    }

    fn entry(&self) -> impl Entry {
        Push(self)
    }

    fn exit(&self) -> impl Exit {
        Take { system: self, deficits: vec![0; self.lanes.len()], turn: None }
    }
}

struct Push<'a>(&'a ReadyQueue);

impl Entry for Push<'_> {
    #[inline]
    fn offer(&mut self, tenant: u32, cost: u32, payload: Payload) -> bool {
        let system = self.0;
        let lane = &system.lanes[tenant as usize];
        let full = system.waiting.fetch_add(1, Relaxed) >= system.capacity;
        if full || lane.jobs.push((payload, cost)).is_err() {
            system.waiting.fetch_sub(1, Relaxed);
            return false;
        }
        if !lane.scheduled.swap(true, AcqRel) {
            system.schedule(tenant);
        }
        true
    }
}

struct Take<'a> {
    system: &'a ReadyQueue,
    /// Cost units left to spend. A job's cost is known once it is taken, so a balance may go below
    /// zero; the next quantum pays for that.
    deficits: Vec<i64>,
    /// The lane whose turn a full batch cut short.
    turn: Option<u32>,
}

impl Take<'_> {
    /// Takes jobs of one turn; how many.
    #[inline]
    fn serve(&mut self, at: u32, most: usize, sink: &mut impl FnMut(Payload)) -> usize {
        let (lane, deficit) = (&self.system.lanes[at as usize], &mut self.deficits[at as usize]);
        let mut taken = 0;
        while *deficit > 0 && taken < most {
            let Some((payload, cost)) = lane.jobs.pop() else {
                *deficit = 0;
                break;
            };
            *deficit -= i64::from(cost);
            taken += 1;
            sink(payload);
        }
        taken
    }

    /// Ends a turn: back into the ready queue, or out of it until the next job.
    fn leave(&self, at: u32) {
        let lane = &self.system.lanes[at as usize];
        if !lane.jobs.is_empty() {
            return self.system.schedule(at);
        }
        // A producer that saw the lane scheduled swapped before this does, so its job is seen now.
        lane.scheduled.swap(false, AcqRel);
        if !lane.jobs.is_empty() && !lane.scheduled.swap(true, AcqRel) {
            self.system.schedule(at);
        }
    }
}

impl Drop for Take<'_> {
    /// A lane whose turn was cut short is in no queue; the next consumer has to find it.
    fn drop(&mut self) {
        if let Some(at) = self.turn {
            self.leave(at);
        }
    }
}

impl Exit for Take<'_> {
    #[inline]
    fn take(&mut self, most: usize, sink: &mut impl FnMut(Payload)) -> usize {
        let mut taken = 0;
        while taken < most {
            let at = match self.turn.take() {
                Some(at) => at,
                None => {
                    let Some(at) = self.system.ready.pop() else { break };
                    self.deficits[at as usize] += i64::from(self.system.lanes[at as usize].quantum);
                    at
                }
            };
            taken += self.serve(at, most - taken, sink);
            if taken == most && self.deficits[at as usize] > 0 {
                self.turn = Some(at);
            } else {
                self.leave(at);
            }
        }
        if taken > 0 {
            self.system.waiting.fetch_sub(taken, Relaxed);
        }
        taken
    }
}
