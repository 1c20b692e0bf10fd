//! What is known of one limited tenant.

use super::budgets::Reservation;
use super::slab::Slab;
use super::slots::Slots;
use super::{Denial, Held};
use crate::error::Reason;
use crate::limit::{Meter, Rate};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sync::{IS_MODEL, Mutex};
use crate::units::Nanos;

/// A limited tenant's quotas. Made when the tenant is first limited.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Grants in flight.
    pub(super) slots: Slots,
    /// What is handed to the parked lane for its next visit; see [`Handed`] and [`ROOM`]. Changed by RMW only. The
    /// lane's way back into the rotation carries it from one to the other.
    handed: AtomicU64,
    /// When the lane's jobs are looked after next, `u64::MAX` for never. Stored under the lot's lock.
    alarm: AtomicU64,
    /// When the first of its jobs is due that is not. Written by the lane's drainer.
    due: AtomicU64,
    /// While the lane is parked until a moment, that moment; else 0. Written by whoever parks it and whoever
    /// brings it back; read by submitters that are refused, as advice.
    returns_at: AtomicU64,
    /// When the first of the jobs came that wait in the lane, of a lane that is not a tenant's first. Written
    /// by submitters, under the lock of the tenant's lanes.
    filled_at: AtomicU64,
    /// Jobs of the tenant that expired. Written by the lane's drainer.
    expired: AtomicU64,
    /// Whose quotas these are: the handle's generation. Written by the lane's drainer.
    generation: AtomicU32,
    /// The guaranteed minimum. Stored under the lot's lock.
    min: AtomicU32,
    /// Locked once per visit, and by whoever asks why the tenant waits.
    state: Mutex<State>,
}

/// What only the tenant's drainers change.
#[derive(Debug)]
pub(crate) struct State {
    pub(super) meter: Meter,
    /// What the lane has waited for since when, without a grant in between.
    waiting: Option<(Reason, Nanos)>,
    /// Why the lane's jobs will never go, once no others are left.
    barred: Option<Denial>,
    /// What grants in flight have reserved in budgets. A receipt has the number.
    pub(super) reservations: Slab<Reservation>,
}

/// What a lane was given while it was parked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Handed {
    Nothing,
    /// Slots, which have been taken: all that a grant needs.
    Slots(Held),
    /// The sight of room in the budget of this number; others may wait for what is left of it.
    Room(u32),
}

/// Marks the number of a budget.
const ROOM: u64 = 1 << 63;

impl Entry {
    pub(super) fn new() -> Self {
        Entry {
            slots: Slots::unbounded(),
            handed: AtomicU64::new(0),
            alarm: AtomicU64::new(u64::MAX),
            due: AtomicU64::new(u64::MAX),
            returns_at: AtomicU64::new(0),
            filled_at: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            generation: AtomicU32::new(0),
            min: AtomicU32::new(0),
            state: Mutex::new(State::new()),
        }
    }

    /// Runs `look` on the tenant's state.
    pub(crate) fn open<R>(&self, look: impl FnOnce(&mut State) -> R) -> R {
        look(&mut self.state.lock().expect("no code panics under a tenant's lock"))
    }

    /// Forgets the tenant before the one of `generation`, if it is still remembered. Only drainers
    /// of the tenant's lanes may call this.
    #[inline]
    pub(crate) fn begin_for(&self, generation: u16) {
        if self.generation.load(Relaxed) != u32::from(generation) {
            self.begin(generation);
        }
    }

    #[cold]
    fn begin(&self, generation: u16) {
        self.open(|state| {
            // A tenant's lanes may have drainers at the same time.
            if self.generation.load(Relaxed) != u32::from(generation) {
                self.expired.store(0, Relaxed);
                (state.meter, state.waiting) = (Meter::new(), None);
                self.generation.store(generation.into(), Relaxed);
            }
        });
    }

    /// Hands slots that have been taken for it to the tenant's parked lane.
    pub(super) fn hand(&self, held: Held) {
        self.handed.swap(held.bits().into(), Relaxed);
    }

    /// Tells the tenant's parked lane that a budget has room for its job.
    pub(super) fn hand_room(&self, budget: u32) {
        self.handed.swap(ROOM | u64::from(budget), Relaxed);
    }

    /// What has been handed over since the last visit.
    #[inline]
    pub(super) fn take_handed(&self) -> Handed {
        if self.handed.load(Relaxed) == 0 {
            return Handed::Nothing;
        }
        match self.handed.swap(0, Relaxed) {
            0 => Handed::Nothing,
            room if room & ROOM != 0 => Handed::Room(room as u32),
            held => Handed::Slots(Held::from_bits(held as u16)),
        }
    }

    /// The guaranteed minimum.
    pub(super) fn min(&self) -> u32 {
        self.min.load(Relaxed)
    }

    /// Sets the guaranteed minimum. Under the lot's lock.
    pub(super) fn set_min(&self, min: u32) {
        self.min.store(min, Relaxed);
    }

    /// When the lane's jobs are looked after next.
    #[inline]
    pub(crate) fn alarm(&self) -> Nanos {
        Nanos(self.alarm.load(Relaxed))
    }

    /// Sets the alarm. Under the lot's lock.
    pub(super) fn set_alarm(&self, at: Nanos) {
        self.alarm.store(at.0, Relaxed);
    }

    /// Notes that the lane has nothing to do until `due`. Only its drainer may call this.
    pub(crate) fn rest_until(&self, due: Nanos, now: Nanos) {
        self.due.store(due.0, Relaxed);
        self.open(|state| {
            state.barred = None;
            state.wait(Reason::NotDue, now)
        });
    }

    /// Notes that the lane has nothing to do until its limits change: by these, `denial` says, its jobs never go.
    /// Only its drainer may call this.
    pub(crate) fn rest_for_good(&self, denial: Denial, now: Nanos) {
        self.due.store(u64::MAX, Relaxed);
        self.open(|state| {
            state.barred = Some(denial);
            state.wait(denial.reason, now)
        });
    }

    /// Since when the lane has had nothing to do, and until when, or why its jobs never go.
    pub(crate) fn rest(&self, now: Nanos) -> (Nanos, Result<Nanos, Denial>) {
        let (since, barred) = self.open(|state| (state.waiting.map(|it| it.1), state.barred));
        let until = barred.map_or_else(|| Ok(Nanos(self.due.load(Relaxed))), Err);
        (since.unwrap_or(now), until)
    }

    /// Notes that the lane's jobs wait no more, because some have gone or none are left. Only its drainer may
    /// call this.
    pub(crate) fn end_wait(&self) {
        self.open(State::end_wait);
    }

    /// Since when the lane of the tenant with the handle of `generation` has waited for `reason`, without a
    /// grant in between; `None` when no visit has found that yet.
    pub(crate) fn waits_since(&self, generation: u16, reason: Reason) -> Option<Nanos> {
        let is_its = self.generation.load(Relaxed) == u32::from(generation);
        let waiting = self.open(|state| state.waiting).filter(|_| is_its)?;
        (waiting.0 == reason).then_some(waiting.1)
    }

    /// Whether the lane has been handed what its next job was refused for, and is on its way to it.
    pub(crate) fn is_handed(&self) -> bool {
        self.handed.load(Relaxed) != 0
    }

    /// Notes the moment until which the lane is about to be parked, if it is for one.
    pub(crate) fn leave_until(&self, moment: Option<Nanos>) {
        self.advise(moment.map_or(0, |moment| moment.0));
    }

    /// Notes that the lane is parked no longer.
    pub(crate) fn come_back(&self) {
        self.advise(0);
    }

    fn advise(&self, moment: u64) {
        // Nothing but words depends on it, and in a model every access multiplies the schedules.
        if !IS_MODEL {
            self.returns_at.store(moment, Relaxed);
        }
    }

    /// How long it is at `now` until the lane's next job may go, where a moment says so.
    pub(crate) fn returns_in(&self, now: Nanos) -> Option<Nanos> {
        let at = Nanos(self.returns_at.load(Relaxed));
        (at > now).then(|| at.since(now))
    }

    /// Notes that the first job came at `now` to a lane without any. Under the lock of the tenant's lanes.
    pub(crate) fn fill(&self, now: Nanos) {
        self.filled_at.store(now.0, Relaxed);
    }

    /// When the first of the jobs came that wait in a lane which is not a tenant's first.
    pub(crate) fn filled_at(&self) -> Nanos {
        Nanos(self.filled_at.load(Relaxed))
    }

    /// Counts jobs that expired. Only the lane's drainer may call this.
    pub(crate) fn count_expired(&self, jobs: u64) {
        self.expired.store(self.expired.load(Relaxed) + jobs, Relaxed);
    }

    /// Jobs that expired of the tenant with the handle of `generation`.
    pub(crate) fn expired(&self, generation: u16) -> u64 {
        let is_its = self.generation.load(Relaxed) == u32::from(generation);
        if is_its { self.expired.load(Relaxed) } else { 0 }
    }

    /// Grants in flight.
    pub(crate) fn running(&self) -> u32 {
        self.slots.used()
    }

    /// Whether nothing would be lost if the tenant of `generation` were given up at `now`. What is remembered
    /// of the tenant before it is not its own.
    pub(crate) fn is_idle(&self, generation: u16, rate: Option<&Rate>, now: Nanos) -> bool {
        let has_had_nothing = |rate| {
            self.open(|state| {
                let is_own = self.generation.load(Relaxed) == u32::from(generation);
                !is_own || state.meter.is_idle(rate, now)
            })
        };
        self.slots.used() == 0 && rate.is_none_or(has_had_nothing)
    }
}

impl State {
    fn new() -> Self {
        State { meter: Meter::new(), waiting: None, barred: None, reservations: Slab::new() }
    }

    /// Notes that the lane does not wait any more.
    pub(super) fn end_wait(&mut self) {
        self.waiting = None;
    }

    /// Whether the lane has waited for `reason`.
    pub(super) fn waits_for(&self, reason: Reason) -> bool {
        self.waiting.is_some_and(|(same, _)| same == reason)
    }

    /// Since when the lane has waited for `reason`, which it does at `now`.
    pub(super) fn wait(&mut self, reason: Reason, now: Nanos) -> Nanos {
        match self.waiting {
            Some((same, since)) if same == reason => since,
            _ => {
                self.waiting = Some((reason, now));
                now
            }
        }
    }
}
