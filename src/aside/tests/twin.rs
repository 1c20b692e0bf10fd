//! A slow, obvious twin of a lane's order, and flawed copies of it that the same check must reject.

use super::{Aside, at_once};
use crate::units::{Nanos, Order, property_config};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRng, TestRunner};
use std::fmt::Debug;

/// What the check drives: the engine's structure, its twin, or a twin with a flaw. Jobs are their
/// arrival numbers.
pub(super) trait Lane {
    fn len(&self) -> usize;
    fn put(&mut self, order: Order, job: u64);
    fn settle(&mut self, now: Nanos);
    fn peek(&self) -> Option<(u64, Order)>;
    fn take(&mut self) -> Option<u64>;
    fn expired(&mut self, now: Nanos) -> Option<u64>;
    fn next_due(&self) -> Option<Nanos>;
    fn next_deadline(&self) -> Option<Nanos>;
    fn take_any(&mut self) -> Option<(Order, u64)>;
    fn bar(&mut self);
    fn unbar(&mut self);
    fn has_barred(&self) -> bool;
    fn shrink(&mut self);
}

impl Lane for Aside<u64> {
    fn len(&self) -> usize {
        let len = self.len();
        assert_eq!(self.is_empty(), len == 0);
        len
    }
    fn put(&mut self, order: Order, job: u64) {
        self.put(order, job);
    }
    fn settle(&mut self, now: Nanos) {
        self.settle(now);
    }
    fn peek(&self) -> Option<(u64, Order)> {
        Some((*self.peek()?, self.peek_order()?))
    }
    fn take(&mut self) -> Option<u64> {
        self.take()
    }
    fn expired(&mut self, now: Nanos) -> Option<u64> {
        self.expired(now)
    }
    fn next_due(&self) -> Option<Nanos> {
        self.next_due()
    }
    fn next_deadline(&self) -> Option<Nanos> {
        self.next_deadline()
    }
    fn take_any(&mut self) -> Option<(Order, u64)> {
        self.take_any()
    }
    fn bar(&mut self) {
        self.bar();
    }
    fn unbar(&mut self) {
        self.unbar();
    }
    fn has_barred(&self) -> bool {
        self.has_barred()
    }
    fn shrink(&mut self) {
        self.shrink();
    }
}

/// What a twin may get wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flaw {
    None,
    /// Bands, due moments and turns are ignored.
    Fifo,
    /// Every job is due at once.
    IgnoresDue,
    /// The lowest band may wait for ever.
    ForgetsLowBands,
    /// Only the lowest band is kept from waiting for ever.
    ForgetsMiddleBands,
    /// Jobs that became due go by arrival alone.
    ForgetsDueOrder,
    /// Jobs that are not due do not expire.
    KeepsWaitingJobs,
    /// A job goes at the moment of its deadline.
    LateByOne,
    /// A barred job comes back behind the others of its band.
    ForgetsPlaces,
    /// Barred jobs do not expire.
    KeepsBarredJobs,
}

/// The rules as sentences, over a vector that is scanned each time.
struct Twin {
    flaw: Flaw,
    jobs: Vec<TwinJob>,
    settled: Nanos,
    /// How many jobs have become due.
    entered: u64,
    /// After every operation: the bands that have due jobs, and the band that was picked.
    history: Vec<([bool; 4], Option<usize>)>,
}

#[derive(Clone, Copy)]
struct TwinJob {
    job: u64,
    order: Order,
    /// Its number among the jobs that became due, once it is.
    entered: Option<u64>,
    is_barred: bool,
}

impl TwinJob {
    /// Whether it may go when its band's turn comes.
    fn stands_in_band(&self) -> bool {
        self.entered.is_some() && !self.is_barred
    }
}

impl Twin {
    fn new(flaw: Flaw) -> Self {
        let (jobs, history) = (Vec::new(), Vec::new());
        Twin { flaw, jobs, settled: Nanos::ZERO, entered: 0, history }
    }

    fn note(&mut self, picked: Option<usize>) {
        let has_jobs =
            |band| self.jobs.iter().any(|j| j.stands_in_band() && j.order.band.index() == band);
        self.history.push(([0, 1, 2, 3].map(has_jobs), picked));
    }

    /// Picks that passed a band over, back to its own last one or to when it was empty. The history
    /// says which bands have jobs after a pick; those had some before it too.
    fn passed(&self, band: usize) -> usize {
        let passes = |(has_jobs, picked): &&([bool; 4], Option<usize>)| {
            has_jobs[band] && *picked != Some(band)
        };
        let since = self.history.iter().rev().take_while(passes);
        since.filter(|(_, picked)| picked.is_some()).count()
    }

    fn enter(&mut self) {
        let due = |j: &&mut TwinJob| j.entered.is_none() && j.order.due <= self.settled;
        let mut due: Vec<&mut TwinJob> = self.jobs.iter_mut().filter(due).collect();
        match self.flaw {
            Flaw::ForgetsDueOrder => due.sort_by_key(|j| j.job),
            _ => due.sort_by_key(|j| (j.order.due, j.job)),
        }
        for job in due {
            job.entered = Some(self.entered);
            self.entered += 1;
        }
    }

    fn next(&self) -> Option<TwinJob> {
        let due = self.jobs.iter().filter(|j| j.stands_in_band());
        if self.flaw == Flaw::Fifo {
            return self.jobs.iter().min_by_key(|j| j.job).copied();
        }
        let bands: Vec<usize> =
            (0..4).filter(|&band| due.clone().any(|j| j.order.band.index() == band)).collect();
        let owed = bands.iter().rev().find(|&&band| match self.flaw {
            Flaw::ForgetsLowBands => false,
            Flaw::ForgetsMiddleBands => Some(&band) == bands.last() && self.passed(band) >= 15,
            _ => self.passed(band) >= 15,
        });
        let band = *owed.or(bands.first())?;
        due.filter(|j| j.order.band.index() == band).min_by_key(|j| j.entered).copied()
    }

    fn leave(&mut self, job: TwinJob) -> u64 {
        self.jobs.retain(|other| other.job != job.job);
        job.job
    }
}

impl Lane for Twin {
    fn len(&self) -> usize {
        self.jobs.len()
    }
    fn put(&mut self, mut order: Order, job: u64) {
        if self.flaw == Flaw::IgnoresDue {
            order.due = Nanos::ZERO;
        }
        self.jobs.push(TwinJob { job, order, entered: None, is_barred: false });
        self.enter();
        self.note(None);
    }
    fn settle(&mut self, now: Nanos) {
        self.settled = self.settled.max(now);
        self.enter();
        self.note(None);
    }
    fn peek(&self) -> Option<(u64, Order)> {
        self.next().map(|j| (j.job, j.order))
    }
    fn take(&mut self) -> Option<u64> {
        let next = self.next()?;
        self.leave(next);
        self.note(Some(next.order.band.index()));
        Some(next.job)
    }
    fn expired(&mut self, now: Nanos) -> Option<u64> {
        let dead = self.jobs.iter().filter(|j| match self.flaw {
            Flaw::KeepsWaitingJobs => j.entered.is_some() && now >= j.order.deadline,
            Flaw::KeepsBarredJobs => !j.is_barred && now >= j.order.deadline,
            Flaw::LateByOne => now > j.order.deadline,
            _ => now >= j.order.deadline,
        });
        let dead = dead.filter(|j| j.order.deadline != Nanos::MAX);
        let first = *dead.min_by_key(|j| (j.order.deadline, j.job))?;
        let job = self.leave(first);
        self.note(None);
        Some(job)
    }
    fn next_due(&self) -> Option<Nanos> {
        self.jobs.iter().filter(|j| j.entered.is_none()).map(|j| j.order.due).min()
    }
    fn next_deadline(&self) -> Option<Nanos> {
        self.jobs.iter().map(|j| j.order.deadline).filter(|&at| at != Nanos::MAX).min()
    }
    fn take_any(&mut self) -> Option<(Order, u64)> {
        let first = *self.jobs.iter().min_by_key(|j| j.job)?;
        let job = self.leave(first);
        self.note(None);
        Some((first.order, job))
    }
    fn bar(&mut self) {
        let Some(next) = self.next() else { return };
        self.jobs.iter_mut().filter(|j| j.job == next.job).for_each(|j| j.is_barred = true);
        self.note(None);
    }
    fn unbar(&mut self) {
        for job in self.jobs.iter_mut().filter(|j| j.is_barred) {
            job.is_barred = false;
            if self.flaw == Flaw::ForgetsPlaces {
                job.entered = Some(self.entered);
                self.entered += 1;
            }
        }
        self.note(None);
    }
    fn has_barred(&self) -> bool {
        self.jobs.iter().any(|j| j.is_barred)
    }
    fn shrink(&mut self) {}
}

#[derive(Clone, Debug)]
pub(super) enum Op {
    /// So many jobs of one order; due moment and deadline are offsets from now.
    Put {
        jobs: u64,
        band: u8,
        due: Option<i64>,
        deadline: Option<i64>,
    },
    /// Time goes on, now and then backwards.
    Settle(i64),
    Take(u64),
    Expire,
    TakeAny,
    Bar,
    Unbar,
    Shrink,
}

pub(super) fn ops() -> impl Strategy<Value = Vec<Op>> {
    let due = prop::option::weighted(0.4, -3..20i64);
    let deadline = prop::option::weighted(0.3, -2..40i64);
    let put = (1..6u64, 0..4u8, due, deadline);
    let op = prop_oneof![
        8 => put.prop_map(|(jobs, band, due, deadline)| Op::Put { jobs, band, due, deadline }),
        4 => (-2..10i64).prop_map(Op::Settle),
        6 => (1..6u64).prop_map(Op::Take),
        2 => Just(Op::Expire),
        1 => Just(Op::TakeAny),
        2 => Just(Op::Bar),
        1 => Just(Op::Unbar),
        1 => Just(Op::Shrink),
    ];
    vec(op, 200)
}

fn at(now: Nanos, offset: i64) -> Nanos {
    Nanos(now.0.saturating_add_signed(offset))
}

/// What a lane shows without being changed.
#[derive(PartialEq, Debug)]
struct Seen {
    len: usize,
    next: Option<(u64, Order)>,
    has_barred: bool,
    due: Option<Nanos>,
    deadline: Option<Nanos>,
}

impl Seen {
    fn of(lane: &impl Lane) -> Seen {
        Seen {
            len: lane.len(),
            next: lane.peek(),
            has_barred: lane.has_barred(),
            due: lane.next_due(),
            deadline: lane.next_deadline(),
        }
    }
}

fn same<J: PartialEq + Debug>(
    what: &str,
    step: usize,
    got: Option<J>,
    expected: Option<J>,
) -> Result<(), String> {
    let told = format!("{what} at step {step}: {got:?}, expected {expected:?}");
    if got == expected { Ok(()) } else { Err(told) }
}

/// Drives a lane and a twin, and says where they part. The last jobs are taken out of both, so that
/// none is lost or doubled.
pub(super) fn part(subject: &mut impl Lane, ops: &[Op]) -> Result<(), String> {
    let mut twin = Twin::new(Flaw::None);
    let (mut now, mut jobs) = (Nanos(1_000), 0);
    for (step, op) in ops.iter().enumerate() {
        match *op {
            Op::Put { jobs: count, band, due, deadline } => {
                let due = due.map_or(Nanos::ZERO, |offset| at(now, offset));
                let deadline = deadline.map_or(Nanos::MAX, |offset| at(now, offset));
                let order = Order { due, deadline, ..at_once(band) };
                for job in jobs..jobs + count {
                    subject.put(order, job);
                    twin.put(order, job);
                }
                jobs += count;
            }
            Op::Settle(offset) => {
                now = at(now, offset);
                subject.settle(now);
                twin.settle(now);
            }
            Op::Take(count) => {
                for _ in 0..count {
                    same("take", step, subject.take(), twin.take())?;
                }
            }
            Op::Expire => same("expired", step, subject.expired(now), twin.expired(now))?,
            Op::TakeAny => same("take_any", step, subject.take_any(), twin.take_any())?,
            Op::Bar => {
                subject.bar();
                twin.bar();
            }
            Op::Unbar => {
                subject.unbar();
                twin.unbar();
            }
            Op::Shrink => subject.shrink(),
        }
        let (seen, expected) = (Seen::of(subject), Seen::of(&twin));
        if seen != expected {
            return Err(format!("after step {step}: {seen:?}, expected {expected:?}"));
        }
    }
    while twin.len() > 0 {
        same("the drain", ops.len(), subject.take_any(), twin.take_any())?;
    }
    same("the end", ops.len(), subject.take_any(), None)
}

/// Negative controls: the check that the engine's structure passes rejects each of these.
#[test]
fn the_twin_parts_from_every_flawed_copy_of_it() {
    let parts = |flaw| {
        let config = ProptestConfig { cases: 512, max_shrink_iters: 0, ..property_config() };
        let rng = TestRng::deterministic_rng(config.rng_algorithm);
        let same = |ops: Vec<Op>| part(&mut Twin::new(flaw), &ops).map_err(TestCaseError::fail);
        TestRunner::new_with_rng(config, rng).run(&ops(), same)
    };
    assert!(parts(Flaw::None).is_ok());
    let flaws = [
        Flaw::Fifo,
        Flaw::IgnoresDue,
        Flaw::ForgetsLowBands,
        Flaw::ForgetsMiddleBands,
        Flaw::ForgetsDueOrder,
        Flaw::KeepsWaitingJobs,
        Flaw::LateByOne,
        Flaw::ForgetsPlaces,
        Flaw::KeepsBarredJobs,
    ];
    for flaw in flaws {
        assert!(matches!(parts(flaw), Err(TestError::Fail(..))), "{flaw:?} passes");
    }
}
