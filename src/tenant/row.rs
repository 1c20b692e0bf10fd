//! One tenant's lane: a line for producers, a line for the drainer.

use crate::fair::Account;
use crate::ring::{Head, Tail};
use crate::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sync::{Owned, mutant, ord};

/// What a lane's drainer alone may touch.
#[derive(Debug)]
pub(crate) struct Drain {
    /// The ring's consuming end.
    pub(crate) head: Head,
    /// The lane's balance.
    pub(crate) account: Account,
}

impl Drain {
    /// Leaves the state of an idle lane behind and returns the state before, which goes back to
    /// its place if the lane turns out not to be empty.
    #[inline]
    pub(crate) fn leave(&mut self) -> Drain {
        let before = Drain { head: self.head.leave(), account: self.account };
        self.account.rest();
        before
    }
}

/// What the policy says about one tenant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Terms {
    /// Index into the plan's profiles.
    pub(crate) profile: u32,
    /// Most jobs that may wait.
    pub(crate) bound: u32,
}

/// Written by producers: two cache lines apart from what the drainer writes.
#[repr(C, align(64))]
pub(crate) struct Row {
    /// The ring's producing end.
    pub(crate) tail: Tail,
    /// Most jobs that may wait. Written when the tenant is named or the policy swapped.
    pub(crate) bound: AtomicU32,
    /// Jobs refused. `fetch_add` by producers, on refusal only.
    pub(crate) refused: AtomicU32,
    /// Cost of those jobs.
    pub(crate) refused_cost: AtomicU64,
    /// 1 after the tenant was asked for by name since the last search for idle tenants.
    pub(crate) touched: AtomicU32,
    pub(crate) drained: Drained,
}

/// Written by the drainer, and by nobody else but now and then.
#[repr(align(64))]
pub(crate) struct Drained {
    /// Jobs taken out of the lane. Written by the drainer, once per visit.
    dispatched: AtomicU64,
    /// Cost of those jobs.
    served_cost: AtomicU64,
    /// Corrections not yet booked, in millionths of a cost unit. `fetch_add` by completions,
    /// `swap` by the drainer.
    pub(crate) owed: AtomicI64,
    /// The head's position, for producers that check the bound. Written once per visit.
    pub(crate) head_seen: AtomicU32,
    /// Index into the plan's profiles. Written when the tenant is named or the policy swapped.
    pub(crate) profile: AtomicU32,
    /// The generation of the handle given out last. Written under the registry's lock.
    pub(crate) generation: AtomicU32,
    /// The rest belongs to the holder of the drain right.
    pub(crate) drain: Owned<Drain>,
}

#[cfg(not(fairlane_loom))]
const _: () = assert!(size_of::<Row>() == 128, "a tenant's lane is two cache lines");

impl Row {
    /// The row of a lane that has never had a tenant.
    pub(crate) fn new(lane: u32) -> Self {
        Row {
            tail: Tail::new(0, 0),
            bound: AtomicU32::new(0),
            refused: AtomicU32::new(0),
            refused_cost: AtomicU64::new(0),
            touched: AtomicU32::new(0),
            drained: Drained {
                dispatched: AtomicU64::new(0),
                served_cost: AtomicU64::new(0),
                owed: AtomicI64::new(0),
                head_seen: AtomicU32::new(0),
                profile: AtomicU32::new(0),
                generation: AtomicU32::new(0),
                drain: Owned::new(lane, Drain { head: Head::new(0), account: Account::new() }),
            },
        }
    }

    /// Stores what the policy says about the tenant.
    pub(crate) fn set_terms(&self, terms: Terms) {
        // Looked at first: the line is the producers', and terms seldom change.
        if self.bound.load(Relaxed) != terms.bound {
            self.bound.store(terms.bound, Relaxed);
        }
        if self.drained.profile.load(Relaxed) != terms.profile {
            // ORDERING(row.profile): Release: the plan that has the profile was published before;
            // pairs with row.terms.
            self.drained.profile.store(terms.profile, ord!("row.profile", Release => Relaxed));
        }
    }

    /// The lane's profile in the plan.
    #[inline]
    pub(crate) fn profile(&self) -> u32 {
        // ORDERING(row.terms): Acquire; pairs with row.profile.
        self.drained.profile.load(ord!("row.terms", Acquire => Relaxed))
    }

    /// Counts a refused job.
    pub(crate) fn count_refusal(&self, cost: u32) {
        self.refused.fetch_add(1, Relaxed);
        self.refused_cost.fetch_add(u64::from(cost), Relaxed);
    }

    /// Jobs dispatched and their cost.
    pub(crate) fn served(&self) -> (u64, u64) {
        (self.drained.dispatched.load(Relaxed), self.drained.served_cost.load(Relaxed))
    }

    /// Forgets what was counted, for the slot's next tenant. The lane must be idle and unknown.
    pub(crate) fn clear_counters(&self) {
        self.refused.swap(0, Relaxed);
        self.refused_cost.swap(0, Relaxed);
        self.drained.owed.swap(0, Relaxed);
        self.drained.dispatched.store(0, Relaxed);
        self.drained.served_cost.store(0, Relaxed);
    }
}

impl Drained {
    /// Publishes what a visit did: `jobs` of `cost` in all, and where the head stands now.
    ///
    /// The caller holds the lane's drain right, so these plain stores have one writer.
    #[inline]
    pub(crate) fn publish(&self, head: u32, jobs: u32, cost: u64) {
        self.served_cost.store(self.served_cost.load(Relaxed) + cost, Relaxed);
        let dispatched = self.dispatched.load(Relaxed) + u64::from(jobs);
        if mutant!("row.count_before_head") {
            self.dispatched.store(dispatched, Relaxed);
        }
        // ORDERING(row.head): Release: a job that has left the depth has been granted; pairs with
        // row.depth.
        self.head_seen.store(head, ord!("row.head", Release => Relaxed));
        // ORDERING(row.count): Release: whoever counts a job as dispatched sees the head past it;
        // pairs with row.counted.
        self.dispatched.store(dispatched, ord!("row.count", Release => Relaxed));
    }
}

impl Row {
    /// Jobs dispatched and jobs waiting, such that their sum never exceeds the jobs accepted.
    pub(crate) fn progress(&self) -> (u64, u32) {
        // The count first, the head after it, the tail last: a job dispatched in between is
        // missing from the sum, never in it twice.
        // ORDERING(row.counted): Acquire; pairs with row.count.
        let dispatched = self.drained.dispatched.load(ord!("row.counted", Acquire => Relaxed));
        // ORDERING(row.depth): Acquire; pairs with row.head.
        let head = self.drained.head_seen.load(ord!("row.depth", Acquire => Relaxed));
        (dispatched, crate::ring::depth(head, &self.tail))
    }
}
