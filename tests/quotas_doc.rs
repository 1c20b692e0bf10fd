//! `docs/quotas.md` says what is so: its examples are valid, and no key or setting is left out.
#![cfg(feature = "toml")]

use fairlane::Policy;

const DOC: &str = include_str!("../docs/quotas.md");
const README: &str = include_str!("../README.md");

/// What single examples need around them, a key each.
const AROUND: [&str; 4] = [
    "tiers.starter.weight = 1",
    "engine.concurrency = 300",
    "budgets.org.hard = \"usd 500\"",
    "tiers.starter.concurrency = 100",
];

/// Reads one example with what it needs.
fn read(example: &str) -> Result<Policy, String> {
    let key = |line: &str| line.split(" = ").next().unwrap_or_default().to_owned();
    let around = AROUND.into_iter().filter(|line| key(line) != key(example));
    let text: String = around.chain([example]).map(|line| format!("{line}\n")).collect();
    Policy::from_toml(&text).map_err(|error| error.to_string())
}

/// The examples of the table of quotas.
fn examples() -> Vec<&'static str> {
    examples_of(DOC, "## The quotas")
}

/// The examples of the table in the section that `head` begins.
fn examples_of(text: &'static str, head: &str) -> Vec<&'static str> {
    let table = text.split(head).nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows = table.unwrap_or_default().lines().filter(|line| line.ends_with("` |"));
    rows.filter_map(|row| row.trim_end_matches("` |").rsplit_once("| `")).map(|row| row.1).collect()
}

#[test]
fn every_example_of_the_table_is_valid_and_limits_something() {
    let found = examples();
    assert_eq!(found.len(), 18, "{found:#?}");
    for example in found {
        let policy = read(example).unwrap_or_else(|error| panic!("{example}\n{error}"));
        let says_a_default = example.contains("queue_max") || example.contains("priority_bands");
        if !says_a_default {
            assert_ne!(policy, read("").unwrap(), "{example}");
        }
    }
    assert!(read("tiers.starter.rate = \"10 job per 60s\"").is_err());
}

// The README's table has an example of each quota; each says what its row says.
#[test]
fn every_example_of_the_readme_is_valid_and_limits_something() {
    let found = examples_of(README, "## Quotas");
    let says = [
        "rate 10 jobs per 60s",
        "rate 500 cost per 1s smooth burst 20",
        "concurrency 50%",
        "concurrency 64",
        "concurrency_min 5",
        "tier_concurrency 75%",
        "",
        "",
        "",
        "budgets org",
        "max_wait 60s",
        "max_wait 5min",
        "overload wait 2s",
        "",
        "",
    ];
    assert_eq!(found.len(), says.len(), "{found:#?}");
    for (example, says) in found.into_iter().zip(says) {
        let policy = read(example).unwrap_or_else(|error| panic!("{example}\n{error}"));
        let quota = policy.quota_for(policy.default_tier(), policy.override_for("acme"));
        assert!(quota.to_string().contains(says), "{example}: {quota}");
        if !example.contains("priority_bands") {
            assert_ne!(policy, read("").unwrap(), "{example}");
        }
    }
    let policy = read("engine.concurrency = 200").unwrap();
    assert_eq!(policy.concurrency(), Some(200));
}

#[test]
fn every_file_that_is_shown_is_valid() {
    let blocks: Vec<&str> = DOC.split("```toml\n").skip(1).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let text = block.split("```").next().unwrap_or_default();
        let policy = Policy::from_toml(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        let quota = policy.quota_for(policy.default_tier(), policy.override_for("acme"));
        let says = "concurrency 120, concurrency_min 2, max_wait 10min, budgets platform and acme, \
                    overload reject";
        assert_eq!(quota.to_string(), says);
    }
}

#[test]
fn every_quota_key_has_an_example() {
    let keys = [
        "rate",
        "concurrency",
        "high_quota_eligible",
        "concurrency_min",
        "tier_concurrency",
        "hard",
        "soft",
        "reset",
        "budgets",
        "max_wait",
        "overload",
        "queue_max",
        "priority_bands",
        "jitter",
    ];
    for key in keys {
        let shown = |line: &&str| line.contains(&format!(".{key} = "));
        assert!(examples().iter().any(shown), "{key}");
    }
}

// The README's table is the short form of this page's: it names each setting, or its family.
#[test]
fn the_readme_maps_the_settings_that_this_page_maps() {
    let names = |text: &'static str| {
        let quoted = text.split('`').skip(1).step_by(2);
        quoted.filter(|it| it.starts_with("BACKGROUND_JOB_") || it.starts_with("FF_"))
    };
    let here: Vec<&str> = names(README).collect();
    let is_there = |name: &&str| {
        here.iter().any(|it| it == name || name.starts_with(it.strip_suffix('*').unwrap_or(it)))
    };
    let missing: Vec<&str> = names(DOC).filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty() && names(DOC).count() > 20, "{missing:?}");
}

#[test]
fn every_setting_of_the_systems_before_has_its_row() {
    let autoscale = [
        "GLOBAL_FLOOR",
        "WORKSPACE_MULTIPLIER",
        "RAMP_STEP",
        "RAMP_WINDOW_MINUTES",
        "STEP_DOWN_FACTOR",
        "OVERRIDE_CAPACITY",
        "FORCE_CONTENTION_BREACH",
        "FORCE_FAILURE_RATE_BREACH",
    ];
    let gate = [
        "PROMOTION_ENABLED",
        "PROMOTION_REQUIRED_WINDOWS",
        "PROMOTION_WINDOW_MINUTES",
        "PROMOTION_QUEUE_AGE_P95_MAX_SECONDS",
        "PROMOTION_FAILURE_RATE_MAX_PERCENT",
        "PROMOTION_DUPLICATE_SEND_MAX_COUNT",
        "DEMOTION_REQUIRED_WINDOWS",
        "DEMOTION_WINDOW_MINUTES",
        "DEMOTION_FAILURE_RATE_MIN_PERCENT",
    ];
    let others = [
        "BACKGROUND_JOB_WORKSPACE_QUOTA_DEFAULT",
        "BACKGROUND_JOB_WORKSPACE_QUOTA_ENTERPRISE",
        "BACKGROUND_JOB_ENTERPRISE_CLIENT_IDS",
        "BACKGROUND_JOB_OBS_DUPLICATE_SEND_COUNT",
        "BACKGROUND_JOB_PARTITION_PER_WORKSPACE_CAP",
        "FF_FLOW_PARTITIONS",
        "FF_BUDGET_PARTITIONS",
        "FF_QUOTA_PARTITIONS",
    ];
    let autoscale = autoscale.map(|name| format!("BACKGROUND_JOB_AUTOSCALE_{name}"));
    let gate = gate.map(|name| format!("BACKGROUND_JOB_HIGH_QUOTA_{name}"));
    let all = autoscale.into_iter().chain(gate).chain(others.map(str::to_owned));
    for name in all {
        let start = format!("| `{name}` | ");
        let row = DOC.lines().find(|line| line.starts_with(&start));
        let cells = row.unwrap_or_else(|| panic!("{name} has no row")).split(" | ").count();
        assert_eq!(cells, 3, "{name}");
    }
}
