//! A tenant's limits as a visit reads them, and what a grant holds of them.

use super::{Draw, Scope};
use crate::limit::Rate;
use crate::units::Nanos;
use std::sync::Arc;
use std::time::Duration;

/// What holds for one tenant, resolved from engine, tier and override.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) rate: Option<Rate>,
    /// Most grants in flight.
    pub(crate) cap: Option<u32>,
    /// Grants in flight up to which freed slots of the engine go to this tenant first.
    pub(crate) min: u32,
    /// Whether the tier's grants are limited together.
    pub(crate) tier: Option<u32>,
    /// Whether the engine's are.
    pub(crate) engine: bool,
    /// The budgets that every job draws on, by number.
    pub(crate) budgets: Arc<[Draw]>,
    /// The longest a job may wait; [`Nanos::MAX`] without a limit.
    pub(crate) max_wait: Nanos,
    /// For how long a submission waits for room.
    pub(crate) overload: Option<Duration>,
    /// How far the return of a parked lane may be put off, so that many do not return at once.
    pub(crate) jitter: Nanos,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            rate: None,
            cap: None,
            min: 0,
            tier: None,
            engine: false,
            budgets: Arc::default(),
            max_wait: Nanos::MAX,
            overload: None,
            jitter: Nanos::ZERO,
        }
    }
}

impl Rules {
    /// Whether the tenant's grants are counted.
    pub(crate) fn counts(&self) -> bool {
        !self.is_none()
    }

    /// Whether every job may go when its turn comes.
    pub(crate) fn is_none(&self) -> bool {
        self.rate.is_none()
            && self.cap.is_none()
            && self.min == 0
            && self.tier.is_none()
            && !self.engine
            && self.budgets.is_empty()
    }

    /// The scopes in which a grant of the tenant in `slot` takes a slot, innermost first. The
    /// tenant's own are counted without a limit as well, so that one that comes later holds at once.
    #[inline]
    pub(crate) fn scopes(&self, slot: u32) -> impl Iterator<Item = Scope> + use<> {
        let tier = self.tier.map(Scope::Tier);
        let engine = self.engine.then_some(Scope::Engine);
        [Some(Scope::Tenant(slot)), tier, engine].into_iter().flatten()
    }
}

/// What a grant holds: `tier + 1 9 | reserved 1 | engine 1 | tenant 1`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Held(u16);

const TENANT: u16 = 1;
const ENGINE: u16 = 2;
/// There is a reservation for it with the tenant's state.
const RESERVED: u16 = 4;
const TIER_SHIFT: u32 = 3;
const TIERS: u16 = (1 << Held::BITS) - (1 << TIER_SHIFT);

impl Held {
    /// How many bits there are.
    pub(crate) const BITS: u32 = 12;
    /// Most tiers that can be told apart.
    pub(crate) const TIERS_MAX: usize = (1 << (Held::BITS - TIER_SHIFT)) - 1;
    /// Nothing.
    pub(crate) const NOTHING: Held = Held(0);
    /// A slot of the tenant's own, and no other.
    pub(crate) const OWN: Held = Held(TENANT);

    pub(crate) const fn from_bits(bits: u16) -> Held {
        Held(bits)
    }

    #[inline]
    pub(crate) const fn bits(self) -> u16 {
        self.0
    }

    /// With one slot of `scope` more.
    pub(crate) const fn with(self, scope: Scope) -> Held {
        match scope {
            Scope::Tenant(_) => Held(self.0 | TENANT),
            Scope::Tier(tier) => Held(self.0 | (tier as u16 + 1) << TIER_SHIFT),
            Scope::Engine => Held(self.0 | ENGINE),
        }
    }

    /// With a reservation in budgets.
    pub(crate) const fn reserved(self) -> Held {
        Held(self.0 | RESERVED)
    }

    /// Whether there is a reservation in budgets.
    pub(crate) const fn is_reserved(self) -> bool {
        self.0 & RESERVED != 0
    }

    /// Whether there is a slot of `scope` among them. A lane's tier does not change while it holds one.
    #[inline]
    pub(crate) const fn has(self, scope: Scope) -> bool {
        let one = Held::NOTHING.with(scope).0;
        match scope {
            Scope::Tier(_) => self.0 & TIERS == one,
            _ => self.0 & one != 0,
        }
    }

    /// Without the slot of `scope`.
    pub(crate) const fn without(self, scope: Scope) -> Held {
        Held(self.0 & !Held::NOTHING.with(scope).0)
    }

    /// The slots held by a grant of the tenant in `slot`, its own first.
    pub(crate) fn scopes(self, slot: u32) -> impl Iterator<Item = Scope> {
        let tier = self.0 >> TIER_SHIFT;
        let tenant = (self.0 & TENANT != 0).then_some(Scope::Tenant(slot));
        let tier = tier.checked_sub(1).map(|tier| Scope::Tier(tier.into()));
        let engine = (self.0 & ENGINE != 0).then_some(Scope::Engine);
        [tenant, tier, engine].into_iter().flatten()
    }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_grant_gives_back_what_it_holds(
            slot: u32, engine: bool, tenant: bool, reserved: bool,
            tier in prop::option::of(0..Held::TIERS_MAX as u32),
        ) {
            let all = [
                tenant.then_some(Scope::Tenant(slot)),
                tier.map(Scope::Tier),
                engine.then_some(Scope::Engine),
            ];
            let nothing = if reserved { Held::NOTHING.reserved() } else { Held::NOTHING };
            let held = all.iter().flatten().fold(nothing, |held, scope| held.with(*scope));
            prop_assert_eq!(held.is_reserved(), reserved);
            prop_assert!(u32::from(held.bits()) < 1 << Held::BITS);
            let back: Vec<_> = Held::from_bits(held.bits()).scopes(slot).collect();
            prop_assert_eq!(back, all.into_iter().flatten().collect::<Vec<_>>());
        }
    }
}
