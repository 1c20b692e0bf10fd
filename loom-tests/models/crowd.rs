//! Submitters that wait for room.

use super::harness::check;
use crate::park::{Crowd, NewRoom, Want};
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
        let maker = thread::spawn(move || make_room_for(1, &maker.0, &maker.1));
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
        two_enter(|crowd, room| (0..2).for_each(|_| make_room_for(1, crowd, room)));
    });
}

/// Room for two at once, of whom one is woken: it wakes the other.
/// Bound: 3 preemptions.
#[test]
fn crowd_passed_on() {
    check("crowd_passed_on", Some(3), || two_enter(|crowd, room| make_room_for(2, crowd, room)));
}

/// Room for two, of whom one is woken and wants something else by then: it wakes the other, without whom it
/// would not get that.
/// Bound: 3 preemptions.
#[test]
fn crowd_turned_away() {
    check("crowd_turned_away", Some(3), || {
        let state = Arc::new((Crowd::new(), AtomicU64::new(0), AtomicU64::new(0)));
        let other = Arc::clone(&state);
        let other = thread::spawn(move || {
            enter(&other.0, &other.1);
            other.2.fetch_add(1, Relaxed);
            full_fence(SeqCst);
            other.0.wake(&NewRoom { lanes: 0..0, blocks: true }, |_| 1);
        });
        let maker = Arc::clone(&state);
        let maker = thread::spawn(move || make_room_for(2, &maker.0, &maker.1));
        let (crowd, room, engine) = &*state;
        let mut wait = crowd.wait(|_| one_at_most(room));
        let _ = wait.once(LANE, Duration::MAX, || (room.load(Relaxed) != 0).then_some(()));
        while wait.once(Want::Engine(0), Duration::MAX, || take(engine)).is_none() {}
        other.join().unwrap();
        maker.join().unwrap();
    });
}

const LANE: Want = Want::Lane(0);

/// Two submitters enter while `make` makes room for both.
fn two_enter(make: fn(&Crowd, &AtomicU64)) {
    let crowd = Arc::new((Crowd::new(), AtomicU64::new(0)));
    let maker = Arc::clone(&crowd);
    let maker = thread::spawn(move || make(&maker.0, &maker.1));
    let other = Arc::clone(&crowd);
    let other = thread::spawn(move || enter(&other.0, &other.1));
    enter(&crowd.0, &crowd.1);
    other.join().unwrap();
    maker.join().unwrap();
}

fn make_room_for(jobs: u64, crowd: &Crowd, room: &AtomicU64) {
    room.fetch_add(jobs, Relaxed);
    full_fence(SeqCst);
    let made = NewRoom { lanes: 0..1, blocks: false };
    if crowd.is_waiting() {
        crowd.wake(&made, |_| one_at_most(room));
    }
}

/// As if a wake let one go at a time, which it does for the next after 32.
fn one_at_most(room: &AtomicU64) -> u32 {
    room.load(Relaxed).min(1) as u32
}

fn take(room: &AtomicU64) -> Option<u64> {
    room.fetch_update(Relaxed, Relaxed, |room| room.checked_sub(1)).ok()
}

fn enter(crowd: &Crowd, room: &AtomicU64) {
    let mut wait = crowd.wait(|_| one_at_most(room));
    while wait.once(LANE, Duration::MAX, || take(room)).is_none() {}
}
