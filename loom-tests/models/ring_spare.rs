//! A lane whose jobs are set aside: its blocks while it is idle, and how it comes back.

use super::harness::check;
use crate::ring::{Door, Head, Kept, Pool, Rest, Returns, Spare, Stamp, Tail};
use crate::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sync::{DrainRight, Owned, UnsafeCell};
use crate::tenant::Row;
use crate::units::{Band, Order};
use loom::thread;
use std::sync::Arc;

/// Blocks of one slot in the pool.
const BLOCKS: u32 = 3;

/// A lane with one place in a rotation, whose drainer sets every job aside.
struct Lane {
    pool: Pool<u64>,
    tail: Tail,
    spare: Spare,
    head: AtomicU32,
    /// 1 while the lane stands in the rotation. Only ever swapped.
    standing: AtomicU32,
    drain: UnsafeCell<Drain>,
}

/// What the lane's drainer alone may touch.
struct Drain {
    head: Head,
    kept: Kept,
    has_left: bool,
    aside: Vec<u64>,
}

// SAFETY: `drain` is touched by the one thread that swapped `standing` to 0; that this is enough is what
// the models check.
unsafe impl Sync for Lane {}

impl Lane {
    fn new() -> Arc<Lane> {
        let drain =
            Drain { head: Head::new(0), kept: Kept::default(), has_left: false, aside: Vec::new() };
        Arc::new(Lane {
            pool: Pool::shaped(1, BLOCKS, 1, 1),
            tail: Tail::new(0, 0),
            spare: Spare::new(),
            head: AtomicU32::new(0),
            standing: AtomicU32::new(0),
            drain: UnsafeCell::new(drain),
        })
    }

    fn activate(&self) {
        assert_eq!(self.standing.swap(1, Release), 0, "the lane is in the rotation already");
    }

    fn push(&self, job: u64) {
        let door = Door { generation: 0, bound: 8, head: &self.head };
        let ticket = self.tail.reserve(&self.pool, door).expect("room and a block");
        let activates = ticket.activates;
        ticket.publish(1, Stamp::NONE, job);
        if activates {
            self.activate();
        }
    }

    /// What the timekeeper does: brings the idle lane back.
    fn rouse(&self) {
        if self.tail.rouse(&self.pool, &self.spare) {
            self.activate();
        }
    }

    /// A worker's visit. Jobs are granted if they are due by then, and set aside otherwise.
    fn visit(&self, are_due: bool) -> Vec<u64> {
        let mut granted = Vec::new();
        if self.standing.swap(0, Acquire) == 0 {
            return granted;
        }
        let mut returns = Returns::new();
        let left = self.open(|drain| {
            self.sort_out(drain);
            if are_due {
                granted.append(&mut drain.aside);
            }
            let blocks = self.pool.blocks_of(drain.aside.len());
            drain.kept.trim(blocks, &self.pool, &mut returns);
            if drain.head.rest(&self.tail) == Rest::Busy {
                return None;
            }
            drain.has_left = blocks > 0;
            drain.kept.trim(blocks.saturating_sub(1), &self.pool, &mut returns);
            Some((drain.head.leave(), drain.has_left))
        });
        let is_gone = left.is_some_and(|(left, spares)| {
            let is_gone = match spares {
                true => self.tail.deactivate_sparing(left, &self.spare),
                false => self.tail.deactivate(left, &self.pool, &mut returns),
            };
            if !is_gone {
                self.open(|drain| drain.head.stay(left));
            }
            is_gone
        });
        if !is_gone {
            self.activate();
        }
        granted
    }

    fn sort_out(&self, drain: &mut Drain) {
        let Drain { head, kept, has_left, aside } = drain;
        if std::mem::take(has_left) {
            kept.reclaim(&self.spare);
        }
        head.sort_out((&self.tail, &self.pool, kept), 8, |job| aside.push(job.payload));
        self.head.store(head.position(), Relaxed);
    }

    fn open<R>(&self, work: impl FnOnce(&mut Drain) -> R) -> R {
        self.drain.with_mut(|drain| {
            // SAFETY: the caller has taken the lane out of the rotation.
            work(unsafe { &mut *drain })
        })
    }

    /// Grants what is left. Then every block is free again.
    fn finish(&self, mut granted: Vec<u64>, jobs: &[u64]) {
        granted.extend(self.visit(true));
        // Nobody brings a lane back without a job: a block left in its spare would be lost.
        while self.open(|drain| !drain.aside.is_empty()) {
            self.rouse();
            granted.extend(self.visit(true));
        }
        granted.sort_unstable();
        assert_eq!(granted, jobs, "every job is granted once");
        let mut free: Vec<_> = std::iter::from_fn(|| self.pool.take(0)).collect();
        free.sort_unstable();
        assert_eq!(free, (0..BLOCKS).collect::<Vec<_>>(), "every block is free once");
    }
}

/// A block that was offered is the drainer's until the lane is idle, and whoever takes it then sees all that
/// was done with it.
#[test]
fn ring_spare_handed() {
    check("ring_spare_handed", None, || {
        let shared = Arc::new((Spare::new(), Owned::new(0, 0)));
        let drainer = Arc::clone(&shared);
        let drainer = thread::spawn(move || {
            drainer.0.offer(1);
            use_block(&drainer.1);
            drainer.0.settle(1);
        });
        if shared.0.take().is_some() {
            use_block(&shared.1);
        }
        drainer.join().unwrap();
    });
}

/// Touches what stands for a block.
fn use_block(block: &Owned<u32>) {
    // SAFETY: the caller owns the block; that it does is what the model checks.
    let mut right = unsafe { DrainRight::new(0) };
    block.open(&mut right, |uses| *uses += 1);
}

/// A lane leaves the rotation with a job that is not due, and the timekeeper brings it back at that
/// moment, with the block that it kept. At most 3 preemptions.
#[test]
fn ring_spare_roused() {
    check("ring_spare_roused", Some(3), || {
        let lane = Lane::new();
        lane.push(1);
        let timekeeper = Arc::clone(&lane);
        let timekeeper = thread::spawn(move || {
            timekeeper.rouse();
            timekeeper.visit(true)
        });
        let mut granted = lane.visit(false);
        granted.extend(timekeeper.join().unwrap());
        lane.finish(granted, &[1]);
    });
}

/// The same while a producer brings it back, with a block of its own, and another drainer empties it. At
/// most 3 preemptions.
#[test]
fn ring_spare_reclaimed() {
    check("ring_spare_reclaimed", Some(3), || {
        let lane = Lane::new();
        lane.push(1);
        let producer = Arc::clone(&lane);
        let producer = thread::spawn(move || {
            producer.push(2);
            producer.visit(true)
        });
        let mut granted = lane.visit(false);
        granted.extend(producer.join().unwrap());
        lane.finish(granted, &[1, 2]);
    });
}

/// A drainer that is told of an urgent job finds it.
#[test]
fn ring_urgent_told() {
    check("ring_urgent_told", None, || {
        let row = Arc::new(Row::starting_at(0, 0));
        let pool = Arc::new(Pool::shaped(2, 2, 1, 1));
        let (row_of_producer, pool_of_producer) = (Arc::clone(&row), Arc::clone(&pool));
        let producer = thread::spawn(move || {
            let (row, pool) = (row_of_producer, pool_of_producer);
            let door = Door { generation: 0, bound: 8, head: &row.drained.head_seen };
            let ticket = row.tail.reserve(&pool, door).expect("room");
            let order = Order { band: Band::FIRST, ..Order::PLAIN };
            ticket.publish_ordered(&pool, (1, Stamp::NONE), order, 7u64);
            row.drained.tell_urgent();
        });
        let news = row.drained.visit_tenant().1;
        if news.has_urgent() {
            let mut found = Vec::new();
            let mut head = Head::new(0);
            let lane = (&row.tail, &*pool, &mut Kept::default());
            head.sort_out(lane, 8, |job| found.push(job.payload));
            assert_eq!(found, [7], "who is told finds it");
        }
        producer.join().unwrap();
    });
}
