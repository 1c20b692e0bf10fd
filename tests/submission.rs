//! What a submission is charged, and what observers are told of it.

use fairlane::{
    Capabilities, Cost, Engine, Job, KindCost, Observer, Policy, SetPolicyError, Tenant, Worker,
};
use std::ops::Range;
use std::sync::{Arc, Mutex};

fn fixed(cost: u32) -> KindCost {
    KindCost::Fixed(Cost::new(cost).unwrap())
}

fn passive(policy: Policy) -> Engine<u32> {
    Engine::builder().workers(1).policy(policy).build().unwrap()
}

/// What the next job is charged.
fn charged(worker: &mut Worker<u32>) -> u32 {
    worker.next_batch(1).next().expect("a job waits").cost()
}

// T-C3, B-20: the policy says what a kind of job costs, or leaves it to the job.
#[test]
fn a_job_of_a_kind_is_charged_what_the_policy_says() {
    let costs = |verify, batch| {
        Policy::builder().cost("verify", verify).cost("batch", batch).build().unwrap()
    };
    let engine = passive(costs(fixed(3), KindCost::Size));
    let acme = engine.tenant("acme", "starter").unwrap();
    let [verify, batch] = ["verify", "batch"].map(|name| engine.kind(name).unwrap());
    let mut worker = engine.worker().unwrap();
    let mut charge = |job: Job<u32>| {
        let _ = engine.submit(acme, job.clone()).unwrap();
        let alone = charged(&mut worker);
        assert_eq!(engine.submit_batch(acme, vec![job]).accepted, 1);
        assert_eq!(charged(&mut worker), alone, "in a batch");
        alone
    };
    assert_eq!(charge(Job::new(0).kind(verify)), 3);
    assert_eq!(charge(Job::new(0).cost(7).kind(verify)), 3, "whatever the job says");
    assert_eq!(charge(Job::new(0).kind(batch)), 1);
    assert_eq!(charge(Job::new(0).cost(7).kind(batch)), 7);
    engine.set_policy(costs(KindCost::Size, fixed(40))).unwrap();
    assert_eq!(charge(Job::new(0).cost(7).kind(verify)), 7, "the handle stays good");
    assert_eq!(charge(Job::new(0).cost(7).kind(batch)), 40);
    engine.set_policy(Policy::default()).unwrap();
    assert_eq!(charge(Job::new(0).cost(7).kind(batch)), 7, "no policy says anything else");
}

#[test]
fn a_job_that_waits_keeps_the_cost_of_its_submission() {
    let cost = |units| Policy::builder().cost("verify", fixed(units)).build().unwrap();
    let engine = passive(cost(3));
    let acme = engine.tenant("acme", "starter").unwrap();
    let verify = engine.kind("verify").unwrap();
    let _ = engine.submit(acme, Job::new(0).kind(verify)).unwrap();
    engine.set_policy(cost(5)).unwrap();
    let _ = engine.submit(acme, Job::new(1).kind(verify)).unwrap();
    let mut worker = engine.worker().unwrap();
    assert_eq!([charged(&mut worker), charged(&mut worker)], [3, 5]);
}

#[test]
fn an_engine_knows_1024_kinds_over_its_life_and_says_when_there_would_be_more() {
    let kinds = |numbers: Range<u32>| {
        let add = |policy: fairlane::PolicyBuilder, k| policy.cost(format!("kind-{k}"), fixed(2));
        numbers.fold(Policy::builder(), add).build().unwrap()
    };
    let engine = passive(kinds(0..256));
    for first in [256, 512, 768] {
        engine.set_policy(kinds(first..first + 256)).unwrap();
    }
    let before = engine.policy();
    let error = engine.set_policy(kinds(1_022..1_026)).unwrap_err();
    assert_eq!(error, SetPolicyError::TooManyKinds { kinds: 1_026, most: 1_024 });
    assert_eq!(
        error.to_string(),
        "costs: the engine would have known 1026 kinds of jobs, \
         those that are gone included, of at most 1024"
    );
    assert_eq!(engine.policy(), before, "the old one stays, whole");
    assert_eq!(engine.kind("kind-1024"), None);
    engine.set_policy(kinds(0..256)).expect("names that come back keep their numbers");
    let acme = engine.tenant("acme", "starter").unwrap();
    let _ = engine.submit(acme, Job::new(0).kind(engine.kind("kind-7").unwrap())).unwrap();
    assert_eq!(charged(&mut engine.worker().unwrap()), 2);
}

/// Who submitted, and how many jobs waited then.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<(Tenant, u32)>>>);

impl Observer for Notes {
    fn enqueued(&self, tenant: Tenant, depth: u32) {
        self.0.lock().unwrap().push((tenant, depth));
    }
}

impl Notes {
    /// The depths told since the last call, all of `tenant`.
    fn take(&self, tenant: Tenant) -> Vec<u32> {
        let told = std::mem::take(&mut *self.0.lock().unwrap());
        assert!(told.iter().all(|(whose, _)| *whose == tenant));
        told.into_iter().map(|(_, depth)| depth).collect()
    }
}

fn observed() -> (Engine<u32>, Notes, Tenant) {
    let notes = Notes::default();
    let engine = Engine::builder().workers(2).observer(notes.clone()).build().unwrap();
    let acme = engine.tenant("acme", "starter").unwrap();
    (engine, notes, acme)
}

#[test]
fn an_observer_is_told_of_every_job_with_the_depth_up_to_it() {
    let (engine, notes, acme) = observed();
    let mut worker = engine.worker().unwrap();
    for job in 0..3 {
        let _ = engine.submit(acme, job).unwrap();
    }
    assert_eq!(notes.take(acme), [1, 2, 3]);
    assert_eq!(worker.next_batch(2).count(), 2);
    let _ = engine.submit(acme, Job::new(3).priority(9_000)).unwrap();
    assert_eq!(notes.take(acme), [2]);
    let other = engine.tenant("other", "starter").unwrap();
    let _ = engine.submit(other, 0).unwrap();
    assert_eq!(notes.take(other), [1]);
}

// Many more than one reservation takes.
#[test]
fn an_observer_is_told_of_every_job_of_a_batch() {
    let (engine, notes, acme) = observed();
    let _ = engine.submit(acme, 0).unwrap();
    assert_eq!(notes.take(acme), [1]);
    let mut jobs: Vec<_> = (0..150).map(Job::new).collect();
    jobs[70] = Job::new(70).priority(9_000);
    assert_eq!(engine.submit_batch(acme, jobs).accepted, 150);
    assert_eq!(notes.take(acme), (2..=151).collect::<Vec<_>>());
    let refused = vec![Job::new(0), Job::new(1).cost(0), Job::new(2)];
    assert_eq!(engine.submit_batch(acme, refused).accepted, 1);
    assert_eq!(notes.take(acme), [152], "refused jobs were not enqueued");
}

#[test]
fn jobs_with_a_requirement_count_in_the_depth() {
    let (engine, notes, acme) = observed();
    let gpu: Capabilities = "gpu".parse().unwrap();
    let gpu = engine.requirement(&gpu).unwrap();
    let _ = engine.submit(acme, 0).unwrap();
    let _ = engine.submit(acme, Job::new(1).requires(gpu)).unwrap();
    let _ = engine.submit(acme, Job::new(2).requires(gpu)).unwrap();
    let _ = engine.submit(acme, 3).unwrap();
    assert_eq!(notes.take(acme), [1, 2, 3, 4]);
}

// A set that the engine knows is always found; there is no room for the 4,097th, the empty one included.
#[test]
fn an_engine_remembers_4096_requirements() {
    let engine = passive(Policy::default());
    let set = |number: u32| format!("set-{number}").parse::<Capabilities>().unwrap();
    let first = engine.requirement(&set(0)).unwrap();
    for number in 1..4_095 {
        assert!(engine.requirement(&set(number)).is_some(), "{number}");
    }
    assert_eq!(engine.requirement(&set(4_095)), None);
    assert_eq!(engine.requirement(&set(0)), Some(first));
    assert!(engine.requirement(&Capabilities::default()).is_some());
}
