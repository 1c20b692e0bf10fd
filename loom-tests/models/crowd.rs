//! Submitters that wait for room.

use super::harness::check;
use crate::park::Crowd;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use crate::sync::full_fence;
use loom::thread;
use std::time::Duration;

/// Either a blocked submitter's last attempt sees the room, or whoever made it sees the submitter.
/// Nobody is saved by a timeout: there are none under loom.
#[test]
fn crowd_room() {
    check("crowd_room", None, || {
        let crowd = Arc::new((Crowd::new(), AtomicU64::new(0)));
        let maker = Arc::clone(&crowd);
        let maker = thread::spawn(move || make_room(&maker.0, &maker.1));
        enter(&crowd.0, &crowd.1);
        maker.join().unwrap();
    });
}

/// The same for two submitters and room for two, made one after the other: the second piece may be made while
/// the first submitter is on its way to the first, and wakes nobody then but those that still wait.
/// Bound: 2 preemptions.
#[test]
fn crowd_two_wait() {
    check("crowd_two_wait", Some(2), || {
        let crowd = Arc::new((Crowd::new(), AtomicU64::new(0)));
        let maker = Arc::clone(&crowd);
        let maker = thread::spawn(move || {
            make_room(&maker.0, &maker.1);
            make_room(&maker.0, &maker.1);
        });
        let other = Arc::clone(&crowd);
        let other = thread::spawn(move || enter(&other.0, &other.1));
        enter(&crowd.0, &crowd.1);
        other.join().unwrap();
        maker.join().unwrap();
    });
}

/// Room for two at once, of whom one is woken: it wakes the other.
/// Bound: 3 preemptions.
#[test]
fn crowd_passed_on() {
    check("crowd_passed_on", Some(3), || {
        let crowd = Arc::new((Crowd::new(), AtomicU64::new(0)));
        let other = Arc::clone(&crowd);
        let other = thread::spawn(move || enter(&other.0, &other.1));
        let maker = Arc::clone(&crowd);
        let maker = thread::spawn(move || make_room_for(2, &maker.0, &maker.1));
        enter(&crowd.0, &crowd.1);
        other.join().unwrap();
        maker.join().unwrap();
    });
}

fn make_room(crowd: &Crowd, room: &AtomicU64) {
    make_room_for(1, crowd, room);
}

fn make_room_for(jobs: u64, crowd: &Crowd, room: &AtomicU64) {
    room.fetch_add(jobs, Relaxed);
    full_fence(SeqCst);
    if crowd.is_waiting() {
        crowd.wake(|_| one_at_most(room));
    }
}

/// As if a wake let one go at a time, which it does for the next after 32.
fn one_at_most(room: &AtomicU64) -> u32 {
    room.load(Relaxed).min(1) as u32
}

fn enter(crowd: &Crowd, room: &AtomicU64) {
    let attempt = || room.fetch_update(Relaxed, Relaxed, |room| room.checked_sub(1)).ok();
    let mut wait = crowd.wait();
    while wait.once(0, Duration::MAX, attempt).is_none() {}
    wait.end(|_| one_at_most(room));
}
