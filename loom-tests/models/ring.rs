//! The ring: what is accepted is drained once and in order, in slots and blocks that are used
//! over and over.

use super::harness::check;
use super::ring_rig::{Lane, from};
use crate::ring::ReserveError;
use loom::thread;
use std::sync::Arc;

/// Pushes `producer * 10 + 1..`, `n` jobs; returns those accepted.
fn push_some(lane: &Lane<u64>, producer: u64, n: u64) -> Vec<u64> {
    (1..=n).map(|k| producer * 10 + k).filter(|&job| lane.push(job).is_ok()).collect()
}

/// One producer: what was accepted comes out once and in order, never more than the bound waits,
/// and every block comes home. Blocks of one slot, so that each push takes a block that the
/// drainer may just have given back.
#[test]
fn ring_one_producer_wrap() {
    check("ring_one_producer_wrap", None, || {
        let lane = Lane::new(1, 3, 2);
        let producer = Arc::clone(&lane);
        let producer = thread::spawn(move || push_some(&producer, 1, 3));
        let mut jobs = lane.visit_and_stay(2);
        let accepted = producer.join().unwrap();
        jobs.extend(lane.finish());
        assert_eq!(jobs, accepted);
        lane.assert_blocks(3);
    });
}

/// Two producers: the same, in order for each. At most 2 preemptions.
#[test]
fn ring_two_producers_wrap() {
    check("ring_two_producers_wrap", Some(2), || {
        let lane = Lane::new(1, 3, 2);
        let producers = [1, 2].map(|producer| {
            let lane = Arc::clone(&lane);
            thread::spawn(move || push_some(&lane, producer, 2))
        });
        let mut jobs = lane.visit_and_stay(2);
        let accepted = producers.map(|producer| producer.join().unwrap());
        jobs.extend(lane.finish());
        assert_eq!([1, 2].map(|producer| from(producer, &jobs)), accepted);
        assert_eq!(jobs.len(), accepted[0].len() + accepted[1].len());
        lane.assert_blocks(3);
    });
}

/// Two producers share a block: the second finds it through the word alone, and must write its
/// slot under the tag that the first gave the block.
#[test]
fn ring_two_producers_one_block() {
    check("ring_two_producers_one_block", None, || {
        let lane = Lane::new(2, 2, 2);
        let other = Arc::clone(&lane);
        let other = thread::spawn(move || other.push(21).unwrap());
        lane.push(11).unwrap();
        other.join().unwrap();
        let mut jobs = lane.finish();
        jobs.sort_unstable();
        assert_eq!(jobs, [11, 21]);
        lane.assert_blocks(2);
    });
}

/// Positions wrap at 2^23 without anyone noticing: the bound holds on both sides.
#[test]
fn ring_position_wrap() {
    check("ring_position_wrap", None, || {
        let lane = Lane::starting_at((1 << 23) - 2, 2, 3, 2);
        lane.push(11).unwrap();
        let producer = Arc::clone(&lane);
        let producer = thread::spawn(move || {
            (12..15).filter(|&job| producer.push(job).is_ok()).collect::<Vec<_>>()
        });
        let mut jobs = lane.visit_and_stay(1);
        jobs.extend(lane.visit_and_stay(1));
        let accepted = producer.join().unwrap();
        jobs.extend(lane.finish());
        assert_eq!(jobs[0], 11);
        assert_eq!(jobs[1..], accepted);
        lane.assert_blocks(3);
    });
}

/// A lane below its bound is never refused as full, however old the word that a producer has read:
/// the head may have passed that word's tail.
#[test]
fn ring_head_passes_an_old_tail() {
    check("ring_head_passes_an_old_tail", None, || {
        let lane = Lane::new(4, 1, 1);
        lane.push(1).unwrap();
        assert_eq!(lane.visit_and_stay(1), [1]);
        let other = Arc::clone(&lane);
        let other = thread::spawn(move || {
            let pushed = other.push(2);
            if pushed.is_ok() {
                other.visit_and_stay(1);
            }
            pushed
        });
        let mine = lane.push(3);
        let theirs = other.join().unwrap();
        for refused in [mine, theirs].into_iter().filter_map(Result::err) {
            assert_eq!(refused, ReserveError::Full { depth: 1 });
        }
        lane.finish();
    });
}

/// A payload that knows how often it was dropped.
#[derive(Debug)]
struct Once(Arc<std::sync::atomic::AtomicU32>);

impl Drop for Once {
    fn drop(&mut self) {
        // In a mutant's last moments a second panic would hide the first.
        if !std::thread::panicking() {
            let before = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            assert_eq!(before, 0, "dropped twice");
        }
    }
}

/// Jobs still inside when a lane ends are dropped once, by draining it, like those taken before.
#[test]
fn ring_dropped_with_jobs() {
    check("ring_dropped_with_jobs", None, || {
        let counts: [Arc<std::sync::atomic::AtomicU32>; 3] = Default::default();
        let lane = Lane::new(2, 3, 3);
        let producer = Arc::clone(&lane);
        let jobs = counts.clone().map(Once);
        let producer = thread::spawn(move || {
            jobs.into_iter().for_each(|job| producer.push(job).expect("there is room"));
        });
        drop(lane.visit_and_stay(1));
        producer.join().unwrap();
        drop(lane.finish());
        for count in counts {
            assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 1);
        }
        lane.assert_blocks(3);
    });
}

/// A reservation that is given up does not stop the lane: the jobs behind it come out, and the
/// lane becomes idle. At most 3 preemptions.
#[test]
fn ring_tombstone() {
    check("ring_tombstone", Some(3), || {
        let lane = Lane::new(1, 3, 3);
        let quitter = Arc::clone(&lane);
        let quitter = thread::spawn(move || quitter.give_up());
        lane.push(1).unwrap();
        let mut jobs = lane.visit(1);
        quitter.join().unwrap();
        jobs.extend(lane.finish());
        assert_eq!(jobs, [1]);
        lane.assert_blocks(3);
    });
}
