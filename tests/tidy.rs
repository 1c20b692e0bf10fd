//! Holds the tree to the rules of ARCHITECTURE.md: layers, the one door to shared memory, reasons
//! beside every `unsafe` and every ordering, and limits on size. Each rule is a function from
//! sources to problems and has, in its own file, a test that it rejects what it is there to reject.

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/limits.rs"]
mod limits;
#[path = "tidy/memory.rs"]
mod memory;
#[path = "tidy/ordering.rs"]
mod ordering;
#[path = "tidy/source.rs"]
mod source;

use layers::Layers;
use source::{Source, rust_files};
use std::fs;
use std::path::Path;

/// Where the project's Rust files are.
const FOLDERS: [&str; 9] = [
    "src",
    "tests",
    "benches",
    "examples",
    "cli",
    "rivals",
    "loom-tests",
    "shuttle-tests",
    "tsan-tests",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the project.
fn all_files() -> Vec<Source> {
    let present = FOLDERS.into_iter().filter(|folder| root().join(folder).is_dir());
    let files = present
        .map(|folder| rust_files(root(), folder).unwrap_or_else(|e| panic!("{folder}: {e}")));
    files.flatten().collect()
}

/// The source of the engine.
fn engine_files() -> Vec<Source> {
    rust_files(root(), "src").expect("src is readable")
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn architecture() -> String {
    page("ARCHITECTURE.md")
}

fn each(files: &[Source], rule: impl Fn(&Source) -> Vec<String>) -> Vec<String> {
    files.iter().flat_map(rule).collect()
}

#[track_caller]
fn assert_tidy(problems: &[String]) {
    assert!(problems.is_empty(), "{} problems:\n  {}", problems.len(), problems.join("\n  "));
}

#[test]
fn no_room_imports_upwards_or_sideways() {
    let layers = Layers::parse(&architecture()).expect("ARCHITECTURE.md has a layer table");
    assert_tidy(&each(&engine_files(), |file| layers.imports(file)));
}

#[test]
fn architecture_maps_every_source_file() {
    assert_tidy(&layers::unmapped(&architecture(), &all_files()));
}

#[test]
fn shared_memory_comes_through_one_door() {
    assert_tidy(&each(&engine_files(), memory::raw_primitives));
}

#[test]
fn threads_and_clocks_come_through_the_same_door() {
    assert_tidy(&each(&engine_files(), memory::raw_waits));
}

#[test]
fn unsafe_stays_in_its_rooms() {
    assert_tidy(&memory::unsafe_rooms(&engine_files()));
}

#[test]
fn the_inventory_of_unsafe_is_complete() {
    assert_tidy(&memory::unlisted_unsafe(&page("SECURITY.md"), &engine_files()));
}

#[test]
fn every_unsafe_block_says_why_it_is_sound() {
    assert_tidy(&each(&all_files(), memory::unsafe_without_reason));
}

#[test]
fn sequential_consistency_is_for_fences() {
    assert_tidy(&each(&engine_files(), memory::seqcst_outside_fences));
}

#[test]
fn every_ordering_says_what_it_pairs_with() {
    let mut files = engine_files();
    files.extend(rust_files(root(), "loom-tests/models").expect("loom-tests/models is readable"));
    assert_tidy(&ordering::unexplained(&files));
}

#[test]
fn no_file_is_longer_than_600_lines() {
    assert_tidy(&each(&all_files(), limits::long_file));
}

#[test]
fn no_function_is_longer_than_60_lines() {
    assert_tidy(&each(&engine_files(), limits::long_functions));
}

#[test]
fn nothing_is_left_for_later() {
    assert_tidy(&each(&all_files(), limits::notes_to_self));
}
