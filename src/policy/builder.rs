use std::time::Duration;

use super::check;
use super::draft::{Draft, Place, Raw, Setting, Table};
use super::model::{KindCost, Policy};
use super::problem::PolicyError;
use super::quota::{Limits, Own};
use super::schema::DOTTED_NAME;
use super::schema::{Key, SIZE};
use super::schema_quota::NONE;
use super::text::show_duration;
use crate::limit::Cap;
use crate::units::Weight;

/// Collects the values of a [`Policy`]; the last call for a value wins, and nothing is checked
/// before [`build`](PolicyBuilder::build).
///
/// # Examples
/// ```
/// use fairlane::{Policy, Weight};
///
/// let policy = Policy::builder()
///     .tier("free", Weight::new(0.5)?)
///     .tier("paid", Weight::new(3.0)?)
///     .default_tier("free")
///     .tenant_queue_max("acme", 50_000)
///     .build()?;
/// assert_eq!(policy.tiers().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default, Debug)]
#[must_use]
pub struct PolicyBuilder {
    draft: Draft,
}

impl PolicyBuilder {
    /// Bounds the jobs queued in the whole engine, `1..=100_000_000`; 1,000,000 by default.
    pub fn queue_max(mut self, jobs: u32) -> PolicyBuilder {
        set_integer(&mut self.draft.engine, Key::QueueMax, jobs);
        self
    }

    /// Bounds the tenants known at once, `1..=4_000_000`; 100,000 by default.
    pub fn tenants_max(mut self, tenants: u32) -> PolicyBuilder {
        set_integer(&mut self.draft.engine, Key::TenantsMax, tenants);
        self
    }

    /// Sets the cost units per unit of weight and round, `1..=1_000_000`; 20 by default.
    pub fn base_quantum(mut self, cost_units: u32) -> PolicyBuilder {
        set_integer(&mut self.draft.engine, Key::BaseQuantum, cost_units);
        self
    }

    /// Bounds the jobs queued by one tenant whose tier and override do not say,
    /// `1..=1_048_576`; 10,000 by default.
    pub fn default_queue_max(mut self, jobs: u32) -> PolicyBuilder {
        set_integer(&mut self.draft.defaults, Key::QueueMax, jobs);
        self
    }

    /// Names the tier of tenants that name none; it must be one of the tiers. `starter` by default.
    pub fn default_tier(mut self, name: impl Into<String>) -> PolicyBuilder {
        let setting = Setting::from_code(Raw::Text(name.into()));
        self.draft.defaults.settings.insert(Key::Tier, setting);
        self
    }

    /// Adds a tier or changes its weight; the first call replaces the default set of tiers.
    ///
    /// The name has 1 to 64 bytes of `a-z`, `0-9`, `_` and `-`; there are at most 64 tiers.
    pub fn tier(mut self, name: impl AsRef<str>, weight: Weight) -> PolicyBuilder {
        let tier = self.draft.tiers.entry(name.as_ref(), &Place::default());
        set_weight(tier, weight);
        self
    }

    /// Bounds the jobs queued by each tenant of a tier, `1..=1_048_576`; the tier also needs its
    /// weight from [`tier`](PolicyBuilder::tier).
    pub fn tier_queue_max(mut self, name: impl AsRef<str>, jobs: u32) -> PolicyBuilder {
        let tier = self.draft.tiers.entry(name.as_ref(), &Place::default());
        set_integer(tier, Key::QueueMax, jobs);
        self
    }

    /// Gives one tenant a weight of its own. The name has 1 to 256 bytes; at most 10,000 tenants
    /// have settings of their own.
    pub fn tenant_weight(mut self, name: impl AsRef<str>, weight: Weight) -> PolicyBuilder {
        let tenant = self.draft.tenants.entry(name.as_ref(), &Place::default());
        set_weight(tenant, weight);
        self
    }

    /// Gives one tenant a queue bound of its own, `1..=1_048_576` jobs.
    pub fn tenant_queue_max(mut self, name: impl AsRef<str>, jobs: u32) -> PolicyBuilder {
        let tenant = self.draft.tenants.entry(name.as_ref(), &Place::default());
        set_integer(tenant, Key::QueueMax, jobs);
        self
    }

    /// States what a kind of job costs. The name has 1 to 64 bytes; there are at most 256 kinds.
    pub fn cost(mut self, kind: impl Into<String>, cost: KindCost) -> PolicyBuilder {
        let raw = match cost {
            KindCost::Fixed(cost) => Raw::Integer(cost.get().into()),
            KindCost::Size => Raw::Text(SIZE.to_owned()),
        };
        self.draft.costs.insert(kind.into(), Setting::from_code(raw));
        self
    }

    /// Bounds the grants in flight in the whole engine, `0..=1_000_000`, where 0 means paused;
    /// unbounded by default.
    pub fn concurrency(mut self, grants: u32) -> PolicyBuilder {
        set_integer(&mut self.draft.engine, Key::Concurrency, grants);
        self
    }

    /// Bounds the time that any job waits until it expires, 1 ms to 366 days; unbounded by default.
    pub fn max_wait(mut self, time: Duration) -> PolicyBuilder {
        set_text(&mut self.draft.engine, Key::MaxWait, show_duration(time));
        self
    }

    /// Sets the priorities at which the bands 2, 1 and 0 begin, ascending, `1..=9000`; 3000, 6000
    /// and 8000 by default.
    pub fn priority_bands(mut self, thresholds: [u16; 3]) -> PolicyBuilder {
        let text = thresholds.map(|threshold| threshold.to_string()).join(", ");
        set_text(&mut self.draft.engine, Key::PriorityBands, text);
        self
    }

    /// Spreads the return of parked lanes over a time of up to 1 h; 0 by default.
    pub fn jitter(mut self, time: Duration) -> PolicyBuilder {
        set_text(&mut self.draft.engine, Key::Jitter, show_duration(time));
        self
    }

    /// Sets the limits of each tenant of a tier; what `limits` inherits stays as it was. The tier
    /// also needs its weight from [`tier`](PolicyBuilder::tier).
    pub fn tier_limits(mut self, name: impl AsRef<str>, limits: Limits) -> PolicyBuilder {
        set_limits(self.draft.tiers.entry(name.as_ref(), &Place::default()), limits);
        self
    }

    /// Bounds the grants in flight of all tenants of a tier together, where 0 means paused.
    pub fn tier_concurrency(mut self, name: impl AsRef<str>, cap: Cap) -> PolicyBuilder {
        let tier = self.draft.tiers.entry(name.as_ref(), &Place::default());
        set_cap(tier, Key::TierConcurrency, Own::Is(cap));
        self
    }

    /// Gives one tenant limits of its own; what `limits` inherits stays as it was.
    pub fn tenant_limits(mut self, name: impl AsRef<str>, limits: Limits) -> PolicyBuilder {
        set_limits(self.draft.tenants.entry(name.as_ref(), &Place::default()), limits);
        self
    }

    /// Says whether one tenant may be promoted; none may by default.
    pub fn tenant_high_quota_eligible(
        mut self,
        name: impl AsRef<str>,
        eligible: bool,
    ) -> PolicyBuilder {
        let tenant = self.draft.tenants.entry(name.as_ref(), &Place::default());
        let setting = Setting::from_code(Raw::Boolean(eligible));
        tenant.settings.insert(Key::HighQuotaEligible, setting);
        self
    }

    /// Adds a hard limit of one dimension to a budget, `1..=10^15`: at this much the budget is
    /// exhausted. The names have 1 to 64 bytes of `a-z`, `0-9`, `_`, `.` and `-`; there are at most
    /// 10,000 budgets.
    pub fn budget_hard(
        mut self,
        name: impl AsRef<str>,
        dimension: impl AsRef<str>,
        amount: u64,
    ) -> PolicyBuilder {
        let budget = self.draft.budgets.entry(name.as_ref(), &Place::default());
        add_amount(budget, Key::Hard, dimension.as_ref(), amount);
        self
    }

    /// Adds a soft limit of one dimension to a budget, `1..=10^15`: beyond it usage is reported.
    pub fn budget_soft(
        mut self,
        name: impl AsRef<str>,
        dimension: impl AsRef<str>,
        amount: u64,
    ) -> PolicyBuilder {
        let budget = self.draft.budgets.entry(name.as_ref(), &Place::default());
        add_amount(budget, Key::Soft, dimension.as_ref(), amount);
        self
    }

    /// Lets a budget begin anew after each such time, 1 s to 366 days; it never does by default.
    pub fn budget_reset(mut self, name: impl AsRef<str>, every: Duration) -> PolicyBuilder {
        let budget = self.draft.budgets.entry(name.as_ref(), &Place::default());
        set_text(budget, Key::Reset, show_duration(every));
        self
    }

    /// Checks everything and makes the policy.
    ///
    /// # Errors
    /// [`PolicyError`] with every value out of range, every tier without a weight, a default tier or
    /// a budget that does not exist, and limits that contradict each other.
    pub fn build(self) -> Result<Policy, PolicyError> {
        check::finish(self.draft)
    }
}

fn set_integer(table: &mut Table, key: Key, value: u32) {
    table.settings.insert(key, Setting::from_code(Raw::Integer(value.into())));
}

fn set_weight(table: &mut Table, weight: Weight) {
    table.settings.insert(Key::Weight, Setting::from_code(Raw::Float(weight.as_f64())));
}

fn set_text(table: &mut Table, key: Key, text: String) {
    table.settings.insert(key, Setting::from_code(Raw::Text(text)));
}

fn set_cap(table: &mut Table, key: Key, cap: Own<Cap>) {
    match cap {
        Own::Is(Cap::Grants(grants)) => set_integer(table, key, grants),
        other => set_own(table, key, other, |cap| cap.to_string()),
    }
}

fn set_own<T>(table: &mut Table, key: Key, own: Own<T>, show: impl FnOnce(T) -> String) {
    match own {
        Own::Inherit => {}
        Own::Lift => set_text(table, key, NONE.to_owned()),
        Own::Is(value) => set_text(table, key, show(value)),
    }
}

/// Writes limits down as a file has them.
fn set_limits(table: &mut Table, limits: Limits) {
    set_own(table, Key::Rate, limits.rate, |rate| rate.to_string());
    set_cap(table, Key::Concurrency, limits.concurrency);
    set_cap(table, Key::ConcurrencyMin, limits.concurrency_min);
    set_own(table, Key::MaxWait, limits.max_wait, show_duration);
    set_own(table, Key::Budgets, limits.budgets, |names| {
        names.iter().map(|name| item(name)).collect::<Vec<_>>().join(", ")
    });
    if let Some(grants) = limits.concurrency_promoted {
        set_integer(table, Key::ConcurrencyPromoted, grants);
    }
    if let Some(overload) = limits.overload {
        set_text(table, Key::Overload, overload.to_string());
    }
}

fn add_amount(budget: &mut Table, key: Key, dimension: &str, amount: u64) {
    let amount = format!("{} {amount}", item(dimension));
    let text = match budget.settings.get(&key).map(|setting| &setting.raw) {
        Some(Raw::Text(others)) => format!("{others}, {amount}"),
        _ => amount,
    };
    set_text(budget, key, text);
}

/// A name as part of a list. One that no list can hold is quoted, which the check refuses: its
/// commas must not make it two.
fn item(name: &str) -> String {
    if DOTTED_NAME.accepts(name) { name.to_owned() } else { format!("{name:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::{Rate, Unit};
    use crate::policy::Overload;
    use crate::units::Cost;

    #[test]
    fn an_untouched_builder_makes_the_default_policy() {
        assert_eq!(Policy::builder().build().unwrap(), Policy::default());
    }

    #[test]
    fn every_setter_reaches_its_getter() {
        let policy = Policy::builder()
            .queue_max(5_000)
            .tenants_max(7)
            .base_quantum(100)
            .default_queue_max(11)
            .tier("slow", Weight::MIN)
            .tier("fast", Weight::ONE)
            .tier("fast", Weight::MAX)
            .tier_queue_max("fast", 13)
            .default_tier("slow")
            .tenant_weight("acme", Weight::ONE)
            .tenant_queue_max("acme", 17)
            .cost("sign", KindCost::Fixed(Cost::MAX))
            .cost("batch", KindCost::Size)
            .build()
            .unwrap();
        assert_eq!((policy.queue_max(), policy.tenants_max()), (5_000, 7));
        assert_eq!((policy.base_quantum(), policy.default_queue_max()), (100, 11));
        assert_eq!(policy.default_tier().name(), "slow");
        let fast = policy.tier("fast").unwrap();
        assert_eq!((fast.weight(), fast.queue_max(), fast.quantum()), (Weight::MAX, 13, 100_000.0));
        assert_eq!(
            policy.tier("slow").map(|tier| (tier.queue_max(), tier.quantum())),
            Some((11, 1.0))
        );
        let acme = policy.override_for("acme").unwrap();
        assert_eq!((acme.weight, acme.queue_max), (Some(Weight::ONE), Some(17)));
        let costs: Vec<_> = policy.costs().collect();
        assert_eq!(costs, [("batch", KindCost::Size), ("sign", KindCost::Fixed(Cost::MAX))]);
    }

    #[test]
    fn every_quota_reaches_its_getter() {
        let (ms, minute) = (Duration::from_micros(1_500), Duration::from_secs(60));
        let rate = Rate::smooth(10, Unit::Cost, ms * 7, 3).unwrap();
        let limits = Limits::default()
            .rate(rate)
            .concurrency(Cap::Percent(50))
            .concurrency_min(Cap::Grants(2))
            .concurrency_promoted(9)
            .max_wait(ms)
            .overload(Overload::Wait(minute))
            .budgets(vec!["org".to_owned(), "day.1".to_owned()]);
        let policy = Policy::builder()
            .concurrency(10)
            .max_wait(minute)
            .priority_bands([1, 2, 3])
            .jitter(ms)
            .tier("starter", Weight::ONE)
            .tier_limits("starter", limits.clone())
            .tier_limits("starter", Limits::default())
            .tier_concurrency("starter", Cap::Grants(9))
            .tenant_limits("acme", Limits::default().rate(Own::Lift).max_wait(Own::Lift))
            .tenant_high_quota_eligible("acme", true)
            .budget_hard("org", "tokens", 100)
            .budget_hard("org", "usd", 7)
            .budget_soft("org", "usd", 5)
            .budget_soft("org", "mb", 3)
            .budget_reset("org", minute)
            .budget_soft("day.1", "tokens", 1)
            .build()
            .unwrap();
        assert_eq!((policy.concurrency(), policy.max_wait()), (Some(10), Some(minute)));
        assert_eq!((policy.priority_bands().thresholds(), policy.jitter()), ([1, 2, 3], ms));
        let starter = policy.default_tier();
        assert_eq!((starter.rate(), starter.concurrency()), (Some(rate), Some(Cap::Percent(50))));
        assert_eq!(starter.concurrency_min(), Some(Cap::Grants(2)));
        assert_eq!(starter.concurrency_promoted(), Some(9));
        assert_eq!(starter.tier_concurrency(), Some(Cap::Grants(9)));
        assert_eq!((starter.max_wait(), starter.budgets().len()), (Some(ms), 2));
        assert_eq!(starter.overload(), Overload::Wait(minute));
        let acme = policy.override_for("acme").unwrap();
        assert_eq!((acme.rate(), acme.concurrency()), (Own::Lift, Own::Inherit));
        let quota = policy.quota_for(starter, Some(acme));
        assert_eq!((quota.rate, quota.max_wait), (None, Some(minute)));
        assert_eq!((quota.concurrency, quota.high_quota_eligible), (starter.concurrency(), true));
        assert_eq!(policy.quota_for(starter, None).max_wait, Some(ms));
        let org = policy.budget("org").unwrap();
        let limits: Vec<_> =
            org.limits().iter().map(|l| (l.dimension.as_str(), l.hard, l.soft)).collect();
        let expected =
            [("tokens", Some(100), None), ("usd", Some(7), Some(5)), ("mb", None, Some(3))];
        assert_eq!((limits.as_slice(), org.reset()), (expected.as_slice(), Some(minute)));
        assert_eq!(policy.budgets().map(|b| b.name()).collect::<Vec<_>>(), ["day.1", "org"]);
    }

    #[test]
    fn a_name_cannot_smuggle_an_item_into_a_list() {
        let budget = Policy::builder().budget_hard("org", "a 5, b", 3).build().unwrap_err();
        assert!(budget.to_string().contains("`\"a` is no dimension"), "{budget}");
        let empty = Policy::builder().budget_hard("org", "", 3).build().unwrap_err();
        assert!(empty.to_string().contains("is no dimension"), "{empty}");
        let names = Limits::default().budgets(vec!["org, day".to_owned()]);
        let policy = Policy::builder().budget_hard("org", "a", 1).budget_hard("day", "a", 1);
        let error = policy.tenant_limits("acme", names).build().unwrap_err();
        assert!(error.to_string().contains("unknown budget"), "{error}");
    }

    #[test]
    fn values_that_code_can_make_and_no_policy_has_are_refused() {
        let limits = Limits::default()
            .concurrency(Cap::Percent(101))
            .concurrency_promoted(0)
            .max_wait(Duration::MAX)
            .overload(Overload::Wait(Duration::ZERO))
            .budgets(Vec::new());
        let error = Policy::builder()
            .concurrency(1_000_001)
            .jitter(Duration::from_secs(3_601))
            .tenant_limits("acme", limits)
            .budget_reset("org", Duration::from_millis(999))
            .build()
            .unwrap_err();
        let found: Vec<&str> = error.problems().iter().map(|problem| problem.path()).collect();
        let expected = [
            "engine.concurrency",
            "engine.jitter",
            "tenants.acme.concurrency",
            "tenants.acme.concurrency_promoted",
            "tenants.acme.max_wait",
            "tenants.acme.overload",
            "tenants.acme.budgets",
            "budgets.org.hard",
            "budgets.org.reset",
        ];
        let sorted = |mut paths: Vec<&'static str>| {
            paths.sort_unstable();
            paths
        };
        let mut found = found;
        found.sort_unstable();
        assert_eq!(found, sorted(expected.to_vec()));
    }

    #[test]
    fn tiers_keep_the_order_they_were_named_in() {
        let policy = Policy::builder()
            .tier("z", Weight::ONE)
            .tier("a", Weight::ONE)
            .tier("z", Weight::MIN)
            .default_tier("a")
            .build()
            .unwrap();
        let names: Vec<_> = policy.tiers().iter().map(|tier| tier.name()).collect();
        assert_eq!(names, ["z", "a"]);
    }

    #[test]
    fn build_reports_every_problem_with_its_path_and_value() {
        let error = Policy::builder()
            .queue_max(0)
            .tier_queue_max("gold", 0)
            .tenant_queue_max("", 1)
            .cost("", KindCost::Size)
            .build()
            .unwrap_err();
        let lines: Vec<_> = error.problems().iter().map(|p| (p.path(), p.value())).collect();
        let expected = [
            ("engine.queue_max", Some("0")),
            ("tiers.gold.weight", None),
            ("tiers.gold.queue_max", Some("0")),
            ("defaults.tier", Some("\"starter\"")),
            ("tenants.\"\"", Some("\"\"")),
            ("costs.\"\"", Some("\"\"")),
        ];
        assert_eq!(lines, expected);
        assert!(error.problems().iter().all(|p| p.line().is_none() && p.variable().is_none()));
    }

    #[test]
    fn more_tiers_overrides_or_kinds_than_allowed_are_refused() {
        let fill = |tiers: usize, tenants: usize, kinds: usize| {
            let mut builder = Policy::builder().tier("starter", Weight::ONE);
            for i in 1..tiers {
                builder = builder.tier(format!("t{i}"), Weight::ONE);
            }
            for i in 0..tenants {
                builder = builder.tenant_queue_max(format!("t{i}"), 1);
            }
            for i in 0..kinds {
                builder = builder.cost(format!("k{i}"), KindCost::Size);
            }
            builder.build()
        };
        assert!(fill(64, 10_000, 256).is_ok());
        let error = fill(65, 10_001, 257).unwrap_err();
        let found: Vec<_> = error.problems().iter().map(|p| (p.path(), p.value())).collect();
        let expected = [
            ("tiers", Some("65 names")),
            ("tenants", Some("10001 names")),
            ("costs", Some("257 names")),
        ];
        assert_eq!(found, expected);
    }
}
