//! Threads that wait for room in a lane.

use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Mutex, Parker, Unparker, full_fence, mutant, ord};
use std::time::Duration;

/// Submitters that were refused for want of room and wait for it, oldest first.
pub(crate) struct Crowd {
    /// Number of entries in the list. Changed under the list's lock, by RMW.
    waiting: AtomicU32,
    list: Mutex<List>,
}

struct Waiting {
    ticket: u64,
    lane: u32,
    unparker: Unparker,
}

#[derive(Default)]
struct List {
    next_ticket: u64,
    waiting: Vec<Waiting>,
}

impl Crowd {
    pub(crate) fn new() -> Self {
        Crowd { waiting: AtomicU32::new(0), list: Mutex::new(List::default()) }
    }

    /// Whether anybody waits. Call after making room and a `SeqCst` fence.
    #[inline]
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.load(Relaxed) != 0
    }

    /// Waits until woken or until `limit` has passed, unless `attempt`, made once more after the
    /// announcement, succeeds. A wake means "try again".
    pub(crate) fn wait<R>(
        &self,
        lane: u32,
        limit: Duration,
        attempt: impl FnOnce() -> Option<R>,
    ) -> Option<R> {
        let parker = Parker::new();
        let ticket = self.enter(lane, parker.unparker().clone());
        // ORDERING(crowd.fence): either this attempt sees the room, or whoever made it sees the
        // announcement; pairs with dispatch.room_fence, dispatch.settle_fence and
        // rotation.insert_fence.
        full_fence(ord!("crowd.fence", SeqCst => AcqRel));
        let result = if mutant!("crowd.no_retry") { None } else { attempt() };
        if result.is_none() {
            parker.park_timeout(limit);
        }
        self.keep(|waiting| waiting.ticket != ticket);
        result
    }

    fn enter(&self, lane: u32, unparker: Unparker) -> u64 {
        let mut list = self.list.lock().expect("no code panics under this lock");
        let ticket = list.next_ticket;
        list.next_ticket += 1;
        list.waiting.push(Waiting { ticket, lane, unparker });
        self.waiting.fetch_add(1, Relaxed);
        ticket
    }

    fn keep(&self, stays: impl Fn(&Waiting) -> bool) {
        let mut list = self.list.lock().expect("no code panics under this lock");
        let before = list.waiting.len();
        list.waiting.retain(stays);
        self.waiting.fetch_sub((before - list.waiting.len()) as u32, Relaxed);
    }

    /// Wakes those whose lane `has_room`.
    pub(crate) fn wake(&self, has_room: impl Fn(u32) -> bool) {
        self.keep(|waiting| {
            let goes = has_room(waiting.lane);
            if goes {
                waiting.unparker.unpark();
            }
            !goes
        });
    }
}
