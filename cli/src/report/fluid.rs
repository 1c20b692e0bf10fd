//! How much later jobs ended than under a fluid max-min server: what tenants too light for a share ratio
//! are judged by.
//!
//! The fluid server (generalized processor sharing; Parekh and Gallager 1993) has the capacity of all workers
//! together. It serves all backlogged tenants at the same moment, each in proportion to its weight, which
//! is the max-min share of that moment, and each one's jobs one after the other. Its virtual time is the
//! cost that each unit of backlogged weight has had; a job ends when that reaches its finish tag.
//!
//! It knows no quotas, and what is accepted it serves, unless the job expires before its turn there.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use fairlane::{Nanos, Weight};

const NANOS_PER_S: f64 = 1e9;
/// The end of a job that was not run.
const NEVER: Nanos = Nanos::MAX;

/// Is told of jobs that have ended on both sides: the tenant, and by how much later than in the fluid
/// server.
pub(super) type Late<'a> = dyn FnMut(u32, Nanos) + 'a;

/// A fluid server that is given a run's jobs, and finds out how much later they really ended.
///
/// It holds the jobs that have not ended on both sides, 16 bytes each, and takes a step on a heap of
/// tenants for each.
pub(super) struct Fluid {
    /// Cost units per nanosecond.
    rate: f64,
    /// Nanoseconds of the run.
    now: f64,
    /// Cost units that each unit of weight has had since the server was last idle.
    virtual_time: f64,
    /// Sum over the backlogged tenants, in thousandths: a sum of fractions would drift.
    weight_milli: u64,
    /// Backlogged tenants by the finish tag of their first job; tags are not negative, so their bits are
    /// in their order.
    heads: BinaryHeap<Reverse<(u64, u32)>>,
    lanes: Vec<Lane>,
}

/// A tenant's jobs in order of acceptance, which is the order on both sides.
struct Lane {
    weight_milli: u64,
    /// Those that have not ended on both sides. One of the next two is 0.
    jobs: VecDeque<Job>,
    /// How many of them have ended in the fluid server.
    fluid: usize,
    /// How many of them have really ended, or will at a moment that is known.
    real: usize,
}

#[derive(Clone, Copy)]
struct Job {
    /// Cost units.
    cost: u32,
    /// On the side on which the job has ended.
    end: Nanos,
}

impl Fluid {
    /// An idle server for tenants of these weights; `capacity` is in cost units per second.
    pub(super) fn new(weights: impl Iterator<Item = Weight>, capacity: f64) -> Fluid {
        let lane = |weight: Weight| Lane {
            weight_milli: weight.thousandths().into(),
            jobs: VecDeque::new(),
            fluid: 0,
            real: 0,
        };
        Fluid {
            rate: capacity / NANOS_PER_S,
            now: 0.0,
            virtual_time: 0.0,
            weight_milli: 0,
            heads: BinaryHeap::new(),
            lanes: weights.map(lane).collect(),
        }
    }

    /// Takes a job at its arrival. Moments must not decrease.
    pub(super) fn accept(&mut self, at: Nanos, tenant: u32, cost: u32, late: &mut Late<'_>) {
        self.advance_to(at.0 as f64, late);
        let lane = &mut self.lanes[tenant as usize];
        lane.jobs.push_back(Job { cost, end: NEVER });
        if lane.waiting() == 1 {
            self.weight_milli += lane.weight_milli;
            self.heads.push(Reverse((lane.tag_after(self.virtual_time), tenant)));
        }
    }

    /// Takes note that the tenant's next job ends at `end`.
    pub(super) fn ends(&mut self, tenant: u32, end: Nanos, late: &mut Late<'_>) {
        if let Some(delay) = self.lanes[tenant as usize].real_end(end) {
            late(tenant, delay);
        }
    }

    /// Takes note that the tenant's next job expired at `at`.
    pub(super) fn expires(&mut self, at: Nanos, tenant: u32, late: &mut Late<'_>) {
        self.advance_to(at.0 as f64, late);
        self.lanes[tenant as usize].expire();
    }

    /// Lets the server serve all that it has.
    pub(super) fn finish(&mut self, late: &mut Late<'_>) {
        self.advance_to(f64::INFINITY, late);
    }

    fn advance_to(&mut self, moment: f64, late: &mut Late<'_>) {
        while let Some(Reverse((bits, tenant))) = self.heads.peek().copied() {
            let tag = f64::from_bits(bits);
            let end = self.now + (tag - self.virtual_time).max(0.0) / self.pace();
            if end > moment {
                self.virtual_time += (moment - self.now).max(0.0) * self.pace();
                break;
            }
            self.heads.pop();
            (self.now, self.virtual_time) = (end, tag);
            let lane = &mut self.lanes[tenant as usize];
            if let Some(delay) = lane.fluid_end(Nanos(end.round() as u64)) {
                late(tenant, delay);
            }
            if lane.waiting() > 0 {
                self.heads.push(Reverse((lane.tag_after(tag), tenant)));
            } else {
                self.weight_milli -= lane.weight_milli;
            }
        }
        if self.heads.is_empty() {
            self.virtual_time = 0.0;
        }
        self.now = self.now.max(moment);
    }

    /// By how much virtual time passes in a nanosecond, while anybody is backlogged.
    fn pace(&self) -> f64 {
        self.rate / (self.weight_milli as f64 / 1_000.0)
    }
}

impl Lane {
    /// Jobs that have not ended in the fluid server.
    fn waiting(&self) -> usize {
        self.jobs.len() - self.fluid
    }

    /// The bits of the finish tag of the first job that waits, when its service begins at `tag`.
    fn tag_after(&self, tag: f64) -> u64 {
        let cost = f64::from(self.jobs[self.fluid].cost);
        (tag + cost * 1_000.0 / self.weight_milli as f64).to_bits()
    }

    fn fluid_end(&mut self, at: Nanos) -> Option<Nanos> {
        if self.real == 0 {
            self.jobs[self.fluid].end = at;
            self.fluid += 1;
            return None;
        }
        self.real -= 1;
        let job = self.jobs.pop_front()?;
        (job.end != NEVER).then(|| job.end.since(at))
    }

    fn real_end(&mut self, at: Nanos) -> Option<Nanos> {
        if self.fluid == 0 {
            self.jobs[self.real].end = at;
            self.real += 1;
            return None;
        }
        self.fluid -= 1;
        self.jobs.pop_front().map(|job| at.since(job.end))
    }

    fn expire(&mut self) {
        if self.fluid > 0 {
            self.fluid -= 1;
            self.jobs.pop_front();
            return;
        }
        // The first has a tag already, and is served to its end.
        if self.real > 0 {
            self.jobs[self.real].cost = 0;
        }
        self.jobs[self.real].end = NEVER;
        self.real += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job of a run: when it arrives, whose it is, what it costs.
    type Offer = (u64, u32, u32);

    /// One cost unit a nanosecond.
    const CAPACITY: f64 = NANOS_PER_S;

    /// When the fluid server ends each tenant's jobs, in nanoseconds.
    fn ends(weights: &[f64], offers: &[Offer]) -> Vec<Vec<u64>> {
        let weights: Vec<Weight> = weights.iter().map(|w| Weight::new(*w).unwrap()).collect();
        let mut fluid = Fluid::new(weights.iter().copied(), CAPACITY);
        // A job that really ends when the world does is late by all that comes after its end.
        let world = Nanos(1 << 40);
        let mut ends = vec![Vec::new(); weights.len()];
        let mut late = |tenant: u32, delay: Nanos| ends[tenant as usize].push(world.0 - delay.0);
        for (at, tenant, cost) in offers {
            fluid.accept(Nanos(*at), *tenant, *cost, &mut late);
            fluid.ends(*tenant, world, &mut late);
        }
        fluid.finish(&mut late);
        ends
    }

    /// The same step by step, without virtual time: the slow twin.
    fn ends_by_steps(weights: &[f64], offers: &[Offer]) -> Vec<Vec<f64>> {
        let mut left: Vec<VecDeque<f64>> = vec![VecDeque::new(); weights.len()];
        let mut ends = vec![Vec::new(); weights.len()];
        let (mut now, mut offers) = (0.0, offers.iter().peekable());
        loop {
            let busy = || (0..weights.len()).filter(|tenant| !left[*tenant].is_empty());
            let weight: f64 = busy().map(|tenant| weights[tenant]).sum();
            let end = |tenant: usize| now + left[tenant][0] * weight / weights[tenant];
            let first = busy().min_by(|a, b| end(*a).total_cmp(&end(*b)));
            let next = offers.peek().map(|(at, ..)| *at as f64);
            let until = first.map(end).into_iter().chain(next).fold(f64::INFINITY, f64::min);
            if until.is_infinite() {
                return ends;
            }
            let is_end = first.is_some_and(|first| end(first) <= until);
            let busy: Vec<usize> = busy().collect();
            for tenant in busy {
                left[tenant][0] -= (until - now) * weights[tenant] / weight;
            }
            now = until;
            if let Some(first) = first.filter(|_| is_end) {
                left[first].pop_front();
                ends[first].push(now);
            } else if let Some((_, tenant, cost)) = offers.next() {
                left[*tenant as usize].push_back(f64::from(*cost));
            }
        }
    }

    #[test]
    fn the_capacity_is_shared_by_weight_among_those_that_have_work() {
        // Alone until 2, tenant 0 has two units left of its first job. Each gets half: tenant 1 ends at 4, when
        // one unit of that job is left. Then tenant 0 is alone again, and after a pause once more.
        let offers = [(0, 0, 4), (0, 0, 4), (2, 1, 1), (20, 1, 3)];
        assert_eq!(ends(&[1.0, 1.0], &offers), [vec![5, 9], vec![4, 23]]);
        // With two thirds, tenant 0 has its two units at 5, as tenant 1 has its one with a third.
        assert_eq!(ends(&[2.0, 1.0], &offers), [vec![5, 9], vec![5, 23]]);
    }

    #[test]
    fn virtual_time_gives_the_ends_that_steps_give() {
        let weights = [1.0, 0.3, 2.5, 7.0, 1.0];
        let mut luck = 1_u64;
        let mut draw = |below: u64| {
            luck = luck.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (luck >> 33) % below
        };
        for gap in [10, 40, 90, 400] {
            let mut at = 0;
            let offer = |_| {
                at += draw(gap);
                (at, draw(5) as u32, 1 + draw(100) as u32)
            };
            let offers: Vec<Offer> = (0..2_000).map(offer).collect();
            let fast = ends(&weights, &offers);
            for (fast, slow) in fast.iter().zip(ends_by_steps(&weights, &offers)) {
                assert_eq!(fast.len(), slow.len());
                let pairs = fast.iter().zip(&slow);
                let apart = pairs.map(|(fast, slow)| (*fast as f64 - slow).abs());
                assert!(apart.fold(0.0, f64::max) <= 0.6, "gap {gap}: to the nanosecond");
            }
        }
    }

    #[test]
    fn a_job_is_late_by_what_it_ends_after_its_fluid_end_and_never_early() {
        let mut fluid = Fluid::new([Weight::ONE; 2].into_iter(), CAPACITY);
        let mut told = Vec::new();
        let mut late = |tenant, delay: Nanos| told.push((tenant, delay.0));
        fluid.accept(Nanos(0), 0, 10, &mut late);
        fluid.accept(Nanos(0), 1, 10, &mut late);
        // Both end at 20 in the fluid server; really one after the other.
        fluid.ends(0, Nanos(10), &mut late);
        fluid.accept(Nanos(50), 1, 10, &mut late);
        fluid.ends(1, Nanos(55), &mut late);
        fluid.ends(1, Nanos(65), &mut late);
        fluid.finish(&mut late);
        assert_eq!(told, [(0, 0), (1, 35), (1, 5)]);
    }

    #[test]
    fn jobs_that_expire_are_late_for_nobody_and_cost_nothing_before_their_turn() {
        let mut fluid = Fluid::new([Weight::ONE; 2].into_iter(), CAPACITY);
        let mut told = Vec::new();
        let mut late = |tenant, delay: Nanos| told.push((tenant, delay.0));
        for cost in [10, 20, 30] {
            fluid.accept(Nanos(0), 0, cost, &mut late);
        }
        // The first is being served, and is to its end; the second has not begun.
        fluid.expires(Nanos(5), 0, &mut late);
        fluid.expires(Nanos(5), 0, &mut late);
        // The third ends at 40 then.
        fluid.ends(0, Nanos(41), &mut late);
        // This one has ended in the fluid server, at 70, when it expires.
        fluid.accept(Nanos(60), 1, 10, &mut late);
        fluid.expires(Nanos(80), 1, &mut late);
        fluid.accept(Nanos(90), 1, 10, &mut late);
        fluid.ends(1, Nanos(103), &mut late);
        fluid.finish(&mut late);
        assert_eq!(told, [(0, 1), (1, 3)]);
        assert!(fluid.lanes.iter().all(|lane| lane.jobs.is_empty()), "nothing is held for ever");
    }
}
