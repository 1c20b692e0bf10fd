//! The negative control: deliberate faults in the engine, each of which some scenario must notice.

use std::path::Path;
use std::process::Command;

/// Executions per scheduler in which a fault has to show; a part of them in scenarios with limits. More than
/// the scenarios make by themselves: the first that shows the fault ends it, and which one that is changes
/// with every step that the engine takes.
const RUNS: &str = "25000";

/// What a scenario says when nobody is left to run, or only threads that poll.
const STUCK: &[&str] = &["deadlock! blocked tasks", "exceeded max_steps bound"];
/// What it says when an accepted job neither ran nor came back.
const LOST: &[&str] = &["accepted 1, ran 0, returned 0", "`left == right` failed: DrainReport"];

/// Site of the fault, the scenario that notices, and what it may say.
const MUTANTS: [(&str, &str, &[&str]); 19] = [
    // A worker goes to bed without looking once more: the wake-up is lost.
    ("park.no_recheck", "p2w1::plain", STUCK),
    // The hint of a lane is cleared without looking once more at the lane.
    ("rotation.no_recheck", "p2w1::pulled", STUCK),
    // A lane leaves the rotation with a job in it.
    ("ring.no_recheck", "p2w2::plain", STUCK),
    ("ring.deactivate_by_store", "p2w2::plain", STUCK),
    // Two producers reserve one position.
    ("ring.blind_reserve", "p2w2::plain", STUCK),
    // A published job is taken for a tombstone.
    ("ring.sealed_twice", "p2w2::pulled", LOST),
    // A lane takes jobs after it was closed.
    ("ring.no_closed", "p2w2::shutdown", &["nothing is handed back twice", STUCK[0], STUCK[1]]),
    // A drain does not wait for jobs on their way to a shelf.
    ("look.no_wait", "p2w2::shutdown", LOST),
    // A slot is taken after the look at the count of slots, not with it.
    ("slots.load_then_add", "p3w3::deadline", &["and its tier 2 of (1, 1)"]),
    // A slot comes free past those who queue for it.
    ("slots.queue_unseen", "p2w2::deadline", STUCK),
    // A grant's slots are not given back.
    ("claim.no_release", "p2w1::quota", STUCK),
    // Slots that were taken before a refusal stay taken.
    ("gate.no_rollback", "p2w2::quota", STUCK),
    // Nobody is told of the moment that a parked lane waits for.
    ("gate.alarm_unrung", "p2w1::quota", STUCK),
    // A grant does not count towards its tenant's rate.
    ("gate.rate_uncounted", "p2w2::quota_pulled", &["grants from Nanos"]),
    // A grant reserves nothing of its budgets.
    ("purse.unreserved", "p2w2::quota_pulled", &["cost units spent"]),
    // A worker goes on by the moment at which its tick began, whatever others have seen since.
    ("dispatch.stale_moment", "p2w2::quota", STUCK),
    // A lane whose jobs have come due stays out of the rotation.
    ("timely.no_rouse", "p2w1::deadline", STUCK),
    // Jobs are granted whose deadline has passed.
    ("ordered.no_expiry", "p2w2::deadline_pulled", &["was granted between"]),
    // A drain leaves parked lanes where they are.
    ("engine.parked_left", "p2w2::parked", STUCK),
];

#[test]
fn every_listed_mutant_is_noticed() {
    let missed: Vec<String> = MUTANTS.into_iter().filter_map(survives).collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

/// Runs one scenario with one fault, in a process of its own: the choice is made once a process.
fn survives((site, scenario, signs): (&str, &str, &[&str])) -> Option<String> {
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
    let is_told = signs.iter().any(|sign| said.contains(sign));
    (!is_told).then(|| format!("{site}: {scenario} fails without {signs:?}:\n{said}"))
}
