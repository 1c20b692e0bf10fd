//! The systems compared, each behind the same two calls.

use crossbeam_queue::ArrayQueue;
use fairlane::{Engine, Job, Policy, Tenant, Worker};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;

/// Sixteen bytes, as in a request id and a number.
#[derive(Clone, Copy)]
pub(crate) struct Payload {
    pub(crate) number: u64,
    pub(crate) tenant: u64,
}

/// Jobs that may be in flight in any of the systems.
pub(crate) const CAPACITY: usize = 16_384;
/// Most jobs a consumer takes at once, in every system.
pub(crate) const BATCH: usize = 64;

/// One way to get jobs from a producer to a consumer.
pub(crate) trait System: Sync {
    fn name(&self) -> &'static str;
    /// Offers a job; `false` when there is no room.
    fn offer(&self, tenant: usize, payload: Payload) -> bool;
    /// Gives every job to `sink`, up to [`BATCH`] taken at a time, until `stop` was true before an
    /// attempt that found nothing.
    fn serve(&self, stop: &dyn Fn() -> bool, sink: &mut dyn FnMut(Payload));
}

/// fairlane through its pull API.
pub(crate) struct Fairlane {
    engine: Engine<Payload>,
    tenants: Vec<Tenant>,
}

impl Fairlane {
    pub(crate) fn new(tenants: usize) -> Self {
        // The engine-wide bound is counted in blocks, and every tenant with a job holds one.
        let queue_max = CAPACITY as u32;
        let policy = Policy::builder()
            .queue_max(queue_max)
            .tenants_max(tenants as u32)
            .default_queue_max(CAPACITY.min(10_000) as u32)
            .build()
            .expect("a valid policy");
        let engine = Engine::builder().policy(policy).workers(1).build().expect("one worker");
        let tiers = ["starter", "growth", "scale"];
        let tenants = (0..tenants)
            .map(|k| engine.tenant(&format!("tenant-{k}"), tiers[k % 3]).expect("room for all"))
            .collect();
        Fairlane { engine, tenants }
    }
}

impl System for Fairlane {
    fn name(&self) -> &'static str {
        "fairlane"
    }

    #[inline]
    fn offer(&self, tenant: usize, payload: Payload) -> bool {
        self.engine.submit(self.tenants[tenant], Job::new(payload)).is_ok()
    }

    fn serve(&self, stop: &dyn Fn() -> bool, sink: &mut dyn FnMut(Payload)) {
        let mut worker: Worker<Payload> = self.engine.worker().expect("the only worker");
        loop {
            let last = stop();
            let mut any = false;
            for grant in worker.next_batch(BATCH) {
                any = true;
                sink(grant.into_payload());
            }
            if !any && last {
                return;
            }
        }
    }
}

/// crossbeam's bounded queue: first in, first out, no tenants.
pub(crate) struct Fifo(ArrayQueue<Payload>);

impl Fifo {
    pub(crate) fn new() -> Self {
        Fifo(ArrayQueue::new(CAPACITY))
    }
}

impl System for Fifo {
    fn name(&self) -> &'static str {
        "ArrayQueue"
    }

    #[inline]
    fn offer(&self, _tenant: usize, payload: Payload) -> bool {
        self.0.push(payload).is_ok()
    }

    fn serve(&self, stop: &dyn Fn() -> bool, sink: &mut dyn FnMut(Payload)) {
        loop {
            let last = stop();
            let mut taken = 0;
            while taken < BATCH {
                let Some(payload) = self.0.pop() else { break };
                taken += 1;
                sink(payload);
            }
            if taken == 0 && last {
                return;
            }
            if taken == 0 {
                std::hint::spin_loop();
            }
        }
    }
}

/// What people write: one mutex around per-tenant queues and a deficit round robin list.
pub(crate) struct MutexDrr(Arc<Mutex<Drr>>);

struct Drr {
    lanes: Vec<Lane>,
    active: VecDeque<u32>,
    waiting: usize,
}

struct Lane {
    jobs: VecDeque<Payload>,
    deficit: u32,
    quantum: u32,
    active: bool,
}

impl MutexDrr {
    pub(crate) fn new(tenants: usize) -> Self {
        let lanes = (0..tenants)
            .map(|k| Lane {
                jobs: VecDeque::with_capacity(4),
                deficit: 0,
                quantum: [20, 24, 40][k % 3],
                active: false,
            })
            .collect();
        MutexDrr(Arc::new(Mutex::new(Drr { lanes, active: VecDeque::new(), waiting: 0 })))
    }
}

impl Drr {
    fn take(&mut self, most: usize, out: &mut Vec<Payload>) {
        while out.len() < most {
            let Some(&at) = self.active.front() else { return };
            let lane = &mut self.lanes[at as usize];
            if lane.deficit == 0 {
                lane.deficit = lane.quantum;
            }
            while lane.deficit > 0 && out.len() < most {
                let Some(job) = lane.jobs.pop_front() else { break };
                lane.deficit -= 1;
                self.waiting -= 1;
                out.push(job);
            }
            let empty = lane.jobs.is_empty();
            if empty {
                lane.active = false;
                lane.deficit = 0;
            }
            if empty || lane.deficit == 0 {
                self.active.pop_front();
                if !empty {
                    self.active.push_back(at);
                }
            }
        }
    }
}

impl System for MutexDrr {
    fn name(&self) -> &'static str {
        "mutex DRR"
    }

    fn offer(&self, tenant: usize, payload: Payload) -> bool {
        let mut drr = self.0.lock();
        if drr.waiting >= CAPACITY {
            return false;
        }
        drr.waiting += 1;
        let lane = &mut drr.lanes[tenant];
        lane.jobs.push_back(payload);
        if !lane.active {
            lane.active = true;
            drr.active.push_back(tenant as u32);
        }
        true
    }

    fn serve(&self, stop: &dyn Fn() -> bool, sink: &mut dyn FnMut(Payload)) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let last = stop();
            self.0.lock().take(BATCH, &mut batch);
            if batch.is_empty() {
                if last {
                    return;
                }
                std::hint::spin_loop();
            }
            batch.drain(..).for_each(&mut *sink);
        }
    }
}
