//! Threads that wait for room.

use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Mutex, Parker, Unparker, full_fence, mutant, ord};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// Most of those that wait for the same whom one wake lets go; they see to the others.
const AT_ONCE_MAX: u32 = 32;

/// How long one waits for room in the engine without looking: a block that a submitter took in vain comes
/// back untold.
const UNTOLD_MAX: Duration = Duration::from_millis(100);

/// The bit of those that wait for the engine, in the word that says what is waited for.
const ENGINE_BIT: u32 = 63;

/// What a submitter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Want {
    /// Room in a lane.
    Lane(u32),
    /// Room in the engine for a job of this lane.
    Engine(u32),
}

impl Want {
    /// Its bit; lanes share theirs with others.
    fn bit(self) -> u32 {
        match self {
            Want::Lane(lane) => lane / 64 % ENGINE_BIT,
            Want::Engine(_) => ENGINE_BIT,
        }
    }

    /// How many may try when each lane has so much `room`. A lane's says nothing about the engine's, nor whether
    /// a job for the engine would go into that very lane.
    fn most(self, room: impl Fn(u32) -> u32) -> u32 {
        match self {
            Want::Lane(lane) => room(lane).min(AT_ONCE_MAX),
            Want::Engine(lane) => room(lane).clamp(1, AT_ONCE_MAX),
        }
    }
}

/// Where room has been made.
#[derive(Debug)]
pub(crate) struct NewRoom {
    /// In some of these lanes; they are 64 at most.
    pub(crate) lanes: Range<u32>,
    /// In the engine, for whatever lane.
    pub(crate) blocks: bool,
}

impl NewRoom {
    fn bits(&self) -> u64 {
        let lanes = match self.lanes.is_empty() {
            true => 0,
            false => {
                1 << Want::Lane(self.lanes.start).bit() | 1 << Want::Lane(self.lanes.end - 1).bit()
            }
        };
        lanes | u64::from(self.blocks) << ENGINE_BIT
    }
}

/// Submitters that were refused for want of room and wait for it.
///
/// Room for some wakes as many, the oldest. If it woke all, a thousand of them would fight for each place,
/// and keep a core busy with nothing but that. So a wake is a debt: who was woken while others wait for the
/// same wakes one of them when it leaves, whether it took the room or not.
pub(crate) struct Crowd {
    /// The bits of what is waited for. Changed under the list's lock, by RMW.
    waiting: AtomicU64,
    list: Mutex<List>,
}

struct List {
    next_ticket: u64,
    /// By what they want, oldest first.
    waiting: BTreeMap<(Want, u64), Unparker>,
    /// How many there are, by bit.
    counts: [u32; 64],
    /// The bits of which there are some.
    bits: u64,
}

impl List {
    /// Wakes of those that want something of `wants` the oldest, for each thing `most` of them.
    fn let_go(&mut self, wants: Range<Want>, most: impl Fn(Want) -> u32) {
        let mut from = (wants.start, 0);
        while let Some((&(want, _), _)) = self.waiting.range(from..(wants.end, 0)).next() {
            self.let_oldest_go(want, most(want));
            from = (want, u64::MAX);
        }
    }

    fn let_oldest_go(&mut self, want: Want, most: u32) {
        for _ in 0..most {
            let Some(key) = self.oldest(want) else { return };
            self.remove(key).expect("it was just seen").unpark();
        }
    }

    fn oldest(&self, want: Want) -> Option<(Want, u64)> {
        self.waiting.range((want, 0)..=(want, u64::MAX)).map(|(key, _)| *key).next()
    }

    fn add(&mut self, key: (Want, u64), unparker: Unparker) {
        self.waiting.insert(key, unparker);
        let bit = key.0.bit();
        self.counts[bit as usize] += 1;
        self.bits |= 1 << bit;
    }

    fn remove(&mut self, key: (Want, u64)) -> Option<Unparker> {
        let unparker = self.waiting.remove(&key)?;
        let bit = key.0.bit();
        self.counts[bit as usize] -= 1;
        if self.counts[bit as usize] == 0 {
            self.bits &= !(1 << bit);
        }
        Some(unparker)
    }
}

impl Crowd {
    pub(crate) fn new() -> Self {
        let list = List { next_ticket: 0, waiting: BTreeMap::new(), counts: [0; 64], bits: 0 };
        Crowd { waiting: AtomicU64::new(0), list: Mutex::new(list) }
    }

    /// Whether anybody waits. Call after making room and a `SeqCst` fence.
    #[inline]
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.load(Relaxed) != 0
    }

    /// A wait that begins now. `room` says how many more jobs the bound of a lane allows.
    pub(crate) fn wait<R: Fn(u32) -> u32>(&self, room: R) -> Wait<'_, R> {
        Wait { crowd: self, room, ticket: None, listed: None, woken_for: None }
    }

    /// Wakes the oldest that wait for room that has been made: as many as there is `room` for in each lane.
    pub(crate) fn wake(&self, made: &NewRoom, room: impl Fn(u32) -> u32) {
        if self.waiting.load(Relaxed) & made.bits() == 0 {
            return;
        }
        self.change(|list| {
            let lanes = Want::Lane(made.lanes.start)..Want::Lane(made.lanes.end);
            list.let_go(lanes, |want| want.most(&room));
            if made.blocks {
                list.let_go(Want::Engine(0)..Want::Engine(u32::MAX), |want| want.most(&room));
            }
        });
    }

    /// Wakes everybody who waits for room in a lane: it has other bounds, or another tenant.
    pub(crate) fn wake_lane(&self, lane: u32) {
        self.change(|list| list.let_oldest_go(Want::Lane(lane), u32::MAX));
    }

    /// Wakes everybody.
    pub(crate) fn wake_all(&self) {
        self.change(|list| list.let_go(Want::Lane(0)..Want::Engine(u32::MAX), |_| u32::MAX));
    }

    fn change<D>(&self, change: impl FnOnce(&mut List) -> D) -> D {
        let mut list = self.list.lock().expect("no code panics under this lock");
        let before = list.bits;
        let done = change(&mut list);
        if list.bits != before {
            self.waiting.swap(list.bits, Relaxed);
        }
        done
    }
}

/// One submitter's wait, over as many wakes as it takes; it keeps its place among the others.
pub(crate) struct Wait<'a, R: Fn(u32) -> u32> {
    crowd: &'a Crowd,
    room: R,
    ticket: Option<u64>,
    /// Its entry in the list, unless a wake has taken it out.
    listed: Option<(Want, u64)>,
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
        self.announce(want, parker.unparker().clone());
        // ORDERING(crowd.fence): either this attempt sees the room, or whoever made it sees the
        // announcement; pairs with dispatch.room_fence, dispatch.settle_fence and
        // rotation.insert_fence.
        full_fence(ord!("crowd.fence", SeqCst => AcqRel));
        let result = if mutant!("crowd.no_retry") { None } else { attempt() };
        if result.is_none() {
            let untold = matches!(want, Want::Engine(_)).then_some(UNTOLD_MAX);
            parker.park_timeout(untold.map_or(limit, |untold| untold.min(limit)));
        }
        self.withdraw();
        result
    }

    fn announce(&mut self, want: Want, unparker: Unparker) {
        let known = self.ticket;
        let key = self.crowd.change(|list| {
            let ticket = known.unwrap_or(list.next_ticket);
            list.next_ticket = list.next_ticket.max(ticket + 1);
            list.add((want, ticket), unparker);
            (want, ticket)
        });
        self.ticket = Some(key.1);
        self.listed = Some(key);
    }

    /// Takes the entry out of the list. If a wake has, it is owed to those that want the same now: who comes
    /// later looks for room itself.
    fn withdraw(&mut self) {
        let Some(key) = self.listed.take() else { return };
        let leaves_others = self.crowd.change(|list| {
            let was_woken = list.remove(key).is_none();
            was_woken && list.oldest(key.0).is_some()
        });
        if leaves_others {
            self.woken_for = Some(key.0);
        }
    }

    fn pass_on(&mut self) {
        let Some(want) = self.woken_for.take() else { return };
        let one = want.most(&self.room).min(1);
        if !mutant!("crowd.not_passed_on") {
            self.crowd.change(|list| list.let_oldest_go(want, one));
        }
    }
}

/// Nobody is left in the list, also by an attempt that panics, and no wake is lost.
impl<R: Fn(u32) -> u32> Drop for Wait<'_, R> {
    fn drop(&mut self) {
        self.withdraw();
        self.pass_on();
    }
}
