//! Several limits at once: which of them is named, what ends each wait, and what holds while clocks,
//! workers and policies come and go.

use crate::cases::config;
use crate::rig::{MS, Rig, SECOND, at_most, caps, limited, policy, wait, wait_of};
use fairlane::{
    Cap, Grant, Job, Limits, Nanos, Own, Policy, PolicyBuilder, Rate, Reason, Unit, Weight,
};
use proptest::prelude::*;
use std::time::Duration;

fn strict(most: u64, seconds: u64) -> Rate {
    Rate::strict(most, Unit::Jobs, Duration::from_secs(seconds)).expect("a rate in range")
}

fn drawing(budget: &str) -> Own<Vec<String>> {
    Own::Is(vec![budget.to_owned()])
}

/// How many jobs looks at `at` find, ended at once; the moment is the caller's word and may step back.
fn tick(rig: &mut Rig, at: u64) -> usize {
    let mut all = 0;
    loop {
        match rig.workers[0].tick(Nanos(at), 8).count() {
            0 => return all,
            some => all += some,
        }
    }
}

/// A policy under which the second job of a tenant waits for `reason`, and one under which it goes.
fn that_holds_up(reason: Reason) -> (Policy, Policy) {
    type Change = fn(PolicyBuilder) -> PolicyBuilder;
    let (tight, wide): (Change, Change) = match reason {
        Reason::Rate => (
            |p| p.tier_limits("starter", Limits::default().rate(strict(1, 60))),
            |p| p.tier_limits("starter", Limits::default().rate(strict(2, 60))),
        ),
        Reason::Concurrency => {
            (|p| p.tier_limits("starter", at_most(1)), |p| p.tier_limits("starter", at_most(2)))
        }
        Reason::TierConcurrency => (
            |p| p.tier_concurrency("starter", Cap::Grants(1)),
            |p| p.tier_concurrency("starter", Cap::Grants(2)),
        ),
        Reason::EngineConcurrency => (|p| p.concurrency(1), |p| p.concurrency(2)),
        Reason::Budget => {
            (|p| p.budget_hard("org", "cost", 1), |p| p.budget_hard("org", "cost", 2))
        }
        other => panic!("{other}"),
    };
    let whole = |change: Change| {
        let limits = Limits::default().budgets(drawing("org"));
        policy(|p| {
            let p = p.tier("starter", Weight::ONE);
            let p = match reason {
                Reason::Budget => p.tier_limits("starter", limits),
                _ => p,
            };
            change(p)
        })
    };
    (whole(tight), whole(wide))
}

// T-F18, A-90: every reason to wait has a way out, and a word that says what is waited for.
#[test]
fn every_reason_for_which_a_policy_parks_ends_with_a_wider_policy() {
    let reasons = [
        (Reason::Rate, "rate limit 1/1 jobs per 60 s window"),
        (Reason::Concurrency, "concurrency limit 1/1 in flight"),
        (Reason::TierConcurrency, "concurrency limit of the tier 1/1 in flight"),
        (Reason::EngineConcurrency, "concurrency limit of the engine 1/1 in flight"),
        (Reason::Budget, "budget org: cost 1/1, no reset"),
    ];
    for (reason, detail) in reasons {
        let (tight, wide) = that_holds_up(reason);
        let mut rig = Rig::new(tight);
        let acme = rig.tenant("acme");
        (0..2).for_each(|_| rig.submit(acme, "job"));
        let held = rig.look(1);
        assert!(rig.look(1).is_empty());
        let waits = wait(&rig, acme);
        assert_eq!((waits.reason, &*waits.detail), (reason, detail));
        let word = if reason == Reason::Budget { "budget" } else { "quota" };
        assert_eq!(waits.reason.block_reason(), Some(&*format!("waiting_for_{word}")));
        let snapshot = rig.engine.snapshot();
        assert_eq!(snapshot.limits.waiting.get(&reason), Some(&1), "{reason}");
        assert_eq!(snapshot.tenant_rows[0].waits_for, Some(reason));
        rig.engine.set_policy(wide).unwrap();
        assert_eq!(rig.look(1).len(), 1, "{reason}");
        drop(held);
        assert!(rig.engine.snapshot().limits.waiting.is_empty());
    }
}

// 0 is paused wherever it stands, says so, and is never read as unlimited.
#[test]
fn a_0_pauses_wherever_it_stands() {
    type Pause = (fn(PolicyBuilder) -> PolicyBuilder, &'static str);
    let tenants = "the tenant's concurrency";
    let nobody: [Pause; 5] = [
        (|p| p.concurrency(0), "the engine's concurrency"),
        (|p| p.tier_concurrency("starter", Cap::Grants(0)), "tier_concurrency of starter"),
        (|p| p.tier_limits("starter", at_most(0)), tenants),
        (|p| p.tenant_limits("acme", at_most(0)), tenants),
        (|p| p.tier_limits("starter", Limits::default().concurrency(Cap::Percent(0))), tenants),
    ];
    for (change, whose) in nobody {
        let mut rig = Rig::new(policy(|p| change(p.tier("starter", Weight::ONE))));
        let acme = rig.tenant("acme");
        rig.submit(acme, "job");
        assert!(rig.serve().is_empty());
        let waits = wait(&rig, acme);
        assert_eq!((waits.reason, waits.reason.block_reason()), {
            (Reason::Paused, Some("paused_by_policy"))
        });
        assert_eq!(waits.detail, format!("paused: {whose} is 0"));
        assert_eq!(rig.engine.snapshot().limits.waiting.get(&Reason::Paused), Some(&1));
        rig.engine.set_policy(limited(Limits::default())).unwrap();
        assert_eq!(rig.serve(), ["job"]);
    }
}

// The order of the decision: due, budget, rate, concurrency; each is named until it is out of the way.
#[test]
fn the_first_limit_in_the_order_of_the_decision_is_named() {
    let limits =
        Limits::default().rate(strict(1, 60)).concurrency(Cap::Grants(1)).budgets(drawing("org"));
    let mut rig = Rig::new(policy(|p| {
        let p = p.tier("starter", Weight::ONE).tier_limits("starter", limits);
        p.budget_hard("org", "cost", 2).budget_reset("org", Duration::from_secs(30))
    }));
    let acme = rig.tenant("acme");
    rig.submit(acme, "first");
    let held = rig.look(1);
    // Beside what the first job holds until it ends.
    let (org, cost) = (rig.engine.budget("org").unwrap(), rig.engine.dimension("cost").unwrap());
    rig.engine.report(org, None, &[(cost, 1)]).unwrap();
    rig.submit(acme, Job::new("second").delay(Duration::from_secs(20)));
    for (reason, from, until) in [
        (Reason::NotDue, 0, Some(20)),
        (Reason::Budget, 20, Some(30)),
        (Reason::Rate, 30, Some(60)),
        (Reason::Concurrency, 60, None),
    ] {
        rig.at(from * SECOND);
        assert!(rig.look(1).is_empty());
        let waits = wait(&rig, acme);
        let until = until.map(|until: u64| Nanos(until * SECOND));
        assert_eq!((waits.reason, waits.eligible_at), (reason, until));
        assert_eq!(waits.since, Nanos(from * SECOND), "{reason}: since it waits for that");
    }
    drop(held);
    assert_eq!(rig.serve(), ["second"]);
}

// The earliest of deadline, job's, tier's and engine's longest wait; each counts from the due moment.
#[test]
fn the_earliest_of_all_deadlines_holds() {
    let mut rig = Rig::new(policy(|p| {
        let p = p.tier("starter", Weight::ONE).max_wait(Duration::from_secs(10));
        p.tier_limits("starter", Limits::default().max_wait(Duration::from_secs(4)))
            .tenant_limits("lifted", Limits::default().max_wait(Own::Lift))
    }));
    let (acme, lifted) = (rig.tenant("acme"), rig.tenant("lifted"));
    let wait = |name, seconds| Job::new(name).max_wait(Duration::from_secs(seconds));
    rig.submit(acme, wait("job's, 1 s", 1));
    rig.submit(acme, Job::new("deadline, 2 s").deadline(Nanos(2 * SECOND)));
    rig.submit(acme, wait("tier's, 4 s", 9));
    rig.submit(acme, Job::new("due and tier's, 7 s").not_before(Nanos(3 * SECOND)));
    rig.submit(lifted, wait("engine's, 10 s", 20));
    let told = |rig: &Rig| rig.expired.lock().unwrap().last().map(|(job, _)| *job);
    for (name, at) in [
        ("job's, 1 s", 1),
        ("deadline, 2 s", 2),
        ("tier's, 4 s", 4),
        ("due and tier's, 7 s", 7),
        ("engine's, 10 s", 10),
    ] {
        let before = rig.expired.lock().unwrap().len();
        let _ = rig.workers[0].tick(Nanos(at * SECOND - 1), 0).count();
        assert_eq!(rig.expired.lock().unwrap().len(), before, "{name}: not a moment before");
        let _ = rig.workers[0].tick(Nanos(at * SECOND), 0).count();
        assert_eq!(told(&rig), Some(name));
    }
    assert_eq!(rig.engine.snapshot().depth, 0);
}

// Due times count in the delays that a snapshot shows, not only in the grant: jobs due 1 to 20 s before they
// go have waited 1 to 20 s, whenever they were submitted.
#[test]
fn delays_of_due_jobs_are_measured_from_their_due_moments() {
    const JOBS: u64 = 20;
    let mut rig = Rig::new(Policy::default());
    let acme = rig.tenant("acme");
    for wait in 1..=JOBS {
        let due = Nanos((100 - wait) * SECOND);
        rig.submit(acme, Job::new("due").not_before(due));
    }
    assert!(rig.serve().is_empty(), "none is due");
    rig.at(100 * SECOND);
    assert_eq!(rig.serve().len(), JOBS as usize);
    // A moment that is past when the job comes is no due moment: this one waits 4 s.
    rig.submit(acme, Job::new("past").not_before(Nanos(SECOND)));
    rig.at(104 * SECOND);
    assert_eq!(rig.serve(), ["past"]);
    rig.workers.clear();
    let snapshot = rig.engine.snapshot();
    let starter = snapshot.tiers.iter().find(|row| row.tier == "starter").unwrap();
    let delay = starter.queue_delay;
    assert_eq!(delay.count, JOBS + 1);
    let about = |ns: u64, seconds| ns.abs_diff(seconds * SECOND) <= seconds * SECOND / 50;
    // Nearest rank: of 21 samples the 11th, the 20th and the 21st.
    assert!(
        about(delay.p50_ns, 10) && about(delay.p95_ns, 19) && about(delay.max_ns, 20),
        "{delay:?}"
    );
}

// Deadlines also hold for jobs that nobody here can run; their class and their place come free.
#[test]
fn jobs_without_a_capable_worker_expire_and_free_their_class() {
    for by_tier in [false, true] {
        let tiers = Limits::default().max_wait(Duration::from_millis(5));
        let mut rig = Rig::new(if by_tier { limited(tiers) } else { Policy::default() });
        let acme = rig.tenant("acme");
        for k in 0..4 {
            let needs = rig.engine.requirement(&caps(&format!("gpu{k}"))).unwrap();
            let job = Job::new("late").requires(needs);
            let job = if by_tier { job } else { job.deadline(Nanos(5 * MS)) };
            rig.submit(acme, job);
        }
        let fifth = rig.engine.requirement(&caps("tpu")).unwrap();
        let refused = rig.engine.submit(acme, Job::new("no class").requires(fifth)).unwrap_err();
        assert_eq!(refused.reason(), Reason::TooManyClasses);
        rig.at(5 * MS - 1);
        assert!(rig.serve().is_empty());
        assert!(rig.expired.lock().unwrap().is_empty());
        rig.at(5 * MS);
        assert!(rig.serve().is_empty());
        assert_eq!(rig.expired.lock().unwrap().len(), 4);
        let snapshot = rig.engine.snapshot();
        assert_eq!((snapshot.depth, snapshot.expired, snapshot.accepted), (0, 4, 4));
        rig.submit(acme, Job::new("class").requires(fifth));
    }
}

// A-34, T-F14: with the last capable worker gone the jobs wait and say why; the next one finds them.
#[test]
fn a_class_waits_for_the_next_worker_when_its_last_one_leaves() {
    let mut rig = Rig::new(Policy::default());
    rig.workers.pop();
    let (acme, gpu) = (rig.tenant("acme"), rig.engine.requirement(&caps("gpu")).unwrap());
    let mut able = rig.engine.worker_with(caps("gpu")).unwrap();
    (0..3).for_each(|_| rig.submit(acme, Job::new("job").requires(gpu)));
    assert_eq!(able.next_batch(1).count(), 1);
    assert!(rig.engine.snapshot().limits.waiting.is_empty());
    drop(able);
    assert!(rig.serve().is_empty());
    let branches = rig.engine.explain(acme).unwrap().branches;
    assert_eq!(wait_of(branches[0].standing.clone()).reason, Reason::NoCapableWorker);
    let mut next = rig.engine.worker_with(caps("gpu,more")).unwrap();
    assert_eq!(next.next_batch(8).count(), 2);
}

// B-20: at most 2 of a tenant among the 4 that are selected, in order: A1 A2 A3 B1 B2 -> A1 A2 B1 B2.
#[test]
fn a_tenants_cap_leaves_room_in_the_selection_for_the_next_tenant() {
    let mut rig = Rig::new(policy(|p| {
        p.concurrency(4).tier("starter", Weight::ONE).tier_limits("starter", at_most(2))
    }));
    let (a, b) = (rig.tenant("a"), rig.tenant("b"));
    ["A1", "A2", "A3"].into_iter().for_each(|job| rig.submit(a, job));
    ["B1", "B2"].into_iter().for_each(|job| rig.submit(b, job));
    let mut held = Vec::new();
    while held.len() < 4 {
        let some = rig.look(4);
        assert!(!some.is_empty(), "{} of 4 selected", held.len());
        held.extend(some);
    }
    let order: Vec<_> = held.iter().map(|grant| *grant.payload()).collect();
    assert_eq!(order, ["A1", "A2", "B1", "B2"]);
    assert!(rig.look(4).is_empty());
}

// B-5, T-Z3: a small cap does not leave a run under-filled, nor let a burst starve small tenants.
#[test]
fn a_small_cap_on_a_hot_tenant_leaves_the_capacity_to_the_small_ones() {
    let mut rig = Rig::new(policy(|p| {
        p.concurrency(20).tier("starter", Weight::ONE).tier_limits("starter", at_most(2))
    }));
    let hot = rig.tenant("hot");
    (0..1_000).for_each(|_| rig.submit(hot, "hot"));
    let small: Vec<_> = (0..10).map(|k| rig.tenant(&format!("small-{k}"))).collect();
    for tenant in &small {
        (0..2).for_each(|_| rig.submit(*tenant, "small"));
    }
    let held: Vec<_> = (0..4).flat_map(|_| rig.look(64)).collect();
    let of = |name| held.iter().filter(|grant| *grant.payload() == name).count();
    assert_eq!((of("hot"), of("small")), (2, 18), "all 20 slots are used");
}

// T-Z4: quotas are the engine's: not multiplied by workers, not lost with the last one.
#[test]
fn limits_outlive_the_workers_and_are_not_theirs() {
    let limits = Limits::default().rate(strict(4, 60)).concurrency(Cap::Grants(3));
    let mut rig = Rig::new(limited(limits));
    let acme = rig.tenant("acme");
    (0..20).for_each(|_| rig.submit(acme, "job"));
    let mut held: Vec<Grant<_>> = rig.workers[0].next_batch(2).collect();
    held.extend(rig.workers[1].next_batch(8));
    assert_eq!(held.len(), 3);
    rig.workers.clear();
    rig.workers.push(rig.engine.worker().unwrap());
    assert!(rig.look(8).is_empty(), "three are still out");
    held.clear();
    held.extend(rig.look(8));
    assert_eq!(held.len(), 1, "the fourth of this minute");
    assert_eq!(wait(&rig, acme).detail, "rate limit 4/4 jobs per 60 s window");
    rig.at(60 * SECOND);
    assert_eq!(rig.look(8).len(), 2, "one is still out");
}

// A clock that stands, steps back or jumps never issues more, whatever the limit.
#[test]
fn moments_that_stand_step_back_or_jump_issue_no_more() {
    let smooth = Rate::smooth(2, Unit::Jobs, Duration::from_secs(1), 2).unwrap();
    for rate in [strict(2, 1), smooth] {
        let limits = Limits::default().rate(rate).budgets(drawing("org"));
        let mut rig = Rig::new(policy(|p| {
            let p = p.tier("starter", Weight::ONE).tier_limits("starter", limits);
            p.budget_hard("org", "cost", 3).budget_reset("org", Duration::from_secs(10))
        }));
        let acme = rig.tenant("acme");
        (0..40).for_each(|_| rig.submit(acme, "job"));
        let seconds = [
            (5, 2, "the rate"),
            (5, 0, "it stands"),
            (0, 0, "it steps back"),
            (1, 0, "and goes on from there"),
            (6, 1, "the budget has one more"),
            (0, 0, "back before the period"),
            (9, 0, "and forth in it"),
            (1_000_000, 2, "one period, not 100,000 of them"),
            (10, 0, "back to the end of the first"),
            (1_000_000, 0, "and forth again"),
            (1_000_001, 1, "the rest of the budget"),
            (18_000_000_000, 2, "the end of time"),
            (0, 0, "and its beginning"),
        ];
        for (at, granted, why) in seconds {
            assert_eq!(tick(&mut rig, at * SECOND), granted, "{why}, at {at} s, {rate:?}");
        }
    }
}

// Neither does it bring back what has expired, nor what was due.
#[test]
fn what_was_due_or_has_expired_stays_so_when_the_clock_steps_back() {
    let mut rig = Rig::new(Policy::default());
    let acme = rig.tenant("acme");
    for (due, deadline) in [(5, 20), (5, 8)] {
        let job = Job::new("job").not_before(Nanos(due * SECOND));
        rig.submit(acme, job.deadline(Nanos(deadline * SECOND)));
    }
    assert_eq!(rig.workers[0].tick(Nanos(4 * SECOND), 8).count(), 0);
    assert_eq!(rig.workers[0].tick(Nanos(8 * SECOND), 8).count(), 1);
    assert_eq!(rig.expired.lock().unwrap().len(), 1);
    assert_eq!(rig.workers[0].tick(Nanos(0), 8).count(), 0);
    assert_eq!(rig.workers[1].tick(Nanos(6 * SECOND), 8).count(), 0);
    assert_eq!(rig.engine.snapshot().depth, 0);
}

// What has been let go counts, also after a policy in between without the limit.
#[test]
fn a_window_survives_a_policy_that_does_not_have_it() {
    let metered = || limited(Limits::default().rate(strict(3, 60)));
    let mut rig = Rig::new(metered());
    let acme = rig.tenant("acme");
    (0..10).for_each(|_| rig.submit(acme, "job"));
    assert_eq!(rig.serve().len(), 3);
    rig.engine.set_policy(limited(Limits::default())).unwrap();
    assert_eq!(rig.look(1).len(), 1);
    rig.engine.set_policy(metered()).unwrap();
    assert!(rig.serve().is_empty());
    rig.at(60 * SECOND);
    assert_eq!(rig.serve().len(), 3);
}

// Grants in flight under one limit count under the next.
#[test]
fn slots_survive_a_policy_with_other_limits() {
    let mut rig = Rig::new(limited(at_most(5)));
    let acme = rig.tenant("acme");
    (0..20).for_each(|_| rig.submit(acme, "job"));
    let mut held = rig.look(8);
    assert_eq!(held.len(), 5);
    let percent = policy(|p| {
        let half = Limits::default().concurrency(Cap::Percent(50));
        p.concurrency(8).tier("starter", Weight::ONE).tier_limits("starter", half)
    });
    rig.engine.set_policy(percent).unwrap();
    for left in [4, 3] {
        assert!(rig.look(8).is_empty());
        held.pop();
        assert_eq!(held.len(), left);
    }
    held.extend(rig.look(8));
    assert_eq!(held.len(), 4, "half of 8");
}

// The preset of system B: 64 for everybody; being eligible is not being promoted (B-2, B-3, B-4).
#[test]
fn the_preset_lets_64_go_and_eligibility_alone_promotes_nobody() {
    let mut rig = Rig::new(policy(|p| {
        let p = p.tier("starter", Weight::ONE).tier_limits("starter", Limits::workspaces());
        p.tenant_high_quota_eligible("chosen", true)
    }));
    for name in ["ordinary", "chosen"] {
        let tenant = rig.tenant(name);
        (0..120).for_each(|_| rig.submit(tenant, "job"));
        let held: Vec<_> = (0..4).flat_map(|_| rig.look(200)).collect();
        assert_eq!(held.len(), 64, "{name}");
        assert_eq!(wait(&rig, tenant).detail, "concurrency limit 64/64 in flight");
        let _ = rig.serve();
        drop(held);
        rig.serve();
    }
}

// A parked lane still expires its jobs, and takes the more urgent first when its slot comes.
#[test]
fn a_parked_lane_keeps_deadlines_and_priorities() {
    let mut rig = Rig::new(limited(at_most(1)));
    let acme = rig.tenant("acme");
    rig.submit(acme, "runs");
    let held = rig.look(1);
    rig.submit(acme, Job::new("ordinary").priority(1));
    rig.submit(acme, Job::new("late").priority(1).deadline(Nanos(5 * MS)));
    assert!(rig.look(1).is_empty());
    rig.submit(acme, Job::new("urgent").priority(9_000));
    rig.at(5 * MS);
    assert!(rig.look(1).is_empty());
    assert_eq!(rig.expired.lock().unwrap().len(), 1);
    drop(held);
    assert_eq!(rig.serve(), ["urgent", "ordinary"]);
}

// Any 16 picks in a row, wherever they begin, and with every band full.
#[test]
fn the_lowest_band_is_among_any_sixteen_picks_of_a_lane() {
    let mut rig = Rig::new(Policy::default());
    let acme = rig.tenant("acme");
    for (name, priority) in [("0", 9_000), ("1", 7_999), ("2", 5_999), ("low", 2_999)] {
        (0..200).for_each(|_| rig.submit(acme, Job::new(name).priority(priority)));
    }
    let served = rig.serve();
    let without = served[..400].windows(16).position(|picks| !picks.contains(&"low"));
    assert_eq!(without, None, "the first of 16 picks without the lowest band");
    let of = |name| served[..160].iter().filter(|job| **job == name).count();
    assert_eq!(of("low"), 10);
    assert!(of("1") >= 8 && of("2") >= 8, "one of any 16 + n, for n lower bands");
}

proptest! {
    #![proptest_config(config(300))]

    /// The moment that `explain` names is that of the next grant, or of the next limit's turn, whichever of
    /// due time, budget and rate it comes from.
    #[test]
    fn named_moments_hold_with_several_limits(
        most in 1u64..6, per in 1u64..30, hard in 1u64..12, reset in 1u64..40,
        jobs in prop::collection::vec((1u32..4, 0u64..20, 0u64..5), 1..25),
    ) {
        let limits = Limits::default().rate(strict(most, per)).budgets(drawing("org"));
        let mut rig = Rig::new(policy(|p| {
            let p = p.tier("starter", Weight::ONE).tier_limits("starter", limits);
            p.budget_hard("org", "cost", hard.max(4)).budget_reset("org", Duration::from_secs(reset))
        }));
        let acme = rig.tenant("acme");
        let mut now = 0;
        for (cost, delay, gap) in jobs {
            now += gap * SECOND;
            rig.at(now);
            rig.submit(acme, Job::new("job").cost(cost).delay(Duration::from_secs(delay)));
            rig.serve();
        }
        let mut steps = 0;
        while rig.engine.snapshot().depth > 0 {
            steps += 1;
            prop_assert!(steps < 500, "it does not end");
            let moment = wait(&rig, acme).eligible_at.expect("all of them have a moment");
            prop_assert!(moment > Nanos(now));
            rig.at(moment.0 - 1);
            prop_assert!(rig.serve().is_empty(), "granted before {moment:?}");
            rig.at(moment.0);
            let served = rig.serve();
            now = moment.0;
            if served.is_empty() {
                prop_assert!(wait(&rig, acme).eligible_at > Some(moment), "nothing at {moment:?}");
            }
        }
    }
}
