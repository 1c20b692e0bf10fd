//! The oracle of limits: what runs, what is spent, and when jobs were granted.
//!
//! It sees a grant later than the engine and its end earlier. So what it counts is never more than what the
//! engine has let go, and each excess is one.

use crate::load::TENANTS;
use crate::register::Register;
use fairlane::Nanos;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Grants that may be out at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Caps {
    /// Of one tenant.
    pub(crate) tenant: u32,
    /// Of all of them, which are of one tier.
    pub(crate) tier: u32,
}

/// At most so many jobs of a tenant in any window.
#[derive(Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) jobs: usize,
    pub(crate) per: Nanos,
}

/// What holds from the start.
#[derive(Clone, Copy)]
pub(crate) struct Allowed {
    pub(crate) caps: Caps,
    /// Cost units that may be spent before the first refund.
    pub(crate) cost: u64,
}

struct Readings {
    /// Grants out, by tenant.
    out: [u32; TENANTS],
    tenant_caps: [u32; TENANTS],
    tier_cap: u32,
    /// Cost reserved by grants that are out, and spent by those that have ended.
    spent: u64,
    /// What may be spent: the limit, and all refunds.
    allowance: u64,
    /// Of each grant the tenant, and the moments between which it was made.
    grants: Vec<(usize, Nanos, Nanos)>,
}

pub(crate) struct Gauge {
    readings: Mutex<Readings>,
    register: Arc<Register>,
}

impl Gauge {
    /// Tells `register` of what is exceeded.
    pub(crate) fn new(allowed: Allowed, register: &Arc<Register>) -> Gauge {
        let readings = Mutex::new(Readings {
            out: [0; TENANTS],
            tenant_caps: [allowed.caps.tenant; TENANTS],
            tier_cap: allowed.caps.tier,
            spent: 0,
            allowance: allowed.cost,
            grants: Vec::new(),
        });
        Gauge { readings, register: Arc::clone(register) }
    }

    fn read(&self) -> MutexGuard<'_, Readings> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job of `tenant` has been granted, with `cost` reserved.
    pub(crate) fn begins(&self, tenant: usize, cost: u32) {
        let excess = self.read().begin(tenant, cost.into());
        excess.into_iter().for_each(|excess| self.register.object(excess));
    }

    /// The grant is about to end, and has spent `actual` of its `cost`.
    pub(crate) fn ends(&self, tenant: usize, cost: u32, actual: u32) {
        let mut readings = self.read();
        readings.out[tenant] -= 1;
        readings.spent = readings.spent - u64::from(cost) + u64::from(actual);
    }

    /// From now on the caps may be these, where they are wider than before.
    pub(crate) fn widen(&self, caps: Caps) {
        let mut readings = self.read();
        for cap in &mut readings.tenant_caps {
            *cap = caps.tenant.max(*cap);
        }
        readings.tier_cap = caps.tier.max(readings.tier_cap);
    }

    /// From now on `tenant` has no more than `cap`: a cap that is in force, and was not exceeded a moment ago.
    pub(crate) fn narrow_tenant(&self, tenant: usize, cap: u32) {
        self.read().tenant_caps[tenant] = cap;
    }

    /// The same for the tier.
    pub(crate) fn narrow_tier(&self, cap: u32) {
        self.read().tier_cap = cap;
    }

    /// So much is about to be given back to the budget.
    pub(crate) fn refunds(&self, cost: u64) {
        self.read().allowance += cost;
    }

    /// A job of `tenant` was granted at a moment between `before` and `after`.
    pub(crate) fn granted(&self, tenant: usize, before: Nanos, after: Nanos) {
        self.read().grants.push((tenant, before, after));
    }

    /// Whether no window has seen more grants of a tenant than `pace` says. A grant counts in a window when
    /// all of the time in which it may have been made is in it.
    pub(crate) fn check_pace(&self, pace: Pace) {
        let readings = self.read();
        for (tenant, began, _) in &readings.grants {
            let end = began.after(pace.per);
            let inside = readings.grants.iter().filter(|(other, before, after)| {
                (other, before >= began, *after < end) == (tenant, true, true)
            });
            let jobs = inside.count();
            if jobs > pace.jobs {
                self.register.object(format!("tenant {tenant}: {jobs} grants from {began:?} on"));
            }
        }
    }
}

impl Readings {
    /// Counts a grant; what it exceeds, if anything.
    fn begin(&mut self, tenant: usize, cost: u64) -> Option<String> {
        self.out[tenant] += 1;
        self.spent += cost;
        let (own, all) = (self.out[tenant], self.out.iter().sum::<u32>());
        let caps = (self.tenant_caps[tenant], self.tier_cap);
        if own > caps.0 || all > caps.1 {
            return Some(format!("tenant {tenant} runs {own} and its tier {all} of {caps:?}"));
        }
        let over = self.spent > self.allowance;
        over.then(|| format!("{} of {} cost units spent", self.spent, self.allowance))
    }
}

#[cfg(test)]
mod tests {
    use super::{Allowed, Caps, Gauge, Pace};
    use crate::register::Register;
    use fairlane::Nanos;
    use std::sync::Arc;

    /// What is objected to after `acts` on a gauge of 1 grant a tenant, 2 of the tier, and 10 cost units.
    fn told(acts: impl FnOnce(&Gauge)) -> Result<(), String> {
        let register = Arc::new(Register::new(0));
        let caps = Caps { tenant: 1, tier: 2 };
        acts(&Gauge::new(Allowed { caps, cost: 10 }, &register));
        register.check_ends()
    }

    #[test]
    fn more_grants_at_once_than_a_cap_are_rejected() {
        let serve = |gauge: &Gauge, tenants: &[usize]| {
            tenants.iter().for_each(|tenant| gauge.begins(*tenant, 1));
        };
        assert_eq!(told(|gauge| serve(gauge, &[0, 1])), Ok(()));
        assert!(told(|gauge| serve(gauge, &[0, 0])).unwrap_err().contains("tenant 0 runs 2"));
        assert!(told(|gauge| serve(gauge, &[0, 1, 2])).unwrap_err().contains("its tier 3"));
        let again = told(|gauge| {
            gauge.begins(0, 1);
            gauge.ends(0, 1, 1);
            gauge.begins(0, 1);
        });
        assert_eq!(again, Ok(()));
    }

    #[test]
    fn a_cap_holds_that_was_widened_and_narrowed() {
        let widened = |gauge: &Gauge| {
            gauge.widen(Caps { tenant: 2, tier: 2 });
            gauge.begins(0, 1);
            gauge.begins(0, 1);
        };
        assert_eq!(told(widened), Ok(()));
        let narrowed = told(|gauge| {
            gauge.widen(Caps { tenant: 2, tier: 2 });
            gauge.narrow_tenant(0, 1);
            gauge.begins(0, 1);
            gauge.begins(0, 1);
        });
        assert!(narrowed.is_err());
        let narrowed = told(|gauge| {
            gauge.narrow_tier(1);
            gauge.begins(0, 1);
            gauge.begins(1, 1);
        });
        assert!(narrowed.is_err());
    }

    #[test]
    fn spending_beyond_limit_and_refunds_is_rejected() {
        let spend = |gauge: &Gauge, actual| {
            gauge.begins(0, 8);
            gauge.ends(0, 8, actual);
            gauge.begins(0, 3);
        };
        assert!(told(|gauge| spend(gauge, 8)).unwrap_err().contains("11 of 10 cost units"));
        assert_eq!(told(|gauge| spend(gauge, 7)), Ok(()));
        let refunded = told(|gauge| {
            gauge.refunds(1);
            spend(gauge, 8);
        });
        assert_eq!(refunded, Ok(()));
    }

    #[test]
    fn more_grants_in_a_window_than_the_pace_are_rejected() {
        let pace = Pace { jobs: 2, per: Nanos(10) };
        let grants = |third: (u64, u64)| {
            told(|gauge| {
                gauge.granted(1, Nanos(5), Nanos(5));
                gauge.granted(1, Nanos(9), Nanos(9));
                gauge.granted(1, Nanos(third.0), Nanos(third.1));
                gauge.granted(0, Nanos(9), Nanos(9));
                gauge.check_pace(pace);
            })
        };
        assert!(grants((14, 14)).unwrap_err().contains("3 grants from"));
        assert_eq!(grants((15, 15)), Ok(()), "the window is half open");
        assert_eq!(grants((14, 15)), Ok(()), "it may have been at 15");
    }
}
