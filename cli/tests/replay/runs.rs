//! What a replay does with the jobs: time, capacity, bounds, schedulers.

use serde_json::Value;

use crate::command::{
    assert_conserved, count, csv, file, replay, replay_text, report, small_log, stderr, stdout,
    tenant,
};

fn small(args: &[&str]) -> Vec<String> {
    let log = small_log();
    let all = [&[log.to_str().unwrap(), "--cost", "bytes"], args].concat();
    all.into_iter().map(str::to_owned).collect()
}

fn run_small(args: &[&str]) -> std::process::Output {
    let args = small(args);
    replay(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn wait(report: &Value, scheduler: &str, name: &str, quantile: &str) -> f64 {
    tenant(report, scheduler, name)["wait_ms"][quantile].as_f64().expect("it was served")
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let first = stdout(&run_small(&["--json"]));
    assert_eq!(stdout(&run_small(&["--json"])), first);
    assert_eq!(stdout(&run_small(&[])), stdout(&run_small(&[])));
    let other = stdout(&run_small(&["--json", "--load", "1.4"]));
    assert_ne!(other, first, "the bytes say something");
}

#[test]
fn the_schema_is_that_of_the_demo() {
    let report = report(&run_small(&["--json"]));
    let keys = |value: &Value| -> Vec<String> {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort_unstable();
        keys
    };
    let jobs = "accepted dispatched expired lost malformed read refused returned";
    assert_eq!(keys(&report["jobs"]).join(" "), jobs);
    assert_eq!(keys(&report["schedulers"]), ["fair", "fifo"]);
    let fair = &report["schedulers"]["fair"];
    assert_eq!(keys(fair).join(" "), "jain min_share_ratio parked tenants throughput_per_s");
    let row = "entitled_cost fluid_delay_ms jobs offered_cost served_cost share_ratio tenant tier wait_ms weight";
    assert_eq!(keys(&fair["tenants"][0]).join(" "), row);
}

#[test]
fn schedulers_are_run_as_asked_and_do_not_change_each_other() {
    let both = report(&run_small(&["--json"]));
    for name in ["fair", "fifo"] {
        let alone = report(&run_small(&["--json", "--scheduler", name]));
        assert_eq!(alone["schedulers"].as_object().unwrap().len(), 1);
        assert_eq!(alone["schedulers"][name], both["schedulers"][name]);
    }
}

#[test]
fn light_tenants_are_better_off_than_behind_a_fifo() {
    let report = report(&run_small(&["--json"]));
    let light = |scheduler| wait(&report, scheduler, "198.51.100.1", "p99");
    assert!(light("fair") * 10.0 < light("fifo"), "{} {}", light("fair"), light("fifo"));
    let jain = |scheduler: &str| report["schedulers"][scheduler]["jain"].as_f64().unwrap();
    assert!(jain("fair") > jain("fifo"));
    // Both serve everything with the same workers: what differs is who waits.
    assert_eq!(
        tenant(&report, "fair", "203.0.113.66")["served_cost"],
        tenant(&report, "fifo", "203.0.113.66")["served_cost"]
    );
}

fn delay(row: &Value, quantile: &str) -> f64 {
    row["fluid_delay_ms"][quantile].as_f64().expect("it was served")
}

#[test]
fn tenants_too_light_for_a_share_are_judged_by_their_delay_against_a_fluid_server() {
    let report = report(&run_small(&["--json"]));
    let worst = |scheduler: &str| {
        let rows = report["schedulers"][scheduler]["tenants"].as_array().unwrap();
        let unjudged = rows.iter().filter(|row| row["share_ratio"].is_null());
        let delays: Vec<f64> = unjudged.map(|row| delay(row, "max")).collect();
        assert!(delays.len() > 10, "most clients of the log are light");
        delays.into_iter().fold(0.0, f64::max)
    };
    let (fair, fifo) = (worst("fair"), worst("fifo"));
    // A round of the rotation and a job that has begun, against all that has arrived before.
    assert!(fair * 10.0 < fifo, "{fair} {fifo}");
}

#[test]
fn one_tenant_on_one_worker_is_as_soon_done_as_in_a_fluid_server() {
    let jobs = csv((0..500).map(|i| ("a", f64::from(i), 1 + i as u32 * 7 % 40)));
    let delays = |workers: &str| {
        let report = report(&replay_text(&jobs, &["--workers", workers]));
        ["fair", "fifo"].map(|scheduler| delay(tenant(&report, scheduler, "a"), "max"))
    };
    assert_eq!(delays("1"), [0.0; 2]);
    // A worker of four does a job of 40 in 16 ms, and all of them together in 4 ms.
    assert!(delays("4").iter().all(|delay| (1.0..=12.1).contains(delay)), "{:?}", delays("4"));
}

#[test]
fn below_the_capacity_nobody_waits_long_either_way() {
    // Negative control of the comparison: without overload there is nothing to be unfair about.
    let even = csv((0..1_000).map(|i| (["a", "b"][i % 2], i as f64, 10)));
    let report = report(&replay_text(even, &["--load", "0.5"]));
    for scheduler in ["fair", "fifo"] {
        for name in ["a", "b"] {
            assert_eq!(wait(&report, scheduler, name, "max"), 0.0, "{scheduler} {name}");
        }
    }
}

#[test]
fn arrivals_and_jobs_take_the_time_that_capacity_and_load_say() {
    // 1,001 jobs of cost 10 at twice 1,000 units a second arrive over 5.005 s, one each 5.005 ms,
    // and keep the four workers busy for 10.01 s. The last begins when all before it are done.
    let even = csv((0..=1_000).map(|i| ("a", f64::from(i), 10)));
    let args = ["--capacity", "1000", "--load", "2", "--workers", "4"];
    let report = report(&replay_text(even, &args));
    for scheduler in ["fair", "fifo"] {
        let longest = wait(&report, scheduler, "a", "max");
        assert!((4_950.0..5_010.0).contains(&longest), "{scheduler}: {longest} ms");
        let rate = report["schedulers"][scheduler]["throughput_per_s"].as_f64().unwrap();
        assert!((99.5..101.0).contains(&rate), "{scheduler}: {rate} jobs a second");
    }
}

#[test]
fn one_worker_serves_one_job_at_a_time() {
    // Two jobs at once on one worker: the second waits as long as the first takes, 100 / 1,000 s.
    let text = csv([("a", 0.0, 100), ("b", 0.0, 100), ("c", 10.0, 1)]);
    let report =
        report(&replay_text(text, &["--workers", "1", "--capacity", "1000", "--load", "0.001"]));
    assert_eq!(wait(&report, "fair", "a", "max"), 0.0);
    let second = wait(&report, "fair", "b", "max");
    assert!((second - 100.0).abs() < 0.2, "{second} ms");
    assert_eq!(wait(&report, "fair", "c", "max"), 0.0);
}

#[test]
fn lines_out_of_order_by_a_minute_at_most_change_nothing() {
    let sorted: Vec<_> =
        (0..500).map(|i| (["a", "b", "c"][i % 3], i as f64, 1 + i as u32 % 7)).collect();
    let mut mixed = sorted.clone();
    mixed[1..].chunks_mut(50).for_each(<[_]>::reverse);
    assert_ne!(sorted, mixed);
    let expected = stdout(&replay_text(csv(sorted), &[]));
    assert_eq!(stdout(&replay_text(csv(mixed), &[])), expected);
}

#[test]
fn later_lines_are_moved_up_and_counted() {
    let text = csv([("a", 0.0, 1), ("a", 1_000.0, 1), ("b", 900.0, 1), ("b", 950.0, 1)]);
    let log = file(text);
    let path = log.path().to_str().unwrap();
    let table = replay(&[path]);
    let told = "1 line was more than 60 s out of order: its time was moved up.\n";
    assert!(stdout(&table).contains(told), "{}", stdout(&table));
    assert_eq!(stderr(&table), "", "once is enough");
    let json = replay(&[path, "--json"]);
    report(&json);
    assert_eq!(stderr(&json), format!("fairlane replay: {told}"));
    let more = format!("{}b,901,1\n", csv([("a", 0.0, 1), ("a", 1_000.0, 1), ("b", 900.0, 1)]));
    let told =
        "fairlane replay: 2 lines were more than 60 s out of order: their time was moved up.\n";
    assert_eq!(stderr(&replay_text(more, &[])), told);
}

#[test]
fn a_policy_sets_tiers_weights_and_bounds() {
    let policy = "[defaults]\ntier = 'bronze'\n[tiers.bronze]\nweight = 1\n\
                  [tiers.gold]\nweight = 3\n[tenants.vip]\nweight = 5\nqueue_max = 2\n";
    let policy = file(policy);
    let policy = ["--policy", policy.path().to_str().unwrap()];
    let burst = (0..20).map(|i| (["vip", "other"][i % 2], (i / 19) as f64, 10));
    let text = csv(burst);
    let run = |more: &[&str]| report(&replay_text(&text, &[&policy, more].concat()));
    let report = run(&["--workers", "1"]);
    let row = |name| tenant(&report, "fair", name);
    assert_eq!((&row("vip")["weight"], &row("other")["weight"]), (&5.0.into(), &1.0.into()));
    assert_eq!(row("other")["tier"], "bronze");
    assert!(count(&report["jobs"]["refused"]["queue_full"]) > 0, "vip may queue two jobs");
    let gold = run(&["--tier", "gold"]);
    assert_eq!(tenant(&gold, "fair", "other")["weight"], 3.0);
    assert_eq!(tenant(&gold, "fair", "vip")["weight"], 5.0, "a tenant's own weight stays");
}

#[test]
fn weights_decide_who_waits() {
    let policy = file("[tenants.vip]\nweight = 10\n");
    let jobs = (0..2_000).map(|i| (["vip", "other"][i % 2], i as f64, 5));
    let args = ["--policy", policy.path().to_str().unwrap(), "--load", "3"];
    let report = report(&replay_text(csv(jobs), &args));
    assert!(wait(&report, "fair", "vip", "p50") * 2.0 < wait(&report, "fair", "other", "p50"));
    let (vip, other) = (wait(&report, "fifo", "vip", "p50"), wait(&report, "fifo", "other", "p50"));
    assert!((vip / other - 1.0).abs() < 0.05, "a FIFO knows no weights: {vip} {other}");
}

#[test]
fn tenants_beyond_the_table_are_refused_by_reason() {
    let policy = file("[engine]\ntenants_max = 2\nqueue_max = 1000\n");
    let jobs = (0..30).map(|i| (["a", "b", "c"][i % 3], i as f64, 1));
    let args = ["--policy", policy.path().to_str().unwrap()];
    let report = report(&replay_text(csv(jobs), &args));
    assert_eq!(report["jobs"]["refused"]["too_many_tenants"], 10);
    for scheduler in ["fair", "fifo"] {
        assert_eq!(tenant(&report, scheduler, "c")["served_cost"], 0);
        assert_eq!(tenant(&report, scheduler, "b")["served_cost"], 10);
    }
}

#[test]
fn an_engine_that_is_full_refuses_and_loses_nothing() {
    let policy = file("[engine]\nqueue_max = 16\ntenants_max = 100\n[defaults]\nqueue_max = 8\n");
    let names: Vec<String> = (0..10).map(|i| format!("t{i}")).collect();
    let jobs = (0..2_000).map(|i| (names[i % 10].as_str(), (i / 500) as f64, 1 + i as u32 % 40));
    let args = ["--policy", policy.path().to_str().unwrap(), "--load", "4"];
    let report = report(&replay_text(csv(jobs), &args));
    let refused = report["jobs"]["refused"].as_object().unwrap();
    assert!(refused.contains_key("engine_full"), "{refused:?}");
    assert_conserved(&report);
}

#[test]
fn a_hundred_tenants_get_rows_and_the_rest_share_one() {
    let names: Vec<String> = (0..250).map(|i| format!("t{i}")).collect();
    let jobs = (0..5_000).map(|i| (names[i % 250].as_str(), i as f64, 1 + i as u32 % 250 / 10));
    let report = report(&replay_text(csv(jobs), &[]));
    let rows = report["schedulers"]["fair"]["tenants"].as_array().unwrap();
    assert_eq!((rows.len(), &rows[100]["tenant"]), (101, &"_other".into()));
    assert_eq!(rows[100]["jobs"], 150 * 20);
}

#[test]
fn real_threads_serve_the_same_jobs() {
    let jobs = (0..200).map(|i| (["a", "b"][i % 2], i as f64, 10));
    let report = report(&replay_text(csv(jobs), &["--live", "--capacity", "5000"]));
    for scheduler in ["fair", "fifo"] {
        for name in ["a", "b"] {
            assert_eq!(tenant(&report, scheduler, name)["served_cost"], 1_000);
        }
        // 2,000 units at 5,000 a second, and a sleep is never short.
        let rate = report["schedulers"][scheduler]["throughput_per_s"].as_f64().unwrap();
        assert!(rate <= 520.0, "{rate}");
    }
}

#[test]
fn the_readme_shows_what_the_command_prints() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let readme = std::fs::read_to_string(format!("{root}/README.md")).unwrap();
    let (_, from) = readme.split_once("`cargo run --release -p fairlane-cli -- replay ").unwrap();
    let (args, from) = from.split_once('`').unwrap();
    let (_, from) = from.split_once("```text\n").unwrap();
    let (block, _) = from.split_once("```\n").unwrap();
    let args = args.split_whitespace();
    let args = args.map(|arg| arg.replace("examples/", &format!("{root}/examples/")));
    let args: Vec<String> = args.collect();
    let printed = stdout(&replay(&args.iter().map(String::as_str).collect::<Vec<_>>()));
    // What the figures say in words comes after an empty line, and is not in the README.
    let shown = format!("{block}\n");
    assert!(printed.starts_with(&shown), "README:\n{shown}\nprinted:\n{printed}");
}

#[test]
fn the_help_says_what_the_defaults_are() {
    let help = stdout(&replay(&["--help"]));
    for word in ["10000", "1.5", "[default: 2]", "RFC 3339", "COST_PER_SECOND", "temporary file"] {
        assert!(help.contains(word), "no `{word}` in:\n{help}");
    }
}
