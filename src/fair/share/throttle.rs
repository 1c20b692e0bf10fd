use super::event::{Act, Event};
use crate::units::Nanos;
use std::collections::BTreeMap;

/// What the tenants' own quotas let go, known from when they did not.
///
/// A quota is known by its refusals only. Three cases at a moment:
///
/// - it refuses then: it lets nothing go;
/// - it refuses later: by then it has let go all it lets go, so at the moment it lets at most that go
///   which is served until then. (The converse need not hold: a smooth rate that was full lost credit
///   meanwhile. That counts against the scheduler only as far as it was left.)
/// - it never refuses again: it is in nobody's way.
pub(super) struct Throttles(BTreeMap<usize, Throttle>);

/// One tenant's.
#[derive(Default)]
struct Throttle {
    /// In order of time.
    intervals: Vec<Interval>,
    /// Cost served up to the moment asked for last.
    served: u64,
    /// Intervals that were over at that moment.
    over: usize,
}

/// A time in which a quota refused.
struct Interval {
    from: Nanos,
    /// [`Nanos::MAX`] while it has not ended.
    to: Nanos,
    /// Cost served to the tenant before it.
    served: u64,
}

impl Throttles {
    pub(super) fn of(events: &[Event]) -> Throttles {
        let throttled = events.iter().filter(|event| event.act == Act::Throttled);
        let mut throttles: BTreeMap<usize, Throttle> =
            throttled.map(|event| (event.tenant, Throttle::default())).collect();
        let is_telling = |event: &&Event| {
            matches!(event.act, Act::Throttled | Act::Freed | Act::Served)
                && throttles.contains_key(&event.tenant)
        };
        let mut telling: Vec<&Event> = events.iter().filter(is_telling).collect();
        // Stable: what happens at one moment stays in the order of the record.
        telling.sort_by_key(|event| event.at);
        for event in telling {
            throttles.get_mut(&event.tenant).expect("only theirs are left").add(event);
        }
        throttles.values_mut().for_each(|throttle| throttle.served = 0);
        Throttles(throttles)
    }

    /// What the tenant's quotas let go at `moment`, in cost units, when `served` more has been served to
    /// it since the moment asked for before; `None` if they are in nobody's way. Moments must not
    /// decrease.
    pub(super) fn allowed(&mut self, tenant: usize, moment: Nanos, served: u64) -> Option<u64> {
        self.0.get_mut(&tenant)?.allowed(moment, served)
    }
}

impl Throttle {
    fn add(&mut self, event: &Event) {
        let open = self.intervals.last_mut().filter(|last| last.to == Nanos::MAX);
        match (event.act, open) {
            (Act::Served, _) => self.served += event.cost,
            (Act::Freed, Some(open)) => open.to = event.at,
            (Act::Throttled, None) => {
                let interval = Interval { from: event.at, to: Nanos::MAX, served: self.served };
                self.intervals.push(interval);
            }
            _ => {}
        }
    }

    fn allowed(&mut self, moment: Nanos, served: u64) -> Option<u64> {
        self.served += served;
        let ahead = &self.intervals[self.over..];
        self.over += ahead.partition_point(|interval| interval.to < moment);
        let next = self.intervals.get(self.over)?;
        let refuses = next.from < moment;
        Some(if refuses { 0 } else { next.served.saturating_sub(self.served) })
    }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::super::meter::tests::{equal, event};
    use super::super::{ShareMeter, ShareReport};
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// Jobs of cost 1 of both tenants, all at the start.
    fn offer(meter: &mut ShareMeter, jobs: u64) {
        for _ in 0..jobs {
            (0..2).for_each(|tenant| meter.record(event(0, tenant, 1, Act::Accepted)));
        }
    }

    /// Two tenants with all their jobs from the start. One may have `most` units in any 100 ticks and is
    /// granted them at the beginning of each, but for those periods that `starves` names, in which it
    /// gets `less`; the other gets the rest.
    fn throttled(most: u64, less: u64, starves: impl Fn(u64) -> bool, told: bool) -> ShareReport {
        let mut meter = equal(2);
        offer(&mut meter, 10_000);
        for at in 0..10_000 {
            let (tick, period) = (at % 100, at / 100);
            let gets = if starves(period) { less } else { most };
            meter.record(event(at, usize::from(tick < gets), 1, Act::Served));
            if told && gets == most && tick + 1 == most {
                meter.record(event(at, 1, 0, Act::Throttled));
                meter.record(event((period + 1) * 100, 1, 0, Act::Freed));
            }
        }
        meter.report()
    }

    #[test]
    fn a_throttled_tenant_is_not_starved() {
        let report = throttled(10, 0, |_| false, true);
        assert_eq!(report.tenants[1].share_ratio, Some(1.0), "{report:?}");
        assert!((report.tenants[1].entitled - 1_000.0).abs() < 1e-6, "{report:?}");
        assert!(report.tenants[0].share_ratio.unwrap() > 0.999);
        // Negative control: it is what the meter is told of the quota that makes the difference.
        let untold = throttled(10, 0, |_| false, false);
        assert!(untold.min_share_ratio.unwrap() < 0.25, "{untold:?}");
    }

    #[test]
    fn a_quota_is_no_excuse_for_starving_its_tenant() {
        // Negative control: in every other period it is passed over, and nothing throttles it then.
        let passed_over = throttled(10, 0, |period| period % 2 == 1, true);
        assert!(passed_over.min_share_ratio.unwrap() < 0.6, "{passed_over:?}");
        let at_the_end = throttled(10, 0, |period| period >= 50, true);
        assert!(at_the_end.min_share_ratio.unwrap() < 0.25, "{at_the_end:?}");
        // A quota that refuses now and then and is wider than the share takes nothing off.
        let wide = throttled(90, 1, |period| period % 10 > 0, true);
        assert!(wide.min_share_ratio.unwrap() < 0.3, "{wide:?}");
    }

    #[test]
    fn a_tenant_whose_quota_refuses_to_the_end_is_owed_nothing_after_it() {
        let mut meter = equal(2);
        offer(&mut meter, 1_000);
        (0..1_000).for_each(|at| meter.record(event(at, usize::from(at < 20), 1, Act::Served)));
        let mut freed = meter.clone();
        meter.record(event(19, 1, 0, Act::Throttled));
        // The limit lets go again after the run.
        meter.record(event(5_000, 1, 0, Act::Freed));
        assert_eq!(meter.report().tenants[1].share_ratio, Some(1.0));
        freed.record(event(19, 1, 0, Act::Throttled));
        freed.record(event(500, 1, 0, Act::Freed));
        let starved = freed.report().tenants[1];
        assert!(starved.share_ratio.unwrap() < 0.2, "{starved:?}");
    }

    #[test]
    fn throttles_in_a_bounded_record_hardly_move_the_result() {
        let run = |events_max| {
            let mut meter = equal(2).with_events_max(events_max);
            for at in 0..200_000 {
                meter.record(event(at, 0, 1, Act::Accepted));
                meter.record(event(at, 1, 1, Act::Accepted));
                let is_theirs = at % 10 == 0;
                meter.record(event(at, usize::from(is_theirs), 1, Act::Served));
                if is_theirs {
                    meter.record(event(at, 1, 0, Act::Throttled));
                    meter.record(event(at + 10, 1, 0, Act::Freed));
                }
            }
            meter.report().tenants[1].share_ratio.unwrap()
        };
        assert_eq!(run(usize::MAX), 1.0);
        assert!(run(300_000) > 0.99, "{}", run(300_000));
    }

    proptest! {
        /// Against a tenant whose strict rate is evaluated tick by tick: what the meter takes for
        /// forbidden never exceeds what the rate forbade, and is exact while the tenant is throttled.
        #[test]
        fn no_more_is_taken_off_than_the_quota_forbade(
            most in 1u64..8, per in 5u64..60, luck in prop::collection::vec(0u8..4, 400),
        ) {
            let mut grants: VecDeque<u64> = VecDeque::new();
            let (mut events, mut let_go, mut open) = (Vec::new(), Vec::new(), false);
            for (at, luck) in (0u64..).zip(luck) {
                grants.retain(|granted| granted + per > at);
                let mut free = most - grants.len() as u64;
                if open && free > 0 {
                    events.push(event(at, 1, 0, Act::Freed));
                    open = false;
                }
                // The scheduler comes by now and then, and serves until the rate refuses.
                let theirs = luck == 0 && free > 0;
                while theirs && free > 0 {
                    events.push(event(at, 1, 1, Act::Served));
                    grants.push_back(at);
                    free -= 1;
                }
                if theirs {
                    events.push(event(at, 1, 0, Act::Throttled));
                    open = true;
                }
                let_go.push(free);
            }
            let mut throttles = Throttles::of(&events);
            for (at, free) in (0u64..).zip(let_go) {
                let served = events.iter();
                let served = served.filter(|e| (e.act, e.tenant, e.at) == (Act::Served, 1, Nanos(at)));
                let allowed = throttles.allowed(1, Nanos(at + 1), served.count() as u64);
                prop_assert!(allowed.is_none_or(|allowed| allowed >= free), "{at}: {allowed:?} {free}");
            }
        }
    }
}
