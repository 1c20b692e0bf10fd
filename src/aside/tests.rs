//! The order against a slow, obvious twin, the twin's flawed copies against the same check, and
//! the vectors of the contract.

use super::{Aside, OF_BAND};
use crate::units::{Band, Bands, Nanos, Order, Priority, property_config};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{TestError, TestRng, TestRunner};

/// What the check drives: the engine's structure, its twin, or a twin with a flaw. Jobs are their
/// arrival numbers.
trait Lane {
    fn len(&self) -> usize;
    fn put(&mut self, order: Order, job: u64);
    fn settle(&mut self, now: Nanos);
    fn peek(&self) -> Option<(u64, Order)>;
    fn take(&mut self) -> Option<u64>;
    fn expired(&mut self, now: Nanos) -> Option<u64>;
    fn next_due(&self) -> Option<Nanos>;
    fn next_deadline(&self) -> Option<Nanos>;
    fn take_any(&mut self) -> Option<u64>;
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
    fn take_any(&mut self) -> Option<u64> {
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
    fn take_any(&mut self) -> Option<u64> {
        let first = *self.jobs.iter().min_by_key(|j| j.job)?;
        let job = self.leave(first);
        self.note(None);
        Some(job)
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
enum Op {
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

fn ops() -> impl Strategy<Value = Vec<Op>> {
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

/// Drives a lane and a twin, and says where they part. The last jobs are taken out of both, so that
/// none is lost or doubled.
fn part(subject: &mut impl Lane, ops: &[Op]) -> Result<(), String> {
    let mut twin = Twin::new(Flaw::None);
    let (mut now, mut jobs) = (Nanos(1_000), 0);
    let same = |what: &str, step: usize, got: Option<u64>, expected: Option<u64>| {
        let told = format!("{what} at step {step}: {got:?}, expected {expected:?}");
        if got == expected { Ok(()) } else { Err(told) }
    };
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

proptest! {
    #![proptest_config(property_config())]

    #[test]
    fn jobs_leave_in_the_order_of_the_rules(ops in ops()) {
        let parted = part(&mut Aside::new(), &ops);
        prop_assert!(parted.is_ok(), "{}", parted.unwrap_err());
    }

    #[test]
    fn the_lowest_band_with_jobs_gets_one_of_every_16_picks_and_no_band_waits_beyond_18(
        ops in ops(),
    ) {
        let mut lane = Aside::new();
        // Per band: picks since its own, while it had jobs; those while it was the lowest.
        let (mut waits, mut lowest_waits) = ([0; 4], [0; 4]);
        for op in ops {
            match op {
                Op::Put { jobs, band, .. } => {
                    let all = 0..jobs + 2;
                    all.for_each(|job| lane.put(at_once(band), (band, job)));
                }
                Op::Take(picks) => for _ in 0..picks {
                    let had = lane.bands.each_ref().map(|band| !band.chain.is_empty());
                    let Some((picked, _)) = lane.take() else { break };
                    for band in 0..4 {
                        let passed = had[band] && usize::from(picked) != band;
                        let lowest = !had[band + 1..].contains(&true);
                        waits[band] = if passed { waits[band] + 1 } else { 0 };
                        let more = lowest_waits[band] + 1;
                        lowest_waits[band] = if passed && lowest { more } else { 0 };
                    }
                    prop_assert!(waits.iter().all(|&wait| wait < 18), "{waits:?}");
                    prop_assert!(lowest_waits.iter().all(|&wait| wait < 16), "{lowest_waits:?}");
                },
                _ => {}
            }
        }
    }

    #[test]
    fn a_deadline_costs_memory_only_while_its_job_is_here(ops in ops()) {
        let mut lane = Aside::new();
        part(&mut lane, &ops).unwrap();
        prop_assert_eq!((lane.deadlines.len(), lane.waiting.len(), lane.len()), (0, 0, 0));
        for round in 0..100u64 {
            let order = Order { deadline: Nanos(u64::MAX - 1 - round), ..at_once(0) };
            (0..10).for_each(|job| lane.put(order, job));
            prop_assert_eq!(lane.deadlines.len(), 10);
            while lane.take().is_some() {}
        }
        prop_assert_eq!(lane.deadlines.len(), 0);
    }
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

/// The band with that number.
fn band_of(number: u8) -> Band {
    Bands::new([1, 2, 3]).unwrap().band(Priority::new(3 - i32::from(number)))
}

fn at_once(band: u8) -> Order {
    Order { band: band_of(band), due: Nanos::ZERO, deadline: Nanos::MAX, extra: Order::NO_EXTRA }
}

fn due_at(due: u64) -> Order {
    Order { due: Nanos(due), ..at_once(3) }
}

fn drained<J>(lane: &mut Aside<J>) -> Vec<J> {
    std::iter::from_fn(|| lane.take()).collect()
}

/// the higher priority first, then the older job.
#[test]
fn the_higher_band_goes_first_and_in_a_band_the_older_job() {
    let bands = Bands::default();
    let mut lane = Aside::new();
    for (priority, job) in [(0, "d"), (7_999, "b"), (6_000, "c"), (9_000, "a"), (-5, "e")] {
        lane.put(Order { band: bands.band(Priority::new(priority)), ..at_once(0) }, job);
    }
    assert_eq!(drained(&mut lane), ["a", "b", "c", "d", "e"]);
}

/// what was held up keeps its age. A job that was looked at and could not go stays first, and
/// jobs that are settled late go in the order in which they became due.
#[test]
fn a_job_that_was_held_up_keeps_its_age() {
    let mut lane = Aside::new();
    lane.put(at_once(3), "refused by a quota");
    assert_eq!(lane.peek(), Some(&"refused by a quota"));
    lane.put(due_at(20), "due at 20");
    lane.put(due_at(10), "due at 10");
    lane.put(due_at(10), "due at 10, later");
    assert_eq!(lane.next_due(), Some(Nanos(10)));
    lane.settle(Nanos(9));
    lane.put(at_once(3), "arrived at 9");
    lane.settle(Nanos(1_000));
    lane.put(due_at(5), "arrived at 1000, due before");
    let order = [
        "refused by a quota",
        "arrived at 9",
        "due at 10",
        "due at 10, later",
        "due at 20",
        "arrived at 1000, due before",
    ];
    assert_eq!((lane.next_due(), drained(&mut lane)), (None, order.to_vec()));
}

/// of jobs with one priority and one moment the first to arrive goes first.
#[test]
fn jobs_of_one_moment_go_by_arrival() {
    let mut lane = Aside::new();
    (0..1_000).for_each(|job| lane.put(due_at(7), job));
    assert_eq!((lane.peek(), lane.len()), (None, 1_000));
    lane.settle(Nanos(7));
    assert_eq!(drained(&mut lane), (0..1_000).collect::<Vec<_>>());
}

#[test]
fn with_all_bands_full_the_highest_gets_13_of_16_picks_and_each_other_one() {
    let mut lane = Aside::new();
    for band in 0..4 {
        (0..2_000).for_each(|_| lane.put(at_once(band), band));
    }
    let mut picks = [0; 4];
    (0..1_600).for_each(|_| picks[usize::from(lane.take().unwrap())] += 1);
    assert!(picks[1..].iter().all(|&picks| (99..=100).contains(&picks)), "{picks:?}");
}

#[test]
fn a_job_expires_at_its_deadline_due_or_not_the_earliest_first() {
    let mut lane = Aside::new();
    lane.put(Order { deadline: Nanos(30), ..at_once(0) }, "due");
    lane.put(Order { deadline: Nanos(20), ..due_at(25) }, "not due");
    lane.put(Order { deadline: Nanos(20), ..at_once(3) }, "same moment, later");
    assert_eq!((lane.next_deadline(), lane.expired(Nanos(19))), (Some(Nanos(20)), None));
    let expired: Vec<_> = std::iter::from_fn(|| lane.expired(Nanos(30))).collect();
    assert_eq!(expired, ["not due", "same moment, later", "due"]);
    assert!(lane.is_empty() && lane.next_deadline().is_none() && lane.next_due().is_none());
}

/// What a lane has room for.
fn room(lane: &Aside<u64>) -> [usize; 5] {
    let (waiting, deadlines) = (lane.waiting.capacities(), lane.deadlines.capacities());
    [lane.jobs.capacity(), waiting.0, waiting.1, deadlines.0, deadlines.1]
}

#[test]
fn a_warm_lane_asks_for_no_memory_and_an_empty_one_gives_it_back() {
    let mut lane = Aside::new();
    assert_eq!(room(&lane), [0; 5], "a new lane has no memory");
    let cycle = |lane: &mut Aside<u64>, now: u64| {
        for job in 0..100 {
            let deadline = Nanos(now + 50 + job);
            lane.put(Order { deadline, ..due_at(now + job % 7) }, job);
        }
        lane.settle(Nanos(now + 6));
        (0..50).for_each(|_| assert!(lane.take().is_some()));
        while lane.expired(Nanos(now + 1_000)).is_some() {}
        assert!(lane.is_empty());
    };
    cycle(&mut lane, 0);
    let warm = room(&lane);
    (1..=10_000).for_each(|round| cycle(&mut lane, round * 2_000));
    assert_eq!(room(&lane), warm);
    lane.put(at_once(0), 7);
    lane.shrink();
    assert_eq!(room(&lane), warm, "a lane with a job keeps its memory");
    assert_eq!(lane.take(), Some(7));
    lane.shrink();
    assert_eq!(room(&lane), [0; 5]);
    lane.put(due_at(20_000_000), 8);
    assert_eq!(lane.peek(), Some(&8), "how far it was settled is not forgotten");
}

#[test]
fn barred_jobs_let_others_go_and_come_back_before_them() {
    let mut lane = Aside::new();
    (0..6).for_each(|job| lane.put(at_once(3 - job as u8 / 3), job));
    // The jobs of the higher band are 3, 4 and 5.
    lane.bar();
    lane.bar();
    assert_eq!((lane.take(), lane.has_barred()), (Some(5), true));
    lane.bar();
    assert_eq!((lane.take(), lane.len()), (Some(1), 4));
    lane.unbar();
    assert_eq!((drained(&mut lane), lane.has_barred()), (vec![3, 4, 0, 2], false));
}

#[test]
fn barred_jobs_expire_and_are_taken_with_the_others() {
    let mut lane = Aside::new();
    (0..3).for_each(|job| lane.put(Order { deadline: Nanos(10 + job), ..at_once(3) }, job));
    (0..3).for_each(|_| lane.bar());
    assert!(lane.peek().is_none() && !lane.is_empty());
    assert_eq!((lane.expired(Nanos(10)), lane.next_deadline()), (Some(0), Some(Nanos(11))));
    assert_eq!((lane.take_any(), lane.take_any()), (Some(1), Some(2)));
    assert!(!lane.has_barred() && lane.is_empty());
}

#[test]
fn every_chain_is_empty_once_the_lane_is() {
    let mut lane = Aside::new();
    (0..40).for_each(|job| lane.put(at_once(job as u8 % 4), job));
    while lane.take_any().is_some() {}
    assert!(lane.all.is_empty());
    let empty = |chain: &super::Chain<OF_BAND>| chain.is_empty();
    assert!(lane.bands.iter().all(|band| empty(&band.chain) && band.passed == 0));
}
