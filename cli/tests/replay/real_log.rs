//! A real web log that is not ours to ship: ten thousand requests of 1,753 clients, in which time
//! steps back 4,915 times. Replayed when it is there.

use std::path::PathBuf;

use crate::command::{count, replay, report, stderr};

fn log() -> Option<PathBuf> {
    let named = std::env::var_os("FAIRLANE_ACCESS_LOG").map(PathBuf::from);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/access.log");
    let found = named.clone().unwrap_or(beside);
    // A name that leads nowhere is a mistake; the default may be missing.
    assert!(named.is_none() || found.is_file(), "FAIRLANE_ACCESS_LOG: no such file");
    found.is_file().then_some(found)
}

#[test]
fn a_real_log_is_replayed_whole_and_its_small_clients_wait_less() {
    let Some(log) = log() else {
        println!("skipped: no real log; name one in FAIRLANE_ACCESS_LOG");
        return;
    };
    let output = replay(&[log.to_str().unwrap(), "--cost", "bytes", "--json"]);
    assert_eq!(stderr(&output), "", "no line is more than 60 s out of order, and none malformed");
    let report = report(&output);
    let jobs = &report["jobs"];
    assert_eq!((&jobs["read"], &jobs["malformed"]), (&10_000.into(), &0.into()));
    assert_eq!(count(&jobs["dispatched"]), 10_000, "no bound is reached");
    let others = |scheduler: &str| {
        let rows = report["schedulers"][scheduler]["tenants"].as_array().unwrap().clone();
        assert_eq!(rows.len(), 101, "1,753 clients: a hundred rows and one for the rest");
        rows[100].clone()
    };
    let median = |scheduler: &str| others(scheduler)["wait_ms"]["p50"].as_f64().unwrap();
    assert!(median("fair") * 3.0 < median("fifo"), "{} {}", median("fair"), median("fifo"));
    let delay = |scheduler: &str| others(scheduler)["fluid_delay_ms"]["p99"].as_f64().unwrap();
    assert!(delay("fair") * 5.0 < delay("fifo"), "{} {}", delay("fair"), delay("fifo"));
    let jain = |scheduler: &str| report["schedulers"][scheduler]["jain"].as_f64().unwrap();
    assert!(jain("fair") > 0.95 && jain("fair") > jain("fifo"), "{}", jain("fair"));
}
