//! The summary of the scripts in `ci/`: what it says of stages that fail or lack a tool.
#![cfg(unix)]

use std::process::Command;

/// The exit code of a script with these stages, and the last two lines that it prints.
fn summary(stages: &str, skips: &str) -> (Option<i32>, [String; 2]) {
    let common = concat!(env!("CARGO_MANIFEST_DIR"), "/ci/common.sh");
    let script = format!("set -euo pipefail\nsource {common}\n{stages}");
    let mut bash = Command::new("bash");
    let output = bash.args(["-c", &script]).env("FAIRLANE_SKIPS", skips).output().expect("bash");
    let text = String::from_utf8(output.stdout).expect("text");
    let mut last = text.lines().rev().map(str::to_owned);
    let [counts, skipped] = [last.next(), last.next()].map(|line| line.expect("a summary"));
    (output.status.code(), [skipped, counts])
}

fn of(code: i32, lines: [&str; 2]) -> (Option<i32>, [String; 2]) {
    (Some(code), lines.map(str::to_owned))
}

const PASSES: &str = "test_stage tests echo '7 passed, 0 failed'\n";
const SKIPPED: &str = "test_stage 'in a browser' echo 'SKIPPED: no browser'\n\
                       test_stage counted echo 'SKIPPED: no valgrind'\n";

#[test]
fn counts_of_all_stages_are_added_up() {
    let stages = format!("stage lint true\n{PASSES}{PASSES}");
    assert_eq!(
        summary(&stages, "fail"),
        of(0, ["stages skipped: 0", "14 passed, 0 failed, 0 skipped"])
    );
}

#[test]
fn stages_without_their_tool_are_named_and_counted() {
    let named = "stages skipped: 2, in a browser (no browser); counted (no valgrind)";
    let stages = format!("{PASSES}{SKIPPED}");
    assert_eq!(summary(&stages, "count"), of(0, [named, "7 passed, 0 failed, 2 skipped"]));
    assert_eq!(summary(&stages, "fail"), of(1, [named, "7 passed, 2 failed, 0 skipped"]));
}

#[test]
fn a_stage_that_fails_ends_the_run_and_counts() {
    let stages = format!("{PASSES}stage lint false\n{SKIPPED}");
    let lines = ["stages skipped: 0", "7 passed, 1 failed, 0 skipped"];
    assert_eq!(summary(&stages, "count"), of(1, lines));
}
