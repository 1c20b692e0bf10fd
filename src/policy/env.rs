//! Environment variables over a draft: `FAIRLANE__SECTION__KEY` and `FAIRLANE__SECTION__NAME__KEY`.

use super::draft::{Draft, Place, Raw, Setting};
use super::file::number_or_text;
use super::problem::{Problem, path};
use super::schema::{Key, Section, Unknown};

const PREFIX: &str = "FAIRLANE__";
const SEPARATOR: &str = "__";

/// Overrides the draft's settings by those of `vars` that start with `FAIRLANE__`.
pub(super) fn apply(draft: &mut Draft, vars: impl IntoIterator<Item = (String, String)>) {
    draft.ensure_tiers();
    let mut ours: Vec<_> = vars.into_iter().filter(|(name, _)| rest_of(name).is_some()).collect();
    // The environment has no order of its own; sorted, the outcome does not depend on it.
    ours.sort();
    for (variable, value) in ours {
        let problem = apply_one(draft, &variable, &value);
        draft.problems.extend(problem);
    }
}

/// The part after the prefix; operating systems differ in whether they keep the case.
fn rest_of(variable: &str) -> Option<&str> {
    let (prefix, rest) = variable.split_at_checked(PREFIX.len())?;
    prefix.eq_ignore_ascii_case(PREFIX).then_some(rest)
}

/// Sets what the variable names, and gives the problem if there is one.
fn apply_one(draft: &mut Draft, variable: &str, value: &str) -> Option<Problem> {
    let place = Place { line: None, variable: Some(variable.to_owned()) };
    let target = match Target::find(draft, rest_of(variable).unwrap_or_default()) {
        Ok(target) => target,
        Err(Unknown { allowed, hint }) => {
            return Some(Problem::new(variable.to_owned(), &place, Some(value), allowed, hint));
        }
    };
    let setting = Setting {
        raw: target.raw(value),
        written: value.to_owned(),
        place: place.clone(),
        flaw: None,
    };
    let replaced = target.put(draft, setting)?;
    if let Some(other) = replaced.place.variable {
        let hint = format!("{other} sets it too");
        return Some(Problem::new(
            target.path(),
            &place,
            Some(value),
            "one variable per key",
            hint,
        ));
    }
    // The text stays wrong as TOML even if nobody reads the value any more.
    let flaw = replaced.flaw?;
    let written = Some(replaced.written.as_str());
    Some(Problem::new(target.path(), &replaced.place, written, "valid TOML", flaw))
}

/// The one setting a variable speaks of.
enum Target {
    /// A key of `engine` or `defaults`.
    Plain(Section, Key),
    /// A key of one tier, tenant or budget.
    Named(Section, String, Key),
    /// The cost of a kind.
    Cost(String),
}

impl Target {
    fn find(draft: &mut Draft, rest: &str) -> Result<Target, Unknown> {
        let (section, rest) = rest.split_once(SEPARATOR).unwrap_or((rest, ""));
        let section = Section::named(&section.to_lowercase())?;
        match section {
            Section::Engine | Section::Defaults => {
                Ok(Target::Plain(section, section.key_named(&rest.to_lowercase())?))
            }
            Section::Tiers | Section::Tenants | Section::Budgets => {
                // A name may contain the separator, a key does not: the key is what comes last.
                let (name, key) = rest.rsplit_once(SEPARATOR).unwrap_or(("", rest));
                let key = section.key_named(&key.to_lowercase())?;
                let tables = draft.tables(section).map(|tables| tables.in_order());
                let known = tables.into_iter().flatten().map(|(name, _)| name);
                Ok(Target::Named(section, resolve(name, known)?, key))
            }
            Section::Costs => {
                Ok(Target::Cost(resolve(rest, draft.costs.keys().map(String::as_str))?))
            }
        }
    }

    /// The name of a tier or of a budget is text even if it looks like a number.
    fn raw(&self, value: &str) -> Raw {
        match self {
            Target::Plain(_, Key::Tier) | Target::Named(_, _, Key::Budgets) => {
                Raw::Text(value.to_owned())
            }
            _ => number_or_text(value),
        }
    }

    /// Puts the setting in and gives back the one it replaces.
    fn put(&self, draft: &mut Draft, setting: Setting) -> Option<Setting> {
        let place = setting.place.clone();
        let (table, key) = match self {
            Target::Plain(Section::Engine, key) => (&mut draft.engine, key),
            Target::Plain(_, key) => (&mut draft.defaults, key),
            Target::Named(section, name, key) => (draft.tables(*section)?.entry(name, &place), key),
            Target::Cost(kind) => return draft.costs.insert(kind.clone(), setting),
        };
        table.settings.insert(*key, setting)
    }

    fn path(&self) -> String {
        match self {
            Target::Plain(section, key) => path(&[section.name(), key.name()]),
            Target::Named(section, name, key) => path(&[section.name(), name, key.name()]),
            Target::Cost(kind) => path(&[Section::Costs.name(), kind]),
        }
    }
}

/// Finds the known name that a variable's part stands for; a new name is taken in lower case.
fn resolve<'a>(part: &str, known: impl Iterator<Item = &'a str>) -> Result<String, Unknown> {
    let wanted = canonical(part);
    let fits: Vec<&str> = known.filter(|name| canonical(name) == wanted).collect();
    match fits[..] {
        [] => Ok(part.to_lowercase()),
        [name] => Ok(name.to_owned()),
        _ => Err(Unknown {
            allowed: "a name that fits one existing name".to_owned(),
            hint: format!("it fits {}; set this one in the file", fits.join(" and ")),
        }),
    }
}

/// Variables hold neither lower case nor `-` nor `.` on every system.
fn canonical(name: &str) -> String {
    name.to_lowercase().replace(['-', '.'], "_")
}

#[cfg(test)]
mod tests {
    use crate::policy::{KindCost, Policy, PolicyError};
    use crate::units::Cost;

    fn read(text: &str, vars: &[(&str, &str)]) -> Result<Policy, PolicyError> {
        let owned = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Policy::from_toml_with_env(text, owned.collect::<Vec<_>>())
    }

    /// The only problem of a text and its variables.
    fn problem(text: &str, vars: &[(&str, &str)]) -> String {
        let error = read(text, vars).unwrap_err();
        assert_eq!(error.problems().len(), 1, "{error}");
        error.to_string()
    }

    #[test]
    fn every_key_can_be_overridden() {
        let text = "[tenants.acme]\nweight = 1\n[costs]\nverify = 3\n";
        let vars = [
            ("FAIRLANE__ENGINE__QUEUE_MAX", "5000"),
            ("FAIRLANE__ENGINE__TENANTS_MAX", "1_000"),
            ("FAIRLANE__ENGINE__BASE_QUANTUM", "10"),
            ("FAIRLANE__DEFAULTS__QUEUE_MAX", "50"),
            ("FAIRLANE__DEFAULTS__TIER", "scale"),
            ("FAIRLANE__TIERS__STARTER__WEIGHT", "2"),
            ("FAIRLANE__TIERS__STARTER__QUEUE_MAX", "60"),
            ("FAIRLANE__TIERS__STARTER__QUANTUM", "20"),
            ("FAIRLANE__TENANTS__ACME__WEIGHT", "2.5"),
            ("FAIRLANE__TENANTS__ACME__QUEUE_MAX", "70"),
            ("FAIRLANE__COSTS__VERIFY", "4"),
            ("FAIRLANE__COSTS__BATCH", "size"),
        ];
        let policy = read(text, &vars).unwrap();
        assert_eq!((policy.queue_max(), policy.tenants_max()), (5_000, 1_000));
        assert_eq!((policy.base_quantum(), policy.default_queue_max()), (10, 50));
        assert_eq!((policy.tiers().len(), policy.default_tier().name()), (3, "scale"));
        let starter = policy.tier("starter").unwrap();
        assert_eq!((starter.quantum(), starter.queue_max()), (20.0, 60));
        let acme = policy.override_for("acme").unwrap();
        assert_eq!((acme.weight.unwrap().as_f64(), acme.queue_max), (2.5, Some(70)));
        assert_eq!(policy.cost_for("verify"), Some(KindCost::Fixed(Cost::new(4).unwrap())));
        assert_eq!(policy.cost_for("batch"), Some(KindCost::Size));
    }

    #[test]
    fn names_are_matched_without_case_dash_and_dot() {
        let text = "[tenants.\"Acme-Shop.com\"]\nweight = 1\n[costs]\nbig-batch = 1\n";
        let vars = [
            ("FAIRLANE__TENANTS__ACME_SHOP_COM__WEIGHT", "3"),
            ("fairlane__costs__Big_Batch", "9"),
        ];
        let policy = read(text, &vars).unwrap();
        assert_eq!((policy.overrides().count(), policy.costs().count()), (1, 1));
        let own = policy.override_for("Acme-Shop.com").unwrap();
        assert_eq!(own.weight.unwrap().as_f64(), 3.0);
        assert_eq!(policy.cost_for("big-batch"), Some(KindCost::Fixed(Cost::new(9).unwrap())));
    }

    #[test]
    fn new_names_are_added_in_lower_case() {
        let vars = [
            ("FAIRLANE__TIERS__GOLD__WEIGHT", "3"),
            ("FAIRLANE__DEFAULTS__TIER", "gold"),
            ("FAIRLANE__TENANTS__A__B__QUEUE_MAX", "3"),
        ];
        let policy = read("", &vars).unwrap();
        let names: Vec<_> = policy.tiers().iter().map(|tier| tier.name()).collect();
        assert_eq!(names, ["starter", "growth", "scale", "gold"]);
        assert_eq!(policy.default_tier().name(), "gold");
        assert_eq!(policy.override_for("a__b").unwrap().queue_max, Some(3));
        let missing = problem("", &[("FAIRLANE__TIERS__GOLD__QUEUE_MAX", "3")]);
        assert!(
            missing.starts_with("FAIRLANE__TIERS__GOLD__QUEUE_MAX: tiers.gold.weight is missing")
        );
    }

    #[test]
    fn a_tier_whose_name_is_a_number_can_be_the_default() {
        let vars = [("FAIRLANE__TIERS__7__WEIGHT", "3"), ("FAIRLANE__DEFAULTS__TIER", "7")];
        assert_eq!(read("", &vars).unwrap().default_tier().name(), "7");
    }

    #[test]
    fn values_are_checked_as_in_the_file_and_problems_name_the_variable() {
        let expected = "FAIRLANE__TIERS__SCALE__WEIGHT: tiers.scale.weight = 0: allowed \
                        0.01..=1000 in steps of 0.001 (hint: a share is never 0; the smallest is 0.01)";
        assert_eq!(problem("", &[("FAIRLANE__TIERS__SCALE__WEIGHT", "0")]), expected);
        for value in
            ["12abc", "", " 5", "5\n", "0", "-1", "1.0", "nan", "\"5\"", "[5]", "100000001"]
        {
            let found = problem("", &[("FAIRLANE__ENGINE__QUEUE_MAX", value)]);
            let start = "FAIRLANE__ENGINE__QUEUE_MAX: engine.queue_max = ";
            assert!(found.starts_with(start) && found.lines().count() == 1, "{found}");
            assert!(found.contains("allowed 1..=100000000"), "{found}");
        }
    }

    #[test]
    fn a_variable_that_names_no_key_is_refused_under_its_own_name() {
        let cases = [
            ("FAIRLANE__ENGIN__QUEUE_MAX", "did you mean `engine`?"),
            ("FAIRLANE__ENGINE__QUEUE_MX", "did you mean `queue_max`?"),
            ("FAIRLANE__ENGINE", "allowed keys queue_max, tenants_max, base_quantum"),
            ("FAIRLANE__", "allowed sections engine"),
            ("FAIRLANE__TIERS__STARTER", "allowed keys weight, queue_max, quantum"),
            ("FAIRLANE__TIERS__STARTER__COLOUR", "unknown key"),
        ];
        for (name, hint) in cases {
            let found = problem("", &[(name, "5")]);
            assert!(found.starts_with(&format!("{name} = 5: ")) && found.contains(hint), "{found}");
        }
    }

    #[test]
    fn an_empty_name_is_refused() {
        let names =
            ["FAIRLANE__TENANTS____WEIGHT", "FAIRLANE__TENANTS__WEIGHT", "FAIRLANE__COSTS__"];
        for name in names {
            assert!(problem("", &[(name, "5")]).contains("allowed names of 1..="), "{name}");
        }
    }

    #[test]
    fn a_name_that_fits_several_is_refused() {
        let text = "[tenants]\n'a-b' = {}\n'a.b' = {}\n";
        let found = problem(text, &[("FAIRLANE__TENANTS__A_B__WEIGHT", "5")]);
        assert!(found.contains("it fits a-b and a.b"), "{found}");
    }

    #[test]
    fn two_variables_for_one_key_are_refused_whatever_their_order() {
        let a = ("FAIRLANE__COSTS__X", "1");
        let b = ("FAIRLANE__COSTS__x", "2");
        let found = problem("", &[a, b]);
        assert!(found.contains("FAIRLANE__COSTS__X sets it too"), "{found}");
        assert_eq!(found, problem("", &[b, a]));
    }

    #[test]
    fn other_variables_are_ignored() {
        let vars =
            [("PATH", "/bin"), ("FAIRLANE_LOG", "x"), ("FAIRLANE", "y"), ("日本語日本語", "z")];
        assert_eq!(read("", &vars).unwrap(), Policy::default());
    }

    #[test]
    fn a_variable_replaces_a_bad_value_but_not_bad_syntax() {
        let vars = [("FAIRLANE__ENGINE__QUEUE_MAX", "5")];
        assert_eq!(read("[engine]\nqueue_max = 0", &vars).unwrap().queue_max(), 5);
        let found = problem("[engine]\nqueue_max = 12abc", &vars);
        assert!(
            found.starts_with("line 2: engine.queue_max = 12abc: allowed valid TOML"),
            "{found}"
        );
    }
}
