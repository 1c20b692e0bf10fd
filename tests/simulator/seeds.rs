//! Runs seeds, and says how to run a failing one again.

use crate::mix::Mix;
use crate::oracle::{Breach, Kind};
use crate::systems::engine::{self, Fairlane};
use crate::systems::twin::{Flaw, Twin};
use crate::systems::usher::{Fault, Usher};
use crate::tally::Tally;
use crate::trace::Trace;
use crate::world::World;
use fairlane::ManualClock;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

/// Steps of a run unless `FAIRLANE_SIM_STEPS` says otherwise.
pub(crate) const STEPS: u64 = 20_000;

/// What a run came to, or many.
#[derive(Clone, Default, Debug)]
pub(crate) struct Ran {
    pub(crate) hash: u64,
    /// Steps taken.
    pub(crate) steps: u64,
    pub(crate) tally: Tally,
    /// The largest difference of two lanes, as a part of what is allowed.
    pub(crate) worst: f64,
}

impl Ran {
    fn merge(&mut self, other: &Ran) {
        self.hash = self.hash.rotate_left(1) ^ other.hash;
        self.steps += other.steps;
        self.tally.merge(&other.tally);
        self.worst = self.worst.max(other.worst);
    }
}

/// A breach, with the step it came at.
#[derive(Clone, Debug)]
pub(crate) struct Failed {
    pub(crate) breach: Breach,
    pub(crate) step: u64,
}

/// A number from the environment.
pub(crate) fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not {text:?}")))
}

/// Runs the engine under a seed. One that is drained early leaves the rest of the steps to another.
pub(crate) fn run(seed: u64, steps: u64, trace: Trace) -> Result<Ran, Failed> {
    let ran = catch_unwind(AssertUnwindSafe(|| run_engines(seed, steps, trace)));
    ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let breach = Breach::new(Kind::Panic, text.unwrap_or_default());
        Err(Failed { breach, step: 0 })
    })
}

fn run_engines(seed: u64, steps: u64, trace: Trace) -> Result<Ran, Failed> {
    let mix = Mix::draw(seed, steps);
    let mut ran = run_engine(&mix, steps, trace.clone())?;
    let taken = ran.steps;
    if taken < steps {
        let rest = run_engine(&mix.after_drain(), steps - taken, trace);
        let rest = rest.map_err(|failed| Failed { step: taken + failed.step, ..failed })?;
        ran.merge(&rest);
    }
    Ok(ran)
}

fn run_engine(mix: &Mix, steps: u64, trace: Trace) -> Result<Ran, Failed> {
    let (hand, alive) = (ManualClock::new(), Arc::new(AtomicU64::new(0)));
    let told = engine::Told::default();
    let engine = engine::build(mix, &hand, &told);
    let mut system = Fairlane::new(&engine, hand, mix, (Arc::clone(&alive), told));
    let mut world = World::new(mix, &mut system, trace);
    let ran = finish(&mut world, steps);
    drop(system);
    drop(engine);
    match alive.load(Relaxed) {
        0 => ran,
        left if ran.is_ok() => {
            let text = format!("{left} payloads outlive the engine");
            Err(Failed { breach: Breach::new(Kind::Memory, text), step: steps })
        }
        _ => ran,
    }
}

/// Runs a twin with a flaw.
pub(crate) fn run_twin(mix: &Mix, steps: u64, flaw: Flaw) -> Result<Ran, Failed> {
    let mut twin = Twin::new(mix, flaw);
    finish(&mut World::new(mix, &mut twin, Trace::new(false)), steps)
}

/// Runs a slow engine with limits and a fault.
pub(crate) fn run_usher(mix: &Mix, steps: u64, fault: Fault) -> Result<Ran, Failed> {
    let mut usher = Usher::new(mix, fault);
    finish(&mut World::new(mix, &mut usher, Trace::new(false)), steps)
}

fn finish(world: &mut World<'_>, steps: u64) -> Result<Ran, Failed> {
    let ran = world.run(steps);
    let step = world.step;
    ran.map_err(|breach| Failed { breach, step })?;
    Ok(Ran {
        hash: world.trace.hash(),
        steps: step,
        tally: world.tally.clone(),
        worst: world.oracle.worst(),
    })
}

/// Runs seeds from `first` on, on all cores. Returns what all runs came to, and the failures with
/// their seeds.
pub(crate) fn run_many(first: u64, seeds: u64, steps: u64) -> (Ran, Vec<(u64, Failed)>) {
    let next = AtomicU64::new(first);
    let all = Mutex::new((Ran::default(), Vec::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= first + seeds {
                        return;
                    }
                    let ran = run(seed, steps, Trace::new(false));
                    let mut all = all.lock().expect("runs do not panic here");
                    match ran {
                        Ok(ran) => all.0.merge(&ran),
                        Err(failed) => all.1.push((seed, failed)),
                    }
                }
            });
        }
    });
    let (ran, mut failures) = all.into_inner().expect("runs do not panic here");
    failures.sort_by_key(|(seed, _)| *seed);
    (ran, failures)
}

/// What failed, and the command that runs it again.
pub(crate) fn describe(failures: &[(u64, Failed)], steps: u64) -> String {
    let lines = failures.iter().take(10).map(|(seed, Failed { breach, step })| {
        format!(
            "seed {seed}, step {step}: {breach}\n    FAIRLANE_SIM_SEED={seed} FAIRLANE_SIM_STEPS={steps} \
             cargo test --test simulator one_seed -- --nocapture"
        )
    });
    format!("{} seeds failed\n{}", failures.len(), lines.collect::<Vec<_>>().join("\n"))
}

#[test]
fn a_failing_seed_prints_what_failed_and_the_command_that_runs_it_again() {
    let failed = |step| Failed { breach: Breach::new(Kind::Order, "came first"), step };
    assert_eq!(
        describe(&[(7, failed(12)), (23, failed(4))], 500),
        "2 seeds failed\n\
         seed 7, step 12: Order: came first\n    \
         FAIRLANE_SIM_SEED=7 FAIRLANE_SIM_STEPS=500 cargo test --test simulator one_seed -- --nocapture\n\
         seed 23, step 4: Order: came first\n    \
         FAIRLANE_SIM_SEED=23 FAIRLANE_SIM_STEPS=500 cargo test --test simulator one_seed -- --nocapture"
    );
    let many: Vec<_> = (0..12).map(|seed| (seed, failed(1))).collect();
    let told = describe(&many, 500);
    assert!(told.starts_with("12 seeds failed"), "{told}");
    assert_eq!(told.matches("FAIRLANE_SIM_SEED").count(), 10, "the first ten of them");
}
