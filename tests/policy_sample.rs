//! The annotated sample policy is valid, and says what the defaults are.
#![cfg(feature = "toml")]

use fairlane::{Cost, KindCost, Policy, Weight};
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
    for key in keys {
        let shows = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{key} = "));
        assert!(SAMPLE.lines().any(shows), "{key} is not shown");
    }
    let ranges = ["1..=100000000", "1..=4000000", "1..=1000000", "1..=1048576", "0.01..=1000"];
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

#[test]
fn the_variables_that_the_sample_names_work_on_it() {
    let shown = SAMPLE.lines().filter_map(|line| line.strip_prefix("#   FAIRLANE__"));
    let vars: Vec<(String, String)> = shown
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (format!("FAIRLANE__{name}"), value.to_owned()))
        .collect();
    assert_eq!(vars.len(), 3);
    let policy = Policy::from_toml_with_env(SAMPLE, vars).unwrap();
    assert_eq!(policy.queue_max(), 5_000);
    assert_eq!(policy.tier("starter").unwrap().quantum(), 40.0);
    assert_eq!(policy.override_for("acme.example").unwrap().weight, Weight::new(5.0).ok());
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
