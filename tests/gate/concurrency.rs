//! Grants in flight: a slot is a live grant, on every way out, and freed slots go to whoever has waited
//! longest.

use crate::rig::{Rig, SECOND, at_most, limited, policy, wait};
use fairlane::{Cap, Grant, Limits, Reason, Weight};
use std::panic::{AssertUnwindSafe, catch_unwind};

// cap 2: A, A, CONC; after one release A.
#[test]
fn no_more_grants_are_out_than_the_cap() {
    let mut rig = Rig::new(limited(at_most(2)));
    let acme = rig.tenant("acme");
    ["a1", "a2", "a3"].into_iter().for_each(|job| rig.submit(acme, job));
    let mut held = rig.look(8);
    assert_eq!(held.len(), 2);
    assert!(rig.look(8).is_empty());
    drop(held.pop());
    assert_eq!(rig.look(8).len(), 1);
}

// B-11, quota_claim: A1 A2 B1 with A at its quota of 1: B1, then nothing; A1 once A is released.
#[test]
fn a_tenant_at_its_cap_is_passed_over_and_comes_back_with_its_slot() {
    let mut rig = Rig::new(limited(at_most(1)));
    let (a, b) = (rig.tenant("a"), rig.tenant("b"));
    rig.submit(a, "a0");
    let running = rig.look(1);
    rig.submit(a, "a1");
    rig.submit(a, "a2");
    rig.submit(b, "b1");
    let b1 = rig.look(1);
    assert_eq!(*b1[0].payload(), "b1");
    assert!(rig.look(1).is_empty());
    drop(running);
    assert_eq!(*rig.look(1)[0].payload(), "a1");
}

// B-12, cancel_after_grant.
#[test]
fn a_slot_comes_back_on_every_way_out() {
    let mut rig = Rig::new(limited(at_most(1)));
    let acme = rig.tenant("acme");
    let ways: [fn(Grant<&'static str>); 7] = [
        drop,
        Grant::complete,
        |grant| grant.settle(5),
        |grant| {
            let _ = grant.into_payload();
        },
        |grant| grant.split().1.settle(2),
        |grant| drop(grant.split()),
        |grant| {
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _grant = grant;
                panic!("a handler's own");
            }));
            assert!(panicked.is_err());
        },
    ];
    for way in ways {
        rig.submit(acme, "job");
        let grant = rig.look(8).pop().expect("the slot is free");
        assert_eq!(rig.engine.snapshot().tenant_rows[0].in_flight, Some(1));
        way(grant);
        assert_eq!(rig.engine.snapshot().tenant_rows[0].in_flight, Some(0));
    }
    rig.submit(acme, "job");
    let grant = rig.look(8).pop().unwrap();
    std::thread::spawn(move || drop(grant)).join().unwrap();
    rig.submit(acme, "job");
    assert_eq!(rig.look(8).len(), 1, "also on another thread");
}

// A-53, a counter corrupted to 5 with 2 live guards, which a reconciler restores to 2, the third still CONC:
// here a slot is a live grant, and nothing outside the grants counts them or could be corrupted. So all that is
// done around two of them leaves two, and each of them gives back one.
#[test]
fn nothing_but_the_end_of_a_grant_changes_the_count() {
    let mut rig = Rig::new(limited(at_most(2)));
    let acme = rig.tenant("acme");
    (0..9).for_each(|_| rig.submit(acme, "job"));
    let mut held = rig.look(8);
    let in_flight = |rig: &Rig| rig.engine.snapshot().tenant_rows[0].in_flight;
    let around: [fn(&mut Rig); 5] = [
        |rig| assert_eq!(rig.tenant("acme"), rig.engine.tenant("acme", "starter").unwrap()),
        |rig| rig.engine.set_policy(limited(at_most(5))).unwrap(),
        |rig| rig.engine.set_policy(limited(at_most(2))).unwrap(),
        |rig| drop(rig.workers.remove(0)),
        |rig| rig.at(SECOND),
    ];
    for (step, act) in around.into_iter().enumerate() {
        act(&mut rig);
        assert_eq!(in_flight(&rig), Some(2), "step {step}");
    }
    assert!(rig.look(8).is_empty(), "a third is still too many");
    for left in [1, 0] {
        drop(held.pop());
        assert_eq!(in_flight(&rig), Some(2), "handed on to the lane that waits");
        let next = rig.look(8);
        assert_eq!(next.len(), 1, "{left} of the first two");
        std::mem::forget(next);
    }
    // Nobody can tell a grant that was leaked from one that is in use: its slot is taken for good.
    assert!(rig.look(8).is_empty());
    assert_eq!(in_flight(&rig), Some(2));
}

// T-F17: as many lanes wake as slots come free, the longest waiting first.
#[test]
fn freed_slots_go_to_as_many_lanes_as_there_are_oldest_first() {
    let mut rig = Rig::new(policy(|policy| policy.concurrency(2)));
    let tenants: Vec<_> = ["a", "b", "c", "d", "e"].map(|name| rig.tenant(name)).into();
    let mut held = Vec::new();
    for (at, (tenant, name)) in tenants.iter().zip(["a", "b", "c", "d", "e"]).enumerate() {
        rig.at(at as u64 + 1);
        rig.submit(*tenant, name);
        held.extend(rig.look(1));
    }
    assert_eq!(held.len(), 2);
    let waiting = |rig: &Rig| rig.engine.snapshot().limits.waiting;
    assert_eq!(waiting(&rig).get(&Reason::EngineConcurrency), Some(&3));
    drop(held.remove(0));
    assert_eq!(waiting(&rig).get(&Reason::EngineConcurrency), Some(&2), "one woke, not all");
    // A newcomer does not get past those who wait.
    let late = rig.tenant("late");
    rig.submit(late, "late");
    let order = |rig: &mut Rig| rig.look(8).into_iter().map(Grant::into_payload).next();
    let got: Vec<_> = std::iter::from_fn(|| order(&mut rig)).collect();
    assert_eq!(got, ["c", "d", "e", "late"]);
}

#[test]
fn a_tier_shares_its_cap_and_other_tiers_do_not_feel_it() {
    let policy = policy(|policy| {
        policy
            .concurrency(10)
            .tier("starter", Weight::ONE)
            .tier("scale", Weight::ONE)
            .tier_concurrency("starter", Cap::Percent(20))
    });
    let mut rig = Rig::new(policy);
    let (a, b) = (rig.tenant("a"), rig.tenant("b"));
    let other = rig.engine.tenant("other", "scale").unwrap();
    for tenant in [a, b, other] {
        (0..20).for_each(|_| rig.submit(tenant, "job"));
    }
    let held = rig.look(100);
    let of = |tenant| held.iter().filter(|grant| grant.tenant() == tenant).count();
    assert_eq!((of(a) + of(b), of(other)), (2, 8));
    assert_eq!(rig.engine.snapshot().limits.in_flight, 10);
    drop(held);
    let _next = rig.look(100);
    assert_eq!(rig.engine.snapshot().limits.in_flight, 10);
}

#[test]
fn a_cap_of_0_pauses_and_says_so_and_a_raise_ends_it() {
    let mut rig = Rig::new(limited(at_most(0)));
    let acme = rig.tenant("acme");
    rig.submit(acme, "job");
    assert!(rig.look(1).is_empty());
    let told = wait(&rig, acme);
    assert_eq!(told.reason, Reason::Paused);
    assert_eq!(told.detail, "paused: the tenant's concurrency is 0");
    rig.engine.set_policy(limited(at_most(1))).unwrap();
    assert_eq!(rig.serve(), ["job"]);
}

// Lowered below what is in flight: drains down, nothing new starts.
#[test]
fn a_lowered_cap_lets_nothing_new_start_until_it_has_drained() {
    let mut rig = Rig::new(limited(at_most(4)));
    let acme = rig.tenant("acme");
    (0..10).for_each(|_| rig.submit(acme, "job"));
    let mut held = rig.look(10);
    assert_eq!(held.len(), 4);
    rig.engine.set_policy(limited(at_most(2))).unwrap();
    for left in [3, 2] {
        drop(held.pop());
        assert!(rig.look(10).is_empty(), "{left} are still out");
    }
    drop(held.pop());
    assert_eq!(rig.look(10).len(), 1);
}

// The minimum is first claim on freed slots: reached within as many completions as the sum of minima.
#[test]
fn a_guaranteed_minimum_is_reached_within_as_many_completions() {
    let limits = |min| Limits::default().concurrency_min(Cap::Grants(min));
    let policy = policy(|policy| {
        policy.concurrency(10).tenant_limits("a", limits(3)).tenant_limits("b", limits(2))
    });
    let mut rig = Rig::new(policy);
    let (hog, a, b) = (rig.tenant("hog"), rig.tenant("a"), rig.tenant("b"));
    (0..1_000).for_each(|_| rig.submit(hog, "hog"));
    let mut held = rig.look(100);
    assert_eq!(held.len(), 10, "the maximum may be used while others are idle");
    for tenant in [a, b] {
        (0..20).for_each(|_| rig.submit(tenant, "light"));
    }
    assert!(rig.look(100).is_empty());
    assert_eq!(
        rig.engine.snapshot().limits.minima_waiting,
        2,
        "the snapshot says that minima bind"
    );
    let mut light = Vec::new();
    for _ in 0..5 {
        drop(held.pop());
        light.extend(rig.look(100));
    }
    let of = |tenant| light.iter().filter(|grant| grant.tenant() == tenant).count();
    assert_eq!((of(a), of(b)), (3, 2));
    let limits = rig.engine.snapshot().limits;
    assert_eq!((limits.minima_waiting, limits.minima_served), (0, 5));
}

// Minima that exceed the capacity at run time scale down together.
#[test]
fn minima_of_more_tenants_than_fit_scale_down() {
    let limits = Limits::default().concurrency_min(Cap::Grants(4));
    let policy = policy(|policy| {
        policy.concurrency(8).tier("starter", Weight::ONE).tier_limits("starter", limits)
    });
    let mut rig = Rig::new(policy);
    let tenants = ["a", "b", "c", "d"].map(|name| rig.tenant(name));
    (0..100).for_each(|_| rig.submit(tenants[0], "job"));
    let mut held = rig.look(100);
    assert_eq!(held.len(), 8);
    tenants[1..].iter().for_each(|tenant| (0..100).for_each(|_| rig.submit(*tenant, "job")));
    assert!(rig.look(1).is_empty());
    for _ in 0..6 {
        drop(held.remove(0));
        held.extend(rig.look(100));
    }
    let counts = tenants.map(|tenant| held.iter().filter(|grant| grant.tenant() == tenant).count());
    assert_eq!(counts, [2, 2, 2, 2]);
}

/// Grants of each tenant once `completions` of another one, which held every slot, have been handed on.
fn shares(rig: &mut Rig, hog: &str, tenants: &[&str], completions: usize) -> Vec<usize> {
    let hog = rig.tenant(hog);
    (0..100).for_each(|_| rig.submit(hog, "hog"));
    let mut held = rig.look(100);
    let tenants: Vec<_> = tenants.iter().map(|name| rig.tenant(name)).collect();
    tenants.iter().for_each(|tenant| (0..100).for_each(|_| rig.submit(*tenant, "job")));
    assert!(rig.look(1).is_empty(), "every slot is taken");
    for _ in 0..completions {
        drop(held.remove(0));
        held.extend(rig.look(100));
    }
    let of = |tenant| held.iter().filter(|grant| grant.tenant() == tenant).count();
    tenants.into_iter().map(of).collect()
}

fn at_least(min: u32) -> Limits {
    Limits::default().concurrency_min(Cap::Grants(min))
}

#[test]
fn minima_that_do_not_fit_together_shrink_in_proportion() {
    let policy = policy(|policy| {
        policy.concurrency(10).tenant_limits("a", at_least(8)).tenant_limits("b", at_least(2))
    });
    let mut rig = Rig::new(policy);
    // Of five slots four are a's and one is b's, as of ten eight and two.
    assert_eq!(shares(&mut rig, "hog", &["a", "b"], 5), [4, 1]);
}

#[test]
fn a_minimum_is_not_less_for_tenants_that_want_nothing() {
    let policy = policy(|policy| {
        policy
            .concurrency(8)
            .tier("starter", Weight::ONE)
            .tenant_limits("hog", at_least(0))
            .tier_limits("starter", at_least(2))
    });
    let mut rig = Rig::new(policy);
    for number in 0..100 {
        rig.tenant(&format!("idle-{number}"));
    }
    assert_eq!(shares(&mut rig, "hog", &["light"], 2), [2]);
}

// What a tenant may claim is what it has when a slot comes free, not when its lane was parked.
#[test]
fn a_claim_rises_and_falls_with_the_grants_that_a_tenant_has() {
    let policy = policy(|policy| policy.concurrency(4).tenant_limits("a", at_least(2)));
    let mut rig = Rig::new(policy);
    let (a, hog, others) = (rig.tenant("a"), rig.tenant("hog"), rig.tenant("others"));
    (0..2).for_each(|_| rig.submit(a, "a"));
    let first = rig.look(2);
    (0..10).for_each(|_| rig.submit(hog, "hog"));
    let running = rig.look(2);
    assert_eq!((first.len(), running.len()), (2, 2));
    // Behind the hog's lane and another one, at its minimum: no claim.
    rig.submit(others, "others");
    assert!(rig.look(1).is_empty());
    (0..10).for_each(|_| rig.submit(a, "a"));
    assert!(rig.look(1).is_empty());
    assert_eq!(rig.engine.snapshot().limits.minima_waiting, 0);
    // Its grants end: both slots are its own again, whoever has waited longer.
    let mut next = Vec::new();
    for grant in first {
        drop(grant);
        next.extend(rig.look(8));
    }
    assert_eq!(next.iter().map(Grant::tenant).collect::<Vec<_>>(), [a, a]);
    // And no more than those.
    drop(running);
    let next = rig.look(2);
    assert!(next.iter().all(|grant| grant.tenant() != a));
}

#[test]
fn more_minima_than_slots_leave_somebody_waiting_and_nobody_without_a_claim() {
    let policy = policy(|policy| {
        policy.concurrency(8).tier("starter", Weight::ONE).tier_limits("starter", at_least(1))
    });
    let mut rig = Rig::new(policy);
    let names = ["a", "b", "c", "d", "e", "f", "g", "h", "i"];
    assert_eq!(shares(&mut rig, "hog", &names, 7), [1, 1, 1, 1, 1, 1, 1, 0, 0]);
}

#[test]
fn a_minimum_comes_first_where_the_tiers_own_limit_binds() {
    let policy = policy(|policy| {
        policy
            .concurrency(10)
            .tier("starter", Weight::ONE)
            .tier_concurrency("starter", Cap::Grants(4))
            .tenant_limits("light", at_least(2))
    });
    let mut rig = Rig::new(policy);
    let others = ["y", "z"].map(|name| rig.tenant(name));
    others.iter().for_each(|other| (0..100).for_each(|_| rig.submit(*other, "job")));
    let mut held = rig.look(100);
    let light = rig.tenant("light");
    (0..100).for_each(|_| rig.submit(light, "light"));
    assert!(held.len() == 4 && rig.look(1).is_empty());
    assert_eq!(rig.engine.snapshot().limits.minima_waiting, 1);
    for _ in 0..2 {
        drop(held.remove(0));
        held.extend(rig.look(100));
    }
    assert_eq!(held.iter().filter(|grant| grant.tenant() == light).count(), 2);
}

#[test]
fn a_drain_hands_back_what_is_parked() {
    let mut rig = Rig::new(limited(at_most(1)));
    let acme = rig.tenant("acme");
    (0..5).for_each(|_| rig.submit(acme, "job"));
    let _held = rig.look(5);
    let report = rig.engine.drain(std::time::Duration::ZERO);
    assert_eq!((report.returned.len(), report.running, report.unpublished), (4, 1, 0));
}

// Fewer slots than threads, so that the threads could be more than the limit. The race for the last slot,
// hard_limit_race, is in `races.rs`.
#[test]
fn four_threads_never_exceed_a_limit_of_two() {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    static OUT: AtomicU32 = AtomicU32::new(0);
    static MOST: AtomicU32 = AtomicU32::new(0);
    static DONE: AtomicU32 = AtomicU32::new(0);
    let policy = policy(|policy| {
        policy.concurrency(2).tier("starter", Weight::ONE).tier_limits("starter", at_most(1))
    });
    let engine = fairlane::Engine::<u32>::builder()
        .workers(4)
        .policy(policy)
        .start(|grant| {
            let out = OUT.fetch_add(1, Relaxed) + 1;
            MOST.fetch_max(out, Relaxed);
            let job = *grant.payload();
            if job % 7 == 0 {
                // Whoever else may run now does.
                std::thread::yield_now();
            }
            OUT.fetch_sub(1, Relaxed);
            DONE.fetch_add(1, Relaxed);
        })
        .unwrap();
    let tenants: Vec<_> =
        (0..4).map(|k| engine.tenant(&format!("t{k}"), "starter").unwrap()).collect();
    for job in 0..40_000 {
        let mut next = job;
        while let Err(refused) = engine.submit(tenants[job as usize % 4], next) {
            next = refused.into_payload();
            std::thread::yield_now();
        }
    }
    let report = engine.drain(std::time::Duration::from_secs(60));
    assert_eq!((report.finished, report.returned.len()), (40_000, 0));
    assert!(MOST.load(Relaxed) <= 2, "{} at once", MOST.load(Relaxed));
    assert_eq!(engine.snapshot().limits.in_flight, 0);
}
