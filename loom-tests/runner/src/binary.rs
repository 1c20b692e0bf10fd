//! Builds the models and asks them for their names.

use loom_prepare::json_strings;
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The compiled models.
#[derive(Debug)]
pub(crate) struct Binary {
    pub(crate) path: PathBuf,
    /// Name of each model -> the name of its test: `ring_spsc_wrap` -> `models::ring::ring_spsc_wrap`.
    pub(crate) models: BTreeMap<String, String>,
}

/// Builds the package at `package` once. Its dependencies come from the lockfile as it stands when
/// `locked`; everything is built below `loom-tests/target` unless `CARGO_TARGET_DIR` says otherwise.
pub(crate) fn build(root: &Path, package: &Path, locked: bool) -> Result<Binary, String> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "test",
        "--lib",
        "--no-run",
        "--quiet",
        "--message-format=json-render-diagnostics",
    ]);
    cargo.arg("--manifest-path").arg(package.join("Cargo.toml"));
    cargo.args(locked.then_some("--locked"));
    cargo.env("RUSTFLAGS", rustflags());
    if env::var_os("CARGO_TARGET_DIR").is_none() {
        cargo.arg("--target-dir").arg(root.join("loom-tests/target"));
    }
    let messages = stdout_of(cargo.stderr(Stdio::inherit()), "cargo test --no-run")?;
    let path = json_strings(&messages, "executable").pop();
    let path = path.map(PathBuf::from).ok_or("cargo built no test binary")?;
    let models =
        models(&stdout_of(Command::new(&path).args(["--list", "--format", "terse"]), "--list")?)?;
    Ok(Binary { path, models })
}

fn rustflags() -> OsString {
    let mut flags = env::var_os("RUSTFLAGS").unwrap_or_default();
    flags.push(" --cfg fairlane_loom");
    flags
}

fn stdout_of(command: &mut Command, name: &str) -> Result<String, String> {
    let output = command.output().map_err(|e| format!("{name}: {e}"))?;
    if !output.status.success() {
        return Err(format!("{name} failed: {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|e| format!("{name}: {e}"))
}

/// The models in the list of tests; the engine's unit tests are no models.
fn models(list: &str) -> Result<BTreeMap<String, String>, String> {
    let mut models = BTreeMap::new();
    for test in list.lines().filter_map(|line| line.strip_suffix(": test")) {
        if !test.starts_with("models::") {
            continue;
        }
        let name = test.rsplit("::").next().unwrap_or(test);
        if let Some(other) = models.insert(name.to_owned(), test.to_owned()) {
            return Err(format!("two models have one name: {other} and {test}"));
        }
    }
    Ok(models)
}

#[cfg(test)]
mod tests {
    use super::models;

    #[test]
    fn models_are_told_from_unit_tests() {
        let list = "models::ring::wrap: test\nunits::cost::tests::bounds: test\n";
        let found: Vec<_> = models(list).unwrap().into_iter().collect();
        assert_eq!(found, [("wrap".to_owned(), "models::ring::wrap".to_owned())]);
    }

    #[test]
    fn two_models_of_one_name_are_refused() {
        assert!(models("models::a::wrap: test\nmodels::b::wrap: test\n").is_err());
    }
}
