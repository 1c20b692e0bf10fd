//! Who asks for how much and when: the same arrivals for every scheduler.

use fairlane::{Nanos, Policy};

use crate::report::TenantInfo;

/// Light tenants beside the hot one.
pub(super) const LIGHT_TENANTS: u32 = 50;
/// The hot tenant's offer as a multiple of the capacity.
const HOT_LOAD: f64 = 10.0;
/// Each light tenant's offer as a part of the capacity.
const LIGHT_LOAD: f64 = 0.01;
/// The hot tenant's tier: the heaviest, so that it may claim the most and is hardest to contain.
const HOT_TIER: &str = "scale";
/// Jobs a worker finishes per second if each takes exactly [`super::HANDLER`].
const JOBS_PER_WORKER_S: f64 = 1_000.0;
const NANOS_PER_S: f64 = 1e9;
/// Fixed, so that every run of the demo offers the same jobs.
const SEED: u64 = 2026;

/// What the demo offers.
#[derive(Clone, Debug)]
pub(super) struct Load {
    /// The hot tenant first, then the light ones.
    pub(super) tenants: Vec<TenantInfo>,
    /// End of the arrivals.
    pub(super) end: Nanos,
    jobs_per_s: f64,
}

impl Load {
    /// Plans `seconds` of arrivals for `workers` workers, with the tiers of `policy`.
    pub(super) fn new(policy: &Policy, workers: u32, seconds: u32) -> Load {
        let tier = |name: &str| policy.tier(name).unwrap_or(policy.default_tier());
        let hot = TenantInfo::of(policy, "hot", tier(HOT_TIER));
        let light = (1..=LIGHT_TENANTS).map(|number| {
            let tiers = policy.tiers();
            let tier = &tiers[number as usize % tiers.len()];
            TenantInfo::of(policy, &format!("light-{number:02}"), tier)
        });
        Load {
            tenants: std::iter::once(hot).chain(light).collect(),
            end: Nanos(u64::from(seconds) * NANOS_PER_S as u64),
            jobs_per_s: f64::from(workers) * JOBS_PER_WORKER_S,
        }
    }

    /// The jobs in the order of their intended arrival, the same at every call.
    pub(super) fn arrivals(&self) -> Arrivals {
        let mut arrivals = Arrivals {
            random: SplitMix(SEED),
            hot_gap: NANOS_PER_S / (self.jobs_per_s * HOT_LOAD),
            light_gap: NANOS_PER_S / (self.jobs_per_s * LIGHT_LOAD * f64::from(LIGHT_TENANTS)),
            next_hot: 0.0,
            next_light: 0.0,
            end: self.end.0 as f64,
        };
        arrivals.next_light = arrivals.random.exponential(arrivals.light_gap);
        arrivals
    }
}

/// One job's intended arrival.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Arrival {
    /// Since the start of the run.
    pub(super) at: Nanos,
    /// The tenant's place in [`Load::tenants`].
    pub(super) tenant: u32,
}

/// An open-loop schedule: the hot tenant at even gaps, the light ones each a Poisson process.
///
/// Independent Poisson processes of one rate are one process of their joint rate whose events fall
/// to them with equal chance, so one clock and one draw stand for all of them.
#[derive(Clone, Debug)]
pub(super) struct Arrivals {
    random: SplitMix,
    /// Mean gaps and next moments in nanoseconds since the start of the run.
    hot_gap: f64,
    light_gap: f64,
    next_hot: f64,
    next_light: f64,
    end: f64,
}

impl Iterator for Arrivals {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let at = self.next_hot.min(self.next_light);
        if at >= self.end {
            return None;
        }
        let tenant = if self.next_hot <= self.next_light {
            self.next_hot += self.hot_gap;
            0
        } else {
            self.next_light += self.random.exponential(self.light_gap);
            1 + self.random.below(LIGHT_TENANTS)
        };
        Some(Arrival { at: Nanos(at as u64), tenant })
    }
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): small, seeded, good enough for arrivals.
#[derive(Clone, Debug)]
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..n`, by multiply-shift.
    fn below(&mut self, n: u32) -> u32 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u32
    }

    /// A gap of an exponential distribution with this mean.
    fn exponential(&mut self, mean: f64) -> f64 {
        // 53 bits, shifted by half a step so that the logarithm never sees zero.
        let unit = ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        -unit.ln() * mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load() -> Load {
        Load::new(&Policy::default(), 2, 10)
    }

    #[test]
    fn the_same_jobs_arrive_at_every_call_and_in_order() {
        let first: Vec<Arrival> = load().arrivals().collect();
        assert!(first.is_sorted_by_key(|arrival| arrival.at));
        assert!(first.iter().copied().eq(load().arrivals()));
        assert!(first.last().unwrap().at < load().end);
    }

    #[test]
    fn the_hot_tenant_offers_ten_times_the_capacity_and_each_light_one_a_hundredth() {
        let mut jobs = vec![0_u32; 51];
        load().arrivals().for_each(|arrival| jobs[arrival.tenant as usize] += 1);
        // 2 workers x 10 s x 1,000 jobs/s.
        assert_eq!(jobs[0], 200_000);
        // Four standard deviations of Poisson counts around 10,000 and 200.
        let light: u32 = jobs[1..].iter().sum();
        assert!((9_600..=10_400).contains(&light), "{light}");
        assert!(jobs[1..].iter().all(|jobs| (143..=257).contains(jobs)), "{jobs:?}");
    }

    #[test]
    fn light_arrivals_are_as_irregular_as_a_poisson_process() {
        let at: Vec<f64> =
            load().arrivals().filter(|a| a.tenant > 0).map(|a| a.at.0 as f64).collect();
        let gaps: Vec<f64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // The coefficient of variation of an exponential distribution is 1; even gaps have 0.
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05);
    }

    #[test]
    fn tenants_are_spread_over_all_tiers() {
        let tenants = load().tenants;
        assert_eq!((tenants[0].name.as_str(), tenants[0].tier.as_str()), ("hot", "scale"));
        for tier in ["starter", "growth", "scale"] {
            let count = tenants[1..].iter().filter(|tenant| tenant.tier == tier).count();
            assert!((16..=17).contains(&count), "{tier}: {count}");
        }
    }
}
