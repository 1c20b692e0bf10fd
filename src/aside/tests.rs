//! The order against a slow, obvious twin, what follows from the order, and the vectors of the contract.

mod twin;

use super::{Aside, OF_BAND};
use crate::units::{Band, Bands, Nanos, Order, Priority, property_config};
use proptest::prelude::*;
use twin::{Op, ops, part};

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

/// The band with that number.
fn band_of(number: u8) -> Band {
    Bands::new([1, 2, 3]).unwrap().band(Priority::new(3 - i32::from(number)))
}

fn at_once(band: u8) -> Order {
    Order { band: band_of(band), ..Order::PLAIN }
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
    let mut last = || lane.take_any().map(|(order, job)| (order.deadline, job));
    assert_eq!((last(), last()), (Some((Nanos(11), 1)), Some((Nanos(12), 2))));
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
