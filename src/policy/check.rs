//! Turns a draft into a policy, or into the list of everything that is wrong with it.

use std::collections::BTreeMap;

use super::check_quota::Spot;
use super::cross;
use super::draft::{Draft, Place, Raw, Setting, Table, Tables};
use super::model::{KindCost, Override, Policy, Tier};
use super::problem::{PolicyError, Problem, path};
use super::schema::{self, Key, NameRule, Range, Section};
use crate::units::Weight;

/// Checks the draft as a whole.
///
/// A value that is refused is replaced by its default, so that the rest can still be checked; the
/// problem it leaves keeps the patched policy from getting out.
pub(super) fn finish(mut draft: Draft) -> Result<Policy, PolicyError> {
    draft.ensure_tiers();
    let mut checker = Checker { problems: std::mem::take(&mut draft.problems) };
    let policy = checker.policy(&draft);
    checker.problems.extend(cross::problems(&draft, &policy));
    if checker.problems.is_empty() { Ok(policy) } else { Err(PolicyError::new(checker.problems)) }
}

pub(super) struct Checker {
    problems: Vec<Problem>,
}

impl Checker {
    fn policy(&mut self, draft: &Draft) -> Policy {
        let engine =
            |key, range| Scalar { section: Section::Engine, table: &draft.engine, key, range };
        let defaults = Scalar {
            section: Section::Defaults,
            table: &draft.defaults,
            key: Key::QueueMax,
            range: &schema::TENANT_QUEUE_MAX,
        };
        let queue_max = self.scalar(&engine(Key::QueueMax, &schema::ENGINE_QUEUE_MAX));
        let tenants_max = self.scalar(&engine(Key::TenantsMax, &schema::TENANTS_MAX));
        let base_quantum = self.scalar(&engine(Key::BaseQuantum, &schema::BASE_QUANTUM));
        let default_queue_max = self.scalar(&defaults).unwrap_or(schema::TENANT_QUEUE_MAX.default);
        let budgets = draft.budgets.names();
        let tiers = self.tiers(&draft.tiers, base_quantum, default_queue_max, &budgets);
        let default_tier = self.default_tier(draft);
        let terms = self.engine_terms(&draft.engine);
        Policy {
            queue_max: queue_max.unwrap_or(schema::ENGINE_QUEUE_MAX.default),
            tenants_max: tenants_max.unwrap_or(schema::TENANTS_MAX.default),
            base_quantum: base_quantum.unwrap_or(schema::BASE_QUANTUM.default),
            default_queue_max,
            default_tier: tiers.iter().position(|tier| tier.name == default_tier).unwrap_or(0),
            tiers,
            overrides: self.overrides(&draft.tenants, &budgets),
            costs: self.costs(&draft.costs),
            concurrency: terms.concurrency,
            max_wait: terms.max_wait,
            priority_bands: terms.priority_bands,
            jitter: terms.jitter,
            budgets: self.budgets(&draft.budgets),
        }
    }

    /// Reads a setting that has a default; `None` when it was refused.
    fn scalar(&mut self, scalar: &Scalar<'_>) -> Option<u32> {
        match scalar.table.settings.get(&scalar.key) {
            Some(setting) => {
                self.integer(&[scalar.section.name(), scalar.key.name()], setting, scalar.range)
            }
            None => Some(scalar.range.default),
        }
    }

    pub(super) fn integer(&mut self, at: &[&str], setting: &Setting, range: &Range) -> Option<u32> {
        self.read(at, setting, range.allowed(), |raw| range.read(raw))
    }

    /// Reads one value or notes the problem. A value that reads well in spite of a syntax error
    /// is refused too, with the parser's words.
    pub(super) fn read<T>(
        &mut self,
        at: &[&str],
        setting: &Setting,
        allowed: String,
        reader: impl FnOnce(&Raw) -> Result<T, String>,
    ) -> Option<T> {
        let hint = match (reader(&setting.raw), &setting.flaw) {
            (Ok(value), None) => return Some(value),
            (Ok(_), Some(flaw)) => flaw.clone(),
            (Err(hint), _) => hint,
        };
        let value = Some(setting.written.as_str());
        self.problems.push(Problem::new(path(at), &setting.place, value, allowed, hint));
        None
    }

    pub(super) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    fn tiers(
        &mut self,
        tables: &Tables,
        base: Option<u32>,
        queue_max: u32,
        budgets: &[&str],
    ) -> Vec<Tier> {
        self.count(Section::Tiers, tables.len(), schema::TIERS_MAX);
        let mut tiers = Vec::new();
        for (name, table) in tables.in_order() {
            self.name(Section::Tiers, name, &table.place, &schema::TIER_NAME);
            let weight = self.tier_weight(name, table);
            let quantum = weight.zip(base).map(|(weight, base)| quantum(weight, base));
            self.stated_quantum(name, table, quantum);
            let spot = Spot { section: Section::Tiers, name, table };
            tiers.push(Tier {
                name: name.to_owned(),
                weight: weight.unwrap_or(Weight::ONE),
                queue_max: self.own_queue_max(Section::Tiers, name, table).unwrap_or(queue_max),
                quantum_thousandths: quantum.unwrap_or_default(),
                limits: self.limits(&spot, budgets),
                tier_concurrency: self.tier_concurrency(&spot),
            });
        }
        tiers
    }

    /// A tier says its weight: a default would hide a misspelt or forgotten one.
    fn tier_weight(&mut self, name: &str, table: &Table) -> Option<Weight> {
        if table.settings.contains_key(&Key::Weight) {
            return self.own_weight(Section::Tiers, name, table);
        }
        let at = path(&[Section::Tiers.name(), name, Key::Weight.name()]);
        let hint = "give every tier a weight; naming one tier replaces the default set";
        self.problems.push(Problem::new(at, &table.place, None, schema::WEIGHT_ALLOWED, hint));
        None
    }

    fn stated_quantum(&mut self, name: &str, table: &Table, expected: Option<u64>) {
        if let Some(setting) = table.settings.get(&Key::Quantum) {
            let at = [Section::Tiers.name(), name, Key::Quantum.name()];
            let allowed = schema::quantum_allowed(expected);
            self.read(&at, setting, allowed, |raw| schema::read_quantum(raw, expected));
        }
    }

    fn own_weight(&mut self, section: Section, name: &str, table: &Table) -> Option<Weight> {
        let setting = table.settings.get(&Key::Weight)?;
        let at = [section.name(), name, Key::Weight.name()];
        self.read(&at, setting, schema::WEIGHT_ALLOWED.to_owned(), schema::read_weight)
    }

    fn own_queue_max(&mut self, section: Section, name: &str, table: &Table) -> Option<u32> {
        let setting = table.settings.get(&Key::QueueMax)?;
        let at = [section.name(), name, Key::QueueMax.name()];
        self.integer(&at, setting, &schema::TENANT_QUEUE_MAX)
    }

    fn default_tier<'a>(&mut self, draft: &'a Draft) -> &'a str {
        let names: Vec<&str> = draft.tiers.in_order().iter().map(|(name, _)| *name).collect();
        let unsaid = Setting::from_code(Raw::Text(schema::DEFAULT_TIER.to_owned()));
        let setting = draft.defaults.settings.get(&Key::Tier).unwrap_or(&unsaid);
        let at = [Section::Defaults.name(), Key::Tier.name()];
        let allowed = format!("one of {}", names.join(", "));
        self.read(&at, setting, allowed, |raw| schema::read_tier(raw, &names)).unwrap_or_default()
    }

    fn overrides(&mut self, tables: &Tables, budgets: &[&str]) -> BTreeMap<String, Override> {
        self.count(Section::Tenants, tables.len(), schema::OVERRIDES_MAX);
        let mut overrides = BTreeMap::new();
        for (name, table) in tables.in_order() {
            self.name(Section::Tenants, name, &table.place, &schema::TENANT_NAME);
            let spot = Spot { section: Section::Tenants, name, table };
            let own = Override {
                weight: self.own_weight(Section::Tenants, name, table),
                queue_max: self.own_queue_max(Section::Tenants, name, table),
                high_quota_eligible: self.high_quota_eligible(&spot),
                limits: self.limits(&spot, budgets),
            };
            overrides.insert(name.to_owned(), own);
        }
        overrides
    }

    fn costs(&mut self, settings: &BTreeMap<String, Setting>) -> BTreeMap<String, KindCost> {
        self.count(Section::Costs, settings.len(), schema::KINDS_MAX);
        let mut costs = BTreeMap::new();
        for (kind, setting) in settings {
            self.name(Section::Costs, kind, &setting.place, &schema::KIND_NAME);
            let at = [Section::Costs.name(), kind];
            let allowed = schema::COST_ALLOWED.to_owned();
            if let Some(cost) = self.read(&at, setting, allowed, schema::read_cost) {
                costs.insert(kind.clone(), cost.map_or(KindCost::Size, KindCost::Fixed));
            }
        }
        costs
    }

    pub(super) fn name(&mut self, section: Section, name: &str, place: &Place, rule: &NameRule) {
        if !rule.accepts(name) {
            let at = path(&[section.name(), name]);
            let value = format!("\"{name}\"");
            let hint = rule.hint(name);
            self.problems.push(Problem::new(at, place, Some(&value), rule.allowed(), hint));
        }
    }

    pub(super) fn count(&mut self, section: Section, count: usize, max: usize) {
        if count > max {
            let value = format!("{count} names");
            let allowed = format!("at most {max}");
            let hint = format!("remove {}", count - max);
            let at = section.name().to_owned();
            self.problems.push(Problem::new(at, &Place::default(), Some(&value), allowed, hint));
        }
    }
}

/// An integer setting of the engine or of the defaults.
struct Scalar<'a> {
    section: Section,
    table: &'a Table,
    key: Key,
    range: &'a Range,
}

/// `weight x base` in thousandths of a cost unit: at most 10^6 x 10^6.
fn quantum(weight: Weight, base: u32) -> u64 {
    u64::from(weight.thousandths()) * u64::from(base)
}
