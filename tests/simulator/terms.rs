//! A policy in the words of the simulator, for the engine and for the oracle alike.

use crate::quota::Quota;
use fairlane::{Cap, Policy, Weight};
use std::collections::BTreeMap;
use std::time::Duration;

/// A tier: weight in thousandths, bound of each of its tenants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Tier {
    pub(crate) weight: u32,
    pub(crate) bound: u32,
    pub(crate) quota: Quota,
}

/// What holds for a tenant.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Due {
    pub(crate) weight: f64,
    /// Cost units a turn.
    pub(crate) quantum: f64,
    pub(crate) bound: u32,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Terms {
    /// The quantum per unit weight.
    pub(crate) base: u32,
    pub(crate) queue_max: u32,
    pub(crate) tenants_max: u32,
    pub(crate) tiers: Vec<Tier>,
    /// The engine's bound on grants in flight, and how far parked lanes' returns are put off.
    pub(crate) capacity: Option<u32>,
    pub(crate) jitter_ns: u64,
    /// Tenants with a weight, a bound and quotas of their own.
    pub(crate) own: BTreeMap<usize, Tier>,
}

impl Terms {
    pub(crate) fn of(&self, tenant: usize, tier: usize) -> Due {
        let tier = self.own.get(&tenant).unwrap_or(&self.tiers[tier]);
        let weight = f64::from(tier.weight) / 1_000.0;
        let bound = self.bound(tier);
        Due { weight, quantum: weight * f64::from(self.base), bound }
    }

    /// What a policy may say of a tier's bound: no more than the engine's.
    fn bound(&self, tier: &Tier) -> u32 {
        tier.bound.min(self.queue_max)
    }

    /// The smallest quantum of any tier, in cost units.
    pub(crate) fn smallest_quantum(&self) -> f64 {
        let weights = self.tiers.iter().map(|tier| tier.weight).min();
        f64::from(weights.unwrap_or(1)) / 1_000.0 * f64::from(self.base)
    }

    /// Slots per block, as DESIGN.md has it: the largest power of two up to 32 that is at most
    /// four fifths of `queue_max / tenants_max`.
    pub(crate) fn block(&self) -> u64 {
        1 << (self.queue_max * 4 / 5 / self.tenants_max).clamp(1, 32).ilog2()
    }

    /// The quotas of a tenant; the bound of a tier is always its tier's.
    pub(crate) fn quota(&self, tenant: usize, tier: usize) -> Quota {
        let of = self.own.get(&tenant).unwrap_or(&self.tiers[tier]);
        Quota { tier_cap: self.tiers[tier].quota.tier_cap, ..of.quota }
    }

    pub(crate) fn policy(&self) -> Policy {
        self.try_policy().expect("terms are drawn in range")
    }

    /// The policy, if its limits do not contradict each other.
    pub(crate) fn try_policy(&self) -> Option<Policy> {
        let mut policy = Policy::builder()
            .base_quantum(self.base)
            .queue_max(self.queue_max)
            .tenants_max(self.tenants_max)
            .default_tier(tier_name(0))
            .jitter(Duration::from_nanos(self.jitter_ns));
        if let Some(capacity) = self.capacity {
            policy = policy.concurrency(capacity);
        }
        for (number, tier) in self.tiers.iter().enumerate() {
            policy = policy
                .tier(tier_name(number), weight(tier))
                .tier_queue_max(tier_name(number), self.bound(tier));
            if !tier.quota.is_none() {
                policy = policy.tier_limits(tier_name(number), tier.quota.limits());
            }
            if let Some(cap) = tier.quota.tier_cap {
                policy = policy.tier_concurrency(tier_name(number), Cap::Grants(cap));
            }
        }
        for (tenant, own) in &self.own {
            policy = policy
                .tenant_weight(tenant_name(*tenant), weight(own))
                .tenant_queue_max(tenant_name(*tenant), self.bound(own))
                .tenant_limits(tenant_name(*tenant), own.quota.limits());
        }
        policy.build().ok()
    }
}

fn weight(tier: &Tier) -> Weight {
    Weight::new(f64::from(tier.weight) / 1_000.0).expect("a weight in range")
}

pub(crate) fn tier_name(tier: usize) -> String {
    format!("tier-{tier}")
}

pub(crate) fn tenant_name(tenant: usize) -> String {
    format!("t{tenant}")
}
