//! What a seed draws: sizes, habits of producers and handlers, and which faults there are and how
//! often. Each feature is absent in about half of the seeds, so that rare ones are not drowned by
//! frequent ones (swarm testing; Groce et al., 2012).

use crate::chance::Chance;
use crate::quota::{Habits, Quota};
use crate::terms::{Terms, Tier};
use std::collections::BTreeMap;

const PRODUCERS_MAX: u64 = 64;
const TENANTS_MAX: u64 = 10_000;

/// Which tenants get the jobs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Crowd {
    Uniform,
    /// Few tenants get most.
    Skewed,
    /// Four in five jobs are tenant 0's.
    Hot,
    /// A few tenants at a time, others later.
    Waves,
}

/// A run's parameters. Rates are per mille.
#[derive(Clone, Debug)]
pub(crate) struct Mix {
    pub(crate) seed: u64,
    pub(crate) workers: usize,
    pub(crate) producers: usize,
    pub(crate) tenants: usize,
    pub(crate) terms: Terms,
    pub(crate) crowd: Crowd,
    /// Of the steps, how many are a producer's; the others are a worker's.
    pub(crate) produce: u32,
    pub(crate) batch: u32,
    pub(crate) batch_max: u64,
    pub(crate) cost_max: u64,
    /// Most jobs a worker asks for at once.
    pub(crate) most: u64,
    /// Nanoseconds a handler takes, and a step.
    pub(crate) handler_ns: u64,
    pub(crate) step_ns: u64,
    pub(crate) first_round: u32,
    pub(crate) first_position: u32,
    pub(crate) faults: Faults,
    /// Limits and job options, in half of the seeds.
    pub(crate) habits: Option<Habits>,
    /// Steps between two comparisons of a snapshot with the oracle.
    pub(crate) snapshot_every: u64,
    /// The step at which the engine is drained, with whatever is going on.
    pub(crate) drain_at: Option<u64>,
}

/// What goes wrong, or is done seldom, per mille of the occasions.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Faults {
    /// A producer stops between reserving and publishing ...
    pub(crate) stall: u32,
    /// ... and of those, never publishes.
    pub(crate) abandon: u32,
    /// Longest stop, in steps.
    pub(crate) stall_steps: u64,
    pub(crate) panic: u32,
    /// A handler that does not return until the end of the run.
    pub(crate) stuck: u32,
    /// A handler that corrects its job's cost.
    pub(crate) settle: u32,
    /// A grant that ends elsewhere, at another time.
    pub(crate) loose: u32,
    /// A worker's thread dies, with the grants it holds.
    pub(crate) death: u32,
    /// A sleeping worker wakes by itself.
    pub(crate) timeout: u32,
    /// The clock jumps ahead, up to a year.
    pub(crate) jump: u32,
    /// The clock is asked to step back.
    pub(crate) back: u32,
    /// The clock stands still for a while.
    pub(crate) still: u32,
    /// A worker reads the clock late, by up to this many steps.
    pub(crate) skew_steps: u64,
    /// A look at any earlier moment, also one before the same worker's last.
    pub(crate) regress: u32,
    /// The policy is swapped; `storm` times in a row.
    pub(crate) swap: u32,
    pub(crate) storm: u64,
    /// A policy that must be refused is offered.
    pub(crate) refused_policy: u32,
    /// A tenant is named again, in another tier.
    pub(crate) rename: u32,
}

impl Mix {
    pub(crate) fn draw(seed: u64, steps: u64) -> Mix {
        let mix = Mix::draw_plain(seed, steps).stretched(&mut Chance::new(seed.rotate_left(7)));
        if seed % 2 == 1 { mix.limited(&mut Chance::new(!seed)) } else { mix }
    }

    /// The same at the end of a range, now and then: chance alone comes near it too seldom. And with clocks that go
    /// back, in half of the seeds.
    fn stretched(mut self, chance: &mut Chance) -> Mix {
        if chance.per_mille(50) {
            self.producers = PRODUCERS_MAX as usize;
        }
        if chance.per_mille(40) {
            self.tenants = TENANTS_MAX as usize;
            self.terms = draw_terms(chance, self.tenants);
        }
        self.faults.regress = sometimes(chance, 1..=100);
        self
    }

    /// Without limits.
    fn draw_plain(seed: u64, steps: u64) -> Mix {
        let mut chance = Chance::new(seed);
        let chance = &mut chance;
        let tenants = match chance.below(10) {
            0..6 => chance.scaled(1..=32),
            6..9 => chance.scaled(32..=1_000),
            _ => chance.scaled(1_000..=TENANTS_MAX),
        } as usize;
        let handler_ns = chance.pick(&[0, 200, 3_000, 50_000, 1_000_000, 20_000_000]);
        let near_wrap = chance.per_mille(300);
        Mix {
            seed,
            workers: chance.within(1..=8) as usize,
            producers: chance.scaled(1..=PRODUCERS_MAX) as usize,
            tenants,
            terms: draw_terms(chance, tenants),
            crowd: chance.pick(&[Crowd::Uniform, Crowd::Skewed, Crowd::Hot, Crowd::Waves]),
            produce: chance.within(150..=700) as u32,
            batch: sometimes(chance, 10..=500),
            batch_max: chance.scaled(2..=200),
            cost_max: chance.pick(&[1, 3, 30, 1_000, 1_000_000]),
            most: chance.pick(&[1, 1, 4, 32, 300]),
            handler_ns,
            step_ns: handler_ns / chance.within(1..=8) + chance.below(50),
            first_round: if near_wrap { (1 << 25) - chance.within(1..=40) as u32 } else { 0 },
            first_position: if near_wrap { (1 << 23) - chance.within(1..=40) as u32 } else { 0 },
            faults: Faults::draw(chance),
            snapshot_every: 200 + 20 * tenants as u64,
            habits: None,
            drain_at: chance.per_mille(300).then(|| chance.within(steps / 4..=steps.max(1))),
        }
    }

    /// The same with limits, job options, or both.
    fn limited(mut self, chance: &mut Chance) -> Mix {
        let on = |chance: &mut Chance| chance.per_mille(500);
        self.tenants = self.tenants.min(chance.pick(&[8, 32, 32, 200]));
        self.terms = draw_terms(chance, self.tenants);
        // Room for all: what a full engine does to idle lanes is a limit of its own.
        self.terms.queue_max = self.terms.tenants_max * 2_000;
        self.step_ns = chance.pick(&[2_000, 20_000, 200_000, 2_000_000]);
        self.handler_ns = self.step_ns * chance.pick(&[0, 1, 10, 100]);
        self.cost_max = self.cost_max.min(30);
        self.batch_max = self.batch_max.min(40);
        let span_ns = (self.step_ns * chance.scaled(10..=2_000)).max(100_000);
        let habits = Habits {
            rates: on(chance),
            caps: on(chance),
            tier_caps: on(chance),
            capacity: on(chance),
            minima: on(chance),
            max_waits: on(chance),
            span_ns,
            workers: self.workers as u64,
            cost_max: self.cost_max,
            priorities: sometimes(chance, 10..=1_000),
            delays: sometimes(chance, 10..=1_000),
            deadlines: sometimes(chance, 10..=1_000),
        };
        if on(chance) {
            self.terms.jitter_ns = chance.scaled(1..=1_000_000);
        }
        self.terms = draw_limits(&self.terms, &habits, chance);
        self.habits = Some(habits);
        self
    }

    /// The same for what is left of the steps when the engine was drained early: it goes on to the end, another way.
    pub(crate) fn after_drain(mut self) -> Mix {
        self.seed = !self.seed;
        self.drain_at = None;
        self
    }

    /// The same with nothing but bounds on grants in flight.
    pub(crate) fn of_bounds(seed: u64, steps: u64) -> Mix {
        let mut mix = Mix::of_limits(seed, steps);
        let mut habits = mix.habits.expect("a run with limits");
        (habits.rates, habits.max_waits, habits.delays, habits.deadlines) = (false, false, 0, 0);
        mix.terms.capacity = Some(1);
        mix.terms.tiers.iter_mut().for_each(|tier| tier.quota = Quota::default());
        mix.habits = Some(habits);
        (mix.faults.swap, mix.faults.timeout, mix.faults.death, mix.produce) = (0, 0, 0, 60);
        (mix.handler_ns, mix.faults.loose) = (0, 1_000);
        mix
    }

    /// A run for controls of limits: each of them, in sizes that make a flaw show.
    pub(crate) fn of_limits(seed: u64, steps: u64) -> Mix {
        let mut mix = Mix::draw(2 * seed + 1, steps);
        let chance = &mut Chance::new(!seed);
        mix.tenants = mix.tenants.clamp(3, 8);
        mix.workers = mix.workers.max(2);
        mix.terms = draw_terms(chance, mix.tenants);
        mix.terms.tiers = vec![tier(1_000, 40), tier(1_000, 60)];
        (mix.terms.tenants_max, mix.terms.queue_max) = (64, 100_000);
        mix.terms.own.clear();
        (mix.terms.jitter_ns, mix.faults.skew_steps, mix.faults.stuck) = (0, 0, 0);
        mix.faults.regress = 0;
        (mix.step_ns, mix.handler_ns) = (20_000, 100_000);
        let all = Habits {
            rates: true,
            caps: true,
            tier_caps: true,
            capacity: true,
            minima: false,
            max_waits: true,
            span_ns: 1_000_000,
            workers: mix.workers as u64,
            cost_max: mix.cost_max,
            priorities: 400,
            delays: 200,
            deadlines: 300,
        };
        mix.terms = draw_limits(&mix.terms, &all, chance);
        mix.habits = Some(all);
        mix.produce = if seed % 2 == 0 { 400 } else { 150 };
        mix.faults.loose = mix.faults.loose.max(20);
        mix.faults.panic = mix.faults.panic.max(20);
        mix.faults.swap = mix.faults.swap.min(1);
        mix
    }

    /// The same with workers that do not agree on the time.
    pub(crate) fn of_clocks(seed: u64, steps: u64) -> Mix {
        let mut mix = Mix::of_limits(seed, steps);
        (mix.faults.skew_steps, mix.faults.regress) = (20, 5);
        // What a bound on grants lets go does not tell what a rate does.
        mix.terms.capacity = None;
        let tiers = mix.terms.tiers.iter_mut();
        tiers.for_each(|tier| (tier.quota.cap, tier.quota.tier_cap) = (None, None));
        mix
    }

    /// A run for controls: every feature that the twin has, in sizes that make a flaw show.
    pub(crate) fn of_control(seed: u64, steps: u64) -> Mix {
        let mut mix = Mix::draw_plain(seed, steps);
        let chance = &mut Chance::new(!seed);
        mix.tenants = mix.tenants.clamp(4, 12);
        mix.terms = draw_terms(chance, mix.tenants);
        mix.terms.tiers = vec![tier(1_000, 40), tier(4_000, 60)];
        mix.terms.base = 20;
        // The twin's door is simpler than the engine's, and it gives no tenant up.
        mix.terms.tenants_max = 64;
        mix.terms.queue_max = 100_000;
        mix.terms.own.clear();
        (mix.crowd, mix.cost_max) = (Crowd::Uniform, 30);
        // Too much work in half of the seeds, workers that sleep now and then in the others.
        mix.produce = if seed % 2 == 0 { 500 } else { 120 };
        (mix.batch, mix.batch_max, mix.most) = (300, 20, mix.most.max(4));
        mix.faults.swap = mix.faults.swap.min(1);
        mix.faults.settle = mix.faults.settle.max(100);
        mix.faults.stall = mix.faults.stall.max(5);
        mix
    }
}

fn tier(weight: u32, bound: u32) -> Tier {
    Tier { weight, bound, quota: Quota::default() }
}

/// A rate of the range in half of the seeds, 0 in the others.
fn sometimes(chance: &mut Chance, range: std::ops::RangeInclusive<u64>) -> u32 {
    if chance.per_mille(500) { chance.scaled(range) as u32 } else { 0 }
}

/// A weight in thousandths: usual ones, or any.
fn draw_weight(chance: &mut Chance) -> u32 {
    match chance.below(4) {
        0 => 1_000,
        1 => chance.pick(&[1_000, 1_200, 2_000]),
        2 => chance.within(500..=4_000) as u32,
        _ => chance.scaled(10..=1_000_000) as u32,
    }
}

pub(crate) fn draw_tier(chance: &mut Chance) -> Tier {
    let bound = if chance.per_mille(400) { chance.scaled(1..=64) } else { 10_000 };
    tier(draw_weight(chance), bound as u32)
}

fn draw_terms(chance: &mut Chance, tenants: usize) -> Terms {
    let tiers = (0..chance.within(1..=4)).map(|_| draw_tier(chance)).collect();
    let own_max = if chance.per_mille(300) { chance.below(4) } else { 0 };
    let own: BTreeMap<_, _> =
        (0..own_max).map(|_| (chance.index(tenants), draw_tier(chance))).collect();
    // A table too small for all makes names come and go.
    let crowded = chance.per_mille(200);
    let tenants_max = if crowded { (tenants as u32 / 2).max(2) } else { tenants as u32 + 1 };
    let per_tenant = chance.pick(&[1, 4, 40, 1_000, 1_000]);
    Terms {
        base: chance.pick(&[1, 20, 20, 20, 1_000]),
        queue_max: (tenants_max * per_tenant).clamp(16, 1_000_000),
        tenants_max,
        capacity: None,
        jitter_ns: 0,
        tiers,
        own,
    }
}

/// The same terms with limits that do not contradict each other.
pub(crate) fn draw_limits(terms: &Terms, habits: &Habits, chance: &mut Chance) -> Terms {
    for _ in 0..8 {
        let mut terms = terms.clone();
        terms.capacity = habits.draw_capacity(chance);
        for tier in terms.tiers.iter_mut().chain(terms.own.values_mut()) {
            tier.bound = tier.bound.min(400);
            tier.quota = habits.draw_quota(chance);
        }
        terms.own.values_mut().for_each(|own| own.quota.tier_cap = None);
        if terms.try_policy().is_some() {
            return terms;
        }
    }
    terms.clone()
}

impl Faults {
    /// Whether all workers see the same moment at one time.
    pub(crate) fn clocks_agree(&self) -> bool {
        self.skew_steps == 0 && self.regress == 0
    }

    fn draw(chance: &mut Chance) -> Faults {
        Faults {
            stall: sometimes(chance, 1..=300),
            abandon: sometimes(chance, 10..=1_000),
            stall_steps: chance.scaled(2..=4_000),
            panic: sometimes(chance, 1..=300),
            stuck: sometimes(chance, 1..=2),
            settle: sometimes(chance, 10..=1_000),
            loose: sometimes(chance, 5..=300),
            death: sometimes(chance, 1..=30),
            timeout: sometimes(chance, 1..=300),
            jump: sometimes(chance, 1..=5),
            back: sometimes(chance, 1..=20),
            still: sometimes(chance, 1..=5),
            skew_steps: chance.pick(&[0, 0, 1, 20]),
            regress: 0,
            swap: sometimes(chance, 1..=30),
            storm: chance.scaled(1..=20),
            refused_policy: sometimes(chance, 1..=10),
            rename: sometimes(chance, 1..=30),
        }
    }
}
