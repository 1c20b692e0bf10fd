//! Every refusal that the public surface can give: its reason, its words, and the job given back.

use fairlane::{
    Cap, Clock, Cost, Engine, Job, KindCost, ManualClock, Nanos, Policy, PolicyBuilder, Reason,
    SetPolicyError, StartError, Tenant, Weight, WorkerError,
};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

fn policy(change: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> Policy {
    change(Policy::builder()).build().expect("a valid policy")
}

fn passive(policy: Policy) -> Engine<String> {
    let clock = Clock::Manual(ManualClock::new());
    Engine::builder().workers(2).clock(clock).policy(policy).build().expect("a passive engine")
}

fn tenant(engine: &Engine<String>, name: &str) -> Tenant {
    engine.tenant(name, "starter").expect("room in the table")
}

/// Submits a job that must be refused, and must come back as it was.
#[track_caller]
fn refusal(engine: &Engine<String>, to: Tenant, job: Job<String>) -> (Reason, String) {
    let refused = engine.submit(to, job.clone()).expect_err("a refusal");
    let (reason, text) = (refused.reason(), refused.to_string());
    assert_eq!(refused.into_job(), job, "the job comes back as it was");
    (reason, text)
}

fn job() -> Job<String> {
    Job::new("payload".to_owned()).cost(7)
}

#[test]
fn codes_are_stable() {
    let codes: Vec<String> = Reason::ALL.iter().map(ToString::to_string).collect();
    let expected = [
        "queue_full",
        "engine_full",
        "draining",
        "closed",
        "too_many_tenants",
        "stale_tenant",
        "invalid",
        "rate",
        "concurrency",
        "tier_concurrency",
        "engine_concurrency",
        "budget",
        "no_capable_worker",
        "too_many_classes",
        "not_due",
        "deadline",
        "paused",
        "too_wide",
    ];
    assert_eq!(codes, expected);
    assert!(Reason::ALL.iter().all(|reason| reason.code() == reason.to_string()));
}

// C-3: the text names no tenant.
#[test]
fn a_full_queue_says_how_full() {
    let engine = passive(policy(|policy| policy.default_queue_max(3)));
    let acme = tenant(&engine, "acme");
    for _ in 0..3 {
        let _ = engine.submit(acme, job()).unwrap();
    }
    let expected = (Reason::QueueFull, "queue full: 3 of 3 jobs queued".to_owned());
    assert_eq!(refusal(&engine, acme, job()), expected);
    let snapshot = engine.snapshot();
    assert_eq!(snapshot.refused.get(&Reason::QueueFull), Some(&1));
    assert_eq!((snapshot.tenant_rows[0].refused, snapshot.tenant_rows[0].refused_cost), (1, 7));
}

#[test]
fn a_full_engine_says_its_bound() {
    let engine = passive(policy(|policy| policy.queue_max(2)));
    let _ = engine.submit(tenant(&engine, "acme"), job()).unwrap();
    let _ = engine.submit(tenant(&engine, "umbra"), job()).unwrap();
    let expected = (Reason::EngineFull, "engine full: room for 2 jobs is taken".to_owned());
    assert_eq!(refusal(&engine, tenant(&engine, "third"), job()), expected);
}

// T-C3, C-23
#[test]
fn a_cost_out_of_range_is_invalid() {
    let engine = passive(Policy::default());
    let acme = tenant(&engine, "acme");
    for cost in [0, 1_000_001, u32::MAX] {
        let text = format!("invalid: cost {cost} is outside 1..=1000000");
        assert_eq!(refusal(&engine, acme, job().cost(cost)), (Reason::Invalid, text));
    }
    assert_eq!(engine.snapshot().refused.get(&Reason::Invalid), Some(&3));
}

#[test]
fn a_batch_stops_at_its_first_bad_job_and_gives_the_rest_back() {
    let engine = passive(Policy::default());
    let acme = tenant(&engine, "acme");
    let jobs: Vec<_> = [1, 2, 0, 4].map(|cost| job().cost(cost)).to_vec();
    let batch = engine.submit_batch(acme, jobs.clone());
    assert_eq!((batch.accepted, batch.reason), (2, Some(Reason::Invalid)));
    assert_eq!(batch.refused, jobs[2..]);
}

#[test]
fn a_batch_that_does_not_fit_is_taken_as_far_as_it_fits() {
    let engine = passive(policy(|policy| policy.default_queue_max(100)));
    let acme = tenant(&engine, "acme");
    let jobs: Vec<_> = (1..=250).map(|cost| job().cost(cost)).collect();
    let batch = engine.submit_batch(acme, jobs.clone());
    assert_eq!((batch.accepted, batch.reason), (100, Some(Reason::QueueFull)));
    assert_eq!(batch.refused, jobs[100..]);
    assert_eq!(engine.submit_batch(acme, Vec::new()).reason, None);
}

#[test]
fn names_have_1_to_256_bytes() {
    let engine = passive(Policy::default());
    for (name, bytes) in [(String::new(), 0), ("x".repeat(257), 257), ("\u{e9}".repeat(129), 258)] {
        let error = engine.tenant(&name, "starter").unwrap_err();
        assert_eq!(error.reason(), Reason::Invalid);
        assert_eq!(error.to_string(), format!("tenant name of {bytes} bytes is outside 1..=256"));
    }
    assert!(engine.tenant(&"x".repeat(256), "starter").is_ok());
    assert!(engine.tenant("any \u{0} text, \n too", "starter").is_ok());
}

#[test]
fn an_unknown_tier_is_answered_with_the_known_ones() {
    let error = passive(Policy::default()).tenant("acme", "Starter").unwrap_err();
    assert_eq!(error.reason(), Reason::Invalid);
    let expected = "unknown tier \"Starter\": the policy has starter, growth, scale";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_table_full_of_tenants_with_work_takes_no_new_name() {
    let engine = passive(policy(|policy| policy.tenants_max(2)));
    for name in ["a", "b"] {
        let _ = engine.submit(tenant(&engine, name), job()).unwrap();
    }
    let error = engine.tenant("c", "starter").unwrap_err();
    assert_eq!(error.reason(), Reason::TooManyTenants);
    assert_eq!(error.to_string(), "too many tenants: 2 of 2 are in use");
    assert_eq!(engine.snapshot().refused.get(&Reason::TooManyTenants), Some(&1));
    assert!(engine.tenant("a", "starter").is_ok(), "known names are looked up as ever");
}

// Decision 5: generations guard handles.
#[test]
fn a_handle_of_a_tenant_given_up_is_stale() {
    let engine = passive(policy(|policy| policy.tenants_max(1)));
    let old = tenant(&engine, "old");
    let new = tenant(&engine, "new");
    assert_eq!((old.slot(), new.slot()), (0, 0));
    let expected = (Reason::StaleTenant, "stale tenant: the handle is no longer valid".to_owned());
    assert_eq!(refusal(&engine, old, job()), expected);
    assert_eq!(engine.submit_batch(old, vec![job()]).reason, Some(Reason::StaleTenant));
    let later = Instant::now() + Duration::from_secs(60);
    let refused = engine.submit_blocking(old, job(), later).unwrap_err();
    assert_eq!((refused.reason(), refused.into_job()), (Reason::StaleTenant, job()));
    let _ = engine.submit(new, job()).unwrap();
    let snapshot = engine.snapshot();
    assert_eq!((snapshot.accepted, snapshot.tenants_retired), (1, 1));
    assert_eq!(snapshot.tenant_rows[0].refused, 0, "not counted against the new tenant");
}

#[test]
fn a_handle_of_another_engine_is_stale() {
    let (here, there) = (passive(Policy::default()), passive(Policy::default()));
    let (own, foreign) = (tenant(&here, "acme"), tenant(&there, "acme"));
    assert_eq!(own.slot(), foreign.slot());
    assert_eq!(refusal(&here, foreign, job()).0, Reason::StaleTenant);
    assert_eq!(here.submit_batch(foreign, vec![job()]).reason, Some(Reason::StaleTenant));
    let accepted = there.submit(foreign, job()).unwrap();
    assert_eq!((here.position(&accepted), there.position(&accepted)), (None, Some(1)));
}

#[test]
fn a_kind_of_another_engine_is_invalid_and_its_text_is_true() {
    let verify = KindCost::Fixed(Cost::new(3).unwrap());
    let with_kind = || passive(policy(|policy| policy.cost("verify", verify)));
    let (here, there) = (with_kind(), with_kind());
    let foreign = there.kind("verify").unwrap();
    let (reason, text) = refusal(&here, tenant(&here, "acme"), job().kind(foreign));
    assert_eq!(reason, Reason::Invalid);
    assert!(!text.contains("cost 0"), "the job's cost is 7, the text says: {text}");
    assert_eq!(here.kind("no such kind"), None);
}

#[test]
fn an_engine_has_1_to_1024_workers() {
    for asked in [0, 1_025, usize::MAX] {
        let text = format!("workers: {asked} is outside 1..=1024");
        let built = Engine::<String>::builder().workers(asked).build().unwrap_err();
        assert!(matches!(built, StartError::Workers { asked: n } if n == asked));
        assert_eq!(built.to_string(), text);
        let started = Engine::<String>::builder().workers(asked).start(drop).unwrap_err();
        assert_eq!(started.to_string(), text);
    }
    assert!(Engine::<String>::builder().workers(1_024).build().is_ok());
}

#[test]
fn worker_places_are_counted_and_given_back() {
    let engine = passive(Policy::default());
    let (first, second) = (engine.worker().unwrap(), engine.worker().unwrap());
    let error = engine.worker().unwrap_err();
    assert_eq!(error, WorkerError::AllTaken { workers: 2 });
    assert_eq!(error.to_string(), "all 2 worker places are taken");
    drop(first);
    assert!(engine.worker().is_ok());
    drop(second);
}

// `Engine::worker`: "always so on an engine that runs threads of its own", from the first moment.
#[test]
fn an_engine_with_threads_has_no_place_to_give() {
    for _ in 0..200 {
        let engine = Engine::<String>::builder().workers(2).start(drop).unwrap();
        assert_eq!(engine.worker().err(), Some(WorkerError::AllTaken { workers: 2 }));
    }
}

#[test]
fn pinning_more_workers_than_cores_fails_and_says_which() {
    let workers = thread::available_parallelism().unwrap().get() + 1;
    let error = Engine::<String>::builder().workers(workers).pin(true).start(drop).unwrap_err();
    let text = format!("worker {} could not be pinned to a core", workers - 1);
    assert_eq!(error.to_string(), text);
}

#[test]
fn what_sizes_the_engine_is_fixed_while_it_runs() {
    let engine = passive(Policy::default());
    let refused = |policy: Policy| engine.set_policy(policy).unwrap_err().to_string();
    assert_eq!(
        refused(policy(|policy| policy.queue_max(5))),
        "engine.queue_max is fixed while the engine runs: 1000000, not 5"
    );
    assert_eq!(
        refused(policy(|policy| policy.tenants_max(9))),
        "engine.tenants_max is fixed while the engine runs: 100000, not 9"
    );
    assert_eq!(engine.policy(), Policy::default(), "the old one stays, whole");
}

#[test]
fn a_tier_with_tenants_cannot_go() {
    let engine = passive(Policy::default());
    let _ = engine.tenant("acme", "growth").unwrap();
    let without = |gone: &str| {
        let tiers = ["starter", "growth", "scale"].into_iter().filter(|tier| *tier != gone);
        tiers.fold(Policy::builder(), |policy, tier| policy.tier(tier, Weight::ONE)).build()
    };
    let error = engine.set_policy(without("growth").unwrap()).unwrap_err();
    assert_eq!(error, SetPolicyError::TierInUse { tier: "growth".to_owned() });
    assert_eq!(error.to_string(), "tier \"growth\" has tenants and cannot be removed");
    engine.set_policy(without("scale").unwrap()).expect("nobody is in it");
    assert!(engine.tenant("late", "scale").is_err());
}

/// Tiers of which all have a `tier_concurrency` of 1, with names of their own in each `round`.
fn narrow_tiers(round: u32, tiers: u32) -> Policy {
    let name = |tier| format!("r{round}-{tier}");
    let with = |policy: PolicyBuilder, tier| {
        policy.tier(name(tier), Weight::ONE).tier_concurrency(name(tier), Cap::Grants(1))
    };
    policy(|policy| (0..tiers).fold(policy, with).default_tier(name(0)))
}

// A limit that cannot be counted is refused: it must not be taken for none.
#[test]
fn a_tier_that_cannot_be_counted_is_refused_with_its_policy() {
    let engine = passive(narrow_tiers(0, 60));
    for round in 1..8 {
        engine.set_policy(narrow_tiers(round, 60)).expect("480 names so far");
    }
    let before = engine.policy();
    let error = engine.set_policy(narrow_tiers(8, 32)).unwrap_err();
    let tier = "r8-31".to_owned();
    assert_eq!(error, SetPolicyError::TooManyTiers { tier, most: 511 });
    assert_eq!(
        error.to_string(),
        "tier \"r8-31\" cannot have a tier_concurrency: \
         the engine has known 511 tiers before it, those that are gone included"
    );
    assert_eq!(engine.policy(), before, "the old one stays, whole");
    assert!(engine.tenant("acme", "r8-0").is_err(), "and brings no names along");
    engine.set_policy(narrow_tiers(8, 31)).expect("one tier less has a number");
    let tenants = ["a", "b"].map(|name| engine.tenant(name, "r8-30").unwrap());
    for to in tenants.into_iter().cycle().take(6) {
        let _ = engine.submit(to, job()).unwrap();
    }
    let held: Vec<_> = engine.worker().unwrap().next_batch(8).collect();
    assert_eq!(held.len(), 1, "the last number counts");
    engine.set_policy(narrow_tiers(0, 60)).expect_err("r8-30 has tenants");
    let two = |p: PolicyBuilder| {
        p.tier("r8-30", Weight::ONE).tier("late", Weight::ONE).default_tier("late")
    };
    let without = policy(two);
    engine.set_policy(without.clone()).expect("what is not counted needs no number");
    let with = |cap| policy(|policy| two(policy).tier_concurrency("late", cap));
    assert!(engine.set_policy(with(Cap::Grants(0))).is_err(), "nor can a pause be");
    assert_eq!(engine.policy(), without);
}

// A tier whose only tenant has been given up is free to go.
#[test]
fn a_tier_whose_tenants_were_given_up_can_go() {
    let engine = passive(policy(|policy| policy.tenants_max(1)));
    let _ = engine.tenant("old", "growth").unwrap();
    let _ = engine.tenant("new", "starter").unwrap();
    let next = policy(|policy| policy.tenants_max(1).tier("starter", Weight::ONE));
    engine.set_policy(next).expect("nobody is in growth any more");
}

#[test]
fn a_smaller_bound_holds_for_the_next_submission_and_drops_nothing() {
    let engine = passive(Policy::default());
    let acme = tenant(&engine, "acme");
    for _ in 0..10 {
        let _ = engine.submit(acme, job()).unwrap();
    }
    engine.set_policy(policy(|policy| policy.default_queue_max(4))).unwrap();
    let expected = (Reason::QueueFull, "queue full: 10 of 4 jobs queued".to_owned());
    assert_eq!(refusal(&engine, acme, job()), expected);
    let mut worker = engine.worker().unwrap();
    assert_eq!(worker.tick(Nanos::ZERO, 7).count(), 7);
    assert!(engine.submit(acme, job()).is_ok(), "three wait, four may");
    assert_eq!(worker.tick(Nanos::ZERO, 100).count(), 4);
}

#[test]
fn a_drained_engine_is_closed() {
    let engine = passive(Policy::default());
    let acme = tenant(&engine, "acme");
    drop(engine.drain(Duration::ZERO));
    let expected = (Reason::Closed, "closed: the engine has stopped".to_owned());
    assert_eq!(refusal(&engine, acme, job()), expected);
    assert_eq!(engine.submit_batch(acme, vec![job()]).reason, Some(Reason::Closed));
    let error = engine.tenant("new", "starter").unwrap_err();
    assert_eq!(error.reason(), Reason::Closed);
    assert_eq!(error.to_string(), "closed: the engine takes no new tenants");
    assert_eq!(engine.tenant("acme", "starter").unwrap(), acme);
}

#[test]
fn a_draining_engine_says_so() {
    let engine = passive(Policy::default());
    let acme = tenant(&engine, "acme");
    let _ = engine.submit(acme, job()).unwrap();
    let drainer = thread::spawn({
        let engine = engine.clone();
        move || engine.drain(Duration::from_secs(20))
    });
    // Nobody works, so the drain waits for the one job until a worker takes it.
    let (reason, text) = loop {
        match engine.submit(acme, job()) {
            Ok(_) => thread::yield_now(),
            Err(refused) => break (refused.reason(), refused.to_string()),
        }
    };
    assert_eq!(reason, Reason::Draining);
    assert_eq!(text, "draining: the engine takes no more jobs");
    assert_eq!(engine.tenant("new", "starter").unwrap_err().reason(), Reason::Draining);
    let mut worker = engine.worker().unwrap();
    while worker.next_batch(100).count() > 0 {}
    let report = drainer.join().unwrap();
    assert_eq!((report.returned.len(), report.running, report.unpublished), (0, 0, 0));
}

/// An engine with one job of one tenant, which fills it.
fn full() -> (Engine<String>, Tenant) {
    let engine = passive(policy(|policy| policy.default_queue_max(1)));
    let acme = tenant(&engine, "acme");
    let _ = engine.submit(acme, job()).unwrap();
    (engine, acme)
}

#[test]
fn a_blocked_submitter_gets_its_job_back_at_the_deadline() {
    let (engine, acme) = full();
    let start = Instant::now();
    let refused = engine.submit_blocking(acme, job(), start + Duration::from_millis(50));
    let refused = refused.unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(50));
    assert_eq!(refused.reason(), Reason::QueueFull);
    assert_eq!(refused.into_job(), job());
    let past = start.checked_sub(Duration::from_secs(1)).unwrap_or(start);
    assert!(engine.submit_blocking(acme, job(), past).is_err(), "a past deadline does not wait");
}

/// The refusal, if it was one, and how long it took.
type Outcome = (Option<(Reason, Job<String>)>, Duration);

/// Submits on another thread.
fn blocked(engine: &Engine<String>, to: Tenant) -> mpsc::Receiver<Outcome> {
    let (sender, receiver) = mpsc::channel();
    let engine = engine.clone();
    thread::spawn(move || {
        let start = Instant::now();
        let done = engine.submit_blocking(to, job(), start + Duration::from_secs(20));
        let refused = done.err().map(|refused| (refused.reason(), refused.into_job()));
        let _ = sender.send((refused, start.elapsed()));
    });
    // Long enough to be asleep by now; a submitter that is not makes the test weaker, not wrong.
    thread::sleep(Duration::from_millis(30));
    receiver
}

const SOON: Duration = Duration::from_secs(10);

#[test]
fn a_blocked_submitter_wakes_when_there_is_room() {
    let (engine, acme) = full();
    let waiting = blocked(&engine, acme);
    let mut worker = engine.worker().unwrap();
    assert_eq!(worker.next_batch(1).count(), 1);
    let (refused, took) = waiting.recv().unwrap();
    assert!(refused.is_none() && took < SOON, "{refused:?} after {took:?}");
    assert_eq!(worker.next_batch(1).count(), 1, "its job is there");
}

#[test]
fn a_blocked_submitter_wakes_when_its_bound_grows() {
    let (engine, acme) = full();
    let waiting = blocked(&engine, acme);
    engine.set_policy(policy(|policy| policy.default_queue_max(2))).unwrap();
    let (refused, took) = waiting.recv().unwrap();
    assert!(refused.is_none() && took < SOON, "{refused:?} after {took:?}");
}

#[test]
fn a_blocked_submitter_wakes_with_its_job_when_the_engine_drains() {
    let (engine, acme) = full();
    let waiting = blocked(&engine, acme);
    // Long enough that it is still draining for a submitter that comes late.
    let report = engine.drain(Duration::from_millis(500));
    let (refused, took) = waiting.recv().unwrap();
    let (reason, back) = refused.expect("not accepted");
    assert!(reason == Reason::Draining && took < SOON, "{reason} after {took:?}");
    assert_eq!(back, job());
    assert_eq!(report.returned.len(), 1);
}

// The engine-wide bound: room in the pool wakes too, also when blocks come back in chains.
#[test]
fn a_submitter_blocked_by_a_full_engine_wakes_when_it_empties() {
    for bound in [64, 16_384] {
        let engine = passive(policy(|policy| policy.queue_max(bound).default_queue_max(64)));
        let mut tenants = (0..).map(|k| tenant(&engine, &format!("tenant-{k}")));
        let fills = |to: Tenant| (0..8).all(|_| engine.submit(to, job()).is_ok());
        let _ = tenants.find(|&to| !fills(to)).expect("the bound is finite");
        let waiting = blocked(&engine, tenant(&engine, "late"));
        let mut worker = engine.worker().unwrap();
        assert_eq!(worker.next_batch(1).count(), 1);
        // A worker that has nothing else to do comes back for more.
        while worker.wait_batch(4_096, Duration::from_millis(20)).count() > 0 {}
        let (refused, took) = waiting.recv().unwrap();
        assert!(refused.is_none() && took < SOON, "bound {bound}: {refused:?} after {took:?}");
    }
}

#[test]
fn a_worker_of_a_stopped_engine_gets_nothing_and_does_not_wait() {
    let engine = passive(Policy::default());
    let acme = tenant(&engine, "acme");
    let mut worker = engine.worker().unwrap();
    let _ = engine.submit(acme, job()).unwrap();
    drop(engine.drain(Duration::ZERO));
    let start = Instant::now();
    assert_eq!(worker.wait_batch(1, Duration::from_secs(20)).count(), 0);
    assert!(start.elapsed() < SOON);
}

// Decision 5: idle means no job, no grant, no debt.
#[test]
fn a_tenant_with_a_live_grant_is_not_given_up() {
    let engine = passive(policy(|policy| policy.tenants_max(1)));
    let busy = tenant(&engine, "busy");
    let _ = engine.submit(busy, job()).unwrap();
    let mut worker = engine.worker().unwrap();
    let grant = worker.tick(Nanos::ZERO, 1).next().unwrap();
    while worker.tick(Nanos::ZERO, 1).next().is_some() {}
    let refused = engine.tenant("new", "starter").map_err(|error| error.reason());
    assert_eq!(refused, Err(Reason::TooManyTenants), "its job is still running");
    drop(grant);
    assert!(engine.tenant("new", "starter").is_ok());
}

#[test]
fn a_tenant_in_debt_is_not_given_up() {
    let engine = passive(policy(|policy| policy.tenants_max(1)));
    let debtor = tenant(&engine, "debtor");
    let mut worker = engine.worker().unwrap();
    let _ = engine.submit(debtor, job()).unwrap();
    worker.tick(Nanos::ZERO, 1).next().unwrap().settle(1_000_000);
    while worker.tick(Nanos::ZERO, 1).next().is_some() {}
    let refused = engine.tenant("new", "starter").map_err(|error| error.reason());
    assert_eq!(refused, Err(Reason::TooManyTenants), "a million cost units are owed");
}

/// When a debt is settled that must not reach the slot's next tenant.
#[derive(Clone, Copy, Debug)]
enum Settled {
    /// Before the debtor's last visit, which booked it.
    Booked,
    /// After its last visit, before the slot is given away.
    Owed,
    /// When the slot has its next tenant.
    Late,
}

/// How many of 100 picks a tenant gets beside another, in the place of one with a debt.
fn picks_of_a_successor(settled: Settled, debt: u32) -> usize {
    let engine = passive(policy(|policy| policy.tenants_max(2)));
    let (other, debtor) = (tenant(&engine, "other"), tenant(&engine, "debtor"));
    let mut worker = engine.worker().unwrap();
    let mut next = || worker.tick(Nanos::ZERO, 1).next();
    let submit = |to, name: &str| {
        let _ = engine.submit(to, Job::new(name.to_owned())).unwrap();
    };
    // Fast handlers, so that an emptied lane is visited once more and books what is owed.
    for _ in 0..20 {
        submit(debtor, "one of many");
        drop(next().unwrap());
    }
    submit(debtor, "the last");
    let mut grant = next();
    if matches!(settled, Settled::Booked) {
        grant.take().unwrap().settle(1 + debt);
    }
    while next().is_some() {}
    if matches!(settled, Settled::Owed) {
        grant.take().unwrap().settle(1 + debt);
    }
    (0..200).for_each(|_| submit(other, "other"));
    let heir = engine.tenant("heir", "starter");
    if let Some(late) = grant {
        late.settle(1 + debt);
    }
    // Where the debtor keeps its place, as decision 5 says, there is no successor to look at.
    let Ok(heir) = heir else { return 50 };
    (0..200).for_each(|_| submit(heir, "heir"));
    (0..100).filter(|_| next().unwrap().payload() == "heir").count()
}

// A debt, whenever it is settled, must never reach the tenant that has the slot next.
#[test]
fn a_debt_is_not_inherited_with_the_slot() {
    for settled in [Settled::Booked, Settled::Owed, Settled::Late] {
        for debt in [0, 30, 900_000] {
            let picks = picks_of_a_successor(settled, debt);
            assert!((30..=70).contains(&picks), "{settled:?}, {debt}: {picks} of 100 picks");
        }
    }
}

#[test]
fn a_place_in_the_queue_counts_down_and_ends() {
    let engine = passive(Policy::default());
    let acme = tenant(&engine, "acme");
    let accepted: Vec<_> = (0..3).map(|_| engine.submit(acme, job()).unwrap()).collect();
    let positions = || accepted.iter().map(|one| engine.position(one)).collect::<Vec<_>>();
    assert_eq!(positions(), [Some(1), Some(2), Some(3)]);
    let mut worker = engine.worker().unwrap();
    assert_eq!(engine.estimated_wait(&accepted[0]), None, "nothing has been served");
    drop(worker.tick(Nanos(1_000), 1).next());
    assert_eq!(positions(), [None, Some(1), Some(2)]);
}
