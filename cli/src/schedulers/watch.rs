//! What an engine tells of a run besides its grants: who is throttled, and what expires.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fairlane::{BudgetId, Expired, Nanos, Observer, Parking, Reason, Tenant};

use super::Request;
use crate::report::Note;

/// Listens to an engine.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<Vec<Told>>>);

/// One thing that was told, in the order of telling. Times are the engine's.
enum Told {
    Parked(Parking),
    /// A job of this tenant's place ended.
    Ended(Nanos, u32),
    Expired(Note),
}

impl Observer for Watch {
    fn parked(&self, parking: Parking) {
        if is_own(parking.reason) {
            self.told().push(Told::Parked(parking));
        }
    }
}

impl Watch {
    /// Takes note of a job that expired.
    pub(crate) fn expired(&self, job: &Expired<Request>) {
        let Request { tenant, cost, arrived, .. } = job.payload;
        let at = arrived.after(Nanos::from_duration(job.waited));
        self.told().push(Told::Expired(Note::Expired { at, tenant, cost }));
    }

    /// Takes note of a job's end.
    pub(crate) fn ended(&self, at: Nanos, tenant: u32) {
        self.told().push(Told::Ended(at, tenant));
    }

    fn told(&self) -> MutexGuard<'_, Vec<Told>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether this may be a limit of the tenant's own: what others use up together with it, they take from
/// it. Whose a budget is, the [`Scribe`] knows.
fn is_own(reason: Reason) -> bool {
    use Reason::{Budget, Concurrency, Paused, Rate, TooWide};
    matches!(reason, Rate | Concurrency | Budget | Paused | TooWide)
}

/// Makes notes of what a watch was told.
pub(crate) struct Scribe {
    /// Places of the run's tenants.
    places: BTreeMap<Tenant, u32>,
    /// Budgets that several of them draw on.
    shared: BTreeSet<BudgetId>,
    /// Tenants whose lanes wait for the end of one of their own jobs.
    wait_for_an_end: BTreeSet<u32>,
}

impl Scribe {
    /// A scribe that takes the `shared` budgets for nobody's own.
    pub(crate) fn new(shared: BTreeSet<BudgetId>) -> Scribe {
        Scribe { places: BTreeMap::new(), shared, wait_for_an_end: BTreeSet::new() }
    }

    pub(crate) fn register(&mut self, tenant: Tenant, place: u32) {
        self.places.insert(tenant, place);
    }

    /// Notes on all that `watch` was told since the last call; `ahead` is how far the engine's clock is
    /// ahead of the run's.
    pub(crate) fn notes(&mut self, watch: &Watch, ahead: Nanos) -> Vec<Note> {
        let told = std::mem::take(&mut *watch.told());
        let mut notes = Vec::with_capacity(told.len());
        for told in told {
            match told {
                Told::Expired(note) => notes.push(note),
                Told::Ended(at, tenant) => {
                    if self.wait_for_an_end.remove(&tenant) {
                        notes.push(Note::Freed { at: at.since(ahead), tenant });
                    }
                }
                Told::Parked(parking) => self.parked(&parking, ahead, &mut notes),
            }
        }
        notes
    }

    fn parked(&mut self, parking: &Parking, ahead: Nanos, notes: &mut Vec<Note>) {
        if parking.budget.is_some_and(|budget| self.shared.contains(&budget)) {
            return;
        }
        let Some(tenant) = self.places.get(&parking.tenant).copied() else { return };
        notes.push(Note::Throttled { at: parking.at.since(ahead), tenant });
        match parking.eligible_at {
            Some(at) => notes.push(Note::Freed { at: at.since(ahead), tenant }),
            None if parking.reason == Reason::Concurrency => {
                self.wait_for_an_end.insert(tenant);
            }
            None => {}
        }
    }
}
