//! Blocks of the ring: linked, left behind and used again.

use super::harness::check;
use super::ring_rig::{Lane, from};
use loom::thread;
use std::sync::Arc;

/// A producer links a new block while the drainer leaves the one before, and takes that one again
/// a lap later: nobody touches a block that is not his. Two blocks of one slot; at most 4
/// preemptions.
#[test]
fn ring_blocks_lap() {
    check("ring_blocks_lap", Some(4), || {
        let lane = Lane::new(1, 2, 3);
        lane.push(1).unwrap();
        let producer = Arc::clone(&lane);
        let producer = thread::spawn(move || {
            (2..4).filter(|&job| producer.push(job).is_ok()).collect::<Vec<u64>>()
        });
        let mut jobs = lane.visit_and_stay(1);
        jobs.extend(lane.visit_and_stay(1));
        let accepted = producer.join().unwrap();
        jobs.extend(lane.finish());
        assert_eq!(jobs[0], 1);
        assert_eq!(jobs[1..], accepted);
        lane.assert_blocks(2);
    });
}

/// The drainer that follows a link knows the new block's tag, also when another producer than the
/// one it took the job before from has linked it.
#[test]
fn ring_blocks_linked_by_another() {
    check("ring_blocks_linked_by_another", None, || {
        let lane = Lane::new(1, 2, 2);
        lane.push(11).unwrap();
        assert_eq!(lane.visit_and_stay(1), [11]);
        let producer = Arc::clone(&lane);
        let producer = thread::spawn(move || producer.push(21).unwrap());
        let mut jobs = lane.visit_and_stay(1);
        // One look more, since a link may be seen before the job behind it.
        jobs.extend(lane.visit_and_stay(1));
        jobs.extend(lane.visit_and_stay(1));
        producer.join().unwrap();
        jobs.extend(lane.finish());
        assert_eq!(jobs, [21]);
        lane.assert_blocks(2);
    });
}

/// A slot left by an earlier use of its block never looks published, also when the tags have run
/// out in between and start again: 15 uses come before the one that is looked at.
#[test]
fn ring_tags_start_again() {
    check("ring_tags_start_again", None, || {
        let lane = Lane::new(2, 1, 2);
        for job in [1, 2] {
            lane.push(job).unwrap();
        }
        assert_eq!(lane.finish(), [1, 2]);
        for _ in 0..14 {
            let block = lane.pool.take(0).unwrap();
            lane.pool.untake(block);
        }
        let producer = Arc::clone(&lane);
        let producer = thread::spawn(move || [3, 4].map(|job| producer.push(job).unwrap()));
        let mut jobs = lane.visit_and_stay(2);
        producer.join().unwrap();
        jobs.extend(lane.finish());
        assert_eq!(jobs, [3, 4]);
        lane.assert_blocks(1);
    });
}

/// A block in a chunk of memory that is made while the drainer runs along: whoever learns the
/// block's number learns of the memory.
#[test]
fn ring_blocks_next_chunk() {
    check("ring_blocks_next_chunk", None, || {
        let lane = Lane::new(1, 3, 3);
        [1, 2].into_iter().for_each(|job| lane.push(job).unwrap());
        let producer = Arc::clone(&lane);
        let producer = thread::spawn(move || producer.push(3).unwrap());
        let mut jobs = lane.visit_and_stay(3);
        producer.join().unwrap();
        jobs.extend(lane.finish());
        assert_eq!(jobs, [1, 2, 3]);
        lane.assert_blocks(3);
    });
}

/// Spans take several blocks by one compare-and-swap, between the pushes of others, and what they
/// do not use is passed over.
#[test]
fn ring_span() {
    check("ring_span", None, || {
        let lane = Lane::new(2, 4, 6);
        let other = Arc::clone(&lane);
        let other = thread::spawn(move || {
            other.push(21).unwrap();
        });
        assert_eq!(lane.push_span(4, [11, 12, 13]), Ok(4));
        let mut jobs = lane.visit(2);
        other.join().unwrap();
        jobs.extend(lane.finish());
        assert_eq!(from(1, &jobs), [11, 12, 13]);
        assert_eq!(from(2, &jobs), [21]);
        assert_eq!(jobs.len(), 4);
        lane.assert_blocks(4);
    });
}

/// A span that reaches over several blocks is followed link by link by a drainer that runs along.
#[test]
fn ring_span_followed() {
    check("ring_span_followed", None, || {
        let lane = Lane::new(1, 3, 3);
        lane.push(1).unwrap();
        let producer = Arc::clone(&lane);
        let producer = thread::spawn(move || producer.push_span(2, [2, 3]).unwrap());
        let mut jobs = lane.visit_and_stay(3);
        jobs.extend(lane.visit_and_stay(3));
        let accepted = producer.join().unwrap();
        jobs.extend(lane.finish());
        assert_eq!(jobs, (1..=u64::from(accepted) + 1).collect::<Vec<_>>());
        lane.assert_blocks(3);
    });
}
