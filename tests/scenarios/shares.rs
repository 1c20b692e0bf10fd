//! Who gets how much while everybody waits.

use crate::checks::{
    Verdict, costs, fair_and_not_fifo, fill, jobs, order_is, shares_are, split_is, take,
};
use crate::queue::{Pick, Queue, Setup};

/// Fills every lane, then splits the first 10 and the first 100 picks.
fn split_of_first(queue: &mut dyn Queue, cost: &[u32], parts: &[f64]) -> Verdict {
    for (lane, &cost) in cost.iter().enumerate() {
        fill(queue, lane, 100, cost);
    }
    let picks = take(queue, 100);
    for first in [10, 100] {
        split_is(&jobs(&picks[..first], cost.len()), parts, 1.0)?;
    }
    Ok(())
}

// [equal]
#[test]
fn equal_tenants_are_served_equally() {
    for lanes in [2, 4] {
        let setup = Setup::new(&vec![1.0; lanes]);
        fair_and_not_fifo(&setup, |queue| {
            split_of_first(queue, &vec![1; lanes], &vec![1.0; lanes])
        });
    }
}

// [one_to_two]
#[test]
fn twice_the_weight_is_twice_the_jobs() {
    fair_and_not_fifo(&Setup::new(&[1.0, 2.0]), |queue| {
        split_of_first(queue, &[1, 1], &[1.0, 2.0])
    });
}

// [cost] C-22: shares are by cost.
#[test]
fn twice_the_cost_is_half_the_jobs() {
    fair_and_not_fifo(&Setup::new(&[1.0, 1.0]), |queue| {
        split_of_first(queue, &[2, 1], &[1.0, 2.0])
    });
}

// [long_run]
#[test]
fn weights_hold_over_a_long_run() {
    fair_and_not_fifo(&Setup::new(&[10.0, 20.0]), |queue| {
        fill(queue, 0, 20_000, 1);
        fill(queue, 1, 20_000, 1);
        let picks: Vec<Pick> = (0..1_000).flat_map(|_| take(queue, 3)).collect();
        split_is(&jobs(&picks, 2), &[1.0, 2.0], 2.0)
    });
}

// [tiers] C-1, C-24; T-C1 gave growth 0.136 at cost 7.
#[test]
fn default_tiers_share_by_weight_whatever_a_job_costs() {
    let setup = Setup::new(&[1.0, 1.2, 2.0]).base(20);
    for cost in [1, 7] {
        fair_and_not_fifo(&setup, |queue| {
            (0..3).for_each(|lane| fill(queue, lane, 42_000, cost));
            let picks = take(queue, 42_000);
            shares_are(&costs(&picks, 3), &[0.238_1, 0.285_7, 0.476_2], 0.001)
        });
    }
}

/// A (quantum 20, ten jobs of 7) and B (quantum 40, four jobs of 30).
fn vector() -> Setup {
    Setup::new(&[1.0, 2.0]).base(20)
}

// [drr_vector] C-21, C-24
#[test]
fn the_textbook_vector_comes_out_in_its_order() {
    fair_and_not_fifo(&vector(), |queue| {
        fill(queue, 0, 10, 7);
        fill(queue, 1, 4, 30);
        order_is(&take(queue, 14), "AABAAABAAABBAA")
    });
}

/// Eight jobs of 7, and then one that the fourth turn covers only with what the third has left.
fn vector_with_ninth(queue: &mut dyn Queue, ninth: u32) -> Vec<Pick> {
    fill(queue, 0, 8, 7);
    fill(queue, 0, 1, ninth);
    fill(queue, 1, 9, 30);
    take(queue, 16)
}

// [drr_vector] C-24: A's deficit is 4 after its third visit, seen by what its fourth can pay.
#[test]
fn a_balance_of_four_is_carried_into_the_fourth_turn() {
    let exact = vector_with_ninth(&mut vector().warm_engine(), 24);
    order_is(&exact[..13], "AABAAABAAABBA").unwrap();
    let dearer = vector_with_ninth(&mut vector().warm_engine(), 25);
    order_is(&dearer[..14], "AABAAABAAABBBA").unwrap();
}

/// Keeps both lanes backlogged and serves until `enough` cost is out.
fn serve_backlogged(queue: &mut dyn Queue, cost: [u32; 2], enough: u64) -> Vec<Pick> {
    for (lane, cost) in cost.into_iter().enumerate() {
        fill(queue, lane, 50, cost);
    }
    let (mut picks, mut served) = (Vec::new(), 0);
    while served < enough {
        let pick = take(queue, 1)[0];
        served += u64::from(pick.cost);
        fill(queue, pick.lane, 1, cost[pick.lane]);
        picks.push(pick);
    }
    picks
}

// [batch_cannot_buy_share] C-24; T-C1: 7 bought 0.737 of the cost, 1,000 bought 0.98.
// T-C2: 8, 16, 3 and 6 lost what they left over.
#[test]
fn a_dear_job_buys_no_share() {
    let setup = Setup::new(&[1.0, 1.0]).base(20);
    for dear in [3, 6, 7, 8, 11, 16, 21, 100, 1_000] {
        let enough = 520 * (20 + u64::from(dear));
        fair_and_not_fifo(&setup, |queue| {
            let picks = serve_backlogged(queue, [1, dear], enough);
            shares_are(&costs(&picks, 2), &[0.5, 0.5], 0.002)
        });
    }
}

// Decision 1: whatever the number of workers, here interleaved on one thread.
#[test]
fn shares_do_not_depend_on_the_number_of_workers() {
    for workers in [2, 3, 7] {
        let mut queue = Setup::new(&[1.0, 1.2, 2.0]).base(20).workers(workers).engine();
        (0..3).for_each(|lane| fill(&mut queue, lane, 42_000, 7));
        let pick = |k: usize| queue.pick(k % workers, 0, 1)[0];
        let picks: Vec<Pick> = (0..42_000).map(pick).collect();
        shares_are(&costs(&picks, 3), &[0.238_1, 0.285_7, 0.476_2], 0.001).unwrap();
    }
}

// Smallest and largest weight side by side: nobody starves (0.01 : 1,000).
#[test]
fn the_smallest_weight_gets_its_share_beside_the_largest() {
    let mut queue = Setup::new(&[0.01, 1_000.0]).base(20).engine();
    fill(&mut queue, 0, 10, 1);
    fill(&mut queue, 1, 300_000, 1);
    let picks = take(&mut queue, 300_003);
    split_is(&jobs(&picks, 2), &[0.01, 1_000.0], 1.0).unwrap();
}
