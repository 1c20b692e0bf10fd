//! Running the command and reading what it says.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::NamedTempFile;

/// The log of the README.
pub(crate) fn small_log() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/logs/access-small.log")
}

/// A file with this in it, gone when dropped.
pub(crate) fn file(text: impl AsRef<[u8]>) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_ref()).expect("the temporary file is written");
    file
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairlane"));
    command.arg("replay").args(args);
    command
}

/// Runs `fairlane replay`.
pub(crate) fn replay(args: &[&str]) -> Output {
    command(args).stdin(Stdio::null()).output().expect("the program starts")
}

/// Runs it on a log given as text, with `--json`.
pub(crate) fn replay_text(text: impl AsRef<[u8]>, args: &[&str]) -> Output {
    let file = file(text);
    let path = file.path().to_str().expect("the path is text");
    replay(&[&[path, "--json"], args].concat())
}

/// Runs it with a log on standard input.
pub(crate) fn replay_stdin(text: &[u8], args: &[&str]) -> Output {
    let mut command = command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    child.stdin.take().expect("it is piped").write_all(text).expect("the log is taken");
    child.wait_with_output().expect("the program ends")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("messages are text")
}

/// What a run that went well printed, byte by byte.
#[track_caller]
pub(crate) fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", stderr(output));
    String::from_utf8(output.stdout.clone()).expect("reports are text")
}

/// The report of a run that went well.
#[track_caller]
pub(crate) fn report(output: &Output) -> Value {
    let report = serde_json::from_str(&stdout(output)).expect("stdout is one JSON value");
    assert_conserved(&report);
    report
}

/// Checks that every line ended in exactly one way, by every scheduler.
#[track_caller]
pub(crate) fn assert_conserved(report: &Value) {
    let jobs = &report["jobs"];
    let refused: u64 = jobs["refused"].as_object().unwrap().values().map(count).sum();
    let of = |key: &str| count(&jobs[key]);
    assert_eq!(jobs["lost"], 0);
    assert_eq!(of("read"), of("malformed") + of("accepted") + refused, "{jobs}");
    assert_eq!(of("accepted"), of("dispatched") + of("expired") + of("returned"), "{jobs}");
    assert_eq!(of("returned"), 0, "a replay serves what it accepts");
    for (_, scheduler) in report["schedulers"].as_object().unwrap() {
        let rows = scheduler["tenants"].as_array().unwrap();
        let offered: u64 = rows.iter().map(|row| count(&row["jobs"])).sum();
        assert_eq!(of("read") - of("malformed"), offered);
    }
}

#[track_caller]
pub(crate) fn count(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

/// The row of a tenant.
#[track_caller]
pub(crate) fn tenant<'a>(report: &'a Value, scheduler: &str, name: &str) -> &'a Value {
    let rows = report["schedulers"][scheduler]["tenants"].as_array().expect("a list of tenants");
    let row = rows.iter().find(|row| row["tenant"] == name);
    row.unwrap_or_else(|| panic!("no tenant {name} in {scheduler}"))
}

/// A csv log of jobs `(tenant, second, cost)`.
pub(crate) fn csv<'a>(jobs: impl IntoIterator<Item = (&'a str, f64, u32)>) -> String {
    let mut text = "tenant,time,cost\n".to_owned();
    for (tenant, second, cost) in jobs {
        text.push_str(&format!("{tenant},{second},{cost}\n"));
    }
    text
}
