/// Splits `capacity` by weighted max-min fairness (water-filling) and returns each one's share.
///
/// Nobody gets more than its demand, and what a satisfied one leaves is split among the others in
/// proportion to their weights (Bertsekas and Gallager, *Data Networks*, section 6.5.2). The shares
/// add up to the smaller of `capacity` and the total demand. All three arguments are in the same
/// unit or free of one; a demand may be infinite.
///
/// # Cost
/// Linear in the number of demands, on average.
///
/// # Panics
/// When the slices differ in length, a weight is not above zero, or a value is negative or NaN.
///
/// # Examples
/// ```
/// use fairlane::fairness::max_min;
/// // The second asks for little and gets it; the others split the rest 1 : 2.
/// assert_eq!(max_min(10.0, &[1.0, 1.0, 2.0], &[9.0, 1.0, 9.0]), [3.0, 1.0, 6.0]);
/// ```
#[must_use]
pub fn max_min(capacity: f64, weights: &[f64], demands: &[f64]) -> Vec<f64> {
    assert_eq!(weights.len(), demands.len(), "one weight for each demand");
    assert!(capacity >= 0.0 && capacity.is_finite(), "capacity {capacity} is not a finite amount");
    assert!(weights.iter().all(|w| *w > 0.0 && w.is_finite()), "weights are above zero");
    assert!(demands.iter().all(|d| *d >= 0.0), "demands are not negative");
    let level = water_level(capacity, weights, demands);
    weights.iter().zip(demands).map(|(w, d)| d.min(w * level)).collect()
}

/// The share per unit of weight at which `capacity` is used up; infinite when demand is not.
///
/// Halves the candidates each time: those below the median are either all satisfied at its level,
/// or it and all above it are not.
fn water_level(capacity: f64, weights: &[f64], demands: &[f64]) -> f64 {
    let mut all: Vec<(f64, f64)> = weights.iter().copied().zip(demands.iter().copied()).collect();
    let mut open = &mut all[..];
    let (mut left, mut thirsty) = (capacity, 0.0);
    while !open.is_empty() {
        let median = open.len() / 2;
        open.select_nth_unstable_by(median, |a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)));
        let level = open[median].1 / open[median].0;
        let (low, high) = open.split_at_mut(median + 1);
        let satisfied: f64 = low.iter().map(|(_, demand)| demand).sum();
        let above: f64 = thirsty + high.iter().map(|(weight, _)| weight).sum::<f64>();
        if satisfied + above * level <= left {
            left -= satisfied;
            open = high;
        } else {
            thirsty = above + low[median].0;
            open = &mut low[..median];
        }
    }
    if thirsty > 0.0 { left.max(0.0) / thirsty } else { f64::INFINITY }
}

/// The Jain index of `xs`: (sum of x)^2 / (n x sum of x^2), from 1/n (one has all) to 1 (all equal).
///
/// `None` when `xs` is empty or all zero: equal shares of nothing say nothing. (Jain, Chiu and Hawe,
/// DEC-TR-301, 1984.) It hides a starved minority, and everybody starved alike: read it beside the
/// smallest value.
#[must_use]
pub fn jain(xs: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut n, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for x in xs {
        n += 1.0;
        sum += x;
        squares += x * x;
    }
    (squares > 0.0).then(|| (sum * sum / (n * squares)).min(1.0))
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * b.abs().max(1.0)
    }

    #[test]
    fn water_fills_the_small_demands_first() {
        assert_eq!(max_min(10.0, &[1.0, 1.0, 2.0], &[9.0, 1.0, 9.0]), [3.0, 1.0, 6.0]);
        assert_eq!(max_min(4.0, &[1.0, 0.5, 2.5], &[100.0; 3]), [1.0, 0.5, 2.5]);
        assert_eq!(max_min(100.0, &[1.0, 5.0], &[3.0, 4.0]), [3.0, 4.0]);
        assert_eq!(max_min(6.0, &[1.0, 2.0], &[f64::INFINITY; 2]), [2.0, 4.0]);
        assert_eq!(max_min(0.0, &[1.0, 2.0], &[5.0, 5.0]), [0.0, 0.0]);
        assert!(max_min(3.0, &[], &[]).is_empty());
    }

    #[test]
    #[should_panic(expected = "weights are above zero")]
    fn a_weight_of_zero_is_refused() {
        let _ = max_min(1.0, &[0.0], &[1.0]);
    }

    #[test]
    fn jain_index_runs_from_one_over_n_to_one() {
        assert_eq!(jain([0.7; 5]), Some(1.0));
        assert_eq!(jain([1.0, 0.0, 0.0, 0.0]), Some(0.25));
        assert_eq!(jain([1.0, 3.0]), Some(0.8));
        assert_eq!(jain([]), None);
        assert_eq!(jain([0.0, 0.0]), None);
    }

    /// Up to 40 tenants: weights of 0.01 to 1,000 and demands with ties and zeros.
    fn tenants() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
        let weight = (10_u32..=1_000_000).prop_map(|w| f64::from(w) / 1_000.0);
        let demand = prop_oneof![Just(0.0), Just(50.0), 0.0..1_000.0];
        proptest::collection::vec((weight, demand), 1..40).prop_map(|v| v.into_iter().unzip())
    }

    /// Water-filling as it is told: serve everybody in proportion, retire who is satisfied, repeat.
    fn max_min_slowly(capacity: f64, weights: &[f64], demands: &[f64]) -> Vec<f64> {
        let mut shares = vec![None; weights.len()];
        loop {
            let left = capacity - shares.iter().flatten().sum::<f64>();
            let open: Vec<usize> = (0..shares.len()).filter(|i| shares[*i].is_none()).collect();
            let total: f64 = open.iter().map(|i| weights[*i]).sum();
            let level = left.max(0.0) / total;
            let full = |i: &&usize| demands[**i] <= weights[**i] * level;
            let satisfied: Vec<usize> = open.iter().filter(full).copied().collect();
            if satisfied.is_empty() {
                let rest = |i| weights[i] * level;
                return shares
                    .iter()
                    .enumerate()
                    .map(|(i, s)| s.unwrap_or_else(|| rest(i)))
                    .collect();
            }
            satisfied.iter().for_each(|i| shares[*i] = Some(demands[*i]));
        }
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_its_demand((w, d) in tenants(), capacity in 0.0..5_000.0) {
            let shares = max_min(capacity, &w, &d);
            prop_assert!(shares.iter().zip(&d).all(|(share, demand)| share <= demand));
        }

        #[test]
        fn shares_use_all_that_is_there((w, d) in tenants(), capacity in 0.0..5_000.0) {
            let given: f64 = max_min(capacity, &w, &d).iter().sum();
            prop_assert!(close(given, capacity.min(d.iter().sum())), "{given} of {capacity}");
        }

        #[test]
        fn more_weight_never_gets_less(
            (mut w, d) in tenants(), capacity in 0.0..5_000.0, factor in 1.0..100.0, who in 0..40_usize,
        ) {
            let who = who % w.len();
            let before = max_min(capacity, &w, &d)[who];
            w[who] *= factor;
            prop_assert!(max_min(capacity, &w, &d)[who] >= before * (1.0 - 1e-9));
        }

        #[test]
        fn shares_agree_with_the_slow_twin((w, d) in tenants(), capacity in 0.0..5_000.0) {
            let (fast, slow) = (max_min(capacity, &w, &d), max_min_slowly(capacity, &w, &d));
            prop_assert!(fast.iter().zip(&slow).all(|(a, b)| close(*a, *b)), "{fast:?} {slow:?}");
        }
    }
}
