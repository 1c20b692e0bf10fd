//! What a drained engine says of the jobs that it hands back.

use fairlane::{
    Cap, Capabilities, Clock, Cost, Engine, Job, KindCost, Limits, ManualClock, Nanos, Policy,
    Reason, Returned,
};
use std::time::Duration;

const SECOND: u64 = 1_000_000_000;

/// Tenants of the tier `paused` get no grant.
fn policy() -> Policy {
    let paused = Limits::default().concurrency(Cap::Grants(0));
    Policy::builder()
        .tier("starter", fairlane::Weight::ONE)
        .tier("paused", fairlane::Weight::ONE)
        .tier_limits("paused", paused)
        .budget_hard("flow", "tokens", 900)
        .budget_hard("other", "tokens", 900)
        .cost("sign", KindCost::Fixed(Cost::new(3).unwrap()))
        .build()
        .unwrap()
}

struct Site {
    engine: Engine<u32>,
    clock: ManualClock,
}

impl Site {
    fn new(policy: Policy) -> Site {
        Site::with(policy, &ManualClock::new())
    }

    fn with(policy: Policy, clock: &ManualClock) -> Site {
        let timed = Engine::builder().clock(Clock::Manual(clock.clone())).policy(policy);
        Site { engine: timed.workers(2).build().unwrap(), clock: clock.clone() }
    }

    fn submit(&self, tier: &str, jobs: &[Job<u32>]) {
        let tenant = self.engine.tenant(&format!("of {tier}"), tier).unwrap();
        for job in jobs {
            let _ = self.engine.submit(tenant, job.clone()).unwrap();
        }
    }

    /// One job with each term that a job can have, and one with all of them.
    fn jobs(&self) -> Vec<Job<u32>> {
        let gpu: Capabilities = "gpu".parse().unwrap();
        let gpu = self.engine.requirement(&gpu).unwrap();
        // Budgets come back in an order of their own.
        let mut budgets = ["flow", "other"].map(|name| self.engine.budget(name).unwrap());
        budgets.sort_unstable();
        let [flow, other] = budgets;
        let tokens = self.engine.dimension("tokens").unwrap();
        let job = Job::new;
        vec![
            job(0),
            job(1).cost(7),
            job(2).priority(7_001),
            job(3).not_before(Nanos(10 * SECOND)),
            job(4).deadline(Nanos(20 * SECOND)),
            job(5).requires(gpu),
            job(6).budget(flow).budget(other),
            job(7).spend(tokens, 5).budget(other),
            job(8)
                .cost(9)
                .priority(3_000)
                .not_before(Nanos(11 * SECOND))
                .deadline(Nanos(12 * SECOND))
                .requires(gpu)
                .spend(tokens, 6)
                .budget(flow),
        ]
    }

    /// The jobs that a drain hands back, by number.
    fn drained(&self) -> Vec<Job<u32>> {
        let returned = self.engine.drain(Duration::ZERO).returned;
        let mut jobs: Vec<_> = returned.into_iter().map(|back: Returned<u32>| back.job).collect();
        jobs.sort_by_key(|job| *job.payload());
        jobs
    }
}

/// Has workers that can run everything look at what waits; what they are granted, as numbers.
fn look(site: &Site) -> Vec<u32> {
    let mut worker = site.engine.worker_with("gpu".parse().unwrap()).unwrap();
    let mut granted = Vec::new();
    loop {
        let some: Vec<u32> = worker.next_batch(64).map(|grant| *grant.payload()).collect();
        if some.is_empty() {
            return granted;
        }
        granted.extend(some);
    }
}

#[test]
fn jobs_that_nobody_has_looked_at_come_back_as_they_were() {
    let site = Site::new(policy());
    let jobs = site.jobs();
    site.submit("starter", &jobs);
    assert_eq!(site.drained(), jobs);
}

#[test]
fn parked_jobs_come_back_as_they_were() {
    let site = Site::new(policy());
    let jobs = site.jobs();
    site.submit("paused", &jobs);
    assert!(look(&site).is_empty());
    assert_eq!(site.drained(), jobs);
}

#[test]
fn jobs_set_aside_come_back_as_they_were() {
    let site = Site::new(policy());
    let later = |job: Job<u32>| job.not_before(Nanos(30 * SECOND)).deadline(Nanos(40 * SECOND));
    let jobs: Vec<_> = site.jobs().into_iter().map(later).collect();
    site.submit("starter", &jobs);
    assert!(look(&site).is_empty(), "none is due");
    assert_eq!(site.drained(), jobs);
}

// Barred jobs: those that no limit will ever let go.
#[test]
fn barred_jobs_come_back_as_they_were() {
    let site = Site::new(policy());
    let jobs: Vec<_> = site.jobs().drain(6..8).collect();
    site.submit("starter", &jobs);
    let without = Policy::builder().tier("starter", fairlane::Weight::ONE).build().unwrap();
    site.engine.set_policy(without).unwrap();
    assert!(look(&site).is_empty());
    assert_eq!(site.drained(), jobs);
}

// More than are handed back at a time, of several tenants.
#[test]
fn every_job_comes_back_with_its_own_terms() {
    let site = Site::new(policy());
    let term = |number: u32| match number % 5 {
        0 => Job::new(number).deadline(Nanos(SECOND + u64::from(number))),
        1 => Job::new(number).priority(number as i32),
        _ => Job::new(number).cost(1 + number % 7),
    };
    let jobs: Vec<_> = (0..5_000).map(term).collect();
    for (at, job) in jobs.iter().enumerate() {
        let tenant = site.engine.tenant(&format!("tenant {}", at % 3), "starter").unwrap();
        let _ = site.engine.submit(tenant, job.clone()).unwrap();
    }
    assert_eq!(site.drained(), jobs);
}

#[test]
fn what_was_stated_as_a_time_comes_back_as_a_moment() {
    let limits = Limits::default().max_wait(Duration::from_secs(60));
    let timely = Policy::builder()
        .tier("starter", fairlane::Weight::ONE)
        .tier_limits("starter", limits)
        .cost("sign", KindCost::Fixed(Cost::new(3).unwrap()))
        .build()
        .unwrap();
    let site = Site::new(timely);
    let sign = site.engine.kind("sign").unwrap();
    site.clock.advance_to(Nanos(5 * SECOND));
    let (ten, two) = (Duration::from_secs(10), Duration::from_secs(2));
    let jobs = [
        Job::new(0).delay(ten).max_wait(two),
        Job::new(1).kind(sign),
        Job::new(2).not_before(Nanos(7 * SECOND)),
    ];
    site.submit("starter", &jobs);
    site.clock.advance_to(Nanos(8 * SECOND));
    let moments = [
        Job::new(0).not_before(Nanos(15 * SECOND)).deadline(Nanos(17 * SECOND)),
        Job::new(1).cost(3).deadline(Nanos(65 * SECOND)),
        Job::new(2).deadline(Nanos(67 * SECOND)),
    ];
    assert_eq!(site.drained(), moments);
}

// A job that is not due when it comes back is not due either where it goes.
#[test]
fn a_job_that_goes_to_the_next_engine_keeps_its_moments() {
    let site = Site::new(policy());
    let job = Job::new(1).delay(Duration::from_secs(10)).deadline(Nanos(11 * SECOND));
    site.submit("starter", &[job]);
    site.clock.advance_to(Nanos(4 * SECOND));
    let next = Site::with(policy(), &site.clock);
    next.submit("starter", &site.drained());
    site.clock.advance_to(Nanos(10 * SECOND - 1));
    assert!(look(&next).is_empty());
    site.clock.advance_to(Nanos(10 * SECOND));
    assert_eq!(look(&next), [1]);
}

#[test]
fn a_job_is_not_run_elsewhere_as_if_it_required_nothing() {
    let site = Site::new(policy());
    site.submit("starter", &site.jobs()[5..7]);
    let next = Site::new(policy());
    let tenant = next.engine.tenant("acme", "starter").unwrap();
    for job in site.drained() {
        assert_eq!(next.engine.submit(tenant, job).unwrap_err().reason(), Reason::Invalid);
    }
}
