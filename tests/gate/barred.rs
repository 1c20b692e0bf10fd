//! Jobs that no limit of their tenant will ever let go: they are barred, and others go (decision 1: "that
//! candidate only").

use crate::rig::{MS, Rig, limited, policy, wait};
use fairlane::{Job, Limits, Nanos, Policy, Rate, Reason, Tenant, Unit};
use std::time::Duration;

/// At most so much cost a second.
fn cost_rate(most: u64) -> Policy {
    let rate = Rate::strict(most, Unit::Cost, Duration::from_secs(1)).expect("in range");
    limited(Limits::default().rate(rate))
}

fn with_budget() -> Policy {
    policy(|policy| policy.budget_hard("flow", "cost", 900))
}

/// Two jobs on a budget that is gone, and a plain one between and after them.
fn with_budget_gone() -> (Rig, Tenant) {
    let mut rig = Rig::new(with_budget());
    let acme = rig.tenant("acme");
    let flow = rig.engine.budget("flow").expect("a budget of the policy");
    rig.submit(acme, Job::new("of-flow-1").budget(flow));
    rig.submit(acme, "plain-1");
    rig.submit(acme, Job::new("of-flow-2").budget(flow));
    rig.submit(acme, "plain-2");
    rig.engine.set_policy(Policy::default()).expect("the sizes stay");
    assert_eq!(rig.serve(), ["plain-1", "plain-2"]);
    (rig, acme)
}

#[test]
fn jobs_go_past_one_whose_budget_cannot_be_evaluated() {
    let (mut rig, acme) = with_budget_gone();
    let told = wait(&rig, acme);
    assert_eq!((told.reason, told.budget.as_deref()), (Reason::Budget, Some("flow")));
    // Also those that come once only such jobs are left.
    rig.submit(acme, "plain-3");
    assert_eq!(rig.serve(), ["plain-3"]);
    assert_eq!(rig.engine.snapshot().depth, 2);
}

#[test]
fn jobs_that_were_barred_go_in_their_order_once_a_policy_lets_them() {
    let (mut rig, _) = with_budget_gone();
    rig.engine.set_policy(with_budget()).expect("the sizes stay");
    assert_eq!(rig.serve(), ["of-flow-1", "of-flow-2"]);
    assert_eq!(rig.engine.snapshot().depth, 0);
}

#[test]
fn barred_jobs_expire_and_are_handed_back() {
    let mut rig = Rig::new(with_budget());
    let acme = rig.tenant("acme");
    let flow = rig.engine.budget("flow").expect("a budget of the policy");
    rig.submit(acme, Job::new("of-flow").budget(flow));
    rig.submit(acme, Job::new("dated").budget(flow).deadline(Nanos(5 * MS)));
    rig.engine.set_policy(Policy::default()).expect("the sizes stay");
    assert!(rig.serve().is_empty());
    rig.at(5 * MS);
    assert!(rig.serve().is_empty());
    let expired: Vec<_> = rig.expired.lock().unwrap().iter().map(|(job, _)| *job).collect();
    assert_eq!(expired, ["dated"]);
    let report = rig.engine.drain(Duration::ZERO);
    let returned: Vec<_> = report.returned.iter().map(|back| *back.job.payload()).collect();
    assert_eq!(returned, ["of-flow"]);
}

#[test]
fn jobs_go_past_one_that_has_become_too_wide_for_its_rate() {
    let mut rig = Rig::new(cost_rate(10));
    let acme = rig.tenant("acme");
    rig.submit(acme, Job::new("slim-1").cost(1));
    rig.submit(acme, Job::new("wide").cost(8));
    rig.submit(acme, Job::new("slim-2").cost(2));
    rig.engine.set_policy(cost_rate(5)).expect("the sizes stay");
    assert_eq!(rig.serve(), ["slim-1", "slim-2"]);
    assert_eq!(wait(&rig, acme).reason, Reason::TooWide);
    rig.engine.set_policy(cost_rate(20)).expect("the sizes stay");
    assert_eq!(rig.serve(), ["wide"]);
}

#[test]
fn a_tenant_moved_to_another_tier_takes_what_stood_aside_along() {
    let rate = |most| Rate::strict(most, Unit::Cost, Duration::from_secs(1)).expect("in range");
    let both = |starter| {
        policy(|policy| {
            policy
                .tier("starter", fairlane::Weight::ONE)
                .tier_limits("starter", Limits::default().rate(rate(starter)))
                .tier("wide", fairlane::Weight::ONE)
        })
    };
    let mut rig = Rig::new(both(10));
    let acme = rig.tenant("acme");
    rig.submit(acme, Job::new("wide").cost(8));
    rig.engine.set_policy(both(5)).expect("the sizes stay");
    assert!(rig.serve().is_empty());
    rig.engine.tenant("acme", "wide").expect("the same tenant");
    assert_eq!(rig.serve(), ["wide"]);
}
