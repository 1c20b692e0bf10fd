//! Changing the weights while jobs wait.

use crate::checks::{Verdict, fill, jobs, order, order_is, split_is, take, take_all};
use crate::queue::{Fair, Pick, Queue, Setup};
use fairlane::{Engine, Policy, Weight};
use std::time::{Duration, Instant};

fn two_tiers(first: f64, second: f64, base: u32) -> Policy {
    let weight = |weight| Weight::new(weight).expect("in range");
    Policy::builder()
        .base_quantum(base)
        .tenants_max(64)
        .default_queue_max(500_000)
        .tier("w20000", weight(first))
        .tier("w10000", weight(second))
        .default_tier("w20000")
        .build()
        .expect("a valid policy")
}

/// Checks the picks after the swap: whatever the last turn under the old weights had left, then
/// rounds of 10 and 20.
fn follows_new_weights(after: &[Pick]) -> Verdict {
    let text = order(after);
    let turns: Vec<usize> = text.as_bytes().chunk_by(|a, b| a == b).map(<[u8]>::len).collect();
    // The first turn began under the old weights. Lane 1 is empty soon, lane 0 goes on alone.
    let (old, new) = turns.split_at(1);
    if old[0] > 20 {
        return Err(format!("a turn of {old:?} under the old weights"));
    }
    let full = new.iter().take_while(|&&turn| turn == 10 || turn == 20).count();
    if full + 2 < new.len() { Err(format!("turns {turns:?}")) } else { Ok(()) }
}

fn swapped_after_half(queue: &mut Fair, swap: bool) -> Verdict {
    (0..2).for_each(|lane| fill(queue, lane, 500, 1));
    let before = take(queue, 495);
    split_is(&jobs(&before, 2), &[2.0, 1.0], 20.0)?;
    if swap {
        queue.engine.set_policy(two_tiers(10.0, 20.0, 1)).expect("only weights differ");
    }
    let after = take_all(queue);
    let (first, second) = (jobs(&before, 2), jobs(&after, 2));
    if (first[0] + second[0], first[1] + second[1]) != (500, 500) {
        return Err(format!("jobs were lost: {first:?} and {second:?}"));
    }
    split_is(&jobs(&after[..300], 2), &[1.0, 2.0], 20.0)?;
    follows_new_weights(&after)
}

// [policy_swap]
#[test]
fn new_weights_hold_from_the_next_round_and_nothing_is_lost() {
    let setup = Setup::new(&[20.0, 10.0]);
    swapped_after_half(&mut setup.warm_engine(), true).unwrap();
    assert!(
        swapped_after_half(&mut setup.warm_engine(), false).is_err(),
        "the check sees the swap"
    );
}

// [policy_swap] Decision 11: balances are kept. Both have quantum 20; A pays 7, 7 and keeps 6.
#[test]
fn a_swap_keeps_what_a_turn_has_left() {
    let mut queue = Setup::new(&[20.0, 10.0]).warm_engine();
    fill(&mut queue, 0, 20, 7);
    fill(&mut queue, 1, 20, 10);
    order_is(&take(&mut queue, 3), "AAB").unwrap();
    queue.engine.set_policy(two_tiers(15.0, 10.0, 1)).unwrap();
    // 6 + 15 = 21 pays three; without the 6, or with a fresh quantum on top, it would be 2 or 5.
    order_is(&take(&mut queue, 6), "AAABAA").unwrap();
}

// A swap that copies the plan for every tenant with terms of its own takes ten seconds.
#[test]
fn a_swap_with_as_many_overrides_as_there_may_be_is_quick() {
    let engine = Engine::<(usize, u32)>::builder().workers(1).build().expect("one worker");
    let names: Vec<String> = (0..10_000).map(|at| format!("tenant-{at}")).collect();
    for name in &names {
        engine.tenant(name, "starter").expect("the table has room");
    }
    let double = Weight::new(2.0).expect("in range");
    let builder = names.iter().fold(Policy::builder(), |to, name| to.tenant_weight(name, double));
    let policy = builder.build().expect("10,000 overrides are allowed");
    let start = Instant::now();
    engine.set_policy(policy).expect("only overrides differ");
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "a swap took {took:?}");
    let snapshot = engine.snapshot();
    assert!(snapshot.tenant_rows.iter().all(|row| row.weight == 2.0));
}

// Decision 11: every decision uses one policy; a storm of swaps loses nothing.
#[test]
fn a_storm_of_swaps_loses_no_job() {
    let mut queue = Setup::new(&[20.0, 10.0]).warm_engine();
    (0..2).for_each(|lane| fill(&mut queue, lane, 2_000, 3));
    let mut picks = Vec::new();
    for round in 0..1_000 {
        let (first, second) = if round % 2 == 0 { (1.0, 500.0) } else { (500.0, 1.0) };
        queue.engine.set_policy(two_tiers(first, second, 1)).unwrap();
        picks.extend(queue.pick(0, 0, 3));
    }
    picks.extend(take_all(&mut queue));
    assert_eq!(jobs(&picks, 2), [2_000, 2_000]);
    for lane in 0..2 {
        let numbers: Vec<u32> =
            picks.iter().filter(|pick| pick.lane == lane).map(|pick| pick.number).collect();
        assert!(numbers.is_sorted(), "lane {lane} is out of order");
    }
}
