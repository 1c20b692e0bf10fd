//! Why a job or a name is refused: one vocabulary for every operation, with a stable code each.

use std::fmt;

/// Why a job was not accepted, in one closed vocabulary used by refusals, counters and reports.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Reason {
    /// The tenant's queue is at its bound.
    QueueFull,
    /// The engine's block pool is used up, or its last eighth is kept for lighter tenants.
    EngineFull,
    /// The engine is draining: intake has stopped.
    Draining,
    /// The engine has stopped.
    Closed,
    /// The tenant table is at `tenants_max` and no idle tenant could be given up.
    TooManyTenants,
    /// The handle belongs to a tenant that was given up, or to another engine.
    StaleTenant,
    /// The job or the name is out of range.
    Invalid,
    /// The tenant's rate is used up for now.
    Rate,
    /// The tenant has as many grants in flight as it may.
    Concurrency,
    /// The tenant's tier has.
    TierConcurrency,
    /// The engine has.
    EngineConcurrency,
    /// A budget is used up.
    Budget,
    /// No live worker has the capabilities that the job requires.
    NoCapableWorker,
    /// There are too many distinct requirements alive.
    TooManyClasses,
    /// The job's due time has not come.
    NotDue,
    /// The job's deadline has passed.
    Deadline,
    /// A limit of 0 lets nothing go.
    Paused,
    /// The job alone is more than its limit ever allows at once.
    TooWide,
}

impl Reason {
    /// Every reason, in the order used by counters.
    pub const ALL: [Reason; 18] = [
        Reason::QueueFull,
        Reason::EngineFull,
        Reason::Draining,
        Reason::Closed,
        Reason::TooManyTenants,
        Reason::StaleTenant,
        Reason::Invalid,
        Reason::Rate,
        Reason::Concurrency,
        Reason::TierConcurrency,
        Reason::EngineConcurrency,
        Reason::Budget,
        Reason::NoCapableWorker,
        Reason::TooManyClasses,
        Reason::NotDue,
        Reason::Deadline,
        Reason::Paused,
        Reason::TooWide,
    ];

    /// The stable code, for metrics, logs and wire formats.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Reason::QueueFull => "queue_full",
            Reason::EngineFull => "engine_full",
            Reason::Draining => "draining",
            Reason::Closed => "closed",
            Reason::TooManyTenants => "too_many_tenants",
            Reason::StaleTenant => "stale_tenant",
            Reason::Invalid => "invalid",
            Reason::Rate => "rate",
            Reason::Concurrency => "concurrency",
            Reason::TierConcurrency => "tier_concurrency",
            Reason::EngineConcurrency => "engine_concurrency",
            Reason::Budget => "budget",
            Reason::NoCapableWorker => "no_capable_worker",
            Reason::TooManyClasses => "too_many_classes",
            Reason::NotDue => "not_due",
            Reason::Deadline => "deadline",
            Reason::Paused => "paused",
            Reason::TooWide => "too_wide",
        }
    }

    /// What earlier systems of this kind call a wait for this reason, where they have a word for it:
    /// `waiting_for_budget`, `waiting_for_quota`, `waiting_for_capable_worker` or
    /// `paused_by_policy`.
    #[must_use]
    pub const fn block_reason(self) -> Option<&'static str> {
        match self {
            Reason::Budget => Some("waiting_for_budget"),
            Reason::Rate
            | Reason::Concurrency
            | Reason::TierConcurrency
            | Reason::EngineConcurrency => Some("waiting_for_quota"),
            Reason::NoCapableWorker => Some("waiting_for_capable_worker"),
            Reason::Paused => Some("paused_by_policy"),
            _ => None,
        }
    }

    /// The reason's place in [`Reason::ALL`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// Why spending was neither counted nor taken back.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BudgetError {
    /// The budget or a dimension belongs to another engine.
    Foreign,
    /// The budget counts 32 dimensions already, and this would be one more.
    Dimensions,
    /// The key is empty or longer than 256 bytes.
    Key,
}

impl fmt::Display for BudgetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BudgetError::Foreign => "a budget or a dimension belongs to another engine",
            BudgetError::Dimensions => "the budget counts 32 dimensions already",
            BudgetError::Key => "a key has 1 to 256 bytes",
        })
    }
}

impl std::error::Error for BudgetError {}
