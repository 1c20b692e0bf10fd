//! Where parked lanes wait, and what brings them back.

use super::{Denial, Held, Lack, Rules, Scope, Until};
use crate::error::Reason;
use crate::units::Nanos;
use std::collections::{BTreeMap, BTreeSet};

/// Lanes that a quota keeps out of the rotation. A lane that stands here stands in no set of the rotation;
/// whoever takes it out, under the lock, is the one to put it back there.
#[derive(Debug)]
pub(super) struct Lot {
    places: BTreeMap<u32, Place>,
    /// Lanes that wait for a moment, by it.
    timers: BTreeMap<(Nanos, u64), u32>,
    /// Lanes to look after, by the moment; parked or not.
    alarms: BTreeSet<(Nanos, u32)>,
    /// Lanes that wait for a slot.
    queues: BTreeMap<Scope, Queue>,
    /// The same lanes, where the slot is shared with other tenants, behind their tenant's slot.
    sharers: BTreeSet<(u32, u32)>,
    /// Lanes that wait for room in a budget: by budget, place, need, since when, and number.
    rooms: BTreeMap<(u32, u32, u64, Nanos, u64), u32>,
    /// Lanes parked so far.
    next: u64,
    /// The same by reason, in the order of [`Reason::ALL`].
    parks: [u64; Reason::ALL.len()],
    /// Slots handed to lanes below their tenant's guaranteed minimum.
    minima_served: u64,
}

/// A parked lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) denial: Denial,
    /// Since when the lane has waited for this reason, without a grant in between.
    pub(crate) since: Nanos,
    /// The tenant's claim on the next slot.
    pub(super) claim: Claim,
    number: u64,
    /// The slots that its grant will need.
    pub(super) needs: Needs,
}

/// The slots that a grant of the tenant in `slot` needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Needs {
    pub(super) slot: u32,
    pub(super) held: Held,
}

impl Needs {
    pub(super) fn of(slot: u32, rules: &Rules) -> Self {
        let held = rules.scopes(slot).fold(Held::NOTHING, Held::with);
        Needs { slot, held }
    }
}

/// A tenant's claim on slots that it shares with others: the part of its guaranteed minimum that it has, in
/// 65,536ths, and none at all once it has all of it. Who has least comes first, so that minima which do not fit
/// together shrink in proportion.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Claim(u32);

impl Claim {
    /// Of a tenant without a minimum.
    pub(super) const NONE: Claim = Claim(u32::MAX);

    /// Of a tenant with `used` slots of `min` guaranteed ones.
    pub(super) fn of(used: u32, min: u32) -> Claim {
        if used >= min {
            return Claim::NONE;
        }
        Claim(((u64::from(used) << 16) / u64::from(min)) as u32)
    }

    /// Whether the tenant is below its guaranteed minimum.
    fn is_first(self) -> bool {
        self != Claim::NONE
    }
}

/// Who is next: below its minimum first, then who has waited longest, then who came first.
type Rank = (Claim, Nanos, u64);

#[derive(Default, Debug)]
struct Queue(BTreeMap<Rank, u32>);

impl Place {
    fn rank(&self) -> Rank {
        (self.claim, self.since, self.number)
    }

    /// Whether it waits for a slot of a guaranteed minimum.
    pub(super) fn is_first(&self) -> bool {
        self.claim.is_first()
    }

    fn room(&self, lack: &Lack) -> (u32, u32, u64, Nanos, u64) {
        (lack.budget, lack.place, lack.need, self.since, self.number)
    }
}

impl Lot {
    pub(super) fn new() -> Self {
        Lot {
            places: BTreeMap::new(),
            timers: BTreeMap::new(),
            alarms: BTreeSet::new(),
            queues: BTreeMap::new(),
            sharers: BTreeSet::new(),
            rooms: BTreeMap::new(),
            next: 0,
            parks: [0; Reason::ALL.len()],
            minima_served: 0,
        }
    }

    /// A lane's number for ordering and jitter.
    pub(super) fn next_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Parks a lane.
    pub(super) fn put(
        &mut self,
        lane: u32,
        (number, needs): (u64, Needs),
        (denial, since, claim): (Denial, Nanos, Claim),
    ) {
        let place = Place { denial, since, claim, number, needs };
        self.parks[denial.reason.index()] += 1;
        match denial.until {
            Until::Moment(moment) => drop(self.timers.insert((moment, number), lane)),
            Until::Slot(scope) => {
                self.queues.entry(scope).or_default().0.insert(place.rank(), lane);
                if scope.is_shared() {
                    self.sharers.insert((needs.slot, lane));
                }
            }
            Until::Budget(lack) => {
                self.rooms.insert(place.room(&lack), lane);
                if lack.reset < Nanos::MAX {
                    self.timers.insert((lack.reset, number), lane);
                }
            }
            Until::Change => {}
        }
        let before = self.places.insert(lane, place);
        debug_assert!(before.is_none(), "a lane is parked once");
    }

    /// Has a parked lane wait for something else, with the age it has.
    pub(super) fn wait_for(&mut self, lane: u32, denial: Denial, claim: Claim) {
        if let Some(place) = self.remove(lane) {
            let Place { number, needs, since, .. } = place;
            self.put(lane, (number, needs), (denial, since, claim));
        }
    }

    /// Ranks the lanes that wait for the tenant in `slot` by the claim that it has now.
    pub(super) fn rank_anew(&mut self, slot: u32, claim: Claim) {
        let lanes: Vec<_> = self.sharers.range((slot, 0)..=(slot, u32::MAX)).collect();
        for (_, lane) in lanes {
            let Some(place) = self.places.get_mut(lane) else { continue };
            let Until::Slot(scope) = place.denial.until else { continue };
            let Some(queue) = self.queues.get_mut(&scope) else { continue };
            queue.0.remove(&place.rank());
            place.claim = claim;
            queue.0.insert(place.rank(), *lane);
        }
    }

    /// Takes a lane out, whatever it waits for.
    pub(super) fn remove(&mut self, lane: u32) -> Option<Place> {
        let place = self.places.remove(&lane)?;
        match place.denial.until {
            Until::Moment(moment) => drop(self.timers.remove(&(moment, place.number))),
            Until::Slot(scope) => {
                if let Some(queue) = self.queues.get_mut(&scope) {
                    queue.0.remove(&place.rank());
                    if queue.0.is_empty() {
                        self.queues.remove(&scope);
                    }
                }
                self.sharers.remove(&(place.needs.slot, lane));
            }
            Until::Budget(lack) => {
                self.rooms.remove(&place.room(&lack));
                self.timers.remove(&(lack.reset, place.number));
            }
            Until::Change => {}
        }
        Some(place)
    }

    /// The lane that needs least of a budget's dimension and may have it from `room`, and how much that is.
    pub(super) fn frugal(&self, budget: u32, place: u32, room: u64) -> Option<(u32, u64)> {
        let from = (budget, place, 0, Nanos::ZERO, 0);
        let (key, lane) = self.rooms.range(from..).next()?;
        let (its_budget, its_place, need, ..) = *key;
        let fits = (its_budget, its_place) == (budget, place) && need <= room;
        fits.then_some((*lane, need))
    }

    /// Whether lanes wait for room in a budget.
    pub(super) fn awaits(&self, budget: u32) -> bool {
        let all =
            (budget, 0, 0, Nanos::ZERO, 0)..=(budget, u32::MAX, u64::MAX, Nanos::MAX, u64::MAX);
        self.rooms.range(all).next().is_some()
    }

    /// The lane that the next slot of `scope` is for.
    pub(super) fn first(&self, scope: Scope) -> Option<u32> {
        self.queues.get(&scope)?.0.first_key_value().map(|(_, lane)| *lane)
    }

    /// Scopes that lanes queue for.
    pub(super) fn scopes(&self) -> Vec<Scope> {
        self.queues.keys().copied().collect()
    }

    /// The lane whose moment has come first, if it has at `now`.
    pub(super) fn due(&self, now: Nanos) -> Option<u32> {
        let ((moment, _), lane) = self.timers.first_key_value()?;
        (*moment <= now).then_some(*lane)
    }

    /// The next moment that something is to be done at; [`Nanos::MAX`] for none.
    pub(super) fn next_at(&self) -> Nanos {
        let timer = self.timers.first_key_value().map(|((moment, _), _)| *moment);
        let alarm = self.alarms.first().map(|(moment, _)| *moment);
        timer.into_iter().chain(alarm).min().unwrap_or(Nanos::MAX)
    }

    /// Moves a lane's alarm from `before` ([`Nanos::MAX`] for none) to `at`.
    pub(super) fn set_alarm(&mut self, lane: u32, before: Nanos, at: Nanos) {
        self.alarms.remove(&(before, lane));
        self.alarms.insert((at, lane));
    }

    /// Takes out the lane whose alarm goes off first, if it does by `now`.
    pub(super) fn ring(&mut self, now: Nanos) -> Option<u32> {
        let (at, lane) = *self.alarms.first()?;
        (at <= now).then(|| {
            self.alarms.pop_first();
            lane
        })
    }

    /// Every parked lane.
    pub(super) fn lanes(&self) -> Vec<u32> {
        self.places.keys().copied().collect()
    }

    pub(super) fn place(&self, lane: u32) -> Option<&Place> {
        self.places.get(&lane)
    }

    pub(super) fn count_minimum(&mut self) {
        self.minima_served += 1;
    }

    /// What stands here, and what has.
    pub(super) fn census(&self) -> Census {
        let mut parked = [0; Reason::ALL.len()];
        for place in self.places.values() {
            parked[place.denial.reason.index()] += 1;
        }
        Census {
            parked,
            parks: self.parks,
            urgent: self.places.values().filter(|place| place.is_first()).count() as u64,
            minima_served: self.minima_served,
        }
    }
}

/// Counts of parked lanes, in the order of [`Reason::ALL`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Census {
    /// Lanes parked now.
    pub(crate) parked: [u64; Reason::ALL.len()],
    /// Lanes parked since the start.
    pub(crate) parks: [u64; Reason::ALL.len()],
    /// Lanes parked now whose tenants are below their minimum.
    pub(crate) urgent: u64,
    /// Slots handed to such lanes since the start.
    pub(crate) minima_served: u64,
}
