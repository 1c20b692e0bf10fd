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
}

impl Reason {
    /// Every reason, in the order used by counters.
    pub const ALL: [Reason; 7] = [
        Reason::QueueFull,
        Reason::EngineFull,
        Reason::Draining,
        Reason::Closed,
        Reason::TooManyTenants,
        Reason::StaleTenant,
        Reason::Invalid,
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
