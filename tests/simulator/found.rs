//! What seeds have found, as small cases of their own: seeds go other ways whenever the simulator
//! changes.

use fairlane::testing::reserve;
use fairlane::{
    Cap, Clock, Engine, Grant, Job, Limits, ManualClock, Nanos, Policy, PolicyBuilder, Rate,
    Reason, Tenant, Unit, Weight, Worker,
};
use std::time::Duration;

/// For a tenant to be given up: longer than a debt keeps its place.
const LONG: Nanos = Nanos(600_000_000_000);

struct Rig {
    engine: Engine<u32>,
    hand: ManualClock,
}

impl Rig {
    fn new(base: u32, tenants: u32, bound: u32) -> Rig {
        Rig::of(policy(base, tenants, bound))
    }

    fn of(policy: Policy) -> Rig {
        let hand = ManualClock::new();
        let engine = Engine::builder().workers(2).clock(Clock::Manual(hand.clone())).policy(policy);
        Rig { engine: engine.build().expect("a passive engine"), hand }
    }

    fn tenant(&self, name: &str) -> Tenant {
        self.engine.tenant(name, "all").expect("room in the table")
    }

    fn fill(&self, tenant: Tenant, jobs: u32, cost: u32) {
        for _ in 0..jobs {
            self.engine.submit(tenant, Job::new(tenant.slot()).cost(cost)).expect("room");
        }
    }

    /// What the next `most` jobs carry: their tenants' slots, unless a test says otherwise.
    fn take(&self, worker: &mut Worker<u32>, most: usize) -> Vec<u32> {
        worker.tick(self.hand.now(), most).map(|grant| *grant.payload()).collect()
    }
}

fn one_tier() -> PolicyBuilder {
    Policy::builder().tier("all", Weight::ONE).default_tier("all")
}

fn sized(base: u32, tenants: u32, bound: u32) -> PolicyBuilder {
    one_tier().base_quantum(base).tenants_max(tenants).default_queue_max(bound)
}

fn policy(base: u32, tenants: u32, bound: u32) -> Policy {
    sized(base, tenants, bound).build().expect("a valid policy")
}

#[test]
fn a_stalled_producers_lane_does_not_save_up_turns() {
    let rig = Rig::new(1, 8, 10_000);
    let (slow, busy) = (rig.tenant("slow"), rig.tenant("busy"));
    let mut worker = rig.engine.worker().unwrap();
    let stopped = reserve(&rig.engine, slow, slow.slot()).unwrap();
    rig.fill(busy, 1_000, 1);
    // A published job in front, so that the lane is in the rotation while it is blocked.
    let early = rig.tenant("early");
    rig.fill(early, 1, 1);
    let blocked = reserve(&rig.engine, early, early.slot()).unwrap();
    assert_eq!(rig.take(&mut worker, 500).len(), 500);
    blocked.finish();
    stopped.finish();
    rig.fill(early, 100, 1);
    let next = rig.take(&mut worker, 40);
    let got = next.iter().filter(|slot| **slot == early.slot()).count();
    assert!(got <= 21, "{got} of 40 jobs were the lane's that had been blocked");
}

#[test]
fn an_abandoned_place_leaves_no_depth_behind() {
    let rig = Rig::new(1, 8, 1);
    let tenant = rig.tenant("one");
    let mut worker = rig.engine.worker().unwrap();
    drop(reserve(&rig.engine, tenant, 0).unwrap());
    assert_eq!(rig.take(&mut worker, 1), []);
    assert_eq!(rig.engine.snapshot().depth, 0);
    rig.fill(tenant, 1, 1);
    assert_eq!(rig.take(&mut worker, 1).len(), 1);
}

#[test]
fn a_dear_job_is_found_in_one_look_beside_a_stalled_producer() {
    let rig = Rig::new(1, 64, 10);
    let mut worker = rig.engine.worker().unwrap();
    let blocked = rig.tenant("blocked");
    rig.fill(blocked, 1, 1);
    let _stopped = reserve(&rig.engine, blocked, 0).unwrap();
    assert_eq!(rig.take(&mut worker, 1), [blocked.slot()]);
    let dear: Vec<Tenant> = (0..8).map(|at| rig.tenant(&format!("dear-{at}"))).collect();
    dear.iter().for_each(|tenant| rig.fill(*tenant, 1, 1_000_000));
    for left in 0..8 {
        assert_eq!(rig.take(&mut worker, 1).len(), 1, "after {left} of 8 jobs");
    }
}

/// A new tenant in the slot of one that is given up.
fn successor(rig: &Rig, old: Tenant) -> Tenant {
    let new = rig.tenant("new");
    assert_eq!((new.slot(), new == old), (old.slot(), false));
    new
}

/// A rig in whose first slot a tenant with a debt has been followed by another one, which is told.
fn after_a_debtor() -> (Rig, Worker<u32>, Tenant) {
    let rig = Rig::new(1, 2, 1_000);
    let (old, rival) = (rig.tenant("old"), rig.tenant("rival"));
    let mut worker = rig.engine.worker().unwrap();
    // Fast handlers, so that the empty lane stays until the debt has reached its balance.
    rig.fill(rival, 40, 1);
    (0..40).for_each(|_| assert_eq!(rig.take(&mut worker, 1).len(), 1));
    rig.fill(old, 1, 1);
    worker.tick(Nanos::ZERO, 1).for_each(|grant| grant.settle(500));
    assert_eq!(rig.take(&mut worker, 1), []);
    rig.hand.advance(LONG);
    rig.fill(rival, 400, 1);
    assert_eq!(rig.take(&mut worker, 2), [rival.slot(); 2]);
    let new = successor(&rig, old);
    (rig, worker, new)
}

#[test]
fn a_slots_next_tenant_does_not_inherit_a_debt() {
    let (rig, mut worker, new) = after_a_debtor();
    rig.fill(new, 1, 1);
    assert!(rig.take(&mut worker, 3).contains(&new.slot()));
}

#[test]
fn a_tenant_with_a_grant_that_outlives_its_worker_is_not_given_up() {
    let rig = Rig::new(20, 2, 1_000);
    let (held, other) = (rig.tenant("held"), rig.tenant("other"));
    let mut first = rig.engine.worker().unwrap();
    rig.fill(held, 1, 1);
    let grant = first.tick(rig.hand.now(), 1).next().expect("one job waits");
    drop(first);
    rig.hand.advance(LONG);
    let mut second = rig.engine.worker().unwrap();
    rig.fill(other, 2, 1);
    let kept: Vec<_> = second.tick(rig.hand.now(), 2).collect();
    rig.hand.advance(LONG);
    assert!(rig.engine.tenant("new", "all").is_err(), "both tenants have a grant out");
    drop((grant, kept));
}

#[test]
fn a_tenant_without_a_job_makes_room_in_the_first_second_and_beside_busy_ones() {
    let rig = Rig::new(20, 9, 1_000);
    let mut worker = rig.engine.worker().unwrap();
    let busy: Vec<Tenant> = (0..8).map(|at| rig.tenant(&format!("busy-{at}"))).collect();
    let _unused = rig.tenant("unused");
    busy.iter().for_each(|tenant| rig.fill(*tenant, 1, 1));
    let grants: Vec<_> = worker.tick(rig.hand.now(), 8).collect();
    assert_eq!(grants.len(), 8);
    while !rig.take(&mut worker, 1).is_empty() {}
    let named = rig.engine.tenant("new", "all");
    assert!(named.is_ok(), "{named:?}");
}

#[test]
fn a_leap_counted_before_a_swap_gives_no_more_than_the_first_job_takes() {
    let rig = Rig::new(1, 8, 1_000);
    let tenants = [rig.tenant("a"), rig.tenant("b")];
    let mut worker = rig.engine.worker().unwrap();
    // Served once, so that neither is fresh, and short of a dear job each afterwards.
    tenants.iter().for_each(|tenant| rig.fill(*tenant, 300, 100_000));
    assert_eq!(rig.take(&mut worker, 1).len(), 1);
    rig.engine.set_policy(policy(1_000, 8, 1_000)).expect("only the quantum differs");
    let next = rig.take(&mut worker, 100);
    let got = next.iter().filter(|slot| **slot == tenants[0].slot()).count();
    assert!((48..=52).contains(&got), "{got} of 100 equal jobs");
}

#[test]
fn an_urgent_job_behind_an_unfinished_producer_is_not_forgotten() {
    let rig = Rig::new(1_000, 8, 10_000);
    let tenant = rig.tenant("all");
    let mut worker = rig.engine.worker().unwrap();
    rig.engine.submit(tenant, Job::new(0)).unwrap();
    let stopped = reserve(&rig.engine, tenant, 1).unwrap();
    rig.engine.submit(tenant, Job::new(2)).unwrap();
    rig.engine.submit(tenant, Job::new(9).priority(9_000)).unwrap();
    assert_eq!(rig.take(&mut worker, 9), [0], "the next place is taken and empty");
    stopped.finish();
    assert_eq!(rig.take(&mut worker, 3), [9, 1, 2]);
}

#[test]
fn a_slots_next_tenant_does_not_inherit_expired_jobs() {
    let rig = Rig::new(20, 1, 1_000);
    let old = rig.tenant("old");
    let mut worker = rig.engine.worker().unwrap();
    rig.engine.submit(old, Job::new(0).deadline(Nanos(5))).unwrap();
    rig.hand.advance(Nanos(10));
    assert_eq!(rig.take(&mut worker, 1), []);
    assert_eq!(rig.engine.snapshot().tenant_rows[0].expired, 1);
    rig.hand.advance(LONG);
    let new = successor(&rig, old);
    assert_eq!(rig.engine.snapshot().tenant_rows[0].expired, 0);
    rig.fill(new, 1, 1);
    assert_eq!(rig.take(&mut worker, 1).len(), 1);
    assert_eq!(rig.engine.snapshot().tenant_rows[0].expired, 0);
}

#[test]
fn a_slots_next_tenant_does_not_inherit_a_debt_when_its_first_visit_looks_for_expired_jobs() {
    let (rig, mut worker, new) = after_a_debtor();
    rig.engine.submit(new, Job::new(7).max_wait(Duration::from_nanos(10))).unwrap();
    rig.fill(new, 1, 1);
    rig.hand.advance(Nanos(20));
    assert!(rig.take(&mut worker, 6).contains(&new.slot()));
}

#[test]
fn a_slots_next_tenant_does_not_inherit_a_window_that_a_swap_had_lifted() {
    let day = Rate::strict(2, Unit::Jobs, Duration::from_secs(86_400)).unwrap();
    let rig = Rig::new(20, 1, 1_000);
    let limits = Limits::default().rate(day);
    let limited = || sized(20, 1, 1_000).tier_limits("all", limits.clone()).build().unwrap();
    rig.engine.set_policy(limited()).unwrap();
    let mut worker = rig.engine.worker().unwrap();
    let old = rig.tenant("old");
    rig.fill(old, 2, 1);
    assert_eq!(rig.take(&mut worker, 10).len(), 2);
    rig.engine.set_policy(policy(20, 1, 1_000)).unwrap();
    rig.hand.advance(LONG);
    assert_eq!(rig.take(&mut worker, 10), []);
    let new = successor(&rig, old);
    rig.fill(new, 1, 1);
    assert_eq!(rig.take(&mut worker, 10).len(), 1);
    rig.engine.set_policy(limited()).unwrap();
    rig.fill(new, 2, 1);
    assert_eq!(rig.take(&mut worker, 10).len(), 2);
}

#[test]
fn a_tenant_whose_jobs_are_not_due_is_not_given_up() {
    let rig = Rig::new(20, 1, 1_000);
    let patient = rig.tenant("patient");
    let mut worker = rig.engine.worker().unwrap();
    rig.engine.submit(patient, Job::new(7).not_before(Nanos(2 * LONG.0))).unwrap();
    assert_eq!(rig.take(&mut worker, 1), []);
    rig.hand.advance(LONG);
    assert!(rig.engine.tenant("new", "all").is_err(), "a job waits");
    rig.hand.advance(LONG);
    assert_eq!(rig.take(&mut worker, 1), [7]);
}

fn with_capacity(grants: Option<u32>) -> Policy {
    let policy = sized(20, 8, 1_000);
    grants.into_iter().fold(policy, |policy, grants| policy.concurrency(grants)).build().unwrap()
}

/// A rig with one slot, the grant that has it, and two tenants with one job each: the second one's lane is
/// parked.
fn one_slot_of_two_tenants() -> (Rig, Worker<u32>, Grant<u32>, Tenant) {
    let rig = Rig::of(with_capacity(Some(1)));
    let tenants = [rig.tenant("one"), rig.tenant("two")];
    let mut worker = rig.engine.worker().unwrap();
    tenants.iter().for_each(|tenant| rig.fill(*tenant, 1, 1));
    let mut held: Vec<_> = worker.tick(rig.hand.now(), 2).collect();
    assert_eq!(held.len(), 1);
    let grant = held.remove(0);
    (rig, worker, grant, tenants[0])
}

#[test]
fn a_slot_handed_over_before_a_swap_is_not_lost_with_the_limit() {
    let (rig, mut worker, grant, one) = one_slot_of_two_tenants();
    drop(grant);
    rig.engine.set_policy(with_capacity(None)).unwrap();
    assert_eq!(rig.take(&mut worker, 2).len(), 1);
    rig.engine.set_policy(with_capacity(Some(1))).unwrap();
    assert_eq!(rig.engine.snapshot().limits.in_flight, 0);
    rig.fill(one, 1, 1);
    assert_eq!(rig.take(&mut worker, 2), [one.slot()]);
}

#[test]
fn a_slot_handed_over_before_a_pause_starts_nothing() {
    let (rig, mut worker, grant, _) = one_slot_of_two_tenants();
    drop(grant);
    rig.engine.set_policy(with_capacity(Some(0))).unwrap();
    assert_eq!(rig.take(&mut worker, 2), []);
    rig.engine.set_policy(with_capacity(Some(1))).unwrap();
    assert_eq!(rig.take(&mut worker, 2).len(), 1);
}

#[test]
fn a_parked_lane_comes_back_when_its_tenant_moves_to_another_tier() {
    let paused = Limits::default().concurrency(Cap::Grants(0));
    let policy = one_tier().tier("paused", Weight::ONE).tier_limits("paused", paused);
    let rig = Rig::of(policy.build().unwrap());
    let mut worker = rig.engine.worker().unwrap();
    let tenant = rig.engine.tenant("one", "paused").unwrap();
    rig.fill(tenant, 1, 1);
    assert_eq!(rig.take(&mut worker, 1), []);
    assert_eq!(rig.tenant("one"), tenant);
    assert_eq!(rig.take(&mut worker, 1).len(), 1);
}

#[test]
fn a_lane_refused_for_its_tier_waits_for_its_tier_and_not_for_the_slot_it_has_taken_in_vain() {
    let one = Cap::Grants(1);
    let policy = one_tier().tier_limits("all", Limits::default().concurrency(one));
    let rig = Rig::of(policy.tier_concurrency("all", one).build().unwrap());
    let mut worker = rig.engine.worker().unwrap();
    let tenants = [rig.tenant("first"), rig.tenant("second")];
    tenants.iter().for_each(|tenant| rig.fill(*tenant, 1, 1));
    let held: Vec<_> = worker.tick(rig.hand.now(), 2).collect();
    assert_eq!(held.len(), 1);
    let rows = rig.engine.snapshot().tenant_rows;
    assert_eq!(rows[1].waits_for, Some(Reason::TierConcurrency));
}
