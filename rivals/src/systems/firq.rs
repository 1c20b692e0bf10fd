//! firq-core: deficit round robin behind mutexes, the direct competitor.

use super::{Entry, Exit, Payload, Setup, System};
use crate::harness::cores;
use firq_core::{
    DequeueResult, EnqueueResult, Priority, Scheduler, SchedulerConfig, Task, TenantKey,
};
use std::sync::Arc;
use std::time::Instant;

pub(crate) const NAME: &str = "firq-core";

/// With as many shards as its documentation recommends: one per core, at most 8.
pub(crate) struct Firq(Scheduler<Payload>);

impl Firq {
    pub(crate) fn new(setup: &Setup) -> Firq {
        let quanta: Vec<u64> = setup.quanta().map(u64::from).collect();
        let config = SchedulerConfig {
            shards: cores().min(8),
            max_global: setup.capacity,
            max_per_tenant: setup.capacity,
            quantum_provider: Some(Arc::new(move |key: TenantKey| quanta[key.as_u64() as usize])),
            ..SchedulerConfig::default()
        };
        Firq(Scheduler::new(config))
    }
}

impl System for Firq {
    fn name(&self) -> &'static str {
        NAME
    }

    fn entry(&self) -> impl Entry {
        Enqueue(&self.0)
    }

    fn exit(&self) -> impl Exit {
        Dequeue(&self.0)
    }
}

struct Enqueue<'a>(&'a Scheduler<Payload>);

impl Entry for Enqueue<'_> {
    #[inline]
    fn offer(&mut self, tenant: u32, cost: u32, payload: Payload) -> bool {
        let task = Task {
            payload,
            enqueue_ts: Instant::now(),
            deadline: None,
            priority: Priority::Normal,
            cost: u64::from(cost),
        };
        let result = self.0.enqueue(TenantKey::from(u64::from(tenant)), task);
        matches!(result, EnqueueResult::Enqueued)
    }
}

struct Dequeue<'a>(&'a Scheduler<Payload>);

impl Exit for Dequeue<'_> {
    #[inline]
    fn take(&mut self, most: usize, sink: &mut impl FnMut(Payload)) -> usize {
        let mut taken = 0;
        while taken < most
            && let DequeueResult::Task { task, .. } = self.0.try_dequeue()
        {
            taken += 1;
            sink(task.payload);
        }
        taken
    }
}
