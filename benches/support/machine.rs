//! Says on what, and at which commit, a benchmark ran.

use std::process::Command;

/// Prints the question, the machine and the commit, once per run.
pub(crate) fn announce(question: &str) {
    println!("{question}");
    println!("machine: {}, {} cores, {}", processor(), cores(), std::env::consts::OS);
    println!("commit: {}\n", commit());
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or(std::env::consts::ARCH, |(_, name)| name).to_owned()
}

fn commit() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else { return "unknown".to_owned() };
    match git(&["status", "--porcelain", "--", "src", "benches"]) {
        Some(changes) if changes.is_empty() => commit,
        _ => format!("{commit} with local changes"),
    }
}
