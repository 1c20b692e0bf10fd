use super::check;
use super::draft::{Draft, Place, Raw, Setting, Table};
use super::model::{KindCost, Policy};
use super::problem::PolicyError;
use super::schema::{Key, SIZE};
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

    /// Checks everything and makes the policy.
    ///
    /// # Errors
    /// [`PolicyError`] with every value out of range, every tier without a weight, and a default
    /// tier that does not exist.
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

#[cfg(test)]
mod tests {
    use super::*;
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
