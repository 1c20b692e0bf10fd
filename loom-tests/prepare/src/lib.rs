//! Writes `target/loom-patched`: the published loom 0.7.2 with the edits of
//! `loom-tests/loom-0.7.2-dpor.patch`.
//!
//! Works with nothing but a Rust toolchain: cargo downloads and verifies the crate, and a small
//! applier stands in for `patch(1)`.

mod diff;
mod registry;

pub use registry::json_strings;

use std::fs;
use std::path::{Path, PathBuf};

/// What of the published crate is copied; its tests and CI scripts are not needed.
const COPIED: [&str; 4] = ["Cargo.toml", "LICENSE", "README.md", "src"];

/// Where the patch that was applied is kept inside the patched crate: it is written last, so its
/// presence says that the copy is whole, and its text says which edits it holds.
const STAMP: &str = "applied.patch";

/// Cargo silences the warnings of registry crates, but not those of a crate given by its path.
const QUIET: &str = "\n[lints.rust]\nwarnings = \"allow\"\n";

/// What [`prepare`] found or did.
#[derive(Debug, Eq, PartialEq)]
pub enum Prepared {
    /// The patched crate is there and holds the current edits.
    UpToDate,
    /// The patched crate was written.
    Written,
}

/// The root of the project, seen from a tool that lives in `loom-tests/<tool>`.
///
/// Cargo's variable at run time comes first: a target directory may outlive a move of the tree.
#[must_use]
pub fn project_root() -> PathBuf {
    let manifest =
        std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let manifest = PathBuf::from(manifest);
    manifest.ancestors().nth(2).map_or_else(|| manifest.clone(), Path::to_path_buf)
}

/// Makes `target/loom-patched` hold loom 0.7.2 with the current edits.
///
/// # Errors
/// Says what is missing or differs: the crate cannot be found, or it is not the one that the
/// edits were written for.
pub fn prepare(root: &Path) -> Result<Prepared, String> {
    let patch = read(&root.join("loom-tests/loom-0.7.2-dpor.patch"))?;
    let patched = root.join("target/loom-patched");
    if fs::read_to_string(patched.join(STAMP)).is_ok_and(|applied| applied == patch) {
        return Ok(Prepared::UpToDate);
    }
    let edits = diff::parse(&patch)?;
    let published = registry::loom_source(&root.join("target/loom-fetch"))?;
    // Before anything is written: a crate that is not the expected one is refused here.
    let mut edited = Vec::new();
    for edit in &edits {
        let text = edit.apply(&read(&published.join(&edit.path))?)?;
        edited.push((&edit.path, text));
    }
    // Built beside its place and renamed, so that an interrupted run leaves nothing half-written.
    let draft = root.join(format!("target/loom-patched.{}", std::process::id()));
    copy_crate(&published, &draft)?;
    for (path, text) in &edited {
        write(&draft.join(path), text)?;
    }
    let manifest = draft.join("Cargo.toml");
    write(&manifest, &(read(&manifest)? + QUIET))?;
    write(&draft.join(STAMP), &patch)?;
    replace(&draft, &patched)?;
    Ok(Prepared::Written)
}

fn copy_crate(from: &Path, to: &Path) -> Result<(), String> {
    fs::create_dir_all(to).map_err(|e| named(to, &e))?;
    COPIED.iter().try_for_each(|name| copy(&from.join(name), &to.join(name)))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    if !from.is_dir() {
        // Read and written rather than copied: registries are often read-only, copies must not be.
        return write(to, &read(from)?);
    }
    fs::create_dir_all(to).map_err(|e| named(to, &e))?;
    for entry in fs::read_dir(from).map_err(|e| named(from, &e))? {
        let entry = entry.map_err(|e| named(from, &e))?;
        copy(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn replace(draft: &Path, place: &Path) -> Result<(), String> {
    if place.exists() {
        fs::remove_dir_all(place).map_err(|e| named(place, &e))?;
    }
    fs::rename(draft, place).map_err(|e| named(place, &e))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| named(path, &e))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|e| named(path, &e))
}

fn named(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
