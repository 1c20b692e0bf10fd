//! Threads that wait for room.

use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Mutex, Parker, Unparker, full_fence, mutant, ord};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// Most of those that wait for the same whom one wake lets go; each of them wakes another.
const AT_ONCE_MAX: u32 = 32;

/// What a submitter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Want {
    /// Room in a lane.
    Lane(u32),
    /// Room in the engine for a job of this lane.
    Engine(u32),
}

impl Want {
    fn lane(self) -> u32 {
        match self {
            Want::Lane(lane) | Want::Engine(lane) => lane,
        }
    }
}

/// Submitters that were refused for want of room and wait for it.
///
/// Room for some wakes as many, the oldest. If it woke all, a thousand of them would fight for each place,
/// and keep a core busy with nothing but that. So a wake is a debt: who was woken wakes the next when it
/// leaves, whether it took the room or not.
pub(crate) struct Crowd {
    /// Number of entries in the list. Changed under the list's lock, by RMW.
    waiting: AtomicU32,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    next_ticket: u64,
    /// By what they want, oldest first.
    waiting: BTreeMap<(Want, u64), Unparker>,
}

impl List {
    /// Wakes of those that want something of `wants` the oldest, for each thing `most` of them. Returns how
    /// many have gone.
    fn let_go(&mut self, wants: Range<Want>, most: impl Fn(Want) -> u32) -> u32 {
        let mut gone = 0;
        let mut from = (wants.start, 0);
        while let Some((&(want, _), _)) = self.waiting.range(from..(wants.end, 0)).next() {
            gone += self.let_oldest_go(want, most(want));
            from = (want, u64::MAX);
        }
        gone
    }

    /// The entries that want this, oldest first.
    fn of(&self, want: Want) -> impl Iterator<Item = (Want, u64)> {
        self.waiting.range((want, 0)..=(want, u64::MAX)).map(|(key, _)| *key)
    }

    fn let_oldest_go(&mut self, want: Want, most: u32) -> u32 {
        let going: Vec<_> = self.of(want).take(most as usize).collect();
        going.iter().filter_map(|key| self.waiting.remove(key)).for_each(|one| one.unpark());
        going.len() as u32
    }
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

    /// A wait that begins now. `room` says how many more jobs the bound of a lane allows.
    pub(crate) fn wait<R: Fn(u32) -> u32>(&self, room: R) -> Wait<'_, R> {
        Wait { crowd: self, room, ticket: None, woken_for: None }
    }

    /// Wakes the oldest that wait for room in a lane of `made`, or in the engine: as many as there is `room`
    /// for in each lane.
    pub(crate) fn wake(&self, made: Range<u32>, room: impl Fn(u32) -> u32) {
        let most = |want: Want| room(want.lane()).min(AT_ONCE_MAX);
        self.change(|list| {
            list.let_go(Want::Lane(made.start)..Want::Lane(made.end), most)
                + list.let_go(Want::Engine(0)..Want::Engine(u32::MAX), most)
        });
    }

    /// Wakes everybody.
    pub(crate) fn wake_all(&self) {
        self.change(|list| list.let_go(Want::Lane(0)..Want::Engine(u32::MAX), |_| u32::MAX));
    }

    /// Makes a change to the list that takes out as many as it returns.
    fn change(&self, change: impl FnOnce(&mut List) -> u32) {
        let mut list = self.list.lock().expect("no code panics under this lock");
        let gone = change(&mut list);
        self.waiting.fetch_sub(gone, Relaxed);
    }
}

/// One submitter's wait, over as many wakes as it takes; it keeps its place among the others. When it ends,
/// another is woken in its place, if it was woken and there is still room.
pub(crate) struct Wait<'a, R: Fn(u32) -> u32> {
    crowd: &'a Crowd,
    room: R,
    ticket: Option<u64>,
    /// What it was woken for while others waited for it, none of whom has been woken in its place.
    woken_for: Option<Want>,
}

impl<R: Fn(u32) -> u32> Wait<'_, R> {
    /// Waits until woken or until `limit` has passed, unless `attempt`, made once more after the
    /// announcement, has a result. `None` means "try again".
    pub(crate) fn once<D>(
        &mut self,
        want: Want,
        limit: Duration,
        attempt: impl FnOnce() -> Option<D>,
    ) -> Option<D> {
        let is_owed = self.woken_for.is_some_and(|other| other != want);
        if is_owed && !mutant!("crowd.turned_away") {
            self.pass_on();
        }
        let parker = Parker::new();
        let key = self.enter(want, parker.unparker().clone());
        // ORDERING(crowd.fence): either this attempt sees the room, or whoever made it sees the
        // announcement; pairs with dispatch.room_fence, dispatch.settle_fence and
        // rotation.insert_fence.
        full_fence(ord!("crowd.fence", SeqCst => AcqRel));
        let result = if mutant!("crowd.no_retry") { None } else { attempt() };
        if result.is_none() {
            parker.park_timeout(limit);
        }
        if self.withdraw(key) {
            self.woken_for = Some(want);
        }
        result
    }

    fn enter(&mut self, want: Want, unparker: Unparker) -> (Want, u64) {
        let mut list = self.crowd.list.lock().expect("no code panics under this lock");
        let ticket = *self.ticket.get_or_insert(list.next_ticket);
        list.next_ticket = list.next_ticket.max(ticket + 1);
        list.waiting.insert((want, ticket), unparker);
        self.crowd.waiting.fetch_add(1, Relaxed);
        (want, ticket)
    }

    /// Takes the entry out of the list, unless a wake has. Returns whether one has, and left others there that
    /// want the same: who comes later looks for room itself.
    fn withdraw(&self, key: (Want, u64)) -> bool {
        let mut leaves_others = false;
        self.crowd.change(|list| {
            let was_there = list.waiting.remove(&key).is_some();
            leaves_others = !was_there && list.of(key.0).next().is_some();
            u32::from(was_there)
        });
        leaves_others
    }

    fn pass_on(&mut self) {
        if let Some(want) = self.woken_for.take() {
            let one = (self.room)(want.lane()).min(1);
            if !mutant!("crowd.not_passed_on") {
                self.crowd.change(|list| list.let_oldest_go(want, one));
            }
        }
    }
}

impl<R: Fn(u32) -> u32> Drop for Wait<'_, R> {
    fn drop(&mut self) {
        self.pass_on();
    }
}
