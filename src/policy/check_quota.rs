//! Reads the quotas of a draft, table by table; what they mean to each other is in `cross.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::check::Checker;
use super::draft::{Raw, Table, Tables};
use super::problem::{Problem, path};
use super::quota::{Budget, BudgetLimit, Limits, Own};
use super::schema::{DOTTED_NAME, Key, Section};
use super::schema_quota as terms;
use crate::limit::Cap;
use crate::units::Bands;

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
    pub(super) priority_bands: Bands,
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
            overload: self.key(spot, Key::Overload, terms::OVERLOAD_ALLOWED, terms::overload),
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

#[cfg(all(test, feature = "toml"))]
mod tests {
    use std::time::Duration;

    use crate::limit::Cap;
    use crate::policy::{Limits, Overload, Own, Policy, PolicyBuilder};

    fn problems(text: &str) -> Vec<String> {
        let error = Policy::from_toml(text).unwrap_err();
        error.problems().iter().map(ToString::to_string).collect()
    }

    const QUOTAS: &str = r#"
        [engine]
        concurrency = 200
        max_wait = "1h"
        priority_bands = "10, 20, 30"
        jitter = "250ms"
        [tiers.starter]
        weight = 1
        rate = "10 jobs per 60s"
        concurrency = "workspaces"
        concurrency_min = 3
        tier_concurrency = "75%"
        max_wait = "5min"
        overload = "wait 1.5s"
        budgets = "org, day"
        [tenants.acme]
        rate = "none"
        concurrency = 0
        max_wait = "none"
        budgets = "none"
        high_quota_eligible = true
        [budgets.org]
        hard = "tokens 1_000"
        soft = "tokens 900, usd 5"
        reset = "24h"
        [budgets.day]
        soft = "usd 1"
    "#;

    #[test]
    fn every_quota_of_a_file_reaches_its_getter() {
        let policy = Policy::from_toml(QUOTAS).unwrap();
        let seconds = Duration::from_secs;
        assert_eq!((policy.concurrency(), policy.max_wait()), (Some(200), Some(seconds(3_600))));
        assert_eq!(policy.priority_bands().thresholds(), [10, 20, 30]);
        assert_eq!(policy.jitter(), Duration::from_millis(250));
        let starter = policy.default_tier();
        assert_eq!(starter.rate().map(|rate| rate.most()), Some(10));
        assert_eq!(starter.concurrency(), Some(Cap::Grants(64)));
        assert_eq!(starter.concurrency_promoted(), Some(100));
        assert_eq!(starter.concurrency_min(), Some(Cap::Grants(3)));
        assert_eq!(starter.tier_concurrency(), Some(Cap::Percent(75)));
        assert_eq!(starter.max_wait(), Some(seconds(300)));
        assert_eq!(starter.overload(), Overload::Wait(Duration::from_millis(1_500)));
        assert_eq!(starter.budgets(), ["org", "day"]);
        let org = policy.budget("org").unwrap();
        assert_eq!((org.limits()[0].hard, org.limits()[0].soft), (Some(1_000), Some(900)));
        assert_eq!((org.limits()[1].dimension.as_str(), org.limits()[1].hard), ("usd", None));
        assert_eq!((org.limits().len(), org.reset()), (2, Some(seconds(86_400))));
        assert_eq!(policy.budget("day").unwrap().reset(), None);
    }

    #[test]
    fn a_tenant_lifts_its_tiers_limits_but_not_the_engines() {
        let policy = Policy::from_toml(QUOTAS).unwrap();
        let acme = policy.override_for("acme");
        let own = acme.unwrap();
        assert_eq!((own.rate(), own.max_wait(), own.budgets()), (Own::Lift, Own::Lift, &Own::Lift));
        let quota = policy.quota_for(policy.default_tier(), acme);
        let expected = "concurrency 0 (paused), concurrency_min 3, tier_concurrency 75%, \
                        max_wait 60min, overload wait 1500ms";
        assert_eq!((quota.to_string().as_str(), quota.high_quota_eligible), (expected, true));
        assert_eq!(quota.minimum(policy.concurrency()), 0);
    }

    #[test]
    fn every_quota_can_be_set_by_a_variable() {
        let vars = [
            ("ENGINE__CONCURRENCY", "300"),
            ("ENGINE__MAX_WAIT", "none"),
            ("ENGINE__PRIORITY_BANDS", "1,2,3"),
            ("ENGINE__JITTER", "1s"),
            ("TIERS__STARTER__RATE", "5 cost per 1s"),
            ("TIERS__STARTER__CONCURRENCY", "7"),
            ("TIERS__STARTER__CONCURRENCY_MIN", "1%"),
            ("TIERS__STARTER__CONCURRENCY_PROMOTED", "8"),
            ("TIERS__STARTER__TIER_CONCURRENCY", "90"),
            ("TIERS__STARTER__MAX_WAIT", "2s"),
            ("TIERS__STARTER__OVERLOAD", "reject"),
            ("TIERS__STARTER__BUDGETS", "7"),
            ("TENANTS__ACME__RATE", "9 jobs per 7d smooth"),
            ("TENANTS__ACME__CONCURRENCY", "workspaces"),
            ("TENANTS__ACME__CONCURRENCY_MIN", "none"),
            ("TENANTS__ACME__CONCURRENCY_PROMOTED", "70"),
            ("TENANTS__ACME__MAX_WAIT", "3s"),
            ("TENANTS__ACME__OVERLOAD", "wait 4s"),
            ("TENANTS__ACME__BUDGETS", "day"),
            ("TENANTS__ACME__HIGH_QUOTA_ELIGIBLE", "false"),
            ("BUDGETS__7__HARD", "s 1"),
            ("BUDGETS__7__RESET", "none"),
            ("BUDGETS__ORG__SOFT", "mb 1"),
        ];
        let vars = vars.map(|(name, value)| (format!("FAIRLANE__{name}"), value.to_owned()));
        let policy = Policy::from_toml_with_env(QUOTAS, vars).unwrap();
        assert_eq!((policy.concurrency(), policy.max_wait()), (Some(300), None));
        assert_eq!(policy.priority_bands().thresholds(), [1, 2, 3]);
        assert_eq!(policy.jitter(), Duration::from_secs(1));
        let starter = policy.default_tier();
        let tier = "rate 5 cost per 1s, concurrency 7, concurrency_min 1%, concurrency_promoted 8, \
                    tier_concurrency 90, max_wait 2s, budgets 7, overload reject";
        assert_eq!(policy.quota_for(starter, None).to_string(), tier);
        let acme = policy.quota_for(starter, policy.override_for("acme"));
        let own = "rate 9 jobs per 7d smooth burst 9, concurrency 64, concurrency_promoted 70, \
                   tier_concurrency 90, max_wait 3s, budgets day, overload wait 4s";
        assert_eq!((acme.to_string().as_str(), acme.high_quota_eligible), (own, false));
        assert_eq!(policy.budget("7").unwrap().limits()[0].hard, Some(1));
        assert_eq!(policy.budget("org").unwrap().limits()[1].dimension, "mb");
    }

    #[test]
    fn the_preset_is_the_same_from_code_and_from_a_file() {
        let file = Policy::from_toml("tenants.a.concurrency = 'workspaces'").unwrap();
        let code = Policy::builder().tenant_limits("a", Limits::workspaces()).build().unwrap();
        assert_eq!(file, code);
    }

    #[test]
    fn ten_mistakes_are_ten_problems() {
        let text = "[engine]\nconcurrency = true\nmax_wait = 60\npriority_bands = '1'\n\
                    jitter = '2h'\n[tiers.starter]\nweight = 1\nrate = '10 jobs'\n\
                    overload = 'wait'\nbudgets = 'ogr'\n[tenants.a]\nhigh_quota_eligible = 1\n\
                    tier_concurrency = 5\n[budgets.org]\nreset = '24h'\n";
        let expected = [
            "line 2: engine.concurrency = true: allowed 0..=1000000 or \"none\" \
             (hint: expected a whole number, found a boolean)",
            "line 3: engine.max_wait = 60: allowed \"1ms\"..=\"366d\" or \"none\" (hint: expected \
             a time with its unit, such as \"250ms\" or \"5min\", in quotes, found an integer)",
            "line 4: engine.priority_bands = '1': allowed \"A, B, C\" with 1 <= A < B < C <= 9000 \
             (hint: four bands have 3 thresholds between them, not 1)",
            "line 5: engine.jitter = '2h': allowed \"0s\"..=\"1h\" \
             (hint: the time over which parked lanes spread their return, default 0s)",
            "line 8: tiers.starter.rate = '10 jobs': allowed \"N jobs per TIME\" or \"N cost per \
             TIME\", then nothing, \"smooth\" or \"smooth burst B\"; N 1..=1000000000000, TIME \
             1ms..=366d, B 1..=N; or \"none\" (hint: write it as in \"10 jobs per 60s\" or \"500 \
             cost per 1s smooth burst 20\")",
            "line 9: tiers.starter.overload = 'wait': allowed \"reject\" or \"wait TIME\", TIME \
             1ms..=366d (hint: say how long, as in \"wait 2s\")",
            "line 10: tiers.starter.budgets = 'ogr': allowed \"none\", or names of [budgets.NAME] \
             tables with commas between, 1 to 16 (hint: unknown budget `ogr`, no budget has this name)",
            "line 12: tenants.a.high_quota_eligible = 1: allowed true or false \
             (hint: whether this tenant may be promoted)",
            "line 13: tenants.a.tier_concurrency = 5: allowed keys weight, queue_max, rate, \
             concurrency, concurrency_min, concurrency_promoted, max_wait, overload, budgets, \
             high_quota_eligible (hint: unknown key, remove it)",
            "line 14: budgets.org.hard is missing: allowed \"dimension amount, dimension amount\", 1 \
             to 16 of them, amounts 1..=1000000000000000 (hint: a budget states hard, soft or both)",
        ];
        assert_eq!(problems(text), expected);
    }

    #[test]
    fn a_budget_has_a_name_that_a_list_can_hold() {
        for name in ["none", "'a,b'", "'a b'", "Org", "''"] {
            let found = problems(&format!("[budgets.{name}]\nhard = 'usd 1'\n"));
            assert_eq!(found.len(), 1, "{found:#?}");
            assert!(found[0].starts_with("line 1: budgets."), "{found:#?}");
        }
        assert!(Policy::from_toml("[budgets.'acme.org_1-b']\nhard = 'usd 1'").is_ok());
    }

    #[test]
    fn more_budgets_than_allowed_are_refused() {
        let fill = |count: usize| {
            let add = |policy: PolicyBuilder, i| policy.budget_hard(format!("b{i}"), "a", 1);
            (0..count).fold(Policy::builder(), add).build()
        };
        assert!(fill(10_000).is_ok());
        let error = fill(10_001).unwrap_err();
        assert_eq!(
            error.to_string(),
            "budgets = 10001 names: allowed at most 10000 (hint: remove 1)"
        );
    }
}
