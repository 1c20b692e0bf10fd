//! How a job becomes a grant.

use crate::claim::{Grant, Ledger, Receipt, Waited};
use crate::fair::Purse;
use crate::gate::Held;
use crate::ring::{Stamp, Taker};
use crate::stats::{DelayLog, Kind};
use crate::sync::{Lender, Run};
use crate::tenant::Tenant;
use crate::units::Nanos;

/// Makes grants of the jobs that a lane's balance covers.
pub(super) struct Granting<'a> {
    pub(super) purse: Purse,
    ledger: &'a Lender<Ledger>,
    tenant: Tenant,
    tier: u32,
    now: Nanos,
    log: &'a mut DelayLog,
}

/// What jobs are paid from, and what their grants are made of.
pub(super) struct Till<'a> {
    pub(super) purse: Purse,
    loans: Run<'a, Ledger>,
    tenant: Tenant,
}

impl<'a> Granting<'a> {
    /// For jobs of `tenant`, of the tier numbered `tier`, at `now`, to be paid from `purse`.
    #[inline]
    pub(super) fn new(
        purse: Purse,
        (tenant, tier): (Tenant, u32),
        now: Nanos,
        (ledger, log): (&'a Lender<Ledger>, &'a mut DelayLog),
    ) -> Self {
        Granting { purse, ledger, tenant, tier, now, log }
    }

    #[inline]
    pub(super) fn open_till(&self) -> Till<'a> {
        Till { purse: self.purse, loans: self.ledger.run(), tenant: self.tenant }
    }

    #[inline]
    pub(super) fn close_till(&mut self, till: Till<'a>) {
        self.purse = till.purse;
    }

    /// For how long a job has waited, which is noted.
    #[inline(always)]
    pub(super) fn waited(&mut self, stamp: Stamp) -> Waited {
        if stamp.is_some() {
            time_wait(stamp, self.now, self.tier, self.log)
        } else {
            Waited::UNTIMED
        }
    }

    /// The grant of a job that holds what `holds` says; `waited` is then the gate's to say.
    #[inline(always)]
    pub(super) fn grant<T>(
        &mut self,
        till: &mut Till<'a>,
        (cost, holds): (u32, Held),
        waited: Waited,
        payload: T,
    ) -> Grant<T> {
        let loan = till.loans.lend();
        Grant::new(payload, Receipt::new(till.tenant, cost, holds.bits(), waited, loan))
    }
}

impl<'a, T> Taker<T> for Granting<'a> {
    type Out = Grant<T>;
    type Till = Till<'a>;

    #[inline]
    fn open(&self) -> Till<'a> {
        self.open_till()
    }

    #[inline]
    fn close(&mut self, till: Till<'a>) {
        self.close_till(till);
    }

    #[inline]
    fn admit(&mut self, till: &mut Till<'a>, cost: u32) -> bool {
        till.purse.pay(cost)
    }

    #[inline]
    fn make(&mut self, till: &mut Till<'a>, cost: u32, stamp: Stamp, payload: T) -> Grant<T> {
        let waited = self.waited(stamp);
        self.grant(till, (cost, Held::NOTHING), waited, payload)
    }
}

/// Notes how long a stamped job waited.
#[cold]
fn time_wait(stamp: Stamp, now: Nanos, tier: u32, log: &mut DelayLog) -> Waited {
    let age = stamp.age(now.0);
    log.note(tier, Kind::Queue, age);
    Waited::nanos(age)
}
