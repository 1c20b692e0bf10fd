#![doc = include_str!("simulator/README.md")]

#[path = "simulator/chance.rs"]
mod chance;
#[path = "simulator/controls.rs"]
mod controls;
#[path = "simulator/controls_of_limits.rs"]
mod controls_of_limits;
#[path = "simulator/faults.rs"]
mod faults;
#[path = "simulator/found.rs"]
mod found;
#[path = "simulator/mix.rs"]
mod mix;
#[path = "simulator/oracle/mod.rs"]
mod oracle;
#[path = "simulator/producers.rs"]
mod producers;
#[path = "simulator/quota.rs"]
mod quota;
#[path = "support/rng.rs"]
mod rng;
#[path = "simulator/seeds.rs"]
mod seeds;
#[path = "simulator/systems/mod.rs"]
mod systems;
#[path = "simulator/tally.rs"]
mod tally;
#[path = "simulator/terms.rs"]
mod terms;
#[path = "simulator/trace.rs"]
mod trace;
#[path = "simulator/workers.rs"]
mod workers;
#[path = "simulator/world.rs"]
mod world;

use mix::Mix;
use seeds::{Ran, STEPS, describe, run, run_many, setting};
use trace::Trace;

/// What some seed must bring about, or the simulator does not test it.
const FEATURES: [&str; 41] = [
    "granted",
    "batches",
    "stalls",
    "abandoned",
    "panics",
    "stuck",
    "settled",
    "loose",
    "deaths",
    "sleeps",
    "wakes",
    "jumps",
    "backs",
    "stills",
    "swaps",
    "bad policies",
    "names refused",
    "retired",
    "queue_full",
    "engine_full",
    "stale_tenant",
    "closed",
    "drains",
    "returned",
    "unpublished",
    "near wrap",
    "expired",
    "rate",
    "concurrency",
    "tier_concurrency",
    "engine_concurrency",
    "paused",
    "deadline",
    "looks behind",
    "looks behind under rates",
    "one worker",
    "eight workers",
    "one producer",
    "64 producers",
    "one tenant",
    "10,000 tenants",
];

#[test]
fn no_seed_breaks_the_engine() {
    let steps = setting("FAIRLANE_SIM_STEPS").unwrap_or(STEPS);
    let seeds = setting("FAIRLANE_SIM_SEEDS").unwrap_or(300);
    assert!(seeds > 0 && steps > 0, "seeds and steps: at least 1");
    let first = setting("FAIRLANE_SIM_FIRST").unwrap_or(0);
    let (all, failures) = run_many(first, seeds, steps);
    assert!(failures.is_empty(), "{}", describe(&failures, steps));
    let Ran { steps: taken, tally, worst, .. } = all;
    println!("{seeds} seeds, {taken} steps, widest drift {worst:.3} of its bound: {tally:?}");
    assert_eq!(taken, seeds * steps, "each seed takes all its steps");
    if seeds >= 300 && steps >= STEPS {
        let absent: Vec<_> = FEATURES.into_iter().filter(|what| tally.get(what) == 0).collect();
        assert!(absent.is_empty(), "no seed brought about {absent:?}");
    }
}

/// Runs `FAIRLANE_SIM_SEED` alone, seed 0 otherwise; prints its events with `FAIRLANE_SIM_TRACE=1`.
#[test]
fn one_seed() {
    let seed = setting("FAIRLANE_SIM_SEED").unwrap_or(0);
    let steps = setting("FAIRLANE_SIM_STEPS").unwrap_or(STEPS);
    let traced = setting("FAIRLANE_SIM_TRACE") == Some(1);
    if traced {
        println!("{:#?}", Mix::draw(seed, steps));
    }
    let trace = Trace::new(traced);
    match run(seed, steps, trace) {
        Ok(ran) => println!("seed {seed}, {steps} steps: {ran:?}"),
        Err(failed) => panic!("{}", describe(&[(seed, failed)], steps)),
    }
}

#[test]
fn the_same_seed_gives_the_same_events_and_another_seed_others() {
    let hash = |seed| run(seed, 3_000, Trace::new(false)).map(|ran| ran.hash);
    let mut hashes = std::collections::BTreeSet::new();
    for seed in 0..24 {
        let (one, two) = (hash(seed).expect("a sound run"), hash(seed).expect("a sound run"));
        assert_eq!(one, two, "seed {seed} went another way the second time");
        hashes.insert(one);
    }
    assert_eq!(hashes.len(), 24, "different seeds went the same way");
}
