//! Whatever is wrong: one clear line and exit code 2, or a count and the run goes on.

use std::process::Output;

use crate::command::{csv, file, replay, replay_stdin, replay_text, report, small_log, stderr};

/// Checks for exit code 2, one line on stderr with all of `words`, and nothing on stdout.
#[track_caller]
fn assert_refused(output: &Output, words: &[&str]) {
    let stderr = stderr(output);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("fairlane replay: "), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "no `{word}` in: {stderr}");
    }
    assert!(output.stdout.is_empty());
}

fn two_jobs() -> String {
    csv([("a", 1.0, 1), ("b", 2.0, 1)])
}

#[test]
fn a_log_that_cannot_be_opened_is_named() {
    assert_refused(&replay(&["no-such.log"]), &["no-such.log", "cannot be read"]);
    let folder = env!("CARGO_MANIFEST_DIR");
    assert_refused(&replay(&[folder]), &[folder, "is a directory"]);
}

#[cfg(unix)]
#[test]
fn a_log_without_permission_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let log = file(two_jobs());
    log.as_file().set_permissions(std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(log.path()).is_ok() {
        println!("skipped: permissions do not hold for this user");
        return;
    }
    let path = log.path().to_str().unwrap();
    assert_refused(&replay(&[path]), &[path, "cannot be read"]);
}

#[test]
fn a_log_without_jobs_is_refused() {
    for text in ["", "\n\n  \r\n", "\u{feff}"] {
        assert_refused(&replay_text(text, &[]), &["no jobs"]);
        assert_refused(&replay_stdin(text.as_bytes(), &["-"]), &["standard input", "no jobs"]);
    }
    assert_refused(&replay_text("tenant,time\n", &[]), &["no jobs"]);
    assert_refused(&replay_text("", &["--format", "clf"]), &["no jobs"]);
    assert_refused(&replay_text("", &["--format", "csv"]), &["no header"]);
}

#[test]
fn a_log_of_one_moment_is_refused() {
    let one_moment = csv([("a", 5.0, 1), ("b", 5.0, 1)]);
    assert_refused(&replay_text(one_moment, &[]), &["one moment"]);
    assert_refused(&replay_text(csv([("a", 5.0, 1)]), &[]), &["one moment"]);
}

#[test]
fn a_format_that_cannot_be_told_is_asked_for() {
    assert_refused(&replay_text("what is this\n", &[]), &["--format clf, csv or jsonl"]);
    assert_refused(&replay_text(b"\x00\xff\xfe\x00\n", &[]), &["--format"]);
}

#[test]
fn a_field_that_the_log_lacks_is_named() {
    assert_refused(&replay_text(two_jobs(), &["--tenant", "customer"]), &["`customer`", "tenant"]);
    let when = ["--format", "csv", "--time", "when"];
    assert_refused(&replay_text(two_jobs(), &when), &["`when`", "tenant, time, cost"]);
    assert_refused(&replay_text(two_jobs(), &["--cost", "price"]), &["`price`"]);
    assert_refused(&replay_text(two_jobs(), &["--cost", "bytes"]), &["`bytes`"]);
    let log = small_log();
    let log = log.to_str().unwrap();
    assert_refused(&replay(&[log, "--tenant", "customer"]), &["`customer`", "host"]);
    let jsonl = "{\"tenant\":\"a\",\"time\":1}\n{\"tenant\":\"a\",\"time\":2}\n";
    assert_refused(&replay_text(jsonl, &["--tenant", "customer"]), &["line 1", "`customer`"]);
}

#[test]
fn flags_out_of_range_are_refused_with_their_range() {
    let cases = [
        ("--load", "0"),
        ("--load", "NaN"),
        ("--load", "-1"),
        ("--load", "-0.5"),
        ("--load", "inf"),
        ("--load", "-inf"),
        ("--load", "--json"),
        ("--load", "1001"),
        ("--load", "half"),
        ("--load", ""),
        ("--capacity", "0"),
        ("--capacity", "nan"),
        ("--capacity", "-10000"),
        ("--capacity", "1e10"),
        ("--workers", "0"),
        ("--workers", "-2"),
        ("--workers", "1025"),
        ("--workers", "1.5"),
        ("--workers", "99999999999999999999"),
        ("--format", "xml"),
        ("--scheduler", "lifo"),
        ("--format", "-1"),
        ("--scheduler", "-3"),
        ("--scheduler", ""),
    ];
    let log = small_log();
    for (flag, value) in cases {
        let output = replay(&[log.to_str().unwrap(), flag, value]);
        assert_refused(&output, &[flag, &format!("`{value}`")]);
    }
}

#[test]
fn names_that_begin_with_a_hyphen_are_names_that_are_not_there() {
    let log = small_log();
    for flag in ["--tenant", "--time", "--cost", "--tier"] {
        for value in ["-5", "-1.5", "--json", ""] {
            let output = replay(&[log.to_str().unwrap(), flag, value]);
            assert_refused(&output, &[&format!("`{value}`")]);
        }
    }
}

#[test]
fn files_that_look_like_flags_are_named() {
    let log = small_log();
    let log = log.to_str().unwrap();
    assert_refused(&replay(&[log, "--policy", "-3"]), &["-3: cannot be read"]);
    for name in ["-1", "-", "--json"] {
        assert_refused(&replay(&[log, "--html", name]), &[&format!("{name:?}"), "a flag?"]);
    }
}

#[test]
fn a_command_line_that_makes_no_sense_gets_one_line() {
    let log = small_log();
    let log = log.to_str().unwrap();
    let cases: [(&[&str], &str); 9] = [
        (&[], "<TRACE>"),
        (&[""], "<TRACE>"),
        (&["-5"], "'-5'"),
        (&[log, "-5"], "'-5'"),
        (&[log, log], log),
        (&[log, "--frobnicate"], "'--frobnicate'"),
        (&[log, "--cost"], "--cost"),
        (&[log, "--policy", ""], "--policy"),
        (&[log, "two\nlines\n\nand\u{1b}[31m"], "two"),
    ];
    for (args, word) in cases {
        let output = replay(args);
        let stderr = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with("fairlane: ") && stderr.contains(word), "{word}: {stderr}");
        assert!(!stderr.contains('\u{1b}') && stderr.ends_with("; see --help\n"), "{stderr}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_run_longer_than_a_clock_or_an_hour_of_patience_is_refused() {
    let dear = csv((0..200).map(|i| ("a", f64::from(i), 1_000_000)));
    let slow = ["--capacity", "1", "--load", "0.001"];
    assert_refused(&replay_text(&dear, &slow), &["--capacity", "virtual time"]);
    assert_refused(&replay_text(&dear, &["--live"]), &["--load", "real time", "3600"]);
}

#[test]
fn an_unknown_tier_and_a_bad_policy_are_refused() {
    let log = small_log();
    let log = log.to_str().unwrap();
    assert_refused(&replay(&[log, "--tier", "gold"]), &["`gold`", "starter, growth, scale"]);
    assert_refused(
        &replay(&[log, "--policy", "no-such.toml"]),
        &["no-such.toml", "cannot be read"],
    );
    let policy = file("[engine]\nqueue_mx = 5\n[tiers.a]\nweight = 0\n");
    let policy = policy.path().to_str().unwrap();
    assert_refused(&replay(&[log, "--policy", policy]), &[policy, "more: see `fairlane check`"]);
}

#[test]
fn malformed_lines_are_counted_and_the_first_three_are_shown() {
    let text = "tenant,time,cost\n\
                a,1,1\nb,2,1\na,3,1\nb,4,1\na,5,1\n\
                a,soon,1\n,6,1\na,6,-3\na,6,much\n";
    let output = replay_text(text, &[]);
    let report = report(&output);
    assert_eq!((&report["jobs"]["read"], &report["jobs"]["malformed"]), (&9.into(), &4.into()));
    let expected = "fairlane replay: line 7: bad time `soon`\n\
                    fairlane replay: line 8: the tenant is empty\n\
                    fairlane replay: line 9: bad cost `-3`\n\
                    fairlane replay: 4 of 9 lines are malformed\n";
    assert_eq!(stderr(&output), expected);
}

#[test]
fn up_to_three_malformed_lines_are_shown_and_not_counted_again() {
    let output = replay_text("tenant,time\na,1\nb,2\nc\n", &[]);
    assert_eq!(stderr(&output), "fairlane replay: line 4: no field `time`\n");
}

#[test]
fn half_of_the_lines_may_be_malformed_and_not_one_more() {
    let half = "tenant,time\na,1\nb,2\nx\ny\n";
    assert_eq!(report(&replay_text(half, &[]))["jobs"]["malformed"], 2);
    assert_refused(&replay_text(format!("{half}z\n"), &[]), &["3 of 5 lines", "line 4"]);
    assert_refused(&replay_text(two_jobs(), &["--format", "clf"]), &["3 of 3 lines", "line 1"]);
}

#[test]
fn bytes_that_are_no_text_blank_lines_and_long_lines_do_not_stop_a_run() {
    let mut text =
        b"\xef\xbb\xbftenant,time,note\r\n\r\na,1,\xff\xfe\r\n  \r\n\xff\xfe,2,x\r\n".to_vec();
    text.extend_from_slice(&vec![b'x'; 3 << 20]);
    text.extend_from_slice(b"\r\nb,3,x\r\na,4,y");
    let output = replay_text(text, &[]);
    let report = report(&output);
    assert_eq!((&report["jobs"]["read"], &report["jobs"]["malformed"]), (&5.into(), &2.into()));
    assert!(stderr(&output).contains("line 5: the tenant is not UTF-8 text"));
    assert!(stderr(&output).contains("line 6: longer than 1048576 bytes"));
}
