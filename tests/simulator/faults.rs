//! What goes wrong around producers and workers: the clock, the policy, the ends of handlers.

use crate::mix::{draw_limits, draw_tier};
use crate::oracle::{Breach, Kind, Verdict};
use crate::systems::{Ending, Granted};
use crate::terms::Tier;
use crate::world::World;

/// A year, in nanoseconds.
const YEAR_NS: u64 = 31_557_600_000_000_000;

impl World<'_> {
    /// Time passes, unless the clock stands still.
    pub(crate) fn pass_time(&mut self) -> Verdict {
        if self.step < self.still_until {
            return Ok(());
        }
        let by = self.chance.below(2 * self.mix.step_ns + 1);
        self.turn_clock(self.now + by)
    }

    pub(crate) fn turn_clock(&mut self, to: u64) -> Verdict {
        let shown = self.system.turn_clock(to);
        let expected = self.now.max(to);
        self.now = expected;
        self.oracle.at(expected);
        if shown == expected {
            return Ok(());
        }
        let text = format!("the clock shows {shown} after a step to {to}, expected {expected}");
        Err(Breach::new(Kind::Clock, text))
    }

    /// Draws whether a fault comes at this step.
    pub(crate) fn take_fault(&mut self) -> Verdict {
        let faults = self.mix.faults;
        if self.chance.per_mille(faults.jump) {
            self.tally.add("jumps", 1);
            let by = self.chance.scaled(1_000..=YEAR_NS);
            self.trace.note("jump", by, 0);
            self.turn_clock(self.now + by)?;
        }
        if self.chance.per_mille(faults.back) {
            self.tally.add("backs", 1);
            let by = self.chance.below(self.now + 1);
            self.turn_clock(self.now - by)?;
        }
        if self.chance.per_mille(faults.still) {
            self.tally.add("stills", 1);
            self.still_until = self.step + self.chance.scaled(10..=2_000);
        }
        if self.chance.per_mille(faults.swap) {
            for _ in 0..self.chance.within(1..=self.mix.faults.storm) {
                self.swap_policy()?;
            }
        }
        if self.chance.per_mille(faults.refused_policy) {
            self.offer_bad_policy()?;
        }
        Ok(())
    }

    /// New weights, bounds and quanta for the same tiers and for some tenants.
    fn swap_policy(&mut self) -> Verdict {
        let mut terms = self.terms.clone();
        for tier in &mut terms.tiers {
            if self.chance.per_mille(500) {
                *tier = Tier { quota: tier.quota, ..draw_tier(&mut self.chance) };
            }
        }
        if self.chance.per_mille(200) {
            terms.base = self.chance.pick(&[1, 20, 1_000]);
        }
        if self.chance.per_mille(200) {
            let tenant = self.chance.index(self.clients.len());
            let own = draw_tier(&mut self.chance);
            if terms.own.remove(&tenant).is_none() {
                terms.own.insert(tenant, own);
            }
        }
        if let Some(habits) = self.mix.habits.filter(|_| self.chance.per_mille(700)) {
            terms = draw_limits(&terms, &habits, &mut self.chance);
        }
        if terms.try_policy().is_none() {
            return Ok(());
        }
        let taken = self.system.set_policy(&terms);
        self.tally.add("swaps", 1);
        self.trace.note("swap", u64::from(terms.base), u64::from(taken));
        self.oracle.policy(&terms, taken)?;
        self.terms = terms;
        Ok(())
    }

    /// A policy that the engine cannot follow, or without the last tier, which may be in use.
    fn offer_bad_policy(&mut self) -> Verdict {
        let mut terms = self.terms.clone();
        let shrinks = terms.tiers.len() > 1 && self.chance.per_mille(500);
        if shrinks {
            terms.tiers.pop();
        } else {
            terms.queue_max += 1;
        }
        if terms.try_policy().is_none() {
            return Ok(());
        }
        let taken = self.system.set_policy(&terms);
        self.tally.add("bad policies", 1);
        self.trace.note("bad policy", u64::from(shrinks), u64::from(taken));
        self.oracle.policy(&terms, taken)?;
        if taken {
            // Nobody was in the tier; it is not offered to anybody any more.
            let tiers = terms.tiers.len();
            self.clients.iter_mut().for_each(|client| client.tier = client.tier.min(tiers - 1));
            self.terms = terms;
        }
        Ok(())
    }

    /// How a handler ends.
    pub(crate) fn draw_ending(&mut self, granted: &Granted) -> Ending {
        let cost = u64::from(granted.job.cost);
        if self.chance.per_mille(self.mix.faults.panic) {
            self.tally.add("panics", 1);
            Ending::Panicked
        } else if self.chance.per_mille(self.mix.faults.settle) {
            self.tally.add("settled", 1);
            let rare = if self.chance.per_mille(10) { 20 } else { 1 };
            let most = rare * cost * self.clients[granted.tenant].actual / 100;
            Ending::Settled(self.chance.within(most / 2..=most) as u32)
        } else {
            Ending::Completed
        }
    }
}
