//! Estimated waits against the waits that follow, under a clock that the tests turn.

use fairlane::{
    Accepted, Clock, Engine, Grant, Job, ManualClock, Nanos, Policy, Tenant, Weight, Worker,
};
use std::time::Duration;

const JOB: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);

struct Site {
    engine: Engine<()>,
    hand: ManualClock,
}

impl Site {
    fn new(workers: usize) -> Site {
        Site::with(workers, Policy::default())
    }

    fn with(workers: usize, policy: Policy) -> Site {
        let hand = ManualClock::new();
        let clock = Clock::Manual(hand.clone());
        let engine = Engine::builder().workers(workers).clock(clock).policy(policy);
        Site { engine: engine.build().unwrap(), hand }
    }

    fn pass(&self, time: Duration) {
        self.hand.advance(Nanos::from_duration(time));
    }

    fn tenant(&self, name: &str) -> Tenant {
        self.engine.tenant(name, "starter").unwrap()
    }

    fn submit(&self, tenant: Tenant, jobs: usize) -> Vec<Accepted> {
        (0..jobs).map(|_| self.engine.submit(tenant, Job::new(()).cost(7)).unwrap()).collect()
    }

    /// Lets each of `workers` run one job, all at the same time. `false` when there was none.
    fn step(&self, workers: &mut [Worker<()>]) -> bool {
        let grants: Vec<Grant<()>> =
            workers.iter_mut().flat_map(|worker| worker.next_batch(1)).collect();
        if !grants.is_empty() {
            self.pass(JOB);
        }
        !grants.is_empty()
    }

    /// Builds up a backlog of two tenants, and holds the estimate for the last job of one of them to
    /// within a factor of 2 of what it then waits.
    #[track_caller]
    fn assert_good_estimate(&self, workers: &mut [Worker<()>]) {
        let last = self.submit(self.tenant("acme"), 300).pop().unwrap();
        self.submit(self.tenant("umbra"), 300);
        let estimate = self.engine.estimated_wait(&last).expect("jobs have been settled");
        let before = self.hand.now();
        while self.engine.position(&last).is_some() {
            assert!(self.step(workers), "a job waits");
        }
        let waited = self.hand.now().since(before).as_duration();
        let good = waited / 2..=waited * 2;
        assert!(good.contains(&estimate), "estimated {estimate:?}, waited {waited:?}");
    }
}

fn seats(site: &Site, workers: usize) -> Vec<Worker<()>> {
    (0..workers).map(|_| site.engine.worker().unwrap()).collect()
}

/// A site of `workers` that have served some jobs and found that there are no more.
fn warm(workers: usize) -> (Site, Vec<Worker<()>>) {
    let site = Site::new(workers);
    let mut seated = seats(&site, workers);
    site.submit(site.tenant("first"), 100);
    while site.step(&mut seated) {}
    (site, seated)
}

// C-26
#[test]
fn an_idle_hour_does_not_lengthen_the_estimate() {
    for workers in [1, 3] {
        let (site, mut seated) = warm(workers);
        site.assert_good_estimate(&mut seated);
        while site.step(&mut seated) {}
        site.pass(HOUR);
        site.assert_good_estimate(&mut seated);
    }
}

#[test]
fn workers_that_look_in_vain_are_idle() {
    let (site, mut seated) = warm(2);
    for _ in 0..60 {
        site.pass(HOUR / 60);
        assert!(!site.step(&mut seated));
    }
    site.assert_good_estimate(&mut seated);
}

#[test]
fn an_hour_before_the_first_job_does_not_count() {
    let site = Site::new(1);
    site.pass(HOUR);
    let mut seated = seats(&site, 1);
    site.pass(HOUR);
    site.submit(site.tenant("first"), 50);
    while site.step(&mut seated) {}
    site.assert_good_estimate(&mut seated);
}

#[test]
fn an_empty_place_is_idle_though_its_worker_left_at_work() {
    let site = Site::new(1);
    site.submit(site.tenant("first"), 50);
    let mut seated = seats(&site, 1);
    (0..40).for_each(|_| assert!(site.step(&mut seated)));
    drop(seated);
    site.pass(HOUR);
    let mut seated = seats(&site, 1);
    while site.step(&mut seated) {}
    site.assert_good_estimate(&mut seated);
}

// A grant that runs elsewhere is work, whatever its worker finds meanwhile.
#[test]
fn a_job_that_runs_elsewhere_keeps_its_worker_busy() {
    let site = Site::new(1);
    let mut worker = site.engine.worker().unwrap();
    site.submit(site.tenant("first"), 1);
    let grant = worker.next_batch(1).next().unwrap();
    assert!(worker.next_batch(1).next().is_none());
    site.pass(JOB);
    let next = site.submit(site.tenant("second"), 1).pop().unwrap();
    assert_eq!(site.engine.estimated_wait(&next), None, "no job has been settled");
    drop(grant);
    let estimate = site.engine.estimated_wait(&next).unwrap();
    assert!((JOB..=JOB * 3).contains(&estimate), "a round of 20 units at 7 a job: {estimate:?}");
}

/// What ten tenants are: weight in tenths, and what each of their jobs costs.
const TENANTS: [(u32, u32); 10] = [
    (10, 1),
    (10, 1_000),
    (20, 40),
    (40, 7),
    (5, 3),
    (10, 300),
    (80, 20),
    (10, 90),
    (20, 2),
    (40, 150),
];
/// How long a cost unit takes.
const UNIT: Duration = Duration::from_micros(10);

/// One worker, and a tenant of every kind there is in `TENANTS`.
fn ten_tenants() -> (Site, Worker<()>, Vec<Tenant>) {
    let tier = |number: usize| format!("tier-{number}");
    let policy = (0..).zip(TENANTS).fold(Policy::builder(), |policy, (number, (tenths, _))| {
        policy.tier(tier(number), Weight::new(f64::from(tenths) / 10.0).unwrap())
    });
    let policy = policy.default_tier(tier(0)).build().unwrap();
    let site = Site::with(1, policy);
    let worker = site.engine.worker().unwrap();
    let names = (0..TENANTS.len()).map(|number| (format!("tenant-{number}"), tier(number)));
    let tenants = names.map(|(name, tier)| site.engine.tenant(&name, &tier).unwrap()).collect();
    (site, worker, tenants)
}

/// Submits jobs of the tenant `number`; the last one.
fn submit_own(site: &Site, tenants: &[Tenant], number: usize, jobs: usize) -> Accepted {
    let submit = |_| site.engine.submit(tenants[number], Job::new(()).cost(TENANTS[number].1));
    let mut accepted: Vec<Accepted> = (0..jobs).map(submit).map(Result::unwrap).collect();
    accepted.pop().expect("at least one")
}

/// Runs the next job, which takes as long as it costs. `false` when there was none.
fn run_one(site: &Site, worker: &mut Worker<()>) -> bool {
    let Some(grant) = worker.next_batch(1).next() else { return false };
    site.pass(UNIT * grant.cost());
    true
}

/// Serves twenty jobs of each tenant, so that it is known what they cost.
fn serve_some(site: &Site, worker: &mut Worker<()>, tenants: &[Tenant]) {
    for number in 0..tenants.len() {
        submit_own(site, tenants, number, 20);
    }
    while run_one(site, worker) {}
}

/// How many jobs of a tenant's come to some thirty rounds.
fn thirty_rounds(number: usize) -> usize {
    let (tenths, cost) = TENANTS[number];
    (60 * tenths / cost).max(2) as usize
}

// C-26: the cost ahead is that of the tenant's own jobs, be they a thousand times as dear as another's.
#[test]
fn estimates_are_good_for_tenants_of_unequal_weights_and_costs() {
    let (site, mut worker, tenants) = ten_tenants();
    serve_some(&site, &mut worker, &tenants);
    for asked in 0..10 {
        // The others stay backlogged for as long as it takes.
        for other in (0..10).filter(|other| *other != asked) {
            submit_own(&site, &tenants, other, 6 * thirty_rounds(other));
        }
        let last = submit_own(&site, &tenants, asked, thirty_rounds(asked));
        let estimate = site.engine.estimated_wait(&last).expect("jobs have been settled");
        let before = site.hand.now();
        while site.engine.position(&last).is_some() {
            assert!(run_one(&site, &mut worker), "a job waits");
        }
        let waited = site.hand.now().since(before).as_duration();
        let good = waited * 3 / 4..=waited * 5 / 4;
        assert!(good.contains(&estimate), "{asked}: estimated {estimate:?}, waited {waited:?}");
        while run_one(&site, &mut worker) {}
    }
}

// T-C9: what others have waiting counts.
#[test]
fn an_estimate_grows_with_the_weights_of_those_who_wait_too() {
    let (site, mut worker, tenants) = ten_tenants();
    serve_some(&site, &mut worker, &tenants);
    let last = submit_own(&site, &tenants, 0, 400);
    let alone = site.engine.estimated_wait(&last).unwrap();
    let mut quanta = TENANTS[0].0;
    for (other, (tenths, _)) in TENANTS.iter().enumerate().skip(1) {
        submit_own(&site, &tenants, other, 1);
        quanta += tenths;
        let among = site.engine.estimated_wait(&last).unwrap();
        let expected = alone * quanta / TENANTS[0].0;
        assert!(among.abs_diff(expected) < UNIT, "{among:?}, expected {expected:?}");
    }
}

// Before a tenant has been served, the engine knows only what others cost.
#[test]
fn a_new_tenant_is_taken_for_one_like_all() {
    let (site, mut worker, tenants) = ten_tenants();
    submit_own(&site, &tenants, 2, 50);
    while run_one(&site, &mut worker) {}
    let like_all = submit_own(&site, &tenants, 2, 30);
    let expected = site.engine.estimated_wait(&like_all).unwrap();
    while run_one(&site, &mut worker) {}
    let same_weight = submit_own(&site, &tenants, 8, 30);
    assert_eq!(site.engine.estimated_wait(&same_weight), Some(expected));
}
