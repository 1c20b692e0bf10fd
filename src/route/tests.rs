//! The table of classes against a twin that remembers users and workers one by one, and the twin's
//! flawed copies against the same check.

use super::{CLASSES_MAX, ClassId, Classes, TooManyClasses};
use crate::units::{Capabilities, property_config};
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRng, TestRunner};
use std::collections::BTreeSet;

fn set(joined: &str) -> Capabilities {
    joined.parse().unwrap()
}

fn nth(number: usize) -> Capabilities {
    set(&format!("c{number}"))
}

/// What the check drives.
trait Table {
    fn acquire(&mut self, needs: &Capabilities) -> Result<ClassId, TooManyClasses>;
    fn release(&mut self, id: ClassId);
    fn join(&mut self, worker: &Capabilities);
    fn leave(&mut self, worker: &Capabilities);
    /// Whether the worker can run the class.
    fn runs(&self, id: ClassId, worker: &Capabilities) -> bool;
    fn capable(&self, id: ClassId) -> u32;
    fn alive(&self) -> u32;
}

impl Table for Classes {
    fn acquire(&mut self, needs: &Capabilities) -> Result<ClassId, TooManyClasses> {
        self.acquire(needs)
    }
    fn release(&mut self, id: ClassId) {
        self.release(id);
    }
    fn join(&mut self, worker: &Capabilities) {
        self.join(worker);
    }
    fn leave(&mut self, worker: &Capabilities) {
        self.leave(worker);
    }
    fn runs(&self, id: ClassId, worker: &Capabilities) -> bool {
        self.matching(worker) & id.bit() != 0
    }
    fn capable(&self, id: ClassId) -> u32 {
        assert_eq!(self.without_worker() & id.bit() != 0, self.capable(id) == 0);
        self.capable(id)
    }
    fn alive(&self) -> u32 {
        self.alive().count_ones()
    }
}

/// What a flawed table gets wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flaw {
    /// A new class counts only the workers that come after it.
    ForgetsEarlierWorkers,
    /// Workers that leave are still counted.
    KeepsWorkers,
    /// A class stays when its last user is gone.
    KeepsClasses,
    /// A class is gone with its first user.
    EndsWithFirstUser,
    /// Every acquisition is a class of its own.
    NeverShares,
    /// A worker can run what needs a token that it has.
    MatchesAny,
    /// The last number is never given out; a run that does not fill the table cannot tell.
    RefusesThe64th,
}

/// The engine's table with one thing done wrong around it.
struct Flawed(Classes, Flaw);

impl Table for Flawed {
    fn acquire(&mut self, needs: &Capabilities) -> Result<ClassId, TooManyClasses> {
        let before = self.0.alive();
        match self.1 {
            Flaw::ForgetsEarlierWorkers => {
                let id = self.0.acquire(needs)?;
                if self.0.alive() != before {
                    self.0.class_mut(id).capable = 0;
                }
                Ok(id)
            }
            Flaw::NeverShares if !needs.is_empty() => {
                let index = self.0.begin(needs)?;
                let id = ClassId(index as u8);
                self.0.class_mut(id).users = 1;
                Ok(id)
            }
            Flaw::RefusesThe64th => match self.0.acquire(needs) {
                Ok(id) if id.index() == CLASSES_MAX - 1 => {
                    self.0.release(id);
                    Err(TooManyClasses)
                }
                other => other,
            },
            _ => self.0.acquire(needs),
        }
    }
    fn release(&mut self, id: ClassId) {
        match self.1 {
            Flaw::KeepsClasses => {}
            Flaw::EndsWithFirstUser if id != ClassId::ANY => self.0.classes[id.index()] = None,
            _ => self.0.release(id),
        }
    }
    fn join(&mut self, worker: &Capabilities) {
        self.0.join(worker);
    }
    fn leave(&mut self, worker: &Capabilities) {
        if self.1 != Flaw::KeepsWorkers {
            self.0.leave(worker);
        }
    }
    fn runs(&self, id: ClassId, worker: &Capabilities) -> bool {
        let needs = self.0.needs(id);
        match self.1 {
            Flaw::MatchesAny => needs.is_empty() || !needs.missing_from(worker).eq(needs.tokens()),
            _ => Table::runs(&self.0, id, worker),
        }
    }
    fn capable(&self, id: ClassId) -> u32 {
        self.0.capable(id)
    }
    fn alive(&self) -> u32 {
        self.0.alive().count_ones()
    }
}

#[derive(Clone, Debug)]
enum Op {
    Acquire(Capabilities),
    /// The user with that number, modulo how many there are.
    Release(usize),
    Join(Capabilities),
    /// The worker with that number, modulo how many there are.
    Leave(usize),
}

/// Sets of up to four of eight tokens: more than 64 of them, so that the table fills up.
fn some_set() -> impl Strategy<Value = Capabilities> {
    prop::collection::vec("[a-h]", 0..5).prop_map(|tokens| Capabilities::new(tokens).unwrap())
}

/// Runs that fill the table, and runs in which users leave about as often as they come.
fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::sample::select(vec![1u32, 8]).prop_flat_map(|releases| {
        let op = prop_oneof![
            8 => some_set().prop_map(Op::Acquire),
            releases => any::<usize>().prop_map(Op::Release),
            1 => some_set().prop_map(Op::Join),
            1 => any::<usize>().prop_map(Op::Leave),
        ];
        prop::collection::vec(op, 200)
    })
}

/// Drives a table, remembers every user and worker, and says where the table disagrees.
fn part(table: &mut impl Table, ops: &[Op]) -> Result<(), String> {
    let mut users: Vec<(ClassId, Capabilities)> = Vec::new();
    let mut workers: Vec<Capabilities> = Vec::new();
    for (step, op) in ops.iter().enumerate() {
        match op {
            Op::Acquire(needs) => {
                let alive = distinct(&users);
                let shared = needs.is_empty() || users.iter().any(|(_, other)| other == needs);
                match table.acquire(needs) {
                    Ok(id) if shared || alive < CLASSES_MAX => users.push((id, needs.clone())),
                    Err(TooManyClasses) if !shared && alive == CLASSES_MAX => {}
                    got => return Err(format!("step {step}: {got:?} with {alive} classes")),
                }
            }
            Op::Release(which) if !users.is_empty() => {
                let (id, _) = users.swap_remove(which % users.len());
                table.release(id);
            }
            Op::Join(worker) => {
                table.join(worker);
                workers.push(worker.clone());
            }
            Op::Leave(which) if !workers.is_empty() => {
                let worker = workers.swap_remove(which % workers.len());
                table.leave(&worker);
            }
            Op::Release(_) | Op::Leave(_) => {}
        }
        if step % 8 == 7 {
            let told = agree(table, &users, &workers);
            told.map_err(|what| format!("after step {step}: {what}"))?;
        }
    }
    Ok(())
}

/// How many distinct sets are needed, with the empty one, which always is.
fn distinct(users: &[(ClassId, Capabilities)]) -> usize {
    let needed = users.iter().map(|(_, needs)| needs).filter(|needs| !needs.is_empty());
    1 + needed.collect::<BTreeSet<_>>().len()
}

fn agree(
    table: &impl Table,
    users: &[(ClassId, Capabilities)],
    workers: &[Capabilities],
) -> Result<(), String> {
    let any = (ClassId::ANY, Capabilities::default());
    let classes: BTreeSet<_> = users.iter().chain([&any]).collect();
    let ids: BTreeSet<ClassId> = classes.iter().map(|(id, _)| *id).collect();
    let counts = [classes.len(), ids.len(), table.alive() as usize];
    if counts != [distinct(users); 3] {
        return Err(format!("{counts:?} pairs, numbers and classes for {} sets", distinct(users)));
    }
    for (id, needs) in classes {
        let can = |worker: &Capabilities| {
            needs.tokens().all(|token| worker.tokens().any(|other| other == token))
        };
        let capable = workers.iter().filter(|worker| can(worker)).count();
        if table.capable(*id) as usize != capable {
            return Err(format!("{} workers for {needs}, not {capable}", table.capable(*id)));
        }
        if let Some(worker) = workers.iter().find(|worker| table.runs(*id, worker) != can(worker)) {
            return Err(format!("whether {worker} can run {needs}"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(property_config())]

    #[test]
    fn every_set_in_use_is_one_class_with_its_capable_workers(ops in ops()) {
        let parted = part(&mut Classes::new(), &ops);
        prop_assert!(parted.is_ok(), "{}", parted.unwrap_err());
    }
}

/// Negative controls.
#[test]
fn flawed_tables_are_told_from_a_right_one() {
    let flaws = [
        Flaw::ForgetsEarlierWorkers,
        Flaw::KeepsWorkers,
        Flaw::KeepsClasses,
        Flaw::EndsWithFirstUser,
        Flaw::NeverShares,
        Flaw::MatchesAny,
        Flaw::RefusesThe64th,
    ];
    for flaw in flaws {
        let config = ProptestConfig { cases: 64, max_shrink_iters: 0, ..property_config() };
        let rng = TestRng::deterministic_rng(config.rng_algorithm);
        let told = TestRunner::new_with_rng(config, rng).run(&ops(), |ops| {
            part(&mut Flawed(Classes::new(), flaw), &ops).map_err(TestCaseError::fail)
        });
        assert!(matches!(told, Err(TestError::Fail(..))), "{flaw:?} passes");
    }
}

///
#[test]
fn what_needs_nothing_is_class_0_and_always_there() {
    let mut classes = Classes::new();
    for none in ["", ",,,"] {
        assert_eq!(classes.acquire(&set(none)), Ok(ClassId::ANY));
        classes.release(ClassId::ANY);
    }
    assert_eq!((classes.alive(), classes.matching(&set(""))), (1, 1));
    assert_eq!((classes.capable(ClassId::ANY), classes.without_worker()), (0, 1));
    classes.join(&set(""));
    assert_eq!((classes.capable(ClassId::ANY), classes.without_worker()), (1, 0));
}

#[test]
fn the_65th_set_is_refused_and_takes_the_place_of_one_whose_last_user_is_gone() {
    let mut classes = Classes::new();
    let ids: Vec<ClassId> = (1..64).map(|n| classes.acquire(&nth(n)).unwrap()).collect();
    assert_eq!((classes.alive(), classes.without_worker()), (u64::MAX, u64::MAX));
    assert_eq!(classes.acquire(&nth(64)), Err(TooManyClasses));
    assert_eq!(classes.acquire(&nth(20)), Ok(ids[19]));
    classes.release(ids[19]);
    assert_eq!(classes.acquire(&nth(64)), Err(TooManyClasses), "one user is left");
    classes.release(ids[19]);
    assert_eq!(classes.alive(), !ids[19].bit());
    classes.join(&nth(64));
    assert_eq!(classes.acquire(&nth(64)), Ok(ids[19]));
    assert_eq!((classes.needs(ids[19]), classes.capable(ids[19])), (&nth(64), 1));
    assert_eq!(classes.matching(&nth(64)), ClassId::ANY.bit() | ids[19].bit());
}

#[test]
fn a_worker_counts_for_classes_before_and_after_it_until_it_leaves() {
    let mut classes = Classes::new();
    let gpu = classes.acquire(&set("gpu")).unwrap();
    classes.join(&set("gpu,eu"));
    classes.join(&set("gpu,eu"));
    let eu = classes.acquire(&set("eu")).unwrap();
    assert_eq!((classes.capable(gpu), classes.capable(eu)), (2, 2));
    classes.leave(&set("eu,gpu"));
    classes.leave(&set("eu,gpu"));
    assert_eq!(classes.without_worker(), classes.alive());
    assert!(classes.workers.is_empty(), "sets of workers that are gone are not kept");
}

#[test]
#[should_panic(expected = "a worker that leaves has joined")]
fn a_worker_that_never_joined_cannot_leave() {
    let mut classes = Classes::new();
    classes.join(&set("gpu"));
    classes.leave(&set("eu"));
}

#[test]
#[should_panic(expected = "a class with a user is alive")]
fn a_class_cannot_be_released_more_often_than_it_was_acquired() {
    let mut classes = Classes::new();
    let id = classes.acquire(&set("gpu")).unwrap();
    classes.release(id);
    classes.release(id);
}
