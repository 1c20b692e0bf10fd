//! Why a job was not accepted, in numbers and in words.

use super::job::Job;
use crate::error::Reason;
use crate::units::Cost;
use std::fmt;
use std::time::Duration;

/// Why a job was not accepted, with the numbers of the limit that it has met.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    pub(super) reason: Reason,
    /// For a full queue: jobs queued and the bound. For an invalid cost: the cost, and 0; for an
    /// invalid kind 0 and [`FOREIGN_KIND`]; for budgets that cannot be 0 and [`BAD_SPENDS`].
    pub(super) detail: (u64, u64),
    /// Milliseconds until a place can come free, 0 where that is not known.
    pub(super) retry_ms: u32,
    /// Whose limit it is, where the reason does not say so and it is known.
    pub(super) bound: Option<Box<Bound>>,
}

/// Whose limit a job has met.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Bound {
    /// Its tenant's rate.
    Rate,
    /// A budget's.
    Budget { budget: String, dimension: String },
}

/// A refusal's reason and detail.
pub(super) type Why = (Reason, (u64, u64));

/// Marks a refusal for the job's kind.
pub(super) const FOREIGN_KIND: u64 = u64::MAX;
/// Marks a refusal for the job's budgets or dimensions.
pub(super) const BAD_SPENDS: u64 = u64::MAX - 1;

impl Refusal {
    pub(super) fn new((reason, detail): Why) -> Self {
        Refusal { reason, detail, retry_ms: 0, bound: None }
    }

    /// Why the job was refused.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// How much of the limit was used: the jobs queued for `queue_full`; the tenant's requirements for
    /// `too_many_classes` of its own; for `too_wide` and an invalid cost, what the job would use. `None` where
    /// no limit counts.
    #[must_use]
    pub fn current(&self) -> Option<u64> {
        match self.reason {
            Reason::QueueFull | Reason::TooWide => Some(self.detail.0),
            Reason::TooManyClasses if self.detail.0 > 0 => Some(self.detail.0),
            Reason::Invalid if self.is_for_cost() => Some(self.detail.0),
            _ => None,
        }
    }

    /// The limit: of the tenant's queue for `queue_full`, of all queues for `engine_full`, of what its rate
    /// or budget ever lets go at once for `too_wide`, of the requirements of the tenant's or the engine's
    /// waiting jobs for `too_many_classes`, of a job's cost for an invalid one. `None` for what has none.
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        match self.reason {
            Reason::QueueFull | Reason::EngineFull | Reason::TooWide | Reason::TooManyClasses => {
                Some(self.detail.1)
            }
            Reason::Invalid if self.is_for_cost() => Some(Cost::MAX.get().into()),
            _ => None,
        }
    }

    /// The budget and its dimension whose limit the job is too wide for; `None` for a rate's, and for all
    /// other reasons.
    #[must_use]
    pub fn budget(&self) -> Option<(&str, &str)> {
        match self.bound.as_deref() {
            Some(Bound::Budget { budget, dimension }) => Some((budget, dimension)),
            _ => None,
        }
    }

    /// How long it is, by the engine's clock, until there can be room again, where that is known: a full
    /// queue whose next job waits for its rate or for the reset of a budget has none before that moment.
    /// `None` where room comes with the end of a grant, a change of policy, or not by waiting. In whole
    /// milliseconds, rounded up, and 49 days for what is longer.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        (self.retry_ms > 0).then(|| Duration::from_millis(self.retry_ms.into()))
    }

    /// Of a job that is invalid, whether it is so for its cost.
    fn is_for_cost(&self) -> bool {
        !matches!(self.detail.1, FOREIGN_KIND | BAD_SPENDS)
    }

    fn write_too_wide(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (current, limit) = self.detail;
        write!(f, "too wide: {current} is more than ")?;
        match self.bound.as_deref() {
            Some(Bound::Rate) => write!(f, "the rate's {limit} at once"),
            Some(Bound::Budget { budget, dimension }) => {
                write!(f, "budget {budget} has: {dimension} {limit}")
            }
            None => write!(f, "the {limit} that a limit ever lets go at once"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (current, limit) = self.detail;
        match self.reason {
            Reason::QueueFull => {
                write!(f, "queue full: {current} of {limit} jobs queued")?;
                let after = self.retry_after();
                after.map_or(Ok(()), |time| write!(f, ", retry in {} s", time.as_secs_f64()))
            }
            Reason::EngineFull => write!(f, "engine full: room for {limit} jobs is taken"),
            Reason::Draining => f.write_str("draining: the engine takes no more jobs"),
            Reason::Closed => f.write_str("closed: the engine has stopped"),
            Reason::StaleTenant => f.write_str("stale tenant: the handle is no longer valid"),
            Reason::Invalid if limit == FOREIGN_KIND => {
                f.write_str("invalid: the kind or requirement belongs to another engine")
            }
            Reason::Invalid if limit == BAD_SPENDS => f.write_str(
                "invalid: a budget or a dimension belongs to another engine, or there are more than 16",
            ),
            Reason::Invalid => write!(f, "invalid: cost {current} is outside 1..=1000000"),
            Reason::TooWide => self.write_too_wide(f),
            Reason::TooManyClasses if current > 0 => write!(
                f,
                "too many classes: jobs of {current} requirements of the tenant wait, of at most {limit}"
            ),
            Reason::TooManyClasses => write!(
                f,
                "too many classes: the engine has no place for one more beside {limit} requirements, \
                 or no lane for it"
            ),
            Reason::Deadline => f.write_str("deadline: it has passed already"),
            other => f.write_str(other.code()),
        }
    }
}

/// A job that was not accepted, with the reason. Nothing is kept of it in the engine.
pub struct Refused<T> {
    pub(super) job: Job<T>,
    pub(super) why: Refusal,
}

impl<T> Refused<T> {
    /// Why the job was refused, without the job.
    #[must_use]
    pub fn why(&self) -> &Refusal {
        &self.why
    }

    /// As [`Refusal::reason`].
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.why.reason()
    }

    /// As [`Refusal::current`].
    #[must_use]
    pub fn current(&self) -> Option<u64> {
        self.why.current()
    }

    /// As [`Refusal::limit`].
    #[must_use]
    pub fn limit(&self) -> Option<u64> {
        self.why.limit()
    }

    /// As [`Refusal::retry_after`].
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.why.retry_after()
    }

    /// The payload, as it was submitted.
    pub fn payload(&self) -> &T {
        self.job.payload()
    }

    /// The job, as it was submitted.
    pub fn into_job(self) -> Job<T> {
        self.job
    }

    /// The payload, as it was submitted.
    pub fn into_payload(self) -> T {
        self.job.into_payload()
    }
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refused").field("reason", &self.why.reason).finish_non_exhaustive()
    }
}

impl<T> std::error::Error for Refused<T> {}

/// What became of a batch: the first `accepted` jobs were taken, the rest came back.
#[derive(Debug)]
#[must_use = "jobs that were refused are in here"]
pub struct Batch<T> {
    /// Jobs accepted, from the front of the batch.
    pub accepted: usize,
    /// The jobs refused, in order.
    pub refused: Vec<Job<T>>,
    /// Why the first of them was refused; `None` when all were accepted.
    pub reason: Option<Reason>,
    pub(super) why: Option<Refusal>,
}

impl<T> Batch<T> {
    pub(super) fn new(accepted: usize, refused: Vec<Job<T>>, why: Option<Refusal>) -> Self {
        Batch { accepted, refused, reason: why.as_ref().map(Refusal::reason), why }
    }

    /// The same as `reason` with its numbers, and the time until there can be room for the first job that was
    /// refused, where that is known.
    #[must_use]
    pub fn why(&self) -> Option<&Refusal> {
        self.why.as_ref()
    }
}
