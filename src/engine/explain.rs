//! Why a tenant waits.

use super::Engine;
use super::shared::Shared;
use crate::dispatch::Plan;
use crate::error::Reason;
use crate::gate::{BudgetPart, Denial, Gate, Rules, Until, foresee};
use crate::limit::{Rate, Shape, Unit};
use crate::tenant::{Row, Tenant};
use crate::units::Nanos;
use std::fmt;

/// What stands between a tenant's next job and a worker.
#[non_exhaustive]
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Explanation {
    /// Jobs of the tenant that wait for any worker.
    pub depth: u32,
    /// Its grants in flight, when it has limits: they are counted only then.
    pub in_flight: Option<u32>,
    /// What its lane is doing.
    pub standing: Standing,
    /// The same for its lanes of jobs that require something of their worker.
    pub branches: Vec<BranchStanding>,
}

/// What a lane of jobs with a requirement is doing.
#[non_exhaustive]
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct BranchStanding {
    /// The capabilities required, in order, separated by commas.
    pub requires: String,
    /// Jobs that wait there.
    pub depth: u32,
    /// What the lane is doing.
    pub standing: Standing,
}

/// What a lane is doing.
#[non_exhaustive]
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Standing {
    /// No job waits. A wait beside it is what a job of cost 1 would wait for now.
    Idle(Option<Wait>),
    /// The lane is in the rotation and takes its turns.
    Ready {
        /// Rounds until the turn of the job queued last, if all cost what jobs have cost so far.
        rounds_ahead: u32,
    },
    /// The lane is parked.
    Waiting(Wait),
}

/// What is waited for.
#[non_exhaustive]
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Wait {
    /// The reason's code.
    pub reason: Reason,
    /// Since when, on the engine's clock, without a grant in between.
    pub since: Nanos,
    /// The moment that ends the wait, on the engine's clock, where it is known: another may be ahead
    /// then, and the lane takes its turn. `None` for what ends with a grant or a change of policy.
    pub eligible_at: Option<Nanos>,
    /// How much of the limit is used; for `too_wide`, what the job would use.
    pub used: u64,
    /// The limit.
    pub limit: u64,
    /// The budget whose limit it is.
    pub budget: Option<String>,
    /// The dimension of that budget; `None` when the budget cannot be evaluated.
    pub dimension: Option<String>,
    /// The same as a sentence for an operator, such as `rate limit 10/10 jobs per 60 s window`.
    pub detail: String,
}

impl<T: Send + 'static> Engine<T> {
    /// Why the tenant's next job waits: what for, since when, and until when if that can be known.
    /// Answered by the code that decides. `None` for a stale handle.
    ///
    /// # Cost
    /// Two short locks. Workers that visit this tenant wait for them.
    #[must_use]
    pub fn explain(&self, tenant: Tenant) -> Option<Explanation> {
        self.shared.explain(tenant)
    }

    /// The present moment of the engine's clock, which [`Wait`] is measured by.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.shared.clock.now()
    }
}

impl<T: Send + 'static> Shared<T> {
    fn explain(&self, tenant: Tenant) -> Option<Explanation> {
        if tenant.engine() != self.lanes.number {
            return None;
        }
        let row = self.lanes.table.row(tenant.slot());
        if row.tail.look().generation() != tenant.generation() {
            return None;
        }
        let plan = self.lanes.plan.load();
        let rules = plan.rules.get(row.profile() as usize)?;
        let running = || self.lanes.gate.entry(tenant.slot()).running();
        let (depth, standing) = self.standing(tenant.slot(), tenant, rules, &plan);
        let branches =
            self.lanes.known_branches(tenant.slot()).into_iter().flatten().map(|branch| {
                let (depth, standing) = self.standing(branch.lane, tenant, rules, &plan);
                let needs = self.lanes.routes.needs(branch.set);
                let requires = needs.map_or_else(String::new, |needs| needs.to_string());
                BranchStanding { requires, depth, standing }
            });
        let branches = branches.filter(|branch| branch.depth > 0).collect();
        Some(Explanation { depth, in_flight: rules.counts().then(running), standing, branches })
    }

    /// How many jobs wait in a lane, and what it is doing.
    fn standing(&self, lane: u32, tenant: Tenant, rules: &Rules, plan: &Plan) -> (u32, Standing) {
        let row = self.lanes.table.row(lane);
        let depth = row.progress().1;
        let standing = match self.lanes.gate.place(lane) {
            Some(place) => Standing::Waiting(self.wait(&place.denial, place.since, rules)),
            None if depth > 0 && self.lanes.lacks_worker(lane) => {
                Standing::Waiting(self.no_worker(rules))
            }
            None if depth > 0 && row.idle_word().is_some() => {
                Standing::Waiting(self.not_due(lane, rules))
            }
            None if depth == 0 => Standing::Idle(self.foresee(tenant, rules)),
            None => Standing::Ready { rounds_ahead: self.rounds(depth, row, plan) },
        };
        (depth, standing)
    }

    fn no_worker(&self, rules: &Rules) -> Wait {
        let (reason, until) = (Reason::NoCapableWorker, Until::Change);
        let denial = Denial { reason, until, used: (0, 0), budget: None };
        self.wait(&denial, self.clock.now(), rules)
    }

    fn not_due(&self, lane: u32, rules: &Rules) -> Wait {
        let now = self.clock.now();
        let (since, until) = self.lanes.gate.entry(lane).rest(now);
        let not_due = |due| {
            let until = Until::Moment(due);
            Denial { reason: Reason::NotDue, until, used: (0, 0), budget: None }
        };
        self.wait(&until.map_or_else(|denial| denial, not_due), since, rules)
    }

    fn foresee(&self, tenant: Tenant, rules: &Rules) -> Option<Wait> {
        if rules.is_none() {
            return None;
        }
        let now = self.clock.now();
        let denial = foresee(&self.lanes.gate, tenant.slot(), rules, 1, now).err()?;
        Some(self.wait(&denial, now, rules))
    }

    fn wait(&self, denial: &Denial, since: Nanos, rules: &Rules) -> Wait {
        let eligible_at = denial.until.moment();
        let (used, limit) = denial.used;
        let (gate, now) = (&self.lanes.gate, self.clock.now());
        let named = denial.budget.and_then(|part| Named::of(part, gate, now));
        let detail = Detail { denial, rate: rules.rate, named };
        let text = detail.to_string();
        let (budget, dimension) = detail.named.map(|it| (it.budget, it.dimension)).unzip();
        let dimension = dimension.flatten();
        let reason = denial.reason;
        Wait { reason, since, eligible_at, used, limit, budget, dimension, detail: text }
    }

    fn rounds(&self, depth: u32, row: &Row, plan: &Plan) -> u32 {
        let quantum = plan.profiles[row.profile() as usize].quantum.units();
        let (jobs, cost) = row.served();
        let job_cost = if jobs == 0 { 1.0 } else { cost as f64 / jobs as f64 };
        (f64::from(depth) * job_cost / quantum).ceil() as u32
    }
}

/// A budget's limit by name.
struct Named {
    budget: String,
    dimension: Option<String>,
    /// How long it is until the reset.
    resets_in: Option<Nanos>,
}

impl Named {
    fn of(part: BudgetPart, gate: &Gate, now: Nanos) -> Option<Named> {
        let purse = gate.budgets.purse(part.budget)?;
        let (dimension, reset) = part.place.and_then(|place| purse.dimension(place)).unzip();
        let resets_in = reset.flatten().map(|at| at.since(now));
        Some(Named { budget: purse.name().to_owned(), dimension, resets_in })
    }
}

/// A denial in words.
struct Detail<'a> {
    denial: &'a Denial,
    rate: Option<Rate>,
    named: Option<Named>,
}

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (used, limit) = self.denial.used;
        if let Some(named) = &self.named {
            return named.write(f, self.denial);
        }
        match self.denial.reason {
            Reason::Rate => {
                write!(f, "rate limit {used}/{limit}")?;
                self.rate.map_or(Ok(()), |rate| write_span(f, rate))
            }
            Reason::Concurrency => write!(f, "concurrency limit {used}/{limit} in flight"),
            Reason::TierConcurrency => {
                write!(f, "concurrency limit of the tier {used}/{limit} in flight")
            }
            Reason::EngineConcurrency => {
                write!(f, "concurrency limit of the engine {used}/{limit} in flight")
            }
            Reason::Paused => f.write_str("paused: a concurrency limit is 0"),
            Reason::TooWide => {
                write!(f, "too wide: {used} is more than the rate's {limit} at once")
            }
            Reason::NoCapableWorker => f.write_str("no live worker has what the jobs require"),
            Reason::NotDue => f.write_str("no job is due"),
            other => f.write_str(other.code()),
        }
    }
}

impl Named {
    /// `budget org: tokens 1000/1000, resets in 60 s`.
    fn write(&self, f: &mut fmt::Formatter<'_>, denial: &Denial) -> fmt::Result {
        let (used, limit) = denial.used;
        let Some(dimension) = &self.dimension else {
            return write!(f, "budget {}: it cannot be evaluated", self.budget);
        };
        if denial.reason == Reason::TooWide {
            let budget = &self.budget;
            return write!(
                f,
                "too wide: {used} is more than budget {budget} has: {dimension} {limit}"
            );
        }
        write!(f, "budget {}: {dimension} {used}/{limit}, ", self.budget)?;
        match self.resets_in {
            Some(time) => write!(f, "resets in {} s", time.as_duration().as_secs_f64()),
            None => f.write_str("no reset"),
        }
    }
}

/// ` jobs per 60 s window`.
fn write_span(f: &mut fmt::Formatter<'_>, rate: Rate) -> fmt::Result {
    let unit = match rate.unit() {
        Unit::Jobs => "jobs",
        Unit::Cost => "cost",
    };
    let kind = match rate.shape() {
        Shape::Strict => " window",
        Shape::Smooth { .. } => "",
    };
    let seconds = rate.per().as_duration().as_secs_f64();
    write!(f, " {unit} per {seconds} s{kind}")
}
