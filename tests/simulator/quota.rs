//! Quotas in the words of the simulator, and a rate as the oracle knows it: two slow twins, one that
//! has let through at least what the engine has, one at most.

use crate::chance::Chance;
use crate::systems::Wishes;
use fairlane::{Cap, Limits, Own, Unit};
use std::collections::VecDeque;
use std::time::Duration;

/// At most so many jobs, or so much cost, in a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rate {
    pub(crate) most: u64,
    pub(crate) per: u64,
    pub(crate) by_cost: bool,
    /// Of a smooth rate.
    pub(crate) burst: Option<u64>,
}

impl Rate {
    pub(crate) fn amount(&self, cost: u32) -> u64 {
        if self.by_cost { cost.into() } else { 1 }
    }

    /// The most that can go at one moment.
    pub(crate) fn widest(&self) -> u64 {
        self.burst.unwrap_or(self.most)
    }
}

/// What limits a tenant.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Quota {
    pub(crate) rate: Option<Rate>,
    pub(crate) cap: Option<u32>,
    pub(crate) min: u32,
    pub(crate) max_wait: Option<u64>,
    /// Shared by all tenants of the tier.
    pub(crate) tier_cap: Option<u32>,
}

impl Quota {
    pub(crate) fn is_none(&self) -> bool {
        *self == Quota::default()
    }

    pub(crate) fn limits(&self) -> Limits {
        let rate = self.rate.map(|rate| {
            let (unit, per) = (
                if rate.by_cost { Unit::Cost } else { Unit::Jobs },
                Duration::from_nanos(rate.per),
            );
            match rate.burst {
                Some(burst) => fairlane::Rate::smooth(rate.most, unit, per, burst),
                None => fairlane::Rate::strict(rate.most, unit, per),
            }
            .expect("rates are drawn in range")
        });
        let limits = Limits::default()
            .rate(rate.map_or(Own::Lift, Own::Is))
            .concurrency(self.cap.map_or(Own::Lift, |cap| Own::Is(Cap::Grants(cap))))
            .max_wait(self.max_wait.map_or(Own::Lift, |time| Own::Is(Duration::from_nanos(time))));
        if self.min == 0 { limits } else { limits.concurrency_min(Cap::Grants(self.min)) }
    }
}

/// Which quotas a seed has, and how large they are.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Habits {
    pub(crate) rates: bool,
    pub(crate) caps: bool,
    pub(crate) tier_caps: bool,
    pub(crate) capacity: bool,
    pub(crate) minima: bool,
    pub(crate) max_waits: bool,
    /// The time in which quotas and wishes are counted, in nanoseconds.
    pub(crate) span_ns: u64,
    pub(crate) workers: u64,
    pub(crate) cost_max: u64,
    /// Per mille of the jobs.
    pub(crate) priorities: u32,
    pub(crate) delays: u32,
    pub(crate) deadlines: u32,
}

impl Habits {
    pub(crate) fn draw_quota(&self, chance: &mut Chance) -> Quota {
        let maybe = |on: bool, chance: &mut Chance| on && chance.per_mille(500);
        let rate = maybe(self.rates, chance).then(|| self.draw_rate(chance));
        let cap = maybe(self.caps, chance).then(|| self.draw_cap(chance));
        let min = if maybe(self.minima, chance) { chance.within(1..=2) as u32 } else { 0 };
        let max_wait = maybe(self.max_waits, chance).then(|| self.draw_time(chance).max(1_000_000));
        let tier_cap = maybe(self.tier_caps, chance).then(|| self.draw_cap(chance));
        Quota { rate, cap, min, max_wait, tier_cap }
    }

    fn draw_rate(&self, chance: &mut Chance) -> Rate {
        let by_cost = chance.per_mille(400);
        let scale = if by_cost { self.cost_max } else { 1 };
        let most = chance.scaled(1..=100) * scale;
        let burst = chance.per_mille(400).then(|| chance.within(1..=most));
        Rate { most, per: self.draw_time(chance).max(1_000_000), by_cost, burst }
    }

    fn draw_cap(&self, chance: &mut Chance) -> u32 {
        if chance.per_mille(60) { 0 } else { chance.scaled(1..=3 * self.workers) as u32 }
    }

    pub(crate) fn draw_capacity(&self, chance: &mut Chance) -> Option<u32> {
        (self.capacity && chance.per_mille(600)).then(|| self.draw_cap(chance))
    }

    fn draw_time(&self, chance: &mut Chance) -> u64 {
        self.span_ns * chance.scaled(1..=100) / 10
    }

    pub(crate) fn draw_wishes(&self, chance: &mut Chance, now: u64) -> Wishes {
        let mut wishes = Wishes::default();
        if chance.per_mille(self.priorities) {
            wishes.priority = Some(chance.below(10_000) as i32 - 500);
        }
        if chance.per_mille(self.delays) {
            let time = self.draw_time(chance);
            if chance.per_mille(500) {
                wishes.delay = Some(time);
            } else {
                wishes.not_before = Some(now + time);
            }
        }
        if chance.per_mille(self.deadlines) {
            let time = self.draw_time(chance);
            if chance.per_mille(500) {
                wishes.max_wait = Some(time);
            } else {
                wishes.deadline = Some((now + time).saturating_sub(self.span_ns / 10));
            }
        }
        wishes
    }
}

/// What one tenant has been granted of its rate.
#[derive(Clone, Default, Debug)]
pub(crate) struct Used {
    rate: Option<Rate>,
    /// Until when what came before the present rate may count, all of it at the last moment.
    before: Option<u64>,
    /// Moments and amounts since the present rate holds.
    log: VecDeque<(u64, u64)>,
    /// Of a smooth rate: the least and the most that its level may be, in units times `per`, at a moment.
    least: u128,
    most: u128,
    at: u64,
}

impl Used {
    /// Another rate holds from `now` on.
    pub(crate) fn follow(&mut self, rate: Option<Rate>, now: u64) {
        if self.rate == rate {
            return;
        }
        let most = rate.map_or(0, |rate| u128::from(rate.widest()) * u128::from(rate.per));
        *self = Used { rate, before: Some(now), log: VecDeque::new(), least: 0, most, at: now };
    }

    /// Nothing was ever granted.
    pub(crate) fn none(rate: Option<Rate>) -> Used {
        Used { rate, ..Used::default() }
    }

    pub(crate) fn charge(&mut self, cost: u32, now: u64) {
        let Some(rate) = self.rate else { return };
        let amount = rate.amount(cost);
        let (least, most) = self.levels(&rate, now);
        let added = u128::from(amount) * u128::from(rate.per);
        (self.least, self.most, self.at) = (least + added, most + added, now.max(self.at));
        self.log.push_back((now, amount));
        while self.log.front().is_some_and(|(at, _)| now.saturating_sub(*at) > 3 * rate.per) {
            self.log.pop_front();
        }
    }

    fn levels(&self, rate: &Rate, now: u64) -> (u128, u128) {
        let drained = u128::from(now.saturating_sub(self.at)) * u128::from(rate.most);
        (self.least.saturating_sub(drained), self.most.saturating_sub(drained))
    }

    /// Whether the rate may let a job of `cost` go at `now`.
    pub(crate) fn may_admit(&self, cost: u32, now: u64) -> bool {
        let Some(rate) = self.rate else { return true };
        let amount = rate.amount(cost);
        match rate.burst {
            Some(burst) => fits(self.levels(&rate, now).0, amount, burst, rate.per),
            None => self.counted(now, rate.per) + amount <= rate.most,
        }
    }

    /// Whether it must.
    pub(crate) fn must_admit(&self, cost: u32, now: u64) -> bool {
        let Some(rate) = self.rate else { return true };
        let amount = rate.amount(cost);
        if let Some(burst) = rate.burst {
            return fits(self.levels(&rate, now).1, amount, burst, rate.per);
        }
        if self.before.is_some_and(|at| now.saturating_sub(at) < rate.per + rate.per / 64 + 1) {
            return false;
        }
        // Many moments are joined, and leave a 64th late.
        let late = if self.log.len() > 60 { rate.per / 64 + 1 } else { 0 };
        self.counted(now, rate.per + late) + amount <= rate.most
    }

    fn counted(&self, now: u64, per: u64) -> u64 {
        let inside = self.log.iter().rev().take_while(|(at, _)| now.saturating_sub(*at) < per);
        inside.map(|(_, amount)| amount).sum()
    }
}

fn fits(level: u128, amount: u64, burst: u64, per: u64) -> bool {
    level + u128::from(amount) * u128::from(per) <= u128::from(burst) * u128::from(per)
}
