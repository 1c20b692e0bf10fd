//! What the engine's handle, its workers and its threads have in common.

use super::SetPolicyError;
use super::observe::{Observer, PanicReport, Parking, Served};
use crate::claim::Ledger;
use crate::clock::Clock;
use crate::dispatch::{Expired, Keeping, Lanes, Plan, Seat, unit};
use crate::error::Reason;
use crate::park::{Bed, Look};
use crate::policy::Policy;
use crate::stats::{Delays, SeatCounters};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use crate::sync::{Condvar, Lent, Mutex, Stealer, ord};
use crate::tenant::{Ages, InternError, Interned, Row, Tenant};
use crate::units::Capabilities;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The engine takes jobs.
const OPEN: u32 = 0;
/// Intake has stopped; workers go on.
const DRAINING: u32 = 1;
/// Workers stop too.
const STOPPED: u32 = 2;

pub(super) type PanicHook = Arc<dyn Fn(PanicReport) + Send + Sync>;
pub(super) type ExpiryHook<T> = Arc<dyn Fn(Expired<T>) + Send + Sync>;

/// Code that is not ours.
pub(super) struct Hooks<T> {
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) panic: Option<PanicHook>,
    pub(super) expiry: Option<ExpiryHook<T>>,
}

/// Desks beside the workers': the timekeeper's, and one from which a drain collects what is left.
pub(super) const SPARE_DESKS: usize = 2;

pub(super) struct Shared<T: Send + 'static> {
    pub(super) lanes: Arc<Lanes<T>>,
    pub(super) clock: Clock,
    pub(super) observer: Option<Arc<dyn Observer>>,
    panic_hook: Option<PanicHook>,
    expiry_hook: Option<ExpiryHook<T>>,
    /// One per worker, and the spare ones.
    pub(super) desks: Box<[Desk]>,
    /// `OPEN -> DRAINING -> STOPPED`; never back. Changed by `fetch_max`.
    phase: AtomicU32,
    /// Jobs refused, in the order of [`Reason::ALL`]; `fetch_add` on refusal only.
    pub(super) refused: [AtomicU64; Reason::ALL.len()],
    /// Cost of every kind; 0 means the job's own. Fixed length: the most kinds a policy may name.
    kind_costs: Box<[AtomicU32]>,
    /// Serialises policy changes and new profiles.
    planning: Mutex<()>,
    /// Signalled when a worker runs out of work while the engine drains.
    pub(super) quiet: (Mutex<()>, Condvar),
    /// Jobs taken back by a drain after they had been granted to a worker's shelf.
    pub(super) taken_back: AtomicU64,
    /// Drains that run in handlers of this engine; their own jobs are not waited for.
    pub(super) draining_handlers: AtomicU32,
    /// The shelves of the engine's own threads, until a drain has emptied them. Held by a drain as
    /// long as it hands jobs back, so that there is one at a time.
    pub(super) shelves: Mutex<Option<Shelves<T>>>,
}

pub(super) type Shelves<T> = Arc<[Stealer<crate::claim::Grant<T>>]>;

/// For how long an idle tenant's debt keeps its place in the table, in units of 2^30 ns: a minute.
const DEBT_UNITS: u32 = 56;

/// Most kinds over an engine's life.
const KINDS_MAX: usize = 1_024;

/// What stays of a worker's place when the worker leaves.
pub(super) struct Desk {
    pub(super) counters: Arc<SeatCounters>,
    pub(super) delays: Arc<Delays>,
    /// Whether the worker is looking for work.
    look: Look,
    /// Ledgers of the workers that have sat here; those without grants in flight are merged.
    ledgers: Mutex<Ledgers>,
    /// The bed, while no worker sits here.
    pub(super) bed: Mutex<Option<Bed>>,
}

#[derive(Default)]
struct Ledgers {
    open: Vec<Opened>,
    /// Loans made and ended on ledgers that are no longer open.
    closed: u64,
}

/// A worker's ledger.
struct Opened {
    ledger: crate::sync::Arc<Lent<Ledger>>,
    /// Since when grants have been out without a pause, once the worker has left; until then the
    /// desk's counter says so.
    left_since: Option<u32>,
}

/// How fast jobs are served, as measured since the start.
pub(super) struct Speed {
    /// Mean cost of a job.
    pub(super) job_cost: f64,
    /// Cost served in a second while every worker that has ever served is busy.
    pub(super) cost_per_s: f64,
}

impl Desk {
    pub(super) fn new(bed: Option<Bed>) -> Self {
        Desk {
            counters: Arc::new(SeatCounters::new()),
            delays: Arc::new(Delays::new()),
            look: Look::new(),
            ledgers: Mutex::default(),
            bed: Mutex::new(bed),
        }
    }

    /// Jobs granted here and jobs settled, over all workers that have sat here.
    pub(super) fn grants(&self) -> (u64, u64) {
        let ledgers = self.ledgers.lock().expect("no code panics under this lock");
        let counts = ledgers.open.iter().map(|opened| opened.ledger.counts());
        counts.fold((ledgers.closed, ledgers.closed), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// Since when the oldest grant may have been out that is out now, in units of 2^30 ns.
    fn live_since(&self) -> Option<u32> {
        let ledgers = self.ledgers.lock().expect("no code panics under this lock");
        let busy = ledgers.open.iter().filter(|opened| {
            let (granted, settled) = opened.ledger.counts();
            granted > settled
        });
        let since = || self.counters.busy_since.load(Relaxed);
        busy.map(|opened| opened.left_since.unwrap_or_else(since)).min()
    }

    fn open_ledger(&self, ledger: crate::sync::Arc<Lent<Ledger>>) {
        let mut ledgers = self.ledgers.lock().expect("no code panics under this lock");
        let mut closed = 0;
        ledgers.open.retain(|old| {
            let settled = old.ledger.settled();
            closed += settled.unwrap_or(0);
            settled.is_none()
        });
        ledgers.closed += closed;
        // Grants outlive their worker; the next one at this desk counts from its own first grant.
        let since = self.counters.busy_since.load(Relaxed);
        ledgers.open.iter_mut().for_each(|old| {
            old.left_since.get_or_insert(since);
        });
        ledgers.open.push(Opened { ledger, left_since: None });
    }
}

impl<T: Send + 'static> Shared<T> {
    pub(super) fn new(lanes: Arc<Lanes<T>>, clock: Clock, hooks: Hooks<T>, beds: Vec<Bed>) -> Self {
        let shared = Shared {
            clock,
            observer: hooks.observer,
            panic_hook: hooks.panic,
            expiry_hook: hooks.expiry,
            desks: beds.into_iter().map(|bed| Desk::new(Some(bed))).collect(),
            phase: AtomicU32::new(OPEN),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
            kind_costs: (0..KINDS_MAX).map(|_| AtomicU32::new(0)).collect(),
            planning: Mutex::new(()),
            quiet: (Mutex::new(()), Condvar::new()),
            taken_back: AtomicU64::new(0),
            draining_handlers: AtomicU32::new(0),
            shelves: Mutex::new(None),
            lanes,
        };
        shared.store_kind_costs();
        shared
    }

    /// The same for a worker that can run what needs `capabilities`.
    pub(super) fn sit_down_with(&self, index: usize, capabilities: Capabilities) -> Seat {
        self.lanes.routes.join(index, capabilities, self.clock.now());
        self.sit_down(index)
    }

    /// How many workers there are.
    pub(super) fn workers(&self) -> usize {
        self.desks.len() - SPARE_DESKS
    }

    pub(super) fn timekeepers_desk(&self) -> usize {
        self.desks.len() - 2
    }

    pub(super) fn collectors_desk(&self) -> usize {
        self.desks.len() - 1
    }

    /// A worker's place at desk `index`.
    pub(super) fn sit_down(&self, index: usize) -> Seat {
        let desk = &self.desks[index];
        let (mut seat, ledger) =
            Seat::new(index, &self.lanes, Arc::clone(&desk.counters), Arc::clone(&desk.delays));
        desk.open_ledger(ledger);
        if self.observer.is_some() {
            seat.be_observed();
        }
        seat
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase.load(Relaxed) == OPEN
    }

    /// Whether workers must stop.
    #[inline]
    pub(super) fn is_stopped(&self) -> bool {
        // ORDERING(engine.stopped): Acquire; pairs with engine.stop.
        self.phase.load(ord!("engine.stopped", Acquire => Relaxed)) == STOPPED
    }

    /// Why a closed lane is closed.
    pub(super) fn closed_reason(&self) -> Reason {
        if self.is_stopped() { Reason::Closed } else { Reason::Draining }
    }

    /// Stops intake: every lane is closed, blocked submitters wake with their job.
    pub(super) fn stop_intake(&self) {
        self.phase.fetch_max(DRAINING, Relaxed);
        self.lanes.table.close();
        self.lanes.crowd.wake_all();
    }

    /// Tells every worker to stop after the job it runs.
    pub(super) fn stop_workers(&self) {
        // ORDERING(engine.stop): AcqRel; pairs with engine.stopped.
        self.phase.fetch_max(STOPPED, ord!("engine.stop", AcqRel => Relaxed));
        self.lanes.sleepers.wake_all();
        self.lanes.alarm.ring(&self.lanes.sleepers);
    }

    /// Begins a look for work by worker `index`; `false` when the engine has stopped.
    #[inline]
    pub(super) fn begin_look(&self, index: usize) -> bool {
        self.desks[index].look.begin(|| self.is_stopped())
    }

    /// Ends a look: what was granted is counted, and on the shelf if others may take it.
    #[inline]
    pub(super) fn end_look(&self, index: usize) {
        self.desks[index].look.end();
    }

    /// Waits until no worker looks for work.
    pub(super) fn await_looks(&self) {
        Look::settle(self.desks.iter().map(|desk| &desk.look));
    }

    /// Jobs granted and jobs settled, over all workers.
    pub(super) fn grants(&self) -> (u64, u64) {
        let counts = self.desks.iter().map(Desk::grants);
        counts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
    }

    /// How fast the workers are while they have something to do. `None` as long as no job has been
    /// settled, or no time has passed by the engine's clock.
    pub(super) fn speed(&self) -> Option<Speed> {
        let now = self.clock.now();
        let (mut jobs, mut done, mut cost, mut busy_s, mut workers) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for desk in &self.desks[..self.workers()] {
            let (granted, settled) = desk.grants();
            if settled > 0 {
                jobs += granted as f64;
                done += settled as f64;
                cost += desk.counters.cost.get() as f64;
                busy_s += desk.counters.busy(now).as_duration().as_secs_f64();
                workers += 1.0;
            }
        }
        let job_cost = cost / jobs;
        let cost_per_s = job_cost * done / busy_s * workers;
        cost_per_s.is_finite().then_some(Speed { job_cost, cost_per_s })
    }

    pub(super) fn count_refusal(&self, reason: Reason, row: Option<&Row>, cost: u32) {
        self.refused[reason.index()].fetch_add(1, Relaxed);
        if let Some(row) = row {
            row.count_refusal(cost);
        }
    }

    /// What protects an idle tenant now.
    fn ages(&self) -> Ages {
        let oldest = self.desks.iter().filter_map(Desk::live_since).min();
        let now = unit(self.clock.now());
        Ages { live_since: oldest.unwrap_or(u32::MAX), debt_since: now.saturating_sub(DEBT_UNITS) }
    }

    /// The cost of a job of kind `number`, unless it is the job's own.
    #[inline]
    pub(super) fn kind_cost(&self, number: u16) -> Option<u32> {
        match self.kind_costs[number as usize].load(Relaxed) {
            0 => None,
            cost => Some(cost),
        }
    }

    fn store_kind_costs(&self) {
        for (place, cost) in self.kind_costs.iter().zip(self.lanes.plan.load().kind_costs()) {
            place.store(cost, Relaxed);
        }
    }

    /// Publishes `policy`, then tells every row what holds for it now.
    pub(super) fn set_policy(&self, policy: Policy) -> Result<(), SetPolicyError> {
        let _planning = self.planning.lock().expect("no code panics while planning");
        let old = self.lanes.plan.load();
        let is_used = |tier| {
            let mut rows = self.lanes.table.rows();
            rows.any(|(_, row)| old.profiles[row.profile() as usize].tier == tier)
        };
        let mut plan = old.next(policy, is_used)?;
        if plan.kinds.len() > KINDS_MAX {
            let (kinds, most) = (plan.kinds.len(), KINDS_MAX);
            return Err(SetPolicyError::TooManyKinds { kinds, most });
        }
        let mut moved = Vec::new();
        let names = old.policy.overrides().chain(plan.policy.overrides());
        let names: Vec<String> = names.map(|(name, _)| name.to_owned()).collect();
        for name in names {
            let Some(tenant) = self.lanes.table.find(&name) else { continue };
            let row = self.lanes.table.row(tenant.slot);
            let tier = old.profiles[row.profile() as usize].tier;
            moved.push((tenant.slot, plan.ensure_terms(tier, &name)));
        }
        self.lanes.tune(&plan);
        self.lanes.adopt_budgets(&plan);
        self.lanes.plan.store(plan);
        let plan = self.lanes.plan.load();
        for (slot, terms) in moved {
            self.lanes.gate.tune(slot, &plan.rules[terms.profile as usize]);
            self.lanes.table.row(slot).set_terms(terms);
        }
        self.store_bounds();
        self.store_kind_costs();
        self.lanes.wake_parked();
        Ok(())
    }

    /// A row's profile, and a plan that has it. Plans are published before rows are told of their profiles,
    /// and keep them all: so the profile is read first.
    pub(super) fn plan_of(&self, row: &Row) -> (Arc<Plan>, usize) {
        let profile = row.profile() as usize;
        (self.lanes.plan.load(), profile)
    }

    fn store_bounds(&self) {
        let plan = self.lanes.plan.load();
        for (slot, row) in self.lanes.table.rows() {
            row.set_terms(plan.terms_of(row.profile()));
            self.lanes.spread_terms(slot);
        }
        self.lanes.crowd.wake_all();
    }

    /// The slot of `name`, which is in `tier` from now on; `None` for a tier the policy lacks.
    ///
    /// A known name whose terms stand is found without a lock. Everything that changes terms holds
    /// the planning lock, so that no change is lost between reading a plan and storing its terms.
    pub(super) fn intern(&self, name: &str, tier: &str) -> Option<Result<Interned, InternError>> {
        let table = &self.lanes.table;
        let plan = self.lanes.plan.load();
        let terms = plan.terms(plan.tier(tier)?, name);
        if let Some(known) = table.find(name) {
            if terms == Some(table.row(known.slot).terms()) {
                table.touch(known);
                return Some(Ok(known));
            }
        }
        let _planning = self.planning.lock().expect("no code panics while planning");
        let plan = self.lanes.plan.load();
        let tier = plan.tier(tier)?;
        let terms = plan.terms(tier, name).unwrap_or_else(|| {
            let mut wider = Plan::clone(&plan);
            let terms = wider.ensure_terms(tier, name);
            self.lanes.plan.store(wider);
            terms
        });
        let plan = self.lanes.plan.load();
        let rules = &plan.rules[terms.profile as usize];
        if let Some(known) = table.find(name) {
            self.lanes.gate.tune(known.slot, rules);
        }
        let beside = Keeping { lanes: &*self.lanes, now: self.clock.now() };
        let interned = table.intern_beside(name, terms, || self.ages(), &beside);
        if let Ok(new) = &interned {
            self.lanes.gate.tune(new.slot, rules);
            self.lanes.spread_terms(new.slot);
            self.lanes.reconsider(new.slot);
            // Its new tier may have more room, or the slot another tenant.
            self.lanes.admit_tenant(new.slot);
        }
        Some(interned)
    }

    /// Runs code that is not ours. A panic is reported once and goes no further, and neither does
    /// one from dropping the first one's payload.
    pub(super) fn guard<R>(
        &self,
        worker: Option<usize>,
        tenant: Option<Tenant>,
        foreign: impl FnOnce() -> R,
    ) -> Result<R, ()> {
        catch_unwind(AssertUnwindSafe(foreign)).map_err(|payload| {
            self.tell_panic(PanicReport::new(worker, tenant, &*payload), payload);
        })
    }

    /// Runs code of the engine's own on a thread of its own, for `worker` or, without one, for the
    /// timekeeper. It panics only when it is broken; that is reported once and goes no further. What it
    /// has broken off, it has left as others can go on with it.
    pub(super) fn guard_own(&self, worker: Option<usize>, own: impl FnOnce()) -> Result<(), ()> {
        catch_unwind(AssertUnwindSafe(own)).map_err(|payload| self.report_own(worker, payload))
    }

    /// Reports a panic of the engine's own code, as [`Shared::guard_own`].
    pub(super) fn report_own(&self, worker: Option<usize>, payload: Box<dyn Any + Send>) {
        let report = PanicReport::new(worker, None, &*payload);
        self.tell_panic(PanicReport { ends_worker: worker.is_some(), ..report }, payload);
    }

    /// Tells the panic hook, which may panic too, of a panic with this `payload`, and drops it.
    fn tell_panic(&self, report: PanicReport, payload: Box<dyn Any + Send>) {
        if let Some(hook) = &self.panic_hook {
            let told = catch_unwind(AssertUnwindSafe(|| hook(report)));
            told.unwrap_or_else(discard);
        }
        discard(payload);
    }

    /// Hands over the jobs that have expired. A look when there are none.
    #[inline]
    pub(super) fn tell_expired(&self, worker: Option<usize>) {
        if !self.lanes.expired.is_empty() {
            self.tell_expired_now(worker);
        }
    }

    #[cold]
    fn tell_expired_now(&self, worker: Option<usize>) {
        for job in self.lanes.expired.take() {
            let tenant = job.tenant;
            let _ = self.guard(worker, Some(tenant), || match &self.expiry_hook {
                Some(hook) => hook(job),
                None => drop(job),
            });
        }
    }

    /// Tells the observer what a tick served, and which lanes it parked.
    #[cold]
    pub(super) fn tell_seen(&self, index: usize, seat: &mut Seat, since: crate::units::Nanos) {
        let Some(observer) = &self.observer else { return };
        let worker = (index < self.workers()).then_some(index);
        for park in seat.take_parks(&self.lanes) {
            let parking = Parking::new(park.tenant, &park.denial, since);
            let _ = self.guard(worker, None, || observer.parked(parking));
        }
        let held = self.clock.now().since(since).as_duration();
        if held > std::time::Duration::from_millis(1) {
            seat.counters.long_claims.add(1);
        }
        for visit in &seat.visits {
            let served = Served {
                tenant: visit.tenant,
                jobs: visit.jobs,
                cost: visit.cost,
                quantum: visit.quantum,
                held,
            };
            let _ = self.guard(worker, None, || observer.served(served));
        }
    }

    /// Wakes a thread that waits in `drain`, when the engine drains.
    pub(super) fn tell_quiet(&self) {
        if !self.is_open() {
            let _quiet = self.quiet.0.lock().expect("no code panics under this lock");
            self.quiet.1.notify_all();
        }
    }
}

/// Drops a panic's payload, whose own drop may panic; what that throws is leaked.
fn discard(payload: Box<dyn Any + Send>) {
    if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(second);
    }
}
