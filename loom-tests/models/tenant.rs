//! The table of tenants: slots that change hands, and what is counted in them.

use super::dispatch_rig::{Place, lanes, submit, tenant};
use super::harness::check;
use crate::dispatch::Lanes;
use crate::ring::{Pool, ReserveError};
use crate::sync::Arc as LoomArc;
use crate::tenant::{Table, Tenant, Terms};
use loom::thread;
use std::sync::Arc;

const TERMS: Terms = Terms::plain(0, 8);

/// Lanes with a table for one tenant only, which is named.
fn lanes_for_one() -> Arc<Lanes<u64>> {
    let (mut lanes, _) = lanes(0, 8, 1);
    // In their place: a model's stack is too small for copies.
    let inner = Arc::get_mut(&mut lanes).expect("nobody else has them yet");
    inner.table = Table::new(1);
    inner.table.intern("old", TERMS).unwrap();
    lanes
}

/// A slot is given to another tenant only when its lane is idle, and an old handle never submits
/// to the new one: every job is granted to the tenant whose handle submitted it.
#[test]
fn tenant_reuse() {
    check("tenant_reuse", None, || {
        let lanes = lanes_for_one();
        let old = Arc::clone(&lanes);
        let old = thread::spawn(move || submit(&old, tenant(0), 1));
        let new = lanes.table.intern("new", TERMS);
        let mut expected = Vec::new();
        if let Ok(new) = new {
            let handle = Tenant::new(new.slot, new.generation, 0);
            submit(&lanes, handle, 2).unwrap();
            expected.push((handle, 2));
        }
        match old.join().unwrap() {
            Ok(()) => expected.insert(0, (tenant(0), 1)),
            Err(error) => assert_eq!(error, ReserveError::Stale),
        }
        assert_eq!(Place::new(0, &lanes).drain(), expected);
    });
}

/// The same with a worker that empties the lane in between, so that an accepted job does not keep
/// the slot.
/// Bound: 2 preemptions.
#[test]
fn tenant_reuse_after_service() {
    check("tenant_reuse_after_service", Some(2), || {
        let lanes = lanes_for_one();
        let old = Arc::clone(&lanes);
        let old = thread::spawn(move || submit(&old, tenant(0), 1).is_ok());
        let worker = Arc::clone(&lanes);
        let worker = thread::spawn(move || {
            let mut place = Place::new(0, &worker);
            let mut grants = place.grants(1).1;
            grants.extend(place.grants(1).1);
            grants
        });
        let new = lanes.table.intern("new", TERMS).map(|new| Tenant::new(0, new.generation, 0));
        let accepted = new.map(|new| submit(&lanes, new, 2)).is_ok();
        let old = old.join().unwrap();
        let mut grants = worker.join().unwrap();
        grants.extend(Place::new(0, &lanes).drain());
        assert_eq!(grants.len(), usize::from(old) + usize::from(accepted));
        for (handle, job) in grants {
            assert_eq!(u64::from(handle.generation()), job - 1);
        }
    });
}

/// A slot that counts as used has its row.
#[test]
fn tenant_growth() {
    check("tenant_growth", None, || {
        let table = LoomArc::new(Table::new(1));
        let other = LoomArc::clone(&table);
        let other =
            thread::spawn(move || other.rows().map(|(_, row)| row.progress().1).sum::<u32>());
        table.intern("new", TERMS).unwrap();
        assert_eq!(other.join().unwrap(), 0);
    });
}

/// Dispatched and waiting jobs are never more than were accepted, whatever moment is read: a job on
/// its way from one count to the other is in one of them or in none.
#[test]
fn tenant_progress() {
    check("tenant_progress", None, || {
        let (lanes, _beds) = lanes(1, 8, 1);
        submit(&lanes, tenant(0), 1).unwrap();
        let worker = Arc::clone(&lanes);
        let worker = thread::spawn(move || assert_eq!(Place::new(0, &worker).tick(1), [1]));
        let (dispatched, waiting) = lanes.table.row(0).progress();
        assert!(dispatched + u64::from(waiting) <= 1, "{dispatched} and {waiting} of 1");
        worker.join().unwrap();
        assert_eq!(lanes.table.row(0).progress(), (1, 0));
    });
}

/// What a lane has accepted, read while a visit is being published, is right or not to be had: it
/// does not go back.
#[test]
fn tenant_progress_settled() {
    check("tenant_progress_settled", None, || {
        let (lanes, _beds) = lanes(1, 8, 1);
        submit(&lanes, tenant(0), 1).unwrap();
        let worker = Arc::clone(&lanes);
        let worker = thread::spawn(move || assert_eq!(Place::new(0, &worker).tick(1), [1]));
        if let Some((dispatched, waiting)) = lanes.table.row(0).settled_progress() {
            assert_eq!(dispatched + u64::from(waiting), 1, "{dispatched} and {waiting}");
        }
        worker.join().unwrap();
        assert_eq!(lanes.table.row(0).settled_progress(), Some((1, 0)));
    });
}
