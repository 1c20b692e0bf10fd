//! The rooms of the engine: who may import whom, and whether the map is complete.

use crate::limits::without_tests;
use crate::source::{Kind, Source, is_word, line_of, starts_word};
use std::collections::{BTreeMap, BTreeSet};

/// The layer of every room, as ARCHITECTURE.md's table says it.
#[derive(Debug)]
pub(crate) struct Layers(BTreeMap<String, u32>);

impl Layers {
    /// Reads the rows that begin with a layer number and name rooms in backticks:
    /// `| 1 | ⟨ring/⟩ | ...`, with backticks for the angles.
    pub(crate) fn parse(architecture: &str) -> Result<Layers, String> {
        let mut rooms = BTreeMap::new();
        for row in architecture.lines() {
            let mut cells = row.strip_prefix('|').unwrap_or_default().split('|');
            let Some(layer) = cells.next().and_then(|cell| cell.trim().parse().ok()) else {
                continue;
            };
            for room in backticked(cells.next().unwrap_or_default()) {
                let name = room.trim_end_matches('/').trim_end_matches(".rs");
                if rooms.insert(name.to_owned(), layer).is_some() {
                    return Err(format!("the room {name} is in the layer table twice"));
                }
            }
        }
        if rooms.is_empty() {
            return Err("there is no layer table".to_owned());
        }
        Ok(Layers(rooms))
    }

    /// Imports of rooms that are not below the file's own. The crate's root may import all.
    pub(crate) fn imports(&self, file: &Source) -> Vec<String> {
        let Some(room) = room_of(&file.path) else {
            return Vec::new();
        };
        let Some(layer) = self.0.get(room) else {
            return vec![format!("{}: the room {room} is not in the layer table", file.path)];
        };
        let code = without_tests(file, &[Kind::Code]);
        let mut imported = crate_paths(&code);
        imported.extend(
            super_paths(&code, &file.path)
                .into_iter()
                .filter(|(_, name)| self.0.contains_key(name)),
        );
        let foreign = imported.into_iter().filter(|(_, name)| name != room);
        let wrong = foreign.filter_map(|(line, name)| match self.0.get(&name) {
            None => Some(format!("{}:{line}: crate::{name} is not a room", file.path)),
            Some(other) if other < layer => None,
            Some(other) => Some(format!(
                "{}:{line}: {room} (layer {layer}) imports {name} (layer {other})",
                file.path
            )),
        });
        wrong.collect()
    }
}

/// Source files that the map does not name, and names in the map that are no files.
pub(crate) fn unmapped(architecture: &str, files: &[Source]) -> Vec<String> {
    let named = backticked(architecture);
    let mapped: BTreeSet<&str> =
        named.into_iter().filter(|n| n.contains('/') && n.ends_with(".rs")).collect();
    let present: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let missing =
        present.iter().filter(|path| path.starts_with("src/") && !mapped.contains(**path));
    let mut problems: Vec<String> =
        missing.map(|path| format!("ARCHITECTURE.md does not map {path}")).collect();
    let gone = mapped.difference(&present);
    problems.extend(gone.map(|path| format!("ARCHITECTURE.md maps {path}, which does not exist")));
    problems
}

/// What stands between backticks. A line at a time, so that a stray backtick spoils one line.
fn backticked(text: &str) -> Vec<&str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// The room a file of `src/` belongs to: its folder, or its own name; none for the crate's root.
fn room_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    let room = inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs");
    (room != "lib").then_some(room)
}

/// Line and first name of every path that begins with `crate::`, groups taken apart.
fn crate_paths(code: &str) -> Vec<(usize, String)> {
    let paths = code.match_indices("crate::").filter(|(at, _)| starts_word(code, *at));
    let names = paths.flat_map(|(at, root)| {
        let line = line_of(code, at);
        first_names(&code[at + root.len()..]).into_iter().map(move |name| (line, name))
    });
    names.collect()
}

/// `ring::Lane` as `ring`; `{ring::{A, B}, fair::*}` as `ring` and `fair`.
fn first_names(path: &str) -> Vec<String> {
    let path = path.trim_start();
    let Some(group) = path.strip_prefix('{') else {
        return vec![first_name(path)];
    };
    let mut names = vec![first_name(group)];
    let mut depth = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(first_name(&group[at + 1..])),
            _ => {}
        }
    }
    // A trailing comma leaves an empty name before the closing brace.
    names.retain(|name| name != "}");
    names
}

/// The identifier that `path` begins with, or else its first character, such as the star of a glob.
fn first_name(path: &str) -> String {
    let path = path.trim_start();
    let end = path.find(|c| !is_word(c)).unwrap_or(path.len());
    path.chars().take(path[..end].chars().count().max(1)).collect()
}

/// Line and next name of every chain of `super::` that leads to the root of the crate.
fn super_paths(code: &str, path: &str) -> Vec<(usize, String)> {
    let depth = module_depth(path);
    let chains = code
        .match_indices("super::")
        .filter(|(at, _)| starts_word(code, *at) && !code[..*at].ends_with("super::"));
    let names = chains.filter_map(|(at, _)| {
        let rest = code[at..].trim_start_matches("super::");
        let steps = (code.len() - at - rest.len()) / "super::".len();
        (steps >= depth)
            .then(|| first_names(rest).into_iter().map(move |name| (line_of(code, at), name)))
    });
    names.flatten().collect()
}

/// How many modules a file of `src/` is below the root.
fn module_depth(path: &str) -> usize {
    let inside = path.strip_prefix("src/").unwrap_or(path);
    let names = inside.split('/').count();
    if inside.ends_with("/mod.rs") { names - 1 } else { names }
}

#[cfg(test)]
mod tests {
    use super::{Layers, Source, unmapped};

    const TABLE: &str = "| L | room | knows |\n|--:|---|---|\n| 0 | `sync/` | `x` |\n| 1 | `error.rs`, `clock.rs` | |\n\
                         | 1 | `ring/` | |\n| 2 | `gate/` | |\n";

    fn imports(path: &str, text: &str) -> Vec<String> {
        Layers::parse(TABLE).unwrap().imports(&Source::new(path, text))
    }

    #[test]
    fn downward_imports_and_ones_own_room_are_accepted() {
        let text = "use crate::{sync::{Arc, spin}, error::Refused,};\nuse crate::gate::Door;\nuse super::park;\n\
                    // use crate::engine::Engine;\npub(crate) fn f() { crate::clock::now(); }";
        assert_eq!(imports("src/gate/door.rs", text), Vec::<String>::new());
        assert_eq!(imports("src/lib.rs", "use crate::gate::Door;"), Vec::<String>::new());
    }

    #[test]
    fn an_upward_import_is_rejected() {
        let expected = ["src/ring/mod.rs:2: ring (layer 1) imports gate (layer 2)"];
        assert_eq!(imports("src/ring/mod.rs", "\nuse crate::gate::Door;"), expected);
        assert_eq!(imports("src/ring/mod.rs", "\nuse crate::{sync, gate::Door};"), expected);
        assert_eq!(imports("src/ring/mod.rs", "fn f() {\n crate::gate::open(); }"), expected);
    }

    #[test]
    fn a_sideways_import_is_rejected() {
        assert_eq!(imports("src/ring/mod.rs", "use crate::error::Full;").len(), 1);
        assert_eq!(imports("src/clock.rs", "use crate::error::Full;").len(), 1);
    }

    #[test]
    fn a_detour_over_super_is_rejected() {
        assert_eq!(imports("src/ring/mod.rs", "use super::gate::Door;").len(), 1);
        assert_eq!(imports("src/ring/pool.rs", "use super::super::gate::Door;").len(), 1);
        assert_eq!(imports("src/ring/pool.rs", "use super::gate::Door;"), Vec::<String>::new());
    }

    #[test]
    fn a_detour_over_the_root_is_rejected() {
        assert_eq!(imports("src/ring/mod.rs", "use crate::Engine;").len(), 1);
        assert_eq!(imports("src/ring/mod.rs", "use crate::*;").len(), 1);
    }

    #[test]
    fn a_room_outside_the_table_is_rejected() {
        assert_eq!(imports("src/attic/mod.rs", "").len(), 1);
    }

    #[test]
    fn tests_may_import_what_they_like() {
        let text = "#[cfg(test)]\nmod tests {\n    use crate::gate::Door;\n}\n";
        assert_eq!(imports("src/ring/mod.rs", text), Vec::<String>::new());
    }

    #[test]
    fn a_broken_table_is_rejected() {
        assert!(Layers::parse("| L | room |\n").is_err());
        assert!(Layers::parse("| 0 | `a/` |\n| 1 | `a/` |\n").is_err());
    }

    #[test]
    fn a_file_missing_from_the_map_is_rejected() {
        let files = [
            Source::new("src/ring/mod.rs", ""),
            Source::new("src/lib.rs", ""),
            Source::new("tests/t.rs", ""),
        ];
        let whole = "- `src/ring/mod.rs`: the ring\n- `src/lib.rs`, `error.rs`, `tests/t.rs`";
        assert_eq!(unmapped(whole, &files), Vec::<String>::new());
        assert_eq!(
            unmapped("`src/lib.rs`", &files),
            ["ARCHITECTURE.md does not map src/ring/mod.rs"]
        );
    }

    #[test]
    fn a_mapped_file_that_does_not_exist_is_rejected() {
        let files = [Source::new("src/lib.rs", "")];
        let expected = ["ARCHITECTURE.md maps src/gone.rs, which does not exist"];
        assert_eq!(unmapped("`src/lib.rs` `src/gone.rs`", &files), expected);
    }
}
