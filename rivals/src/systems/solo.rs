//! Both ends in one thread's hands: what a system costs without another core.

use super::{
    BATCH, Build, CrossbeamArrayQueue, Entry, Exit, Fairlane, Firq, Grommet, MutexDrr, Payload,
    Permits, ReadyQueue, ShardedDrr, System, drr, fairlane, fifo, firq, grommet, mea, ready_queue,
    sharded,
};

use crate::harness::{EMPTY_LOOKS, Tally};

/// Both ends of a system on one thread.
pub(crate) trait Ends {
    /// As [`Entry::offer`].
    fn offer(&mut self, tenant: u32, cost: u32, payload: Payload) -> bool;
    /// As [`Exit::take`].
    fn take(&mut self, most: usize, sink: &mut impl FnMut(Payload)) -> usize;

    /// Takes everything out.
    fn drain(&mut self) -> Tally {
        let (mut tally, mut looks) = (Tally::default(), 0);
        while looks < EMPTY_LOOKS {
            let taken = self.take(BATCH, &mut |payload| tally.add(payload));
            looks = if taken == 0 { looks + 1 } else { 0 };
        }
        tally
    }
}

/// Something to do with a system on one thread, compiled once for each.
pub(crate) trait Drill {
    /// What comes of it.
    type Output;
    /// Does it.
    fn on(&self, ends: &mut impl Ends) -> Self::Output;
}

/// A system that one thread can use alone.
pub(crate) enum Solo {
    /// Through the ends that two threads use.
    Fairlane(Box<Fairlane>),
    /// The same.
    ArrayQueue(Box<CrossbeamArrayQueue>),
    /// The same.
    MutexDrr(Box<MutexDrr>),
    /// The same.
    ShardedDrr(Box<ShardedDrr>),
    /// The same.
    ReadyQueue(Box<ReadyQueue>),
    /// The same.
    Firq(Box<Firq>),
    /// For one thread only.
    Grommet(Box<Grommet>),
    /// Driven by one thread, which stands for all tasks.
    Permits(Box<Permits>),
}

/// The systems in the order of the rows; fairlane comes first.
pub(crate) const SOLO: [Build<Solo>; 8] = [
    (fairlane::NAME, |setup| Solo::Fairlane(Box::new(Fairlane::new(setup)))),
    (fifo::ARRAY_QUEUE, |setup| Solo::ArrayQueue(Box::new(CrossbeamArrayQueue::new(setup)))),
    (drr::NAME, |setup| Solo::MutexDrr(Box::new(MutexDrr::new(setup)))),
    (sharded::NAME, |setup| Solo::ShardedDrr(Box::new(ShardedDrr::new(setup)))),
    (ready_queue::NAME, |setup| Solo::ReadyQueue(Box::new(ReadyQueue::new(setup)))),
    (firq::NAME, |setup| Solo::Firq(Box::new(Firq::new(setup)))),
    (grommet::NAME, |setup| Solo::Grommet(Box::new(Grommet::new(setup)))),
    (mea::NAME, |setup| Solo::Permits(Box::new(Permits::new(setup)))),
];

impl Solo {
    /// Runs a drill on the system.
    pub(crate) fn drill<D: Drill>(&mut self, drill: &D) -> D::Output {
        match self {
            Solo::Fairlane(system) => drill.on(&mut Both::of(&**system)),
            Solo::ArrayQueue(system) => drill.on(&mut Both::of(&**system)),
            Solo::MutexDrr(system) => drill.on(&mut Both::of(&**system)),
            Solo::ShardedDrr(system) => drill.on(&mut Both::of(&**system)),
            Solo::ReadyQueue(system) => drill.on(&mut Both::of(&**system)),
            Solo::Firq(system) => drill.on(&mut Both::of(&**system)),
            Solo::Grommet(system) => drill.on(&mut **system),
            Solo::Permits(system) => drill.on(&mut **system),
        }
    }
}

struct Both<E, X> {
    entry: E,
    exit: X,
}

impl Both<(), ()> {
    fn of<S: System>(system: &S) -> impl Ends {
        Both { entry: system.entry(), exit: system.exit() }
    }
}

impl<E: Entry, X: Exit> Ends for Both<E, X> {
    #[inline]
    fn offer(&mut self, tenant: u32, cost: u32, payload: Payload) -> bool {
        self.entry.offer(tenant, cost, payload)
    }

    #[inline]
    fn take(&mut self, most: usize, sink: &mut impl FnMut(Payload)) -> usize {
        self.exit.take(most, sink)
    }
}
