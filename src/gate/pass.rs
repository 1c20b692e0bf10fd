//! The one decision.

use super::entry::State;
use super::rules::{Held, Rules};
use super::{Denial, Entry, Gate, Scope, Until};
use crate::error::Reason;
use crate::limit::Rate;
use crate::sync::mutant;
use crate::units::Nanos;

/// A tenant's jobs at the gate, during one visit.
pub(crate) struct Pass<'a> {
    gate: &'a Gate,
    entry: &'a Entry,
    state: &'a mut State,
    rules: &'a Rules,
    slot: u32,
    now: Nanos,
    /// A slot that was taken for this visit and is not used yet.
    handed: Option<Scope>,
    /// Slots taken in vain.
    back: Vec<Scope>,
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
        let handed = gate.entry(lane).take_handed(slot);
        Pass { gate, entry, state, rules, slot, now, handed, back: Vec::new() }
    }

    /// Decides whether a job of `cost` may go now. If so, all its limits are charged; if not, none.
    #[inline]
    pub(crate) fn admit(&mut self, cost: u32) -> Result<Held, Denial> {
        if let Some(rate) = &self.rules.rate {
            check_rate(self.state, rate, cost, self.now)?;
        }
        let held = self.take_slots()?;
        if let Some(rate) = &self.rules.rate {
            self.state.meter.charge(rate, rate.amount(cost), self.now);
        }
        self.state.waiting = None;
        Ok(held)
    }

    /// Since when the tenant has waited for what `denial` says.
    pub(crate) fn waits(&mut self, denial: &Denial) -> Nanos {
        self.state.wait(denial.reason, self.now)
    }

    /// Ends the visit; the slots that were not used after all go back, each with [`Gate::release`].
    pub(crate) fn close(mut self) -> Vec<Scope> {
        self.back.extend(self.handed);
        self.back
    }

    fn take_slots(&mut self) -> Result<Held, Denial> {
        let mut held = Held::NOTHING;
        for scope in self.rules.scopes(self.slot) {
            if !self.take(scope) {
                if !mutant!("gate.no_rollback") {
                    self.back.extend(held.scopes(self.slot));
                }
                return Err(no_slot(self.gate, scope));
            }
            held = held.with(scope);
        }
        Ok(held)
    }

    #[inline]
    fn take(&mut self, scope: Scope) -> bool {
        if self.handed == Some(scope) {
            self.handed = None;
            return true;
        }
        match scope {
            Scope::Tenant(_) => self.entry.slots.take(),
            _ => self.gate.slots(scope).take(),
        }
    }
}

fn check_rate(state: &mut State, rate: &Rate, cost: u32, now: Nanos) -> Result<(), Denial> {
    let amount = rate.amount(cost);
    if amount > rate.widest() {
        let used = (amount, rate.widest());
        return Err(Denial { reason: Reason::TooWide, until: Until::Change, used });
    }
    state.meter.check(rate, amount, now).map_err(|refusal| Denial {
        reason: Reason::Rate,
        until: Until::Moment(refusal.retry_at),
        used: (refusal.current, refusal.limit),
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
    if let Some(rate) = &rules.rate {
        gate.entry(slot).open(|state| check_rate(state, rate, cost, now))?;
    }
    let full = rules.scopes(slot).find(|scope| !gate.slots(*scope).would_take());
    full.map_or(Ok(()), |scope| Err(no_slot(gate, scope)))
}

fn no_slot(gate: &Gate, scope: Scope) -> Denial {
    let slots = gate.slots(scope);
    let cap = slots.cap().unwrap_or(0);
    let reason = match scope {
        _ if cap == 0 => Reason::Paused,
        Scope::Tenant(_) => Reason::Concurrency,
        Scope::Tier(_) => Reason::TierConcurrency,
        Scope::Engine => Reason::EngineConcurrency,
    };
    Denial { reason, until: Until::Slot(scope), used: (slots.used().into(), cap.into()) }
}
