//! Finds the source of the published loom by asking cargo for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A package that depends on the published loom and on nothing else; it is never compiled.
const MANIFEST: &str = "[workspace]\n[package]\nname = \"loom-fetch\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\
                        [lib]\npath = \"lib.rs\"\n[dependencies]\nloom = \"=0.7.2\"\n";

/// The directory of the published loom 0.7.2, downloaded by cargo if need be. `scratch` holds the
/// tiny package that asks for it.
pub(crate) fn loom_source(scratch: &Path) -> Result<PathBuf, String> {
    fs::create_dir_all(scratch).map_err(|e| format!("{}: {e}", scratch.display()))?;
    let manifest = scratch.join("Cargo.toml");
    fs::write(&manifest, MANIFEST).map_err(|e| format!("{}: {e}", manifest.display()))?;
    fs::write(scratch.join("lib.rs"), "").map_err(|e| format!("{}: {e}", scratch.display()))?;
    let host = host_triple()?;
    // Without the network first: a machine that has the crates needs no connection.
    let metadata =
        metadata(&manifest, &host, true).or_else(|_| metadata(&manifest, &host, false))?;
    json_strings(&metadata, "manifest_path")
        .into_iter()
        .map(PathBuf::from)
        .find(|path| is_loom(path))
        .and_then(|path| path.parent().map(Path::to_path_buf))
        .ok_or_else(|| "cargo metadata names no loom 0.7.2".to_owned())
}

fn is_loom(manifest: &Path) -> bool {
    let text = fs::read_to_string(manifest).unwrap_or_default();
    let has = |line: &str| text.lines().any(|l| l == line);
    has("name = \"loom\"") && has("version = \"0.7.2\"")
}

/// Asks for this machine's packages only: loom's other platforms bring large downloads.
fn metadata(manifest: &Path, host: &str, offline: bool) -> Result<String, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args(["metadata", "--format-version", "1", "--filter-platform", host, "--manifest-path"])
        .arg(manifest);
    if offline {
        cargo.arg("--offline").stderr(Stdio::null());
    } else {
        cargo.stderr(Stdio::inherit());
    }
    stdout_of(cargo, "cargo metadata")
}

fn host_triple() -> Result<String, String> {
    let mut rustc = Command::new("rustc");
    rustc.arg("-vV");
    let version = stdout_of(rustc, "rustc -vV")?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc -vV names no host".to_owned())
}

fn stdout_of(mut command: Command, name: &str) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{name}: {e}"))?;
    if !output.status.success() {
        return Err(format!("{name} failed: {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|e| format!("{name}: {e}"))
}

/// Every value of `"key":"value"` in compact JSON as cargo writes it, in order.
#[must_use]
pub fn json_strings(json: &str, key: &str) -> Vec<String> {
    let opening = format!("\"{key}\":\"");
    json.split(&opening).skip(1).map(json_string).collect()
}

/// The string whose opening quote has just been passed. Cargo escapes nothing but quotes and
/// backslashes in paths.
fn json_string(rest: &str) -> String {
    let mut value = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => value.extend(chars.next()),
            c => value.push(c),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_strings_are_found_and_unescaped() {
        let json = r#"{"a":1,"path":"C:\\x\\y","other":null},{"path":"/z \"q\""}"#;
        assert_eq!(json_strings(json, "path"), [r"C:\x\y", r#"/z "q""#]);
        assert_eq!(json_strings(json, "nothing"), Vec::<String>::new());
    }
}
