//! Vectors.

mod twin;

use super::*;
use crate::limit::Unit;
use std::time::Duration;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const YEAR: u64 = 365 * 24 * 3_600 * SECOND;

fn strict(most: u64, per: Duration) -> Rate {
    Rate::strict(most, Unit::Cost, per).unwrap()
}

fn smooth(most: u64, per: Duration, burst: u64) -> Rate {
    Rate::smooth(most, Unit::Cost, per, burst).unwrap()
}

fn admit(meter: &mut Meter, rate: &Rate, amount: u64, now: u64) -> Result<(), Refusal> {
    meter.check(rate, amount, Nanos(now))?;
    meter.charge(rate, amount, Nanos(now));
    Ok(())
}

#[test]
fn two_per_second_admits_two_and_two_more_after_the_window() {
    // limit 2 per 1 s: A, A, RATE; after 1.1 s A again. A-51: retry after oldest + window - now.
    let (mut meter, rate) = (Meter::new(), strict(2, Duration::from_secs(1)));
    assert_eq!(admit(&mut meter, &rate, 1, 10), Ok(()));
    assert_eq!(admit(&mut meter, &rate, 1, 20), Ok(()));
    let refusal = Refusal { retry_at: Nanos(SECOND + 10), current: 2, limit: 2 };
    assert_eq!(admit(&mut meter, &rate, 1, 30), Err(refusal));
    assert_eq!(admit(&mut meter, &rate, 1, 1_100 * MS), Ok(()));
    assert_eq!(admit(&mut meter, &rate, 1, 1_100 * MS), Ok(()));
    assert!(admit(&mut meter, &rate, 1, 1_100 * MS).is_err());
}

#[test]
fn entries_are_trimmed_before_the_rate_is_checked() {
    // trim entries older than now - window, then check.
    let (mut meter, rate) = (Meter::new(), strict(1, Duration::from_secs(60)));
    assert_eq!(admit(&mut meter, &rate, 1, 0), Ok(()));
    assert!(admit(&mut meter, &rate, 1, 60 * SECOND - 1).is_err());
    assert_eq!(admit(&mut meter, &rate, 1, 60 * SECOND), Ok(()));
}

#[test]
fn a_failed_grant_gives_its_entry_back() {
    // A-57 and T-F10: ten admissions released again against 10 per 60 s leave room for the eleventh.
    for rate in [strict(10, Duration::from_secs(60)), smooth(10, Duration::from_secs(60), 10)] {
        let mut meter = Meter::new();
        for now in 1..=10 {
            assert_eq!(admit(&mut meter, &rate, 1, now), Ok(()));
            meter.refund(&rate, 1, Nanos(now));
        }
        assert_eq!(meter.check(&rate, 10, Nanos(11)), Ok(()), "{rate:?}");
        assert!(meter.is_idle(&rate, Nanos(11)), "{rate:?}");
    }
}

#[test]
fn a_refused_check_leaves_no_trace() {
    for rate in [strict(5, Duration::from_secs(1)), smooth(5, Duration::from_secs(1), 5)] {
        let mut meter = Meter::new();
        assert_eq!(admit(&mut meter, &rate, 3, 0), Ok(()));
        for _ in 0..1_000 {
            assert!(meter.check(&rate, 3, Nanos(1)).is_err());
        }
        assert_eq!(meter.check(&rate, 2, Nanos(1)), Ok(()), "{rate:?}");
    }
}

#[test]
fn an_amount_wider_than_the_rate_never_fits() {
    for rate in [strict(5, Duration::from_secs(1)), smooth(9, Duration::from_secs(1), 5)] {
        let refusal = Refusal { retry_at: Nanos::MAX, current: 0, limit: 5 };
        assert_eq!(Meter::new().check(&rate, 6, Nanos(1)), Err(refusal));
        assert_eq!(Meter::new().check(&rate, u64::MAX, Nanos(1)), Err(refusal));
        assert_eq!(Meter::new().check(&rate, 5, Nanos(1)), Ok(()));
    }
}

#[test]
fn a_smooth_rate_admits_its_burst_and_then_one_per_interval() {
    // I.371: theoretical arrival times 100 ms apart, at most 3 at once.
    let (mut meter, rate) = (Meter::new(), smooth(10, Duration::from_secs(1), 3));
    for _ in 0..3 {
        assert_eq!(admit(&mut meter, &rate, 1, 0), Ok(()));
    }
    let refusal = Refusal { retry_at: Nanos(100 * MS), current: 3, limit: 3 };
    assert_eq!(admit(&mut meter, &rate, 1, 0), Err(refusal));
    assert_eq!(admit(&mut meter, &rate, 1, 100 * MS - 1).unwrap_err().retry_at.0, 100 * MS);
    assert_eq!(admit(&mut meter, &rate, 1, 100 * MS), Ok(()));
    assert_eq!(admit(&mut meter, &rate, 2, 100 * MS).unwrap_err().retry_at.0, 300 * MS);
    assert_eq!(admit(&mut meter, &rate, 3, 400 * MS), Ok(()), "no more than the burst is saved up");
    assert!(admit(&mut meter, &rate, 1, 400 * MS).is_err());
}

#[test]
fn a_smooth_rate_does_not_drift_however_often_it_is_asked() {
    // 7 per second is no whole number of nanoseconds. T-C12: low rates that never refill under frequent calls.
    let (mut meter, rate) = (Meter::new(), smooth(7, Duration::from_secs(1), 1));
    let (mut now, mut admitted) = (0, 0_u64);
    while now < 1_000 * SECOND {
        match admit(&mut meter, &rate, 1, now) {
            Ok(()) => admitted += 1,
            Err(refusal) => now = refusal.retry_at.0.min(now + 40 * MS),
        }
    }
    assert_eq!(admitted, 7_000);
}

#[test]
fn a_clock_that_stands_steps_back_or_leaps_issues_no_more() {
    for rate in [strict(3, Duration::from_secs(1)), smooth(3, Duration::from_secs(1), 3)] {
        let mut meter = Meter::new();
        let mut burst =
            |now: u64| (0..9).filter(|_| admit(&mut meter, &rate, 1, now).is_ok()).count();
        let moments = [YEAR, YEAR, YEAR - SECOND, 0, 2 * YEAR, 2 * YEAR, u64::MAX, u64::MAX, 5];
        assert_eq!(moments.map(&mut burst), [3, 0, 0, 0, 3, 0, 3, 0, 0], "{rate:?}");
    }
}

#[test]
fn a_swap_of_strict_rates_keeps_the_window() {
    let second = Duration::from_secs(1);
    let mut meter = Meter::new();
    for now in 0..4 {
        assert_eq!(admit(&mut meter, &strict(4, second), 1, now), Ok(()));
    }
    let lower = admit(&mut meter, &strict(2, second), 1, 10).unwrap_err();
    assert_eq!((lower.retry_at.0, lower.current), (SECOND + 2, 4));
    let longer = admit(&mut meter, &strict(4, second * 9), 1, 10).unwrap_err();
    assert_eq!(longer.retry_at.0, 9 * SECOND);
    assert_eq!(admit(&mut meter, &strict(6, second), 2, 10), Ok(()));
}

#[test]
fn a_swap_of_the_unit_keeps_the_numbers() {
    let second = Duration::from_secs(1);
    let jobs = Rate::strict(4, Unit::Jobs, second).unwrap();
    let mut meter = Meter::new();
    for now in 0..4 {
        assert_eq!(admit(&mut meter, &jobs, jobs.amount(100), now), Ok(()));
    }
    let cost = strict(100, second);
    assert_eq!(meter.check(&cost, 96, Nanos(5)), Ok(()));
    assert_eq!(meter.check(&cost, 97, Nanos(5)).unwrap_err().current, 4);
}

#[test]
fn a_swap_of_the_shape_carries_over_what_counts() {
    let second = Duration::from_secs(1);
    let mut meter = Meter::new();
    assert_eq!(admit(&mut meter, &strict(4, second), 4, SECOND), Ok(()));
    // Four units of which half a second drains two, of five.
    let as_smooth =
        meter.check(&smooth(8, second * 2, 5), 4, Nanos(SECOND + SECOND / 2)).unwrap_err();
    assert_eq!((as_smooth.current, as_smooth.retry_at.0), (2, SECOND + 3 * SECOND / 4));
    // The two that are left are an entry of the moment of the last call.
    let at = Nanos(SECOND + 3 * SECOND / 4);
    let as_strict = meter.check(&strict(4, second), 3, at).unwrap_err();
    assert_eq!((as_strict.current, as_strict.retry_at.0), (2, 2 * SECOND + SECOND / 2));
    meter.refund(&strict(4, second), 4, Nanos(SECOND));
    assert!(meter.check(&strict(4, second), 3, at).is_err(), "blended, not given back");
}

#[test]
fn a_swap_of_smooth_rates_keeps_the_level_in_units() {
    let mut meter = Meter::new();
    let hourly = smooth(1_000, Duration::from_secs(3_600), 1_000);
    assert_eq!(admit(&mut meter, &hourly, 600, 0), Ok(()));
    let daily = smooth(1_000, Duration::from_secs(86_400), 1_000);
    assert_eq!(meter.check(&daily, 401, Nanos(0)).unwrap_err().current, 600);
    assert_eq!(meter.check(&daily, 400, Nanos(0)), Ok(()));
    let narrow = smooth(1_000, Duration::from_secs(86_400), 10);
    let full = meter.check(&narrow, 1, Nanos(0)).unwrap_err();
    assert_eq!((full.current, full.retry_at.0), (10, 86_400 * SECOND / 1_000));
    meter.refund(&narrow, 300, Nanos(0));
    assert!(
        meter.check(&narrow, 1, Nanos(0)).is_err(),
        "without it the bucket is full all the same"
    );
}

#[test]
fn a_swap_of_smooth_rates_rounds_against_the_tenant() {
    let mut meter = Meter::new();
    assert_eq!(admit(&mut meter, &smooth(1, Duration::from_millis(3), 1), 1, 0), Ok(()));
    assert!(meter.check(&smooth(1, Duration::from_millis(3), 1), 1, Nanos(1)).is_err());
    // 2,999,999 of 3,000,000 parts of a unit are 1,999,999.3 of 2,000,000.
    let refusal = meter.check(&smooth(1, Duration::from_millis(2), 1), 1, Nanos(1)).unwrap_err();
    assert_eq!(refusal.retry_at, Nanos(1 + 2_000_000));
}

#[test]
fn a_refund_of_what_no_longer_counts_takes_nothing_from_others() {
    let (short, long) = (strict(4, Duration::from_secs(1)), strict(4, Duration::from_secs(10)));
    let mut swapped = Meter::new();
    assert_eq!(admit(&mut swapped, &long, 1, 0), Ok(()));
    assert_eq!(admit(&mut swapped, &short, 4, 2 * SECOND), Ok(()), "the first has left");
    swapped.refund(&long, 1, Nanos(0));
    assert!(swapped.check(&long, 1, Nanos(2 * SECOND)).is_err());
    // A meter that was idle may be forgotten; then comes the refund.
    for rate in [short, smooth(4, Duration::from_secs(1), 4)] {
        let mut renewed = Meter::new();
        assert_eq!(admit(&mut renewed, &rate, 4, 2 * SECOND), Ok(()));
        renewed.refund(&rate, 1, Nanos(0));
        assert!(renewed.check(&rate, 1, Nanos(2 * SECOND)).is_err(), "{rate:?}");
    }
}

#[test]
fn at_least_64_of_65_parts_of_a_strict_rate_are_reached() {
    let (mut meter, rate) = (Meter::new(), strict(6_500, Duration::from_millis(64)));
    let mut admitted = 0_u64;
    // Greedy, evenly spread: the worst for joined entries, each of which leaves with the latest.
    for now in (0..6_400 * MS).step_by(5_000) {
        admitted += u64::from(admit(&mut meter, &rate, 1, now).is_ok());
    }
    let most = 6_500 * 100;
    assert!((most * 64 / 65..=most).contains(&admitted), "{admitted} of {most}");
}

#[test]
fn an_idle_meter_is_small() {
    assert!(size_of::<Meter>() <= 64, "{} bytes", size_of::<Meter>());
}
