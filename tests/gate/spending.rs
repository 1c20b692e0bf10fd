//! What a grant has really spent, and how often budgets stand in the way.

use crate::budget::{cost, drawing, org, report, row, sums, tokens};
use crate::rig::{Rig, SECOND, wait};
use fairlane::{
    BudgetError, Dimension, Job, Limits, Nanos, Policy, PolicyBuilder, Rate, Reason, Reported, Unit,
};
use std::time::Duration;

/// A budget of a tenant, with a hard limit on each of `dimensions`.
fn counting(dimensions: impl Iterator<Item = String>) -> Policy {
    drawing(&["org"], |policy| {
        dimensions.fold(policy, |policy: PolicyBuilder, name| policy.budget_hard("org", name, 9))
    })
}

fn dimension(rig: &Rig, name: &str) -> Dimension {
    rig.engine.dimension(name).expect("a name that can be")
}

/// Used, reserved and debt of the dimension `name` of `org`.
fn of(rig: &Rig, name: &str) -> (u64, u64, u64) {
    let row = row(rig, "org");
    let it = row.dimensions.iter().find(|it| it.dimension == name).expect("a known dimension");
    (it.used, it.reserved, it.debt)
}

fn hits(rig: &Rig) -> u64 {
    row(rig, "org").dimensions[0].hits
}

// T-F12, T-F28, A-42: spending that cannot be counted is an error, not lost, and nothing beside it is noted.
#[test]
fn spending_of_one_dimension_too_many_is_refused_whole() {
    let mut rig = Rig::new(counting((0..16).map(|k| format!("d{k}"))));
    let acme = rig.tenant("acme");
    for number in 16..31 {
        let job = Job::new("job").spend(dimension(&rig, &format!("d{number}")), 1);
        rig.submit(acme, job);
    }
    assert_eq!(rig.serve().len(), 15);
    rig.submit(acme, Job::new("job").spend(dimension(&rig, "d0"), 5));
    let mut grant = rig.look(1).pop().unwrap();
    let (last, beyond) = (dimension(&rig, "d31"), dimension(&rig, "d32"));
    let d0 = dimension(&rig, "d0");
    assert_eq!(grant.spent(&[(d0, 2), (last, 1), (beyond, 1)]), Err(BudgetError::Dimensions));
    assert_eq!(row(&rig, "org").dimensions.len(), 31, "no place was taken");
    assert_eq!(grant.spent(&[(last, 7)]), Ok(()), "the thirty-second");
    assert_eq!(grant.spent(&[(beyond, 1)]), Err(BudgetError::Dimensions));
    drop(grant);
    assert_eq!((of(&rig, "d0"), of(&rig, "d31")), ((5, 0, 0), (7, 0, 0)), "as estimated, as noted");
}

#[test]
fn spending_of_another_engines_dimension_is_refused() {
    let (mut rig, other) = (Rig::new(org(10)), Rig::new(org(10)));
    rig.submit(rig.tenant("acme"), "job");
    let mut grant = rig.look(1).pop().unwrap();
    assert_eq!(grant.spent(&[(tokens(&other), 1)]), Err(BudgetError::Foreign));
    assert_eq!(grant.spent(&[(tokens(&rig), 1)]), Ok(()));
    let mut rig = Rig::new(drawing(&[], |policy| policy));
    rig.submit(rig.tenant("acme"), "job");
    let mut grant = rig.look(1).pop().unwrap();
    assert_eq!(grant.spent(&[(tokens(&other), 1)]), Ok(()), "without a budget nobody looks at it");
}

// New limits are never refused for want of places: only what jobs add is bounded.
#[test]
fn a_budget_goes_on_after_swaps_to_more_dimensions_than_jobs_may_add() {
    let mut rig = Rig::new(counting((0..16).map(|k| format!("a{k}"))));
    let acme = rig.tenant("acme");
    rig.submit(acme, Job::new("job").spend(dimension(&rig, "a3"), 4));
    let held = rig.look(1);
    for letter in ["b", "c", "d"] {
        rig.engine.set_policy(counting((0..16).map(|k| format!("{letter}{k}")))).unwrap();
    }
    assert_eq!(row(&rig, "org").dimensions.len(), 64);
    rig.submit(acme, Job::new("job").spend(dimension(&rig, "d15"), 9));
    assert_eq!(rig.look(1).len(), 1);
    assert_eq!(of(&rig, "d15"), (9, 0, 0));
    drop(held);
    assert_eq!(of(&rig, "a3"), (4, 0, 0));
    rig.submit(acme, Job::new("wide").spend(dimension(&rig, "d15"), 1));
    assert!(rig.serve().is_empty());
    assert_eq!(wait(&rig, acme).dimension.as_deref(), Some("d15"));
    let org = rig.engine.budget("org").unwrap();
    let amounts = [(dimension(&rig, "d15"), 5)];
    rig.engine.refund(org, &amounts, Nanos::ZERO).unwrap();
    assert_eq!(rig.serve(), ["wide"]);
    assert_eq!(report(&rig, "org", None, &amounts[..0]), Reported::Counted);
}

// Decision 4: the actual cost settles the reservation, below the estimate and above it; above the limit it is debt.
#[test]
fn the_actual_cost_takes_the_place_of_what_was_reserved_and_debt_of_what_was_not() {
    let mut rig = Rig::new(org(10));
    let acme = rig.tenant("acme");
    rig.submit(acme, Job::new("cheap").cost(6));
    let grant = rig.look(1).pop().unwrap();
    assert_eq!(of(&rig, "cost"), (0, 6, 0));
    grant.settle(2);
    assert_eq!(of(&rig, "cost"), (2, 0, 0));
    rig.submit(acme, Job::new("dear").cost(6));
    rig.look(1).pop().unwrap().settle(13);
    assert_eq!(of(&rig, "cost"), (15, 0, 5));
    rig.submit(acme, Job::new("next"));
    assert!(rig.serve().is_empty(), "T-F12: debt stops grants");
    rig.engine.set_policy(org(16)).unwrap();
    assert_eq!(rig.serve(), ["next"]);
    assert_eq!(of(&rig, "cost"), (16, 0, 0));
}

// The same when the job has named its estimate of `cost` itself, also in a budget that limits something else.
#[test]
fn a_settlement_also_replaces_an_estimate_of_cost_that_the_job_named() {
    for limited in ["cost", "total_tokens"] {
        let mut rig = Rig::new(drawing(&["org"], |policy| policy.budget_hard("org", limited, 50)));
        let (acme, cost) = (rig.tenant("acme"), cost(&rig));
        rig.submit(acme, Job::new("job").cost(3).spend(cost, 40));
        let grant = rig.look(1).pop().unwrap();
        assert_eq!(of(&rig, "cost"), (0, 40, 0), "what the job named, not its cost units");
        grant.settle(5);
        assert_eq!(of(&rig, "cost"), (5, 0, 0));
        rig.submit(acme, Job::new("job").spend(cost, 40));
        let mut grant = rig.look(1).pop().unwrap();
        grant.spent(&[(cost, 7)]).unwrap();
        grant.settle(8);
        assert_eq!(of(&rig, "cost"), (13, 0, 0), "what is said last");
        rig.submit(acme, Job::new("job").spend(cost, 30));
        drop(rig.look(1));
        assert_eq!(of(&rig, "cost"), (43, 0, 0), "what is not settled is spent as estimated");
    }
}

// A hit is one wait, however often the lane is looked at while it lasts, and each wait is one.
#[test]
fn a_budget_counts_a_hit_for_each_wait_and_not_for_each_look() {
    let mut rig = Rig::new(org(10));
    let (acme, org_id, cost) = (rig.tenant("acme"), rig.engine.budget("org").unwrap(), cost(&rig));
    report(&rig, "org", None, &[(cost, 10)]);
    rig.submit(acme, Job::new("job").cost(2));
    assert!(rig.serve().is_empty());
    assert_eq!(hits(&rig), 1);
    // Policies without a change bring every parked lane back, to find the same.
    for _ in 0..5 {
        rig.engine.set_policy(org(10)).unwrap();
        assert!(rig.serve().is_empty());
    }
    rig.engine.refund(org_id, &[(cost, 1)], Nanos::ZERO).unwrap();
    assert!(rig.serve().is_empty());
    assert_eq!(hits(&rig), 1, "the same wait");
    rig.engine.refund(org_id, &[(cost, 1)], Nanos::ZERO).unwrap();
    rig.submit(acme, Job::new("job").cost(2));
    assert_eq!(rig.serve().len(), 1);
    assert_eq!(hits(&rig), 2, "a grant ended the first wait");
    rig.submit(rig.tenant("other"), "job");
    assert!(rig.serve().is_empty());
    assert_eq!(hits(&rig), 3, "each tenant waits for itself");
}

#[test]
fn a_wait_for_something_else_ends_a_hit() {
    let rate = Rate::strict(1, Unit::Jobs, Duration::from_secs(60)).unwrap();
    let limits = Limits::default().rate(rate).budgets(vec!["org".to_owned()]);
    let mut rig = Rig::new(drawing(&["org"], |policy| {
        policy.budget_hard("org", "cost", 2).tenant_limits("acme", limits)
    }));
    let (acme, org_id, cost) = (rig.tenant("acme"), rig.engine.budget("org").unwrap(), cost(&rig));
    rig.submit(acme, "first");
    assert_eq!(rig.serve(), ["first"]);
    report(&rig, "org", None, &[(cost, 1)]);
    rig.submit(acme, "second");
    assert!(rig.serve().is_empty());
    assert_eq!((hits(&rig), wait(&rig, acme).reason), (1, Reason::Budget));
    rig.engine.refund(org_id, &[(cost, 1)], Nanos::ZERO).unwrap();
    assert!(rig.serve().is_empty());
    assert_eq!((hits(&rig), wait(&rig, acme).reason), (1, Reason::Rate));
    report(&rig, "org", None, &[(cost, 1)]);
    rig.at(60 * SECOND);
    assert!(rig.serve().is_empty());
    assert_eq!((hits(&rig), wait(&rig, acme).reason), (2, Reason::Budget));
    assert_eq!(sums(&rig, "org"), (2, 0));
}
