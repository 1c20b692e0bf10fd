//! Quotas of the policy in a replay: what is let go when, what is told of it, and what is no fault of
//! the scheduler's.

use serde_json::Value;

use crate::command::{count, csv, file, replay_text, report, small_log, stdout, tenant};

fn run(jobs: &str, policy: &str, args: &[&str]) -> Value {
    let policy = file(policy);
    let policy = ["--policy", policy.path().to_str().unwrap()];
    let output = replay_text(jobs, &[&policy, args].concat());
    let report = serde_json::from_str(&stdout(&output)).expect("stdout is one JSON value");
    assert_accounted(&report);
    report
}

/// Checks that every accepted job ended in one way.
#[track_caller]
fn assert_accounted(report: &Value) {
    let jobs = &report["jobs"];
    let of = |key: &str| count(&jobs[key]);
    assert_eq!(jobs["lost"], 0, "{jobs}");
    assert_eq!(of("accepted"), of("dispatched") + of("expired") + of("returned"), "{jobs}");
    assert!(report["schedulers"]["fifo"]["parked"].as_object().is_none_or(|all| all.is_empty()));
}

fn fair(report: &Value, name: &str, key: &str) -> f64 {
    tenant(report, "fair", name)[key].as_f64().unwrap_or(f64::NAN)
}

/// As many jobs of cost 10 of each of two tenants, taking turns.
fn pairs(jobs: usize) -> String {
    csv((0..2 * jobs).map(|i| (["hog", "held"][i % 2], i as f64, 10)))
}

#[test]
fn a_rate_holds_in_virtual_time_to_the_last_job_and_the_clock_moves_on_alone() {
    // 100 jobs at 10 a second last for 9 s after the first, long after the last arrival.
    let policy = "[tenants.held]\nrate = '10 jobs per 1s smooth burst 1'\n";
    let report = run(&pairs(100), policy, &["--load", "1"]);
    assert_eq!(count(&report["jobs"]["dispatched"]), 200);
    let longest = tenant(&report, "fair", "held")["wait_ms"]["max"].as_f64().unwrap();
    assert!((9_600.0..9_720.0).contains(&longest), "{longest}");
    let rate = report["schedulers"]["fair"]["throughput_per_s"].as_f64().unwrap();
    assert!((200.0 / 9.92..200.0 / 9.88).contains(&rate), "{rate}");
    // It is parked once for each job but the last.
    let parked = &report["schedulers"]["fair"]["parked"];
    assert!((95..=99).contains(&count(&parked["rate"])), "{parked}");
}

#[test]
fn a_strict_window_lets_go_what_it_says_and_no_more() {
    let policy = "[tenants.held]\nrate = '5 jobs per 2s'\n";
    let report = run(&pairs(20), policy, &["--load", "10"]);
    // Jobs 16 to 20 go when the window that began with job 11 has passed: at 6 s.
    let longest = tenant(&report, "fair", "held")["wait_ms"]["max"].as_f64().unwrap();
    assert!((5_950.0..6_050.0).contains(&longest), "{longest}");
}

#[test]
fn a_concurrency_of_one_leaves_a_worker_to_the_others() {
    let policy = "[engine]\nconcurrency = 4\n[tenants.held]\nconcurrency = 1\n";
    let jobs = csv((0..400).map(|i| ("held", f64::from(i), 10)));
    let args = ["--load", "4", "--workers", "4", "--capacity", "1000"];
    let report = run(&jobs, policy, &args);
    // 400 jobs of 40 ms, one after the other, instead of four at a time.
    let rate = report["schedulers"]["fair"]["throughput_per_s"].as_f64().unwrap();
    assert!((24.9..25.2).contains(&rate), "{rate}");
    let fifo = report["schedulers"]["fifo"]["throughput_per_s"].as_f64().unwrap();
    assert!(fifo > 98.0, "the FIFO has no quotas: {fifo}");
    assert!(count(&report["schedulers"]["fair"]["parked"]["concurrency"]) > 390);
}

#[test]
fn the_engines_and_the_tiers_concurrency_hold_and_are_told_apart() {
    let jobs = csv((0..400).map(|i| (["a", "b", "c"][i % 3], i as f64, 10)));
    let args = ["--load", "4", "--workers", "4", "--capacity", "1000"];
    let parked = |policy: &str| {
        let report = run(&jobs, policy, &args);
        let rate = report["schedulers"]["fair"]["throughput_per_s"].as_f64().unwrap();
        assert!((49.5..50.8).contains(&rate), "two of four workers: {rate}");
        report["schedulers"]["fair"]["parked"].clone()
    };
    let of = |parked: &Value| parked.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(of(&parked("[engine]\nconcurrency = 2\n")), ["engine_concurrency"]);
    let tier = "[engine]\nconcurrency = 4\n[defaults]\ntier = 'all'\n[tiers.all]\nweight = 1\n\
                tier_concurrency = 2\n";
    assert_eq!(of(&parked(tier)), ["tier_concurrency"]);
}

#[test]
fn jobs_that_wait_too_long_expire_and_are_not_run() {
    // Twice the capacity for two seconds: half of the jobs would wait for up to two more.
    let policy = "[engine]\nmax_wait = '100ms'\n";
    let report = run(&pairs(1_000), policy, &["--load", "2"]);
    let expired = count(&report["jobs"]["expired"]);
    assert!((850..1_000).contains(&expired), "{expired}");
    for name in ["hog", "held"] {
        assert!(tenant(&report, "fair", name)["wait_ms"]["max"].as_f64().unwrap() <= 100.1);
    }
    assert_eq!(tenant(&report, "fifo", "hog")["served_cost"], 10_000, "the FIFO waits for ever");
}

#[test]
fn a_job_expires_at_its_moment_although_nothing_else_happens() {
    // A job waits for the only worker, which is busy for 10 s; nothing arrives meanwhile.
    let jobs = csv([("a", 0.0, 1_000), ("a", 1.0, 1), ("b", 1.0, 1)]);
    let args = ["--workers", "1", "--capacity", "100", "--load", "0.5"];
    let report = run(&jobs, "[tenants.b]\nmax_wait = '1s'\n", &args);
    assert_eq!(count(&report["jobs"]["expired"]), 0, "they arrive when the worker is free again");
    let args = ["--workers", "1", "--capacity", "100", "--load", "2"];
    let report = run(&jobs, "[tenants.b]\nmax_wait = '1s'\n", &args);
    assert_eq!((count(&report["jobs"]["expired"]), count(&report["jobs"]["dispatched"])), (1, 2));
}

#[test]
fn what_is_paused_is_handed_back_at_the_end() {
    for live in [&[][..], &["--live", "--capacity", "100000"]] {
        let report = run(&pairs(50), "[tenants.held]\nconcurrency = 0\n", live);
        assert_eq!(count(&report["jobs"]["returned"]), 50);
        assert_eq!(count(&report["schedulers"]["fair"]["parked"]["paused"]), 1);
        assert_eq!(tenant(&report, "fair", "held")["share_ratio"], Value::Null);
    }
}

#[test]
fn what_a_budget_has_no_room_for_is_handed_back_at_the_end() {
    let policy = "[tenants.held]\nbudgets = 'org'\n[budgets.org]\nhard = 'cost 200'\n";
    for live in [&[][..], &["--live", "--capacity", "100000"]] {
        let report = run(&pairs(50), policy, live);
        assert_eq!(count(&report["jobs"]["dispatched"]), 50 + 20);
        assert_eq!(count(&report["jobs"]["returned"]), 30);
        assert!(count(&report["schedulers"]["fair"]["parked"]["budget"]) >= 1);
        assert_eq!(tenant(&report, "fair", "held")["served_cost"], 200);
        assert_eq!(tenant(&report, "fifo", "held")["served_cost"], 500, "the FIFO has no budgets");
    }
}

#[test]
fn a_budget_that_begins_anew_is_waited_for() {
    // 5 jobs at the start, and 5 more after each second.
    let policy = "[tenants.held]\nbudgets = 'org'\n\
                  [budgets.org]\nhard = 'cost 50'\nreset = '1s'\n";
    for live in [&[][..], &["--live", "--capacity", "100000"]] {
        let report = run(&pairs(20), policy, live);
        assert_eq!(count(&report["jobs"]["dispatched"]), 40);
        let longest = tenant(&report, "fair", "held")["wait_ms"]["max"].as_f64().unwrap();
        assert!((2_900.0..4_500.0).contains(&longest), "{longest}");
    }
}

#[test]
fn real_threads_end_with_the_jobs_that_virtual_time_ends_with() {
    let policies = [
        ("too wide for its rate", "[tenants.held]\nrate = '5 cost per 1s'\n"),
        (
            "too wide for its budget",
            "[tenants.held]\nbudgets = 'org'\n[budgets.org]\nhard = 'cost 5'\n",
        ),
        ("paused until they expire", "[tenants.held]\nconcurrency = 0\nmax_wait = '300ms'\n"),
        (
            "without room until they expire",
            "[tenants.held]\nbudgets = 'org'\nmax_wait = '300ms'\n\
             [budgets.org]\nhard = 'cost 50'\n",
        ),
        ("one at a time, which ends", "[tenants.held]\nconcurrency = 1\n"),
        ("one at a time of all", "[engine]\nconcurrency = 1\n"),
    ];
    for (name, policy) in policies {
        let fates = |args: &[&str]| run(&pairs(20), policy, args)["jobs"].clone();
        assert_eq!(fates(&["--live", "--capacity", "100000"]), fates(&[]), "{name}");
    }
}

/// A hog whose jobs come first, a light tenant that comes when the hog has used up its budget, and one
/// without a budget that is served all the time. Gives the light one's share.
fn share_behind_a_budget(policy: &str) -> Option<f64> {
    let hog = (0..400).map(|i| ("hog", f64::from(i), 10));
    let light = (400..800).map(|i| ("light", f64::from(i), 10));
    let other = (0..800).flat_map(|i| [("other", f64::from(i), 10); 2]);
    let mut jobs: Vec<_> = hog.chain(light).chain(other).collect();
    jobs.sort_by(|a, b| a.1.total_cmp(&b.1));
    let report = run(&csv(jobs), policy, &["--load", "2"]);
    assert!(count(&tenant(&report, "fair", "light")["served_cost"]) <= 10);
    assert_eq!(tenant(&report, "fair", "other")["served_cost"], 16_000);
    assert!(count(&report["schedulers"]["fair"]["parked"]["budget"]) >= 1);
    let share = tenant(&report, "fair", "light")["share_ratio"].as_f64();
    let jain = report["schedulers"]["fair"]["jain"].as_f64().unwrap();
    assert_eq!(share.is_some(), jain < 0.8, "{share:?} {jain}");
    share
}

#[test]
fn what_others_spent_of_a_shared_budget_is_no_quota_of_its_own() {
    let shared = "[tenants.hog]\nbudgets = 'org'\n[tenants.light]\nbudgets = 'org'\n\
                  [budgets.org]\nhard = 'cost 500'\n";
    assert_eq!(share_behind_a_budget(shared), Some(0.0));
    // The same tenant with budgets of its own is throttled by them, also beside one that is shared and not
    // used up, and with a budget that only tenants of other runs name.
    for own in ["budgets = 'mine'", "budgets = 'org, mine'", "budgets = 'elsewhere, mine'"] {
        let policy = format!(
            "[tenants.hog]\nbudgets = 'org'\n[tenants.light]\n{own}\n\
             [tenants.absent]\nbudgets = 'elsewhere, mine'\n\
             [budgets.org]\nhard = 'cost 5000'\n[budgets.mine]\nhard = 'cost 10'\n\
             [budgets.elsewhere]\nhard = 'cost 100'\n"
        );
        assert_eq!(share_behind_a_budget(&policy), None, "{own}");
    }
}

#[test]
fn a_throttled_tenant_is_not_starved() {
    let policy = "[tenants.held]\nrate = '50 jobs per 1s smooth burst 5'\n";
    let report = run(&pairs(1_000), policy, &["--load", "1.5"]);
    let share = fair(&report, "held", "share_ratio");
    assert!(share > 0.95, "its own rate held it back: {share}");
    assert!(fair(&report, "hog", "share_ratio") > 0.99);
    // What it was entitled to is what its rate let go, while the other had work.
    let entitled = fair(&report, "held", "entitled_cost");
    assert!(entitled <= 10_000.0 && entitled > 9_000.0, "{entitled}");
    // Negative control: the meter still tells who is starved. Behind a FIFO nothing throttles it, and it
    // gets its turn like everyone; with a flood before it, it does not.
    let flood = csv((0..4_000).map(|i| (if i % 20 == 0 { "held" } else { "hog" }, i as f64, 10)));
    let report = run(&flood, policy, &["--load", "3"]);
    let behind_fifo = tenant(&report, "fifo", "held")["share_ratio"].as_f64().unwrap();
    assert!(behind_fifo < 0.7, "{behind_fifo}");
    assert!(fair(&report, "held", "share_ratio") > 0.9);
}

#[test]
fn an_overload_rule_that_waits_does_not_hold_up_the_arrivals() {
    let policy =
        "[defaults]\ntier = 'all'\n[tiers.all]\nweight = 1\nqueue_max = 5\noverload = 'wait 60s'\n";
    let report = run(&pairs(200), policy, &["--load", "5"]);
    assert!(count(&report["jobs"]["refused"]["queue_full"]) > 100);
}

#[test]
fn the_same_input_gives_the_same_bytes_with_quotas_too() {
    let policy = file(
        "[engine]\nconcurrency = 3\nmax_wait = '2s'\njitter = '20ms'\n[defaults]\ntier = 'all'\n\
         [tiers.all]\nweight = 1\nrate = '40 jobs per 1s smooth burst 3'\nconcurrency = 1\n",
    );
    let log = small_log();
    let args =
        [log.to_str().unwrap(), "--cost", "bytes", "--policy", policy.path().to_str().unwrap()];
    for more in [&["--json"][..], &[]] {
        let run = || stdout(&crate::command::replay(&[&args[..], more].concat()));
        assert_eq!(run(), run());
    }
    let first = report(&crate::command::replay(&[&args[..], &["--json"]].concat()));
    let parked = &first["schedulers"]["fair"]["parked"];
    assert!(count(&parked["rate"]) > 0 && count(&parked["concurrency"]) > 0, "{parked}");
}

#[test]
fn the_table_says_why_tenants_were_held_up_and_what_the_fifo_lacks() {
    let policy = file("[tenants.held]\nrate = '10 jobs per 1s'\nqueue_max = 20\n");
    let log = file(pairs(100));
    let paths = [log.path(), policy.path()].map(|path| path.to_str().unwrap().to_owned());
    let table = stdout(&crate::command::replay(&[&paths[0], "--policy", &paths[1]]));
    let has = |text: &str| assert!(table.contains(text), "no `{text}` in:\n{table}");
    has("times (");
    has(" rate).");
    has(" queue_full)");
    has("The fifo has the same bounds and no quotas.");
    let alone = stdout(&crate::command::replay(&[&paths[0], "--scheduler", "fair"]));
    assert!(!alone.contains("Limits took") && !alone.contains("no quotas"), "{alone}");
}
