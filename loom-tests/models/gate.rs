//! The gate: caps hold at every instant, and a parked lane always comes back.

use super::dispatch_rig::{Place, lanes, lanes_of_paused_tier, submit, tenant};
use super::harness::check;
use crate::gate::{Draw, Gate, Held, Note, Parked, Pass, Refused, Rules, Scope};
use crate::limit::{BudgetTerms, DimensionTerms};
use crate::park::{Alarm, dormitory};
use crate::ring::{Door, Stamp};
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Arc, UnsafeCell};
use crate::units::{Nanos, Order};
use loom::thread;
use std::collections::HashMap;

/// Tenants with one job each, and what shows whether the jobs ran as they should.
struct House {
    gate: Gate,
    rules: Rules,
    /// Grants out now, and the most there may be.
    running: AtomicU64,
    most: u64,
    /// What a grant does; no two at once where the cap is 1.
    work: UnsafeCell<u64>,
    done: AtomicU64,
}

// SAFETY: `work` is touched by holders of the only slot alone, which is what the models check.
unsafe impl Sync for House {}

impl House {
    /// Of the `rules` for every tenant, with caps on the tier and the engine.
    fn new(rules: Rules, tier: Option<u32>, engine: Option<u32>, most: u64) -> Arc<House> {
        House::of(rules, (tier, engine), most, std::sync::Arc::default())
    }

    /// The same with budgets.
    fn of(
        rules: Rules,
        (tier, engine): (Option<u32>, Option<u32>),
        most: u64,
        budgets: std::sync::Arc<crate::gate::Budgets>,
    ) -> Arc<House> {
        let gate = Gate::new(2, budgets);
        gate.set_caps(engine, [tier].into_iter());
        (0..2).for_each(|slot| gate.tune(slot, &rules));
        let (running, done) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(House { gate, rules, running, most, work: UnsafeCell::new(0), done })
    }

    /// What the grant of the tenant's job holds, with the number of its reservation, or the refusal; and the
    /// budget whose room is to be shared out again.
    fn admit(&self, slot: u32) -> (Result<(Held, u32), Refused>, Option<u32>) {
        let entry = self.gate.entry(slot);
        let (answer, closed) = entry.open(|state| {
            let mut pass =
                Pass::new(&self.gate, (slot, slot), (entry, state), &self.rules, Nanos::ZERO);
            let answer = pass.admit(1, None).map_err(|denial| {
                let since = pass.waits(&denial);
                Refused { lane: slot, slot, denial, since }
            });
            (answer.map(|held| (held, pass.keep(held, 1, None, 0))), pass.close())
        });
        self.release(slot, closed.back.into_iter());
        (answer, closed.room)
    }

    /// Shares out what room a budget has, and runs the lanes that this brings back.
    fn share(&self, budget: Option<u32>) {
        let purse = budget.and_then(|budget| self.gate.budgets.purse(budget));
        let mut woken = Vec::new();
        purse.into_iter().for_each(|purse| self.gate.share(&purse, &mut woken));
        woken.into_iter().for_each(|lane| self.visit(lane));
    }

    /// Gives slots of a tenant back and runs the lanes that this brings back.
    fn release(&self, slot: u32, scopes: impl Iterator<Item = Scope>) {
        let mut woken = Vec::new();
        scopes.for_each(|scope| self.gate.release(scope, slot, &mut woken));
        woken.into_iter().for_each(|lane| self.visit(lane));
    }

    /// Runs the tenant's job, or leaves its lane parked.
    fn visit(&self, slot: u32) {
        loop {
            let (answer, room) = self.admit(slot);
            match answer {
                Ok(held) => {
                    self.share(room);
                    return self.run(slot, held);
                }
                Err(refused) => match self.gate.park(&refused, &self.rules) {
                    Parked::Goes => self.share(room),
                    Parked::Waits { .. } => return self.share(room),
                },
            }
        }
    }

    fn run(&self, slot: u32, (held, number): (Held, u32)) {
        let others = self.running.fetch_add(1, Relaxed);
        assert!(others < self.most, "a cap of {} was exceeded", self.most);
        if self.most == 1 {
            self.work.with_mut(|work| {
                // SAFETY: none but the slot's holder; loom reports a race.
                unsafe { *work += 1 }
            });
        }
        self.done.fetch_add(1, Relaxed);
        self.running.fetch_sub(1, Relaxed);
        if held.is_reserved() {
            let entry = self.gate.entry(slot);
            entry.note(number, Note::Void);
            for purse in entry.settle(number, Nanos::ZERO) {
                self.share(Some(purse.number()));
            }
        }
        self.release(slot, held.scopes(slot));
    }

    fn assert_all_done(&self, jobs: u64) {
        assert_eq!(self.done.load(Relaxed), jobs, "a lane stayed parked");
        for scope in [Scope::Tenant(0), Scope::Tenant(1), Scope::Tier(0), Scope::Engine] {
            assert_eq!(self.gate.used(scope), 0, "{scope:?} has a slot out");
        }
    }
}

/// A completion races the parking of the tenant's other lane: the lane comes back.
#[test]
fn gate_parked_on_concurrency() {
    check("gate_parked_on_concurrency", None, || {
        let rules = Rules { cap: Some(1), ..Rules::default() };
        let house = House::new(rules, None, None, 1);
        let held = house.admit(0).0.expect("the slot is free");
        let other = Arc::clone(&house);
        let other = thread::spawn(move || other.visit(0));
        house.run(0, held);
        other.join().unwrap();
        house.assert_all_done(2);
    });
}

/// Two tenants of one tier share a slot of the tier: it is never given twice, and neither stays parked.
/// Bound: 3 preemptions.
#[test]
fn gate_two_levels() {
    check("gate_two_levels", Some(3), || {
        let rules = Rules { cap: Some(1), tier: Some(0), engine: true, ..Rules::default() };
        let house = House::new(rules, Some(2), Some(1), 1);
        let other = Arc::clone(&house);
        let other = thread::spawn(move || other.visit(1));
        house.visit(0);
        other.join().unwrap();
        house.assert_all_done(2);
    });
}

/// A grant gives back what it had reserved, while the lane that it kept out is on its way to the lot: the
/// lane comes back.
#[test]
fn gate_parked_on_budget() {
    check("gate_parked_on_budget", None, || {
        let budgets = std::sync::Arc::<crate::gate::Budgets>::default();
        let one = DimensionTerms { name: "cost".into(), soft: None, hard: Some(1) };
        let terms = BudgetTerms { dimensions: vec![one], every: None };
        budgets.adopt(&HashMap::from([("org".to_owned(), terms)]), Nanos::ZERO);
        let draw = Draw { purse: budgets.ensure("org"), with_cost: true };
        let rules = Rules { budgets: [draw].into(), ..Rules::default() };
        let house = House::of(rules, (None, None), 1, budgets);
        let held = house.admit(0).0.expect("there is room for one");
        let other = Arc::clone(&house);
        let other = thread::spawn(move || other.visit(1));
        house.run(0, held);
        other.join().unwrap();
        house.assert_all_done(2);
    });
}

/// Either a worker on its way to bed sees that a lane waits for a moment, or whoever parked it wakes the
/// worker.
#[test]
fn gate_alarm() {
    check("gate_alarm", None, || {
        let (sleepers, beds) = dormitory(1);
        let shared = Arc::new((sleepers, Alarm::default(), AtomicU64::new(u64::MAX)));
        let parker = Arc::clone(&shared);
        let parker = thread::spawn(move || {
            let (sleepers, alarm, next) = &*parker;
            next.store(5, Relaxed);
            alarm.ring(sleepers);
        });
        let (sleepers, _, next) = &*shared;
        if next.load(Relaxed) == u64::MAX {
            beds[0].sleep(sleepers, None, || next.load(Relaxed) != u64::MAX);
        }
        parker.join().unwrap();
    });
}

/// A producer publishes a job that expires at once while a timekeeper has just taken the lane's alarm:
/// either the timekeeper sees the job, or the producer sees that no alarm is set and sets it.
/// Bound: 2 preemptions.
#[test]
fn gate_expiry_seen() {
    check("gate_expiry_seen", Some(2), || {
        let (lanes, _beds) = lanes(1, 8, 1);
        let (first, second) = (Nanos(1), Nanos(2));
        lanes.gate.arm(0, first);
        // A job in front, so that the producer does not activate the lane: that ends with a fence too.
        submit(&lanes, tenant(0), 0).unwrap();
        let producer = std::sync::Arc::clone(&lanes);
        let producer = thread::spawn(move || {
            let row = producer.table.row(0);
            let door = Door { generation: 0, bound: 8, head: &row.drained.head_seen };
            let ticket = row.tail.reserve(&producer.pool, door).expect("room");
            let order = Order { deadline: second, ..Order::PLAIN };
            let activates = ticket.activates;
            ticket.publish_ordered(&producer.pool, (1, Stamp::NONE), order, 1);
            if activates {
                producer.activate(0);
            }
            producer.expect(0, order);
        });
        let mut keeper = Place::new(0, &lanes);
        keeper.keep_time(first);
        producer.join().unwrap();
        keeper.keep_time(Nanos(u64::MAX - 1));
        assert_eq!(lanes.expired.take().len(), 1, "nobody looked after the job");
    });
}

/// A tenant goes over to a tier without limits while its lane is on its way to the lot, refused by the tier
/// that it had: its job goes.
/// Bound: 2 preemptions.
#[test]
fn gate_other_tier() {
    check("gate_other_tier", Some(2), || {
        let (lanes, plain) = lanes_of_paused_tier();
        submit(&lanes, tenant(0), 1).unwrap();
        let theirs = std::sync::Arc::clone(&lanes);
        let changer = thread::spawn(move || {
            theirs.table.row(0).set_terms(plain);
            theirs.reconsider(0);
        });
        let mut place = Place::new(0, &lanes);
        let mut jobs = place.tick(1);
        changer.join().unwrap();
        jobs.extend(place.tick(1));
        assert_eq!(jobs, [1], "the lane was parked for good");
    });
}
