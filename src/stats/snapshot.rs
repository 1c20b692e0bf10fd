//! What an operator sees at one moment.

use super::Delays;
use crate::error::Reason;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;

/// The state of an engine, as read at one moment while it runs.
///
/// Totals are the sums of the tenants' rows plus those of tenants given up; `accepted` is
/// `dispatched + depth` as read, so `dispatched <= accepted` in every snapshot, and the exact
/// number once the engine is at rest. Serializes with feature `serde`; the fields are the JSON keys.
#[non_exhaustive]
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Snapshot {
    /// Nanoseconds since the engine was made.
    pub at_ns: u64,
    /// Jobs accepted since the start.
    pub accepted: u64,
    /// Jobs handed to a worker since the start.
    pub dispatched: u64,
    /// Cost of those jobs.
    pub served_cost: u64,
    /// Jobs waiting now.
    pub depth: u64,
    /// Jobs that expired in their queues; they count as dispatched, in the sense of taken out.
    pub expired: u64,
    /// Jobs handed out and not settled.
    pub running: u64,
    /// Jobs refused since the start, by reason.
    pub refused: BTreeMap<Reason, u64>,
    /// Tenants in the table.
    pub tenants: u32,
    /// The policy's `tenants_max`.
    pub tenants_max: u32,
    /// Tenants given up to make room.
    pub tenants_retired: u64,
    /// Jobs that fit the blocks in use.
    pub queue_reserved: u64,
    /// The engine-wide bound in jobs, rounded up to whole blocks.
    pub queue_max: u64,
    /// One in this many jobs of a tenant is timed: 1 when handlers take 1 us or more, else 64.
    pub timed_every: u32,
    /// What limits come to.
    pub limits: LimitsRow,
    /// One row per budget of the policy, in the order in which the engine came to know them.
    pub budgets: Vec<BudgetRow>,
    /// One row per tier of the policies so far.
    pub tiers: Vec<TierRow>,
    /// One row per worker.
    pub workers: Vec<WorkerRow>,
    /// One row per tenant, in the order of their slots.
    pub tenant_rows: Vec<TenantRow>,
}

/// What limits come to. Only tenants with limits are counted in it.
#[non_exhaustive]
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct LimitsRow {
    /// The engine's bound on grants in flight, if it has one.
    pub concurrency: Option<u32>,
    /// Grants in flight that count towards it, slots that parked lanes have been handed and not used yet
    /// included.
    pub in_flight: u32,
    /// Lanes that wait now, by the first reason in the order of the rules; those without a capable worker
    /// or a due job included, which are not parked.
    pub waiting: BTreeMap<Reason, u64>,
    /// Times a lane was parked since the start, by what it waited for.
    pub parked: BTreeMap<Reason, u64>,
    /// Lanes that wait for a slot while their tenants are below their guaranteed minimum. While there is
    /// any, freed slots go there first, and the fairness bound is suspended.
    pub minima_waiting: u64,
    /// Slots that went to such lanes since the start.
    pub minima_served: u64,
}

/// What stands in one budget.
#[non_exhaustive]
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct BudgetRow {
    /// Its name.
    pub budget: String,
    /// Times it has begun anew.
    pub resets: u64,
    /// When it begins anew next, on the engine's clock, if ever.
    pub resets_at_ns: Option<u64>,
    /// The dimension of the last hard breach since the last reset: a report or a settlement above the limit.
    pub last_breach: Option<String>,
    /// When that was.
    pub last_breach_ns: Option<u64>,
    /// What it counts: limited dimensions first, then others in the order in which they were spent.
    pub dimensions: Vec<BudgetDimensionRow>,
}

/// One dimension of a budget, in its own unit.
#[non_exhaustive]
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct BudgetDimensionRow {
    /// Its name.
    pub dimension: String,
    /// Spending above this is advice.
    pub soft: Option<u64>,
    /// At this much nothing more is granted.
    pub hard: Option<u64>,
    /// Counted since the last reset.
    pub used: u64,
    /// Held for grants in flight.
    pub reserved: u64,
    /// Really spent above the hard limit.
    pub debt: u64,
    /// Waits that began because of the hard limit: one for each tenant, until a grant or a wait for something else.
    pub hits: u64,
    /// Reports and settlements above the hard limit.
    pub hard_breaches: u64,
    /// The same of the soft limit.
    pub soft_breaches: u64,
}

/// Delays of the jobs of one tier.
#[non_exhaustive]
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct TierRow {
    /// The tier's name.
    pub tier: String,
    /// Time from acceptance, or from the due moment, to the grant.
    pub queue_delay: Quantiles,
    /// Time in the handler, for workers that the engine owns.
    pub run_time: Quantiles,
}

/// What one worker did.
#[non_exhaustive]
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct WorkerRow {
    /// The worker's number.
    pub worker: u32,
    /// Jobs granted to it.
    pub granted: u64,
    /// Their cost.
    pub cost: u64,
    /// Lanes it visited.
    pub visits: u64,
    /// Times it took lanes out of the rotation.
    pub claims: u64,
    /// Looks for work that took more than 1 ms with lanes claimed, counted while an observer is set.
    pub long_claims: u64,
    /// Times it went to sleep.
    pub sleeps: u64,
    /// Times it found only lanes whose producer had not finished.
    pub stalls: u64,
    /// Handlers that panicked.
    pub panics: u64,
    /// Jobs it took over from another worker and ran.
    pub taken_over: u64,
}

/// What one tenant did.
#[non_exhaustive]
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct TenantRow {
    /// The tenant's name.
    pub tenant: String,
    /// Its tier.
    pub tier: String,
    /// Its weight.
    pub weight: f64,
    /// Jobs accepted.
    pub accepted: u64,
    /// Jobs handed to a worker.
    pub dispatched: u64,
    /// Their cost.
    pub served_cost: u64,
    /// Jobs that expired in its queue; they count as dispatched.
    pub expired: u64,
    /// Jobs waiting now.
    pub depth: u32,
    /// The most jobs that may wait.
    pub queue_max: u32,
    /// Jobs refused.
    pub refused: u32,
    /// Cost of those jobs.
    pub refused_cost: u64,
    /// Grants in flight, when the tenant has limits: they are counted only then. Slots that it has been
    /// handed and not used yet are included.
    pub in_flight: Option<u32>,
    /// What the tenant's lane waits for, if it does; of its several lanes, the first that waits.
    pub waits_for: Option<Reason>,
}

/// A distribution in nanoseconds, to two digits; all 0 when `count` is 0.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Default, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Quantiles {
    /// Samples.
    pub count: u64,
    /// The middle one.
    pub p50_ns: u64,
    /// 95 of 100 are at most this.
    pub p95_ns: u64,
    /// 99 of 100 are at most this.
    pub p99_ns: u64,
    /// 999 of 1,000 are at most this.
    pub p999_ns: u64,
    /// The largest.
    pub max_ns: u64,
}

impl Quantiles {
    /// Reads the quantiles off a histogram.
    pub(crate) fn of(histogram: &Histogram<u64>) -> Quantiles {
        if histogram.is_empty() {
            return Quantiles::default();
        }
        Quantiles {
            count: histogram.len(),
            p50_ns: histogram.value_at_quantile(0.5),
            p95_ns: histogram.value_at_quantile(0.95),
            p99_ns: histogram.value_at_quantile(0.99),
            p999_ns: histogram.value_at_quantile(0.999),
            max_ns: histogram.max(),
        }
    }

    /// Merges what several workers measured.
    pub(crate) fn merged<'a>(
        workers: impl Iterator<Item = &'a Delays>,
        tier: u32,
        kind: super::Kind,
    ) -> Quantiles {
        let mut all = None;
        workers.for_each(|delays| delays.collect(tier, kind, &mut all));
        all.as_ref().map(Quantiles::of).unwrap_or_default()
    }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::super::delays::histogram;
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn quantiles(seconds: impl IntoIterator<Item = u64>) -> Quantiles {
        let mut histogram = histogram();
        seconds.into_iter().for_each(|s| histogram.record(s * SECOND).unwrap());
        Quantiles::of(&histogram)
    }

    /// Whether `ns` is so many seconds, to two digits.
    fn is(ns: u64, seconds: u64) -> bool {
        ns.abs_diff(seconds * SECOND) <= seconds * SECOND / 100
    }

    #[test]
    fn quantiles_are_samples_of_the_nearest_rank() {
        let all = quantiles(1..=1_000);
        assert!(is(all.p50_ns, 500) && is(all.p95_ns, 950) && is(all.p99_ns, 990), "{all:?}");
        assert!(is(all.p999_ns, 999) && is(all.max_ns, 1_000) && all.count == 1_000, "{all:?}");
        // B-45: of 1, 30, 300 and 600 s the fourth.
        let few = quantiles([1, 30, 300, 600]);
        assert!(is(few.p50_ns, 30) && is(few.p95_ns, 600), "{few:?}");
        assert_eq!(quantiles([]), Quantiles::default());
    }
}
