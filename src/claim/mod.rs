//! Grants: the right to run one job.

use crate::error::BudgetError;
use crate::sync::{Loan, mutant};
use crate::tenant::Tenant;
use crate::units::Dimension;
use std::sync::Arc;
use std::time::Duration;

/// Where a completed job's correction is booked. Implemented by the dispatcher; a grant does not
/// know how its lane was chosen.
pub(crate) trait Books: Send + Sync {
    /// Gives the tenant back `micros` millionths of a cost unit (negative: charges them).
    fn correct(&self, tenant: Tenant, micros: i64);

    /// Takes back what a grant of the tenant held of its limits, as the gate has written it down.
    fn release(&self, tenant: Tenant, holds: u16, waited: u32);

    /// What came of a grant that holds something, before it ends.
    fn note(&self, tenant: Tenant, holds: u16, waited: u32, outcome: Outcome);

    /// What a grant that holds something has spent of dimensions in all.
    fn spent(
        &self,
        tenant: Tenant,
        holds: u16,
        waited: u32,
        amounts: &[(Dimension, u64)],
    ) -> Result<(), BudgetError>;

    /// For how long the job of a grant that holds something waited, in the receipt's words.
    fn waited(&self, tenant: Tenant, holds: u16, waited: u32) -> u32;
}

/// What came of a grant, as far as it is not what was estimated.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// Its actual cost.
    Cost(u32),
    /// Its job was not begun.
    Void,
}

/// What a worker lends to each of its grants; the loans are the grants in flight.
pub(crate) struct Ledger {
    books: Arc<dyn Books>,
}

impl Ledger {
    pub(crate) fn new(books: Arc<dyn Books>) -> Self {
        Ledger { books }
    }
}

/// The right to run one job, and the job.
///
/// Whatever becomes of the grant, the job is settled, and only then: by
/// [`complete`](Grant::complete), by [`settle`](Grant::settle) with the actual cost, or by dropping
/// it, also while a panic unwinds. A grant may move to another thread and outlive its worker and
/// its engine. It is `Send` where its payload is, and only there:
///
/// ```
/// fn is_send<T: Send>() {}
/// is_send::<fairlane::Grant<u64>>();
/// let of_one_thread: Option<fairlane::Grant<std::rc::Rc<u64>>> = None;
/// ```
///
/// ```compile_fail,E0277
/// fn is_send<T: Send>() {}
/// is_send::<fairlane::Grant<std::rc::Rc<u64>>>();
/// ```
///
/// Dropping a grant on the worker's own thread costs a plain store, elsewhere one atomic add.
pub struct Grant<T> {
    payload: T,
    receipt: Receipt,
}

impl<T> Grant<T> {
    #[inline]
    pub(crate) fn new(payload: T, receipt: Receipt) -> Self {
        Grant { payload, receipt }
    }

    /// What was submitted.
    #[inline]
    pub fn payload(&self) -> &T {
        &self.payload
    }

    /// What was submitted, to be changed in place.
    #[inline]
    pub fn payload_mut(&mut self) -> &mut T {
        &mut self.payload
    }

    /// Takes the payload; the job is settled now.
    #[inline]
    pub fn into_payload(self) -> T {
        self.payload
    }

    /// Takes the payload and leaves the settling to the receipt.
    #[inline]
    pub fn split(self) -> (T, Receipt) {
        (self.payload, self.receipt)
    }

    /// Whose job it is.
    #[inline]
    pub fn tenant(&self) -> Tenant {
        self.receipt.tenant
    }

    /// What the tenant was charged, in cost units.
    #[inline]
    pub fn cost(&self) -> u32 {
        self.receipt.cost()
    }

    /// How long the job waited from acceptance to grant, when it was one of those that are timed:
    /// all when handlers take 1 us or more, else every 64th of a tenant. To about 1 us.
    #[inline]
    pub fn waited(&self) -> Option<Duration> {
        self.receipt.waited()
    }

    /// Settles the job as charged, and drops the payload.
    pub fn complete(self) {}

    /// Settles the job with its actual cost: the tenant's balance is corrected by the difference
    /// at its next visit, and its budgets count this in place of the cost reserved, whatever was noted of the
    /// dimension `cost` before.
    pub fn settle(self, actual_cost: u32) {
        self.receipt.settle(actual_cost);
    }

    /// Notes what the job has really spent in all; when the grant ends, the tenant's budgets and those
    /// that the job named count it in place of what the job was estimated at. A dimension that is not
    /// named keeps its estimate; one noted again has the later amount. Without budgets nothing happens.
    ///
    /// # Errors
    /// [`BudgetError::Dimensions`] when a budget counts 32 dimensions already and this would be one more,
    /// [`BudgetError::Foreign`] when a dimension belongs to another engine. Nothing of the call is noted then.
    pub fn spent(&mut self, amounts: &[(Dimension, u64)]) -> Result<(), BudgetError> {
        self.receipt.spent(amounts)
    }

    /// Takes the payload of a job that was not begun: nothing was spent.
    pub(crate) fn take_back(self) -> T {
        self.receipt.note(Outcome::Void);
        self.payload
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Grant<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Grant")
            .field("tenant", &self.receipt.tenant)
            .field("cost", &self.receipt.cost())
            .field("payload", &self.payload)
            .finish()
    }
}

/// From acceptance to grant in units of 1,024 ns, up to 73 minutes, or not timed.
#[derive(Clone, Copy)]
pub(crate) struct Waited(u32);

impl Waited {
    /// The job was not timed.
    pub(crate) const UNTIMED: Waited = Waited(u32::MAX);

    /// Rounds down to a unit.
    pub(crate) fn nanos(nanos: u64) -> Waited {
        Waited(u32::try_from(nanos >> 10).unwrap_or(u32::MAX).min(u32::MAX - 1))
    }

    /// As a number, for whoever keeps it elsewhere.
    #[inline]
    pub(crate) fn to_bits(self) -> u32 {
        self.0
    }

    /// The reverse of [`Waited::to_bits`].
    #[inline]
    pub(crate) fn from_bits(bits: u32) -> Waited {
        Waited(bits)
    }

    fn get(self) -> Option<Duration> {
        (self.0 != u32::MAX).then(|| Duration::from_nanos(u64::from(self.0) << 10))
    }
}

/// A grant without its payload. Dropping it settles the job.
#[must_use = "dropping the receipt settles the job"]
pub struct Receipt {
    tenant: Tenant,
    /// `holds 12 | cost 20`: what the grant holds of limits is the gate's to read; 0 is nothing.
    charge: u32,
    /// The gate's to read too, when the grant holds something.
    waited: Waited,
    loan: Loan<Ledger>,
}

/// Bits of a cost, of which the largest is a million.
const COST_BITS: u32 = 20;

impl Receipt {
    #[inline]
    pub(crate) fn new(
        tenant: Tenant,
        cost: u32,
        holds: u16,
        waited: Waited,
        loan: Loan<Ledger>,
    ) -> Self {
        Receipt { tenant, charge: u32::from(holds) << COST_BITS | cost, waited, loan }
    }

    /// Whose job it is.
    #[inline]
    pub fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// What the tenant was charged, in cost units.
    #[inline]
    pub fn cost(&self) -> u32 {
        self.charge & ((1 << COST_BITS) - 1)
    }

    /// As [`Grant::waited`].
    #[inline]
    pub fn waited(&self) -> Option<Duration> {
        match self.holds() {
            0 => self.waited.get(),
            holds => Waited(self.loan.books.waited(self.tenant, holds, self.waited.0)).get(),
        }
    }

    /// Settles the job as charged.
    pub fn complete(self) {}

    /// As [`Grant::spent`].
    ///
    /// # Errors
    /// The same.
    pub fn spent(&mut self, amounts: &[(Dimension, u64)]) -> Result<(), BudgetError> {
        match self.holds() {
            0 => Ok(()),
            holds => self.loan.books.spent(self.tenant, holds, self.waited.0, amounts),
        }
    }

    fn holds(&self) -> u16 {
        (self.charge >> COST_BITS) as u16
    }

    fn note(&self, outcome: Outcome) {
        let holds = self.holds();
        if holds != 0 {
            self.loan.books.note(self.tenant, holds, self.waited.0, outcome);
        }
    }

    /// As [`Grant::settle`].
    pub fn settle(self, actual_cost: u32) {
        self.note(Outcome::Cost(actual_cost));
        let difference = i64::from(self.cost()) - i64::from(actual_cost);
        if difference != 0 {
            self.loan.books.correct(self.tenant, crate::fair::micros(difference));
        }
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receipt").field("tenant", &self.tenant).field("cost", &self.cost()).finish()
    }
}

/// Gives back what a grant holds. Takes values, not the receipt: its address is nobody's concern, so it
/// need not be in memory.
#[cold]
#[inline(never)]
fn release(ledger: &Ledger, tenant: Tenant, charge: u32, waited: u32) {
    ledger.books.release(tenant, (charge >> COST_BITS) as u16, waited);
}

impl Drop for Receipt {
    #[inline]
    fn drop(&mut self) {
        if self.charge >= 1 << COST_BITS && !mutant!("claim.no_release") {
            release(&self.loan, self.tenant, self.charge, self.waited.0);
        }
    }
}
