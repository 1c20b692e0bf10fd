//! `fairlane demo --html` as a user runs it: the file it leaves, and what it says when it cannot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A folder of its own for each test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Folder {
        let path =
            std::env::temp_dir().join(format!("fairlane-html-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).expect("the folder is made");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind in a folder for temporary files is no failure of the test.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn demo(seconds: &str, page: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fairlane"));
    command.args(["demo", "--json", "--seconds", seconds, "--html"]).arg(page);
    command.output().expect("the program starts")
}

#[test]
fn the_page_tells_what_the_report_tells() {
    let folder = Folder::new("whole");
    let path = folder.0.join("page.html");
    fs::write(&path, "what was there before").unwrap();
    let output = demo("1", &path);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty());
    let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let page = fs::read_to_string(&path).expect("the page is text");

    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    for part in ["Share of each tenant", "Waits", "Queue depth", "All figures", "Policy in force"] {
        assert_eq!(page.matches(&format!("<h2>{part}</h2>")).count(), 1, "{part}");
    }
    for scheduler in ["fair", "fifo"] {
        let jain = report["schedulers"][scheduler]["jain"].as_f64().expect("an index");
        assert!(page.contains(&format!("\">{jain:.3} <small class=\"{scheduler}\">")), "{jain}");
    }
    for row in report["schedulers"]["fair"]["tenants"].as_array().unwrap() {
        let name = row["tenant"].as_str().unwrap();
        let line = format!("<tr><th scope=\"row\" class=\"text\"><bdi title=\"{name}\">");
        assert_eq!(page.matches(&line).count(), 1, "{name}");
    }
    assert!(page.contains("[tiers.starter]") && page.contains("base_quantum = 20"));
}

#[test]
fn the_page_asks_nothing_of_the_network_and_fits_into_a_message() {
    let folder = Folder::new("alone");
    let path = folder.0.join("page.html");
    assert!(demo("1", &path).status.success());
    let page = fs::read_to_string(&path).unwrap();
    for foreign in ["http:", "https:", "url(", "@import", "<script", " src=", "NaN"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(page.contains("default-src 'none'"));
    assert!(page.len() < 200_000, "{} bytes", page.len());
}

#[test]
fn a_file_that_cannot_be_written_is_told_in_one_line_before_the_run() {
    let folder = Folder::new("unwritable");
    let missing = folder.0.join("missing\nfolder").join("page.html");
    for path in [folder.0.as_path(), missing.as_path(), Path::new("")] {
        let started = Instant::now();
        let output = demo("60", path);
        assert!(started.elapsed() < Duration::from_secs(30), "it ran first");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(stderr.contains("cannot write"), "{stderr}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn no_page_is_made_when_another_flag_is_wrong() {
    let folder = Folder::new("flags");
    let path = folder.0.join("page.html");
    assert_eq!(demo("0", &path).status.code(), Some(2));
    assert!(!path.exists());
}
