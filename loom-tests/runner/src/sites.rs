//! The sites in the source that can be mutated, and whether the list of mutants covers them.

use crate::config::Mutant;
use crate::source::{Source, rust_files};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Label of every `ord!` and `mutant!` call, and one place where it stands.
pub(crate) type Sites = BTreeMap<String, String>;

pub(crate) fn scan(root: &Path) -> Result<Sites, String> {
    let mut sites = Sites::new();
    for folder in ["src", "loom-tests/models"] {
        let files = rust_files(root, folder).map_err(|e| format!("{folder}: {e}"))?;
        sites.extend(files.iter().flat_map(sites_of));
    }
    Ok(sites)
}

fn sites_of(file: &Source) -> impl Iterator<Item = (String, String)> {
    let labels = ["ord", "mutant"].into_iter().flat_map(|name| file.labels(name));
    labels.map(|label| (label.name, format!("{}:{}", file.path, label.line)))
}

/// Sites without a mutant, mutants without a site, and mutants listed twice.
pub(crate) fn problems(sites: &Sites, mutants: &[Mutant]) -> Vec<String> {
    let listed: BTreeSet<&str> = mutants.iter().map(|m| m.site.as_str()).collect();
    let unlisted = sites.iter().filter(|(site, _)| !listed.contains(site.as_str()));
    let mut problems: Vec<String> = unlisted
        .map(|(site, place)| format!("{place}: {site} has no entry in mutants.toml"))
        .collect();
    let gone = listed.iter().filter(|site| !sites.contains_key(**site));
    problems.extend(gone.map(|site| format!("mutants.toml: {site} names no site")));
    problems.extend(doubled(mutants));
    problems
}

/// A site may be killed by several models, but by each once; and not be equivalent as well.
fn doubled(mutants: &[Mutant]) -> Vec<String> {
    let clash = |a: &Mutant, b: &Mutant| match (&a.kill, &b.kill) {
        (Some(a), Some(b)) => a.model == b.model,
        _ => true,
    };
    let later = mutants.iter().enumerate();
    let twice = later
        .filter(|(i, m)| mutants[..*i].iter().any(|other| other.site == m.site && clash(other, m)));
    twice.map(|(_, m)| format!("mutants.toml: {} is listed twice", m.site)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Mutant, Sites, Source, problems, sites_of};
    use crate::config::Kill;
    use crate::verdict::Failure;

    fn mutant(site: &str, model: Option<&str>) -> Mutant {
        let kill = model.map(|model| Kill { model: model.to_owned(), expect: Failure::Race });
        Mutant { site: site.to_owned(), kill }
    }

    fn sites() -> Sites {
        let text = "ord!(\"a.push\", Release => Relaxed);\nif mutant!(\"a.skip\") {}\n";
        sites_of(&Source::new("src/a.rs", text)).collect()
    }

    #[test]
    fn a_covered_tree_has_no_problems() {
        let mutants =
            [mutant("a.push", Some("m")), mutant("a.push", Some("n")), mutant("a.skip", None)];
        assert_eq!(problems(&sites(), &mutants), Vec::<String>::new());
    }

    #[test]
    fn an_unlisted_site_and_a_lost_one_are_named() {
        let found = problems(&sites(), &[mutant("a.push", Some("m")), mutant("a.gone", None)]);
        let expected = [
            "src/a.rs:2: a.skip has no entry in mutants.toml",
            "mutants.toml: a.gone names no site",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_site_listed_twice_is_named() {
        let all = |second| [mutant("a.skip", None), mutant("a.push", Some("m")), second];
        for second in [mutant("a.push", Some("m")), mutant("a.push", None)] {
            assert_eq!(problems(&sites(), &all(second)), ["mutants.toml: a.push is listed twice"]);
        }
    }
}
