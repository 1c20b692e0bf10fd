//! The negative control: deliberate faults in the engine, each of which some scenario must notice.

use std::path::Path;
use std::process::Command;

/// Executions per scheduler in which a fault has to show.
const RUNS: &str = "2000";

/// What a failed scenario says.
const DEADLOCK: &str = "deadlock! blocked tasks";
const LIVELOCK: &str = "exceeded max_steps bound";
const LOST: &str = "accepted 1, ran 0, returned 0";

/// Site of the fault, the scenario that notices, and what it says.
const MUTANTS: [(&str, &str, &str); 1] = [
    ("look.no_wait", "p2w2::shutdown", LOST),
];

#[test]
fn every_listed_mutant_is_noticed() {
    let missed: Vec<String> = MUTANTS.into_iter().filter_map(survives).collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// Runs one scenario with one fault, in a process of its own: the choice is made once a process.
fn survives((site, scenario, sign): (&str, &str, &str)) -> Option<String> {
    let schedules = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mutants");
    let program = std::env::current_exe().expect("this program");
    let run = Command::new(program)
        .args(["--exact", scenario, "--nocapture"])
        .env("FAIRLANE_MUTANT", site)
        .env("FAIRLANE_SHUTTLE_RUNS", RUNS)
        .env("FAIRLANE_SHUTTLE_SCHEDULES", &schedules)
        .env_remove("FAIRLANE_SHUTTLE_REPLAY")
        .env_remove("FAIRLANE_SHUTTLE_SEED")
        .output()
        .expect("this program runs again");
    let _ = std::fs::remove_dir_all(schedules);
    let said = String::from_utf8_lossy(&run.stderr);
    if run.status.success() {
        return Some(format!("{site}: {scenario} passes"));
    }
    (!said.contains(sign)).then(|| format!("{site}: {scenario} does not say \"{sign}\":\n{said}"))
}
