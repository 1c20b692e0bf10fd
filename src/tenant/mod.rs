//! The bounded table of tenants: names to slots, generations, and each lane's state.

mod row;
mod table;

pub(crate) use row::{Drain, LeftBehind, News, Row, Terms};
pub(crate) use table::{Ages, Beside, EXTRA_PER_TENANT, InternError, Interned, Table};

use std::fmt;

/// A tenant's handle: cheap to copy, good for one engine.
///
/// A handle goes stale when its tenant is given up to make room at `tenants_max`; submitting with
/// it is then refused with [`Reason::StaleTenant`](crate::Reason::StaleTenant) and never reaches
/// another tenant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
// One number, `slot 32 | generation 16 | engine 16`: put together from fields in memory, a handle
// that is read as a whole right afterwards has to wait for its parts.
pub struct Tenant(u64);

impl Tenant {
    #[inline]
    pub(crate) const fn new(slot: u32, generation: u16, engine: u16) -> Self {
        Tenant((slot as u64) << 32 | (generation as u64) << 16 | engine as u64)
    }

    /// The tenant's place in the engine's table, `0..tenants_max`: a dense index for a service's
    /// own per-tenant arrays. A place is used again after its tenant has been given up.
    #[inline]
    #[must_use]
    pub const fn slot(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    pub(crate) const fn generation(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// Which engine of the process the handle belongs to, modulo 2^16.
    #[inline]
    pub(crate) const fn engine(self) -> u16 {
        self.0 as u16
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant")
            .field("slot", &self.slot())
            .field("generation", &self.generation())
            .field("engine", &self.engine())
            .finish()
    }
}
