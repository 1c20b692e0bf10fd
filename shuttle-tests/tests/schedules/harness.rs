//! Runs a scenario under each scheduler, or replays one schedule of it.

use shuttle::scheduler::{
    PctScheduler, RandomScheduler, ReplayScheduler, Scheduler,
    UncontrolledNondeterminismCheckScheduler,
};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;

/// Executions per scenario and scheduler; `FAIRLANE_SHUTTLE_RUNS`.
const RUNS: usize = 5_000;
/// Of how many of them one is made of a scenario with limits, which takes as long as several others.
const LIMITED_PART: usize = 5;
/// Where the schedulers begin; `FAIRLANE_SHUTTLE_SEED`.
const SEED: u64 = 1;
/// Decisions in one execution. The longest of the scenarios takes a sixth; a lock-up takes any number.
const STEPS_MAX: usize = 100_000;
/// Stack of a thread: the engine's frames and the formatting of a failure.
const STACK_BYTES: usize = 256 * 1024;
/// Executions that are made twice to see whether they come out the same.
const REPLAYS: usize = 200;

/// The value of an environment variable, or what stands for it.
fn number<N: std::str::FromStr>(variable: &str, default: N) -> N {
    env::var(variable).map_or(default, |text| {
        text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number"))
    })
}

/// Where failing schedules are kept.
fn schedules() -> PathBuf {
    let folder = env::var_os("FAIRLANE_SHUTTLE_SCHEDULES");
    let folder = folder
        .map_or_else(|| concat!(env!("CARGO_TARGET_TMPDIR"), "/schedules").into(), PathBuf::from);
    std::fs::create_dir_all(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    folder
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.failure_persistence = FailurePersistence::File(Some(schedules()));
    // It warns that orderings are not modelled. The loom models are there for them.
    config.silence_warnings = true;
    config
}

/// The part of a number of executions of which a scenario with one worker has one: there is less to choose.
const LONE_WORKER_PART: usize = 5;

/// How many executions of the scenario `name` of the file `room` are made.
fn runs_of(room: &str, name: &str) -> usize {
    let by_itself = if name.starts_with("p2w1") { RUNS / LONE_WORKER_PART } else { RUNS };
    let runs = number("FAIRLANE_SHUTTLE_RUNS", by_itself);
    if room == "limited" { runs.div_ceil(LIMITED_PART) } else { runs }
}

/// Runs `scenario`, which the file `room` has, under the random scheduler and under PCT, or one schedule of it
/// when `FAIRLANE_SHUTTLE_REPLAY` names its file.
pub(crate) fn explore(room: &str, name: &str, scenario: impl Fn() + Copy + Send + Sync + 'static) {
    if let Ok(file) = env::var("FAIRLANE_SHUTTLE_REPLAY") {
        let replay = ReplayScheduler::new_from_file(&file);
        let replay = replay.unwrap_or_else(|e| panic!("{file}: {e}"));
        run(name, "replay", replay, scenario);
        return;
    }
    let runs = runs_of(room, name);
    let seed = number("FAIRLANE_SHUTTLE_SEED", SEED);
    run(name, "pct 2", PctScheduler::new_from_seed(seed, 2, runs), scenario);
    run(name, "random", RandomScheduler::new_from_seed(seed, runs), scenario);
    run(name, "pct 3", PctScheduler::new_from_seed(seed, 3, runs), scenario);
}

fn run(
    name: &str,
    scheduler: &str,
    schedule: impl Scheduler + 'static,
    scenario: impl Fn() + Send + Sync + 'static,
) {
    let started = std::time::Instant::now();
    let ended = catch_unwind(AssertUnwindSafe(|| Runner::new(schedule, config()).run(scenario)));
    match ended {
        Ok(runs) => println!("{name}, {scheduler}: {runs} runs in {:?}", started.elapsed()),
        Err(panic) => {
            eprintln!(
                "{name}, {scheduler}: failed; to see it again, with the file named above:\n    \
                 FAIRLANE_SHUTTLE_REPLAY=FILE cargo test --manifest-path shuttle-tests/Cargo.toml \
                 --test schedules -- --exact {name} --nocapture"
            );
            resume_unwind(panic);
        }
    }
}

/// Makes executions twice and compares which threads could run at each step.
pub(crate) fn check_replays(scenario: impl Fn() + Send + Sync + 'static) {
    let twice = UncontrolledNondeterminismCheckScheduler::new(RandomScheduler::new_from_seed(
        SEED, REPLAYS,
    ));
    Runner::new(twice, config()).run(scenario);
}
