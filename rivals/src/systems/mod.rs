//! The systems compared, each behind the same two ends.
//!
//! The loops around the ends are generic, so that every system's calls are inlined into a loop of
//! its own and none pays for an indirect call per job.

mod drr;
mod fairlane;
mod fifo;
mod firq;
mod grommet;
mod mea;
mod ready_queue;
mod sharded;
mod solo;

pub(crate) use drr::MutexDrr;
pub(crate) use fairlane::{BATCHES, Batches, Fairlane, Limited, NAME as FAIRLANE};
pub(crate) use fifo::{
    ARRAY_QUEUE, CrossbeamArrayQueue, CrossbeamChannel, Flume, Kanal, Rtrb, Thingbuf, TokioMpsc,
};
pub(crate) use firq::Firq;
pub(crate) use grommet::{Grommet, NAME as GROMMET};
pub(crate) use mea::{NAME as MEA, Permits};
pub(crate) use ready_queue::{NAME as READY_QUEUE, ReadyQueue};
pub(crate) use sharded::ShardedDrr;
pub(crate) use solo::{Drill, Ends, SOLO, Solo};

use crate::harness::Contestant;
use std::time::Duration;

/// Sixteen bytes, as in a request id and a number.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    /// The job's place in the order of arrivals, from 0.
    pub(crate) number: u64,
    /// Whose job it is, from 0.
    pub(crate) tenant: u64,
}

/// Jobs that may be in flight in any of the systems.
pub(crate) const CAPACITY: usize = 16_384;
/// Most jobs that a consumer takes at once, in every system.
pub(crate) const BATCH: usize = 64;
/// Cost units per unit of weight and round, in every system that has rounds.
pub(crate) const BASE_QUANTUM: u32 = 20;

/// What a system is built for.
pub(crate) struct Setup {
    /// How many tenants it knows; each is known before a run begins.
    pub(crate) tenants: usize,
    /// How many jobs may be in flight.
    pub(crate) capacity: usize,
    /// What the tenants are entitled to.
    pub(crate) weights: Weights,
}

impl Setup {
    /// [`CAPACITY`] jobs of `tenants` tenants of the default tiers.
    pub(crate) fn tiers(tenants: usize) -> Setup {
        Setup { tenants, capacity: CAPACITY, weights: Weights::Tiers }
    }

    /// Cost units that `tenant` is granted in a round.
    pub(crate) fn quantum(&self, tenant: usize) -> u32 {
        match &self.weights {
            Weights::Tiers => [20, 24, 40][tenant % 3],
            Weights::Each(weights) => weights[tenant] * BASE_QUANTUM,
        }
    }

    /// Every tenant's quantum, in order.
    pub(crate) fn quanta(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.tenants).map(|tenant| self.quantum(tenant))
    }
}

/// What the tenants are entitled to, relative to each other.
pub(crate) enum Weights {
    /// 1, 1.2 and 2 in turn: the engine's default tiers.
    Tiers,
    /// Each tenant's own, `1..=1_000`; at most 10,000 tenants.
    Each(Vec<u32>),
}

/// Where jobs go in; one thread's.
pub(crate) trait Entry {
    /// Offers a job; `false` when there is no room.
    fn offer(&mut self, tenant: u32, cost: u32, payload: Payload) -> bool;
}

/// Where jobs come out; one thread's.
pub(crate) trait Exit {
    /// Gives at most `most` jobs to `sink` and returns how many; never blocks.
    fn take(&mut self, most: usize, sink: &mut impl FnMut(Payload)) -> usize;
}

/// An end that can sleep while there is nothing to take.
pub(crate) trait Sleeper: Exit {
    /// As [`Exit::take`] for one job, but sleeps up to `limit` until there is one.
    fn wait(&mut self, limit: Duration, sink: &mut impl FnMut(Payload)) -> usize;
}

/// One way to get jobs from a producer to a consumer.
pub(crate) trait System: Sync {
    /// The system's name in the rows.
    fn name(&self) -> &'static str;
    /// The producer's end, made on its thread.
    fn entry(&self) -> impl Entry;
    /// The consumer's end, made on its thread.
    fn exit(&self) -> impl Exit;
}

/// A system whose consumer may sleep.
pub(crate) trait Parking: System {
    /// The consumer's end, made on its thread.
    fn sleeper(&self) -> impl Sleeper;
}

/// A system in which a producer can be stopped between reserving a place and publishing its job.
pub(crate) trait Stalling: System {
    /// Stops a producer of `tenant` there until the result is dropped.
    fn stall(&self, tenant: u32) -> impl Sized;

    /// As [`System::exit`], but passes over what a stall left behind, which is no job of the run.
    fn exit_past_stalls(&self) -> impl Exit {
        self.exit()
    }
}

/// A system's name, and what builds it.
pub(crate) type Build<T> = (&'static str, fn(&Setup) -> T);

/// The systems that two threads can use, in the order of the rows; fairlane comes first.
pub(crate) const RACERS: [Build<Box<dyn Contestant>>; 13] = [
    (fairlane::NAME, |setup| Box::new(Fairlane::new(setup))),
    (fairlane::BATCHES, |setup| Box::new(Batches::new(setup))),
    (fifo::ARRAY_QUEUE, |setup| Box::new(CrossbeamArrayQueue::new(setup))),
    (fifo::CHANNEL, |setup| Box::new(CrossbeamChannel::new(setup))),
    (fifo::RTRB, |setup| Box::new(Rtrb::new(setup))),
    (fifo::THINGBUF, |setup| Box::new(Thingbuf::new(setup))),
    (fifo::KANAL, |setup| Box::new(Kanal::new(setup))),
    (fifo::FLUME, |setup| Box::new(Flume::new(setup))),
    (fifo::TOKIO, |setup| Box::new(TokioMpsc::new(setup))),
    (firq::NAME, |setup| Box::new(Firq::new(setup))),
    (drr::NAME, |setup| Box::new(MutexDrr::new(setup))),
    (sharded::NAME, |setup| Box::new(ShardedDrr::new(setup))),
    (ready_queue::NAME, |setup| Box::new(ReadyQueue::new(setup))),
];

/// fairlane without limits, and with limits on every tenant.
pub(crate) const LIMITED: [Build<Box<dyn Contestant>>; 4] = [
    (fairlane::NAME, |setup| Box::new(Fairlane::new(setup))),
    (fairlane::SMOOTH, |setup| Box::new(Limited::smooth(setup))),
    (fairlane::STRICT, |setup| Box::new(Limited::strict(setup))),
    (fairlane::BUDGETED, |setup| Box::new(Limited::budgeted(setup))),
];

/// Every system's name, for the choice on the command line.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    RACERS.iter().map(|(name, _)| *name).chain([
        grommet::NAME,
        mea::NAME,
        fairlane::SMOOTH,
        fairlane::STRICT,
        fairlane::BUDGETED,
    ])
}
