#![doc = include_str!("README.md")]

mod budgets;
mod entry;
mod lot;
mod pass;
mod purse;
mod rules;
mod slab;
mod slots;

pub(crate) use budgets::{Budgets, Dimensions, Draw, Extra, Note};
pub(crate) use entry::Entry;
pub(crate) use lot::{Census, Place};
pub(crate) use pass::{Closed, Pass, foresee, too_wide};
pub(crate) use purse::{Purse, PurseView};
pub(crate) use rules::{Held, Rules};

use crate::error::Reason;
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Chunks, IS_MODEL, Mutex};
use crate::units::Nanos;
use entry::Handed;
use lot::{Claim, Lot, Needs};
use pass::no_slot;
use slots::Slots;
use std::sync::Arc;

/// Entries per chunk of memory.
const CHUNK_ENTRIES: u32 = if IS_MODEL { 2 } else { 16 };
/// Most tiers over an engine's life whose grants are counted.
pub(crate) const TIERS_MAX: usize = if IS_MODEL { 2 } else { Held::TIERS_MAX };

/// Decides whether a job may go, and keeps the lanes whose job may not.
pub(crate) struct Gate {
    /// What is known of each limited tenant, by slot, and of each lane beside a tenant's first.
    entries: Chunks<[Entry; CHUNK_ENTRIES as usize]>,
    engine: Slots,
    tiers: Box<[Slots]>,
    lot: Mutex<Lot>,
    /// Budgets by name; whoever makes plans has the same.
    pub(crate) budgets: Arc<Budgets>,
    /// The next moment that something is to be done at, `u64::MAX` for none. Stored under the lot's lock.
    next_at: AtomicU64,
    /// The latest moment for which lanes were looked for whose moment has come. Stored under the lot's lock.
    seen_at: AtomicU64,
}

/// A part of `jitter` that differs from one number to the next: the golden ratio's multiples spread
/// evenly (Knuth, The Art of Computer Programming 3, 6.4).
fn put_off(jitter: Nanos, number: u64) -> Nanos {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let part = u128::from(number.wrapping_mul(GOLDEN));
    Nanos(((u128::from(jitter.0) * part) >> 64) as u64)
}

/// Why a job may not go now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Denial {
    pub(crate) reason: Reason,
    pub(crate) until: Until,
    /// What is used of the limit, and the limit.
    pub(crate) used: (u64, u64),
    /// The budget that the limit is of, if it is one's.
    pub(crate) budget: Option<BudgetPart>,
}

/// A budget and one of its dimensions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BudgetPart {
    /// Its number.
    pub(crate) budget: u32,
    /// The dimension's place in it; `None` when the budget cannot be evaluated.
    pub(crate) place: Option<u32>,
}

/// Room that a budget does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lack {
    /// Its number.
    pub(crate) budget: u32,
    /// The dimension's place in it.
    pub(crate) place: u32,
    /// How much room there would have to be.
    pub(crate) need: u64,
    /// How often the budget had gained room.
    pub(crate) gains: u64,
    /// When it is reset; [`Nanos::MAX`] for never.
    pub(crate) reset: Nanos,
}

/// What a parked lane waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Until {
    /// A moment on the engine's clock.
    Moment(Nanos),
    /// The end of a grant.
    Slot(Scope),
    /// Room in a budget, or its reset.
    Budget(Lack),
    /// A change of policy.
    Change,
}

impl Until {
    /// The moment, where it is one.
    pub(crate) fn moment(self) -> Option<Nanos> {
        match self {
            Until::Moment(moment) => Some(moment),
            Until::Budget(lack) => Some(lack.reset).filter(|reset| *reset < Nanos::MAX),
            Until::Slot(_) | Until::Change => None,
        }
    }
}

/// Whose grants are counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Scope {
    /// One tenant's, by slot.
    Tenant(u32),
    /// One tier's, by number.
    Tier(u32),
    Engine,
}

impl Scope {
    /// Whether more tenants than one take slots of it.
    fn is_shared(self) -> bool {
        !matches!(self, Scope::Tenant(_))
    }
}

/// A lane whose next job was refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused {
    pub(crate) lane: u32,
    /// The tenant's slot in the table.
    pub(crate) slot: u32,
    pub(crate) denial: Denial,
    /// Since when it has waited for that.
    pub(crate) since: Nanos,
}

/// Where a lane that was refused has gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Parked {
    /// It waits. `sooner` when its moment is the next one now.
    Waits { sooner: bool },
    /// What it waited for has come meanwhile: it belongs into the rotation.
    Goes,
}

impl Gate {
    /// A gate for `tenants` tenants, with no limits yet.
    pub(crate) fn new(tenants: u32, budgets: Arc<Budgets>) -> Self {
        Gate {
            budgets,
            entries: Chunks::new(tenants.div_ceil(CHUNK_ENTRIES) as usize),
            engine: Slots::unbounded(),
            tiers: (0..TIERS_MAX).map(|_| Slots::unbounded()).collect(),
            lot: Mutex::new(Lot::new()),
            next_at: AtomicU64::new(u64::MAX),
            seen_at: AtomicU64::new(0),
        }
    }

    /// What is known of a tenant that has been limited before.
    #[inline]
    pub(crate) fn known(&self, slot: u32) -> Option<&Entry> {
        let chunk = self.entries.get((slot / CHUNK_ENTRIES) as usize)?;
        Some(&chunk[(slot % CHUNK_ENTRIES) as usize])
    }

    /// What is known of a tenant.
    #[inline]
    pub(crate) fn entry(&self, slot: u32) -> &Entry {
        let make = || std::array::from_fn(|_| Entry::new());
        let chunk = self.entries.get_or_make((slot / CHUNK_ENTRIES) as usize, make);
        &chunk[(slot % CHUNK_ENTRIES) as usize]
    }

    fn slots(&self, scope: Scope) -> &Slots {
        match scope {
            Scope::Tenant(slot) => &self.entry(slot).slots,
            Scope::Tier(tier) => &self.tiers[tier as usize],
            Scope::Engine => &self.engine,
        }
    }

    fn look<R>(&self, look: impl FnOnce(&Lot) -> R) -> R {
        look(&self.lot.lock().expect("no code panics under the lot's lock"))
    }

    fn change<R>(&self, change: impl FnOnce(&mut Lot) -> R) -> R {
        let mut lot = self.lot.lock().expect("no code panics under the lot's lock");
        let result = change(&mut lot);
        self.next_at.store(lot.next_at().0, Relaxed);
        result
    }

    /// Parks a lane that was refused. The caller holds no claim on it any more, and it stands in no
    /// set of the rotation.
    pub(crate) fn park(&self, refused: &Refused, rules: &Rules) -> Parked {
        let Refused { lane, slot, mut denial, since } = *refused;
        self.change(|lot| {
            let number = lot.next_number();
            match &mut denial.until {
                Until::Slot(scope) => {
                    let is_first = lot.first(*scope).is_none();
                    if self.slots(*scope).take_or_queue(is_first) {
                        self.entry(lane).hand(Held::NOTHING.with(*scope));
                        return Parked::Goes;
                    }
                }
                Until::Moment(moment) => *moment = moment.after(put_off(rules.jitter, number)),
                Until::Budget(lack) => {
                    let purse = self.budgets.purse(lack.budget);
                    if purse.is_some_and(|purse| !purse.await_room(lack.gains)) {
                        return Parked::Goes;
                    }
                    lack.reset = lack.reset.after(put_off(rules.jitter, number));
                }
                Until::Change => {}
            }
            let before = lot.next_at();
            let claim = self.claim(slot, denial.until);
            let needs = Needs::of(slot, rules);
            lot.put(lane, (number, needs), (denial, since, claim));
            Parked::Waits { sooner: lot.next_at() < before }
        })
    }

    /// Gives back a slot of the tenant in `slot`, whose it was. `false` when lanes wait for it: then it is to be
    /// given back with [`Gate::release`].
    #[inline]
    pub(crate) fn give_own(&self, slot: u32) -> bool {
        self.known(slot).is_some_and(|entry| entry.slots.give())
    }

    /// Gives a slot back that the tenant in `slot` had, to the first lane that waits for it if any does. A
    /// tenant's own before those that it shares: whom they go to depends on it. Lanes that go back into
    /// the rotation are added to `woken`.
    #[inline]
    pub(crate) fn release(&self, scope: Scope, slot: u32, woken: &mut Vec<u32>) {
        if !self.slots(scope).give() {
            self.hand_over(scope, slot, woken);
        }
    }

    #[cold]
    fn hand_over(&self, scope: Scope, slot: u32, woken: &mut Vec<u32>) {
        self.change(|lot| {
            self.slots(scope).give_anyway();
            self.rank_anew(lot, slot);
            self.hand_out(lot, scope, woken);
        });
    }

    /// Hands out slots as long as there are any, to as many lanes as there is room for (T-F17). A lane
    /// gets all the slots that its grant needs at once: with one of them in hand, two lanes could pass
    /// each other's on for ever. One that lacks another slot queues for that from then on.
    fn hand_out(&self, lot: &mut Lot, scope: Scope, woken: &mut Vec<u32>) {
        while let Some(lane) = lot.first(scope) {
            if !self.slots(scope).take_for_queue() {
                return;
            }
            let needs = lot.place(lane).expect("the first of a queue has a place").needs;
            match self.take_others(needs, scope) {
                Ok(held) => {
                    let place = lot.remove(lane).expect("just seen");
                    if place.is_first() {
                        lot.count_minimum();
                    }
                    self.entry(lane).hand(held);
                    self.rank_anew(lot, needs.slot);
                    woken.push(lane);
                }
                Err(full) => {
                    self.slots(scope).give_anyway();
                    self.queue_for(lot, lane, full);
                }
            }
        }
        self.slots(scope).unqueue();
    }

    /// Takes the slots that a grant needs beside the one of `scope`, which has been taken; none if one of
    /// them is not to be had.
    fn take_others(&self, needs: Needs, scope: Scope) -> Result<Held, Scope> {
        let mut held = Held::NOTHING;
        for other in needs.held.scopes(needs.slot).filter(|other| *other != scope) {
            if !self.slots(other).take() {
                for taken in held.scopes(needs.slot) {
                    self.slots(taken).give_anyway();
                }
                return Err(other);
            }
            held = held.with(other);
        }
        Ok(held.with(scope))
    }

    /// Moves a lane to the queue for a slot of `scope`; it stays where it is if one has come free.
    fn queue_for(&self, lot: &mut Lot, lane: u32, scope: Scope) {
        let is_first = lot.first(scope).is_none();
        if self.slots(scope).take_or_queue(is_first) {
            self.slots(scope).give_anyway();
        } else if let Some(place) = lot.place(lane) {
            let claim = self.claim(place.needs.slot, Until::Slot(scope));
            lot.wait_for(lane, no_slot(self, scope), claim);
        }
    }

    /// What claim a tenant has on what a lane of it waits for. Under the lot's lock.
    fn claim(&self, slot: u32, until: Until) -> Claim {
        match until {
            Until::Slot(scope) if scope.is_shared() => self.claim_of(slot),
            _ => Claim::NONE,
        }
    }

    /// The claim of the tenant in `slot` on what it shares with others.
    fn claim_of(&self, slot: u32) -> Claim {
        let Some(entry) = self.known(slot) else { return Claim::NONE };
        Claim::of(entry.slots.used(), entry.min())
    }

    /// Has the lanes of the tenant in `slot` wait by the claim that it has now: it has got a slot or
    /// given one back.
    fn rank_anew(&self, lot: &mut Lot, slot: u32) {
        if self.known(slot).is_some_and(|entry| entry.min() > 0) {
            lot.rank_anew(slot, self.claim_of(slot));
        }
    }

    /// Hands out what room a budget has to as many lanes as it is enough for (T-F17): those that need least
    /// first, and of equal ones who has waited longest. Each of them has this called again once it has used
    /// the room, or found that it needs something else.
    #[cold]
    pub(crate) fn share(&self, purse: &Purse, woken: &mut Vec<u32>) {
        self.change(|lot| {
            purse.share(|rooms| {
                for (place, mut room) in rooms.enumerate() {
                    while let Some((lane, need)) = lot.frugal(purse.number(), place as u32, room) {
                        room -= need;
                        lot.remove(lane);
                        self.entry(lane).hand_room(purse.number());
                        woken.push(lane);
                    }
                }
                lot.awaits(purse.number())
            });
        });
    }

    /// The next moment that something is to be done at; [`Nanos::MAX`] for none.
    #[inline]
    pub(crate) fn next_at(&self) -> Nanos {
        Nanos(self.next_at.load(Relaxed))
    }

    /// The latest moment that anybody has seen who brought lanes back: it has come. A lane that was parked by an
    /// earlier one may be back already, and would be parked again.
    #[inline]
    pub(crate) fn seen_at(&self) -> Nanos {
        Nanos(self.seen_at.load(Relaxed))
    }

    /// Has a lane looked after at `at`, unless that is to happen sooner anyway. Whether it is the next
    /// thing to happen.
    pub(crate) fn arm(&self, lane: u32, at: Nanos) -> bool {
        let entry = self.entry(lane);
        self.change(|lot| {
            let (before, next) = (entry.alarm(), lot.next_at());
            if at >= before {
                return false;
            }
            lot.set_alarm(lane, before, at);
            entry.set_alarm(at);
            at < next
        })
    }

    /// Takes a lane out of the lot, whatever it waits for. `false` when it is not parked.
    pub(crate) fn call_back(&self, lane: u32) -> bool {
        self.take_out(lane, |_| true)
    }

    /// Takes a lane out of the lot that waits for what others could have instead. `false` when it does not.
    pub(crate) fn leave_queue(&self, lane: u32) -> bool {
        self.take_out(lane, |until| matches!(until, Until::Slot(_) | Until::Budget(_)))
    }

    fn take_out(&self, lane: u32, is_it: impl FnOnce(Until) -> bool) -> bool {
        self.change(|lot| {
            if !lot.place(lane).is_some_and(|place| is_it(place.denial.until)) {
                return false;
            }
            let place = lot.remove(lane);
            if let Some(Until::Slot(scope)) = place.map(|place| place.denial.until) {
                if lot.first(scope).is_none() {
                    self.slots(scope).unqueue();
                }
            }
            true
        })
    }

    /// Takes out the lanes whose moment has come at `now`, earliest first, and says whose alarm has
    /// `rung`.
    pub(crate) fn wake_due(&self, now: Nanos, woken: &mut Vec<u32>, rung: &mut Vec<u32>) {
        self.change(|lot| {
            self.seen_at.store(now.max(self.seen_at()).0, Relaxed);
            while let Some(lane) = lot.ring(now) {
                self.entry(lane).set_alarm(Nanos::MAX);
                rung.push(lane);
            }
            while let Some(lane) = lot.due(now) {
                lot.remove(lane);
                woken.push(lane);
            }
        });
    }

    /// Takes out every parked lane: limits have changed, or the engine stops.
    pub(crate) fn wake_all(&self, woken: &mut Vec<u32>) {
        self.change(|lot| {
            let scopes = lot.scopes();
            for lane in lot.lanes() {
                lot.remove(lane);
                woken.push(lane);
            }
            scopes.into_iter().for_each(|scope| self.slots(scope).unqueue());
        });
    }

    /// Gives back what was handed to a lane of the tenant in `slot` and not used yet, if anything.
    pub(crate) fn take_back(&self, lane: u32, slot: u32, woken: &mut Vec<u32>) {
        let Some(entry) = self.known(lane) else { return };
        match entry.take_handed() {
            Handed::Nothing => {}
            Handed::Slots(held) => {
                held.scopes(slot).for_each(|scope| self.release(scope, slot, woken));
            }
            Handed::Room(budget) => {
                let purse = self.budgets.purse(budget);
                purse.into_iter().for_each(|purse| self.share(&purse, woken));
            }
        }
    }

    /// Where a lane is parked, if it is.
    pub(crate) fn place(&self, lane: u32) -> Option<Place> {
        self.look(|lot| lot.place(lane).copied())
    }

    /// Counts of parked lanes.
    pub(crate) fn census(&self) -> Census {
        self.look(Lot::census)
    }

    /// Grants out that are counted in `scope`.
    pub(crate) fn used(&self, scope: Scope) -> u32 {
        self.slots(scope).used()
    }

    /// Sets the limits of the engine's grants in flight and of its tiers'.
    pub(crate) fn set_caps(&self, engine: Option<u32>, tiers: impl Iterator<Item = Option<u32>>) {
        self.change(|_| {
            self.engine.set_cap(engine);
            self.tiers.iter().zip(tiers).for_each(|(slots, cap)| slots.set_cap(cap));
        });
    }

    /// Sets the limit of one tenant's grants in flight, and its guaranteed minimum. Before its lane is
    /// visited under these rules.
    pub(crate) fn tune(&self, slot: u32, rules: &Rules) {
        if rules.is_none() && self.known(slot).is_none() {
            return;
        }
        let entry = self.entry(slot);
        self.change(|_| {
            entry.slots.set_cap(rules.cap);
            entry.set_min(rules.min);
        });
    }
}
