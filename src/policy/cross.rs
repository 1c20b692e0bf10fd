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
use super::quota::{Limits, Own};
use super::schema::{Key, Section};
use super::schema_quota::is_none;
use super::text::show_duration;
use crate::limit::{Cap, Rate, Unit};

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

struct Cross {
    capacity: Capacity,
    /// The engine's.
    max_wait: Option<Duration>,
    /// Whether some tier says a concurrency.
    any_concurrency: bool,
    /// Paths of minima that are right by themselves, with their grants.
    minima: Vec<(String, u32)>,
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
                let at = path(&[subject.section.name(), subject.name, key.name()]);
                self.minima.push((at, grants));
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
        let at = path(&[subject.section.name(), subject.name, key.name()]);
        let value = Some(setting.written.as_str());
        self.problems.push(Problem::new(at, &setting.place, value, allowed, hint));
    }

    fn sum_of_minima(&mut self, draft: &Draft) {
        let sum: u64 = self.minima.iter().map(|(_, grants)| u64::from(*grants)).sum();
        let capacity = self.capacity.grants().filter(|capacity| *capacity > 0);
        let (Some(capacity), Some(setting)) =
            (capacity, draft.engine.settings.get(&Key::Concurrency))
        else {
            return;
        };
        if sum <= u64::from(capacity) {
            return;
        }
        self.minima.sort_by_key(|(_, grants)| std::cmp::Reverse(*grants));
        let named = self.minima.iter().take(NAMED_MAX);
        let largest: Vec<String> = named.map(|(at, grants)| format!("{at} {grants}")).collect();
        let hint = format!(
            "the minima of tiers and tenants are {sum} together; the largest: {}",
            largest.join(", ")
        );
        let at = path(&[Section::Engine.name(), Key::Concurrency.name()]);
        let value = Some(setting.written.as_str());
        let allowed = format!("at least {sum}");
        self.problems.push(Problem::new(at, &setting.place, value, allowed, hint));
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
                    let at = path(&[Section::Budgets.name(), &budget.name, Key::Soft.name()]);
                    let value = Some(setting.written.as_str());
                    let allowed = format!("{} at most {hard}", limit.dimension);
                    let hint = format!("unreachable: the hard limit {hard} comes before {soft}");
                    self.problems.push(Problem::new(at, &setting.place, value, allowed, hint));
                }
            }
        }
    }

    /// Finds kinds of jobs so dear that nobody's rate ever lets them go.
    fn kinds(&mut self, draft: &Draft, policy: &Policy) {
        let Some(widest) = widest_rate(policy) else { return };
        for (kind, cost) in &policy.costs {
            let KindCost::Fixed(cost) = cost else { continue };
            let Some(setting) = draft.costs.get(kind) else { continue };
            if u64::from(cost.get()) > widest {
                let at = path(&[Section::Costs.name(), kind]);
                let value = Some(setting.written.as_str());
                let allowed = format!("at most {widest}");
                let hint = format!("no tenant could run it: the widest rate is {widest} at once");
                self.problems.push(Problem::new(at, &setting.place, value, allowed, hint));
            }
        }
    }
}

/// The most cost that any tenant's rate lets go at once; `None` when some tenant's does not say.
fn widest_rate(policy: &Policy) -> Option<u64> {
    let cost = |rate: &Rate| (rate.unit() == Unit::Cost).then(|| rate.widest());
    let tiers = policy.tiers.iter().map(|tier| tier.limits.rate.stated().and_then(cost));
    let tenants = policy.overrides.values().filter(|own| own.limits.rate != Own::Inherit);
    let tenants = tenants.map(|own| own.limits.rate.stated().and_then(cost));
    let widest: Option<Vec<u64>> = tiers.chain(tenants).collect();
    widest?.into_iter().max()
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

#[cfg(all(test, feature = "toml"))]
mod tests {
    use crate::policy::Policy;

    const TIERS: &str = "[tiers.starter]\nweight = 1\n";

    fn refused(text: &str) -> Vec<String> {
        let error = Policy::from_toml(text).expect_err(text);
        error.problems().iter().map(ToString::to_string).collect()
    }

    /// Holds a text to its only problem, and to having none once `bad` is `good`.
    #[track_caller]
    fn only(text: &str, bad: &str, good: &str, problem: &str) {
        let text = text.replace("TIER", TIERS);
        let found = refused(&text.replace("?", bad));
        assert_eq!(found, [problem], "{text}");
        if let Err(error) = Policy::from_toml(&text.replace("?", good)) {
            panic!("{good}: {error}");
        }
    }

    #[test]
    fn a_limit_above_a_tighter_one_is_unreachable() {
        only(
            "[engine]\nconcurrency = 50\nTIER concurrency = ?",
            "51",
            "50",
            "line 5: tiers.starter.concurrency = 51: allowed at most 50 \
             (hint: unreachable: engine.concurrency is 50)",
        );
        only(
            "[engine]\nconcurrency = 50\nTIER tier_concurrency = '20%'\nconcurrency = ?",
            "11",
            "'20%'",
            "line 6: tiers.starter.concurrency = 11: allowed at most 10 \
             (hint: unreachable: tier_concurrency is 10)",
        );
        only(
            "[engine]\nconcurrency = 50\nTIER tier_concurrency = ?",
            "60",
            "'100%'",
            "line 5: tiers.starter.tier_concurrency = 60: allowed at most 50 \
             (hint: unreachable: engine.concurrency is 50)",
        );
        only(
            "[engine]\nmax_wait = '1min'\n[tenants.a]\nmax_wait = '?'",
            "61s",
            "60s",
            "line 4: tenants.a.max_wait = '61s': allowed at most \"60s\" \
             (hint: unreachable: engine.max_wait is 60s)",
        );
        only(
            "TIER tier_concurrency = 5\n[tenants.a]\nconcurrency = ?",
            "6",
            "5",
            "line 5: tenants.a.concurrency = 6: allowed at most 5 \
             (hint: unreachable: the largest tier_concurrency is 5)",
        );
    }

    #[test]
    fn a_tenant_may_be_in_any_tier() {
        let text = "[tiers.starter]\nweight = 1\ntier_concurrency = 5\n[tiers.b]\nweight = 1\n\
                    [tenants.a]\nconcurrency = 6\n";
        assert!(Policy::from_toml(text).is_ok(), "tier b has no bound");
        let both = text.replace("[tenants", "tier_concurrency = 4\n[tenants");
        assert_eq!(refused(&both).len(), 1);
    }

    #[test]
    fn a_minimum_needs_a_capacity_and_stays_below_its_maximum() {
        only(
            "?\nTIER concurrency_min = 5",
            "",
            "[engine]\nconcurrency = 5",
            "line 4: tiers.starter.concurrency_min = 5: allowed nothing without \
             engine.concurrency (hint: a minimum is a part of engine.concurrency: state that too)",
        );
        only(
            "[engine]\nconcurrency = 50\n[tenants.a]\nconcurrency = 4\nconcurrency_min = ?",
            "'10%'",
            "'8%'",
            "line 5: tenants.a.concurrency_min = '10%': allowed at most 4 \
             (hint: a minimum above its maximum: concurrency is 4)",
        );
        only(
            "[engine]\nconcurrency = 50\nTIER concurrency = 4\n[tenants.a]\nconcurrency_min = ?",
            "5",
            "4",
            "line 7: tenants.a.concurrency_min = 5: allowed at most 4 \
             (hint: a minimum above its maximum: the largest concurrency of a tier is 4)",
        );
    }

    #[test]
    fn the_minima_that_are_known_fit_the_engine() {
        let text = "[tiers.starter]\nweight = 1\nconcurrency_min = 10\n[tiers.b]\nweight = 1\n\
                    concurrency_min = '25%'\n[tenants.a]\nconcurrency_min = 20\n\
                    [tenants.b]\nconcurrency_min = 1\n[engine]\nconcurrency = ?\n";
        only(
            text,
            "40",
            "42",
            "line 12: engine.concurrency = 40: allowed at least 41 (hint: the minima of tiers and \
             tenants are 41 together; the largest: tenants.a.concurrency_min 20, \
             tiers.starter.concurrency_min 10, tiers.b.concurrency_min 10)",
        );
    }

    #[test]
    fn a_percentage_needs_something_to_be_a_part_of() {
        for key in ["concurrency", "tier_concurrency"] {
            only(
                &format!("TIER {key} = ?"),
                "'50%'",
                "'0%'",
                &format!(
                    "line 3: tiers.starter.{key} = '50%': allowed a number of grants (hint: a \
                     percentage is a part of engine.concurrency: state that too)"
                ),
            );
        }
    }

    // B-2
    #[test]
    fn a_promotion_never_lowers() {
        only(
            "TIER concurrency = 'workspaces'\nconcurrency_promoted = ?",
            "63",
            "64",
            "line 4: tiers.starter.concurrency_promoted = 63: allowed at least 64 \
             (hint: a promotion never lowers: concurrency is 64)",
        );
        only(
            "TIER ?concurrency_promoted = 9",
            "",
            "concurrency = 9\n",
            "line 3: tiers.starter.concurrency_promoted = 9: allowed only beside concurrency \
             (hint: without concurrency there is nothing to be promoted from)",
        );
        only(
            "TIER concurrency = 8\n[tenants.a]\nconcurrency_promoted = ?",
            "7",
            "8",
            "line 5: tenants.a.concurrency_promoted = 7: allowed at least 8 \
             (hint: a promotion never lowers: concurrency is 8)",
        );
        only(
            "[engine]\nconcurrency = 80\nTIER concurrency = 'workspaces'\nconcurrency_promoted = ?",
            "81",
            "80",
            "line 6: tiers.starter.concurrency_promoted = 81: allowed at most 80 \
             (hint: unreachable: engine.concurrency is 80)",
        );
    }

    #[test]
    fn a_soft_limit_is_at_most_its_hard_one() {
        only(
            "[budgets.org]\nhard = 'usd 5, mb 7'\nsoft = 'mb ?, s 9'",
            "8",
            "7",
            "line 3: budgets.org.soft = 'mb 8, s 9': allowed mb at most 7 \
             (hint: unreachable: the hard limit 7 comes before 8)",
        );
    }

    #[test]
    fn a_kind_of_job_fits_through_somebodys_rate() {
        let text = "[costs]\nbig = ?\nTIER rate = '9 cost per 1s smooth burst 5'\n";
        only(
            text,
            "6",
            "5",
            "line 2: costs.big = 6: allowed at most 5 \
             (hint: no tenant could run it: the widest rate is 5 at once)",
        );
        let wide = text.replace("?", "6").replace("TIER", TIERS);
        for rate in ["none", "1 jobs per 1s", "6 cost per 1s"] {
            let other = format!("{wide}[tenants.a]\nrate = '{rate}'\n");
            assert!(Policy::from_toml(&other).is_ok(), "{rate}");
        }
    }

    #[test]
    fn whatever_else_is_said_everything_can_be_paused() {
        let text = "[engine]\nconcurrency = 50\n[tiers.starter]\nweight = 1\nconcurrency = 20\n\
                    concurrency_min = 5\ntier_concurrency = 40\nconcurrency_promoted = 30\n\
                    [tenants.a]\nconcurrency = 30\nconcurrency_min = '10%'\n";
        let keys = [
            "ENGINE__CONCURRENCY",
            "TIERS__STARTER__CONCURRENCY",
            "TIERS__STARTER__TIER_CONCURRENCY",
            "TENANTS__A__CONCURRENCY",
        ];
        for key in keys {
            let vars = [(format!("FAIRLANE__{key}"), "0".to_owned())];
            if let Err(error) = Policy::from_toml_with_env(text, vars) {
                panic!("{key}: {error}");
            }
        }
    }

    #[test]
    fn a_value_that_is_refused_leads_to_no_second_problem() {
        let text = "[engine]\nconcurrency = 'x'\n[tiers.starter]\nweight = 1\n\
                    concurrency = '50%'\nconcurrency_min = 5\n";
        assert_eq!(refused(text).len(), 1, "{:#?}", refused(text));
        let text = "[tiers.starter]\nweight = 1\nconcurrency = 'x'\nconcurrency_promoted = 5\n\
                    [tenants.a]\nconcurrency_promoted = 5\n";
        assert_eq!(refused(text).len(), 1, "{:#?}", refused(text));
    }
}
