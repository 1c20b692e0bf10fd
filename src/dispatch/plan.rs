//! The policy as the dispatcher reads it: profiles by number.

use crate::fair::Quantum;
use crate::gate::{Budgets, Dimensions, Draw, Rules, TIERS_MAX};
use crate::limit::{BudgetTerms, DimensionTerms, Unit};
use crate::policy::{KindCost, Overload, Policy, Quota};
use crate::tenant::Terms;
use crate::units::Nanos;
use std::collections::HashMap;
use std::sync::Arc;

/// One (tier, override) pair. Its number never changes while the engine lives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile {
    /// Index into [`Plan::tiers`].
    pub(crate) tier: u32,
    pub(crate) weight: f64,
    pub(crate) quantum: Quantum,
    pub(crate) bound: u32,
    /// Whether [`Plan::rules`] says anything about it.
    pub(crate) is_limited: bool,
}

/// A policy with numbers for names. Numbers given out by one plan are kept by its successors.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) policy: Policy,
    /// Tier names by number. Never shrinks.
    pub(crate) tiers: Vec<String>,
    pub(crate) profiles: Vec<Profile>,
    /// What limits the tenants of each profile, by its number.
    pub(crate) rules: Vec<Rules>,
    /// Profile of (tier, overridden tenant or none).
    numbers: HashMap<(u32, Option<String>), u32>,
    /// Every budget the engine has known, by name. The same for all its plans.
    pub(crate) budgets: Arc<Budgets>,
    /// Kind names by number. Never shrinks.
    pub(crate) kinds: Vec<String>,
    /// The smallest quantum of any tier, in cost units: how fine rounds may get.
    pub(crate) smallest_quantum: f64,
}

/// Why a policy cannot follow another one in a running engine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum PlanError {
    /// A number that sizes the engine differs: key, old value, new value.
    Fixed(&'static str, u64, u64),
    /// The tier is gone but has tenants.
    TierInUse(String),
    /// The tier's grants cannot be counted: the engine has known too many tiers before it.
    TooManyTiers(String),
}

impl Plan {
    pub(crate) fn new(policy: Policy) -> Plan {
        let mut plan = Plan {
            policy,
            tiers: Vec::new(),
            profiles: Vec::new(),
            rules: Vec::new(),
            numbers: HashMap::new(),
            budgets: Arc::default(),
            kinds: Vec::new(),
            smallest_quantum: 1.0,
        };
        plan.renumber();
        plan
    }

    /// The plan for `policy` in the same engine. `is_used` tells whether a tier has tenants.
    pub(crate) fn next(
        &self,
        policy: Policy,
        is_used: impl Fn(u32) -> bool,
    ) -> Result<Plan, PlanError> {
        let (old, new) = (&self.policy, &policy);
        fixed("engine.queue_max", u64::from(old.queue_max()), u64::from(new.queue_max()))?;
        fixed("engine.tenants_max", u64::from(old.tenants_max()), u64::from(new.tenants_max()))?;
        for (number, name) in self.tiers.iter().enumerate() {
            if new.tier(name).is_none() && is_used(number as u32) {
                return Err(PlanError::TierInUse(name.clone()));
            }
        }
        if let Some(name) = self.uncountable(new) {
            return Err(PlanError::TooManyTiers(name));
        }
        let mut plan = self.clone();
        plan.policy = policy;
        plan.renumber();
        Ok(plan)
    }

    /// A tier of `policy` whose grants are limited together and whose number would be too high to count
    /// them by: names keep their numbers, and a grant has room for so many.
    fn uncountable(&self, policy: &Policy) -> Option<String> {
        let mut next = self.tiers.len();
        for tier in policy.tiers() {
            let known = self.tiers.iter().position(|name| name == tier.name());
            let number = known.unwrap_or(next);
            next += usize::from(known.is_none());
            if number >= TIERS_MAX && tier.tier_concurrency().is_some() {
                return Some(tier.name().to_owned());
            }
        }
        None
    }

    /// Gives new names numbers and recomputes every profile from the policy.
    fn renumber(&mut self) {
        for tier in self.policy.tiers() {
            if !self.tiers.iter().any(|name| name == tier.name()) {
                self.tiers.push(tier.name().to_owned());
            }
        }
        for (kind, _) in self.policy.costs() {
            if !self.kinds.iter().any(|name| name == kind) {
                self.kinds.push(kind.to_owned());
            }
        }
        let pairs: Vec<_> = self.numbers.drain().collect();
        for (pair, number) in pairs {
            if let Some((profile, rules)) = self.compute(pair.0, pair.1.as_deref()) {
                self.profiles[number as usize] = profile;
                self.rules[number as usize] = rules;
            }
            self.numbers.insert(pair, number);
        }
        for tier in 0..self.tiers.len() as u32 {
            self.ensure(tier, None);
        }
        let quanta = self.policy.tiers().iter().map(|tier| tier.quantum());
        self.smallest_quantum = quanta.fold(f64::INFINITY, f64::min);
    }

    fn compute(&self, tier: u32, tenant: Option<&str>) -> Option<(Profile, Rules)> {
        let named = self.policy.tier(&self.tiers[tier as usize])?;
        let own = tenant.and_then(|name| self.policy.override_for(name));
        let weight = own.and_then(|own| own.weight).unwrap_or_else(|| named.weight());
        let rules = self.rules_for(tier, &self.policy.quota_for(named, own));
        let profile = Profile {
            tier,
            weight: weight.as_f64(),
            quantum: Quantum::new(weight, self.policy.base_quantum()),
            bound: own.and_then(|own| own.queue_max).unwrap_or_else(|| named.queue_max()),
            is_limited: !rules.is_none(),
        };
        Some((profile, rules))
    }

    fn rules_for(&self, tier: u32, quota: &Quota) -> Rules {
        let capacity = self.policy.concurrency();
        let counts_tier = quota.tier_concurrency.is_some();
        debug_assert!(!counts_tier || (tier as usize) < TIERS_MAX, "refused by Plan::next");
        Rules {
            rate: quota.rate,
            cap: quota.concurrency.and_then(|cap| cap.grants(capacity)),
            min: quota.minimum(capacity),
            tier: counts_tier.then_some(tier),
            engine: capacity.is_some(),
            budgets: self.draws(&quota.budgets),
            max_wait: quota.max_wait.map_or(Nanos::MAX, Nanos::from_duration),
            overload: match quota.overload {
                Overload::Reject => None,
                Overload::Wait(time) => Some(time),
            },
            jitter: Nanos::from_duration(self.policy.jitter()),
        }
    }

    /// The named budgets, by number.
    fn draws(&self, names: &[String]) -> Arc<[Draw]> {
        let mut draws: Vec<Draw> = names.iter().map(|name| self.draw(name)).collect();
        draws.sort_by_key(|draw| draw.purse.number());
        draws.dedup_by_key(|draw| draw.purse.number());
        draws.into()
    }

    /// What drawing on a budget comes to.
    pub(crate) fn draw(&self, name: &str) -> Draw {
        let limits = self.policy.budget(name).map_or(&[][..], |budget| budget.limits());
        let with_cost = limits.iter().any(|limit| limit.dimension == Dimensions::COST_NAME);
        Draw { purse: self.budgets.ensure(name), with_cost }
    }

    /// The limits of every budget of the policy, by name.
    pub(crate) fn budget_terms(&self) -> HashMap<String, BudgetTerms> {
        let budgets = self.policy.budgets().map(|budget| {
            let dimensions = budget.limits().iter().map(|limit| DimensionTerms {
                name: limit.dimension.as_str().into(),
                soft: limit.soft,
                hard: limit.hard,
            });
            let every = budget.reset().map(Nanos::from_duration);
            (budget.name().to_owned(), BudgetTerms { dimensions: dimensions.collect(), every })
        });
        budgets.collect()
    }

    /// The most cost units that one job may draw on its tenant's budgets.
    fn cost_room(&self, rules: &Rules) -> u64 {
        let budgets = rules.budgets.iter().filter_map(|draw| self.policy.budget(draw.purse.name()));
        let limits = budgets.flat_map(|budget| budget.limits());
        let of_cost = limits.filter(|limit| limit.dimension == Dimensions::COST_NAME);
        of_cost.filter_map(|limit| limit.hard).min().unwrap_or(u64::MAX)
    }

    /// The limit of each tier's grants in flight, by number.
    pub(crate) fn tier_caps(&self) -> impl Iterator<Item = Option<u32>> {
        let capacity = self.policy.concurrency();
        self.tiers
            .iter()
            .map(move |name| self.policy.tier(name)?.tier_concurrency()?.grants(capacity))
    }

    fn ensure(&mut self, tier: u32, tenant: Option<&str>) -> u32 {
        let pair = (tier, tenant.map(str::to_owned));
        if let Some(&number) = self.numbers.get(&pair) {
            return number;
        }
        let (profile, rules) = self.compute(tier, tenant).expect("a tier of the policy");
        let number = self.profiles.len() as u32;
        self.profiles.push(profile);
        self.rules.push(rules);
        self.numbers.insert(pair, number);
        number
    }

    /// The number of a tier of the policy.
    pub(crate) fn tier(&self, name: &str) -> Option<u32> {
        self.policy.tier(name)?;
        self.tiers.iter().position(|tier| tier == name).map(|at| at as u32)
    }

    /// What holds for `tenant` in `tier`, when this plan has it; see [`Plan::ensure_terms`].
    pub(crate) fn terms(&self, tier: u32, tenant: &str) -> Option<Terms> {
        let own = self.policy.override_for(tenant).map(|_| tenant.to_owned());
        let profile = *self.numbers.get(&(tier, own))?;
        Some(self.terms_of(profile))
    }

    /// What holds for the tenants of a profile.
    pub(crate) fn terms_of(&self, profile: u32) -> Terms {
        let rules = &self.rules[profile as usize];
        let by_cost = rules.rate.filter(|rate| rate.unit() == Unit::Cost);
        let widest = by_cost.map_or(u64::MAX, |rate| rate.widest()).min(self.cost_room(rules));
        Terms {
            profile,
            bound: self.profiles[profile as usize].bound,
            cost_max: u32::try_from(widest).unwrap_or(u32::MAX),
            max_wait: rules.max_wait,
        }
    }

    /// What holds for `tenant` in `tier`; the plan has a profile for it from then on.
    pub(crate) fn ensure_terms(&mut self, tier: u32, tenant: &str) -> Terms {
        let own = self.policy.override_for(tenant).map(|_| tenant);
        let profile = self.ensure(tier, own);
        self.terms_of(profile)
    }

    /// Cost of every kind by number; 0 for a kind whose cost is the job's own size.
    pub(crate) fn kind_costs(&self) -> impl Iterator<Item = u32> {
        self.kinds.iter().map(|kind| match self.policy.cost_for(kind) {
            Some(KindCost::Fixed(cost)) => cost.get(),
            _ => 0,
        })
    }
}

fn fixed(key: &'static str, old: u64, new: u64) -> Result<(), PlanError> {
    if old == new { Ok(()) } else { Err(PlanError::Fixed(key, old, new)) }
}
