//! Negative controls: a twin of the engine with one flaw at a time. The oracle accepts the twin
//! without a flaw and rejects every flaw, for the right reason.

use crate::mix::Mix;
use crate::oracle::Kind;
use crate::seeds::{Failed, run_twin};
use crate::systems::twin::Flaw;

const STEPS: u64 = 6_000;
const SEEDS: u64 = 24;

fn run_control(seed: u64, flaw: Flaw) -> Result<(), Failed> {
    run_twin(&Mix::of_control(seed, STEPS), STEPS, flaw).map(drop)
}

/// Runs a flaw under all seeds; each that notices it must do so for one of `reasons`, and at least
/// `least` must.
#[track_caller]
fn rejected(flaw: Flaw, reasons: &[Kind], least: usize) {
    let mut noticed = 0;
    for seed in 0..SEEDS {
        if let Err(Failed { breach, step }) = run_control(seed, flaw) {
            let told = format!("{flaw:?}, seed {seed}, step {step}: {breach}");
            assert!(reasons.contains(&breach.kind), "not one of {reasons:?}: {told}");
            noticed += 1;
        }
    }
    assert!(noticed >= least, "{flaw:?}: {noticed} of {SEEDS} seeds noticed it");
}

#[test]
fn the_twin_without_a_flaw_is_accepted() {
    for seed in 0..SEEDS {
        if let Err(failed) = run_control(seed, Flaw::None) {
            panic!("seed {seed}, step {}: {}", failed.step, failed.breach);
        }
    }
}

#[test]
fn a_fifo_is_rejected() {
    rejected(Flaw::Fifo, &[Kind::Bound, Kind::Wait, Kind::Fresh], 20);
}

#[test]
fn a_scheduler_without_weights_is_rejected() {
    rejected(Flaw::IgnoresWeights, &[Kind::Bound, Kind::Wait], 14);
}

#[test]
fn a_scheduler_that_drops_every_100_000th_job_is_rejected() {
    let steps = 40_000;
    let mut mix = Mix::of_control(1, steps);
    // Enough jobs to drop one: everything but the throughput stays as it is.
    (mix.drain_at, mix.handler_ns, mix.batch, mix.batch_max) = (None, 0, 900, 30);
    (mix.workers, mix.producers, mix.most, mix.produce) = (4, 4, 300, 500);
    let faults = &mut mix.faults;
    (faults.stall, faults.stuck, faults.death, faults.loose) = (0, 0, 0, 1_000);
    mix.terms.tiers.iter_mut().for_each(|tier| tier.bound = 1_000);
    let sound = run_twin(&mix, steps, Flaw::None).expect("a sound twin");
    let granted = sound.tally.get("granted");
    assert!(granted > 100_000, "{granted} jobs are too few to drop one");
    let failed = run_twin(&mix, steps, Flaw::Drops(100_000)).expect_err("a job was dropped");
    assert!(
        matches!(failed.breach.kind, Kind::Order | Kind::Conservation | Kind::Work),
        "{}",
        failed.breach
    );
}

#[test]
fn a_forgotten_wake_up_is_rejected() {
    rejected(Flaw::ForgetsWake(5), &[Kind::Wake], 5);
}

#[test]
fn a_doubled_job_is_rejected() {
    rejected(Flaw::Doubles(500), &[Kind::Conservation, Kind::Work], 20);
}

#[test]
fn a_lost_job_is_rejected() {
    rejected(
        Flaw::Drops(500),
        &[Kind::Order, Kind::Conservation, Kind::Work, Kind::Books, Kind::Wait],
        20,
    );
}

#[test]
fn jobs_out_of_order_are_rejected() {
    rejected(Flaw::Reorders(500), &[Kind::Order], 20);
}

#[test]
fn a_job_that_overtakes_an_unfinished_one_is_rejected() {
    rejected(Flaw::Overtakes, &[Kind::Order], 8);
}

#[test]
fn a_starved_lane_is_rejected() {
    rejected(Flaw::Starves, &[Kind::Bound, Kind::Wait, Kind::Work], 16);
}

#[test]
fn credit_saved_up_while_away_is_rejected() {
    rejected(Flaw::SavesCredit, &[Kind::Bound, Kind::Wait], 12);
}

#[test]
fn corrections_that_are_not_booked_are_rejected() {
    rejected(Flaw::IgnoresCorrections, &[Kind::Bound, Kind::Wait], 4);
}

#[test]
fn a_swap_that_changes_nothing_is_rejected() {
    rejected(Flaw::IgnoresSwaps, &[Kind::Bound, Kind::Wait], 4);
}

#[test]
fn a_newcomer_that_waits_for_a_round_is_rejected() {
    rejected(Flaw::FreshLast, &[Kind::Fresh, Kind::Wait], 6);
}

#[test]
fn a_worker_that_finds_nothing_beside_a_job_is_rejected() {
    rejected(Flaw::Idles(50), &[Kind::Work], 20);
}

#[test]
fn doors_that_are_off_by_one_are_rejected() {
    rejected(Flaw::OverBound, &[Kind::Door], 12);
    rejected(Flaw::UnderBound, &[Kind::Door], 12);
}

#[test]
fn wrong_figures_are_rejected() {
    rejected(Flaw::LeaksPanics, &[Kind::Books, Kind::Conservation, Kind::Memory], 8);
    rejected(Flaw::Miscounts, &[Kind::Books], 12);
}

#[test]
fn a_drain_that_loses_a_job_is_rejected() {
    rejected(Flaw::DrainLoses, &[Kind::Conservation], 4);
}

#[test]
fn a_policy_taken_over_against_the_rules_is_rejected() {
    rejected(Flaw::TakesAnyPolicy, &[Kind::Policy], 8);
}

#[test]
fn a_clock_that_steps_back_is_rejected() {
    rejected(Flaw::ClockBack, &[Kind::Clock], 8);
}
