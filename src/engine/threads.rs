//! The engine's own threads.

use super::builder::StartError;
use super::shared::Shared;
use super::timekeeper;
use crate::claim::Grant;
use crate::dispatch::{Plan, Seat, Tick};
use crate::park::Bed;
use crate::stats::Kind;
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Outbox, Reader, Shelf, Steal, Stealer, cores, mpsc, thread_local};
use crate::tenant::Tenant;
use crate::units::{Capabilities, Nanos};
use core_affinity::CoreId;
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// Jobs granted at once to a worker whose handlers are fast; the others may take them over.
const SHELF_JOBS: u32 = 32;
/// Looks at an empty rotation before sleeping, where there are cores to spare.
const IDLE_LOOKS: u32 = 100;

type Handler<T> = Arc<dyn Fn(Grant<T>) + Send + Sync>;

thread_local! {
    /// The engine whose thread this is, as the address of what it shares; 0 elsewhere.
    static HOME: Cell<usize> = const { Cell::new(0) };
}

/// Whether the calling thread is one of the engine's own.
pub(super) fn is_home<T: Send + 'static>(shared: &Arc<Shared<T>>) -> bool {
    HOME.with(Cell::get) == Arc::as_ptr(shared) as usize
}

struct Runner<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    index: usize,
    seat: Seat,
    plan: Reader<Plan>,
    bed: Bed,
    handler: Handler<T>,
    batch: Outbox<Grant<T>>,
    shelf: Shelf<Grant<T>>,
    /// Everybody's shelves, this worker's included.
    shelves: Arc<[Stealer<Grant<T>>]>,
    idle_looks: u32,
    stalls: u32,
}

/// Starts one thread per worker and waits until each is at its place.
pub(super) fn start<T: Send + 'static>(
    shared: &Arc<Shared<T>>,
    handler: Handler<T>,
    capabilities: &dyn Fn(usize) -> Capabilities,
    pin: bool,
    threads: &mut Vec<JoinHandle<()>>,
) -> Result<(), StartError> {
    let workers = shared.workers();
    // Read once, before any thread is pinned: the list is the calling thread's mask.
    let core_ids = if pin { core_affinity::get_core_ids().unwrap_or_default() } else { Vec::new() };
    if pin && core_ids.len() < workers {
        return Err(StartError::Pin { worker: core_ids.len() });
    }
    let shelves: Vec<Shelf<Grant<T>>> = (0..workers).map(|_| Shelf::new_fifo()).collect();
    let stealers: Arc<[_]> = shelves.iter().map(Shelf::stealer).collect();
    shared.keep_shelves(Arc::clone(&stealers));
    let (ready, arrivals) = mpsc::channel();
    for (index, shelf) in shelves.into_iter().enumerate() {
        let bed = shared.desks[index].bed.lock().expect("no code panics under this lock").take();
        let place = Place {
            shared: Arc::clone(shared),
            index,
            bed: bed.expect("nobody else has seen the engine"),
            handler: Arc::clone(&handler),
            shelf,
            shelves: Arc::clone(&stealers),
            capabilities: capabilities(index),
            core: core_ids.get(index).copied(),
            ready: ready.clone(),
        };
        let thread = thread::Builder::new().name(format!("fairlane-{index}"));
        let spawned = thread.spawn(move || place.run());
        threads.push(spawned.map_err(|source| StartError::Spawn { worker: index, source })?);
    }
    drop(ready);
    let timekeeper = timekeeper::start(shared);
    threads.push(timekeeper.map_err(|source| StartError::Spawn { worker: workers, source })?);
    for _ in 0..workers {
        match arrivals.recv() {
            Ok((_, true)) => {}
            Ok((worker, false)) => return Err(StartError::Pin { worker }),
            Err(_) => break,
        }
    }
    Ok(())
}

/// What a new thread takes with it.
struct Place<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    index: usize,
    bed: Bed,
    handler: Handler<T>,
    shelf: Shelf<Grant<T>>,
    shelves: Arc<[Stealer<Grant<T>>]>,
    capabilities: Capabilities,
    core: Option<CoreId>,
    ready: mpsc::Sender<(usize, bool)>,
}

impl<T: Send + 'static> Place<T> {
    fn run(self) {
        HOME.with(|home| home.set(Arc::as_ptr(&self.shared) as usize));
        let pinned = self.core.is_none_or(core_affinity::set_for_current);
        let _ = self.ready.send((self.index, pinned));
        drop(self.ready);
        let spare_cores = cores() > 2;
        let mut seat = self.shared.sit_down_with(self.index, self.capabilities);
        seat.grants_are_shelved = true;
        let mut runner = Runner {
            seat,
            plan: self.shared.lanes.plan.reader(),
            shared: self.shared,
            index: self.index,
            bed: self.bed,
            handler: self.handler,
            batch: Outbox::with_capacity(SHELF_JOBS as usize),
            shelf: self.shelf,
            shelves: self.shelves,
            idle_looks: if spare_cores { IDLE_LOOKS } else { 0 },
            stalls: 0,
        };
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| runner.work())) {
            runner.end_early(payload);
        }
    }
}

impl<T: Send + 'static> Runner<T> {
    /// Works until the engine stops.
    fn work(&mut self) {
        while !self.shared.is_stopped() {
            self.turn();
        }
        self.seat.settle_down(&self.shared.lanes);
        self.shared.tell_quiet();
    }

    /// One look for work, and the work found.
    fn turn(&mut self) {
        let now = self.shared.clock.now();
        let Some(tick) = self.look(now) else { return };
        if self.seat.has_news() {
            self.shared.tell_seen(self.index, &mut self.seat, now);
        }
        self.shared.tell_expired(Some(self.index));
        match tick {
            Tick::Granted(_) => {
                self.stalls = 0;
                self.run_granted();
            }
            Tick::Stalled if !self.take_over() => self.wait_out_stall(),
            Tick::Idle if !self.take_over() => self.sleep(),
            _ => {}
        }
    }

    /// Lets the dispatcher grant jobs: a single one stays in the batch, and one that is to run first; the
    /// others go to the shelf.
    /// `None` when the engine has stopped.
    fn look(&mut self, now: Nanos) -> Option<Tick> {
        if !self.shared.begin_look(self.index) {
            return None;
        }
        // What lies on the shelf may be taken over by whoever has nothing to do: not by somebody who
        // cannot run it.
        let alone = self.seat.is_slow() || self.seat.has_classes();
        let most = if alone { 1 } else { SHELF_JOBS };
        let tick = self.seat.tick(&self.shared.lanes, now, most, &mut self.batch);
        self.end_look();
        Some(tick)
    }

    /// Puts what was granted where others can reach it.
    fn end_look(&mut self) {
        let granted = self.batch.len();
        if granted > 1 {
            // Granted and not started: whoever has nothing to do may take it over.
            let shelved = granted - usize::from(self.seat.last_goes_first);
            self.batch.drain_some(shelved).for_each(|grant| self.shelf.push(grant));
        }
        self.shared.end_look(self.index);
    }

    /// Leaves after a panic of the engine's own: what the worker held is given back, and what it was
    /// granted is run.
    fn end_early(&mut self, payload: Box<dyn Any + Send>) {
        self.end_look();
        let shared = Arc::clone(&self.shared);
        shared.report_own(Some(self.index), payload);
        self.seat.counters.panics.add(1);
        let now = shared.clock.now();
        let _ = shared.guard_own(Some(self.index), || self.seat.settle_down(&shared.lanes));
        shared.lanes.dismiss(self.index, now);
        // A wake meant for this worker is passed on.
        shared.lanes.wake_for_all();
        if self.seat.has_news() {
            shared.tell_seen(self.index, &mut self.seat, now);
        }
        shared.tell_expired(Some(self.index));
        self.run_granted();
        self.seat.counters.begin_idleness(shared.clock.now());
        shared.tell_quiet();
    }

    fn run_granted(&mut self) {
        self.call_others();
        let alone = self.batch.drain().next();
        if let Some(grant) = alone {
            self.run(grant);
        }
        // What a stopped engine has not started, the drain takes off the shelf.
        while !self.shared.is_stopped() {
            let Some(grant) = self.shelf.pop() else { return };
            self.run(grant);
        }
    }

    /// Before a handler runs: wakes a sleeper if there is work that this worker leaves behind.
    fn call_others(&self) {
        if self.shelves.len() == 1 {
            return;
        }
        let lanes = &self.shared.lanes;
        lanes.sleepers.wake_one_if(|| !self.shelf.is_empty() || !lanes.rotation.is_empty());
    }

    fn run(&mut self, grant: Grant<T>) {
        let tenant = grant.tenant();
        let timed = self.seat.is_timed();
        let start = if timed { self.shared.clock.now() } else { Nanos::ZERO };
        let handler = &self.handler;
        if self.shared.guard(Some(self.index), Some(tenant), || handler(grant)).is_err() {
            self.seat.counters.panics.add(1);
        }
        if timed {
            let took = self.shared.clock.now().since(start);
            let tier = self.tier_of(tenant);
            self.seat.log.note(tier, Kind::Run, took.0);
            self.seat.log.flush_full(&self.seat.delays);
        }
    }

    /// The tier of a tenant, by number.
    fn tier_of(&mut self, tenant: Tenant) -> u32 {
        let profile = self.shared.lanes.table.row(tenant.slot()).profile() as usize;
        self.plan.get().profiles.get(profile).map_or(0, |profile| profile.tier)
    }

    /// Runs one job that another worker was granted and has not started.
    fn take_over(&mut self) -> bool {
        let others = self.shelves.len() - 1;
        for k in 1..=others {
            let shelf = (self.index + k) % self.shelves.len();
            loop {
                match self.shelves[shelf].steal() {
                    Steal::Success(grant) => {
                        self.seat.counters.jobs_taken_over.add(1);
                        self.run(grant);
                        return true;
                    }
                    Steal::Retry => crate::sync::spin(),
                    Steal::Empty => break,
                }
            }
        }
        false
    }

    fn sleep(&mut self) {
        self.stalls = 0;
        self.seat.settle_down(&self.shared.lanes);
        for _ in 0..self.idle_looks {
            if self.has_work() {
                return;
            }
            crate::sync::spin();
        }
        self.shared.tell_quiet();
        self.seat.counters.sleeps.add(1);
        self.bed.sleep(&self.shared.lanes.sleepers, None, || self.has_work());
    }

    fn has_work(&self) -> bool {
        self.shared.is_stopped()
            || self.seat.has_work(&self.shared.lanes)
            || self.shelves.iter().any(|shelf| !shelf.is_empty())
    }

    fn wait_out_stall(&mut self) {
        self.stalls += 1;
        self.seat.counters.stalls.add(1);
        self.seat.settle_down(&self.shared.lanes);
        self.shared.wait_out_stall(&self.bed, self.stalls, Duration::MAX);
    }
}
