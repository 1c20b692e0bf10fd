//! The one decision.

use super::budgets::{Draws, Note, Outcome, Reservation};
use super::entry::{Handed, State};
use super::purse::{Purse, Spending};
use super::rules::{Held, Rules};
use super::{Denial, Entry, Extra, Gate, Scope, Until};
use crate::error::Reason;
use crate::limit::{Rate, Unit};
use crate::sync::mutant;
use crate::units::Nanos;
use std::sync::Arc;

/// Most slots taken for jobs that may not come.
const AHEAD_MAX: u32 = 32;

/// A tenant's jobs at the gate, during one visit.
pub(crate) struct Pass<'a> {
    gate: &'a Gate,
    entry: &'a Entry,
    state: &'a mut State,
    rules: &'a Rules,
    lane: u32,
    slot: u32,
    now: Nanos,
    /// A slot that was taken for this visit and is not used yet.
    handed: Held,
    /// What the rate lets go at this moment, and what it did when the state counted last.
    room: u64,
    counted: u64,
    weigh: Weigh,
    /// Jobs admitted, those of them that the tenant's state knows of, and slots of the tenant that were taken
    /// for the next ones.
    admitted: u32,
    noted: u32,
    ahead: u32,
    /// What is to be done after the visit.
    closed: Closed,
}

/// What a job counts as under a rate: nothing, 1, or its cost.
#[derive(Clone, Copy)]
struct Weigh {
    fixed: u64,
    of_cost: u64,
}

impl Weigh {
    fn by(rate: Option<&Rate>) -> Weigh {
        match rate.map(|rate| rate.unit()) {
            None => Weigh { fixed: 0, of_cost: 0 },
            Some(Unit::Jobs) => Weigh { fixed: 1, of_cost: 0 },
            Some(Unit::Cost) => Weigh { fixed: 0, of_cost: u64::MAX },
        }
    }

    #[inline(always)]
    fn amount(self, cost: u32) -> u64 {
        u64::from(cost) & self.of_cost | self.fixed
    }
}

/// What a visit leaves to be done once the lane is nobody's.
#[derive(Default)]
pub(crate) struct Closed {
    /// Slots taken in vain: each goes back with [`Gate::release`].
    pub(crate) back: Vec<Scope>,
    /// A budget whose room is to be shared out again, with [`Gate::share`].
    pub(crate) room: Option<u32>,
}

impl<'a> Pass<'a> {
    /// Opens the gate for a lane of the tenant in `slot`, whose `state` the caller has locked.
    pub(crate) fn new(
        gate: &'a Gate,
        (lane, slot): (u32, u32),
        (entry, state): (&'a Entry, &'a mut State),
        rules: &'a Rules,
        now: Nanos,
    ) -> Self {
        let mut closed = Closed::default();
        let handed = match gate.entry(lane).take_handed() {
            Handed::Nothing => Held::NOTHING,
            Handed::Slots(held) => held,
            Handed::Room(budget) => {
                closed.room = Some(budget);
                Held::NOTHING
            }
        };
        let room = rules.rate.as_ref().map_or(u64::MAX, |rate| {
            state.meter.advance(rate, now);
            state.meter.room(rate)
        });
        let weigh = Weigh::by(rules.rate.as_ref());
        Pass {
            gate,
            entry,
            state,
            rules,
            lane,
            slot,
            now,
            handed,
            room,
            counted: room,
            weigh,
            admitted: 0,
            noted: 0,
            ahead: 0,
            closed,
        }
    }

    /// The same as [`Pass::admit`] for most jobs of a visit, which hold [`Held::OWN`] then. `false` when there
    /// is more to be asked.
    #[inline(always)]
    pub(crate) fn admit_at_once(&mut self, cost: u32) -> bool {
        let amount = self.weigh.amount(cost);
        // Slots are taken ahead only where there is nothing else to be asked.
        let goes = self.ahead > 0 && amount <= self.room;
        if goes {
            self.ahead -= 1;
            self.charge(amount);
        }
        goes
    }

    /// Charges a job that goes. The moment is the same for a whole visit, so the rate counts at its end.
    #[inline(always)]
    fn charge(&mut self, amount: u64) {
        self.room = self.room.saturating_sub(amount);
        self.admitted += 1;
    }

    /// Decides whether a job of `cost` may go now. If so, all its limits are charged; if not, none. A job that
    /// some limit will never let go is refused for that, whichever limit comes first.
    #[inline]
    pub(crate) fn admit(&mut self, cost: u32, extra: Option<&Extra>) -> Result<Held, Denial> {
        if self.rules.budgets.is_empty() && extra.is_none() {
            return self.admit_unbudgeted(cost);
        }
        let rules = self.rules;
        let spending = spending(cost, extra);
        match self.draw(Draws::new(&rules.budgets, extra), spending, cost) {
            Ok(held) => Ok(held.reserved()),
            Err(denial) => Err(self.never(cost, extra).unwrap_or(denial)),
        }
    }

    /// Why a job that may not go now never may under these limits, if so.
    #[cold]
    fn never(&self, cost: u32, extra: Option<&Extra>) -> Option<Denial> {
        let spending = spending(cost, extra);
        let mut draws = Draws::new(&self.rules.budgets, extra);
        let by_budget = draws.find_map(|draw| draw.purse.never((draw.with_cost, spending)));
        let rate = self.rules.rate.as_ref().filter(|rate| rate.amount(cost) > rate.widest());
        by_budget.or_else(|| rate.map(|rate| wider_than(rate, cost)))
    }

    /// Asks one budget after the other, and at last all other limits, while the budgets are locked: only then
    /// everything is reserved.
    fn draw(
        &mut self,
        mut draws: Draws<'_>,
        spending: Spending<'_>,
        cost: u32,
    ) -> Result<Held, Denial> {
        let Some(draw) = draws.next() else { return self.admit_unbudgeted(cost) };
        let now = self.now;
        draw.purse.admit((draw.with_cost, spending), now, || self.draw(draws, spending, cost))
    }

    fn admit_unbudgeted(&mut self, cost: u32) -> Result<Held, Denial> {
        let amount = self.weigh.amount(cost);
        if amount > self.room {
            self.check_rate(cost)?;
        }
        let held = self.take_slots()?;
        self.charge(amount);
        Ok(held)
    }

    #[cold]
    fn check_rate(&mut self, cost: u32) -> Result<(), Denial> {
        self.count();
        self.rules.rate.as_ref().map_or(Ok(()), |rate| check_rate(self.state, rate, cost))
    }

    /// Has the tenant's state know of what has been admitted.
    fn count(&mut self) {
        let amount = std::mem::replace(&mut self.counted, self.room) - self.room;
        if let Some(rate) = self.rules.rate.as_ref().filter(|_| amount > 0) {
            if !mutant!("gate.rate_uncounted") {
                self.state.meter.count(rate, amount);
            }
        }
        if std::mem::replace(&mut self.noted, self.admitted) < self.admitted {
            if self.lane == self.slot {
                self.state.end_wait();
            } else {
                self.branchs_own(State::end_wait);
            }
        }
    }

    /// Changes what is known of a lane that is not the tenant's first; of that one it stands beside what is
    /// known of the tenant.
    #[cold]
    #[inline(never)]
    fn branchs_own<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        self.gate.entry(self.lane).open(change)
    }

    /// Writes down what a grant that holds `held` has reserved. Returns what its receipt is to carry in place
    /// of `waited`, for how long the job has waited.
    #[inline]
    pub(crate) fn keep(
        &mut self,
        held: Held,
        cost: u32,
        extra: Option<Box<Extra>>,
        waited: u32,
    ) -> u32 {
        if held.is_reserved() { self.reserve(cost, extra, waited) } else { waited }
    }

    #[cold]
    fn reserve(&mut self, cost: u32, extra: Option<Box<Extra>>, waited: u32) -> u32 {
        let draws = Arc::clone(&self.rules.budgets);
        let outcome = Outcome::default();
        self.state.reservations.add(Reservation { draws, extra, cost, waited, outcome })
    }

    /// Since when the lane has waited for what `denial` says. Where that is a budget and the wait begins,
    /// it counts as a hit of the dimension.
    pub(crate) fn waits(&mut self, denial: &Denial) -> Nanos {
        self.count();
        let (reason, now) = (denial.reason, self.now);
        let wait = |state: &mut State| (state.waits_for(reason), state.wait(reason, now));
        let is_first = self.lane == self.slot;
        let (goes_on, since) = if is_first { wait(self.state) } else { self.branchs_own(wait) };
        let part = denial.budget.filter(|_| !goes_on);
        if let Some((part, place)) = part.and_then(|part| Some((part, part.place?))) {
            let purse = self.gate.budgets.purse(part.budget);
            purse.into_iter().for_each(|purse| purse.count_hit(place));
        }
        since
    }

    /// Ends the visit.
    pub(crate) fn close(mut self) -> Closed {
        self.count();
        self.closed.back.extend(self.handed.scopes(self.slot));
        if self.ahead > 0 && !self.entry.slots.give_some(self.ahead) {
            let tenants = std::iter::repeat_n(Scope::Tenant(self.slot), self.ahead as usize);
            self.closed.back.extend(tenants);
        }
        self.closed
    }

    fn take_slots(&mut self) -> Result<Held, Denial> {
        if self.ahead == 0 {
            self.take_ahead()?;
        }
        self.ahead -= 1;
        let held = Held::OWN;
        if self.rules.tier.is_none() && !self.rules.engine {
            Ok(held)
        } else {
            self.take_shared(held)
        }
    }

    /// Takes slots of the tenant for the next jobs: the more, the more there have been in this visit, so that a
    /// long one takes few times, and one of a single job none in vain. One where there is more to be asked of
    /// each job. At least one, or it is an error.
    #[cold]
    fn take_ahead(&mut self) -> Result<(), Denial> {
        let (tenant, rules) = (Scope::Tenant(self.slot), self.rules);
        let is_simple = rules.budgets.is_empty() && rules.tier.is_none() && !rules.engine;
        let most = if is_simple { (3 * self.admitted + 1).min(AHEAD_MAX) } else { 1 };
        self.ahead = match self.handed.has(tenant) {
            true => self.take(tenant).into(),
            false => self.entry.slots.take_some(most),
        };
        if self.ahead > 0 { Ok(()) } else { Err(no_slot(self.gate, tenant)) }
    }

    /// Takes the slots that the tenant shares with others, beside those it has `held` before.
    fn take_shared(&mut self, mut held: Held) -> Result<Held, Denial> {
        for scope in self.rules.scopes(self.slot).skip(1) {
            if !self.take(scope) {
                if !mutant!("gate.no_rollback") {
                    self.closed.back.extend(held.scopes(self.slot));
                }
                return Err(no_slot(self.gate, scope));
            }
            held = held.with(scope);
        }
        Ok(held)
    }

    #[inline]
    fn take(&mut self, scope: Scope) -> bool {
        if self.handed.has(scope) {
            self.handed = self.handed.without(scope);
            // The limit may have been lowered since.
            if self.gate.slots(scope).is_within() {
                return true;
            }
            self.closed.back.push(scope);
            return false;
        }
        self.gate.slots(scope).take()
    }
}

/// Whether a job is more than one of its budgets ever allows: the amount and the limit.
pub(crate) fn too_wide(rules: &Rules, cost: u32, extra: &Extra) -> Option<(u64, u64)> {
    let mut draws = Draws::new(&rules.budgets, Some(extra));
    draws.find_map(|draw| draw.purse.too_wide(draw.with_cost, spending(cost, Some(extra))))
}

/// What a job may spend.
fn spending(cost: u32, extra: Option<&Extra>) -> Spending<'_> {
    Spending { cost: cost.into(), named: extra.map_or(&[], |extra| &extra.named) }
}

fn wider_than(rate: &Rate, cost: u32) -> Denial {
    let used = (rate.amount(cost), rate.widest());
    Denial { reason: Reason::TooWide, until: Until::Change, used, budget: None }
}

/// What a rate whose meter has been brought up to date says to a job of `cost`.
#[inline]
fn check_rate(state: &State, rate: &Rate, cost: u32) -> Result<(), Denial> {
    let amount = rate.amount(cost);
    if amount > rate.widest() {
        return Err(wider_than(rate, cost));
    }
    state.meter.fits(rate, amount).map_err(|refusal| Denial {
        reason: Reason::Rate,
        until: Until::Moment(refusal.retry_at),
        used: (refusal.current, refusal.limit),
        budget: None,
    })
}

/// What the gate would say to a job of `cost` at `now`, without a trace.
pub(crate) fn foresee(
    gate: &Gate,
    slot: u32,
    rules: &Rules,
    cost: u32,
    now: Nanos,
) -> Result<(), Denial> {
    for draw in Draws::new(&rules.budgets, None) {
        draw.purse.foresee((draw.with_cost, spending(cost, None)), now)?;
    }
    if let Some(rate) = &rules.rate {
        gate.entry(slot).open(|state| {
            state.meter.advance(rate, now);
            check_rate(state, rate, cost)
        })?;
    }
    let full = rules.scopes(slot).find(|scope| !gate.slots(*scope).would_take());
    full.map_or(Ok(()), |scope| Err(no_slot(gate, scope)))
}

pub(super) fn no_slot(gate: &Gate, scope: Scope) -> Denial {
    let slots = gate.slots(scope);
    let cap = slots.cap().unwrap_or(0);
    let reason = match scope {
        _ if cap == 0 => Reason::Paused,
        Scope::Tenant(_) => Reason::Concurrency,
        Scope::Tier(_) => Reason::TierConcurrency,
        Scope::Engine => Reason::EngineConcurrency,
    };
    let used = (slots.used().into(), cap.into());
    Denial { reason, until: Until::Slot(scope), used, budget: None }
}

impl Entry {
    /// Takes down what came of the grant with the reservation `number`; `false` when that is spending that a
    /// budget cannot count, of which nothing is taken down.
    pub(crate) fn note(&self, number: u32, note: Note<'_>) -> bool {
        self.open(|state| {
            let reservation = state.reservations.get_mut(number);
            reservation.is_none_or(|reservation| reservation.note(note))
        })
    }

    /// For how long the job of the grant with the reservation `number` waited, as it was written down.
    pub(crate) fn waited(&self, number: u32) -> u32 {
        self.open(|state| {
            state.reservations.get_mut(number).map_or(u32::MAX, |reservation| reservation.waited)
        })
    }

    /// Settles the reservation `number`, and returns the budgets that have room for others now.
    pub(crate) fn settle(&self, number: u32, now: Nanos) -> Vec<Arc<Purse>> {
        let reservation = self.open(|state| state.reservations.take(number));
        reservation.map_or_else(Vec::new, |reservation| reservation.settle(now))
    }
}
