//! Budgets: reserved at the grant, settled with what was spent, never passed by what is granted.

use crate::rig::{Rig, SECOND, policy, wait};
use fairlane::{
    BudgetError, BudgetRow, Dimension, Grant, Job, Limits, Nanos, Policy, PolicyBuilder, Rate,
    Reason, Reported, Unit, Weight,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

const MINUTE: u64 = 60 * SECOND;

/// Budgets that every tenant draws on.
pub(crate) fn drawing(
    budgets: &[&str],
    change: impl FnOnce(PolicyBuilder) -> PolicyBuilder,
) -> Policy {
    let names = budgets.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    policy(|policy| {
        let limits = match names.len() {
            0 => Limits::default(),
            _ => Limits::default().budgets(names),
        };
        let policy = policy.tier("starter", Weight::ONE).tier("scale", Weight::ONE);
        change(policy.tier_limits("starter", limits))
    })
}

/// One budget `org` for all, with a hard limit on `cost`.
pub(crate) fn org(hard: u64) -> Policy {
    drawing(&["org"], |policy| policy.budget_hard("org", "cost", hard))
}

pub(crate) fn tokens(rig: &Rig) -> Dimension {
    rig.engine.dimension("total_tokens").expect("a name that can be")
}

pub(crate) fn cost(rig: &Rig) -> Dimension {
    rig.engine.dimension("cost").expect("a name that can be")
}

pub(crate) fn row(rig: &Rig, budget: &str) -> BudgetRow {
    let rows = rig.engine.snapshot().budgets;
    rows.into_iter().find(|row| row.budget == budget).expect("a budget of the policy")
}

/// Used and reserved of a budget's first dimension.
pub(crate) fn sums(rig: &Rig, budget: &str) -> (u64, u64) {
    let row = row(rig, budget);
    (row.dimensions[0].used, row.dimensions[0].reserved)
}

pub(crate) fn report(
    rig: &Rig,
    budget: &str,
    key: Option<&str>,
    amounts: &[(Dimension, u64)],
) -> Reported {
    let budget = rig.engine.budget(budget).expect("a budget of the policy");
    rig.engine.report(budget, key, amounts).expect("handles of this engine")
}

// Decision 4: reserve at the grant, settle at completion; A-41: usage == hard is reachable, and blocks then.
#[test]
fn grants_stop_at_what_is_used_and_reserved_and_go_on_with_what_was_not_spent() {
    let mut rig = Rig::new(org(10));
    let acme = rig.tenant("acme");
    (0..5).for_each(|_| rig.submit(acme, Job::new("job").cost(4)));
    let mut held = rig.look(8);
    assert_eq!((held.len(), sums(&rig, "org")), (2, (0, 8)));
    assert!(rig.look(8).is_empty());
    held.pop().unwrap().settle(1);
    assert_eq!(sums(&rig, "org"), (1, 4));
    held.extend(rig.look(8));
    assert_eq!((held.len(), sums(&rig, "org")), (2, (1, 8)));
    held.clear();
    assert_eq!(sums(&rig, "org"), (9, 0), "what is not settled is spent as estimated");
    assert!(rig.look(8).is_empty());
    rig.submit(rig.tenant("small"), Job::new("one").cost(1));
    assert_eq!(rig.serve(), ["one"]);
    assert_eq!(sums(&rig, "org"), (10, 0));
}

// several budgets apply, all are checked, and the breached one is named with its dimension.
#[test]
fn every_budget_of_a_tenant_is_checked_and_the_one_in_the_way_is_named() {
    let mut rig = Rig::new(drawing(&["wide", "narrow"], |policy| {
        policy.budget_hard("wide", "cost", 100).budget_hard("narrow", "total_tokens", 1_000)
    }));
    let (acme, tokens) = (rig.tenant("acme"), tokens(&rig));
    (0..3).for_each(|_| rig.submit(acme, Job::new("job").spend(tokens, 400)));
    let held = rig.look(8);
    assert_eq!(held.len(), 2);
    let wait = wait(&rig, acme);
    assert_eq!((wait.reason, wait.used, wait.limit), (Reason::Budget, 800, 1_000));
    assert_eq!(wait.reason.block_reason(), Some("waiting_for_budget"));
    assert_eq!(wait.budget.as_deref(), Some("narrow"));
    assert_eq!(wait.dimension.as_deref(), Some("total_tokens"));
    assert_eq!(wait.detail, "budget narrow: total_tokens 800/1000, no reset");
    assert_eq!(wait.eligible_at, None);
    assert_eq!(sums(&rig, "wide"), (0, 2), "the refused job left no trace");
    assert_eq!(row(&rig, "narrow").dimensions[0].hits, 1);
    assert_eq!(rig.engine.snapshot().limits.parked.get(&Reason::Budget), Some(&1));
}

// dimensions are an open set; without a limit they are counted and hold nothing up.
#[test]
fn a_dimension_without_a_limit_is_only_counted() {
    let mut rig = Rig::new(org(10));
    let (acme, tokens) = (rig.tenant("acme"), tokens(&rig));
    rig.submit(acme, Job::new("job").spend(tokens, u64::MAX));
    assert_eq!(rig.serve(), ["job"]);
    let row = row(&rig, "org");
    let counted = &row.dimensions[1];
    assert_eq!((&*counted.dimension, counted.used, counted.hard), ("total_tokens", u64::MAX, None));
    // A job's cost counts only where the budget limits it.
    let mut rig = Rig::new(drawing(&["org"], |policy| policy.budget_hard("org", "usd", 5)));
    rig.submit(rig.tenant("acme"), Job::new("job").cost(900_000));
    assert_eq!(rig.serve(), ["job"]);
    assert_eq!(sums(&rig, "org"), (0, 0));
}

// A-42, T-F12: nothing of a report above the limit is usage, and yet it was spent: nothing goes until a raise.
#[test]
fn a_report_counts_whole_or_is_debt_that_stops_grants() {
    let limits = |tokens| {
        drawing(&["org"], |policy| {
            policy.budget_hard("org", "cost", 100).budget_hard("org", "total_tokens", tokens)
        })
    };
    let mut rig = Rig::new(limits(10));
    let (acme, cost, tokens) = (rig.tenant("acme"), cost(&rig), tokens(&rig));
    assert_eq!(report(&rig, "org", None, &[(cost, 90), (tokens, 10)]), Reported::Counted);
    rig.at(7);
    match report(&rig, "org", None, &[(cost, 5), (tokens, 1)]) {
        Reported::HardBreach(breach) => {
            assert_eq!((breach.dimension, breach.current, breach.limit), (tokens, 10, 10));
        }
        other => panic!("{other:?}"),
    }
    let row = row(&rig, "org");
    let of = |at: usize| (row.dimensions[at].used, row.dimensions[at].debt);
    assert_eq!((of(0), of(1)), ((90, 0), (10, 1)));
    assert_eq!(row.dimensions[1].hard_breaches, 1);
    assert_eq!((row.last_breach.as_deref(), row.last_breach_ns), (Some("total_tokens"), Some(7)));
    rig.submit(acme, "job");
    assert!(rig.serve().is_empty());
    rig.engine.set_policy(limits(11)).unwrap();
    assert!(rig.serve().is_empty(), "the debt fills the raised limit");
    rig.engine.set_policy(limits(12)).unwrap();
    assert_eq!(rig.serve(), ["job"]);
}

//
#[test]
fn a_key_counts_once_in_24_hours() {
    let rig = Rig::new(org(100));
    let amounts = [(cost(&rig), 30)];
    assert_eq!(report(&rig, "org", Some("a"), &amounts), Reported::Counted);
    rig.at(24 * 60 * MINUTE - 1);
    assert_eq!(report(&rig, "org", Some("a"), &amounts), Reported::AlreadyApplied);
    assert_eq!(report(&rig, "org", Some("b"), &amounts), Reported::Counted);
    rig.at(24 * 60 * MINUTE);
    assert_eq!(report(&rig, "org", Some("a"), &amounts), Reported::Counted);
    assert_eq!(sums(&rig, "org"), (90, 0));
}

// the first soft excess is advice, and is counted.
#[test]
fn above_a_soft_limit_jobs_go_on_and_a_counter_says_so() {
    let mut rig = Rig::new(drawing(&["org"], |policy| {
        policy.budget_soft("org", "cost", 5).budget_hard("org", "cost", 100)
    }));
    match report(&rig, "org", None, &[(cost(&rig), 6)]) {
        Reported::SoftBreach(breach) => assert_eq!((breach.current, breach.limit), (6, 5)),
        other => panic!("{other:?}"),
    }
    rig.submit(rig.tenant("acme"), Job::new("job").cost(3));
    assert_eq!(rig.serve(), ["job"]);
    assert_eq!(row(&rig, "org").dimensions[0].soft_breaches, 2, "the report and the settlement");
}

// A-46, T-F19: the next reset is the last planned one plus a multiple of the interval, however late one looks.
#[test]
fn a_breach_parks_until_the_reset_which_does_not_drift() {
    let mut rig = Rig::new(drawing(&["org"], |policy| {
        policy.budget_hard("org", "cost", 1).budget_reset("org", Duration::from_secs(60))
    }));
    let acme = rig.tenant("acme");
    (0..3).for_each(|_| rig.submit(acme, "job"));
    assert_eq!(rig.serve().len(), 1);
    rig.at(10 * SECOND);
    let waits = wait(&rig, acme);
    assert_eq!(waits.eligible_at, Some(Nanos(MINUTE)));
    assert_eq!(waits.detail, "budget org: cost 1/1, resets in 50 s");
    rig.at(MINUTE - 1);
    assert!(rig.serve().is_empty());
    rig.at(MINUTE + 7 * SECOND);
    assert_eq!(rig.serve().len(), 1);
    assert_eq!(wait(&rig, acme).eligible_at, Some(Nanos(2 * MINUTE)));
    rig.at(5 * MINUTE + 30 * SECOND);
    assert_eq!(rig.serve().len(), 1, "missed periods are not added up");
    let row = row(&rig, "org");
    assert_eq!((row.resets, row.resets_at_ns), (2, Some(6 * MINUTE)));
}

#[test]
fn what_ends_after_a_reset_counts_in_the_new_period() {
    let mut rig = Rig::new(drawing(&["org"], |policy| {
        policy.budget_hard("org", "cost", 10).budget_reset("org", Duration::from_secs(60))
    }));
    rig.submit(rig.tenant("acme"), Job::new("job").cost(4));
    let held = rig.look(1);
    rig.at(MINUTE);
    drop(held);
    assert_eq!(sums(&rig, "org"), (4, 0));
}

// 50,000 candidates on one budget cost one look each time they may go, not one each per cycle.
#[test]
fn parked_lanes_cost_no_visits_until_there_is_room_and_then_only_as_many_go() {
    let mut rig = Rig::new(org(10));
    let amounts = [(cost(&rig), 10)];
    assert_eq!(report(&rig, "org", None, &amounts), Reported::Counted);
    for tenant in 0..50 {
        let tenant = rig.tenant(&format!("t{tenant}"));
        rig.submit(tenant, Job::new("job").cost(2));
    }
    assert!(rig.serve().is_empty());
    let visits = |rig: &Rig| rig.engine.snapshot().workers[0].visits;
    let before = visits(&rig);
    assert!(rig.look(8).is_empty());
    assert_eq!(visits(&rig), before);
    let org = rig.engine.budget("org").unwrap();
    rig.engine.refund(org, &[(cost(&rig), 7)], Nanos::ZERO).unwrap();
    assert_eq!(rig.look(64).len(), 3);
    // Each of them once more, to find that it is empty.
    assert!(visits(&rig) <= before + 2 * 3, "{} visits", visits(&rig) - before);
    assert_eq!(rig.engine.snapshot().limits.waiting.get(&Reason::Budget), Some(&47));
}

// a refund takes back at most what was spent; T-F12: it ends a breach.
#[test]
fn a_refund_brings_the_lane_back_and_goes_to_zero_at_most() {
    let mut rig = Rig::new(org(10));
    let (acme, org, cost) = (rig.tenant("acme"), rig.engine.budget("org").unwrap(), cost(&rig));
    report(&rig, "org", None, &[(cost, 10)]);
    rig.submit(acme, Job::new("job").cost(5));
    assert!(rig.serve().is_empty());
    rig.engine.refund(org, &[(cost, 4)], Nanos::ZERO).unwrap();
    assert!(rig.serve().is_empty(), "not enough yet");
    rig.engine.refund(org, &[(cost, 1)], Nanos::ZERO).unwrap();
    assert_eq!(rig.serve(), ["job"]);
    rig.engine.refund(org, &[(cost, 1_000)], Nanos::ZERO).unwrap();
    assert_eq!(sums(&rig, "org"), (0, 0));
}

#[test]
fn a_raise_by_a_new_policy_brings_the_lane_back_and_keeps_what_was_used() {
    let mut rig = Rig::new(org(3));
    let acme = rig.tenant("acme");
    (0..6).for_each(|_| rig.submit(acme, "job"));
    assert_eq!(rig.serve().len(), 3);
    rig.engine.set_policy(org(5)).unwrap();
    assert_eq!(rig.serve().len(), 2);
    rig.engine.set_policy(org(2)).unwrap();
    assert!(rig.serve().is_empty());
    assert_eq!(row(&rig, "org").dimensions[0].debt, 3);
    rig.engine.set_policy(Policy::default()).unwrap();
    assert_eq!(rig.serve().len(), 1, "no budget, no limit");
    assert!(rig.engine.budget("org").is_none() && rig.engine.snapshot().budgets.is_empty());
}

// An organisation's budget over two tenants; A-48.
#[test]
fn tenants_share_a_budget_of_one_name() {
    let mut rig = Rig::new(drawing(&["org"], |policy| {
        let alone = Limits::default().budgets(vec!["own".to_owned()]);
        let policy = policy.budget_hard("org", "cost", 10).budget_hard("own", "cost", 10);
        policy.tenant_limits("alone", alone)
    }));
    for name in ["a", "b", "alone"] {
        let tenant = rig.tenant(name);
        (0..20).for_each(|_| rig.submit(tenant, "job"));
    }
    let held = rig.look(64);
    let of = |name| held.iter().filter(|grant| grant.tenant() == rig.tenant(name)).count();
    assert_eq!((of("a") + of("b"), of("alone")), (10, 10));
}

// Extra budgets named by a job, also of a tenant without limits; the same budget counts once.
#[test]
fn a_job_may_name_a_budget_of_its_own() {
    let mut rig = Rig::new(drawing(&[], |policy| policy.budget_hard("flow", "cost", 5)));
    let (acme, flow) = (rig.tenant("acme"), rig.engine.budget("flow").unwrap());
    (0..3).for_each(|_| rig.submit(acme, Job::new("job").cost(2).budget(flow).budget(flow)));
    let held = rig.look(8);
    assert_eq!((held.len(), sums(&rig, "flow")), (2, (0, 4)));
    assert_eq!(wait(&rig, acme).budget.as_deref(), Some("flow"));
    drop(held);
    assert_eq!(sums(&rig, "flow"), (4, 0));
    rig.submit(rig.tenant("other"), "plain");
    assert_eq!(rig.serve(), ["plain"]);
    let mut rig = Rig::new(org(5));
    let org = rig.engine.budget("org").unwrap();
    rig.submit(rig.tenant("acme"), Job::new("job").cost(2).budget(org));
    rig.serve();
    assert_eq!(sums(&rig, "org"), (2, 0));
}

#[test]
fn a_grant_settles_what_it_says_it_spent() {
    let mut rig = Rig::new(drawing(&["org"], |policy| {
        policy.budget_hard("org", "cost", 100).budget_hard("org", "total_tokens", 1_000)
    }));
    let (acme, tokens) = (rig.tenant("acme"), tokens(&rig));
    let used = |rig: &Rig| {
        let row = row(rig, "org");
        let of = |at: usize| (row.dimensions[at].used, row.dimensions[at].reserved);
        (of(0), of(1))
    };
    rig.submit(acme, Job::new("job").cost(7).spend(tokens, 600));
    let mut grant = rig.look(1).pop().unwrap();
    assert_eq!(used(&rig), ((0, 7), (0, 600)));
    grant.spent(&[(tokens, 50)]).unwrap();
    grant.spent(&[(tokens, 100)]).unwrap();
    assert_eq!(used(&rig), ((0, 7), (0, 600)), "it has not ended");
    drop(grant);
    assert_eq!(used(&rig), ((7, 0), (100, 0)));
    rig.submit(acme, Job::new("job").cost(7));
    let (_, mut receipt) = rig.look(1).pop().unwrap().split();
    receipt.spent(&[(tokens, 5_000)]).unwrap();
    receipt.settle(3);
    assert_eq!(used(&rig), ((10, 0), (5_100, 0)), "what was spent counts above the limit too");
    rig.submit(acme, "job");
    assert!(rig.serve().is_empty(), "T-F12");
    assert_eq!(wait(&rig, acme).dimension.as_deref(), Some("total_tokens"));
}

#[test]
fn a_grant_with_a_reservation_knows_how_long_its_job_waited() {
    let mut rig = Rig::new(org(10));
    rig.submit(rig.tenant("acme"), Job::new("job").not_before(Nanos(SECOND)));
    rig.at(3 * SECOND);
    let grant = rig.look(1).pop().unwrap();
    assert_eq!(grant.waited().map(|waited| waited.as_secs_f64().round()), Some(2.0));
}

/// How a grant ends.
type Way = fn(Grant<&'static str>);

// A-47, decision 10: what was reserved goes on every way out, once.
#[test]
fn a_reservation_ends_with_its_grant_on_every_way_out() {
    let mut rig = Rig::new(org(1_000));
    let acme = rig.tenant("acme");
    let ways: [(Way, u64); 6] = [
        (drop, 4),
        (Grant::complete, 4),
        (|grant| grant.settle(9), 9),
        (|grant| assert_eq!(grant.into_payload(), "job"), 4),
        (|grant| grant.split().1.settle(0), 0),
        (
            |grant| {
                let panicked = catch_unwind(AssertUnwindSafe(|| {
                    let _grant = grant;
                    panic!("a handler's own");
                }));
                assert!(panicked.is_err());
            },
            4,
        ),
    ];
    let mut used = 0;
    for (way, spent) in ways {
        rig.submit(acme, Job::new("job").cost(4));
        let grant = rig.look(8).pop().expect("there is room");
        assert_eq!(sums(&rig, "org"), (used, 4));
        way(grant);
        used += spent;
        assert_eq!(sums(&rig, "org"), (used, 0));
    }
    // A refusal by what is asked after the budget leaves nothing reserved.
    let rate = Rate::strict(1, Unit::Jobs, Duration::from_secs(60)).unwrap();
    let limits = Limits::default().rate(rate).budgets(vec!["org".to_owned()]);
    let policy = policy(|policy| {
        let policy = policy.tier("starter", Weight::ONE).tier_limits("starter", limits);
        policy.budget_hard("org", "cost", 1_000)
    });
    let mut rig = Rig::new(policy);
    let acme = rig.tenant("acme");
    (0..2).for_each(|_| rig.submit(acme, "job"));
    let _held = rig.look(8);
    assert_eq!((wait(&rig, acme).reason, sums(&rig, "org")), (Reason::Rate, (0, 1)));
}

#[test]
fn jobs_with_estimates_that_expire_or_are_handed_back_have_spent_nothing() {
    let mut rig = Rig::new(org(10));
    let (acme, tokens) = (rig.tenant("acme"), tokens(&rig));
    rig.submit(acme, Job::new("late").spend(tokens, 5).deadline(Nanos(SECOND)));
    rig.at(SECOND);
    assert!(rig.serve().is_empty());
    assert_eq!(rig.expired.lock().unwrap().len(), 1);
    (0..3).for_each(|_| rig.submit(acme, Job::new("back").cost(4).spend(tokens, 5)));
    let held = rig.look(1);
    let report = rig.engine.drain(Duration::ZERO);
    assert_eq!((report.returned.len(), report.running), (2, 1));
    assert_eq!(sums(&rig, "org"), (0, 4), "only the one that runs");
    drop(held);
    assert_eq!(sums(&rig, "org"), (4, 0));
}

// A job that fits no limit is refused at the door; one that a later policy is too narrow for waits, and says so.
#[test]
fn a_job_that_can_never_fit_is_too_wide() {
    let mut rig = Rig::new(org(10));
    let (acme, org_id, cost) = (rig.tenant("acme"), rig.engine.budget("org").unwrap(), cost(&rig));
    let wide = rig.engine.submit(acme, Job::new("wide").cost(11)).unwrap_err();
    assert_eq!(wide.reason(), Reason::TooWide);
    let other = rig.engine.tenant("free", "scale").unwrap();
    let named = rig.engine.submit(other, Job::new("wide").spend(cost, 11).budget(org_id));
    assert_eq!(named.unwrap_err().reason(), Reason::TooWide);
    rig.submit(acme, Job::new("job").cost(8));
    rig.engine.set_policy(org(5)).unwrap();
    assert!(rig.serve().is_empty());
    let wait = wait(&rig, acme);
    assert_eq!((wait.reason, wait.used, wait.limit), (Reason::TooWide, 8, 5));
    assert_eq!(wait.detail, "too wide: 8 is more than budget org has: cost 5");
    rig.engine.set_policy(org(8)).unwrap();
    assert_eq!(rig.serve(), ["job"]);
}

// T-F13, T-F28: what cannot be evaluated is refused, that job only.
#[test]
fn a_budget_that_cannot_be_evaluated_refuses_its_job_and_nobody_elses() {
    let mut rig = Rig::new(drawing(&[], |policy| policy.budget_hard("gone", "cost", 900)));
    let (acme, other, gone) =
        (rig.tenant("acme"), rig.tenant("other"), rig.engine.budget("gone").unwrap());
    rig.submit(acme, Job::new("bad").budget(gone));
    rig.engine.set_policy(drawing(&[], |policy| policy)).unwrap();
    rig.submit(other, "good");
    assert_eq!(rig.serve(), ["good"]);
    assert_eq!(wait(&rig, acme).detail, "budget gone: it cannot be evaluated");
    rig.engine.set_policy(drawing(&[], |policy| policy.budget_hard("gone", "cost", 900))).unwrap();
    assert_eq!(rig.serve(), ["bad"]);
    // More dimensions than a budget can count.
    for number in 0..31 {
        let dimension = rig.engine.dimension(&format!("d{number}")).unwrap();
        rig.submit(acme, Job::new("counted").spend(dimension, 1).budget(gone));
    }
    assert_eq!(rig.serve().len(), 31);
    let one_more = rig.engine.dimension("one-more").unwrap();
    rig.submit(acme, Job::new("bad").spend(one_more, 1).budget(gone));
    rig.submit(other, Job::new("good").budget(gone));
    assert_eq!(rig.serve(), ["good"]);
    assert_eq!(rig.engine.report(gone, None, &[(one_more, 1)]), Err(BudgetError::Dimensions));
}

#[test]
fn handles_of_another_engine_and_keys_that_cannot_be_are_refused() {
    let (rig, other) = (Rig::new(org(10)), Rig::new(org(10)));
    let (acme, theirs) = (rig.tenant("acme"), other.engine.budget("org").unwrap());
    let refused = rig.engine.submit(acme, Job::new("job").budget(theirs)).unwrap_err();
    assert_eq!(refused.reason(), Reason::Invalid);
    assert!(refused.to_string().contains("another engine"), "{refused}");
    let job = refused.into_job().spend(tokens(&other), 1);
    assert_eq!(rig.engine.submit(acme, job).unwrap_err().reason(), Reason::Invalid);
    let ours = rig.engine.budget("org").unwrap();
    assert_eq!(rig.engine.report(theirs, None, &[]), Err(BudgetError::Foreign));
    assert_eq!(
        rig.engine.refund(ours, &[(tokens(&other), 1)], Nanos::ZERO),
        Err(BudgetError::Foreign)
    );
    assert_eq!(rig.engine.report(ours, Some(""), &[]), Err(BudgetError::Key));
    for name in ["", "Total", "a b", &"x".repeat(65)] {
        assert!(rig.engine.dimension(name).is_none(), "{name:?}");
    }
    assert!(rig.engine.budget("other").is_none());
}

// Room goes on to who else may use it: the lane that was woken for it finds its rate used up.
#[test]
fn room_that_a_woken_lane_cannot_use_goes_to_the_next() {
    let rate = Rate::strict(1, Unit::Jobs, Duration::from_secs(60)).unwrap();
    let mut rig = Rig::new(drawing(&["org"], |policy| {
        let limits = Limits::default().rate(rate).budgets(vec!["org".to_owned()]);
        policy.budget_hard("org", "cost", 4).tenant_limits("rated", limits)
    }));
    let (rated, next) = (rig.tenant("rated"), rig.tenant("next"));
    rig.submit(rated, Job::new("first").cost(1));
    assert_eq!(rig.serve(), ["first"]);
    report(&rig, "org", None, &[(cost(&rig), 3)]);
    rig.at(1);
    rig.submit(rated, Job::new("rated"));
    assert!(rig.serve().is_empty());
    rig.at(2);
    rig.submit(next, Job::new("next"));
    assert!(rig.serve().is_empty());
    let org = rig.engine.budget("org").unwrap();
    rig.engine.refund(org, &[(cost(&rig), 1)], Nanos::ZERO).unwrap();
    assert_eq!(rig.serve(), ["next"]);
    assert_eq!(wait(&rig, rated).reason, Reason::Rate);
}

/// What an observer of one budget saw: grants began and ended with what they had reserved.
#[derive(Default)]
struct Watch {
    reserved: u64,
    used: u64,
    most: u64,
}

impl Watch {
    fn begin(&mut self, cost: u64) {
        self.reserved += cost;
        self.most = self.most.max(self.reserved + self.used);
    }

    fn end(&mut self, cost: u64, spent: u64) {
        self.reserved -= cost;
        self.used += spent;
    }
}

// Decision 4 under concurrency: workers on real threads never reserve past the limit together.
#[test]
fn workers_never_hold_more_than_a_budget_has() {
    use std::sync::{Arc, Mutex};
    const HARD: u64 = 3_000;
    let watch = Arc::new(Mutex::new(Watch::default()));
    let seen = Arc::clone(&watch);
    let handler = move |grant: Grant<u32>| {
        let (cost, spent) = (u64::from(grant.cost()), *grant.payload() % 3);
        seen.lock().unwrap().begin(cost);
        std::thread::yield_now();
        // Ended for the watch first: what it sees is never more than what there is.
        seen.lock().unwrap().end(cost, u64::from(spent));
        grant.settle(spent);
    };
    let engine = fairlane::Engine::builder().workers(3).policy(org(HARD)).start(handler).unwrap();
    let tenants: Vec<_> =
        (0..4).map(|k| engine.tenant(&format!("t{k}"), "starter").unwrap()).collect();
    for number in 0..4_000 {
        let tenant = tenants[number as usize % 4];
        let mut job = Job::new(number).cost(2 + number % 5);
        while let Err(refused) = engine.submit(tenant, job) {
            job = refused.into_job();
            std::thread::yield_now();
        }
    }
    let row = |engine: &fairlane::Engine<u32>| engine.snapshot().budgets[0].dimensions[0].clone();
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while engine.snapshot().running > 0 || row(&engine).used + 8 < HARD {
        assert!(std::time::Instant::now() < deadline, "stuck at {:?}", row(&engine));
        std::thread::sleep(Duration::from_millis(1));
    }
    let report = engine.drain(Duration::ZERO);
    let (row, watch) = (row(&engine), watch.lock().unwrap());
    assert!(watch.most <= HARD, "{} at once", watch.most);
    assert_eq!((row.used, row.reserved, row.debt), (watch.used, 0, 0));
    assert_eq!(report.finished + report.returned.len() as u64, 4_000, "no job is lost");
    assert!(!report.returned.is_empty(), "the budget was used up");
}

// Negative control: the watch sees a limit that is passed.
#[test]
fn the_watch_notices_what_is_held_beside_a_full_budget() {
    let mut watch = Watch::default();
    watch.begin(6);
    watch.end(6, 5);
    watch.begin(6);
    assert_eq!((watch.most, watch.used, watch.reserved), (11, 5, 6));
}
