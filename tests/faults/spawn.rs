//! Threads that the system refuses: for real, in a process of its own whose memory is limited.

use crate::register::{Load, Register};
use fairlane::{Engine, Grant, StartError};
use std::process::{Command, Output};

/// Says that this process is the limited one, and how many workers it is to ask for.
const WORKERS: &str = "FAIRLANE_TEST_WORKERS";
/// Stacks of 1 GiB in an address space of 4 GB: some threads start, and soon one does not.
const STACK_BYTES: &str = "1073741824";
const SPACE_KIB: u32 = 4_000_000;

/// Runs the test `name` again, alone, in a process of limited memory.
fn limited(name: &str, workers: usize) -> Output {
    let program = std::env::current_exe().expect("a test is a program");
    Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -v {SPACE_KIB} && exec \"$0\" \"$@\""))
        .arg(program)
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(WORKERS, workers.to_string())
        .env("RUST_MIN_STACK", STACK_BYTES)
        .output()
        .expect("a shell")
}

/// The engine's threads in this process.
fn engine_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux lists a process's threads");
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.starts_with("fairlane-")).count()
}

fn start(workers: usize) -> Result<Engine<Load>, StartError> {
    Engine::builder().workers(workers).start(|grant: Grant<Load>| drop(grant))
}

/// What the limited process does: too many workers fail as a whole, and few can be had afterwards.
fn ask_for(workers: usize) {
    let error = start(workers).map(drop).expect_err("no memory for so many stacks");
    let StartError::Spawn { worker, .. } = &error else { panic!("{error:?}") };
    assert!((1..workers).contains(worker), "some threads have started: {error}");
    assert!(std::error::Error::source(&error).is_some(), "with the system's reason");
    assert_eq!(engine_threads(), 0, "those that had started have been stopped and joined");
    let engine = start(1).expect("memory for one worker and the timekeeper");
    let (register, tenant) = (Register::new(1), engine.tenant("acme", "scale").unwrap());
    let _ = engine.submit(tenant, register.load(0)).unwrap();
    let report = engine.drain(std::time::Duration::from_secs(10));
    assert_eq!((report.finished, report.returned.len()), (1, 0));
    println!("refused: {error}");
}

#[test]
fn an_engine_whose_threads_cannot_start_does_not_start() {
    if let Some(workers) = std::env::var(WORKERS).ok().and_then(|workers| workers.parse().ok()) {
        return ask_for(workers);
    }
    let name = "spawn::an_engine_whose_threads_cannot_start_does_not_start";
    let output = limited(name, 16);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("refused: "), "{output:?}");
    // Negative control: two workers fit, so the test is about memory and not about the process.
    assert!(!limited(name, 2).status.success());
}
