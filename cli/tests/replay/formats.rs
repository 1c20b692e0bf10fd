//! The same jobs, however they are written, make the same report.

use crate::command::{count, file, replay, replay_stdin, replay_text, report, stdout, tenant};

/// Twenty jobs of three tenants: name, second of the hour, bytes.
fn jobs() -> impl Iterator<Item = (&'static str, u32, u32)> {
    (0..20).map(|i| (["acme", "umbra", "hooli"][i % 3], 3 * i as u32, 700 * i as u32))
}

fn clf() -> String {
    let line = |(tenant, second, bytes): (&str, u32, u32)| {
        format!(
            "{tenant} - - [17/May/2015:10:00:{second:02} +0000] \"GET / HTTP/1.1\" 200 {bytes}\n"
        )
    };
    jobs().map(line).collect()
}

fn csv(time: impl Fn(u32) -> String) -> String {
    let line = |(tenant, second, bytes): (&str, u32, u32)| {
        format!("{bytes},\"{tenant}\",{}\n", time(second))
    };
    format!("bytes,tenant,time\n{}", jobs().map(line).collect::<String>())
}

fn jsonl() -> String {
    let line = |(tenant, second, bytes): (&str, u32, u32)| {
        format!(
            "{{\"time\": {}, \"tenant\": \"{tenant}\", \"bytes\": {bytes}}}\n",
            1_431_856_800 + second
        )
    };
    jobs().map(line).collect()
}

/// 2015-05-17 10:00 UTC and so many seconds, in one of the documented forms.
const TIMES: [fn(u32) -> String; 5] = [
    |second| format!("2015-05-17T10:00:{second:02}Z"),
    |second| format!("2015-05-17T12:00:{second:02}.000+02:00"),
    |second| format!("2015-05-17 10:00:{second:02}.0"),
    |second| format!("{}.000", 1_431_856_800 + second),
    |second| format!("{}", (1_431_856_800 + u64::from(second)) * 1_000),
];

#[test]
fn every_format_and_every_form_of_time_gives_the_same_bytes() {
    for cost in ["bytes", "1"] {
        let args = ["--cost", cost];
        let expected = stdout(&replay_text(clf(), &args));
        assert_eq!(stdout(&replay_text(jsonl(), &args)), expected);
        for time in TIMES {
            assert_eq!(stdout(&replay_text(csv(time), &args)), expected, "{}", time(7));
        }
    }
}

#[test]
fn a_named_format_is_the_one_that_auto_finds() {
    let args = ["--cost", "bytes", "--format"];
    let expected = stdout(&replay_text(clf(), &args[..2]));
    for (format, text) in [("clf", clf()), ("csv", csv(TIMES[0])), ("jsonl", jsonl())] {
        assert_eq!(stdout(&replay_text(text, &[&args[..], &[format]].concat())), expected);
    }
}

#[test]
fn standard_input_and_pipes_are_as_good_as_a_file() {
    let expected = stdout(&replay_text(clf(), &[]));
    assert_eq!(stdout(&replay_stdin(clf().as_bytes(), &["-", "--json"])), expected);
    if cfg!(target_os = "linux") {
        let pipe = replay_stdin(clf().as_bytes(), &["/dev/stdin", "--json"]);
        assert_eq!(stdout(&pipe), expected);
    }
}

#[test]
fn line_ends_and_byte_order_marks_change_nothing() {
    let expected = stdout(&replay_text(csv(TIMES[0]), &[]));
    let windows = format!("\u{feff}{}", csv(TIMES[0]).replace('\n', "\r\n"));
    assert_eq!(stdout(&replay_text(windows, &[])), expected);
}

#[test]
fn bytes_cost_a_unit_for_each_kib_begun() {
    let report = report(&replay_text(clf(), &["--cost", "bytes"]));
    let cost: u32 = jobs().map(|(.., bytes)| bytes.div_ceil(1_024).max(1)).sum();
    let rows = report["schedulers"]["fair"]["tenants"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| count(&row["offered_cost"])).sum::<u64>(), u64::from(cost));
}

#[test]
fn columns_are_named_by_flags() {
    let text = "who,when,price\nacme,1,5\numbra,2,7\n";
    let log = file(text);
    let path = log.path().to_str().unwrap();
    let flags = ["--tenant", "who", "--time", "when", "--cost", "price"];
    let report = report(&replay(&[&[path, "--json"], &flags[..]].concat()));
    assert_eq!(tenant(&report, "fair", "acme")["offered_cost"], 5);
    assert_eq!(tenant(&report, "fair", "umbra")["offered_cost"], 7);
}

#[test]
fn fields_of_a_web_log_can_be_tenants() {
    let report = report(&replay_text(clf(), &["--tenant", "method"]));
    assert_eq!(tenant(&report, "fair", "GET")["jobs"], 20);
}
