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

/// When something happened, as the engine takes it: at one moment of these. Workers read the clock at different
/// times, and what one of them has seen another need not have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// What the worker read that looked.
    pub(crate) from: u64,
    /// The latest that any worker has read.
    pub(crate) to: u64,
}

impl Moment {
    pub(crate) fn at(now: u64) -> Moment {
        Moment { from: now, to: now }
    }
}

/// How full a smooth rate is at a moment, in units times `per`.
#[derive(Clone, Copy, Default, Debug)]
struct Level {
    units: u128,
    at: u64,
}

impl Level {
    fn after(&self, rate: &Rate, now: u64) -> u128 {
        let drained = u128::from(now.saturating_sub(self.at)) * u128::from(rate.most);
        self.units.saturating_sub(drained)
    }

    fn fill(&mut self, rate: &Rate, amount: u64, now: u64) {
        let units = self.after(rate, now) + u128::from(amount) * u128::from(rate.per);
        *self = Level { units, at: self.at.max(now) };
    }

    fn admits(&self, rate: &Rate, amount: u64, burst: u64, now: u64) -> bool {
        let per = u128::from(rate.per);
        self.after(rate, now) + u128::from(amount) * per <= u128::from(burst) * per
    }
}

/// What one tenant has been granted of its rate.
#[derive(Clone, Default, Debug)]
pub(crate) struct Used {
    rate: Option<Rate>,
    /// Until when what came before the present rate may count, all of it at the last moment.
    before: Option<u64>,
    /// Moments and amounts since the present rate holds.
    log: VecDeque<(Moment, u64)>,
    /// Time never goes back for a tenant: no later charge counts as of before this moment.
    from: u64,
    /// Of a smooth rate: the least and the most that its level may be. The least is what it is if every charge came as
    /// early as it may have, the most if as late.
    least: Level,
    most: Level,
}

impl Used {
    /// Another rate holds from `now` on.
    pub(crate) fn follow(&mut self, rate: Option<Rate>, now: u64) {
        if self.rate == rate {
            return;
        }
        let units = rate.map_or(0, |rate| u128::from(rate.widest()) * u128::from(rate.per));
        *self = Used { rate, before: Some(now), most: Level { units, at: now }, ..Used::default() };
    }

    /// Nothing was ever granted.
    pub(crate) fn none(rate: Option<Rate>) -> Used {
        Used { rate, ..Used::default() }
    }

    /// For a control: nothing was granted.
    pub(crate) fn forget(&mut self) {
        *self = Used::none(self.rate);
    }

    pub(crate) fn charge(&mut self, cost: u32, moment: Moment) {
        let Some(rate) = self.rate else { return };
        let amount = rate.amount(cost);
        self.from = self.from.max(moment.from);
        let moment = Moment { from: self.from, ..moment };
        self.least.fill(&rate, amount, moment.from);
        self.most.fill(&rate, amount, moment.to);
        self.log.push_back((moment, amount));
        let is_over = |at: &Moment| moment.from.saturating_sub(at.to) > 3 * rate.per;
        while self.log.front().is_some_and(|(at, _)| is_over(at)) {
            self.log.pop_front();
        }
    }

    /// Whether the rate may let a job of `cost` go: if all before it came as early as it may have, and it is as late
    /// as it may be.
    pub(crate) fn may_admit(&self, cost: u32, moment: Moment) -> bool {
        let Some(rate) = self.rate else { return true };
        let (amount, now) = (rate.amount(cost), moment.to);
        match rate.burst {
            Some(burst) => self.least.admits(&rate, amount, burst, now),
            None => self.counted(|at| now.saturating_sub(at.from) < rate.per) + amount <= rate.most,
        }
    }

    /// Whether it must, by a worker that reads `now`: if all before it came as late as it may have.
    pub(crate) fn must_admit(&self, cost: u32, now: u64) -> bool {
        let Some(rate) = self.rate else { return true };
        let amount = rate.amount(cost);
        if let Some(burst) = rate.burst {
            return self.most.admits(&rate, amount, burst, now);
        }
        if self.before.is_some_and(|at| now.saturating_sub(at) < rate.per + rate.per / 64 + 1) {
            return false;
        }
        // Many moments are joined, and leave a 64th late.
        let late = if self.log.len() > 60 { rate.per / 64 + 1 } else { 0 };
        self.counted(|at| now.saturating_sub(at.to) < rate.per + late) + amount <= rate.most
    }

    /// What was granted at moments that count: the latest do, and the earlier ones do not.
    fn counted(&self, counts: impl Fn(&Moment) -> bool) -> u64 {
        let inside = self.log.iter().rev().take_while(|(at, _)| counts(at));
        inside.map(|(_, amount)| amount).sum()
    }
}
