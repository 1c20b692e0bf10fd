//! Replay runs the engine's own dispatch, not a second one: a mutant there changes what it prints.

use std::path::{Path, PathBuf};
use std::process::Command;

const OURS: &str = env!("CARGO_BIN_EXE_fairlane");

/// Builds the command with the engine's mutants in it, beside the build under test.
///
/// What other crates compiled to is shared, where cargo can do that; only the last step has a folder
/// of its own, because both programs have the same name.
fn program_with_mutants() -> PathBuf {
    let profile = Path::new(OURS).parent().expect("a program is in a folder");
    let target = profile.parent().expect("a profile's folder is in the target folder");
    let mutants = target.join("mutants");
    let is_release = profile.ends_with("release");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["build", "--quiet", "--locked", "--offline", "--workspace", "--bin", "fairlane"])
        .args(["--features", "fairlane-cli/mutants"])
        .args(is_release.then_some("--release"))
        .arg("--target-dir")
        .arg(&mutants)
        .env("CARGO_BUILD_BUILD_DIR", target);
    assert!(cargo.status().expect("cargo starts").success(), "the build with mutants fails");
    let folder = if is_release { "release" } else { "debug" };
    mutants.join(folder).join(Path::new(OURS).file_name().expect("a program has a name"))
}

fn replay(program: &Path, mutant: Option<&str>, scheduler: &str) -> Vec<u8> {
    let log = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/logs/access-small.log");
    let mut command = Command::new(program);
    command.args(["replay", log, "--cost", "bytes", "--json", "--scheduler", scheduler]);
    command.env_remove("FAIRLANE_MUTANT").envs(mutant.map(|name| ("FAIRLANE_MUTANT", name)));
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn a_mutant_in_dispatch_changes_the_output_and_nothing_else_does() {
    let program = program_with_mutants();
    let expected = replay(Path::new(OURS), None, "fair");
    // The controls: the build changes nothing, nor does a mutant of no site or of another room.
    assert_eq!(replay(&program, None, "fair"), expected);
    assert_eq!(replay(&program, Some("dispatch.no_such_site"), "fair"), expected);
    assert_eq!(replay(&program, Some("park.no_recheck"), "fair"), expected);
    assert_ne!(replay(&program, Some("dispatch.half_turn"), "fair"), expected);
    // A FIFO is none of the engine's business.
    let fifo = replay(Path::new(OURS), None, "fifo");
    assert_eq!(replay(&program, Some("dispatch.half_turn"), "fifo"), fifo);
    // The shipped program knows no mutants.
    assert_eq!(replay(Path::new(OURS), Some("dispatch.half_turn"), "fair"), expected);
}
