//! `--html`: the page of a replay, and the file it goes into.

use std::fs;
use std::path::Path;

use crate::command::{csv, file, replay, small_log, stderr, stdout};

/// Replays the small log onto a page.
fn page_of(log: &Path, page: &Path, more: &[&str]) -> String {
    let args = [log.to_str().unwrap(), "--cost", "bytes", "--html", page.to_str().unwrap()];
    stdout(&replay(&[&args, more].concat()));
    fs::read_to_string(page).expect("the page is text")
}

#[test]
fn the_same_log_gives_the_same_page_and_another_load_another() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two, other] = ["one", "two", "other"].map(|name| folder.path().join(name));
    let page = page_of(&small_log(), &one, &[]);
    assert_eq!(page_of(&small_log(), &two, &["--json"]), page);
    assert_ne!(page_of(&small_log(), &other, &["--load", "1.4"]), page);
    assert!(!page.contains(folder.path().to_str().unwrap()), "it says nothing of its place");
}

#[test]
fn the_page_has_every_part_and_asks_nothing_of_the_network() {
    let folder = tempfile::tempdir().unwrap();
    let page = page_of(&small_log(), &folder.path().join("page.html"), &[]);
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    for part in ["Share of each tenant", "Waits", "Queue depth", "All figures", "Policy in force"] {
        assert_eq!(page.matches(&format!("<h2>{part}</h2>")).count(), 1, "{part}");
    }
    assert!(page.contains("<h1>fairlane replay: access-small.log</h1>"));
    assert!(page.contains("<p class=\"setup\">400 jobs of 35 tenants"));
    assert!(page.contains("All other tenants (34)"));
    assert!(page.contains("203.0.113.66</bdi>, the largest tenant"));
    for foreign in ["http:", "https:", "url(", "@import", "<script", " src=", "NaN", "\\u{a}"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.len() < 200_000, "{} bytes", page.len());
}

#[test]
fn one_scheduler_gets_a_page_without_the_other() {
    let folder = tempfile::tempdir().unwrap();
    for (own, other) in [("fair", "fifo"), ("fifo", "fair")] {
        let path = folder.path().join(own);
        let page = page_of(&small_log(), &path, &["--scheduler", own]);
        assert!(page.contains(&format!("line {own}\"")), "{own}");
        assert!(!page.contains(&format!("line {other}\"")), "{other}");
        assert!(!page.contains(&format!("<b class=\"{other}\">")), "{other}");
    }
}

#[test]
fn hundreds_of_tenants_and_waits_of_minutes_fit_on_a_page() {
    let names: Vec<String> = (0..300).map(|i| format!("<tenant-{i:03}>")).collect();
    let jobs = (0..6_000).map(|i| (names[i * i / 7 % 300].as_str(), i as f64, 1 + i as u32 % 37));
    let log = file(csv(jobs));
    let folder = tempfile::tempdir().unwrap();
    let more = ["--cost", "cost", "--capacity", "200", "--load", "3"];
    let path = folder.path().join("page.html");
    let args = [log.path().to_str().unwrap(), "--html", path.to_str().unwrap()];
    stdout(&replay(&[&args, &more[..]].concat()));
    let page = fs::read_to_string(path).unwrap();
    assert!(page.contains("_other is what the ") && page.contains("Wait max, s"));
    assert!(page.contains("&lt;tenant-") && !page.contains("<tenant"));
    assert!(page.len() < 300_000, "{} bytes", page.len());
}

#[test]
fn a_replay_that_fails_leaves_no_page_and_what_was_there_before() {
    let folder = tempfile::tempdir().unwrap();
    let (log, page) = (file("no log\nat all\n"), folder.path().join("page.html"));
    let args = [log.path().to_str().unwrap(), "--format", "clf", "--html", page.to_str().unwrap()];
    assert_eq!(replay(&args).status.code(), Some(2));
    assert!(!page.exists());
    fs::write(&page, "an older page").unwrap();
    assert_eq!(replay(&args).status.code(), Some(2));
    assert_eq!(fs::read_to_string(&page).unwrap(), "an older page");
    page_of(&small_log(), &page, &[]);
    assert!(!fs::read_to_string(&page).unwrap().contains("an older page"));
}

#[test]
fn a_page_that_cannot_be_written_is_told_in_one_line() {
    let log = file(csv([("a", 1.0, 1), ("b", 2.0, 1)]));
    let policy = file("[engine]\nqueue_max = 1000\n");
    let [log, policy] = [&log, &policy].map(|file| file.path().to_str().unwrap());
    for page in ["", ".", "no-such-folder/page.html", log, policy] {
        let output = replay(&[log, "--policy", policy, "--html", page]);
        let stderr = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.starts_with("fairlane replay: cannot write"), "{stderr}");
        assert!(output.stdout.is_empty());
    }
    assert!(fs::read_to_string(log).unwrap().contains("b,2,1"), "the log is as it was");
}
