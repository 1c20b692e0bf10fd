use std::collections::BTreeMap;
use std::time::Duration;

use super::builder::PolicyBuilder;
#[cfg(feature = "toml")]
use super::problem::PolicyError;
use super::quota::{Budget, Limits, Overload, Own, Quota};
use super::{check, draft::Draft};
use crate::limit::{Cap, Rate};
use crate::units::{Bands, Cost, Weight};

/// Holds the whole configuration of an engine; every value in it is in range.
///
/// Equal policies compare equal, whatever they were read from. Cloning copies the tables.
///
/// # Examples
/// ```
/// use fairlane::Policy;
///
/// let policy = Policy::default();
/// assert_eq!(policy.default_tier().name(), "starter");
/// let quanta: Vec<f64> = policy.tiers().iter().map(|tier| tier.quantum()).collect();
/// assert_eq!(quanta, [20.0, 24.0, 40.0]);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    pub(super) queue_max: u32,
    pub(super) tenants_max: u32,
    pub(super) base_quantum: u32,
    pub(super) default_queue_max: u32,
    /// Index into `tiers`; always in bounds.
    pub(super) default_tier: usize,
    /// At least one, at most 64, in the order written.
    pub(super) tiers: Vec<Tier>,
    pub(super) overrides: BTreeMap<String, Override>,
    pub(super) costs: BTreeMap<String, KindCost>,
    pub(super) concurrency: Option<u32>,
    pub(super) max_wait: Option<Duration>,
    pub(super) priority_bands: Bands,
    pub(super) jitter: Duration,
    pub(super) budgets: BTreeMap<String, Budget>,
}

impl Policy {
    /// Starts a policy in code; what is not set keeps its default.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// Reads a policy from TOML text; what the text does not say keeps its default.
    ///
    /// A text that names any tier replaces the default set of tiers.
    ///
    /// # Errors
    /// [`PolicyError`] with every problem of the text: syntax, unknown and repeated keys, values
    /// out of range, a quantum that disagrees with its weight, a default tier or a budget that does
    /// not exist, minima above their maxima or, together, above the engine's concurrency, and limits
    /// that nothing can reach because a tighter one stands above them.
    ///
    /// # Examples
    /// ```
    /// use fairlane::Policy;
    ///
    /// let policy = Policy::from_toml("[tiers.gold]\nweight = 3\n[defaults]\ntier = 'gold'")?;
    /// assert_eq!(policy.default_tier().quantum(), 60.0);
    ///
    /// let error = Policy::from_toml("[engine]\nqueue_mx = 5").unwrap_err();
    /// assert!(error.to_string().contains("did you mean `queue_max`?"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "toml")]
    pub fn from_toml(text: &str) -> Result<Policy, PolicyError> {
        check::finish(super::file::read(text))
    }

    /// Reads a policy from TOML text, then lets environment variables override single keys.
    ///
    /// `FAIRLANE__ENGINE__QUEUE_MAX=5000` sets `engine.queue_max`,
    /// `FAIRLANE__TIERS__STARTER__WEIGHT=2` sets `tiers.starter.weight`. Parts are matched to
    /// existing names without regard to case, with `-` and `.` read as `_`; a tier, tenant or kind
    /// that does not exist yet is added under its lower-case name. Variables without the prefix
    /// `FAIRLANE__` are ignored. The order of `vars` does not matter.
    ///
    /// # Errors
    /// As [`Policy::from_toml`]; problems of a variable name the variable. An unknown section or
    /// key, a name that fits several existing ones, and two variables for one key are problems.
    ///
    /// # Examples
    /// ```
    /// use fairlane::Policy;
    ///
    /// let vars = [("FAIRLANE__TIERS__SCALE__WEIGHT".to_owned(), "4".to_owned())];
    /// let policy = Policy::from_toml_with_env("", vars)?;
    /// assert_eq!(policy.tier("scale").unwrap().quantum(), 80.0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "toml")]
    pub fn from_toml_with_env(
        text: &str,
        vars: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Policy, PolicyError> {
        let mut draft = super::file::read(text);
        super::env::apply(&mut draft, vars);
        check::finish(draft)
    }

    /// Jobs that may be queued in the whole engine, `1..=100_000_000`; 1,000,000 by default.
    #[must_use]
    pub fn queue_max(&self) -> u32 {
        self.queue_max
    }

    /// Tenants the engine may know at once, `1..=4_000_000`; 100,000 by default.
    #[must_use]
    pub fn tenants_max(&self) -> u32 {
        self.tenants_max
    }

    /// Cost units per unit of weight and round, `1..=1_000_000`; 20 by default.
    #[must_use]
    pub fn base_quantum(&self) -> u32 {
        self.base_quantum
    }

    /// Jobs one tenant may have queued unless its tier or an override says otherwise,
    /// `1..=1_048_576`; 10,000 by default.
    #[must_use]
    pub fn default_queue_max(&self) -> u32 {
        self.default_queue_max
    }

    /// The tier of a tenant that names none; `starter` by default.
    #[must_use]
    pub fn default_tier(&self) -> &Tier {
        &self.tiers[self.default_tier]
    }

    /// Every tier, 1 to 64 of them, in the order they were written.
    #[must_use]
    pub fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// Finds a tier by its exact name.
    #[must_use]
    pub fn tier(&self, name: &str) -> Option<&Tier> {
        self.tiers.iter().find(|tier| tier.name == name)
    }

    /// Every tenant with settings of its own, by name; at most 10,000.
    pub fn overrides(&self) -> impl Iterator<Item = (&str, &Override)> {
        self.overrides.iter().map(|(name, own)| (name.as_str(), own))
    }

    /// Finds the settings a tenant has of its own, by its exact name.
    #[must_use]
    pub fn override_for(&self, tenant: &str) -> Option<&Override> {
        self.overrides.get(tenant)
    }

    /// Every kind of job with a stated cost, by name; at most 256.
    pub fn costs(&self) -> impl Iterator<Item = (&str, KindCost)> {
        self.costs.iter().map(|(kind, cost)| (kind.as_str(), *cost))
    }

    /// Finds the stated cost of a kind of job, by its exact name.
    #[must_use]
    pub fn cost_for(&self, kind: &str) -> Option<KindCost> {
        self.costs.get(kind).copied()
    }

    /// Grants in flight in the whole engine, `0..=1_000_000`, where 0 means paused; `None` by
    /// default: as many as workers take.
    #[must_use]
    pub fn concurrency(&self) -> Option<u32> {
        self.concurrency
    }

    /// The longest time that any job waits, from its acceptance or due time until it expires, 1 ms
    /// to 366 days; `None` by default.
    #[must_use]
    pub fn max_wait(&self) -> Option<Duration> {
        self.max_wait
    }

    /// Where the four bands of priority begin; 3000, 6000 and 8000 by default.
    #[must_use]
    pub fn priority_bands(&self) -> Bands {
        self.priority_bands
    }

    /// The time over which parked lanes spread their return, up to 1 h; 0 by default.
    #[must_use]
    pub fn jitter(&self) -> Duration {
        self.jitter
    }

    /// Every budget, by name; at most 10,000.
    pub fn budgets(&self) -> impl Iterator<Item = &Budget> {
        self.budgets.values()
    }

    /// Finds a budget by its exact name.
    #[must_use]
    pub fn budget(&self, name: &str) -> Option<&Budget> {
        self.budgets.get(name)
    }

    /// What holds for a tenant of `tier` that has the settings `tenant` of its own.
    #[must_use]
    pub fn quota_for(&self, tier: &Tier, tenant: Option<&Override>) -> Quota {
        let inherits = Limits::default();
        let mut quota = tenant.map_or(&inherits, |own| &own.limits).over(&tier.limits);
        quota.tier_concurrency = tier.tier_concurrency;
        quota.max_wait = [self.max_wait, quota.max_wait].into_iter().flatten().min();
        quota.high_quota_eligible = tenant.is_some_and(|own| own.high_quota_eligible);
        quota
    }
}

impl Default for Policy {
    /// Tiers starter 1.0, growth 1.2 and scale 2.0, no overrides, no costs.
    fn default() -> Policy {
        check::finish(Draft::default()).expect("every default is in its own range")
    }
}

/// Bundles a weight, a queue bound and quotas under a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tier {
    pub(super) name: String,
    pub(super) weight: Weight,
    pub(super) queue_max: u32,
    /// `weight x base_quantum` in thousandths of a cost unit, at most 10^12.
    pub(super) quantum_thousandths: u64,
    pub(super) limits: Limits,
    pub(super) tier_concurrency: Option<Cap>,
}

impl Tier {
    /// The name, 1 to 64 bytes of `a-z`, `0-9`, `_` and `-`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The relative share of each tenant in this tier.
    #[must_use]
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// Jobs one tenant of this tier may have queued, `1..=1_048_576`; the policy's default when
    /// the tier does not say.
    #[must_use]
    pub fn queue_max(&self) -> u32 {
        self.queue_max
    }

    /// Cost units a tenant of this tier is refilled per round: `weight x base_quantum`,
    /// 0.01 to 10^9.
    #[must_use]
    pub fn quantum(&self) -> f64 {
        self.quantum_thousandths as f64 / 1_000.0
    }

    /// Jobs or cost granted to each tenant in a time; `None` by default.
    #[must_use]
    pub fn rate(&self) -> Option<Rate> {
        self.limits.rate.stated().copied()
    }

    /// Grants in flight of each tenant, where 0 means paused; `None` by default.
    #[must_use]
    pub fn concurrency(&self) -> Option<Cap> {
        self.limits.concurrency.stated().copied()
    }

    /// Grants in flight that each tenant may have whatever others do; `None` by default.
    #[must_use]
    pub fn concurrency_min(&self) -> Option<Cap> {
        self.limits.concurrency_min.stated().copied()
    }

    /// Grants in flight of each tenant once it is promoted; `None` by default, 100 in the preset
    /// `workspaces`.
    #[must_use]
    pub fn concurrency_promoted(&self) -> Option<u32> {
        self.limits.concurrency_promoted
    }

    /// Grants in flight of all tenants of the tier together, where 0 means paused; `None` by
    /// default.
    #[must_use]
    pub fn tier_concurrency(&self) -> Option<Cap> {
        self.tier_concurrency
    }

    /// The longest time a job waits; `None` by default. [`Policy::max_wait`] holds beside it.
    #[must_use]
    pub fn max_wait(&self) -> Option<Duration> {
        self.limits.max_wait.stated().copied()
    }

    /// What a submission does when there is no room; [`Overload::Reject`] by default.
    #[must_use]
    pub fn overload(&self) -> Overload {
        self.limits.overload.unwrap_or_default()
    }

    /// The budgets that every job of the tier draws on; none by default.
    #[must_use]
    pub fn budgets(&self) -> &[String] {
        self.limits.budgets.stated().map_or(&[], Vec::as_slice)
    }
}

/// Replaces single values of its tier for one tenant; `None` keeps the tier's.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Override {
    /// The tenant's own share.
    pub weight: Option<Weight>,
    /// Jobs this tenant may have queued, `1..=1_048_576`.
    pub queue_max: Option<u32>,
    /// Whether the tenant may be promoted to the larger bound of its tier.
    pub high_quota_eligible: bool,
    pub(super) limits: Limits,
}

impl Override {
    /// Jobs or cost granted in a time.
    #[must_use]
    pub fn rate(&self) -> Own<Rate> {
        self.limits.rate
    }

    /// Grants in flight; 0 means paused.
    #[must_use]
    pub fn concurrency(&self) -> Own<Cap> {
        self.limits.concurrency
    }

    /// Grants in flight that the tenant may have whatever others do.
    #[must_use]
    pub fn concurrency_min(&self) -> Own<Cap> {
        self.limits.concurrency_min
    }

    /// Grants in flight once it is promoted. A tenant that states its own concurrency does not
    /// inherit its tier's.
    #[must_use]
    pub fn concurrency_promoted(&self) -> Option<u32> {
        self.limits.concurrency_promoted
    }

    /// The longest time a job waits.
    #[must_use]
    pub fn max_wait(&self) -> Own<Duration> {
        self.limits.max_wait
    }

    /// What a submission does when there is no room.
    #[must_use]
    pub fn overload(&self) -> Option<Overload> {
        self.limits.overload
    }

    /// The budgets that every job draws on, in place of the tier's.
    #[must_use]
    pub fn budgets(&self) -> &Own<Vec<String>> {
        &self.limits.budgets
    }
}

/// Says what a job of one kind costs.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KindCost {
    /// The same for every job of the kind.
    Fixed(Cost),
    /// The job's own size, such as the number of items in a batch.
    Size,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let policy = Policy::default();
        assert_eq!(policy.queue_max(), 1_000_000);
        assert_eq!(policy.tenants_max(), 100_000);
        assert_eq!(policy.base_quantum(), 20);
        assert_eq!(policy.default_queue_max(), 10_000);
        assert_eq!(policy.default_tier().name(), "starter");
        let tiers: Vec<_> = policy
            .tiers()
            .iter()
            .map(|tier| (tier.name(), tier.weight().as_f64(), tier.queue_max(), tier.quantum()))
            .collect();
        let expected = [
            ("starter", 1.0, 10_000, 20.0),
            ("growth", 1.2, 10_000, 24.0),
            ("scale", 2.0, 10_000, 40.0),
        ];
        assert_eq!(tiers, expected);
        assert_eq!((policy.overrides().count(), policy.costs().count()), (0, 0));
        assert_eq!((policy.concurrency(), policy.max_wait()), (None, None));
        assert_eq!((policy.jitter(), policy.budgets().count()), (Duration::ZERO, 0));
        assert_eq!(policy.priority_bands().thresholds(), [3_000, 6_000, 8_000]);
        for tier in policy.tiers() {
            assert_eq!(policy.quota_for(tier, None), Quota::default());
        }
    }

    #[test]
    fn names_are_found_exactly_or_not_at_all() {
        let policy = Policy::default();
        assert_eq!(policy.tier("growth").map(Tier::name), Some("growth"));
        assert!(policy.tier("Growth").is_none());
        assert!(policy.override_for("acme").is_none());
        assert!(policy.cost_for("verify").is_none());
    }
}
