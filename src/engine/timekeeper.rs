//! The thread that brings parked lanes back when their moment comes.

use super::shared::Shared;
use crate::dispatch::Seat;
use crate::sync::Parker;
use crate::sync::thread::{self, JoinHandle};
use crate::units::Nanos;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// How long the timekeeper pauses after a panic of its own: there is no other to go on, and what it died of
/// may come again.
const PAUSE: Duration = Duration::from_secs(1);

/// Starts the timekeeper. Workers look at the time as well, between handlers; the timekeeper is there
/// for when all of them are busy or asleep. It sleeps until the next moment that anything waits for, and
/// for good while nothing does.
pub(super) fn start<T: Send + 'static>(shared: &Arc<Shared<T>>) -> io::Result<JoinHandle<()>> {
    let parker = Parker::new();
    shared.lanes.alarm.set(parker.unparker().clone());
    let shared = Arc::clone(shared);
    let builder = thread::Builder::new().name("fairlane-time".to_owned());
    builder.spawn(move || keep_time(&shared, &parker))
}

fn keep_time<T: Send + 'static>(shared: &Shared<T>, parker: &Parker) {
    let index = shared.timekeepers_desk();
    let mut seat = shared.sit_down(index);
    while !shared.is_stopped() {
        if shared.guard_own(None, || keep_time_once(shared, &mut seat)).is_err() {
            let _ = shared.guard_own(None, || seat.settle_down(&shared.lanes));
            shared.end_look(index);
            parker.park_timeout(PAUSE);
            continue;
        }
        match shared.lanes.gate.next_at() {
            Nanos::MAX => parker.park(),
            next => parker.park_timeout(next.since(shared.clock.now()).as_duration()),
        }
    }
}

fn keep_time_once<T: Send + 'static>(shared: &Shared<T>, seat: &mut Seat) {
    let (index, now) = (shared.timekeepers_desk(), shared.clock.now());
    if shared.begin_look(index) {
        seat.keep_time(&shared.lanes, now);
        seat.settle_down(&shared.lanes);
        shared.end_look(index);
    }
    if seat.has_news() {
        shared.tell_seen(index, seat, now);
    }
    shared.tell_expired(None);
}
