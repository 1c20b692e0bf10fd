//! The annotated sample policy is valid, and says what the defaults are.
#![cfg(feature = "toml")]

use fairlane::{Cap, Cost, KindCost, Own, Policy, Weight};
use proptest::prelude::*;

const SAMPLE: &str = include_str!("../fairlane.toml");

#[test]
fn the_sample_is_the_default_policy_plus_the_entries_it_shows() {
    let fixed = |units| KindCost::Fixed(Cost::new(units).unwrap());
    let expected = Policy::builder()
        .tenant_weight("acme.example", Weight::new(4.0).unwrap())
        .tenant_queue_max("acme.example", 50_000)
        .tenant_queue_max("trial", 100)
        .cost("verify", fixed(1))
        .cost("sign", fixed(2))
        .cost("batch", KindCost::Size)
        .build()
        .unwrap();
    assert_eq!(Policy::from_toml(SAMPLE).unwrap(), expected);
}

#[test]
fn the_sample_shows_every_key_with_its_range() {
    let keys = ["queue_max", "tenants_max", "base_quantum", "tier", "weight", "quantum"];
    let quotas = [
        "concurrency",
        "max_wait",
        "priority_bands",
        "jitter",
        "rate",
        "concurrency_promoted",
        "concurrency_min",
        "tier_concurrency",
        "overload",
        "budgets",
        "high_quota_eligible",
        "hard",
        "soft",
        "reset",
    ];
    for key in keys.into_iter().chain(quotas) {
        let shows = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{key} = "));
        assert!(SAMPLE.lines().any(shows), "{key} is not shown");
    }
    let ranges = [
        "1..=100000000",
        "1..=4000000",
        "1..=1000000",
        "1..=1048576",
        "0.01..=1000",
        "0..=1000000",
        "1..=9000",
        "\"0s\"..=\"1h\"",
        "\"1ms\"..=\"366d\"",
        "\"1s\"..=\"366d\"",
        "1..=1000000000000",
        "1..=1000000000000000",
    ];
    for range in ranges {
        assert!(SAMPLE.contains(range), "{range} is not stated");
    }
}

#[test]
fn the_quantum_that_the_sample_leaves_out_is_the_right_one() {
    let with_quantum = SAMPLE.replace("# quantum = 20", "quantum = 20");
    assert_ne!(with_quantum, SAMPLE);
    assert_eq!(Policy::from_toml(&with_quantum), Policy::from_toml(SAMPLE));
}

/// The sample with its commented settings and headers made real.
fn with_quotas() -> String {
    let real = |line: &str| {
        let setting = line.strip_prefix("# ").unwrap_or_default();
        let key = setting.split(" = ").next().unwrap_or_default();
        let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let is_setting = setting.contains(" = ") && is_key;
        let shown = if is_setting || setting.starts_with('[') { setting } else { line };
        format!("{shown}\n")
    };
    SAMPLE.lines().map(real).collect()
}

#[test]
fn the_quotas_that_the_sample_shows_are_valid_together() {
    let policy = Policy::from_toml(&with_quotas()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((policy.concurrency(), policy.budgets().count()), (Some(200), 2));
    assert_eq!(policy.priority_bands(), Policy::default().priority_bands());
    assert_eq!(policy.jitter(), Policy::default().jitter());
    let starter = policy.default_tier();
    let expected = "rate 100 jobs per 1s smooth burst 20, concurrency 64, concurrency_min 2, \
                    concurrency_promoted 100, tier_concurrency 75%, max_wait 60s, \
                    budgets platform, overload reject";
    assert_eq!(policy.quota_for(starter, None).to_string(), expected);
    let acme = policy.quota_for(starter, policy.override_for("acme.example"));
    assert_eq!((acme.rate, acme.high_quota_eligible), (None, true));
    assert_eq!(acme.budgets, ["platform", "acme.daily"]);
    assert_eq!(acme.minimum(policy.concurrency()), 20);
}

#[test]
fn the_variables_that_the_sample_names_work_on_it() {
    let shown = SAMPLE.lines().filter_map(|line| line.strip_prefix("#   FAIRLANE__"));
    let vars: Vec<(String, String)> = shown
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (format!("FAIRLANE__{name}"), value.to_owned()))
        .collect();
    assert_eq!(vars.len(), 4);
    let policy = Policy::from_toml_with_env(SAMPLE, vars).unwrap();
    assert_eq!(policy.queue_max(), 500_000);
    assert_eq!(policy.tier("starter").unwrap().quantum(), 40.0);
    assert_eq!(policy.override_for("acme.example").unwrap().weight, Weight::new(5.0).ok());
    let trial = policy.override_for("trial").unwrap();
    assert_eq!(trial.concurrency(), Own::Is(Cap::Grants(0)));
}

#[test]
fn a_spoilt_sample_is_refused_on_the_spoilt_line() {
    let spoilt = SAMPLE.replace("weight = 1.2", "weight = 1.2abc");
    let line = SAMPLE.lines().position(|line| line == "weight = 1.2").unwrap() + 1;
    let error = Policy::from_toml(&spoilt).unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
    let problem = &error.problems()[0];
    assert_eq!((problem.path(), problem.line()), ("tiers.growth.weight", Some(line)));
    assert_eq!(problem.value(), Some("1.2abc"));
}

/// A character boundary of the sample, at most `offset`.
fn boundary(offset: usize) -> usize {
    (0..=offset.min(SAMPLE.len())).rev().find(|at| SAMPLE.is_char_boundary(*at)).unwrap_or(0)
}

proptest! {
    #[test]
    fn whatever_is_done_to_the_sample_every_problem_is_one_line_that_exists(
        at in 0..SAMPLE.len(),
        cut in 0_usize..40,
        put in r#"[\[\]{}="'.,#\\\n\r 0-9a-z_-]{0,12}"#,
    ) {
        let (from, to) = (boundary(at), boundary(at + cut));
        let text = format!("{}{put}{}", &SAMPLE[..from], &SAMPLE[to..]);
        if let Err(error) = Policy::from_toml(&text) {
            prop_assert_eq!(error.to_string().lines().count(), error.problems().len());
            let last = text.split('\n').count();
            let exists = |line: usize| (1..=last).contains(&line);
            prop_assert!(error.problems().iter().all(|problem| problem.line().is_none_or(exists)));
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".*", name in "[A-Z_.-]{0,20}", value in ".*") {
        let vars = [(format!("FAIRLANE__{name}"), value)];
        prop_assert!(Policy::from_toml_with_env(&text, vars).is_err() || text.is_empty());
    }
}
