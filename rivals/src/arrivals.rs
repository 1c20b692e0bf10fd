//! Who comes when, from fixed seeds.

/// A small generator of random numbers (SplitMix64): the same seed, the same numbers.
pub(crate) struct Rng(u64);

impl Rng {
    /// The generator of a seed.
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; `bound` is at least 1.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// A number in `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The time to the next of arrivals that come independently of each other.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }
}

const SEED: u64 = 1;

/// Every tenant is as likely as any other.
pub(crate) fn uniform(jobs: usize, tenants: usize) -> Vec<u32> {
    let mut rng = Rng::new(SEED);
    (0..jobs).map(|_| rng.below(tenants) as u32).collect()
}

/// Of the `tenants`, `hot` ones evenly spread have all the jobs; the `k`-th of them has a part
/// proportional to `1 / k^exponent`.
pub(crate) fn zipf(jobs: usize, tenants: usize, hot: usize, exponent: f64) -> Vec<u32> {
    let mut total = 0.0;
    let cumulated: Vec<f64> = (1..=hot)
        .map(|k| {
            total += (k as f64).powf(-exponent);
            total
        })
        .collect();
    let mut rng = Rng::new(SEED);
    let pick = |_| {
        let point = rng.unit() * total;
        let rank = cumulated.partition_point(|&sum| sum <= point).min(hot - 1);
        (rank * (tenants / hot)) as u32
    };
    (0..jobs).map(pick).collect()
}

/// The tenants in one shuffled order, over and over: each comes back after all others.
pub(crate) fn cycle(jobs: usize, tenants: usize) -> Vec<u32> {
    let mut rng = Rng::new(SEED);
    let mut order: Vec<u32> = (0..tenants as u32).collect();
    for last in (1..tenants).rev() {
        order.swap(last, rng.below(last + 1));
    }
    order.into_iter().cycle().take(jobs).collect()
}

/// A job that comes at a moment of its own, whether or not anyone is ready for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    /// Nanoseconds from the start.
    pub(crate) at_ns: u64,
    /// Whose it is.
    pub(crate) tenant: u32,
}

/// Poisson arrivals, uniform over the tenants from `first` on: `jobs` of them, `gap_ns` apart in
/// the mean.
pub(crate) fn poisson(jobs: usize, gap_ns: f64, first: u32, tenants: usize) -> Vec<Arrival> {
    let mut rng = Rng::new(SEED + u64::from(first));
    let mut at = 0.0;
    let arrive = |_| {
        at += rng.exponential(gap_ns);
        Arrival { at_ns: at as u64, tenant: first + rng.below(tenants) as u32 }
    };
    (0..jobs).map(arrive).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_arrivals() {
        assert_eq!(uniform(100, 10), uniform(100, 10));
        assert_eq!(poisson(100, 10.0, 1, 5), poisson(100, 10.0, 1, 5));
    }

    #[test]
    fn uniform_arrivals_reach_every_tenant_alike() {
        let mut counts = [0; 10];
        uniform(100_000, 10).iter().for_each(|&tenant| counts[tenant as usize] += 1);
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
    }

    #[test]
    fn zipf_gives_the_hot_tenants_everything_and_the_first_the_most() {
        let mut counts = vec![0usize; 1_000];
        zipf(100_000, 1_000, 10, 1.1).iter().for_each(|&tenant| counts[tenant as usize] += 1);
        let hot: Vec<usize> = counts.iter().copied().step_by(100).collect();
        assert_eq!(hot.iter().sum::<usize>(), 100_000);
        assert!(hot.is_sorted_by(|one, next| one > next), "{hot:?}");
        // 1 / (sum of k^-1.1 for k in 1..=10) = 0.373.
        assert!((36_300..38_300).contains(&hot[0]), "{hot:?}");
    }

    #[test]
    fn a_cycle_repeats_no_tenant_before_all_others_came() {
        let order = cycle(250, 100);
        let mut first = order[..100].to_vec();
        assert_eq!(order[..100], order[100..200]);
        first.sort_unstable();
        assert_eq!(first, (0..100).collect::<Vec<u32>>());
        assert_ne!(order[..100], first[..]);
    }

    #[test]
    fn poisson_arrivals_keep_their_rate() {
        let arrivals = poisson(100_000, 1_000.0, 3, 7);
        assert!(arrivals.is_sorted_by_key(|arrival| arrival.at_ns));
        assert!(arrivals.iter().all(|arrival| (3..10).contains(&arrival.tenant)));
        let end = arrivals.last().unwrap().at_ns;
        assert!((98_000_000..102_000_000).contains(&end), "{end}");
    }
}
