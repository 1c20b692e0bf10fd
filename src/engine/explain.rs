//! Why a tenant waits.

use super::Engine;
use super::shared::Shared;
use crate::dispatch::Plan;
use crate::error::Reason;
use crate::gate::{BudgetPart, Denial, Entry, Gate, Rules, Scope, Until, foresee};
use crate::limit::{Rate, Shape};
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
    /// Its grants in flight, when it has limits: they are counted only then. Slots that it has been handed
    /// and not used yet are included.
    pub in_flight: Option<u32>,
    /// Rounds until the turn of the job queued last, once the lane takes its turns, if all cost what
    /// the lane's jobs have cost so far (1 where none has been granted); 0 without jobs. A round takes as
    /// long as the others' turns; [`Engine::estimated_wait`] has it as a time, for one job.
    pub rounds_ahead: u32,
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
    /// As of the tenant's first lane.
    pub rounds_ahead: u32,
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
    /// The lane is in the rotation and takes its turns, and no limit would refuse a job of cost 1 now.
    ///
    /// What only a visit can know is not foreseen: until a worker has looked at the lane, which one that is
    /// not busy does at once, it is ready also when its next job costs more than a limit lets go, draws on
    /// a budget of its own that is used up, or is not due yet.
    Ready,
    /// The lane is parked, waits outside the rotation, or its next job would be refused now.
    Waiting(Wait),
}

/// What is waited for.
#[non_exhaustive]
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Wait {
    /// The reason's code.
    pub reason: Reason,
    /// Since when, on the engine's clock, without a grant in between: since a visit found so; for
    /// `no_capable_worker`, since the jobs came or the last capable worker left. The moment of the
    /// question where no visit has found so yet.
    pub since: Nanos,
    /// The moment that ends the wait, on the engine's clock, where it is known: another may be ahead
    /// then, and the lane takes its turn. `None` for what ends with a grant or a change of policy. The
    /// policy's jitter is in it: something else may bring the lane back between the limit's moment and
    /// this one, but no job goes before the limit's.
    pub eligible_at: Option<Nanos>,
    /// How much of the limit is used: jobs or cost units of a rate, grants in flight of a concurrency,
    /// the dimension's unit of a budget. For `too_wide`, what the job would use; 0 for what counts
    /// nothing, `not_due` and `no_capable_worker`.
    pub used: u64,
    /// The limit, in the same unit; 0 for what counts nothing.
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
        let (plan, profile) = self.plan_of(row);
        let (rules, quantum) = (&plan.rules[profile], plan.profiles[profile].quantum.units());
        let running = || self.lanes.gate.entry(tenant.slot()).running();
        let terms = Terms { tenant, rules, quantum, plan: &plan };
        let (depth, rounds_ahead, standing) = self.standing(tenant.slot(), &terms);
        let branches =
            self.lanes.known_branches(tenant.slot()).into_iter().flatten().map(|branch| {
                let (depth, rounds_ahead, standing) = self.standing(branch.lane, &terms);
                let needs = self.lanes.routes.needs(branch.set);
                let requires = needs.map_or_else(String::new, |needs| needs.to_string());
                BranchStanding { requires, depth, rounds_ahead, standing }
            });
        let branches = branches.filter(|branch| branch.depth > 0).collect();
        let in_flight = rules.counts().then(running);
        Some(Explanation { depth, in_flight, rounds_ahead, standing, branches })
    }

    /// How many jobs wait in a lane, in how many rounds they are served, and what it is doing.
    fn standing(&self, lane: u32, terms: &Terms<'_>) -> (u32, u32, Standing) {
        let row = self.lanes.table.row(lane);
        let depth = row.progress().1;
        let standing = match self.hold(lane, depth) {
            Some(hold) => Standing::Waiting(self.wait(&hold.denial, hold.since, terms)),
            None if depth == 0 => Standing::Idle(self.foresee(lane, terms)),
            None => match self.foresee_turn(lane, terms) {
                Some(wait) => Standing::Waiting(wait),
                None => Standing::Ready,
            },
        };
        (depth, rounds(depth, row, terms.quantum), standing)
    }

    /// What keeps a lane with `depth` jobs from taking turns, as far as it is known before its next visit: the
    /// first in the order of the rules. `None` when it has no job, or takes its turns.
    pub(super) fn hold(&self, lane: u32, depth: u32) -> Option<Hold> {
        let (gate, has_jobs) = (&self.lanes.gate, depth > 0);
        let place = gate.place(lane);
        let parked = place.map(|place| place.denial.reason);
        let lacking = has_jobs.then(|| self.lanes.lacks_worker_since(lane)).flatten();
        if let Some(since) = lacking {
            let denial = unlimited(Reason::NoCapableWorker, Until::Change);
            return Some(Hold { denial, since, parked });
        }
        if let Some(place) = place {
            return Some(Hold { denial: place.denial, since: place.since, parked });
        }
        let rests = has_jobs && self.lanes.table.row(lane).idle_word().is_some();
        rests.then(|| {
            let (since, until) = gate.entry(lane).rest(self.clock.now());
            let not_due = |due| unlimited(Reason::NotDue, Until::Moment(due));
            Hold { denial: until.map_or_else(|denial| denial, not_due), since, parked }
        })
    }

    /// What the gate would say to a job of cost 1 if it were the lane's turn now.
    fn foresee_turn(&self, lane: u32, terms: &Terms<'_>) -> Option<Wait> {
        // What it has been handed is taken already, by the lane itself.
        let is_handed = self.lanes.gate.known(lane).is_some_and(Entry::is_handed);
        if is_handed { None } else { self.foresee(lane, terms) }
    }

    /// What the gate would say to a job of cost 1 now.
    fn foresee(&self, lane: u32, terms: &Terms<'_>) -> Option<Wait> {
        let Terms { tenant, rules, .. } = *terms;
        if rules.is_none() {
            return None;
        }
        let (gate, now) = (&self.lanes.gate, self.clock.now());
        let denial = foresee(gate, tenant.slot(), rules, 1, now).err()?;
        let known = gate.entry(lane).waits_since(tenant.generation(), denial.reason);
        Some(self.wait(&denial, known.unwrap_or(now), terms))
    }

    fn wait(&self, denial: &Denial, since: Nanos, terms: &Terms<'_>) -> Wait {
        let eligible_at = denial.until.moment();
        let (used, limit) = denial.used;
        let (gate, now) = (&self.lanes.gate, self.clock.now());
        let named = denial.budget.and_then(|part| Named::of(part, gate, now));
        let detail = Detail { denial, rate: terms.rules.rate, named, tiers: &terms.plan.tiers };
        let text = detail.to_string();
        let (budget, dimension) = detail.named.map(|it| (it.budget, it.dimension)).unzip();
        let dimension = dimension.flatten();
        let reason = denial.reason;
        Wait { reason, since, eligible_at, used, limit, budget, dimension, detail: text }
    }
}

/// In how many rounds of `quantum` cost units `depth` jobs of a lane are served, if they cost what those before
/// them did.
fn rounds(depth: u32, row: &Row, quantum: f64) -> u32 {
    (f64::from(depth) * mean_cost(row).unwrap_or(1.0) / quantum).ceil() as u32
}

/// What the jobs of a lane have cost so far; `None` when none has been granted.
pub(super) fn mean_cost(row: &Row) -> Option<f64> {
    let (jobs, cost) = row.served();
    (jobs > 0).then(|| cost as f64 / jobs as f64)
}

/// A tenant, and what holds for it.
struct Terms<'a> {
    tenant: Tenant,
    rules: &'a Rules,
    /// Cost units a round.
    quantum: f64,
    plan: &'a Plan,
}

/// What keeps a lane from taking turns.
pub(super) struct Hold {
    pub(super) denial: Denial,
    since: Nanos,
    /// What the lane is parked for, if it is: another rule may come before that.
    pub(super) parked: Option<Reason>,
}

/// A denial that no limit is behind.
fn unlimited(reason: Reason, until: Until) -> Denial {
    Denial { reason, until, used: (0, 0), budget: None }
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
    /// Names of tiers by number; the newest may be missing.
    tiers: &'a [String],
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
            Reason::Paused => self.write_pause(f),
            Reason::TooWide => {
                write!(f, "too wide: {used} is more than the rate's {limit} at once")
            }
            Reason::NoCapableWorker => f.write_str("no live worker has what the jobs require"),
            Reason::NotDue => f.write_str("no job is due"),
            other => f.write_str(other.code()),
        }
    }
}

impl Detail<'_> {
    /// Whose limit is 0.
    fn write_pause(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denial.until {
            Until::Slot(Scope::Tenant(_)) => f.write_str("paused: the tenant's concurrency is 0"),
            Until::Slot(Scope::Tier(number)) => {
                let tier = self.tiers.get(number as usize).map_or("the tier", String::as_str);
                write!(f, "paused: tier_concurrency of {tier} is 0")
            }
            Until::Slot(Scope::Engine) => f.write_str("paused: the engine's concurrency is 0"),
            _ => f.write_str("paused"),
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
    let unit = rate.unit().name();
    let kind = match rate.shape() {
        Shape::Strict => " window",
        Shape::Smooth { .. } => "",
    };
    let seconds = rate.per().as_duration().as_secs_f64();
    write!(f, " {unit} per {seconds} s{kind}")
}
