//! What may be set: the keys, their ranges and defaults, and how a raw value is read.
//!
//! A reader returns the value, or the hint that tells the operator what to change.

use super::draft::Raw;
use super::suggest::did_you_mean;
use crate::units::{Cost, Weight};

/// The keys of a policy; which of them belong where is in [`Section::keys`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Key {
    QueueMax,
    TenantsMax,
    BaseQuantum,
    Tier,
    Weight,
    Quantum,
    Concurrency,
    ConcurrencyMin,
    ConcurrencyPromoted,
    TierConcurrency,
    MaxWait,
    PriorityBands,
    Jitter,
    Rate,
    Overload,
    Budgets,
    HighQuotaEligible,
    Hard,
    Soft,
    Reset,
}

impl Key {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Key::QueueMax => "queue_max",
            Key::TenantsMax => "tenants_max",
            Key::BaseQuantum => "base_quantum",
            Key::Tier => "tier",
            Key::Weight => "weight",
            Key::Quantum => "quantum",
            Key::Concurrency => "concurrency",
            Key::ConcurrencyMin => "concurrency_min",
            Key::ConcurrencyPromoted => "concurrency_promoted",
            Key::TierConcurrency => "tier_concurrency",
            Key::MaxWait => "max_wait",
            Key::PriorityBands => "priority_bands",
            Key::Jitter => "jitter",
            Key::Rate => "rate",
            Key::Overload => "overload",
            Key::Budgets => "budgets",
            Key::HighQuotaEligible => "high_quota_eligible",
            Key::Hard => "hard",
            Key::Soft => "soft",
            Key::Reset => "reset",
        }
    }
}

/// The top-level tables of a policy.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Section {
    Engine,
    Defaults,
    Tiers,
    Tenants,
    Costs,
    Budgets,
}

impl Section {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Section::Engine => "engine",
            Section::Defaults => "defaults",
            Section::Tiers => "tiers",
            Section::Tenants => "tenants",
            Section::Costs => "costs",
            Section::Budgets => "budgets",
        }
    }
}

#[cfg(feature = "toml")]
impl Section {
    pub(super) const ALL: [Section; 6] = [
        Section::Engine,
        Section::Defaults,
        Section::Tiers,
        Section::Tenants,
        Section::Costs,
        Section::Budgets,
    ];

    /// The keys of the section, or of each named table in it; costs have kinds in place of keys.
    pub(super) const fn keys(self) -> &'static [Key] {
        match self {
            Section::Engine => &[
                Key::QueueMax,
                Key::TenantsMax,
                Key::BaseQuantum,
                Key::Concurrency,
                Key::MaxWait,
                Key::PriorityBands,
                Key::Jitter,
            ],
            Section::Defaults => &[Key::QueueMax, Key::Tier],
            Section::Tiers => &[
                Key::Weight,
                Key::QueueMax,
                Key::Quantum,
                Key::Rate,
                Key::Concurrency,
                Key::ConcurrencyMin,
                Key::ConcurrencyPromoted,
                Key::TierConcurrency,
                Key::MaxWait,
                Key::Overload,
                Key::Budgets,
            ],
            Section::Tenants => &[
                Key::Weight,
                Key::QueueMax,
                Key::Rate,
                Key::Concurrency,
                Key::ConcurrencyMin,
                Key::ConcurrencyPromoted,
                Key::MaxWait,
                Key::Overload,
                Key::Budgets,
                Key::HighQuotaEligible,
            ],
            Section::Costs => &[],
            Section::Budgets => &[Key::Hard, Key::Soft, Key::Reset],
        }
    }

    /// Finds a section by its exact name, or words what is wrong with the name.
    pub(super) fn named(name: &str) -> Result<Section, Unknown> {
        let found = Section::ALL.into_iter().find(|section| section.name() == name);
        found.ok_or_else(|| Unknown::new("section", name, &Section::ALL.map(Section::name)))
    }

    /// Finds one of the section's keys by its exact name, or words what is wrong with the name.
    pub(super) fn key_named(self, name: &str) -> Result<Key, Unknown> {
        let found = self.keys().iter().copied().find(|key| key.name() == name);
        let names = || self.keys().iter().map(|key| key.name()).collect::<Vec<_>>();
        found.ok_or_else(|| Unknown::new("key", name, &names()))
    }
}

/// Why a section or key is refused: the known ones and the likeliest of them.
#[cfg(feature = "toml")]
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Unknown {
    pub(super) allowed: String,
    pub(super) hint: String,
}

#[cfg(feature = "toml")]
impl Unknown {
    fn new(what: &str, name: &str, known: &[&str]) -> Unknown {
        let advice = did_you_mean(name, known.iter().copied(), "remove it");
        Unknown {
            allowed: format!("{what}s {}", known.join(", ")),
            hint: format!("unknown {what}, {advice}"),
        }
    }
}

/// An integer setting: inclusive bounds, default, and what it counts.
pub(super) struct Range {
    min: u32,
    max: u32,
    pub(super) default: u32,
    about: &'static str,
}

pub(super) const ENGINE_QUEUE_MAX: Range = Range {
    min: 1,
    max: 100_000_000,
    default: 1_000_000,
    about: "jobs queued in the whole engine, default 1000000",
};
pub(super) const TENANTS_MAX: Range = Range {
    min: 1,
    max: 4_000_000,
    default: 100_000,
    about: "tenants known at once, default 100000",
};
pub(super) const BASE_QUANTUM: Range = Range {
    min: 1,
    max: 1_000_000,
    default: 20,
    about: "cost units per unit of weight and round, default 20",
};
pub(super) const TENANT_QUEUE_MAX: Range = Range {
    min: 1,
    max: 1_048_576,
    default: 10_000,
    about: "jobs queued by one tenant, default 10000",
};

pub(super) const TIERS_MAX: usize = 64;
pub(super) const OVERRIDES_MAX: usize = 10_000;
pub(super) const KINDS_MAX: usize = 256;

/// Used when a policy names no tier.
pub(super) const DEFAULT_TIERS: [(&str, f64); 3] =
    [("starter", 1.0), ("growth", 1.2), ("scale", 2.0)];
pub(super) const DEFAULT_TIER: &str = "starter";

/// The word that makes a job's cost its own size.
pub(super) const SIZE: &str = "size";
pub(super) const COST_ALLOWED: &str = "1..=1000000 or \"size\"";
pub(super) const WEIGHT_ALLOWED: &str = "0.01..=1000 in steps of 0.001";

impl Range {
    pub(super) const fn new(min: u32, max: u32, default: u32, about: &'static str) -> Range {
        Range { min, max, default, about }
    }

    pub(super) fn allowed(&self) -> String {
        format!("{}..={}", self.min, self.max)
    }

    pub(super) fn read(&self, raw: &Raw) -> Result<u32, String> {
        let Raw::Integer(number) = raw else { return Err(not_a_whole_number(raw)) };
        u32::try_from(*number)
            .ok()
            .filter(|number| (self.min..=self.max).contains(number))
            .ok_or_else(|| self.about.to_owned())
    }
}

/// What a name may look like.
pub(super) struct NameRule {
    bytes_max: usize,
    letters: Letters,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Letters {
    Any,
    /// `a-z`, `0-9`, `_` and `-`, so that the name is safe in metrics and variables.
    Plain,
    /// The same and `.`; the name can stand in a list.
    Dotted,
}

pub(super) const TIER_NAME: NameRule = NameRule { bytes_max: 64, letters: Letters::Plain };
pub(super) const TENANT_NAME: NameRule = NameRule { bytes_max: 256, letters: Letters::Any };
pub(super) const KIND_NAME: NameRule = NameRule { bytes_max: 64, letters: Letters::Any };
/// Budgets and their dimensions.
pub(super) const DOTTED_NAME: NameRule = NameRule { bytes_max: 64, letters: Letters::Dotted };

impl NameRule {
    pub(super) fn accepts(&self, name: &str) -> bool {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        let fits = |b: u8| match self.letters {
            Letters::Any => true,
            Letters::Plain => plain(b),
            Letters::Dotted => plain(b) || b == b'.',
        };
        (1..=self.bytes_max).contains(&name.len()) && name.bytes().all(fits)
    }

    pub(super) fn allowed(&self) -> String {
        let letters = match self.letters {
            Letters::Any => "",
            Letters::Plain => " of a-z, 0-9, _ and -",
            Letters::Dotted => " of a-z, 0-9, _, . and -",
        };
        format!("names of 1..={} bytes{letters}", self.bytes_max)
    }

    pub(super) fn hint(&self, name: &str) -> String {
        format!("this name has {} bytes; rename it", name.len())
    }
}

pub(super) fn read_weight(raw: &Raw) -> Result<Weight, String> {
    let number = read_number(raw)?;
    Weight::new(number).map_err(|_| weight_hint(number).to_owned())
}

fn weight_hint(number: f64) -> &'static str {
    if number.is_nan() {
        "this is not a number; an ordinary tenant has 1.0"
    } else if number == 0.0 {
        "a share is never 0; the smallest is 0.01"
    } else if (Weight::MIN.as_f64()..=Weight::MAX.as_f64()).contains(&number) {
        "round it to three decimals"
    } else {
        "a relative share; an ordinary tenant has 1.0"
    }
}

/// Accepts a quantum only if it says what the weight says already; `expected` is in thousandths
/// of a cost unit, `None` when the weight or the base is itself wrong.
pub(super) fn read_quantum(raw: &Raw, expected: Option<u64>) -> Result<(), String> {
    let number = read_number(raw)?;
    let agrees = |thousandths: u64| {
        let expected = thousandths as f64;
        (number * 1_000.0 - expected).abs() <= expected * 1e-9
    };
    if expected.is_none_or(agrees) {
        Ok(())
    } else {
        Err("two sources of truth: delete the quantum, or change the weight".to_owned())
    }
}

pub(super) fn quantum_allowed(expected: Option<u64>) -> String {
    match expected {
        Some(thousandths) => format!("{} (weight x base_quantum)", thousandths as f64 / 1_000.0),
        None => "weight x base_quantum".to_owned(),
    }
}

/// Reads a cost as the units of a fixed cost, or `None` for the job's own size.
pub(super) fn read_cost(raw: &Raw) -> Result<Option<Cost>, String> {
    match raw {
        Raw::Integer(units) => u32::try_from(*units)
            .ok()
            .and_then(|units| Cost::new(units).ok())
            .map(Some)
            .ok_or_else(|| "cost units of every job of this kind".to_owned()),
        Raw::Text(text) if text == SIZE => Ok(None),
        _ => Err(not_a_whole_number(raw)),
    }
}

/// Reads the name of a tier that exists.
pub(super) fn read_tier<'a>(raw: &Raw, names: &[&'a str]) -> Result<&'a str, String> {
    let Raw::Text(text) = raw else { return Err("write the name of a tier in quotes".to_owned()) };
    let found = names.iter().find(|name| **name == text.as_str());
    found
        .copied()
        .ok_or_else(|| did_you_mean(text, names.iter().copied(), "name a tier that the policy has"))
}

fn read_number(raw: &Raw) -> Result<f64, String> {
    match raw {
        Raw::Integer(number) => Ok(*number as f64),
        Raw::Float(number) => Ok(*number),
        _ => Err(format!("expected a number, found {}", raw.kind())),
    }
}

fn not_a_whole_number(raw: &Raw) -> String {
    format!("expected a whole number, found {}", raw.kind())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Raw {
        Raw::Text(text.to_owned())
    }

    #[test]
    fn every_range_takes_both_ends_and_nothing_beyond() {
        for range in [ENGINE_QUEUE_MAX, TENANTS_MAX, BASE_QUANTUM, TENANT_QUEUE_MAX] {
            assert_eq!(range.read(&Raw::Integer(range.min.into())), Ok(range.min));
            assert_eq!(range.read(&Raw::Integer(range.max.into())), Ok(range.max));
            assert_eq!(range.read(&Raw::Integer(range.default.into())), Ok(range.default));
            for bad in [0, -1, i128::from(range.max) + 1, i128::MAX, i128::MIN] {
                assert_eq!(range.read(&Raw::Integer(bad)), Err(range.about.to_owned()));
            }
            for bad in [Raw::Float(5.0), Raw::Float(f64::NAN), text("5"), text("12abc")] {
                assert!(range.read(&bad).unwrap_err().starts_with("expected a whole number"));
            }
        }
    }

    #[test]
    fn a_weight_is_read_from_integers_and_floats_only() {
        assert_eq!(read_weight(&Raw::Integer(1)), Ok(Weight::ONE));
        assert_eq!(read_weight(&Raw::Float(0.01)), Ok(Weight::MIN));
        let bad = [
            (Raw::Integer(0), "never 0"),
            (Raw::Float(-1.0), "relative share"),
            (Raw::Float(1_000.001), "relative share"),
            (Raw::Float(f64::INFINITY), "relative share"),
            (Raw::Float(f64::NAN), "not a number"),
            (Raw::Float(1.000_5), "three decimals"),
            (text("1.0"), "found a string"),
        ];
        for (raw, hint) in bad {
            let error = read_weight(&raw).unwrap_err();
            assert!(error.contains(hint), "{raw:?}: {error}");
        }
    }

    #[test]
    fn a_quantum_must_repeat_the_weight() {
        assert_eq!(read_quantum(&Raw::Integer(24), Some(24_000)), Ok(()));
        assert_eq!(read_quantum(&Raw::Float(0.2), Some(200)), Ok(()));
        for bad in [Raw::Integer(25), Raw::Float(24.001), Raw::Float(f64::NAN), Raw::Integer(0)] {
            assert!(read_quantum(&bad, Some(24_000)).unwrap_err().contains("two sources"));
        }
        assert!(read_quantum(&text("24"), None).is_err());
    }

    #[test]
    fn a_cost_is_a_whole_number_or_the_size() {
        assert_eq!(read_cost(&Raw::Integer(1)), Ok(Some(Cost::MIN)));
        assert_eq!(read_cost(&Raw::Integer(1_000_000)), Ok(Some(Cost::MAX)));
        assert_eq!(read_cost(&text("size")), Ok(None));
        for bad in [Raw::Integer(0), Raw::Integer(-4), Raw::Integer(1_000_001), Raw::Float(1.0)] {
            assert!(read_cost(&bad).is_err(), "{bad:?}");
        }
        assert!(read_cost(&text("Size")).is_err());
        assert!(read_cost(&text("1")).is_err());
    }

    #[test]
    fn names_are_bounded_in_bytes_and_letters() {
        assert!(TIER_NAME.accepts("tier_1-a"));
        assert!(TIER_NAME.accepts(&"x".repeat(64)));
        for bad in ["", "Tier", "a b", "ü", &"x".repeat(65)] {
            assert!(!TIER_NAME.accepts(bad), "{bad}");
        }
        assert!(TENANT_NAME.accepts("Zoë's shop"));
        assert!(!TENANT_NAME.accepts(&"ü".repeat(129)));
        assert!(!KIND_NAME.accepts(""));
        assert!(DOTTED_NAME.accepts("tokens.in-1_a"));
        assert!(!TIER_NAME.accepts("a.b") && !DOTTED_NAME.accepts("a,b"));
    }
}
