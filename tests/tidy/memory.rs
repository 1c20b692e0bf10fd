//! Shared memory: one door to it, and a reason beside everything unsafe.

use crate::limits::without_tests;
use crate::source::{Kind, Source, is_word, line_of, starts_word};
use std::collections::BTreeSet;

/// What `crate::sync` wraps, by its name in a module called `sync`.
const WRAPPED: [&str; 5] = ["atomic", "Mutex", "RwLock", "Condvar", "mpsc"];

/// What shuttle has to decide about, and so comes from `crate::sync` too.
const WAITS: [&str; 4] = ["std::thread", "thread::sleep", "Instant::now", "crossbeam_deque"];

/// How far above its block a SAFETY comment may stand.
const SAFETY_LINES_ABOVE: usize = 6;

/// Atomics, locks and fences that do not come from `crate::sync`.
pub(crate) fn raw_primitives(file: &Source) -> Vec<String> {
    if file.path.starts_with("src/sync/") {
        return Vec::new();
    }
    let code = file.view(&[Kind::Code]);
    let foreign = words(&code, "sync")
        .filter(|&at| ["std", "core", "loom", "shuttle"].contains(&parent_of(&code, at)));
    let raw = foreign
        .flat_map(|at| wrapped_names(&code[at + "sync".len()..]).map(move |name| (at, name)));
    let fences = ["fence", "compiler_fence"]
        .into_iter()
        .flat_map(|name| words(&code, name).map(move |at| (at, name)));
    let fences = fences.filter(|(at, name)| code[at + name.len()..].starts_with('('));
    let problem =
        |(at, name)| format!("{}:{}: {name} outside src/sync/", file.path, line_of(&code, at));
    raw.chain(fences).map(problem).collect()
}

/// Threads, waits and looks at the clock that do not come from `crate::sync`.
pub(crate) fn raw_waits(file: &Source) -> Vec<String> {
    if file.path.starts_with("src/sync/") {
        return Vec::new();
    }
    let code = without_tests(file, &[Kind::Code]);
    let raw = WAITS.into_iter().flat_map(|name| words(&code, name).map(move |at| (at, name)));
    let problem =
        |(at, name)| format!("{}:{}: {name} outside src/sync/", file.path, line_of(&code, at));
    raw.map(problem).collect()
}

/// The wrapped names in what follows `sync`: `::Mutex`, or a group.
fn wrapped_names(rest: &str) -> impl Iterator<Item = &'static str> {
    let path = rest.strip_prefix("::").unwrap_or_default();
    let end = match path.starts_with('{') {
        true => closing(path),
        false => path.find(|c| !is_word(c)).unwrap_or(path.len()),
    };
    let path = &path[..end];
    WRAPPED.into_iter().filter(|name| words(path, name).next().is_some())
}

/// Where the brace that `text` begins with is closed.
fn closing(text: &str) -> usize {
    let mut depth = 0;
    let closed = text.find(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        depth == 0
    });
    closed.unwrap_or(text.len())
}

/// The name before the one at `at` in its path, through groups: `std` for `std::sync` and for
/// `std::{io, sync}`.
fn parent_of(code: &str, at: usize) -> &str {
    let before = &code[..at];
    let path = if before.ends_with("::") { before } else { before_group(before) };
    let path = path.strip_suffix("::").unwrap_or_default();
    path.rsplit(|c| !is_word(c)).next().unwrap_or_default()
}

/// What stands before the innermost brace that is still open at the end of `text`.
fn before_group(text: &str) -> &str {
    let mut closed = 0;
    let open = text.rfind(|c| {
        closed += i32::from(c == '}') - i32::from(c == '{');
        closed < 0
    });
    &text[..open.unwrap_or(0)]
}

/// `unsafe` outside the rooms that may use it, and more than the one constructor of the drain
/// right in `rotation/`.
pub(crate) fn unsafe_rooms(files: &[Source]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut in_rotation = 0;
    for file in files {
        if ["src/sync/", "src/ring/"].iter().any(|room| file.path.starts_with(room)) {
            continue;
        }
        let code = file.view(&[Kind::Code]);
        for at in words(&code, "unsafe") {
            in_rotation += usize::from(file.path.starts_with("src/rotation/"));
            if !file.path.starts_with("src/rotation/") || in_rotation > 1 {
                problems.push(format!(
                    "{}:{}: unsafe has no place here",
                    file.path,
                    line_of(&code, at)
                ));
            }
        }
    }
    problems
}

/// Files with `unsafe` that the inventory's table does not list, and files in it without any.
pub(crate) fn unlisted_unsafe(inventory: &str, files: &[Source]) -> Vec<String> {
    let has_unsafe = |file: &&Source| words(&file.view(&[Kind::Code]), "unsafe").next().is_some();
    let present: BTreeSet<&str> =
        files.iter().filter(has_unsafe).map(|file| file.path.as_str()).collect();
    let rows = inventory.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let listed: BTreeSet<&str> =
        rows.map(|(path, _)| path).filter(|path| path.starts_with("src/")).collect();
    let missing = present.difference(&listed).map(|path| format!("{path}: unsafe, and not listed"));
    let stale = listed.difference(&present).map(|path| format!("{path}: listed, and not unsafe"));
    missing.chain(stale).collect()
}

/// Unsafe blocks and implementations without a SAFETY comment.
pub(crate) fn unsafe_without_reason(file: &Source) -> Vec<String> {
    let code = file.view(&[Kind::Code]);
    let comments = file.view(&[Kind::Comment]);
    let comments: Vec<&str> = comments.lines().collect();
    let obliged = words(&code, "unsafe").filter(|at| {
        let rest = code[at + "unsafe".len()..].trim_start();
        rest.starts_with('{') || words(rest, "impl").next() == Some(0)
    });
    let lines = obliged.map(|at| line_of(&code, at));
    let silent = lines.filter(|line| {
        let above = line.saturating_sub(1 + SAFETY_LINES_ABOVE);
        !comments[above..*line].iter().any(|comment| comment.contains("SAFETY"))
    });
    silent.map(|line| format!("{}:{line}: unsafe without a SAFETY comment", file.path)).collect()
}

/// `SeqCst` that is neither imported nor an argument of a fence. No proof leans on sequentially
/// consistent accesses: loom takes them for AcqRel.
pub(crate) fn seqcst_outside_fences(file: &Source) -> Vec<String> {
    let code = file.view(&[Kind::Code]);
    let loose =
        words(&code, "SeqCst").filter(|&at| !is_imported(&code, at) && !is_in_fence(&code[..at]));
    loose
        .map(|at| format!("{}:{}: SeqCst outside a fence", file.path, line_of(&code, at)))
        .collect()
}

fn is_imported(code: &str, at: usize) -> bool {
    let statement = code[..at].rsplit(';').next().unwrap_or_default();
    // The last `use` before the name, with nothing but a path and its groups between.
    let path = words(statement, "use").last().map(|at| &statement[at..]);
    path.is_some_and(|path| {
        path.chars().all(|c| is_word(c) || c.is_whitespace() || ":{},*".contains(c))
    })
}

/// Whether one of the parentheses still open at the end of `before` is a fence's.
fn is_in_fence(mut before: &str) -> bool {
    let mut closed = 0;
    while let Some(at) = before.rfind(['(', ')', ';']) {
        match before.as_bytes()[at] {
            b';' => return false,
            b')' => closed += 1,
            _ if closed > 0 => closed -= 1,
            _ if before[..at].ends_with("fence") => return true,
            _ => {}
        }
        before = &before[..at];
    }
    false
}

/// Where `word` stands in `code` as a whole identifier.
fn words<'c>(code: &'c str, word: &str) -> impl Iterator<Item = usize> + use<'c> {
    let length = word.len();
    let found: Vec<usize> = code.match_indices(word).map(|(at, _)| at).collect();
    found
        .into_iter()
        .filter(move |&at| starts_word(code, at) && !code[at + length..].starts_with(is_word))
}

#[cfg(test)]
mod tests {
    use super::{
        Source, raw_primitives, raw_waits, seqcst_outside_fences, unlisted_unsafe, unsafe_rooms,
        unsafe_without_reason,
    };

    fn source(path: &str, text: &str) -> Source {
        Source::new(path, text)
    }

    #[test]
    fn raw_atomics_and_locks_are_rejected() {
        for text in [
            "use std::sync::atomic::AtomicU64;",
            "use core::sync::atomic;",
            "use std::sync::{Arc, Mutex};",
            "use std::{io, sync::{Arc, RwLock}};",
            "static C: std::sync::Condvar = f();",
            "use loom::sync::Mutex;",
            "fence(SeqCst);",
            "atomic::compiler_fence(Acquire);",
        ] {
            assert_eq!(raw_primitives(&source("src/park/mod.rs", text)).len(), 1, "{text}");
            assert_eq!(raw_primitives(&source("src/sync/mod.rs", text)), Vec::<String>::new());
        }
    }

    #[test]
    fn primitives_of_the_facade_are_accepted() {
        let text = "use crate::sync::{Mutex, atomic::AtomicU64};\nuse crate::{sync::atomic, units};\nuse std::sync::Arc;\n\
                    // std::sync::Mutex, fence(SeqCst)\nlet fences = epoch_fence(1);";
        assert_eq!(raw_primitives(&source("src/park/mod.rs", text)), Vec::<String>::new());
    }

    #[test]
    fn raw_threads_and_clocks_are_rejected() {
        for text in [
            "std::thread::spawn(f);",
            "use std::thread::JoinHandle;",
            "let now = Instant::now();",
            "use crossbeam_deque::Steal;",
        ] {
            assert_eq!(raw_waits(&source("src/x.rs", text)).len(), 1, "{text}");
            assert_eq!(raw_waits(&source("src/sync/x.rs", text)), Vec::<String>::new(), "{text}");
        }
        let text = "use crate::sync::{now, thread};\nuse std::time::Instant;\n#[cfg(test)]\nmod t { f(Instant::now()) }";
        assert_eq!(raw_waits(&source("src/x.rs", text)), Vec::<String>::new());
    }

    #[test]
    fn unsafe_outside_its_rooms_is_rejected() {
        let file = |path| [source(path, "#![deny(unsafe_code)]\nfn f() { unsafe { g() } }")];
        assert_eq!(
            unsafe_rooms(&file("src/gate/mod.rs")),
            ["src/gate/mod.rs:2: unsafe has no place here"]
        );
        for path in ["src/sync/owned.rs", "src/ring/lane.rs", "src/rotation/set.rs"] {
            assert_eq!(unsafe_rooms(&file(path)), Vec::<String>::new());
        }
    }

    #[test]
    fn a_second_unsafe_in_the_rotation_is_rejected() {
        let text = "fn f() { unsafe { g() } }";
        let files = [source("src/rotation/mod.rs", text), source("src/rotation/set.rs", text)];
        assert_eq!(unsafe_rooms(&files), ["src/rotation/set.rs:1: unsafe has no place here"]);
    }

    #[test]
    fn an_inventory_that_differs_from_the_tree_is_rejected() {
        let files = [
            source("src/a.rs", "fn f() { unsafe { g() } }"),
            source("src/b.rs", "#![deny(unsafe_code)] // unsafe"),
        ];
        let table = "| file | for |\n|---|---|\n| `src/a.rs` | f |\n| `unsafe` | no file |\n";
        assert_eq!(unlisted_unsafe(table, &files), Vec::<String>::new());
        assert_eq!(unlisted_unsafe("", &files), ["src/a.rs: unsafe, and not listed"]);
        let stale = format!("{table}| `src/b.rs` | nothing |\n| `src/gone.rs` | nothing |\n");
        let problems = ["src/b.rs: listed, and not unsafe", "src/gone.rs: listed, and not unsafe"];
        assert_eq!(unlisted_unsafe(&stale, &files), problems);
    }

    #[test]
    fn an_unsafe_block_without_a_reason_is_rejected() {
        let far = format!("// SAFETY: too far\n{}unsafe {{ g() }}", "\n".repeat(6));
        for text in [
            "unsafe { g() }",
            "unsafe impl Send for X {}",
            "let s = \"SAFETY\";\nunsafe { g() }",
            &far,
        ] {
            assert_eq!(unsafe_without_reason(&source("src/x.rs", text)).len(), 1, "{text}");
        }
    }

    #[test]
    fn an_unsafe_block_with_a_reason_is_accepted() {
        let near = format!("// SAFETY: near\n{}unsafe {{ g() }}", "\n".repeat(5));
        for text in [
            "// SAFETY: x\nunsafe impl Send for X {}",
            &near,
            "unsafe fn f() {}",
            "type F = unsafe fn();",
        ] {
            assert_eq!(
                unsafe_without_reason(&source("src/x.rs", text)),
                Vec::<String>::new(),
                "{text}"
            );
        }
    }

    #[test]
    fn seqcst_accesses_are_rejected() {
        for text in [
            "x.load(SeqCst);",
            "fence(Acquire); x.load(Ordering::SeqCst);",
            "use a::b;\nlet o = SeqCst;",
            "f(fence(A), SeqCst)",
        ] {
            assert_eq!(seqcst_outside_fences(&source("src/x.rs", text)).len(), 1, "{text}");
        }
    }

    #[test]
    fn seqcst_fences_are_accepted() {
        let text = "use a::Ordering::{Acquire, SeqCst};\nfence(SeqCst);\nfence(ord!(\"a.b\", SeqCst => AcqRel));";
        assert_eq!(seqcst_outside_fences(&source("src/x.rs", text)), Vec::<String>::new());
    }
}
