//! A policy before it is checked: raw settings, each with the place it came from.

use std::collections::BTreeMap;

use super::problem::Problem;
#[cfg(feature = "toml")]
use super::schema::Section;
use super::schema::{DEFAULT_TIERS, Key};

/// Where a setting was written; neither field is set for code and for defaults.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Place {
    /// Line of the text, counted from 1.
    pub(super) line: Option<usize>,
    /// Environment variable.
    pub(super) variable: Option<String>,
}

/// A value as it was written, of whatever type.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Raw {
    /// Integers beyond 128 bits are kept as the largest, which no range allows either.
    Integer(i128),
    Float(f64),
    Text(String),
    Boolean(bool),
    /// A type that no setting has, by name.
    #[cfg(feature = "toml")]
    Other(&'static str),
}

impl Raw {
    /// The type, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Raw::Integer(_) => "an integer",
            Raw::Float(_) => "a float",
            Raw::Text(_) => "a string",
            Raw::Boolean(_) => "a boolean",
            #[cfg(feature = "toml")]
            Raw::Other(kind) => kind,
        }
    }
}

/// One value, its text and its place.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Setting {
    pub(super) raw: Raw,
    pub(super) written: String,
    pub(super) place: Place,
    /// What the TOML parser had to say about the value's syntax. Kept with the value, so that the
    /// problem can name the setting and its range.
    pub(super) flaw: Option<String>,
}

impl Setting {
    /// A value that was not written down anywhere but in code.
    pub(super) fn from_code(raw: Raw) -> Setting {
        let written = match &raw {
            Raw::Integer(number) => number.to_string(),
            Raw::Float(number) => number.to_string(),
            Raw::Text(text) => format!("\"{text}\""),
            Raw::Boolean(value) => value.to_string(),
            #[cfg(feature = "toml")]
            Raw::Other(kind) => (*kind).to_owned(),
        };
        Setting { raw, written, place: Place::default(), flaw: None }
    }
}

/// The settings of one table.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct Table {
    pub(super) place: Place,
    /// When the table was first named, among its neighbours.
    order: usize,
    pub(super) settings: BTreeMap<Key, Setting>,
}

/// Tables by name, which remember the order they were written in.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct Tables(BTreeMap<String, Table>);

impl Tables {
    /// Gives the table of that name, which `place` creates if it is new.
    pub(super) fn entry(&mut self, name: &str, place: &Place) -> &mut Table {
        let order = self.0.len();
        let create = || Table { place: place.clone(), order, ..Table::default() };
        self.0.entry(name.to_owned()).or_insert_with(create)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, sorted.
    pub(super) fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    pub(super) fn get(&self, name: &str) -> Option<&Table> {
        self.0.get(name)
    }

    pub(super) fn in_order(&self) -> Vec<(&str, &Table)> {
        let mut tables: Vec<_> =
            self.0.iter().map(|(name, table)| (name.as_str(), table)).collect();
        tables.sort_by_key(|(_, table)| table.order);
        tables
    }
}

/// Everything that was said, not yet checked, and the problems found on the way.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct Draft {
    pub(super) engine: Table,
    pub(super) defaults: Table,
    pub(super) tiers: Tables,
    pub(super) tenants: Tables,
    pub(super) costs: BTreeMap<String, Setting>,
    pub(super) budgets: Tables,
    pub(super) problems: Vec<Problem>,
}

impl Draft {
    /// The tables of a section that has tables by name.
    #[cfg(feature = "toml")]
    pub(super) fn tables(&mut self, section: Section) -> Option<&mut Tables> {
        match section {
            Section::Tiers => Some(&mut self.tiers),
            Section::Tenants => Some(&mut self.tenants),
            Section::Budgets => Some(&mut self.budgets),
            Section::Engine | Section::Defaults | Section::Costs => None,
        }
    }

    /// Puts the default tiers in if nobody named any. Called before variables are applied, which
    /// may change single defaults, and again before the check.
    pub(super) fn ensure_tiers(&mut self) {
        if !self.tiers.is_empty() {
            return;
        }
        for (name, weight) in DEFAULT_TIERS {
            let tier = self.tiers.entry(name, &Place::default());
            tier.settings.insert(Key::Weight, Setting::from_code(Raw::Float(weight)));
        }
    }
}
