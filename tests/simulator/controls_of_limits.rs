//! Negative controls of what is checked in seeds with limits: a slow engine with one fault at a time.

use crate::mix::Mix;
use crate::oracle::Kind;
use crate::seeds::{Failed, run_usher};
use crate::systems::usher::Fault;

const STEPS: u64 = 5_000;
const SEEDS: u64 = 16;

/// Runs a fault under all seeds; each that notices it must do so for one of `reasons`, and at least
/// `least` must.
#[track_caller]
fn rejected(fault: Fault, reasons: &[Kind], least: usize) {
    let mut noticed = 0;
    for seed in 0..SEEDS {
        let ran = run_usher(&Mix::of_limits(seed, STEPS), STEPS, fault);
        if let Err(Failed { breach, step }) = ran {
            let told = format!("{fault:?}, seed {seed}, step {step}: {breach}");
            assert!(reasons.contains(&breach.kind), "not one of {reasons:?}: {told}");
            noticed += 1;
        }
    }
    assert!(noticed >= least, "{fault:?}: {noticed} of {SEEDS} seeds noticed it");
}

#[test]
fn the_usher_without_a_fault_is_accepted() {
    for seed in 0..SEEDS {
        let ran = run_usher(&Mix::of_limits(seed, STEPS), STEPS, Fault::None);
        if let Err(failed) = ran {
            panic!("seed {seed}, step {}: {}", failed.step, failed.breach);
        }
    }
}

#[test]
fn more_grants_than_a_bound_are_rejected() {
    rejected(Fault::OverTenant, &[Kind::Quota], 4);
    rejected(Fault::OverTier, &[Kind::Quota], 2);
    rejected(Fault::OverEngine, &[Kind::Quota], 2);
}

#[test]
fn a_rate_that_leaks_is_rejected() {
    rejected(Fault::LeaksRate(20), &[Kind::Quota], 4);
}

#[test]
fn a_rate_that_begins_anew_when_the_clock_goes_back_is_rejected() {
    let ran = |seed, fault| run_usher(&Mix::of_clocks(seed, STEPS), STEPS, fault);
    for seed in 0..SEEDS {
        if let Err(failed) = ran(seed, Fault::None) {
            panic!("without a fault: seed {seed}, step {}: {}", failed.step, failed.breach);
        }
    }
    let breaches = (0..SEEDS).filter_map(|seed| ran(seed, Fault::ForgetsPast).err());
    let kinds: Vec<Kind> = breaches.map(|failed| failed.breach.kind).collect();
    assert!(kinds.len() >= 4 && kinds.iter().all(|kind| *kind == Kind::Quota), "{kinds:?}");
}

#[test]
fn limits_that_a_swap_does_not_change_are_rejected() {
    rejected(Fault::KeepsLimits, &[Kind::Quota, Kind::Work, Kind::Books, Kind::Reason], 2);
}

#[test]
fn a_job_at_its_deadline_or_before_it_is_due_is_rejected() {
    rejected(Fault::RunsExpired, &[Kind::Deadline, Kind::Expiry], 12);
    rejected(Fault::RunsEarly, &[Kind::Deadline], 12);
}

#[test]
fn expired_jobs_told_of_wrongly_are_rejected() {
    rejected(Fault::ExpiresTwice(10), &[Kind::Expiry], 12);
    rejected(Fault::ExpiresForeign(10), &[Kind::Expiry], 12);
    rejected(
        Fault::ExpiresSilently(10),
        &[Kind::Expiry, Kind::Books, Kind::Memory, Kind::Reason],
        12,
    );
    rejected(Fault::MiscountsExpired, &[Kind::Books, Kind::Conservation], 12);
}

#[test]
fn another_order_inside_a_lane_is_rejected() {
    rejected(Fault::IgnoresBands, &[Kind::Order], 12);
    rejected(Fault::StarvesLowest, &[Kind::Order], 4);
    rejected(Fault::ReordersBand, &[Kind::Order], 12);
}

#[test]
fn slots_that_do_not_come_back_are_rejected() {
    rejected(Fault::LeaksSlot(10), &[Kind::Work, Kind::Books, Kind::Reason, Kind::Wake], 8);
    // Nothing else may bring a lane back.
    let noticed = (0..SEEDS).filter(|seed| {
        let ran = run_usher(&Mix::of_bounds(*seed, STEPS), STEPS, Fault::ForgetsWake);
        ran.is_err_and(|failed| failed.breach.kind == Kind::Wake)
    });
    assert!(noticed.count() >= 2);
}

#[test]
fn wrong_words_on_limits_are_rejected() {
    rejected(Fault::WrongReason, &[Kind::Reason], 6);
    rejected(Fault::WrongInFlight, &[Kind::Books], 8);
}

#[test]
fn a_drain_that_loses_what_is_not_due_is_rejected() {
    rejected(Fault::DrainLoses, &[Kind::Conservation], 1);
}
