//! `fairlane check` from the outside: exit codes, and what goes to which stream.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of its own for each test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let path =
            std::env::temp_dir().join(format!("fairlane-check-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.0.join("policy.toml");
        fs::write(&file, content).unwrap();
        file
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs the check in an environment that holds nothing but `vars`.
fn check(policy: &Path, vars: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fairlane"))
        .arg("check")
        .arg(policy)
        .env_clear()
        .envs(vars.iter().copied())
        .output()
        .unwrap()
}

/// The summary of a policy that must be valid.
fn accepted(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*errors), (Some(0), ""));
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(text.starts_with("ok: ") && text.lines().count() == 1, "{text}");
    text
}

/// The lines of a policy that must be refused.
fn refused(output: &Output) -> Vec<String> {
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty(), "a refusal belongs on standard error");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn the_sample_policy_is_accepted_with_a_summary() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fairlane.toml");
    let text = accepted(&check(&sample, &[]));
    assert!(text.contains("tiers starter 1, growth 1.2, scale 2 (default starter)"), "{text}");
    assert!(text.contains("2 tenant overrides, 3 costs, engine queue_max 1000000"), "{text}");
}

#[test]
fn every_problem_is_one_line_with_file_line_value_range_and_hint() {
    let folder = Folder::new("problems");
    let file =
        folder.file("[tiers.starter]\nweight = 0\n[engine]\nqueue_mx = 5\nbase_quantum = 12abc\n");
    let lines = refused(&check(&file, &[]));
    let name = file.display();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert_eq!(
        lines[0],
        format!(
            "{name}:2: tiers.starter.weight = 0: allowed 0.01..=1000 in steps of 0.001 \
             (hint: a share is never 0; the smallest is 0.01)"
        )
    );
    assert!(lines.iter().any(|line| line.contains("did you mean `queue_max`?")), "{lines:#?}");
    let start = format!("{name}:5: engine.base_quantum = 12abc: allowed 1..=1000000 (hint: ");
    assert!(lines.iter().any(|line| line.starts_with(&start)), "{lines:#?}");
}

#[test]
fn the_summary_says_what_is_limited_and_nothing_where_nothing_is() {
    let folder = Folder::new("quotas");
    let file = folder.file(
        "[engine]\nconcurrency = 100\n[tiers.starter]\nweight = 1\nrate = '10 jobs per 60s'\n\
         max_wait = '90s'\n[budgets.org]\nhard = 'usd 5'\n",
    );
    let text = accepted(&check(&file, &[]));
    let told = "; engine concurrency 100; each of starter: rate 10 jobs per 60s, max_wait 90s, \
                overload reject; 1 budget\n";
    assert!(text.ends_with(told), "{text}");
    assert!(accepted(&check(&folder.file(""), &[])).ends_with("base_quantum 20\n"));
}

#[test]
fn a_concurrency_of_0_is_said_to_pause_and_counts_are_plural_where_they_are() {
    let folder = Folder::new("paused");
    let tier = "[tiers.starter]\nweight = 1\nconcurrency = 0\ntier_concurrency = '0%'\n";
    let text = accepted(&check(&folder.file(tier), &[("FAIRLANE__ENGINE__CONCURRENCY", "0")]));
    let told = "; engine concurrency 0 (paused); each of starter: concurrency 0 (paused), \
                tier_concurrency 0% (paused), overload reject\n";
    assert!(text.ends_with(told), "{text}");
    assert!(text.contains(", 0 tenant overrides, 0 costs,"), "{text}");
    let tenant = "[tenants.'two words']\nconcurrency = 0\n[costs]\nsign = 2\n";
    let text = accepted(&check(&folder.file(tenant), &[]));
    assert!(text.contains(", 1 tenant override, 1 cost,"), "{text}");
    assert!(text.ends_with("; paused: \"two words\"\n"), "{text}");
    let many: String =
        (0..7).map(|tenant| format!("[tenants.t{tenant}]\nconcurrency = 0\n")).collect();
    let budgets = "[budgets.a]\nhard = 'usd 5'\n[budgets.b]\nhard = 'usd 5'\n";
    let text = accepted(&check(&folder.file(many + budgets), &[]));
    let told = "; paused: \"t0\", \"t1\", \"t2\", \"t3\", \"t4\" and 2 more; 2 budgets\n";
    assert!(text.ends_with(told), "{text}");
}

#[test]
fn ten_mistakes_in_quotas_are_ten_lines_in_the_order_of_the_file() {
    let folder = Folder::new("mistakes");
    let file = folder.file(
        "[engine]\nconcurrency = 10\nmax_wait = '10'\njitter = '2h'\n[tiers.starter]\nweight = 1\n\
         rate = '10 job per 60s'\nconcurrency = '150%'\ntier_concurrency = 20\nbudgets = 'platfrom'\n\
         overload = 'wait'\n[tenants.acme]\nconcurrency = 50\nmax_wiat = '1s'\n[budgets.platform]\n\
         hard = 'usd 500'\nsoft = 'usd 600'\n",
    );
    let lines = refused(&check(&file, &[]));
    let name = file.display().to_string();
    let at = |line: &String| -> u32 {
        let rest = line.strip_prefix(&name).and_then(|rest| rest.strip_prefix(':'));
        rest.and_then(|rest| rest.split(':').next()).expect("a line number").parse().unwrap()
    };
    assert_eq!(lines.iter().map(at).collect::<Vec<_>>(), [3, 4, 7, 8, 9, 10, 11, 13, 14, 17]);
    let hints = [
        "add the unit right after the number",
        "\"0s\"..=\"1h\"",
        "did you mean `jobs`?",
        "\"0%\" to \"100%\"",
        "unreachable: engine.concurrency is 10",
        "did you mean `platform`?",
        "say how long, as in \"wait 2s\"",
        "unreachable: engine.concurrency is 10",
        "did you mean `max_wait`?",
        "the hard limit 500 comes before 600",
    ];
    for (line, hint) in lines.iter().zip(hints) {
        assert!(line.contains(hint), "no `{hint}` in: {line}");
    }
}

#[test]
fn environment_overrides_apply_and_are_checked() {
    let folder = Folder::new("environment");
    let file = folder.file("");
    let text = accepted(&check(&file, &[("FAIRLANE__ENGINE__QUEUE_MAX", "5000")]));
    assert!(text.contains("queue_max 5000"), "{text}");
    let bad = [("FAIRLANE__ENGINE__QUEUE_MAX", "12abc"), ("FAIRLANE__ENGINE__NOPE", "1")];
    let lines = refused(&check(&file, &bad));
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].starts_with("FAIRLANE__ENGINE__NOPE = 1: allowed keys queue_max"));
    assert!(lines[1].starts_with("FAIRLANE__ENGINE__QUEUE_MAX: engine.queue_max = 12abc: allowed"));
}

#[test]
fn a_file_that_cannot_be_read_is_one_clear_line() {
    let folder = Folder::new("unreadable");
    let missing = refused(&check(&folder.0.join("missing.toml"), &[]));
    assert_eq!(missing.len(), 1, "{missing:#?}");
    assert!(missing[0].contains("missing.toml: cannot be read: "), "{missing:#?}");
    let directory = refused(&check(&folder.0, &[]));
    assert_eq!(directory.len(), 1, "{directory:#?}");
    assert!(directory[0].contains("cannot be read: "), "{directory:#?}");
}

#[test]
fn a_file_that_is_no_text_is_one_clear_line() {
    let folder = Folder::new("binary");
    let lines = refused(&check(&folder.file(b"[engine]\n# \xff\n"), &[]));
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].ends_with("policy.toml: line 2 is not UTF-8 text"), "{lines:#?}");
}

#[test]
fn a_file_of_absurd_size_is_refused_without_parsing_it() {
    let folder = Folder::new("size");
    let lines = refused(&check(&folder.file(vec![b'#'; 32 * 1024 * 1024 + 1]), &[]));
    assert!(lines.len() == 1 && lines[0].contains("is larger than 33554432 bytes"), "{lines:#?}");
}

#[cfg(unix)]
#[test]
fn only_our_own_variables_must_be_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = Folder::new("variables");
    let file = folder.file("");
    let run = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fairlane"));
        command.arg("check").arg(&file).env_clear().env(name, OsStr::from_bytes(b"\xff"));
        command.output().unwrap()
    };
    accepted(&run("OTHER"));
    let lines = refused(&run("FAIRLANE__ENGINE__QUEUE_MAX"));
    assert_eq!(lines, ["FAIRLANE__ENGINE__QUEUE_MAX is not UTF-8 text"]);
}

#[test]
fn a_missing_argument_is_a_usage_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_fairlane")).arg("check").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
