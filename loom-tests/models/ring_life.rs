//! A lane's life: into the rotation and out of it, closed, given to another tenant.

use super::harness::check;
use super::ring_rig::Lane;
use crate::ring::ReserveError;
use crate::sync::UnsafeCell;
use loom::thread;
use std::sync::Arc;

/// No job stays behind when a drainer takes the lane out of the rotation while a producer pushes,
/// and the lane is never in the rotation twice.
#[test]
fn ring_leave_one_producer() {
    check("ring_leave_one_producer", None, || {
        let lane = Lane::new(1, 2, 2);
        let producer = Arc::clone(&lane);
        let producer = thread::spawn(move || [1, 2].map(|job| producer.push(job).unwrap()));
        let mut jobs = lane.visit(2);
        jobs.extend(lane.visit(2));
        producer.join().unwrap();
        jobs.extend(lane.finish());
        assert_eq!(jobs, [1, 2]);
        lane.assert_blocks(2);
    });
}

/// The same with two producers. At most 4 preemptions.
#[test]
fn ring_leave_two_producers() {
    check("ring_leave_two_producers", Some(4), || {
        let lane = Lane::new(2, 2, 2);
        let producers = [1, 2].map(|job| {
            let lane = Arc::clone(&lane);
            thread::spawn(move || lane.push(job).unwrap())
        });
        let mut jobs = lane.visit(2);
        jobs.extend(lane.visit(2));
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        jobs.extend(lane.finish());
        jobs.sort_unstable();
        assert_eq!(jobs, [1, 2]);
        lane.assert_blocks(2);
    });
}

/// A lane that lingers without a block gets its next jobs from producers that do not put it into the
/// rotation: the drainer, which has it all the time, finds them, in order. Bound: 3 preemptions.
#[test]
fn ring_linger_blockless() {
    check("ring_linger_blockless", Some(3), || {
        let lane = Lane::new(1, 3, 3);
        lane.push(1).unwrap();
        let producer = Arc::clone(&lane);
        let producer = thread::spawn(move || [2, 3].map(|job| producer.push(job).unwrap()));
        let mut jobs = lane.visit_and_linger(3);
        jobs.extend(lane.visit_and_linger(3));
        producer.join().unwrap();
        jobs.extend(lane.finish());
        assert_eq!(jobs, [1, 2, 3]);
        lane.assert_blocks(3);
    });
}

/// The same with two producers, one of which brings the block, and blocks of two slots.
/// Bound: 3 preemptions.
#[test]
fn ring_linger_two_producers() {
    check("ring_linger_two_producers", Some(3), || {
        let lane = Lane::new(2, 2, 3);
        lane.push(1).unwrap();
        assert_eq!(lane.visit_and_linger(1), [1]);
        let producers = [2, 3].map(|job| {
            let lane = Arc::clone(&lane);
            thread::spawn(move || lane.push(job).unwrap())
        });
        let mut jobs = lane.visit_and_linger(3);
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        jobs.extend(lane.finish());
        jobs.sort_unstable();
        assert_eq!(jobs, [2, 3]);
        lane.assert_blocks(2);
    });
}

/// A drainer that takes the lane out of the rotation hands its state, through the producer that
/// brings the lane back, to another drainer. At most 4 preemptions.
#[test]
fn ring_leave_and_hand_over() {
    check("ring_leave_and_hand_over", Some(4), || {
        let lane = Lane::new(2, 2, 2);
        lane.push(1).unwrap();
        let producer = Arc::clone(&lane);
        let producer = thread::spawn(move || producer.push(2).unwrap());
        let other = Arc::clone(&lane);
        let other = thread::spawn(move || other.visit(2));
        let mut jobs = lane.visit(2);
        producer.join().unwrap();
        jobs.extend(other.join().unwrap());
        jobs.extend(lane.finish());
        jobs.sort_unstable();
        assert_eq!(jobs, [1, 2]);
        lane.assert_blocks(2);
    });
}

/// What is accepted is drained, and nothing is accepted once `close` has returned.
/// At most 4 preemptions.
#[test]
fn ring_close() {
    check("ring_close", Some(4), || {
        let lane = Lane::new(1, 2, 2);
        let producers = [1, 2].map(|job| {
            let lane = Arc::clone(&lane);
            thread::spawn(move || lane.push(job).is_ok())
        });
        lane.tail.close();
        let reserved = lane.tail.look().tail();
        assert_eq!(lane.push(3), Err(ReserveError::Closed));
        let accepted = producers.map(|producer| producer.join().unwrap());
        assert_eq!(lane.finish().len(), accepted.into_iter().filter(|&done| done).count());
        assert_eq!(lane.tail.look().tail(), reserved, "accepted after the close");
        assert!(lane.tail.look().is_closed());
        lane.assert_blocks(2);
    });
}

/// A handle of the old tenant never submits to the new one: the lane changes hands only while it is
/// idle, and what was accepted before has been drained by then.
/// Bound: 3 preemptions.
#[test]
fn ring_retire() {
    check("ring_retire", Some(3), || {
        let lane = Lane::new(1, 2, 2);
        let old = Arc::clone(&lane);
        let old = thread::spawn(move || old.push_as(0, 10));
        let retired = lane.tail.retire(lane.tail.look());
        if retired.is_some() {
            assert_eq!(lane.push_as(1, 21), Ok(()));
        }
        let jobs_before = lane.visit(2);
        let pushed = old.join().unwrap();
        let mut jobs = jobs_before;
        jobs.extend(lane.finish());
        match (retired, pushed) {
            (Some(generation), refused) => {
                assert_eq!((generation, refused), (1, Err(ReserveError::Stale)));
                assert_eq!(jobs, [21]);
            }
            (None, accepted) => {
                assert_eq!(accepted, Ok(()));
                assert_eq!(jobs, [10]);
            }
        }
        lane.assert_blocks(2);
    });
}

/// Plain state that goes with the lane.
struct Ledger(UnsafeCell<u32>);

// SAFETY: it is touched by the drainer before it leaves, and by whoever retired the lane after it.
unsafe impl Sync for Ledger {}

impl Ledger {
    fn write(&self, value: u32) {
        // SAFETY: see `Sync` above; the model checks it.
        self.0.with_mut(|cell| unsafe { *cell = value });
    }
}

/// What the last drainer did to the lane's plain state happens before what the one that retires
/// the lane does to it, and that before the next drainer's.
#[test]
fn ring_retire_takes_over() {
    check("ring_retire_takes_over", None, || {
        let lane = Lane::new(1, 1, 1);
        let ledger = Arc::new(Ledger(UnsafeCell::new(0)));
        let drainer = (Arc::clone(&lane), Arc::clone(&ledger));
        lane.push(10).unwrap();
        let drainer = thread::spawn(move || {
            let (lane, ledger) = drainer;
            ledger.write(1);
            lane.visit(1);
        });
        if lane.tail.retire(lane.tail.look()).is_some() {
            ledger.write(2);
            assert_eq!(lane.push_as(0, 11), Err(ReserveError::Stale));
        }
        drainer.join().unwrap();
        lane.finish();
    });
}
