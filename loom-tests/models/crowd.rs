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

/// The same for two submitters and room for two, made one after the other.
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

fn make_room(crowd: &Crowd, room: &AtomicU64) {
    room.fetch_add(1, Relaxed);
    full_fence(SeqCst);
    if crowd.is_waiting() {
        crowd.wake(|_| room.load(Relaxed) != 0);
    }
}

fn enter(crowd: &Crowd, room: &AtomicU64) {
    let attempt = || room.fetch_update(Relaxed, Relaxed, |room| room.checked_sub(1)).ok();
    while crowd.wait(0, Duration::MAX, attempt).is_none() {}
}
