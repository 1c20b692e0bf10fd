//! docs/snapshot.md has every field of a snapshot's JSON, and no other.

use fairlane::{Engine, Job, Limits, Nanos, Policy, Rate, Reason, Unit};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

const DOC: &str = include_str!("../docs/snapshot.md");

/// Types by path: `tiers[].queue_delay.p50_ns` is a `u64`.
type Fields = BTreeMap<String, String>;

/// The fields that the tables of `doc` list. A table belongs to the heading above it; the one of the
/// quantiles holds wherever a field has that type.
fn documented(doc: &str) -> Fields {
    let (mut fields, mut quantiles) = (Fields::new(), Fields::new());
    let mut section = "";
    for line in doc.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            section = heading.trim_start_matches('#').trim().trim_matches('`');
        }
        let Some((name, kind, meaning)) = row(line) else { continue };
        match section {
            "quantiles" => drop(quantiles.insert(name.to_owned(), kind.to_owned())),
            "Top level" => drop(fields.insert(name.to_owned(), kind.to_owned())),
            rows => drop(fields.insert(format!("{rows}.{name}"), kind.to_owned())),
        }
        let codes = meaning.split_once("Codes: ").map_or("", |(_, codes)| codes);
        let codes = codes.split('.').next().unwrap_or_default();
        for code in codes.split(", ").filter(|code| !code.is_empty()) {
            fields.insert(format!("{name}.{}", code.trim_matches('`')), "u64".to_owned());
        }
    }
    let holders: Vec<String> =
        fields.iter().filter(|field| field.1 == "quantiles").map(|field| field.0.clone()).collect();
    for holder in holders {
        fields.extend(
            quantiles.iter().map(|(name, kind)| (format!("{holder}.{name}"), kind.clone())),
        );
    }
    fields
}

/// Name, type and meaning of a field, if `line` is a row of a table that has one.
fn row(line: &str) -> Option<(&str, &str, &str)> {
    let mut cells = line.strip_prefix("| `")?.splitn(3, " | ");
    let (name, kind, meaning) = (cells.next()?, cells.next()?, cells.next()?);
    Some((name.trim_end_matches('`'), kind, meaning))
}

/// The fields of `json` below `path`, each with its value.
fn found<'a>(path: &str, json: &'a Value, fields: &mut Vec<(String, &'a Value)>) {
    match json {
        Value::Object(members) => {
            for (name, value) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                fields.push((path.clone(), value));
                found(&path, value, fields);
            }
        }
        Value::Array(items) => {
            items.iter().for_each(|item| found(&format!("{path}[]"), item, fields))
        }
        _ => {}
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "u64" => value.is_u64(),
        "u32" => value.as_u64().is_some_and(|number| u32::try_from(number).is_ok()),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "u32 or null" => value.is_null() || is_of("u32", value),
        "u64 or null" => value.is_null() || value.is_u64(),
        "string or null" => value.is_null() || value.is_string(),
        "object" | "quantiles" => value.is_object(),
        "array" => value.is_array(),
        _ => false,
    }
}

/// All in which `doc` and `snapshot` differ.
fn differences(doc: &str, snapshot: &Value) -> Vec<String> {
    let documented = documented(doc);
    let mut fields = Vec::new();
    found("", snapshot, &mut fields);
    let missing = documented.keys().filter(|path| fields.iter().all(|field| field.0 != **path));
    let missing = missing.map(|path| format!("{path} is not there"));
    let wrong = fields.iter().filter_map(|(path, value)| match documented.get(path) {
        None => Some(format!("{path} is not documented")),
        Some(kind) if !is_of(kind, value) => Some(format!("{path} is no {kind}: {value}")),
        Some(_) => None,
    });
    missing.chain(wrong).collect()
}

/// The snapshot of an engine that has refused a job or a name for every reason there is, has given
/// up a tenant, and has served jobs of two.
fn snapshot_after_everything() -> Value {
    let rate = Rate::strict(5, Unit::Cost, Duration::from_secs(1)).unwrap();
    let policy = Policy::builder().tenants_max(2).queue_max(2).tenant_queue_max("acme", 1);
    let policy = policy.tenant_limits("umbra", Limits::default().rate(rate));
    let policy = policy.budget_hard("org", "usd", 500);
    let engine =
        Engine::<()>::builder().workers(2).policy(policy.build().unwrap()).build().unwrap();
    let submit = |tenant| engine.submit(tenant, Job::new(()));
    let refusal = |tenant| submit(tenant).unwrap_err().reason();
    let [gone, acme, umbra] = ["gone", "acme", "umbra"].map(|name| {
        let tenant = engine.tenant(name, "starter").unwrap();
        if name != "gone" {
            submit(tenant).unwrap();
        }
        tenant
    });
    let wide = engine.submit(umbra, Job::new(()).cost(6)).unwrap_err();
    assert_eq!(wide.reason(), Reason::TooWide);
    let late = engine.submit(acme, Job::new(()).deadline(Nanos::ZERO)).unwrap_err();
    assert_eq!(late.reason(), Reason::Deadline);
    assert_eq!(refusal(gone), Reason::StaleTenant);
    assert_eq!(refusal(acme), Reason::QueueFull);
    assert_eq!(refusal(umbra), Reason::EngineFull);
    assert_eq!(engine.tenant("more", "starter").unwrap_err().reason(), Reason::TooManyTenants);
    let invalid = engine.submit(acme, Job::new(()).cost(0)).unwrap_err();
    assert_eq!(invalid.reason(), Reason::Invalid);
    let mut worker = engine.worker().unwrap();
    let held = worker.next_batch(1).next();
    let drains = engine.clone();
    let drain = thread::spawn(move || drains.drain(Duration::from_secs(60)));
    while !submit(umbra).is_err_and(|refused| refused.reason() == Reason::Draining) {
        thread::yield_now();
    }
    drop(held);
    while !drain.is_finished() {
        worker.next_batch(8).for_each(drop);
    }
    assert_eq!(refusal(umbra), Reason::Closed);
    let mut all = serde_json::to_value(engine.snapshot()).unwrap();
    all["refused"]["too_many_classes"] = refused_for_its_class();
    all
}

/// How an engine with more room counts a job that would be of one class too many.
fn refused_for_its_class() -> Value {
    let engine = Engine::<()>::builder().workers(1).build().unwrap();
    let acme = engine.tenant("acme", "starter").unwrap();
    let submit = |name: &str| {
        let needs = engine.requirement(&name.parse().unwrap()).unwrap();
        engine.submit(acme, Job::new(()).requires(needs))
    };
    for name in ["a", "b", "c", "d"] {
        let _ = submit(name).unwrap();
    }
    assert_eq!(submit("e").unwrap_err().reason(), Reason::TooManyClasses);
    serde_json::to_value(engine.snapshot()).unwrap()["refused"]["too_many_classes"].clone()
}

#[test]
fn the_page_has_every_field_and_no_other() {
    assert_eq!(differences(DOC, &snapshot_after_everything()), Vec::<String>::new());
}

// Negative controls: a field more or less, or another type, on either side.
#[test]
fn a_line_taken_off_the_page_is_missed() {
    let snapshot = snapshot_after_everything();
    let rows: Vec<&str> = DOC.lines().filter(|line| row(line).is_some()).collect();
    assert!(rows.len() > 40, "{} rows", rows.len());
    for line in rows {
        let without = DOC.replace(&format!("{line}\n"), "");
        assert_ne!(differences(&without, &snapshot), Vec::<String>::new(), "without {line}");
    }
    let code = DOC.replace("`stale_tenant`, ", "");
    assert_eq!(differences(&code, &snapshot), ["refused.stale_tenant is not documented"]);
}

#[test]
fn a_field_more_or_less_in_the_snapshot_is_noticed() {
    let snapshot = snapshot_after_everything();
    let with = |change: fn(&mut Value)| {
        let mut changed = snapshot.clone();
        change(&mut changed);
        differences(DOC, &changed)
    };
    let more = with(|snapshot| snapshot["tiers"][0]["run_time"]["p75_ns"] = json!(1));
    assert_eq!(more, ["tiers[].run_time.p75_ns is not documented"]);
    let less = with(|snapshot| {
        let rows = snapshot["tenant_rows"].as_array_mut().unwrap();
        rows.iter_mut().for_each(|row| drop(row.as_object_mut().unwrap().remove("weight")));
    });
    assert_eq!(less, ["tenant_rows[].weight is not there"]);
    let other = with(|snapshot| snapshot["workers"][1]["granted"] = json!("3"));
    assert_eq!(other, ["workers[].granted is no u64: \"3\""]);
    let unlisted =
        with(|snapshot| drop(snapshot["refused"].as_object_mut().unwrap().remove("closed")));
    assert_eq!(unlisted, ["refused.closed is not there"]);
}
