//! The bounded table of tenants: names to slots, generations, and each lane's state.

mod row;
mod table;

pub(crate) use row::{Drain, LeftBehind, News, Row, Terms};
pub(crate) use table::{Ages, Beside, EXTRA_PER_TENANT, InternError, Interned, Table};

/// A tenant's handle: cheap to copy, good for one engine.
///
/// A handle goes stale when its tenant is given up to make room at `tenants_max`; submitting with
/// it is then refused with [`Reason::StaleTenant`](crate::Reason::StaleTenant) and never reaches
/// another tenant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Tenant {
    slot: u32,
    generation: u16,
    /// Which engine of the process the handle belongs to, modulo 2^16.
    engine: u16,
}

impl Tenant {
    pub(crate) const fn new(slot: u32, generation: u16, engine: u16) -> Self {
        Tenant { slot, generation, engine }
    }

    /// The tenant's place in the engine's table, `0..tenants_max`: a dense index for a service's
    /// own per-tenant arrays. A place is used again after its tenant has been given up.
    #[inline]
    #[must_use]
    pub const fn slot(self) -> u32 {
        self.slot
    }

    #[inline]
    pub(crate) const fn generation(self) -> u16 {
        self.generation
    }

    #[inline]
    pub(crate) const fn engine(self) -> u16 {
        self.engine
    }
}
