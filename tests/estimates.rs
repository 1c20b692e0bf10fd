//! Estimated waits against the waits that follow, under a clock that the tests turn.

use fairlane::{Accepted, Clock, Engine, Grant, Job, ManualClock, Nanos, Tenant, Worker};
use std::time::Duration;

const JOB: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);

struct Site {
    engine: Engine<()>,
    hand: ManualClock,
}

impl Site {
    fn new(workers: usize) -> Site {
        let hand = ManualClock::new();
        let clock = Clock::Manual(hand.clone());
        let engine = Engine::builder().workers(workers).clock(clock).build().unwrap();
        Site { engine, hand }
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
