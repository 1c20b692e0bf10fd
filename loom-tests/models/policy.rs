//! A policy that is replaced while it is read.

use super::dispatch_rig::lanes;
use super::harness::check;
use crate::sync::{Arc as LoomArc, UnsafeCell};
use crate::tenant::Terms;
use loom::thread;
use std::sync::Arc;

/// What stands for the new plan: written before any row names one of its profiles.
struct Plan(UnsafeCell<u32>);

// SAFETY: written before the profile's number is stored and read after it has been seen; that this
// is enough is what the model checks.
unsafe impl Sync for Plan {}

/// Whoever reads a profile's number sees the plan that has it.
#[test]
fn policy_profile() {
    check("policy_profile", None, || {
        let (lanes, _beds) = lanes(1, 8, 1);
        let plan = LoomArc::new(Plan(UnsafeCell::new(0)));
        let (theirs, new) = (Arc::clone(&lanes), LoomArc::clone(&plan));
        let publisher = thread::spawn(move || {
            new.0.with_mut(|plan| {
                // SAFETY: no row names a profile of this plan yet.
                unsafe { *plan = 1 }
            });
            theirs.table.row(0).set_terms(Terms::plain(1, 8));
        });
        if lanes.table.row(0).profile() == 1 {
            plan.0.with(|plan| {
                // SAFETY: the number has been seen.
                assert_eq!(unsafe { *plan }, 1);
            });
        }
        publisher.join().unwrap();
        assert_eq!(lanes.table.row(0).profile(), 1);
    });
}
