//! `fairlane demo` as a user runs it: one short run on the real engine, judged by its JSON.

use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

fn fairlane(args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_fairlane");
    Command::new(program).args(args).output().expect("the program starts")
}

/// The stdout of one run that all tests share.
fn stdout() -> &'static str {
    static OUT: OnceLock<String> = OnceLock::new();
    OUT.get_or_init(run)
}

/// The stdout of a run.
fn run() -> String {
    let output = fairlane(&["demo", "--seconds", "1", "--workers", "2", "--json"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(stderr, "", "no progress bar without a terminal");
    String::from_utf8(output.stdout).expect("JSON is UTF-8")
}

fn report() -> Value {
    serde_json::from_str(stdout()).expect("stdout is one JSON value")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is not a number"))
}

fn count(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is not a count"))
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().expect("an object").keys().map(|k| &**k).collect();
    keys.sort_unstable();
    keys
}

fn tenants<'a>(report: &'a Value, scheduler: &str) -> &'a Vec<Value> {
    report["schedulers"][scheduler]["tenants"].as_array().expect("a list of tenants")
}

/// The longest 99th percentile of any light tenant's wait, milliseconds.
fn light_p99(report: &Value, scheduler: &str) -> f64 {
    let rows = tenants(report, scheduler).iter().filter(|row| row["tenant"] != "hot");
    rows.filter_map(|row| row["wait_ms"]["p99"].as_f64()).fold(0.0, f64::max)
}

#[test]
fn stdout_is_exactly_one_json_object() {
    assert!(report().is_object());
    assert_eq!(stdout().lines().count(), 1);
    assert!(stdout().ends_with('\n'));
}

#[test]
fn every_documented_key_is_there() {
    let report = report();
    assert_eq!(keys(&report), ["jobs", "schedulers"]);
    let jobs = "accepted dispatched expired lost malformed read refused returned";
    assert_eq!(keys(&report["jobs"]).join(" "), jobs);
    assert_eq!(keys(&report["schedulers"]), ["fair", "fifo"]);
    for scheduler in ["fair", "fifo"] {
        let body = &report["schedulers"][scheduler];
        assert_eq!(keys(body).join(" "), "jain min_share_ratio parked tenants throughput_per_s");
        assert_eq!(tenants(&report, scheduler).len(), 51);
        for row in tenants(&report, scheduler) {
            let expected = "entitled_cost fluid_delay_ms jobs offered_cost served_cost share_ratio \
                            tenant tier wait_ms weight";
            assert_eq!(keys(row).join(" "), expected);
            assert_eq!(keys(&row["wait_ms"]), ["max", "p50", "p99", "p999"]);
            let delays = row["fluid_delay_ms"].as_object().unwrap();
            assert!(
                delays.len() == 3 && delays.values().all(Value::is_null),
                "only in virtual time"
            );
        }
    }
}

#[test]
fn no_job_is_lost_and_every_one_ends_once() {
    let report = report();
    let jobs = &report["jobs"];
    let refused: i64 = jobs["refused"].as_object().unwrap().values().map(count).sum();
    assert_eq!(count(&jobs["lost"]), 0);
    assert_eq!(
        count(&jobs["read"]),
        count(&jobs["malformed"]) + count(&jobs["accepted"]) + refused
    );
    let ended = count(&jobs["dispatched"]) + count(&jobs["expired"]) + count(&jobs["returned"]);
    assert_eq!(count(&jobs["accepted"]), ended);
    assert!(count(&jobs["dispatched"]) > 0 && count(&jobs["returned"]) > 0);
    let offered: i64 = tenants(&report, "fair").iter().map(|row| count(&row["jobs"])).sum();
    assert_eq!(count(&jobs["read"]), offered);
    let served: i64 = tenants(&report, "fair").iter().map(|row| count(&row["served_cost"])).sum();
    assert_eq!(count(&jobs["dispatched"]), served, "every job costs 1");
}

#[test]
fn quotas_of_a_policy_hold_and_are_reported() {
    // The shared run is over first: it measures waits.
    stdout();
    let mut policy = tempfile::NamedTempFile::new().unwrap();
    let text = "[tenants.hot]\nrate = '200 jobs per 1s smooth burst 10'\nmax_wait = '300ms'\nqueue_max = 1000\n\
                [tenants.light-01]\nconcurrency = 0\n";
    std::io::Write::write_all(&mut policy, text.as_bytes()).unwrap();
    let path = policy.path().to_str().unwrap();
    let with_policy = || -> Value {
        let output = fairlane(&["demo", "--seconds", "1", "--json", "--policy", path]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let of_hot = |report: &Value, key: &str| {
        let hot = tenants(report, "fair").iter().find(|row| row["tenant"] == "hot").unwrap();
        number(&hot[key])
    };
    // A rate is lost on a machine that stands still for longer than its burst lasts.
    let stood_still = |report: &Value| {
        of_hot(report, "served_cost") < 150.0 || of_hot(report, "share_ratio") <= 0.9
    };
    let mut report = with_policy();
    for _ in 0..2 {
        if stood_still(&report) {
            eprintln!("once more after {report}");
            report = with_policy();
        }
    }
    let jobs = &report["jobs"];
    let ended = count(&jobs["dispatched"]) + count(&jobs["expired"]) + count(&jobs["returned"]);
    assert_eq!((count(&jobs["lost"]), count(&jobs["accepted"])), (0, ended), "{jobs}");
    assert!(count(&jobs["expired"]) > 500, "{jobs}");
    assert!(count(&jobs["refused"]["queue_full"]) > 0, "{jobs}");
    let hot = of_hot(&report, "served_cost");
    assert!((150.0..=215.0).contains(&hot), "200 a second, and 10 at once: {hot}");
    let paused = tenants(&report, "fair").iter().find(|row| row["tenant"] == "light-01").unwrap();
    assert_eq!(count(&paused["served_cost"]), 0);
    let parked = &report["schedulers"]["fair"]["parked"];
    assert!(count(&parked["rate"]) > 10 && count(&parked["paused"]) >= 1, "{parked}");
    let share = of_hot(&report, "share_ratio");
    assert!(share > 0.9, "its own rate holds it back: {share}");
    let missing = fairlane(&["demo", "--policy", "no-such-file.toml"]);
    let problem = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert_eq!((missing.status.code(), problem.lines().count()), (Some(2), 1), "{problem}");
}

#[test]
fn both_schedulers_are_offered_the_same_jobs() {
    let report = report();
    let offers = |scheduler| -> Vec<(String, i64)> {
        let row = |row: &Value| (row["tenant"].to_string(), count(&row["offered_cost"]));
        tenants(&report, scheduler).iter().map(row).collect()
    };
    assert_eq!(offers("fair"), offers("fifo"));
}

#[test]
fn the_engine_is_fairer_than_a_fifo() {
    let report = report();
    let of = |scheduler: &str, key: &str| number(&report["schedulers"][scheduler][key]);
    assert!(of("fair", "jain") > of("fifo", "jain"));
    assert!(of("fair", "min_share_ratio") > of("fifo", "min_share_ratio"));
    assert!(of("fair", "jain") > 0.95);
    // The negative control: the measure must tell a FIFO from a fair scheduler.
    assert!(of("fifo", "jain") < 0.7);
}

#[test]
fn light_tenants_wait_at_most_a_tenth_of_what_a_fifo_makes_them_wait() {
    let waits = |stdout: &str| {
        let report = serde_json::from_str(stdout).expect("JSON");
        (light_p99(&report, "fair"), light_p99(&report, "fifo"))
    };
    let is_held = |&(fair, fifo): &(f64, f64)| fair * 10.0 <= fifo;
    // Where the machine stands still for 50 ms, the 99th percentile of one second moves by as much.
    let mut runs = vec![waits(stdout())];
    while runs.len() < 3 && !runs.iter().any(is_held) {
        runs.push(waits(&run()));
    }
    assert!(runs.iter().any(is_held), "fair and FIFO, ms: {runs:?}");
}

#[test]
fn bad_flags_get_one_line_and_exit_code_2() {
    let cases = [
        ["--seconds", "0"],
        ["--seconds", "3601"],
        ["--seconds", "-5"],
        ["--workers", "0"],
        ["--workers", "1025"],
        ["--workers", "two"],
        ["--workers", "--json"],
        ["--policy", "-1"],
        ["--html", "-1"],
    ];
    for case in cases {
        let output = fairlane(&["demo", case[0], case[1]]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{case:?}: {stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        let is_file = matches!(case[0], "--policy" | "--html");
        let is_named = is_file || stderr.contains(case[0]);
        assert!(is_named && stderr.contains(case[1]), "{stderr}");
        assert!(output.stdout.is_empty());
    }
    let absurd = fairlane(&["demo", "--seconds", "3600", "--workers", "1024"]);
    assert_eq!(absurd.status.code(), Some(2));
}
