//! Threads that wait for room in a lane.

use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Mutex, Parker, Unparker, full_fence, mutant, ord};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Most submitters of one lane that one wake lets go; they wake the next.
const AT_ONCE_MAX: usize = 32;

/// Submitters that were refused for want of room and wait for it, oldest first in each lane.
///
/// Room for some wakes as many. If it woke all of a lane's submitters, a thousand of them would fight for
/// each place, and keep a core busy with nothing but that. So a wake is a debt: who was woken wakes the
/// next when it leaves, whether it took the room or not.
pub(crate) struct Crowd {
    /// Number of entries in the list. Changed under the list's lock, by RMW.
    waiting: AtomicU32,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    next_ticket: u64,
    /// By lane, oldest first.
    lanes: BTreeMap<u32, VecDeque<Waiting>>,
}

struct Waiting {
    ticket: u64,
    unparker: Unparker,
}

/// One submitter's wait, over as many wakes as it takes; it keeps its place among the others.
pub(crate) struct Wait<'a> {
    crowd: &'a Crowd,
    ticket: Option<u64>,
    was_woken: bool,
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

    /// A wait that begins now. [`end`](Wait::end) it.
    pub(crate) fn wait(&self) -> Wait<'_> {
        Wait { crowd: self, ticket: None, was_woken: false }
    }

    /// Wakes the oldest of each lane, as many as it has `room` for.
    pub(crate) fn wake(&self, room: impl Fn(u32) -> u32) {
        self.let_go(|lane| (room(lane) as usize).min(AT_ONCE_MAX));
    }

    /// Wakes everybody.
    pub(crate) fn wake_all(&self) {
        self.let_go(|_| usize::MAX);
    }

    fn let_go(&self, most: impl Fn(u32) -> usize) {
        let mut list = self.list.lock().expect("no code panics under this lock");
        let mut gone = 0;
        list.lanes.retain(|lane, waiting| {
            let going = most(*lane).min(waiting.len());
            waiting.drain(..going).for_each(|one| one.unparker.unpark());
            gone += going as u32;
            !waiting.is_empty()
        });
        self.waiting.fetch_sub(gone, Relaxed);
    }
}

impl Wait<'_> {
    /// Waits for room in `lane` until woken or until `limit` has passed, unless `attempt`, made once more
    /// after the announcement, succeeds. `None` means "try again".
    pub(crate) fn once<R>(
        &mut self,
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
        self.was_woken |= !self.withdraw(lane, ticket);
        result
    }

    /// Ends the wait, and passes on to the next what `room` there is, if this one was woken for some.
    pub(crate) fn end(self, room: impl Fn(u32) -> u32) {
        if self.was_woken && !mutant!("crowd.not_passed_on") {
            self.crowd.wake(room);
        }
    }

    fn enter(&mut self, lane: u32, unparker: Unparker) -> u64 {
        let mut list = self.crowd.list.lock().expect("no code panics under this lock");
        let ticket = *self.ticket.get_or_insert(list.next_ticket);
        list.next_ticket = list.next_ticket.max(ticket + 1);
        let waiting = list.lanes.entry(lane).or_default();
        let at = waiting.partition_point(|one| one.ticket < ticket);
        waiting.insert(at, Waiting { ticket, unparker });
        self.crowd.waiting.fetch_add(1, Relaxed);
        ticket
    }

    /// Takes the entry out of the list. Returns whether it was there: a wake takes it out as well.
    fn withdraw(&self, lane: u32, ticket: u64) -> bool {
        let mut list = self.crowd.list.lock().expect("no code panics under this lock");
        let Some(waiting) = list.lanes.get_mut(&lane) else { return false };
        let Ok(at) = waiting.binary_search_by_key(&ticket, |one| one.ticket) else { return false };
        waiting.remove(at);
        if waiting.is_empty() {
            list.lanes.remove(&lane);
        }
        self.crowd.waiting.fetch_sub(1, Relaxed);
        true
    }
}
