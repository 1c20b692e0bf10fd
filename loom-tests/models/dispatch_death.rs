//! A worker that dies while it holds a lane. No code of the user's runs there, so only a broken invariant
//! of our own can panic: the models ask for it.

use super::dispatch::{assert_at_rest, jobs, sorted};
use super::dispatch_rig::{Place, lanes, submit, tenant};
use super::harness::check;
use crate::dispatch::Lanes;
use crate::park::Bed;
use crate::sync::fault::arm;
use loom::thread;
use std::sync::Arc;

/// How a worker ended: with jobs, or dead, with jobs that it had been granted before.
type End = Result<Vec<u64>, Vec<u64>>;

/// Sleeps until there is a job, and takes it, or dies in the attempt.
fn work_or_die(bed: &Bed, lanes: &Arc<Lanes<u64>>) -> End {
    let mut place = Place::new(bed.seat(), lanes);
    loop {
        let seen = place.tick_or_die(1)?;
        if !seen.is_empty() {
            return Ok(seen);
        }
        bed.sleep(&lanes.sleepers, None, || !lanes.rotation.is_empty());
    }
}

/// Of two workers the first that comes to `fault` dies there, with `granted` in its hands; the other one,
/// asleep or not, gets the rest. Nothing is lost or read twice, and the lane counts what has left it.
fn dies(fault: &'static str, granted: &[u64], rest: &[u64]) {
    let (lanes, mut beds) = lanes(1, 8, 2);
    let accepted = granted.iter().chain(rest);
    accepted.for_each(|job| submit(&lanes, tenant(0), *job).unwrap());
    if fault == "visit.granted_in_order" {
        lanes.table.row(0).drained.tell_urgent();
    }
    let _armed = arm(fault);
    let (theirs, bed) = (Arc::clone(&lanes), beds.remove(1));
    let other = thread::spawn(move || work_or_die(&bed, &theirs));
    let mine = work_or_die(&beds[0], &lanes);
    let ends = [mine, other.join().unwrap()];
    let dead: Vec<&Vec<u64>> = ends.iter().filter_map(|end| end.as_ref().err()).collect();
    assert_eq!(dead, [granted], "one dies, once");
    let live: Vec<&Vec<u64>> = ends.iter().filter_map(|end| end.as_ref().ok()).collect();
    assert_eq!(live, [rest], "the other goes on with the lane");
    assert_eq!(Place::new(0, &lanes).tick(1), []);
    assert_at_rest(&lanes, (granted.len() + rest.len()) as u64);
}

/// See [`dies`]: before the visit has begun.
/// Bound: 3 preemptions.
#[test]
fn dispatch_death_before_a_visit() {
    check("dispatch_death_before_a_visit", Some(3), || dies("visit.begun", &[], &[1]));
}

/// See [`dies`]: with a grant that the lane does not count yet.
/// Bound: 3 preemptions.
#[test]
fn dispatch_death_in_a_visit() {
    check("dispatch_death_in_a_visit", Some(3), || dies("visit.granted", &[1], &[2]));
}

/// See [`dies`]: the same for jobs that have an order of their own, one of which is set aside.
/// Bound: 2 preemptions.
#[test]
fn dispatch_death_in_order() {
    check("dispatch_death_in_order", Some(2), || dies("visit.granted_in_order", &[1], &[2]));
}

/// A worker dies when it has just taken its lane out of the rotation: the lane is whose who activates it
/// next, and nobody puts it back beside.
/// Bound: 2 preemptions.
#[test]
fn dispatch_death_after_leaving() {
    check("dispatch_death_after_leaving", Some(2), || {
        let (lanes, _beds) = lanes(1, 8, 2);
        submit(&lanes, tenant(0), 1).unwrap();
        let mut mine = Place::new(0, &lanes);
        let mut seen = mine.tick(1);
        let armed = arm("visit.left");
        let other = Arc::clone(&lanes);
        let other = thread::spawn(move || {
            submit(&other, tenant(0), 2).unwrap();
            Place::new(1, &other).tick_or_die(1)
        });
        let mine = mine.tick_or_die(1);
        let ends = [mine, other.join().unwrap()];
        drop(armed);
        assert!(ends.iter().filter(|end| end.is_err()).count() <= 1);
        seen.extend(ends.into_iter().flat_map(|end| end.unwrap_or_else(|granted| granted)));
        seen.extend(jobs(Place::new(0, &lanes).drain()));
        assert_eq!(sorted(seen), [1, 2]);
    });
}
