//! Rates: never above in any window, charged at the grant, and nobody waits behind another's.

use crate::rig::{MS, Rig, SECOND, limited, policy, wait};
use fairlane::{Job, Limits, Nanos, Own, Rate, Reason, Unit, Weight};
use std::time::Duration;

fn two_a_second() -> Limits {
    Limits::default().rate(Rate::strict(2, Unit::Jobs, Duration::from_secs(1)).unwrap())
}

// limit 2 per 1 s: A, A, RATE; after 1.1 s A again.
#[test]
fn a_tenant_at_its_rate_waits_until_its_oldest_grant_leaves_the_window() {
    let mut rig = Rig::new(limited(two_a_second()));
    let acme = rig.tenant("acme");
    ["a1", "a2", "a3"].into_iter().for_each(|job| rig.submit(acme, job));
    assert_eq!(rig.serve(), ["a1", "a2"]);
    rig.at(SECOND - 1);
    assert!(rig.serve().is_empty());
    let waits = rig.engine.snapshot().limits.waiting;
    assert_eq!(waits.get(&Reason::Rate), Some(&1));
    rig.at(11 * SECOND / 10);
    assert_eq!(rig.serve(), ["a3"]);
}

// head_limited
#[test]
fn a_tenant_without_a_limit_is_served_beside_one_that_waits() {
    let policy = policy(|policy| policy.tenant_limits("limited", two_a_second()));
    let mut rig = Rig::new(policy);
    let (limited, free) = (rig.tenant("limited"), rig.tenant("free"));
    (0..1_000).for_each(|_| rig.submit(limited, "limited"));
    assert_eq!(rig.serve(), ["limited", "limited"]);
    rig.submit(free, "free");
    assert_eq!(rig.look(1).pop().unwrap().into_payload(), "free");
}

// A parked lane costs nothing: no visit, no claim.
#[test]
fn a_parked_lane_is_not_visited() {
    let mut rig = Rig::new(limited(two_a_second()));
    let acme = rig.tenant("acme");
    (0..10).for_each(|_| rig.submit(acme, "job"));
    assert_eq!(rig.serve().len(), 2);
    let visits = |rig: &Rig| rig.engine.snapshot().workers[0].visits;
    let before = visits(&rig);
    (0..100).for_each(|_| assert!(rig.look(1).is_empty()));
    assert_eq!(visits(&rig), before);
}

#[test]
fn a_rate_of_cost_counts_cost_and_refuses_what_is_wider_than_itself() {
    let rate = Rate::strict(10, Unit::Cost, Duration::from_secs(1)).unwrap();
    let mut rig = Rig::new(limited(Limits::default().rate(rate)));
    let acme = rig.tenant("acme");
    let refused = rig.engine.submit(acme, Job::new("wide").cost(11)).unwrap_err();
    assert_eq!(refused.reason(), Reason::TooWide);
    assert!(refused.to_string().starts_with("too wide: 11 is more than"), "{refused}");
    rig.submit(acme, Job::new("six").cost(6));
    rig.submit(acme, Job::new("five").cost(5));
    rig.submit(acme, Job::new("four").cost(4));
    assert_eq!(rig.serve(), ["six"], "jobs of a lane go in order");
    rig.at(SECOND);
    assert_eq!(rig.serve(), ["five", "four"]);
}

// Smooth: 10 a second, 2 at once: after the burst one every 100 ms.
#[test]
fn a_smooth_rate_lets_its_burst_go_and_then_one_by_one() {
    let rate = Rate::smooth(10, Unit::Jobs, Duration::from_secs(1), 2).unwrap();
    let mut rig = Rig::new(limited(Limits::default().rate(rate)));
    let acme = rig.tenant("acme");
    (0..5).for_each(|_| rig.submit(acme, "job"));
    let served = [0, 99, 100, 199, 200, 300].map(|at| {
        rig.at(at * MS);
        rig.serve().len()
    });
    assert_eq!(served, [2, 0, 1, 0, 1, 1]);
}

// A job that drew on its rate and then found no slot gives nothing away (throttled_slot_holder, T-F10).
#[test]
fn a_refusal_leaves_no_trace_in_any_limit() {
    let limits = two_a_second().concurrency(fairlane::Cap::Grants(1));
    let mut rig = Rig::new(limited(limits));
    let acme = rig.tenant("acme");
    ["a1", "a2"].into_iter().for_each(|job| rig.submit(acme, job));
    let first = rig.look(2);
    assert_eq!(first.len(), 1);
    for _ in 0..10 {
        assert!(rig.look(1).is_empty(), "no slot");
    }
    drop(first);
    assert_eq!(rig.serve(), ["a2"], "the rate still has room for one");
    rig.submit(acme, "a3");
    assert!(rig.serve().is_empty());
    let held = rig.engine.snapshot().tenant_rows[0].in_flight;
    assert_eq!(held, Some(0), "who waits for the rate holds no slot");
}

#[test]
fn a_swapped_policy_keeps_the_window_and_lets_the_freed_go_at_once() {
    let mut rig = Rig::new(limited(two_a_second()));
    let acme = rig.tenant("acme");
    (0..8).for_each(|_| rig.submit(acme, "job"));
    assert_eq!(rig.serve().len(), 2);
    let five = Rate::strict(5, Unit::Jobs, Duration::from_secs(1)).unwrap();
    rig.engine.set_policy(limited(Limits::default().rate(five))).unwrap();
    assert_eq!(rig.serve().len(), 3, "two of five are used");
    rig.engine.set_policy(limited(Limits::default().rate(Own::Lift))).unwrap();
    assert_eq!(rig.serve().len(), 3);
}

// The paused lane goes on with its turn: it neither loses nor saves up its quantum.
#[test]
fn waiting_for_a_rate_earns_no_credit() {
    let limits =
        Limits::default().rate(Rate::strict(10, Unit::Jobs, Duration::from_secs(1)).unwrap());
    let policy = policy(|policy| {
        policy.tier("starter", Weight::ONE).base_quantum(1).tenant_limits("limited", limits)
    });
    let mut rig = Rig::new(policy);
    let (limited, free) = (rig.tenant("limited"), rig.tenant("free"));
    (0..200).for_each(|_| rig.submit(limited, "limited"));
    (0..1_000).for_each(|_| rig.submit(free, "free"));
    for second in 0..5 {
        rig.at(second * SECOND);
        let some: Vec<_> = (0..100).flat_map(|_| rig.look(1)).map(|g| g.into_payload()).collect();
        let first = &some[..20];
        let count = first.iter().filter(|job| **job == "limited").count();
        assert!((9..=10).contains(&count), "{count} of the first 20 in second {second}: {first:?}");
    }
}

#[test]
fn jitter_spreads_the_return_of_parked_lanes() {
    let policy = policy(|policy| {
        policy
            .tier("starter", Weight::ONE)
            .tier_limits("starter", two_a_second())
            .jitter(Duration::from_millis(100))
    });
    let mut rig = Rig::new(policy);
    let tenants: Vec<_> = (0..50).map(|k| rig.tenant(&format!("t{k}"))).collect();
    for tenant in &tenants {
        (0..3).for_each(|_| rig.submit(*tenant, "job"));
    }
    assert_eq!(rig.serve().len(), 100);
    let mut moments: Vec<_> =
        tenants.iter().map(|tenant| wait(&rig, *tenant).eligible_at.unwrap()).collect();
    moments.sort_unstable();
    moments.dedup();
    assert_eq!(moments.len(), 50, "no two at once");
    let (first, last) = (moments[0], moments[49]);
    assert!(first >= Nanos(SECOND) && last < Nanos(SECOND + 100 * MS), "{first:?} to {last:?}");
    assert!(last.since(first) > Nanos(80 * MS), "over most of the time");
}

// A slot of the table remembers how much of its rate a tenant has had. To the next one that is nothing.
#[test]
fn a_tenant_is_not_kept_for_what_the_one_before_it_has_had() {
    let one_an_hour = Rate::strict(1, Unit::Jobs, Duration::from_secs(3_600)).unwrap();
    let mut rig = Rig::new(policy(|policy| {
        let small = policy.tenants_max(1).tier("free", Weight::ONE).tier("slow", Weight::ONE);
        small.default_tier("slow").tier_limits("slow", Limits::default().rate(one_an_hour))
    }));
    let first = rig.engine.tenant("first", "slow").unwrap();
    rig.submit(first, "job of the hour");
    assert_eq!(rig.serve(), ["job of the hour"]);
    let refused = rig.engine.tenant("second", "slow").map_err(|error| error.reason());
    assert_eq!(refused, Err(Reason::TooManyTenants), "the first could have two otherwise");
    assert_eq!(rig.engine.tenant("first", "free"), Ok(first), "it moves to where there is no rate");
    assert!(rig.engine.tenant("second", "slow").is_ok(), "nothing keeps the first");
    assert!(rig.engine.tenant("third", "slow").is_ok(), "the second never had a job");
}
