//! What a refusal says of the limit that it is for, and a batch of its first refusal.

use crate::rig::{Rig, SECOND, at_most, caps, limited, policy};
use fairlane::{Batch, Job, Limits, PolicyBuilder, Rate, Reason, Refusal, Tenant, Unit, Weight};
use std::time::Duration;

/// Why the job was refused; a batch with it after a good one says the same.
#[track_caller]
fn why(rig: &Rig, tenant: Tenant, job: &Job<&'static str>) -> Refusal {
    let alone = rig.engine.submit(tenant, job.clone()).expect_err("a refusal");
    let batch = rig.engine.submit_batch(tenant, vec![job.clone(), Job::new("behind")]);
    assert_eq!(batch.reason, Some(alone.reason()));
    assert_eq!(batch.why(), Some(alone.why()));
    assert_eq!((batch.accepted, batch.refused.len()), (0, 2));
    alone.why().clone()
}

/// The tier `starter` with `limits`, and budgets of `cost` and of `tokens`.
fn with_budgets(limits: Limits) -> Rig {
    let budgets = |p: PolicyBuilder| {
        p.budget_hard("org", "cost", 10)
            .budget_hard("org", "tokens", 100)
            .budget_hard("flow", "tokens", 50)
    };
    Rig::new(policy(|p| budgets(p).tier("starter", Weight::ONE).tier_limits("starter", limits)))
}

#[test]
fn too_wide_for_a_rate_says_so() {
    let rate = Rate::strict(5, Unit::Cost, Duration::from_secs(1)).unwrap();
    let rig = Rig::new(limited(Limits::default().rate(rate)));
    let wide = why(&rig, rig.tenant("acme"), &Job::new("wide").cost(6));
    assert_eq!((wide.reason(), wide.current(), wide.limit()), (Reason::TooWide, Some(6), Some(5)));
    assert_eq!((wide.budget(), wide.retry_after()), (None, None));
    assert_eq!(wide.to_string(), "too wide: 6 is more than the rate's 5 at once");
}

#[test]
fn too_wide_for_a_budget_names_it_and_its_dimension() {
    let rig = with_budgets(Limits::default().budgets(vec!["org".to_owned()]));
    let acme = rig.tenant("acme");
    let tokens = rig.engine.dimension("tokens").unwrap();
    let flow = rig.engine.budget("flow").unwrap();
    let vectors = [
        (Job::new("wide").cost(11), ("org", "cost"), 11, 10),
        (Job::new("wide").spend(tokens, 101), ("org", "tokens"), 101, 100),
        (Job::new("wide").spend(tokens, 51).budget(flow), ("flow", "tokens"), 51, 50),
    ];
    for (job, (budget, dimension), amount, limit) in vectors {
        let wide = why(&rig, acme, &job);
        assert_eq!((wide.current(), wide.limit()), (Some(amount), Some(limit)));
        assert_eq!((wide.reason(), wide.budget()), (Reason::TooWide, Some((budget, dimension))));
        let text =
            format!("too wide: {amount} is more than budget {budget} has: {dimension} {limit}");
        assert_eq!(wide.to_string(), text);
    }
}

#[test]
fn too_many_classes_says_whose() {
    let rig = Rig::new(policy(|p| p.tenants_max(32)));
    let needs = |name: &str| rig.engine.requirement(&caps(name)).unwrap();
    let acme = rig.tenant("acme");
    (0..4).for_each(|k| rig.submit(acme, Job::new("own").requires(needs(&format!("own{k}")))));
    let own = why(&rig, acme, &Job::new("fifth").requires(needs("fifth")));
    assert_eq!((own.reason(), own.current(), own.limit()), {
        (Reason::TooManyClasses, Some(4), Some(4))
    });
    let text = "too many classes: jobs of 4 requirements of the tenant wait, of at most 4";
    assert_eq!(own.to_string(), text);
    for k in 4..63 {
        let tenant = rig.tenant(&format!("tenant {}", k / 4));
        rig.submit(tenant, Job::new("another").requires(needs(&format!("set{k}"))));
    }
    let all = why(&rig, rig.tenant("late"), &Job::new("more").requires(needs("more")));
    assert_eq!((all.current(), all.limit()), (None, Some(63)));
    let text = "too many classes: the engine has no place for one more beside 63 requirements, \
                or no lane for it";
    assert_eq!(all.to_string(), text);
}

#[test]
fn a_batch_that_does_not_fit_says_when_there_can_be_room() {
    let rate = Rate::strict(1, Unit::Jobs, Duration::from_secs(60)).unwrap();
    let mut rig = Rig::new(policy(|p| {
        p.default_queue_max(2)
            .tier("starter", Weight::ONE)
            .tier_limits("starter", Limits::default().rate(rate))
    }));
    let acme = rig.tenant("acme");
    let jobs = |count| vec![Job::new("job"); count];
    rig.submit(acme, "goes");
    assert_eq!(rig.look(1).len(), 1);
    rig.submit(acme, "waits");
    assert!(rig.look(1).is_empty());
    rig.at(SECOND);
    let batch: Batch<&str> = rig.engine.submit_batch(acme, jobs(3));
    let why = batch.why().expect("two did not fit");
    assert_eq!((batch.accepted, batch.refused.len()), (1, 2));
    assert_eq!((why.reason(), why.current(), why.limit()), (Reason::QueueFull, Some(2), Some(2)));
    assert_eq!(why.retry_after(), Some(Duration::from_secs(59)));
    assert_eq!(why.to_string(), "queue full: 2 of 2 jobs queued, retry in 59 s");
}

#[test]
fn a_batch_that_fits_has_no_refusal() {
    let rig = Rig::new(limited(at_most(1)));
    let batch = rig.engine.submit_batch(rig.tenant("acme"), vec![Job::new("job"); 2]);
    assert_eq!((batch.accepted, batch.reason, batch.why()), (2, None, None));
}
