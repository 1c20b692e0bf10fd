//! The whole suite on small inputs, from the outside: what it prints, and how it refuses.

use serde_json::Value;
use std::process::{Command, Output};

fn rivals(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fairlane-rivals")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn listed() -> Vec<String> {
    let output = rivals(&["--list"]);
    let lines = text(&output.stdout).lines();
    lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// Runs with `--json` and gives the document.
fn document(args: &[&str]) -> Value {
    let output = rivals(&[args, &["--json", "--rounds", "1", "--jobs", "2000"]].concat());
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn rows(document: &Value) -> &[Value] {
    document["rows"].as_array().unwrap()
}

fn is_spread(figure: &Value) -> bool {
    let [min, median, max] = ["min", "median", "max"].map(|field| figure[field].as_f64().unwrap());
    0.0 <= min && min <= median && median <= max
}

/// The figures that rows of a workload have.
fn figures(workload: &str) -> &'static [&'static str] {
    match workload {
        "W6" => &[
            "alone_p50_us",
            "alone_p99_us",
            "flood_p50_us",
            "flood_p99_us",
            "p99_ratio",
            "refused",
        ],
        "W9" => &["wait_p50_us", "wait_p99_us", "wait_p999_us"],
        "W10" => &["share", "entitled"],
        "W11" => &[
            "calm_p50_us",
            "calm_p99_us",
            "stalled_p50_us",
            "stalled_p99_us",
            "p99_ratio",
            "refused",
            "calm_mops",
            "stalled_mops",
        ],
        "W12" => &["idle_bytes", "shallow_bytes", "deep_bytes_a_job"],
        "W14" => &["mops", "kept", "on_core"],
        "growth" => &["ns_100", "ns_10000", "growth"],
        "solo" => &["mops", "ratio"],
        _ => &["mops", "ratio", "on_core"],
    }
}

#[test]
fn every_workload_runs_and_its_rows_have_the_documented_fields() {
    let document = document(&[]);
    for field in ["cpu", "os", "kernel"] {
        assert!(document["machine"][field].is_string(), "{field}: {document}");
    }
    assert!(document["machine"]["cores"].as_u64().unwrap() >= 1);
    assert!(document["commit"].is_string());
    assert!(document["rustc"].as_str().unwrap().starts_with("rustc 1."));
    assert_eq!((&document["rounds"], &document["jobs"]), (&Value::from(1), &Value::from(2_000)));
    for row in rows(&document) {
        let figures = figures(row["workload"].as_str().unwrap());
        assert!(row["case"].is_string() && row["system"].is_string(), "{row}");
        assert!(figures.iter().all(|name| row.get(name).is_some()), "{row}");
        assert_eq!(row.as_object().unwrap().len(), 3 + figures.len(), "{row}");
        assert!(
            figures.iter().all(|name| !row[name].is_object() || is_spread(&row[name])),
            "{row}"
        );
    }
    for workload in listed() {
        let own = rows(&document).iter().filter(|row| row["workload"] == workload.as_str());
        let first = own.clone().next().unwrap_or_else(|| panic!("{workload} has no rows"));
        assert!(first["system"].as_str().unwrap().starts_with("fairlane"), "{first}");
        assert!(own.count() > 1, "{workload} compares nothing");
    }
    throughput_is_compared(&document);
    shares_tell_fair_from_unfair(&document);
}

fn throughput_is_compared(document: &Value) {
    let all = ["fairlane, batches of 64", "crossbeam ArrayQueue", "crossbeam channel", "rtrb"];
    let all = all.into_iter().chain(["thingbuf", "kanal", "flume", "tokio mpsc", "firq-core"]);
    let twins = ["mutex DRR", "sharded mutex DRR", "ArrayQueue per tenant"];
    for system in all.chain(twins) {
        let row =
            rows(document).iter().find(|row| row["workload"] == "W1" && row["system"] == system);
        let row = row.unwrap_or_else(|| panic!("{system} is not in W1"));
        assert!(row["mops"]["min"].as_f64().unwrap() > 0.0, "{row}");
        // Another way to submit is not a rival.
        assert_eq!(row["ratio"].is_null(), system.contains("batches"), "{row}");
    }
}

/// The measure accepts fairlane, and rejects the FIFO in every case.
fn shares_tell_fair_from_unfair(document: &Value) {
    let off =
        |row: &Value| (row["share"].as_f64().unwrap() - row["entitled"].as_f64().unwrap()).abs();
    let shares: Vec<_> = rows(document).iter().filter(|row| row["workload"] == "W10").collect();
    let of = |system: &str| shares.iter().filter(|row| row["system"] == system).collect::<Vec<_>>();
    let (fair, fifo) = (of("fairlane"), of("crossbeam ArrayQueue"));
    assert_eq!((fair.len(), fifo.len()), (6, 6));
    assert!(fair.iter().all(|row| off(row) < 0.01), "{fair:?}");
    assert!(fifo.iter().all(|row| off(row) > 0.04), "{fifo:?}");
}

#[test]
fn workloads_systems_and_numbers_of_tenants_can_be_chosen() {
    let document =
        document(&["--workload", "w2,SOLO", "--tenants", "3,5", "--system", "mutex,fairlane"]);
    let cases: Vec<_> = rows(&document).iter().map(|row| row["case"].as_str().unwrap()).collect();
    assert!(cases.contains(&"3 tenants") && cases.contains(&"5 tenants"), "{cases:?}");
    assert!(rows(&document).iter().all(|row| {
        let system = row["system"].as_str().unwrap();
        system.contains("mutex") || system.contains("fairlane")
    }));
}

#[test]
fn a_table_names_machine_commit_and_question() {
    let output = rivals(&["--tenants", "2", "--rounds", "1", "--jobs", "100", "--only", "kanal"]);
    let text = text(&output.stdout);
    assert!(output.status.success());
    for part in ["machine: ", "commit: ", "rustc 1.", "W3: how many", "mops", "kanal"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn bad_input_is_refused_with_exit_code_2() {
    let bad: [&[&str]; 8] = [
        &["--frobnicate"],
        &["--workload", "W99"],
        &["--system", "nobody"],
        &["--rounds", "0"],
        &["--jobs", "-1"],
        &["--jobs", "5000000000"],
        &["--tenants", "0"],
        &["extra"],
    ];
    for args in bad {
        let output = rivals(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
    let problem = rivals(&["--workload", "W99"]).stderr;
    assert_eq!(text(&problem), "unknown workload \"W99\": --list shows them\n");
}

#[test]
fn help_says_what_can_be_chosen() {
    let output = rivals(&["--help"]);
    assert!(output.status.success());
    let flags = ["--json", "--list", "--workload", "--system", "--rounds", "--jobs", "--tenants"];
    assert!(flags.iter().all(|flag| text(&output.stdout).contains(flag)));
}
