//! `stock`: the same mutants against the loom that is published, to show what the patch is for.

use crate::process::{Job, Run, Runner};
use crate::{Filter, binary, check, config};
use std::fs;
use std::path::{Path, PathBuf};

/// Prints a table of the mutants that stock loom misses or catches. It is a comparison, so it only
/// fails where it cannot be made.
pub(crate) fn compare(root: &Path, filter: &Filter) -> Result<bool, String> {
    let mutants = config::mutants(&root.join("loom-tests"))?;
    let package = write_package(root)?;
    let binary = binary::build(root, &package, false)?;
    let runner = Runner::new(&binary, root.join("target/loom-runs-stock"))?;
    let kills = check::kills(&binary, filter, &mutants);
    let jobs: Vec<Job<'_>> =
        kills.iter().map(|(site, kill)| Job { model: &kill.model, mutant: Some(site) }).collect();
    let runs = runner.run(&jobs)?;
    println!("| site | model | stock loom 0.7.2 |\n|---|---|---|");
    for ((site, kill), run) in kills.iter().zip(&runs) {
        println!("| {site} | {} | {} |", kill.model, outcome(run));
    }
    let missed = runs.iter().filter(|run| run.failure.is_none()).count();
    println!("stock loom 0.7.2 misses {missed} of {} mutants", runs.len());
    Ok(true)
}

fn outcome(run: &Run) -> String {
    run.failure.map_or_else(|| "**missed**".to_owned(), |failure| format!("caught: {failure}"))
}

/// The package of the models without the patch, two folders below the root like the original is
/// one. It starts from the same lockfile, so that only loom differs.
fn write_package(root: &Path) -> Result<PathBuf, String> {
    let (from, to) = (root.join("loom-tests"), root.join("target/loom-stock"));
    fs::create_dir_all(&to).map_err(|e| format!("{}: {e}", to.display()))?;
    let file = |name: &str| {
        fs::read_to_string(from.join(name)).map_err(|e| format!("loom-tests/{name}: {e}"))
    };
    let write =
        |name: &str, text: &str| fs::write(to.join(name), text).map_err(|e| format!("{name}: {e}"));
    write("Cargo.toml", &unpatched(&file("Cargo.toml")?)?)?;
    write("Cargo.lock", &file("Cargo.lock")?)?;
    Ok(to)
}

/// The manifest without its patch section, and with the engine's source one folder further up.
fn unpatched(manifest: &str) -> Result<String, String> {
    let (before, patch) = manifest
        .split_once("[patch.crates-io]\n")
        .ok_or("loom-tests/Cargo.toml has no patch section")?;
    let after = patch.find("\n[").map_or("", |at| &patch[at + 1..]);
    let source = "path = \"../src/lib.rs\"";
    if !before.contains(source) {
        return Err("loom-tests/Cargo.toml does not name ../src/lib.rs".to_owned());
    }
    Ok(before.replace(source, "path = \"../../src/lib.rs\"") + after)
}

#[cfg(test)]
mod tests {
    use super::unpatched;

    #[test]
    fn the_patch_goes_and_the_source_is_found() {
        let manifest = "[lib]\npath = \"../src/lib.rs\"\n\n[patch.crates-io]\nloom = { path = \"x\" }\n\n[profile.test]\nopt-level = 3\n";
        let expected = "[lib]\npath = \"../../src/lib.rs\"\n\n[profile.test]\nopt-level = 3\n";
        assert_eq!(unpatched(manifest).unwrap(), expected);
        assert!(unpatched("[lib]\n").is_err());
    }
}
