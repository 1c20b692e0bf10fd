//! Vectors, and a slow obvious twin, which also rejects ledgers that are broken.

use super::*;
use crate::limit::DimensionTerms;
use crate::units::property_config;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 24 * 3_600 * SECOND;

/// Limits by dimension, soft and hard, 0 for none, and the seconds between resets.
fn terms(limits: &[(u64, u64)], every: Option<u64>) -> BudgetTerms {
    let names = ["total_cost", "total_tokens", "total_input_tokens"];
    let limit = |amount: u64| (amount > 0).then_some(amount);
    let dimensions = names.iter().zip(limits);
    let dimensions = dimensions.map(|(&name, &(soft, hard))| DimensionTerms {
        name: name.into(),
        soft: limit(soft),
        hard: limit(hard),
    });
    BudgetTerms {
        dimensions: dimensions.collect(),
        every: every.map(|seconds| Nanos(seconds * SECOND)),
    }
}

fn budget(limits: &[(u64, u64)]) -> Budget {
    Budget::new(&terms(limits, None), Nanos(0))
}

fn usage(budget: &Budget) -> Vec<u64> {
    budget.uses().map(|it| it.usage).collect()
}

fn breach(dimension: usize, current: u64, limit: u64) -> Breach {
    Breach { dimension, current, limit }
}

#[test]
fn all_dimensions_are_checked_and_the_breached_one_is_named() {
    // the breached dimension is reported; only dimensions with a limit are enforced; 0 = unlimited.
    let mut budget = budget(&[(0, 0), (0, 10), (0, 5)]);
    assert_eq!(budget.report(&[u64::MAX, 10, 1], None, Nanos(0)), Reported::Ok);
    assert_eq!(budget.check(&[1, 0, 1], Nanos(0)), Err(breach(1, 10, 10)));
}

#[test]
fn usage_reaches_the_limit_and_then_stops_grants() {
    // the check stops at usage >= hard, the report at usage + delta > hard.
    let mut budget = budget(&[(0, 100)]);
    assert_eq!(budget.report(&[99], None, Nanos(0)), Reported::Ok);
    assert_eq!(budget.check(&[1], Nanos(0)), Ok(()));
    assert_eq!(budget.report(&[1], None, Nanos(0)), Reported::Ok);
    assert_eq!(usage(&budget), [100]);
    assert_eq!(budget.check(&[], Nanos(0)), Err(breach(0, 100, 100)));
}

#[test]
fn a_report_counts_in_all_dimensions_or_in_none() {
    // if any dimension would pass its hard limit, nothing is incremented.
    let mut budget = budget(&[(50, 100), (0, 10)]);
    assert_eq!(budget.report(&[60, 1], None, Nanos(1)), Reported::SoftBreach(breach(0, 60, 50)));
    assert_eq!(budget.report(&[1, 10], None, Nanos(2)), Reported::HardBreach(breach(1, 1, 10)));
    assert_eq!(usage(&budget), [60, 1]);
    assert_eq!(budget.last_breach(), Some((1, Nanos(2))));
    let breaches: Vec<_> = budget.uses().map(|it| (it.breaches.hard, it.breaches.soft)).collect();
    assert_eq!(breaches, [(0, 1), (1, 0)]);
    // Advice is on what is reported: tokens alone say nothing about cost.
    let refunded = |budget: &mut Budget| budget.refund(&[1, 10], Nanos(2), Nanos(3));
    refunded(&mut budget);
    assert_eq!(budget.report(&[0, 1], None, Nanos(3)), Reported::Ok);
}

#[test]
fn refused_reports_are_debt_and_stop_grants() {
    // T-F12: usage 90, limit 100, deltas of 20 all refused: claims were admitted for ever.
    let mut budget = budget(&[(0, 100)]);
    assert_eq!(budget.report(&[90], None, Nanos(0)), Reported::Ok);
    assert_eq!(budget.check(&[0], Nanos(0)), Ok(()));
    assert_eq!(budget.report(&[20], None, Nanos(0)), Reported::HardBreach(breach(0, 90, 100)));
    assert_eq!(budget.uses().next().map(|it| (it.usage, it.debt)), Some((90, 10)));
    assert_eq!(budget.check(&[0], Nanos(0)), Err(breach(0, 110, 100)));
    assert_eq!(budget.report(&[5], None, Nanos(0)), Reported::HardBreach(breach(0, 110, 100)));
    // Until a refund or a higher limit.
    budget.adopt(&terms(&[(0, 120)], None), Nanos(0));
    assert_eq!(budget.check(&[5], Nanos(0)), Ok(()));
    budget.adopt(&terms(&[(0, 100)], None), Nanos(0));
    budget.refund(&[16], Nanos(0), Nanos(0));
    assert_eq!(budget.check(&[1], Nanos(0)), Ok(()));
}

#[test]
fn a_key_counts_once_in_24_hours() {
    //
    let mut budget = budget(&[(0, 100)]);
    assert_eq!(budget.report(&[60], Some("a"), Nanos(0)), Reported::Ok);
    assert_eq!(budget.report(&[60], Some("a"), Nanos(DAY - 1)), Reported::AlreadyApplied);
    assert_eq!(
        budget.report(&[60], Some("b"), Nanos(DAY - 1)),
        Reported::HardBreach(breach(0, 60, 100))
    );
    assert_eq!(budget.report(&[60], Some("b"), Nanos(DAY - 1)), Reported::AlreadyApplied);
    assert_eq!(
        budget.report(&[1], Some("a"), Nanos(DAY)),
        Reported::HardBreach(breach(0, 120, 100))
    );
}

#[test]
fn reservations_keep_grants_in_flight_within_the_limit() {
    // Decision 4: claims stop at usage + reserved >= hard.
    let mut budget = budget(&[(0, 10)]);
    let granted = (0..9).filter(|_| {
        let fits = budget.check(&[3], Nanos(0)).is_ok();
        if fits {
            budget.reserve(&[3]);
        }
        fits
    });
    assert_eq!(granted.count(), 3);
    assert_eq!(budget.check(&[3], Nanos(0)), Err(breach(0, 9, 10)), "3 would pass the limit");
    assert_eq!(budget.check(&[1], Nanos(0)), Ok(()));
    assert_eq!(budget.settle(&[3], &[1], Nanos(0)), Reported::Ok);
    assert_eq!(budget.check(&[3], Nanos(0)), Ok(()));
    budget.release(&[3]);
    budget.release(&[u64::MAX]);
    assert_eq!(budget.uses().next().map(|it| (it.usage, it.reserved)), Some((1, 0)));
}

#[test]
fn a_settlement_above_the_limit_is_counted_in_full() {
    let mut budget = budget(&[(0, 10)]);
    budget.reserve(&[5]);
    assert_eq!(budget.settle(&[5], &[25], Nanos(0)), Reported::HardBreach(breach(0, 0, 10)));
    assert_eq!(budget.uses().next().map(|it| (it.usage, it.debt, it.reserved)), Some((25, 15, 0)));
    assert_eq!(budget.check(&[0], Nanos(0)), Err(breach(0, 25, 10)));
}

#[test]
fn a_reset_puts_usage_and_debt_to_zero_and_leaves_reservations() {
    //
    let mut budget = Budget::new(&terms(&[(0, 10)], Some(60)), Nanos(0));
    budget.reserve(&[4]);
    assert_eq!(budget.settle(&[0], &[25], Nanos(0)), Reported::HardBreach(breach(0, 0, 10)));
    assert!(!budget.advance(Nanos(60 * SECOND - 1)));
    assert_eq!(budget.check(&[7], Nanos(60 * SECOND)), Err(breach(0, 4, 10)));
    assert_eq!(budget.check(&[6], Nanos(60 * SECOND)), Ok(()));
    assert_eq!((budget.resets(), budget.last_breach()), (1, None));
    assert_eq!(budget.report(&[3], None, Nanos(60 * SECOND)), Reported::Ok);
    budget.refund(&[25], Nanos(0), Nanos(60 * SECOND));
    assert_eq!(usage(&budget), [3], "spending of the last period is gone already");
}

#[test]
fn resets_do_not_drift_and_an_outage_resets_once() {
    // T-F19: next = previous + k x interval.
    let mut budget = Budget::new(&terms(&[(0, 10)], Some(60)), Nanos(7));
    let mut late = Vec::new();
    for due in [60, 120, 180] {
        assert!(budget.advance(Nanos(due * SECOND + 15 * SECOND)));
        late.push(budget.next_reset());
    }
    assert_eq!(late, [120, 180, 240].map(|due| Some(Nanos(due * SECOND + 7))));
    assert!(budget.advance(Nanos(1_000 * SECOND)) && !budget.advance(Nanos(1_000 * SECOND)));
    assert_eq!((budget.resets(), budget.next_reset()), (4, Some(Nanos(1_020 * SECOND + 7))));
    assert!(!budget.advance(Nanos(0)), "a clock that steps back");
    assert!(budget.advance(Nanos(u64::MAX)));
    assert_eq!(budget.next_reset(), None);
}

#[test]
fn a_swap_keeps_what_is_spent_and_the_step_of_resets() {
    let mut budget = Budget::new(&terms(&[(0, 10), (0, 10)], Some(60)), Nanos(0));
    assert_eq!(budget.report(&[9, 9], None, Nanos(70 * SECOND)), Reported::Ok);
    let tokens = DimensionTerms { name: "total_tokens".into(), soft: None, hard: Some(5) };
    let fewer = BudgetTerms { dimensions: vec![tokens], every: Some(Nanos(7 * SECOND)) };
    budget.adopt(&fewer, Nanos(80 * SECOND));
    assert_eq!(budget.check(&[100, 0], Nanos(80 * SECOND)), Err(breach(1, 9, 5)));
    assert_eq!(budget.next_reset(), Some(Nanos((60 + 21) * SECOND)));
    assert_eq!((usage(&budget), budget.dimension("total_cost")), (vec![9, 9], Some(0)));
    budget.adopt(&terms(&[(0, 10)], None), Nanos(80 * SECOND));
    assert_eq!(budget.next_reset(), None);
    budget.adopt(&terms(&[(0, 10)], Some(9)), Nanos(80 * SECOND));
    assert_eq!(budget.next_reset(), Some(Nanos(89 * SECOND)));
}

#[test]
fn dimensions_are_an_open_set_within_a_bound() {
    // A-40; T-F28: what cannot be counted is refused, not unlimited.
    let mut budget = budget(&[(0, 10)]);
    assert_eq!(budget.dimension("total_cost"), Some(0));
    for added in 1..Budget::DIMENSIONS_MAX {
        assert_eq!(budget.dimension(&added.to_string()), Some(added));
    }
    assert_eq!(budget.dimension("one more"), None);
    assert_eq!(budget.dimension("31"), Some(31));
    assert_eq!(budget.report(&[1, u64::MAX], None, Nanos(0)), Reported::Ok);
    assert_eq!(budget.report(&[1, u64::MAX], None, Nanos(0)), Reported::Ok, "sums saturate");
}

/// What the twin judges: a budget, or one that is broken.
trait Ledger {
    fn check(&mut self, amounts: &[u64], now: Nanos) -> Result<(), Breach>;
    fn room(&self, index: usize) -> u64;
    fn reserve(&mut self, amounts: &[u64]);
    fn release(&mut self, amounts: &[u64]);
    fn settle(&mut self, reserved: &[u64], actual: &[u64], now: Nanos) -> Reported;
    fn report(&mut self, deltas: &[u64], key: Option<&str>, now: Nanos) -> Reported;
}

/// A budget with one flaw.
struct Flawed(Flaw, Budget);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flaw {
    None,
    /// Refused reports are lost (T-F12).
    NoDebt,
    /// Keys are not looked at.
    NoKeys,
    /// A settlement leaves the reservation.
    KeepsReservations,
    /// Grants hold nothing until they are settled.
    ReservesNothing,
    /// The next reset is an interval after the late one (T-F19).
    Drift,
}

impl Ledger for Flawed {
    fn check(&mut self, amounts: &[u64], now: Nanos) -> Result<(), Breach> {
        self.drift(now);
        self.1.check(amounts, now)
    }

    fn room(&self, index: usize) -> u64 {
        self.1.room(index)
    }

    fn reserve(&mut self, amounts: &[u64]) {
        if self.0 != Flaw::ReservesNothing {
            self.1.reserve(amounts);
        }
    }

    fn release(&mut self, amounts: &[u64]) {
        self.1.release(amounts);
    }

    fn settle(&mut self, reserved: &[u64], actual: &[u64], now: Nanos) -> Reported {
        self.drift(now);
        self.1.settle(if self.0 == Flaw::KeepsReservations { &[] } else { reserved }, actual, now)
    }

    fn report(&mut self, deltas: &[u64], key: Option<&str>, now: Nanos) -> Reported {
        self.drift(now);
        let reported = self.1.report(deltas, key.filter(|_| self.0 != Flaw::NoKeys), now);
        if matches!((self.0, reported), (Flaw::NoDebt, Reported::HardBreach(_))) {
            self.1.refund(deltas, now, now);
        }
        reported
    }
}

impl Flawed {
    fn drift(&mut self, now: Nanos) {
        if self.1.advance(now) && self.0 == Flaw::Drift {
            self.1.anchor = now;
        }
    }
}

#[derive(Clone, Debug)]
enum Op {
    Pass(u64),
    Grant([u64; 2]),
    End(prop::sample::Index, Option<[u64; 2]>),
    Report([u64; 2], Option<u8>),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let amounts = || [0..30_u64, 0..30_u64];
    let span = prop_oneof![0..5 * SECOND, 0..SECOND, Just(DAY), Just(3 * DAY / 7)];
    let op = prop_oneof![
        2 => span.prop_map(Op::Pass),
        4 => amounts().prop_map(Op::Grant),
        3 => (any::<prop::sample::Index>(), prop::option::of(amounts()))
            .prop_map(|(which, actual)| Op::End(which, actual)),
        2 => (amounts(), prop::option::of(0..20_u8)).prop_map(|(by, key)| Op::Report(by, key)),
    ];
    vec(op, 200)
}

const LIMITS: [(u64, u64); 2] = [(60, 200), (0, 150)];
const EVERY: u64 = 10;

/// All spending ever, each with its moment, and all grants in flight.
#[derive(Default)]
struct Twin {
    now: u64,
    spent: Vec<(u64, [u64; 2])>,
    granted: Vec<[u64; 2]>,
    keys: BTreeMap<u8, u64>,
}

impl Twin {
    fn spent(&self, dimension: usize) -> u64 {
        let period = |at: u64| at / (EVERY * SECOND);
        let counts = self.spent.iter().filter(|(at, _)| period(*at) == period(self.now));
        counts.map(|(_, by)| by[dimension]).sum()
    }

    fn reserved(&self, dimension: usize) -> u64 {
        self.granted.iter().map(|by| by[dimension]).sum()
    }

    fn check(&self, by: &[u64; 2]) -> Result<(), Breach> {
        for (index, (_, limit)) in LIMITS.into_iter().enumerate() {
            let current = self.spent(index) + self.reserved(index);
            if current >= limit || current + by[index] > limit {
                return Err(breach(index, current, limit));
            }
        }
        Ok(())
    }

    fn room(&self, dimension: usize) -> u64 {
        LIMITS[dimension].1.saturating_sub(self.spent(dimension) + self.reserved(dimension))
    }

    fn spend(&mut self, by: [u64; 2]) -> Reported {
        let before = [0, 1].map(|index| self.spent(index));
        self.spent.push((self.now, by));
        let after = |index: usize| before[index] + by[index];
        let hard = (0..2).find(|&i| by[i] > 0 && after(i) > LIMITS[i].1);
        let soft = (0..2).find(|&i| by[i] > 0 && LIMITS[i].0 > 0 && after(i) > LIMITS[i].0);
        match (hard, soft) {
            (Some(i), _) => Reported::HardBreach(breach(i, before[i], LIMITS[i].1)),
            (None, Some(i)) => Reported::SoftBreach(breach(i, after(i), LIMITS[i].0)),
            (None, None) => Reported::Ok,
        }
    }

    fn report(&mut self, by: [u64; 2], key: Option<u8>) -> Reported {
        if let Some(key) = key {
            if self.keys.get(&key).is_some_and(|first| self.now - first < DAY) {
                return Reported::AlreadyApplied;
            }
            self.keys.insert(key, self.now);
        }
        self.spend(by)
    }
}

fn run(ledger: &mut dyn Ledger, ops: &[Op]) -> Result<(), TestCaseError> {
    let mut twin = Twin::default();
    for op in ops {
        let now = Nanos(twin.now);
        match op {
            Op::Pass(span) => twin.now += span,
            Op::Grant(by) => {
                let fits = ledger.check(by, now);
                prop_assert_eq!(fits, twin.check(by), "{:?} at {:?}", by, now);
                let rooms = [0, 1].map(|index| ledger.room(index));
                prop_assert_eq!(rooms, [0, 1].map(|index| twin.room(index)), "at {:?}", now);
                if fits.is_ok() {
                    ledger.reserve(by);
                    twin.granted.push(*by);
                }
            }
            Op::End(which, actual) if !twin.granted.is_empty() => {
                let held = twin.granted.swap_remove(which.index(twin.granted.len()));
                match actual {
                    None => ledger.release(&held),
                    Some(by) => {
                        prop_assert_eq!(ledger.settle(&held, by, now), twin.spend(*by));
                    }
                }
            }
            Op::End(..) => {}
            Op::Report(by, key) => {
                let name = key.map(|key| key.to_string());
                let reported = ledger.report(by, name.as_deref(), now);
                prop_assert_eq!(reported, twin.report(*by, *key), "{:?} at {:?}", by, now);
            }
        }
    }
    Ok(())
}

fn flawed(flaw: Flaw) -> Flawed {
    Flawed(flaw, Budget::new(&terms(&LIMITS, Some(EVERY)), Nanos(0)))
}

proptest! {
    #![proptest_config(property_config())]

    #[test]
    fn a_budget_says_what_its_twin_says(ops in ops()) {
        run(&mut flawed(Flaw::None), &ops)?;
    }

    #[test]
    fn grants_that_spend_what_they_reserved_never_pass_a_limit(
        acts in vec((0..5_u8, [0..40_u64, 0..40_u64], any::<prop::sample::Index>()), 200),
    ) {
        let (mut budget, mut held) = (budget(&LIMITS), Vec::new());
        for (act, by, which) in acts {
            if act > 0 {
                if budget.check(&by, Nanos(0)).is_ok() {
                    budget.reserve(&by);
                    held.push(by);
                }
            } else if !held.is_empty() {
                let by = held.swap_remove(which.index(held.len()));
                budget.settle(&by, &by, Nanos(0));
            }
            for of in budget.uses() {
                prop_assert!(of.usage + of.reserved <= of.hard.unwrap() && of.debt == 0);
            }
        }
    }
}

#[test]
fn the_twin_rejects_every_flaw() {
    let flaws =
        [Flaw::NoDebt, Flaw::NoKeys, Flaw::KeepsReservations, Flaw::ReservesNothing, Flaw::Drift];
    for flaw in flaws {
        let config = Config { max_shrink_iters: 0, ..property_config() };
        let outcome = TestRunner::new(config).run(&ops(), |ops| run(&mut flawed(flaw), &ops));
        assert!(outcome.is_err(), "{flaw:?}");
    }
}
