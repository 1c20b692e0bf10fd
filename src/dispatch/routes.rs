//! Which workers can run which jobs, and where jobs wait that not every worker can run.

use crate::park::Sleepers;
use crate::rotation::Rotation;
use crate::route::{CLASSES_MAX, ClassId, Classes};
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{Chunks, Mutex};
use crate::tenant::{EXTRA_PER_TENANT, Table};
use crate::units::{Capabilities, Nanos};

/// Most distinct requirements over an engine's life.
const SETS_MAX: usize = 4_096;

/// The classes of jobs that are alive, who can run them, and a rotation for each.
///
/// A class is a set of required capabilities that some tenant has a lane for. Class 0, which requires
/// nothing, is not kept here: every worker runs it, and its rotation is the engine's.
pub(crate) struct Routes {
    inner: Mutex<Inner>,
    /// Counts changes of the classes and of the workers; see [`Routes::reach`]. Changed under the lock, by
    /// RMW.
    version: AtomicU64,
    /// By class number; made when a class first has it.
    rotations: Chunks<Rotation>,
    seats: usize,
    /// The first extra lane, and how many there may be.
    lanes: (u32, u32),
}

struct Inner {
    /// Sets of capabilities that have been asked for; their index is what jobs carry.
    sets: Vec<Capabilities>,
    classes: Classes,
    /// Since when no live worker can run a class, by number; told only while that is so.
    lacking_since: [Nanos; CLASSES_MAX],
    /// By seat; `None` where nobody sits.
    workers: Vec<Option<Capabilities>>,
    /// Extra lanes that belong to nobody.
    free: Vec<u32>,
    /// Jobs that such lanes have dispatched, and their cost.
    past: (u64, u64),
}

/// A tenant's lane for jobs with a requirement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Branch {
    /// What its jobs require.
    pub(crate) set: u32,
    pub(crate) lane: u32,
    pub(crate) class: ClassId,
}

/// A tenant's.
pub(crate) type Branches = [Option<Branch>; EXTRA_PER_TENANT as usize];

impl Routes {
    pub(super) fn new(table: &Table, seats: usize) -> Self {
        let inner = Inner {
            sets: vec![Capabilities::default()],
            classes: Classes::new(),
            lacking_since: [Nanos::ZERO; CLASSES_MAX],
            workers: vec![None; seats],
            free: Vec::new(),
            past: (0, 0),
        };
        Routes {
            inner: Mutex::new(inner),
            version: AtomicU64::new(0),
            rotations: Chunks::new(CLASSES_MAX),
            seats,
            lanes: table.extra(),
        }
    }

    fn look<R>(&self, look: impl FnOnce(&mut Inner) -> R) -> R {
        look(&mut self.inner.lock().expect("no code panics under the lock of the routes"))
    }

    /// The same with a change at `now` that workers are to see. Whoever acquires anything that is done
    /// after it sees the new version.
    fn change<R>(&self, now: Nanos, change: impl FnOnce(&mut Inner) -> R) -> R {
        self.look(|inner| {
            let before = inner.classes.without_worker();
            let result = change(inner);
            inner.note_lacking(before, now);
            self.version.fetch_add(1, Relaxed);
            result
        })
    }

    /// The number that stands for a set of required capabilities from now on; `None` when there are
    /// too many.
    pub(crate) fn intern(&self, needs: &Capabilities) -> Option<u32> {
        self.look(|inner| {
            let known = inner.sets.iter().position(|set| set == needs);
            let set = known.or_else(|| {
                (inner.sets.len() < SETS_MAX).then(|| {
                    inner.sets.push(needs.clone());
                    inner.sets.len() - 1
                })
            });
            set.map(|set| set as u32)
        })
    }

    /// What a number stands for.
    pub(crate) fn needs(&self, set: u32) -> Option<Capabilities> {
        self.look(|inner| inner.sets.get(set as usize).cloned())
    }

    /// Adds a worker.
    pub(crate) fn join(&self, seat: usize, worker: Capabilities, now: Nanos) {
        self.change(now, |inner| {
            inner.classes.join(&worker);
            inner.workers[seat] = Some(worker);
        });
    }

    /// Takes a worker out. Returns the classes that nobody can run from now on, a bit each.
    pub(super) fn leave(&self, seat: usize, now: Nanos) -> u64 {
        self.change(now, |inner| {
            let before = inner.classes.without_worker();
            if let Some(worker) = inner.workers[seat].take() {
                inner.classes.leave(&worker);
            }
            inner.classes.without_worker() & !before
        })
    }

    /// Which version the classes are of.
    #[inline]
    pub(super) fn version(&self) -> u64 {
        self.version.load(Relaxed)
    }

    /// The classes that the worker at `seat` can run, a bit each, and the version of which that is
    /// true. All that are alive where no worker sits: a drain hands everything back.
    pub(super) fn reach(&self, seat: usize) -> (u64, u64) {
        self.look(|inner| {
            let mask = match &inner.workers[seat] {
                Some(worker) => inner.classes.matching(worker),
                None => inner.classes.alive(),
            };
            (mask | ClassId::ANY.bit(), self.version())
        })
    }

    /// The rotation of a class that has a lane.
    #[inline]
    pub(crate) fn rotation(&self, class: usize) -> &Rotation {
        self.rotations.get(class).expect("made before its first lane")
    }

    /// Takes a lane for jobs that require what `set` stands for. `None` when there is no class or no
    /// lane left.
    pub(crate) fn attach(&self, set: u32, table: &Table, now: Nanos) -> Option<Branch> {
        self.change(now, |inner| {
            let needs = inner.sets.get(set as usize)?;
            let class = inner.classes.acquire(needs).ok()?;
            let Some(lane) = inner.free.pop().or_else(|| table.grow_extra()) else {
                inner.classes.release(class);
                return None;
            };
            let (base, lanes) = self.lanes;
            let make = || Rotation::starting_at(base, lanes as usize, self.seats, 0);
            self.rotations.get_or_make(class.index(), make);
            Some(Branch { set, lane, class })
        })
    }

    /// Gives an idle lane back, and its class with its last lane.
    pub(super) fn detach(&self, branch: Branch, counts: (u64, u64), now: Nanos) {
        self.change(now, |inner| {
            inner.past.0 += counts.0;
            inner.past.1 += counts.1;
            inner.classes.release(branch.class);
            inner.free.push(branch.lane);
        });
    }

    /// Wakes a sleeping worker that can run `class`, if there is one. After making work visible and a
    /// fence, as [`Sleepers::wake_one`].
    #[cold]
    pub(crate) fn wake_capable(&self, class: usize, sleepers: &Sleepers) {
        if sleepers.count() == 0 {
            return;
        }
        self.look(|inner| {
            let able = |worker: &Capabilities| inner.classes.matching(worker) >> class & 1 == 1;
            let seats = inner.workers.iter().enumerate();
            let mut able = seats.filter(|(_, worker)| worker.as_ref().is_some_and(able));
            able.any(|(seat, _)| sleepers.wake(seat));
        });
    }

    /// Wakes a worker for every class that has work.
    pub(crate) fn wake_for_all(&self, sleepers: &Sleepers) {
        for class in 1..CLASSES_MAX {
            if self.rotations.get(class).is_some_and(|rotation| !rotation.is_empty()) {
                self.wake_capable(class, sleepers);
            }
        }
    }

    /// Jobs dispatched by lanes that belong to nobody now, and their cost.
    pub(crate) fn past(&self) -> (u64, u64) {
        self.look(|inner| inner.past)
    }

    /// Since when no live worker can run a class; `None` while one can.
    pub(crate) fn lacks_worker_since(&self, class: usize) -> Option<Nanos> {
        self.look(|inner| {
            let lacks = inner.classes.without_worker() >> class & 1 == 1;
            lacks.then(|| inner.lacking_since[class])
        })
    }
}

impl Inner {
    /// Notes for which classes there is no worker any more, which were not among those `before`.
    fn note_lacking(&mut self, before: u64, now: Nanos) {
        let lost = self.classes.without_worker() & !before;
        let since = self.lacking_since.iter_mut().enumerate();
        let lost = since.filter(|(class, _)| lost >> class & 1 == 1);
        lost.for_each(|(_, since)| *since = now);
    }
}
