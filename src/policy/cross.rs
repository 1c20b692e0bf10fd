//! What the limits of a policy mean to each other: minima that do not fit, limits that nothing can
//! reach, percentages of nothing.
//!
//! Tenants come to a tier at run time, so only what holds for every tenant is a problem here. Each
//! tier's minimum counts once, and so does each tenant's own; how many tenants share a tier's is
//! not known. Where more of them are active than fit, the minima are scaled down at run time.
//!
//! A bound of 0 pauses, which is always allowed: it makes no other limit unreachable, so that a
//! tenant, a tier or the engine can be paused by one variable.

use std::time::Duration;

use super::draft::{Draft, Setting, Table};
use super::model::{KindCost, Policy};
use super::problem::{Problem, path};
use super::quota::{Budget, Limits, Own};
use super::schema::{ENGINE_QUEUE_MAX, Key, Section};
use super::schema_quota::is_none;
use super::text::show_duration;
use crate::limit::{Cap, DimensionTerms, Rate, Unit};

/// Minima that the problem of their sum names.
const NAMED_MAX: usize = 3;

/// Lists what is wrong between values that are right by themselves.
pub(super) fn problems(draft: &Draft, policy: &Policy) -> Vec<Problem> {
    let mut cross = Cross {
        capacity: Capacity::of(draft, policy),
        max_wait: policy.max_wait,
        any_concurrency: false,
        minima: Vec::new(),
        problems: Vec::new(),
    };
    cross.tiers(draft, policy);
    cross.tenants(draft, policy);
    cross.sum_of_minima(draft);
    cross.minima_in_tiers(draft, policy);
    cross.queues(draft, policy);
    cross.budgets(draft, policy);
    cross.kinds(draft, policy);
    cross.problems
}

/// What is known of the engine's concurrency.
#[derive(Clone, Copy, PartialEq)]
enum Capacity {
    /// It was written and refused: nothing can be said that depends on it.
    Refused,
    Unstated,
    Grants(u32),
}

impl Capacity {
    fn of(draft: &Draft, policy: &Policy) -> Capacity {
        let setting = draft.engine.settings.get(&Key::Concurrency);
        match (policy.concurrency, setting) {
            (Some(grants), _) => Capacity::Grants(grants),
            (None, Some(setting)) if !is_none(&setting.raw) => Capacity::Refused,
            (None, _) => Capacity::Unstated,
        }
    }

    fn grants(self) -> Option<u32> {
        match self {
            Capacity::Grants(grants) => Some(grants),
            Capacity::Refused | Capacity::Unstated => None,
        }
    }
}

/// A tier or a tenant, and what it says.
struct Subject<'a> {
    section: Section,
    name: &'a str,
    table: &'a Table,
    limits: &'a Limits,
}

impl Subject<'_> {
    fn setting(&self, key: Key) -> Option<&Setting> {
        self.table.settings.get(&key)
    }

    /// Whether it says a concurrency, even one that was refused.
    fn has_concurrency(&self) -> bool {
        self.setting(Key::Concurrency).is_some() && self.limits.concurrency != Own::Lift
    }
}

/// A bound in grants that stands above another limit.
#[derive(Clone)]
struct Bound {
    grants: u32,
    /// In words, such as `engine.concurrency is 10`.
    says: String,
}

impl Bound {
    /// A bound that is stated and does not pause.
    fn new(grants: Option<u32>, name: &str) -> Option<Bound> {
        let grants = grants.filter(|grants| *grants > 0)?;
        Some(Bound { grants, says: format!("{name} is {grants}") })
    }
}

fn tightest(bounds: &[Option<Bound>]) -> Option<&Bound> {
    bounds.iter().flatten().min_by_key(|bound| bound.grants)
}

/// A stated minimum in grants.
struct Minimum {
    section: Section,
    /// `tenants.acme.concurrency_min`.
    path: String,
    grants: u32,
}

/// The sum of minima, and the largest of them in words.
fn sum_of<'a>(minima: impl Iterator<Item = &'a Minimum>) -> (u64, String) {
    let mut minima: Vec<&Minimum> = minima.collect();
    minima.sort_by_key(|minimum| std::cmp::Reverse(minimum.grants));
    let named = minima.iter().take(NAMED_MAX);
    let largest: Vec<String> = named.map(|min| format!("{} {}", min.path, min.grants)).collect();
    (minima.iter().map(|min| u64::from(min.grants)).sum(), largest.join(", "))
}

struct Cross {
    capacity: Capacity,
    /// The engine's.
    max_wait: Option<Duration>,
    /// Whether some tier says a concurrency.
    any_concurrency: bool,
    /// Minima that are right by themselves.
    minima: Vec<Minimum>,
    problems: Vec<Problem>,
}

impl Cross {
    fn tiers(&mut self, draft: &Draft, policy: &Policy) {
        for tier in &policy.tiers {
            let Some(table) = draft.tiers.get(&tier.name) else { continue };
            let (section, limits) = (Section::Tiers, &tier.limits);
            let subject = Subject { section, name: &tier.name, table, limits };
            let engine = Bound::new(self.capacity.grants(), "engine.concurrency");
            self.cap(
                &subject,
                Key::TierConcurrency,
                tier.tier_concurrency,
                std::slice::from_ref(&engine),
            );
            let whole = Bound::new(self.grants(tier.tier_concurrency), "tier_concurrency");
            let above = [whole, engine];
            self.subject(&subject, &above);
            let own = self.grants(limits.concurrency.stated().copied());
            self.promoted(&subject, own, subject.has_concurrency(), &above);
            self.any_concurrency |= subject.has_concurrency();
        }
    }

    fn tenants(&mut self, draft: &Draft, policy: &Policy) {
        let above = Above::of(self, policy);
        for (name, own) in &policy.overrides {
            let Some(table) = draft.tenants.get(name) else { continue };
            let limits = &own.limits;
            let subject = Subject { section: Section::Tenants, name, table, limits };
            let engine = Bound::new(self.capacity.grants(), "engine.concurrency");
            let inherits = subject.setting(Key::Concurrency).is_none();
            let inherited = above.concurrency.clone().filter(|_| inherits);
            let shared = [above.tier_concurrency.clone(), engine];
            self.subject(&subject, &[&[inherited], &shared[..]].concat());
            if inherits {
                let applies = self.any_concurrency;
                self.promoted(&subject, above.least_concurrency, applies, &shared);
            } else {
                let own = self.grants(limits.concurrency.stated().copied());
                self.promoted(&subject, own, subject.has_concurrency(), &shared);
            }
        }
    }

    fn grants(&self, cap: Option<Cap>) -> Option<u32> {
        cap.and_then(|cap| cap.grants(self.capacity.grants()))
    }

    /// Checks what tiers and tenants have in common, under the bounds that stand above them.
    fn subject(&mut self, subject: &Subject<'_>, above: &[Option<Bound>]) {
        let own = subject.limits.concurrency.stated().copied();
        self.cap(subject, Key::Concurrency, own, above);
        self.minimum(subject, self.grants(own), above);
        let wait = subject.limits.max_wait.stated();
        if let Some(engine) = self.max_wait.filter(|max| wait.is_some_and(|wait| wait > max)) {
            let most = show_duration(engine);
            let hint = format!("unreachable: engine.max_wait is {most}");
            self.refuse(subject, Key::MaxWait, format!("at most \"{most}\""), hint);
        }
    }

    fn cap(&mut self, subject: &Subject<'_>, key: Key, cap: Option<Cap>, above: &[Option<Bound>]) {
        let is_share = matches!(cap, Some(Cap::Percent(1..)));
        if is_share && self.capacity == Capacity::Unstated {
            let hint = "a percentage is a part of engine.concurrency: state that too";
            self.refuse(subject, key, "a number of grants", hint);
            return;
        }
        if let Some((grants, bound)) = self.grants(cap).zip(tightest(above)) {
            if grants > bound.grants {
                let hint = format!("unreachable: {}", bound.says);
                self.refuse(subject, key, format!("at most {}", bound.grants), hint);
            }
        }
    }

    fn minimum(&mut self, subject: &Subject<'_>, own: Option<u32>, above: &[Option<Bound>]) {
        let Some(cap) = subject.limits.concurrency_min.stated().copied() else { return };
        let key = Key::ConcurrencyMin;
        if self.capacity == Capacity::Unstated {
            let hint = "a minimum is a part of engine.concurrency: state that too";
            self.refuse(subject, key, "nothing without engine.concurrency", hint);
            return;
        }
        let Some(grants) = self.grants(Some(cap)) else { return };
        let mut bounds = above.to_vec();
        bounds.push(Bound::new(own, "concurrency"));
        match tightest(&bounds) {
            Some(bound) if grants > bound.grants => {
                let hint = format!("a minimum above its maximum: {}", bound.says);
                self.refuse(subject, key, format!("at most {}", bound.grants), hint);
            }
            _ => {
                let section = subject.section;
                let path = path(&[section.name(), subject.name, key.name()]);
                self.minima.push(Minimum { section, path, grants });
            }
        }
    }

    /// Checks a stated promoted bound against the ordinary one, `own`; `applies` says whether there
    /// is an ordinary one at all.
    fn promoted(
        &mut self,
        subject: &Subject<'_>,
        own: Option<u32>,
        applies: bool,
        above: &[Option<Bound>],
    ) {
        let key = Key::ConcurrencyPromoted;
        let stated = subject.limits.concurrency_promoted.filter(|_| subject.setting(key).is_some());
        let Some(promoted) = stated else { return };
        if !applies {
            let hint = "without concurrency there is nothing to be promoted from";
            self.refuse(subject, key, "only beside concurrency", hint);
            return;
        }
        if let Some(own) = own.filter(|own| promoted < *own) {
            let hint = format!("a promotion never lowers: concurrency is {own}");
            self.refuse(subject, key, format!("at least {own}"), hint);
        }
        self.cap(subject, key, Some(Cap::Grants(promoted)), above);
    }

    fn refuse(
        &mut self,
        subject: &Subject<'_>,
        key: Key,
        allowed: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let Some(setting) = subject.setting(key) else { return };
        self.report(&[subject.section.name(), subject.name, key.name()], setting, allowed, hint);
    }

    /// Adds a problem of what is written at `at`.
    fn report(
        &mut self,
        at: &[&str],
        setting: &Setting,
        allowed: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let value = Some(setting.written.as_str());
        self.problems.push(Problem::new(path(at), &setting.place, value, allowed, hint));
    }

    fn sum_of_minima(&mut self, draft: &Draft) {
        let capacity = self.capacity.grants().filter(|capacity| *capacity > 0);
        let (Some(capacity), Some(setting)) =
            (capacity, draft.engine.settings.get(&Key::Concurrency))
        else {
            return;
        };
        let (sum, largest) = sum_of(self.minima.iter());
        if sum <= u64::from(capacity) {
            return;
        }
        let hint =
            format!("the minima of tiers and tenants are {sum} together; the largest: {largest}");
        let at = [Section::Engine.name(), Key::Concurrency.name()];
        self.report(&at, setting, format!("at least {sum}"), hint);
    }

    /// Finds tenants whose minima fit no tiers: a tenant may be in any, but all of them are in some.
    fn minima_in_tiers(&mut self, draft: &Draft, policy: &Policy) {
        let caps: Option<Vec<u32>> =
            policy.tiers.iter().map(|tier| self.grants(tier.tier_concurrency)).collect();
        let Some(caps) = caps.filter(|caps| !caps.contains(&0)) else { return };
        let room: u64 = caps.iter().map(|cap| u64::from(*cap)).sum();
        let of_tenants = self.minima.iter().filter(|min| min.section == Section::Tenants);
        let (sum, largest) = sum_of(of_tenants);
        let widest = policy.tiers.iter().zip(caps).max_by_key(|(_, cap)| *cap);
        let Some((tier, cap)) = widest.filter(|_| sum > room) else { return };
        let key = Key::TierConcurrency;
        let table = draft.tiers.get(&tier.name);
        let Some(setting) = table.and_then(|table| table.settings.get(&key)) else { return };
        let at = [Section::Tiers.name(), &tier.name, key.name()];
        let allowed = format!("at least {}", sum - room + u64::from(cap));
        let hint = format!(
            "the minima of tenants are {sum} together, and the tiers have {room}; \
             the largest: {largest}"
        );
        self.report(&at, setting, allowed, hint);
    }

    /// Finds queues of tiers and tenants that the engine's bound never lets fill up.
    fn queues(&mut self, draft: &Draft, policy: &Policy) {
        let tiers = policy.tiers.iter().map(|tier| (Section::Tiers, &tier.name, tier.queue_max));
        let tenants = policy.overrides.iter().filter_map(|(name, own)| {
            own.queue_max.map(|queue_max| (Section::Tenants, name, queue_max))
        });
        let setting = draft.engine.settings.get(&Key::QueueMax);
        if setting.is_some_and(|setting| ENGINE_QUEUE_MAX.read(&setting.raw).is_err()) {
            return;
        }
        let most = policy.queue_max;
        for (section, name, _) in tiers.chain(tenants).filter(|it| it.2 > most) {
            let tables = if section == Section::Tiers { &draft.tiers } else { &draft.tenants };
            let setting = tables.get(name).and_then(|table| table.settings.get(&Key::QueueMax));
            let Some(setting) = setting else { continue };
            let at = [section.name(), name, Key::QueueMax.name()];
            let hint = format!("unreachable: engine.queue_max is {most}");
            self.report(&at, setting, format!("at most {most}"), hint);
        }
    }

    fn budgets(&mut self, draft: &Draft, policy: &Policy) {
        for budget in policy.budgets.values() {
            let table = draft.budgets.get(&budget.name);
            let Some(setting) = table.and_then(|table| table.settings.get(&Key::Soft)) else {
                continue;
            };
            for limit in &budget.limits {
                let (Some(soft), Some(hard)) = (limit.soft, limit.hard) else { continue };
                if soft > hard {
                    let at = [Section::Budgets.name(), &budget.name, Key::Soft.name()];
                    let allowed = format!("{} at most {hard}", limit.dimension);
                    let hint = format!("unreachable: the hard limit {hard} comes before {soft}");
                    self.report(&at, setting, allowed, hint);
                }
            }
        }
    }

    /// Finds kinds of jobs so dear that nobody's rate and budgets ever let them go.
    fn kinds(&mut self, draft: &Draft, policy: &Policy) {
        let Some(widest) = widest(policy) else { return };
        for (kind, cost) in &policy.costs {
            let KindCost::Fixed(cost) = cost else { continue };
            let Some(setting) = draft.costs.get(kind) else { continue };
            if u64::from(cost.get()) > widest.cost {
                let allowed = format!("at most {}", widest.cost);
                self.report(&[Section::Costs.name(), kind], setting, allowed, widest.hint());
            }
        }
    }
}

/// The most cost that a tenant's limits let go at once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Widest {
    cost: u64,
    /// Whether a budget says so, and not a rate.
    is_budget: bool,
}

impl Widest {
    fn hint(self) -> String {
        let cost = self.cost;
        if self.is_budget {
            format!("no tenant could run it: the largest hard budget of cost is {cost}")
        } else {
            format!("no tenant could run it: the widest rate is {cost} at once")
        }
    }
}

/// What a rate lets go at once, if it is one of cost.
fn width_of_rate(rate: &Own<Rate>) -> Option<Widest> {
    let rate = rate.stated().filter(|rate| rate.unit() == Unit::Cost)?;
    Some(Widest { cost: rate.widest(), is_budget: false })
}

/// What the tightest of some budgets ever lets go, if one of them limits cost.
fn width_of_budgets(policy: &Policy, names: &Own<Vec<String>>) -> Option<Widest> {
    let budgets = names.stated().into_iter().flatten().filter_map(|name| policy.budget(name));
    let limits = budgets.flat_map(Budget::limits);
    let of_cost = limits.filter(|limit| limit.dimension == DimensionTerms::COST);
    let cost = of_cost.filter_map(|limit| limit.hard).min()?;
    Some(Widest { cost, is_budget: true })
}

/// The most cost that any tenant's limits let go at once; `None` when some tenant's do not say.
fn widest(policy: &Policy) -> Option<Widest> {
    let widths =
        |limits: &Limits| (width_of_rate(&limits.rate), width_of_budgets(policy, &limits.budgets));
    let of_tiers: Vec<_> = policy.tiers.iter().map(|tier| widths(&tier.limits)).collect();
    let mut all = of_tiers.clone();
    for own in policy.overrides.values().map(|own| &own.limits) {
        let (has_rate, has_budgets) = (own.rate != Own::Inherit, own.budgets != Own::Inherit);
        if has_rate || has_budgets {
            let (rate, budgets) = widths(own);
            // It may be in any tier.
            all.extend(of_tiers.iter().map(|of_tier| {
                let rate = if has_rate { rate } else { of_tier.0 };
                (rate, if has_budgets { budgets } else { of_tier.1 })
            }));
        }
    }
    let tightest = all.into_iter().map(|(rate, budgets)| rate.into_iter().chain(budgets).min());
    tightest.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// What stands above a tenant whatever its tier: a bound that every tier has, at its loosest.
struct Above {
    concurrency: Option<Bound>,
    tier_concurrency: Option<Bound>,
    /// The smallest that a tier has.
    least_concurrency: Option<u32>,
}

impl Above {
    fn of(cross: &Cross, policy: &Policy) -> Above {
        let each = |cap: fn(&super::model::Tier) -> Option<Cap>| {
            policy.tiers.iter().map(move |tier| cross.grants(cap(tier))).collect::<Vec<_>>()
        };
        let concurrency = each(|tier| tier.concurrency());
        let tier_concurrency = each(|tier| tier.tier_concurrency());
        Above {
            least_concurrency: concurrency.iter().flatten().copied().min(),
            concurrency: loosest(&concurrency, "the largest concurrency of a tier"),
            tier_concurrency: loosest(&tier_concurrency, "the largest tier_concurrency"),
        }
    }
}

/// The loosest of the tiers' bounds, if every tier has one and none is paused.
fn loosest(bounds: &[Option<u32>], name: &str) -> Option<Bound> {
    let all: Option<Vec<u32>> = bounds.iter().copied().collect();
    let all = all.filter(|all| !all.contains(&0))?;
    Bound::new(all.into_iter().max(), name)
}
