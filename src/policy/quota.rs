//! Quotas as a policy holds them: what a tier or a tenant states, and what follows for one tenant.

use std::fmt;
use std::time::Duration;

use super::text::show_duration;
use crate::limit::{Cap, Rate};

/// What a tier or a tenant says about one limit.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Own<T> {
    /// Nothing: a tenant has its tier's, a tier has none.
    #[default]
    Inherit,
    /// There is none, whatever the tier says; `"none"` in a file.
    Lift,
    /// This one, in place of the tier's.
    Is(T),
}

impl<T> Own<T> {
    /// The stated value, if one is stated.
    #[must_use]
    pub fn stated(&self) -> Option<&T> {
        match self {
            Own::Is(value) => Some(value),
            Own::Inherit | Own::Lift => None,
        }
    }
}

impl<T: Clone> Own<T> {
    /// What holds for a tenant that says `self` in a tier that says `tier`.
    #[must_use]
    pub fn over(&self, tier: &Own<T>) -> Option<T> {
        match self {
            Own::Inherit => tier.stated().cloned(),
            Own::Lift => None,
            Own::Is(value) => Some(value.clone()),
        }
    }
}

impl<T> From<T> for Own<T> {
    fn from(value: T) -> Own<T> {
        Own::Is(value)
    }
}

/// What a submission does when there is no room for its job.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Overload {
    /// It gives the job back at once.
    #[default]
    Reject,
    /// It waits for room, at most so long: 1 ms to 366 days.
    Wait(Duration),
}

/// The limits that a tier or a tenant states. Everything is inherited, hence unlimited, at first.
///
/// Values are checked by [`PolicyBuilder::build`](super::PolicyBuilder::build).
///
/// # Examples
/// ```
/// use fairlane::{Cap, Limits, Own, Policy, Rate, Unit, Weight};
/// use std::time::Duration;
///
/// let rate = Rate::strict(10, Unit::Jobs, Duration::from_secs(60))?;
/// let policy = Policy::builder()
///     .tier("starter", Weight::ONE)
///     .tier_limits("starter", Limits::default().rate(rate).concurrency(Cap::Grants(4)))
///     .tenant_limits("acme", Limits::default().rate(Own::Lift))
///     .build()?;
/// let acme = policy.quota_for(policy.default_tier(), policy.override_for("acme"));
/// assert_eq!((acme.rate, acme.concurrency), (None, Some(Cap::Grants(4))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq, Default, Debug)]
#[must_use]
pub struct Limits {
    pub(super) rate: Own<Rate>,
    pub(super) concurrency: Own<Cap>,
    pub(super) concurrency_min: Own<Cap>,
    pub(super) concurrency_promoted: Option<u32>,
    pub(super) max_wait: Own<Duration>,
    pub(super) overload: Option<Overload>,
    pub(super) budgets: Own<Vec<String>>,
}

impl Limits {
    /// Grants in flight per tenant in the preset `workspaces` (contract B-2).
    pub(super) const WORKSPACES: u32 = 64;
    /// The same for a promoted tenant.
    pub(super) const WORKSPACES_PROMOTED: u32 = 100;

    /// 64 grants in flight, 100 for a promoted tenant; `concurrency = "workspaces"` in a file.
    pub fn workspaces() -> Limits {
        Limits::default()
            .concurrency(Cap::Grants(Limits::WORKSPACES))
            .concurrency_promoted(Limits::WORKSPACES_PROMOTED)
    }

    /// Bounds the jobs or the cost granted in a time.
    pub fn rate(mut self, rate: impl Into<Own<Rate>>) -> Limits {
        self.rate = rate.into();
        self
    }

    /// Bounds the grants in flight: `0..=1_000_000`, where 0 means paused, or `0..=100` percent of
    /// the engine's.
    pub fn concurrency(mut self, cap: impl Into<Own<Cap>>) -> Limits {
        self.concurrency = cap.into();
        self
    }

    /// Guarantees so many grants in flight, as a part of the engine's concurrency, which must be
    /// stated.
    pub fn concurrency_min(mut self, cap: impl Into<Own<Cap>>) -> Limits {
        self.concurrency_min = cap.into();
        self
    }

    /// Bounds the grants in flight of a tenant that has been promoted, `1..=1_000_000`; at least
    /// the ordinary bound.
    pub fn concurrency_promoted(mut self, grants: u32) -> Limits {
        self.concurrency_promoted = Some(grants);
        self
    }

    /// Bounds the time a job waits before it is granted, 1 ms to 366 days.
    pub fn max_wait(mut self, time: impl Into<Own<Duration>>) -> Limits {
        self.max_wait = time.into();
        self
    }

    /// Says what a submission does when the queue is full; batches never wait.
    pub fn overload(mut self, overload: Overload) -> Limits {
        self.overload = Some(overload);
        self
    }

    /// Names the budgets that every job draws on, 1 to 16 of the policy's.
    pub fn budgets(mut self, names: impl Into<Own<Vec<String>>>) -> Limits {
        self.budgets = names.into();
        self
    }

    /// The promoted bound that holds under a tier's: it belongs to the ordinary one, so a tenant
    /// that states that one anew does not inherit it.
    fn promoted_over(&self, tier: &Limits) -> Option<u32> {
        let inherits = self.concurrency == Own::Inherit;
        self.concurrency_promoted.or(tier.concurrency_promoted.filter(|_| inherits))
    }

    /// What holds for a tenant with these limits in a tier with those.
    pub(super) fn over(&self, tier: &Limits) -> Quota {
        Quota {
            rate: self.rate.over(&tier.rate),
            concurrency: self.concurrency.over(&tier.concurrency),
            concurrency_min: self.concurrency_min.over(&tier.concurrency_min),
            concurrency_promoted: self.promoted_over(tier),
            tier_concurrency: None,
            max_wait: self.max_wait.over(&tier.max_wait),
            overload: self.overload.or(tier.overload).unwrap_or_default(),
            budgets: self.budgets.over(&tier.budgets).unwrap_or_default(),
            high_quota_eligible: false,
        }
    }
}

/// What holds for one tenant: the engine's, its tier's and its own limits taken together.
///
/// Shown as one line, such as `rate 10 jobs per 60s, concurrency 4, overload reject`; a bound of 0 is
/// shown as `0 (paused)`.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Quota {
    /// Jobs or cost granted in a time.
    pub rate: Option<Rate>,
    /// Grants in flight of this tenant; 0 means paused.
    pub concurrency: Option<Cap>,
    /// Grants in flight that it may have whatever others do; see [`Quota::minimum`].
    pub concurrency_min: Option<Cap>,
    /// Grants in flight once it is promoted.
    pub concurrency_promoted: Option<u32>,
    /// Grants in flight of all tenants of its tier together; 0 means paused.
    pub tier_concurrency: Option<Cap>,
    /// The longest wait of a job: the smaller of the engine's, and the tenant's or its tier's.
    pub max_wait: Option<Duration>,
    /// What a submission does when there is no room.
    pub overload: Overload,
    /// The budgets that every job draws on, in the order written.
    pub budgets: Vec<String>,
    /// Whether it may be promoted.
    pub high_quota_eligible: bool,
}

impl Quota {
    /// The guaranteed grants in flight, where the engine's bound is `capacity`: never more than
    /// any bound above it, since a tenant may state a bound below its tier's minimum.
    ///
    /// Only the minima that the policy names are known to fit the capacity. Where more tenants of
    /// a tier with a minimum are active than fit, the minima are scaled down together.
    #[must_use]
    pub fn minimum(&self, capacity: Option<u32>) -> u32 {
        let grants = |cap: Option<Cap>| cap.and_then(|cap| cap.grants(capacity));
        let bounds = [grants(self.concurrency), grants(self.tier_concurrency), capacity];
        let wanted = grants(self.concurrency_min).unwrap_or(0);
        bounds.into_iter().flatten().fold(wanted, u32::min)
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stated = [
            ("rate", self.rate.map(|rate| rate.to_string())),
            ("concurrency", self.concurrency.map(show_bound)),
            ("concurrency_min", self.concurrency_min.map(|cap| cap.to_string())),
            ("concurrency_promoted", self.concurrency_promoted.map(|n| n.to_string())),
            ("tier_concurrency", self.tier_concurrency.map(show_bound)),
            ("max_wait", self.max_wait.map(show_duration)),
            ("budgets", (!self.budgets.is_empty()).then(|| self.budgets.join(" and "))),
        ];
        for (name, value) in stated {
            if let Some(value) = value {
                write!(f, "{name} {value}, ")?;
            }
        }
        write!(f, "overload {}", self.overload)
    }
}

/// As the policy file has it, without quotes: `40` or `50%`.
impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cap::Grants(grants) => write!(f, "{grants}"),
            Cap::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// As the policy file has it: `reject`, or `wait 2s`.
impl fmt::Display for Overload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Overload::Reject => f.write_str("reject"),
            Overload::Wait(time) => write!(f, "wait {}", show_duration(*time)),
        }
    }
}

/// A bound with what 0 means.
fn show_bound(cap: Cap) -> String {
    let paused = if matches!(cap, Cap::Grants(0) | Cap::Percent(0)) { " (paused)" } else { "" };
    format!("{cap}{paused}")
}

/// One dimension of a budget, such as `tokens`; at least one of the limits is stated.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BudgetLimit {
    /// The dimension: 1 to 64 bytes of `a-z`, `0-9`, `_`, `.` and `-`.
    pub dimension: String,
    /// What may be used, `1..=10^15`; at this much the budget is exhausted.
    pub hard: Option<u64>,
    /// What may be used before it is reported, `1..=10^15`, at most the hard limit.
    pub soft: Option<u64>,
}

/// A named allowance of one or more dimensions, which tenants may share.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Budget {
    pub(super) name: String,
    pub(super) limits: Vec<BudgetLimit>,
    pub(super) reset: Option<Duration>,
}

impl Budget {
    /// The name, 1 to 64 bytes of `a-z`, `0-9`, `_`, `.` and `-`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its dimensions, 1 to 32 of them: those with a hard limit first, in the order written.
    #[must_use]
    pub fn limits(&self) -> &[BudgetLimit] {
        &self.limits
    }

    /// The time after which it begins anew, 1 s to 366 days; `None` when it never does.
    #[must_use]
    pub fn reset(&self) -> Option<Duration> {
        self.reset
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::Unit;

    fn rate(most: u64) -> Rate {
        Rate::strict(most, Unit::Jobs, Duration::from_secs(60)).unwrap()
    }

    #[test]
    fn a_tenant_inherits_replaces_or_lifts_what_its_tier_says() {
        let tier = Limits::default().rate(rate(5)).budgets(vec!["org".to_owned()]);
        let inherits = Limits::default().over(&tier);
        assert_eq!((inherits.rate, inherits.budgets.len()), (Some(rate(5)), 1));
        let replaces = Limits::default().rate(rate(9)).over(&tier);
        assert_eq!((replaces.rate, replaces.budgets.len()), (Some(rate(9)), 1));
        let lifts = Limits::default().rate(Own::Lift).budgets(Own::Lift).over(&tier);
        assert_eq!(lifts, Quota::default());
    }

    #[test]
    fn the_promoted_bound_goes_with_the_ordinary_one() {
        let tier = Limits::workspaces();
        let promoted = |own: Limits| own.over(&tier).concurrency_promoted;
        assert_eq!(promoted(Limits::default()), Some(100));
        assert_eq!(promoted(Limits::default().concurrency_promoted(70)), Some(70));
        assert_eq!(promoted(Limits::default().concurrency(Cap::Grants(200))), None);
        assert_eq!(promoted(Limits::default().concurrency(Own::Lift)), None);
    }

    #[test]
    fn a_minimum_is_never_above_a_bound() {
        let tier = Limits::default().concurrency_min(Cap::Percent(50)).concurrency(Cap::Grants(40));
        let mut quota = Limits::default().over(&tier);
        assert_eq!(quota.minimum(Some(60)), 30);
        assert_eq!(quota.minimum(Some(100)), 40);
        assert_eq!((quota.minimum(Some(0)), quota.minimum(None)), (0, 0));
        quota.tier_concurrency = Some(Cap::Grants(7));
        assert_eq!(quota.minimum(Some(100)), 7);
        let paused = Limits::default().concurrency(Cap::Grants(0)).over(&tier);
        assert_eq!(paused.minimum(Some(100)), 0);
        assert_eq!(Quota::default().minimum(Some(100)), 0);
    }

    #[test]
    fn a_quota_is_shown_in_the_words_of_the_file() {
        assert_eq!(Quota::default().to_string(), "overload reject");
        let mut quota = Limits::workspaces()
            .rate(rate(10))
            .concurrency_min(Cap::Percent(5))
            .max_wait(Duration::from_secs(60))
            .overload(Overload::Wait(Duration::from_millis(1_500)))
            .budgets(vec!["a".to_owned(), "b".to_owned()])
            .over(&Limits::default());
        quota.tier_concurrency = Some(Cap::Grants(0));
        let expected = "rate 10 jobs per 60s, concurrency 64, concurrency_min 5%, \
                        concurrency_promoted 100, tier_concurrency 0 (paused), max_wait 60s, \
                        budgets a and b, overload wait 1500ms";
        assert_eq!(quota.to_string(), expected);
    }
}
