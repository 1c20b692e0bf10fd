//! How a job becomes a grant.

use crate::claim::{Grant, Ledger, Receipt, Waited};
use crate::fair::Account;
use crate::gate::Held;
use crate::ring::{Stamp, Taker};
use crate::stats::{DelayLog, Kind};
use crate::sync::Run;
use crate::tenant::Tenant;
use crate::units::Nanos;

/// Makes grants of the jobs that a lane's balance covers.
pub(super) struct Granting<'a> {
    pub(super) account: Account,
    /// Cost of the jobs granted.
    pub(super) cost: u64,
    pub(super) loans: Run<'a, Ledger>,
    pub(super) tenant: Tenant,
    pub(super) tier: u32,
    pub(super) now: Nanos,
    pub(super) log: &'a mut DelayLog,
}

impl Granting<'_> {
    /// The grant of a job that holds slots as `holds` says.
    #[inline(always)]
    pub(super) fn grant<T>(
        &mut self,
        cost: u32,
        holds: Held,
        stamp: Stamp,
        payload: T,
    ) -> Grant<T> {
        self.cost += u64::from(cost);
        let waited = if stamp.is_some() {
            time_wait(stamp, self.now, self.tier, self.log)
        } else {
            Waited::UNTIMED
        };
        let loan = self.loans.lend();
        Grant::new(payload, Receipt::new(self.tenant, cost, holds.bits(), waited, loan))
    }
}

impl<T> Taker<T> for Granting<'_> {
    type Out = Grant<T>;

    #[inline]
    fn admit(&mut self, cost: u32) -> bool {
        self.account.pay(cost)
    }

    #[inline]
    fn make(&mut self, cost: u32, stamp: Stamp, payload: T) -> Grant<T> {
        self.grant(cost, Held::NOTHING, stamp, payload)
    }
}

/// Notes how long a stamped job waited.
#[cold]
fn time_wait(stamp: Stamp, now: Nanos, tier: u32, log: &mut DelayLog) -> Waited {
    let age = stamp.age(now.0);
    log.note(tier, Kind::Queue, age);
    Waited::nanos(age)
}
