use super::require::Requirement;
use crate::tenant::Tenant;
use crate::units::{Bands, BudgetId, Dimension, Nanos, Order, Priority};
use std::time::Duration;

/// A unit of work: a payload and what it costs.
///
/// ```
/// use fairlane::Job;
/// let job = Job::new("resize 4 images").cost(4);
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job<T> {
    pub(super) payload: T,
    pub(super) cost: u32,
    pub(super) kind: Option<Kind>,
    pub(super) order: Wishes,
}

/// When a job is to go, beside first come, first served, and what it spends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Wishes {
    /// Whether there are any.
    pub(super) any: bool,
    pub(super) priority: Priority,
    pub(super) not_before: Nanos,
    pub(super) delay: Nanos,
    pub(super) deadline: Nanos,
    pub(super) max_wait: Nanos,
    /// What the job requires; 0 for nothing.
    pub(super) set: u32,
    /// The engine that the requirement is good for.
    pub(super) set_engine: u16,
    pub(super) spends: Option<Box<Spends>>,
}

/// What a job may spend beside its cost, and from which budgets beside its tenant's.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Spends {
    pub(super) budgets: Vec<BudgetId>,
    /// No dimension twice.
    pub(super) amounts: Vec<(Dimension, u64)>,
}

impl Wishes {
    pub(super) const NONE: Wishes = Wishes {
        any: false,
        priority: Priority::MIN,
        not_before: Nanos::ZERO,
        delay: Nanos::ZERO,
        deadline: Nanos::MAX,
        max_wait: Nanos::MAX,
        set: 0,
        set_engine: 0,
        spends: None,
    };

    /// The order they come to for a job that is submitted at `now` to a tenant whose jobs wait for at
    /// most `max_wait`. The earliest of all deadlines holds; waits count from the due moment.
    pub(super) fn order(&self, now: Nanos, max_wait: Nanos, bands: Bands) -> Order {
        let due = self.not_before.max(match self.delay {
            Nanos::ZERO => Nanos::ZERO,
            delay => now.after(delay),
        });
        let due = if due <= now { Nanos::ZERO } else { due };
        let deadline = now.max(due).after(self.max_wait.min(max_wait)).min(self.deadline);
        let band = bands.band(self.priority);
        Order { band, priority: self.priority, due, deadline, extra: Order::NO_EXTRA }
    }

    fn spends(&mut self) -> &mut Spends {
        self.any = true;
        self.spends.get_or_insert_default()
    }
}

impl<T> Job<T> {
    /// A job of cost 1.
    #[inline]
    pub fn new(payload: T) -> Self {
        Job { payload, cost: 1, kind: None, order: Wishes::NONE }
    }

    /// Sets the cost in units, `1..=1_000_000`; checked when the job is submitted.
    #[inline]
    #[must_use]
    pub fn cost(mut self, units: u32) -> Self {
        self.cost = units;
        self
    }

    /// Lets the policy's `[costs]` say what the job costs when it is submitted. For a kind whose cost is
    /// `"size"`, or which the policy in force does not name any more, the job's own cost stands.
    #[inline]
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Sets how urgent the job is among its tenant's jobs: 0, the default, to 9,000; what is outside
    /// becomes the nearest (A-11). It is mapped to one of four bands by the policy's `priority_bands`; higher bands
    /// go first, and inside a band jobs go in the order in which they came. The lowest band that has
    /// jobs gets at least one of any 16 grants of its lane.
    ///
    /// All that holds per lane: among a tenant's jobs without a requirement, and among those with the same
    /// one ([`Job::requires`]). Lanes of one tenant share its turns evenly, whatever the priorities of their
    /// jobs: of a tenant with `n` backlogged lanes it is one of about `16 * n` grants. The bands are those of
    /// the policy at the moment of submission.
    #[inline]
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.order.any = true;
        self.order.priority = Priority::new(priority);
        self
    }

    /// Keeps the job back until a moment of the engine's clock ([`Engine::now`](crate::Engine::now)).
    /// Its wait counts from then.
    #[inline]
    #[must_use]
    pub fn not_before(mut self, moment: Nanos) -> Self {
        self.order.any = true;
        self.order.not_before = moment;
        self
    }

    /// Keeps the job back for a time from its submission: from the first attempt, if that waits for room.
    #[inline]
    #[must_use]
    pub fn delay(mut self, time: Duration) -> Self {
        self.order.any = true;
        self.order.delay = Nanos::from_duration(time);
        self
    }

    /// Lets the job expire at a moment of the engine's clock, if it has not been granted before.
    #[inline]
    #[must_use]
    pub fn deadline(mut self, moment: Nanos) -> Self {
        self.order.any = true;
        self.order.deadline = moment;
        self
    }

    /// Lets the job expire when it has waited for so long, counted from submission or from when it is
    /// due. The earliest of a job's deadlines holds, the policy's `max_wait` included.
    #[inline]
    #[must_use]
    pub fn max_wait(mut self, time: Duration) -> Self {
        self.order.any = true;
        self.order.max_wait = Nanos::from_duration(time);
        self
    }

    /// Lets only workers run the job that have what `requirement` stands for. Jobs of one tenant with
    /// the same requirement are a lane of their own, with the tenant's bound for itself: a job that
    /// nobody can run delays none that somebody can. A tenant has up to 4 such lanes at a time.
    #[inline]
    #[must_use]
    pub fn requires(mut self, requirement: Requirement) -> Self {
        self.order.any = true;
        self.order.set = requirement.set;
        self.order.set_engine = requirement.engine;
        self
    }

    /// Says what the job may spend of a dimension of its budgets; amounts of one dimension add up. It is
    /// reserved when the job is granted, and what is really spent
    /// ([`Grant::spent`](crate::Grant::spent)) counts when the grant ends. Without limits on the dimension it is
    /// only counted. For the dimension `cost` it stands in place of the job's cost. At most 16 dimensions;
    /// checked when the job is submitted.
    #[must_use]
    pub fn spend(mut self, dimension: Dimension, amount: u64) -> Self {
        let amounts = &mut self.order.spends().amounts;
        match amounts.iter_mut().find(|(known, _)| *known == dimension) {
            Some((_, sum)) => *sum = sum.saturating_add(amount),
            None => amounts.push((dimension, amount)),
        }
        self
    }

    /// Lets the job draw on one more budget beside its tenant's: at most 16; checked when the job is
    /// submitted. While the policy in force does not have it, the job waits.
    #[must_use]
    pub fn budget(mut self, budget: BudgetId) -> Self {
        self.order.spends().budgets.push(budget);
        self
    }

    /// What is to be done.
    pub fn payload(&self) -> &T {
        &self.payload
    }

    /// Gives the payload back.
    pub fn into_payload(self) -> T {
        self.payload
    }
}

impl<T> From<T> for Job<T> {
    fn from(payload: T) -> Self {
        Job::new(payload)
    }
}

/// A kind of job named in the policy's `[costs]`, good for one engine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Kind {
    pub(super) number: u16,
    pub(super) engine: u16,
}

/// An accepted job's place in its tenant's queue.
///
/// Ask [`Engine::position`](crate::Engine::position) and
/// [`Engine::estimated_wait`](crate::Engine::estimated_wait) about it; nothing is computed before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Accepted {
    pub(super) tenant: Tenant,
    /// `lane 9 | position 23`: the ring position, and which of the tenant's lanes it is in, 0 for its
    /// first.
    pub(super) place: u32,
}

impl Accepted {
    /// Whose job it is.
    #[must_use]
    pub fn tenant(&self) -> Tenant {
        self.tenant
    }
}
