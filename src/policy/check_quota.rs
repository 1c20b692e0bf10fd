//! Reads the quotas of a draft, table by table; what they mean to each other is in `cross.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::check::Checker;
use super::draft::{Raw, Table, Tables};
use super::problem::{Problem, path};
use super::quota::{Budget, BudgetLimit, Limits, Own, PriorityBands};
use super::schema::{DOTTED_NAME, Key, Section};
use super::schema_quota as terms;
use crate::limit::Cap;

/// A tier's, a tenant's or a budget's table.
pub(super) struct Spot<'a> {
    pub(super) section: Section,
    pub(super) name: &'a str,
    pub(super) table: &'a Table,
}

/// What `[engine]` says about quotas.
pub(super) struct EngineTerms {
    pub(super) concurrency: Option<u32>,
    pub(super) max_wait: Option<Duration>,
    pub(super) priority_bands: PriorityBands,
    pub(super) jitter: Duration,
}

impl Checker {
    pub(super) fn engine_terms(&mut self, table: &Table) -> EngineTerms {
        let concurrency = self.engine_key(table, Key::Concurrency, terms::GRANTS_ALLOWED, |raw| {
            terms::own(raw, terms::grants)
        });
        let wait = terms::WAIT.or_none();
        let max_wait = self.engine_key(table, Key::MaxWait, wait, |raw| {
            terms::own(raw, |raw| terms::WAIT.read(raw))
        });
        let bands = self.engine_key(table, Key::PriorityBands, terms::BANDS_ALLOWED, terms::bands);
        let allowed = terms::JITTER.allowed();
        let jitter = self.engine_key(table, Key::Jitter, allowed, |raw| terms::JITTER.read(raw));
        EngineTerms {
            concurrency: concurrency.and_then(|own| own.stated().copied()),
            max_wait: max_wait.and_then(|own| own.stated().copied()),
            priority_bands: bands.unwrap_or_default(),
            jitter: jitter.unwrap_or_default(),
        }
    }

    fn engine_key<T>(
        &mut self,
        table: &Table,
        key: Key,
        allowed: impl Into<String>,
        reader: impl FnOnce(&Raw) -> Result<T, String>,
    ) -> Option<T> {
        let setting = table.settings.get(&key)?;
        self.read(&[Section::Engine.name(), key.name()], setting, allowed.into(), reader)
    }

    pub(super) fn limits(&mut self, spot: &Spot<'_>, budgets: &[&str]) -> Limits {
        let budgets_allowed = terms::budgets_allowed(budgets);
        let read_budgets = |raw: &Raw| terms::budgets(raw, budgets);
        let read_wait = |raw: &Raw| terms::WAIT.read(raw);
        let concurrency = terms::CONCURRENCY_ALLOWED;
        Limits {
            rate: self.own(spot, Key::Rate, terms::RATE_ALLOWED, terms::rate),
            concurrency: self.own(spot, Key::Concurrency, concurrency, terms::concurrency),
            concurrency_min: self.own(spot, Key::ConcurrencyMin, terms::CAP_ALLOWED, terms::cap),
            concurrency_promoted: self.promoted(spot),
            max_wait: self.own(spot, Key::MaxWait, terms::WAIT.or_none(), read_wait),
            overload: self.key(spot, Key::Overload, terms::overload_allowed(), terms::overload),
            budgets: self.own(spot, Key::Budgets, budgets_allowed, read_budgets),
        }
    }

    /// The promoted bound: the stated one, or that of the preset.
    fn promoted(&mut self, spot: &Spot<'_>) -> Option<u32> {
        let range = &terms::PROMOTED;
        let key = Key::ConcurrencyPromoted;
        let stated = self.key(spot, key, range.allowed(), |raw| range.read(raw));
        let concurrency = spot.table.settings.get(&Key::Concurrency);
        let preset = concurrency.is_some_and(|setting| terms::is_workspaces(&setting.raw));
        stated.or(preset.then_some(Limits::WORKSPACES_PROMOTED))
    }

    pub(super) fn tier_concurrency(&mut self, spot: &Spot<'_>) -> Option<Cap> {
        let own = self.own(spot, Key::TierConcurrency, terms::CAP_ALLOWED, terms::cap);
        own.stated().copied()
    }

    pub(super) fn high_quota_eligible(&mut self, spot: &Spot<'_>) -> bool {
        let key = Key::HighQuotaEligible;
        self.key(spot, key, terms::SWITCH_ALLOWED, terms::switch).unwrap_or_default()
    }

    pub(super) fn budgets(&mut self, tables: &Tables) -> BTreeMap<String, Budget> {
        self.count(Section::Budgets, tables.len(), terms::BUDGETS_MAX);
        let mut budgets = BTreeMap::new();
        for (name, table) in tables.in_order() {
            self.name(Section::Budgets, name, &table.place, &DOTTED_NAME);
            let spot = Spot { section: Section::Budgets, name, table };
            budgets.insert(name.to_owned(), self.budget(&spot));
        }
        budgets
    }

    fn budget(&mut self, spot: &Spot<'_>) -> Budget {
        self.budget_can_be_named(spot);
        self.budget_limits_something(spot);
        let allowed = terms::AMOUNTS_ALLOWED;
        let hard = self.key(spot, Key::Hard, allowed, terms::amounts).unwrap_or_default();
        let soft = self.key(spot, Key::Soft, allowed, terms::amounts).unwrap_or_default();
        let times = &terms::RESET;
        let reset = self.own(spot, Key::Reset, times.or_none(), |raw| times.read(raw));
        Budget {
            name: spot.name.to_owned(),
            limits: paired(hard, soft),
            reset: reset.stated().copied(),
        }
    }

    /// In a tenant's list of budgets `none` means that there are none.
    fn budget_can_be_named(&mut self, spot: &Spot<'_>) {
        if spot.name == terms::NONE {
            let at = path(&[spot.section.name(), spot.name]);
            let hint = "the word says that a tenant has no budget; rename it";
            let allowed = "any other name";
            self.report(Problem::new(at, &spot.table.place, Some(spot.name), allowed, hint));
        }
    }

    fn budget_limits_something(&mut self, spot: &Spot<'_>) {
        let has = |key| spot.table.settings.contains_key(&key);
        if !has(Key::Hard) && !has(Key::Soft) {
            let at = path(&[spot.section.name(), spot.name, Key::Hard.name()]);
            let allowed = terms::AMOUNTS_ALLOWED;
            let hint = "a budget states hard, soft or both";
            self.report(Problem::new(at, &spot.table.place, None, allowed, hint));
        }
    }

    /// Reads a key that knows the word `none`.
    fn own<T>(
        &mut self,
        spot: &Spot<'_>,
        key: Key,
        allowed: impl Into<String>,
        reader: impl FnOnce(&Raw) -> Result<T, String>,
    ) -> Own<T> {
        self.key(spot, key, allowed, |raw| terms::own(raw, reader)).unwrap_or_default()
    }

    /// Reads a key of a named table; `None` when it is absent or refused.
    fn key<T>(
        &mut self,
        spot: &Spot<'_>,
        key: Key,
        allowed: impl Into<String>,
        reader: impl FnOnce(&Raw) -> Result<T, String>,
    ) -> Option<T> {
        let setting = spot.table.settings.get(&key)?;
        let at = [spot.section.name(), spot.name, key.name()];
        self.read(&at, setting, allowed.into(), reader)
    }
}

/// One entry for each dimension, those with a hard limit first.
fn paired(hard: Vec<(String, u64)>, soft: Vec<(String, u64)>) -> Vec<BudgetLimit> {
    let entry = |(dimension, hard)| BudgetLimit { dimension, hard: Some(hard), soft: None };
    let mut limits: Vec<BudgetLimit> = hard.into_iter().map(entry).collect();
    for (dimension, soft) in soft {
        match limits.iter_mut().find(|limit| limit.dimension == dimension) {
            Some(limit) => limit.soft = Some(soft),
            None => limits.push(BudgetLimit { dimension, hard: None, soft: Some(soft) }),
        }
    }
    limits
}
