//! Whole visits: `Seat::tick` over real lanes, pool, rotation and sleepers.

use super::dispatch_rig::{Place, lanes, lanes_of_one_block, submit, tenant};
use super::harness::check;
use super::park::Meeting;
use crate::dispatch::Lanes;
use crate::park::{Bed, Want};
use crate::ring::ReserveError;
use crate::sync::atomic::{AtomicBool, Ordering::Relaxed};
use crate::sync::mutant;
use crate::tenant::Tenant;
use loom::thread;
use std::sync::Arc;
use std::time::Duration;

/// All lanes are idle, out of the rotation, and count the same.
pub(super) fn assert_at_rest(lanes: &Lanes<u64>, dispatched: u64) {
    assert!(lanes.rotation.is_empty());
    assert!(lanes.table.rows().all(|(_, row)| row.tail.look().is_idle()));
    assert_eq!(lanes.table.rows().map(|(_, row)| row.progress().0).sum::<u64>(), dispatched);
}

pub(super) fn sorted(mut jobs: Vec<u64>) -> Vec<u64> {
    jobs.sort_unstable();
    jobs
}

pub(super) fn jobs(grants: Vec<(Tenant, u64)>) -> Vec<u64> {
    grants.into_iter().map(|(_, job)| job).collect()
}

/// One producer, one worker: no job is left while its lane is out of the rotation, jobs come in
/// order, and the lane is never in the rotation twice.
/// Bound: 3 preemptions.
#[test]
fn dispatch_activation() {
    check("dispatch_activation", Some(3), || {
        let (lanes, _beds) = lanes(1, 8, 1);
        let producer = Arc::clone(&lanes);
        let producer = thread::spawn(move || {
            submit(&producer, tenant(0), 1).unwrap();
            submit(&producer, tenant(0), 2).unwrap();
        });
        let mut place = Place::new(0, &lanes);
        let mut seen = place.tick(1);
        seen.extend(place.tick(1));
        producer.join().unwrap();
        seen.extend(jobs(place.drain()));
        assert_eq!(seen, [1, 2]);
        place.tick(1);
        assert_at_rest(&lanes, 2);
    });
}

/// Two producers on one lane: only one of them activates it.
/// Bound: 2 preemptions.
#[test]
fn dispatch_activation_by_two() {
    check("dispatch_activation_by_two", Some(2), || {
        let (lanes, _beds) = lanes(1, 8, 1);
        let producers = [1, 2].map(|job| {
            let lanes = Arc::clone(&lanes);
            thread::spawn(move || submit(&lanes, tenant(0), job).unwrap())
        });
        let mut place = Place::new(0, &lanes);
        let mut seen = place.tick(1);
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        seen.extend(jobs(place.drain()));
        assert_eq!(sorted(seen), [1, 2]);
        place.tick(1);
        assert_at_rest(&lanes, 2);
    });
}

/// What a visit does to a lane's plain state is over before the lane can be another worker's, also
/// when the visit takes the lane out of the rotation.
/// Bound: 1 preemption.
#[test]
fn dispatch_leaving_visit() {
    check("dispatch_leaving_visit", Some(1), || {
        let (lanes, _beds) = lanes(1, 8, 2);
        submit(&lanes, tenant(0), 1).unwrap();
        let producer = Arc::clone(&lanes);
        let producer = thread::spawn(move || submit(&producer, tenant(0), 2).unwrap());
        let other = Arc::clone(&lanes);
        let other = thread::spawn(move || Place::new(1, &other).tick(1));
        let mut mine = Place::new(0, &lanes);
        let mut seen = mine.tick(1);
        producer.join().unwrap();
        seen.extend(other.join().unwrap());
        seen.extend(jobs(mine.drain()));
        assert_eq!(sorted(seen), [1, 2]);
        mine.tick(1);
        assert_at_rest(&lanes, 2);
    });
}

/// A worker that was woken and leaves jobs behind wakes the next: of two jobs that wait for each
/// other only the first wakes somebody by its submission.
/// Bound: 1 preemption.
#[test]
fn dispatch_wake_passed_on() {
    check("dispatch_wake_passed_on", Some(1), || {
        let (lanes, mut beds) = lanes(1, 8, 2);
        let met = Meeting::new(2);
        let (bed, theirs, their_met) = (beds.remove(1), Arc::clone(&lanes), met.clone());
        let worker = thread::spawn(move || {
            work(&bed, &theirs);
            their_met.wait();
        });
        submit(&lanes, tenant(0), 1).unwrap();
        submit(&lanes, tenant(0), 2).unwrap();
        work(&beds[0], &lanes);
        met.wait();
        worker.join().unwrap();
    });
}

/// A worker whose search hid lanes from another one for a moment, and that grants the job of only
/// one of them, wakes the other: it may have gone to sleep over the rest.
/// Bound: 3 preemptions.
#[test]
fn dispatch_wake_for_hidden() {
    check("dispatch_wake_for_hidden", Some(3), || {
        let (lanes, mut beds) = lanes(3, 8, 2);
        submit(&lanes, tenant(0), 0).unwrap();
        assert_eq!(Place::new(0, &lanes).tick(1), [0]);
        let (theirs, bed) = (Arc::clone(&lanes), beds.remove(1));
        let other = thread::spawn(move || {
            submit(&theirs, tenant(1), 1).unwrap();
            submit(&theirs, tenant(2), 2).unwrap();
            work(&bed, &theirs)
        });
        // A new worker counts as slow, and takes one lane at a time.
        let mut place = Place::new(0, &lanes);
        let mut seen = place.tick(1);
        seen.extend(other.join().unwrap());
        seen.extend(jobs(place.drain()));
        assert_eq!(sorted(seen), [1, 2]);
    });
}

/// Sleeps until there is a job, and takes it.
fn work(bed: &Bed, lanes: &Arc<Lanes<u64>>) -> Vec<u64> {
    let mut place = Place::new(bed.seat(), lanes);
    loop {
        let seen = place.tick(1);
        if !seen.is_empty() {
            return seen;
        }
        bed.sleep(&lanes.sleepers, None, || !lanes.rotation.is_empty());
    }
}

/// A visit that makes room lets a blocked submitter in, also when it leaves the lane idle.
/// Bound: 5 preemptions.
#[test]
fn dispatch_room() {
    check("dispatch_room", Some(5), || {
        let (lanes, _beds) = lanes(1, 1, 1);
        submit(&lanes, tenant(0), 1).unwrap();
        let worker = Arc::clone(&lanes);
        let worker = thread::spawn(move || Place::new(0, &worker).tick(1));
        let attempt = || submit(&lanes, tenant(0), 2).ok();
        let mut wait = lanes.crowd.wait(|lane| lanes.room(lane));
        while wait.once(Want::Lane(0), Duration::MAX, attempt).is_none() {}
        drop(wait);
        let mut seen = worker.join().unwrap();
        seen.extend(jobs(Place::new(0, &lanes).drain()));
        assert_eq!(seen, [1, 2]);
    });
}

/// A worker that gives back the blocks it has gathered, before it sleeps, lets a submitter in that
/// waits for one: the lane that had it has nothing more to be visited for.
#[test]
fn dispatch_settled_blocks() {
    check("dispatch_settled_blocks", None, || {
        let lanes = lanes_of_one_block();
        submit(&lanes, tenant(0), 1).unwrap();
        let mut place = Place::new(0, &lanes);
        assert_eq!([place.tick(1), place.tick(1)], [vec![1], vec![]]);
        let theirs = Arc::clone(&lanes);
        let submitter = thread::spawn(move || {
            let attempt = || submit(&theirs, tenant(1), 2).ok();
            let mut wait = theirs.crowd.wait(|lane| theirs.room(lane));
            while wait.once(Want::Engine(1), Duration::MAX, attempt).is_none() {}
        });
        place.settle_down();
        submitter.join().unwrap();
        assert_eq!(jobs(place.drain()), [2]);
    });
}

/// A job that has left its lane has been granted: whoever finds the lanes empty and then counts
/// grants, as a drain does, misses none.
#[test]
fn dispatch_granted_when_gone() {
    check("dispatch_granted_when_gone", None, || {
        let (lanes, _beds) = lanes(1, 8, 1);
        submit(&lanes, tenant(0), 1).unwrap();
        let mut place = Place::new(0, &lanes);
        let (theirs, ledger) = (Arc::clone(&lanes), place.ledger.clone());
        let reader = thread::spawn(move || {
            if theirs.table.row(0).progress().1 == 0 {
                assert_eq!(ledger.counts().0, 1);
            }
        });
        assert_eq!(place.tick(1), [1]);
        reader.join().unwrap();
    });
}

/// Intake that can be stopped.
struct Gate {
    lanes: Arc<Lanes<u64>>,
    /// What the mutant has in place of the lanes' own closed bits.
    apart: AtomicBool,
}

impl Gate {
    fn new(lanes: &Arc<Lanes<u64>>) -> crate::sync::Arc<Gate> {
        let lanes = Arc::clone(lanes);
        crate::sync::Arc::new(Gate { lanes, apart: AtomicBool::new(false) })
    }

    fn close(&self) {
        if mutant!("dispatch.close_apart") {
            self.apart.swap(true, Relaxed);
        } else {
            self.lanes.table.close();
        }
    }

    fn submit(&self, job: u64) -> Result<(), ReserveError> {
        if mutant!("dispatch.close_apart") && self.apart.load(Relaxed) {
            return Err(ReserveError::Closed);
        }
        submit(&self.lanes, tenant(0), job)
    }
}

/// What two producers had accepted is what a closer finds; nothing is accepted afterwards.
/// Bound: 2 preemptions.
#[test]
fn dispatch_close_and_drain() {
    check("dispatch_close_and_drain", Some(2), || {
        let (lanes, _beds) = lanes(1, 8, 1);
        let gate = Gate::new(&lanes);
        let producers = [1, 2].map(|job| {
            let gate = gate.clone();
            thread::spawn(move || gate.submit(job).ok().map(|()| job))
        });
        gate.close();
        assert_eq!(gate.submit(3), Err(ReserveError::Closed));
        let drained = jobs(Place::new(0, &lanes).drain());
        let accepted = producers.map(|producer| producer.join().unwrap());
        let accepted: Vec<u64> = accepted.into_iter().flatten().collect();
        assert_eq!(sorted(drained), accepted);
    });
}

/// Shutdown: a producer, a worker that runs jobs until it is told to stop, and a closer that hands
/// back the rest. Accepted is done plus returned, and nothing runs after the join.
/// Bound: 2 preemptions.
#[test]
fn dispatch_shutdown() {
    check("dispatch_shutdown", Some(2), || {
        let (lanes, mut beds) = lanes(1, 8, 2);
        let stopped = crate::sync::Arc::new(AtomicBool::new(false));
        let producer = Arc::clone(&lanes);
        let producer = thread::spawn(move || {
            [1].into_iter().filter(|&job| submit(&producer, tenant(0), job).is_ok()).collect()
        });
        let (theirs, bed, stop) = (Arc::clone(&lanes), beds.remove(0), stopped.clone());
        let worker = thread::spawn(move || {
            let mut place = Place::new(0, &theirs);
            let mut done = Vec::new();
            while !stop.load(Relaxed) {
                let ran = place.tick(1);
                if ran.is_empty() {
                    let has_work = || stop.load(Relaxed) || !theirs.rotation.is_empty();
                    bed.sleep(&theirs.sleepers, None, has_work);
                }
                done.extend(ran);
            }
            done
        });
        lanes.table.close();
        stopped.swap(true, Relaxed);
        lanes.sleepers.wake_all();
        let mut all = jobs(Place::new(1, &lanes).drain());
        all.extend(worker.join().unwrap());
        let accepted: Vec<u64> = producer.join().unwrap();
        assert_eq!(sorted(all), accepted);
    });
}
