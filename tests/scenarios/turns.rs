//! Whose turn it is, and what a turn costs the engine.

use crate::checks::{all_within, fair_and_not_fifo, fill, jobs, order_is, split_is, take};
use crate::queue::{Fair, Queue, Setup};

fn three_lanes(queue: &mut dyn Queue) {
    fill(queue, 0, 3, 1);
    fill(queue, 1, 2, 1);
    fill(queue, 2, 1, 1);
}

fn visits(queue: &Fair) -> u64 {
    queue.engine.snapshot().workers.iter().map(|worker| worker.visits).sum()
}

// [rr_order] B-10
#[test]
fn tenants_take_turns_and_each_tenant_is_first_in_first_out() {
    fair_and_not_fifo(&Setup::new(&[1.0; 3]), |queue| {
        three_lanes(queue);
        let picks = take(queue, 6);
        let numbers: Vec<u32> = picks.iter().map(|pick| pick.number).collect();
        order_is(&picks, "ABCABA")?;
        let in_order = numbers == [0, 0, 0, 1, 1, 2];
        in_order.then_some(()).ok_or_else(|| format!("{numbers:?}"))
    });
}

// [cancel_after_grant]
#[test]
fn an_abandoned_grant_makes_way_for_the_next_in_order() {
    let mut queue = Setup::new(&[1.0; 3]).engine();
    three_lanes(&mut queue);
    let mut seen = String::new();
    for _ in 0..6 {
        // The grant is dropped unused before the next one is asked for.
        let grant = queue.workers[0].tick(fairlane::Nanos::ZERO, 1).next().expect("a job waits");
        seen.push((b'A' + grant.payload().0 as u8) as char);
        drop(grant);
        assert_eq!(queue.engine.snapshot().running, 0, "the slot is free at once");
    }
    assert_eq!(seen, "ABCABA");
}

// [cancel_after_grant] Grants that nobody takes out of the iterator are settled as well.
#[test]
fn grants_left_in_the_iterator_are_settled() {
    let mut queue = Setup::new(&[1.0; 3]).engine();
    three_lanes(&mut queue);
    drop(queue.workers[0].tick(fairlane::Nanos::ZERO, 4));
    let snapshot = queue.engine.snapshot();
    assert_eq!((snapshot.dispatched, snapshot.running, snapshot.depth), (4, 0, 2));
    order_is(&take(&mut queue, 2), "BA").unwrap();
}

// A tick for no jobs, as one that only keeps the time, is no turn of anybody's.
#[test]
fn a_tick_for_no_jobs_changes_no_order() {
    let mut queue = Setup::new(&[1.0; 4]).engine();
    (0..4).for_each(|lane| fill(&mut queue, lane, 10, 1));
    let mut picks = Vec::new();
    for _ in 0..40 {
        picks.extend(take(&mut queue, 1));
        assert_eq!(queue.workers[0].tick(fairlane::Nanos::ZERO, 0).count(), 0);
    }
    order_is(&picks, &"ABCD".repeat(10)).unwrap();
}

// T-Z5: the rotation goes on where it stopped, whoever asks.
#[test]
fn a_new_worker_goes_on_where_the_last_one_stopped() {
    let mut queue = Setup::new(&[1.0; 4]).engine();
    (0..4).for_each(|lane| fill(&mut queue, lane, 10, 1));
    let mut picks = Vec::new();
    for _ in 0..40 {
        queue.workers.clear();
        let worker = queue.engine.worker().expect("the last one has left");
        queue.workers.push(worker);
        picks.extend(take(&mut queue, 1));
    }
    order_is(&picks[..8], "ABCDABCD").unwrap();
    split_is(&jobs(&picks, 4), &[1.0; 4], 0.0).unwrap();
}

// every lane is visited once before any is visited twice, in any word of the bitmap.
#[test]
fn every_lane_has_its_turn_once_a_round() {
    let lanes = 300;
    let mut queue = Setup::new(&vec![1.0; lanes]).engine();
    (0..lanes).for_each(|lane| fill(&mut queue, lane, 5, 1));
    let picks = take(&mut queue, 5 * lanes);
    for round in picks.chunks(lanes) {
        split_is(&jobs(round, lanes), &vec![1.0; lanes], 0.0).unwrap();
    }
}

// [heavy_in_reach]
#[test]
fn a_heavy_job_waits_for_its_cost_and_no_longer() {
    fair_and_not_fifo(&Setup::new(&[1.0, 1.0]), |queue| {
        fill(queue, 0, 5_000, 1);
        fill(queue, 1, 1, 10);
        all_within(&take(queue, 100), 1..2, 12)
    });
}

// [dear_heads] Decision 2
#[test]
fn dear_heads_cost_a_few_visits_per_grant() {
    for (jobs_each, workers) in [(1, 1), (3, 1), (2, 3)] {
        let lanes = 100_000;
        let setup = Setup::new(&vec![1.0; lanes]).base(20).workers(workers);
        let mut queue = setup.bounds(400_000, 4).engine();
        (0..lanes).for_each(|lane| fill(&mut queue, lane, jobs_each, 1_000_000));
        let grants = lanes * jobs_each;
        for k in 0..grants {
            assert_eq!(queue.pick(k % workers, 0, 1).len(), 1, "grant {k}");
        }
        let per_grant = visits(&queue) as f64 / grants as f64;
        assert!(per_grant <= 3.0, "{per_grant} visits per grant, {jobs_each} jobs each");
    }
}

// [dear_heads] One dear head among cheap ones must not make the rounds of the others dear.
#[test]
fn a_dear_head_among_cheap_ones_costs_one_visit_a_round() {
    let lanes = 64;
    let mut queue = Setup::new(&vec![1.0; lanes]).base(20).engine();
    fill(&mut queue, 0, 1, 1_000_000);
    (1..lanes).for_each(|lane| fill(&mut queue, lane, 2_000, 1));
    let picks = take(&mut queue, 63 * 2_000 + 1);
    assert_eq!(picks.last().map(|pick| pick.lane), Some(0));
    let rounds = 2_000 / 20;
    // A turn of 20 single picks is 20 visits; the dear lane adds one to each round.
    let most = 63 * 2_000 + 64 * (rounds + 4);
    assert!(visits(&queue) <= most, "{} visits, expected at most {most}", visits(&queue));
}

// C-20, T-C4: idle tenants cost nothing, and an empty engine makes no visit.
#[test]
fn idle_tenants_are_not_visited() {
    let lanes = 10_000;
    let mut queue = Setup::new(&vec![1.0; lanes]).engine();
    fill(&mut queue, 7_777, 100, 1);
    take(&mut queue, 100);
    assert!(queue.pick(0, 0, 1).is_empty());
    let after = visits(&queue);
    assert!(after <= 203, "{after} visits for 100 jobs of one tenant");
    for _ in 0..1_000 {
        assert!(queue.pick(0, 0, 1).is_empty());
    }
    assert_eq!(visits(&queue), after);
}

// C-22: a job settled dearer than charged is paid for by the tenant's later turns.
#[test]
fn settling_with_another_cost_changes_the_share() {
    let mut queue = Setup::new(&[1.0, 1.0]).base(20).engine();
    (0..2).for_each(|lane| fill(&mut queue, lane, 4_000, 1));
    let mut served = [0u64; 2];
    for _ in 0..4_000 {
        let grant = queue.workers[0].tick(fairlane::Nanos::ZERO, 1).next().expect("a job waits");
        let lane = grant.payload().0;
        served[lane] += 1;
        // Lane 0 asks for 1 and uses 3.
        grant.settle(if lane == 0 { 3 } else { 1 });
    }
    split_is(&served, &[1.0, 3.0], 40.0).unwrap();
}

// The same towards the cheaper side, also by a receipt on its own.
#[test]
fn a_job_that_turns_out_cheaper_gives_the_rest_back() {
    let mut queue = Setup::new(&[1.0, 1.0]).base(20).engine();
    fill(&mut queue, 0, 4_000, 4);
    fill(&mut queue, 1, 4_000, 4);
    let mut served = [0u64; 2];
    for _ in 0..3_000 {
        let grant = queue.workers[0].tick(fairlane::Nanos::ZERO, 1).next().expect("a job waits");
        let ((lane, _), receipt) = grant.split();
        served[lane] += 1;
        if lane == 0 { receipt.settle(2) } else { receipt.complete() }
    }
    split_is(&served, &[2.0, 1.0], 40.0).unwrap();
}
