//! What a tenant meets that comes late, seldom, or beside a flood.

use crate::checks::{
    Verdict, all_within, fair_and_not_fifo, fill, jobs, picks_until, split_is, take, take_all,
};
use crate::queue::{Queue, Setup};

/// One hot tenant with 400 jobs, then 32 cold ones with one each; `before` picks lie in between.
fn hot_and_cold(queue: &mut dyn Queue, before: usize) -> Verdict {
    fill(queue, 0, 400, 1);
    take(queue, before);
    (1..33).for_each(|lane| fill(queue, lane, 1, 1));
    all_within(&take_all(queue), 1..33, 66)
}

// [hot_and_cold]
#[test]
fn cold_tenants_pass_a_hot_one() {
    for base in [1, 20] {
        for before in [0, 1, 5, 19, 20, 21, 150] {
            let setup = Setup::new(&[1.0; 33]).base(base);
            fair_and_not_fifo(&setup, |queue| hot_and_cold(queue, before));
        }
    }
}

// [flood]
#[test]
fn one_job_beside_a_flood_is_served_in_the_current_round() {
    for before in 0..25 {
        fair_and_not_fifo(&Setup::new(&[1.0; 2]).base(10), |queue| {
            fill(queue, 0, 1_000, 1);
            take(queue, before);
            fill(queue, 1, 1, 1);
            all_within(&take_all(queue), 1..2, 11)
        });
    }
}

// T-Z3: 1,000 older jobs of one tenant left nothing of 20 picks to 10 others.
#[test]
fn older_jobs_of_a_hot_tenant_do_not_fill_the_pool() {
    fair_and_not_fifo(&Setup::new(&[1.0; 11]), |queue| {
        fill(queue, 0, 1_000, 1);
        (1..11).for_each(|lane| fill(queue, lane, 1, 1));
        all_within(&take(queue, 20), 1..11, 11)
    });
}

// [sleeper] No credit for sleeping, no debt for having worked alone.
#[test]
fn a_sleeper_wakes_without_credit_and_the_busy_one_has_no_debt() {
    for base in [1, 20] {
        fair_and_not_fifo(&Setup::new(&[1.0; 2]).base(base), |queue| {
            fill(queue, 0, 100, 1);
            assert_eq!(jobs(&take(queue, 100), 2), [100, 0]);
            (0..2).for_each(|lane| fill(queue, lane, 100, 1));
            split_is(&jobs(&take(queue, 100), 2), &[1.0, 1.0], f64::from(base))
        });
    }
}

// [sleeper] The same when the busy tenant never stops.
#[test]
fn a_sleeper_that_finds_a_backlog_gets_its_half() {
    for base in [1, 20] {
        fair_and_not_fifo(&Setup::new(&[1.0; 2]).base(base), |queue| {
            fill(queue, 0, 1_000, 1);
            take(queue, 110);
            fill(queue, 1, 100, 1);
            split_is(&jobs(&take(queue, 100), 2), &[1.0, 1.0], f64::from(base))
        });
    }
}

// Decision 4: what became backlogged and has not had its turn this round is served next, all of
// it, not after the rest of a heavy turn.
#[test]
fn tenants_that_arrive_in_a_heavy_turn_are_served_before_it_goes_on() {
    let mut weights = vec![1.0; 33];
    weights[0] = 1_000.0;
    fair_and_not_fifo(&Setup::new(&weights).base(20), |queue| {
        fill(queue, 0, 30_000, 1);
        take(queue, 100);
        (1..33).for_each(|lane| fill(queue, lane, 1, 1));
        all_within(&take(queue, 20_000), 1..33, 32)
    });
}

// Decision 4, its anti-starvation rule: coming back at once gives no second turn in a round.
#[test]
fn a_well_timed_sparse_tenant_does_not_starve_a_backlogged_one() {
    let mut queue = Setup::new(&[1.0; 2]).base(20).engine();
    fill(&mut queue, 0, 2_000, 1);
    take(&mut queue, 10);
    let mut sparse = 0;
    for _ in 0..1_000 {
        let _ = queue.submit(1, 20);
        sparse += take(&mut queue, 1)[0].lane;
    }
    // Lane 1 spends its whole quantum with each job, lane 0 needs 20 picks for the same cost.
    assert!(sparse <= 1_000 / 21 + 2, "{sparse} of 1,000 picks");
}

/// Serves one light job among `heavies` backlogged lanes, goes on into the next round, and
/// returns after how many picks a second light job is served.
fn second_light_job(heavies: usize, into_next: usize) -> usize {
    let light = heavies;
    let mut queue = Setup::new(&vec![1.0; heavies + 1]).base(20).warm_engine();
    (0..heavies).for_each(|lane| fill(&mut queue, lane, 1_000, 1));
    take(&mut queue, 5);
    fill(&mut queue, light, 1, 1);
    assert_eq!(take(&mut queue, 1)[0].lane, light);
    take(&mut queue, heavies * 20 - 5 + into_next);
    fill(&mut queue, light, 1, 1);
    picks_until(&take(&mut queue, 2_000), light..light + 1).expect("served at last")
}

// Decision 4, for the tenant that has only just been emptied: lingering in the rotation must not
// cost it the place that an idle tenant gets.
#[test]
fn a_light_tenant_is_served_next_in_a_round_in_which_it_had_no_turn() {
    let waits: Vec<usize> = [1, 10, 100].map(|into| second_light_job(30, into)).to_vec();
    assert!(waits.iter().all(|&picks| picks <= 2), "picks until served: {waits:?}");
}
