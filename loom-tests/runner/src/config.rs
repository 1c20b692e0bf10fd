//! `mutants.toml` and `floors.toml`.

use crate::verdict::Failure;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Iterations that each model explored when the floors were recorded.
pub(crate) type Floors = BTreeMap<String, u64>;

/// What is promised about one site.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Entry")]
pub(crate) struct Mutant {
    pub(crate) site: String,
    /// `None` for a site whose weaker form is as good as the real one, or that another test watches.
    pub(crate) kill: Option<Kill>,
}

/// Which model notices a mutant, and how.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Kill {
    pub(crate) model: String,
    pub(crate) expect: Failure,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    site: String,
    model: Option<String>,
    expect: Option<Failure>,
    equivalent: Option<String>,
    /// The test outside the models that notices.
    elsewhere: Option<String>,
}

impl TryFrom<Entry> for Mutant {
    type Error = String;

    fn try_from(entry: Entry) -> Result<Mutant, String> {
        let kill = match (entry.model, entry.expect, entry.equivalent, entry.elsewhere) {
            (Some(model), Some(expect), None, None) => Some(Kill { model, expect }),
            (None, None, Some(text), None) | (None, None, None, Some(text))
                if !text.trim().is_empty() =>
            {
                None
            }
            _ => {
                return Err(format!(
                    "{}: needs model and expect, or why it is equivalent, or who notices elsewhere",
                    entry.site
                ));
            }
        };
        Ok(Mutant { site: entry.site, kill })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MutantFile {
    #[serde(default)]
    mutant: Vec<Mutant>,
}

pub(crate) fn mutants(loom_tests: &Path) -> Result<Vec<Mutant>, String> {
    read::<MutantFile>(&loom_tests.join("mutants.toml")).map(|file| file.mutant)
}

pub(crate) fn floors(loom_tests: &Path) -> Result<Floors, String> {
    read(&loom_tests.join("floors.toml"))
}

pub(crate) fn write_floors(loom_tests: &Path, floors: &Floors) -> Result<(), String> {
    let mut text = "# Iterations of every model, written by `loom-runner record`; a check needs 0.9 of them.\n".to_owned();
    for (model, iterations) in floors {
        text.push_str(&format!("{model} = {iterations}\n"));
    }
    let path = loom_tests.join("floors.toml");
    fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    toml::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{Failure, Kill, Mutant};

    #[test]
    fn a_mutant_is_killed_or_equivalent() {
        let killed: Mutant = toml::from_str("site = 'a.b'\nmodel = 'm'\nexpect = 'race'").unwrap();
        assert_eq!(killed.kill, Some(Kill { model: "m".to_owned(), expect: Failure::Race }));
        let equivalent: Mutant =
            toml::from_str("site = 'a.b'\nequivalent = 'a hint only'").unwrap();
        assert_eq!(equivalent.kill, None);
        let elsewhere: Mutant = toml::from_str("site = 'a.b'\nelsewhere = 'tests/a.rs'").unwrap();
        assert_eq!(elsewhere.kill, None);
    }

    #[test]
    fn a_half_written_mutant_is_refused() {
        for text in [
            "site = 'a.b'",
            "site = 'a.b'\nmodel = 'm'",
            "site = 'a.b'\nequivalent = ' '",
            "site = 'a.b'\nelsewhere = ''",
            "site = 'a.b'\nequivalent = 'so'\nelsewhere = 'there'",
            "site = 'a.b'\nmodel = 'm'\nexpect = 'race'\nequivalent = 'no'",
            "site = 'a.b'\nmodel = 'm'\nexpect = 'boredom'",
            "site = 'a.b'\nmodel = 'm'\nexpect = 'race'\nbound = 2",
        ] {
            assert!(toml::from_str::<Mutant>(text).is_err(), "{text}");
        }
    }
}
