//! One run: an engine, its producers, and what goes on beside them.

use crate::load::{Load, PRODUCERS, TENANTS, cost, job, tenant};
use crate::producer::Producer;
use crate::register::Register;
use crate::watch::{check_snapshots, policy, swap_policies};
use fairlane::{DrainReport, Engine, Grant, Tenant};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) struct Stress {
    pub(crate) register: Arc<Register>,
    tenants: Arc<OnceLock<Vec<Tenant>>>,
    workers: usize,
}

/// What all producers did.
#[derive(Default)]
struct Produced {
    accepted: Vec<u32>,
    refusals: u64,
}

impl Stress {
    pub(crate) fn new(jobs: u32, workers: usize) -> Stress {
        let register = Arc::new(Register::new(jobs, workers));
        Stress { register, tenants: Arc::default(), workers }
    }

    /// Sees a grant, and whose if they come in the order of that worker's grants.
    fn handler(&self) -> impl Fn(Option<usize>, Grant<Load>) + Send + Sync + 'static {
        let (register, tenants) = (Arc::clone(&self.register), Arc::clone(&self.tenants));
        move |worker, grant| {
            let number = grant.payload().number;
            let to = tenants.get().expect("set before the first job")[tenant(number)];
            register.ended(grant.payload(), grant.tenant() == to && grant.cost() == cost(number));
            worker.into_iter().for_each(|worker| register.granted(worker, number));
        }
    }

    fn start(&self) -> Engine<Load> {
        let builder = Engine::builder().workers(self.workers).policy(policy(0));
        // With several threads of the engine's own, idle ones take over what others were granted.
        let (handle, worker) = (self.handler(), (self.workers == 1).then_some(0));
        let engine = builder.start(move |grant| handle(worker, grant)).unwrap();
        self.name_tenants(&engine);
        engine
    }

    fn name_tenants(&self, engine: &Engine<Load>) {
        let tier = |k| if k == 0 { "hot" } else { "cold" };
        let name = |k| engine.tenant(&format!("tenant-{k}"), tier(k)).unwrap();
        self.tenants.set((0..TENANTS).map(name).collect()).unwrap();
    }

    /// Runs the producers beside policy swaps and snapshots; `meanwhile` runs on this thread and
    /// is told when all producers are done.
    fn produce<R>(
        &self,
        engine: &Engine<Load>,
        meanwhile: impl FnOnce(&(dyn Fn() -> bool + Sync)) -> R,
    ) -> (Produced, R) {
        let ends = AtomicBool::new(false);
        let tenants = self.tenants.get().expect("named at the start");
        thread::scope(|scope| {
            let start = |number| {
                let numbers = self.register.numbers_of(number);
                scope.spawn(move || Producer::new(engine, tenants, job).submit_all(numbers))
            };
            let producers: Vec<_> = (0..PRODUCERS).map(start).collect();
            let swaps = scope.spawn(|| swap_policies(engine, &ends));
            let snapshots = scope.spawn(|| check_snapshots(engine, &ends));
            let result = meanwhile(&|| producers.iter().all(|producer| producer.is_finished()));
            let mut all = Produced::default();
            let ended: Vec<_> = producers.into_iter().map(|producer| producer.join()).collect();
            // Before a failure is passed on: the scope waits for these two.
            ends.store(true, Relaxed);
            for producer in ended {
                let producer = producer.expect("a producer failed");
                all.accepted.extend(producer.accepted);
                all.refusals += producer.refusals;
            }
            let (swaps, snapshots) = (swaps.join().unwrap(), snapshots.join().unwrap());
            let (accepted, refusals) = (all.accepted.len(), all.refusals);
            println!(
                "{accepted} accepted, {refusals} refusals, {swaps} swaps, {snapshots} snapshots"
            );
            (all, result)
        })
    }

    /// Submits everything, then drains at once.
    pub(crate) fn run_to_the_end(&self) -> DrainReport<Load> {
        let (start, engine) = (Instant::now(), self.start());
        let (produced, ()) = self.produce(&engine, |_| ());
        assert!(produced.refusals > 0, "the bounds are small enough to be met");
        let report = engine.drain(Duration::from_secs(20));
        self.account(engine, &produced, &report);
        println!("{} jobs in {:?}", self.register.jobs(), start.elapsed());
        report
    }

    /// Drains after `time`, while producers submit and workers run.
    pub(crate) fn run_until_drained(&self, time: Duration) {
        let engine = self.start();
        let (produced, report) = self.produce(&engine, |_| {
            thread::sleep(time);
            engine.drain(Duration::ZERO)
        });
        self.account(engine, &produced, &report);
    }

    /// Pulls all grants, on a thread for each worker.
    pub(crate) fn run_pulled(&self) {
        let (start, workers) = (Instant::now(), self.workers);
        let engine = Engine::builder().workers(workers).policy(policy(0)).build().unwrap();
        self.name_tenants(&engine);
        let handle = self.handler();
        let pull = &|number: usize, is_done: &(dyn Fn() -> bool + Sync)| {
            let mut worker = engine.worker().unwrap();
            // Asked first: what producers that are done have left is then pulled.
            while !is_done() || engine.snapshot().depth > 0 {
                let grants = worker.wait_batch(48, Duration::from_millis(1));
                grants.for_each(|grant| handle(Some(number), grant));
            }
        };
        let (produced, ()) = self.produce(&engine, |is_done| {
            thread::scope(|scope| {
                let start = |number| scope.spawn(move || pull(number, is_done));
                let threads: Vec<_> = (0..workers).map(start).collect();
                // ThreadSanitizer sees these joins, and not how the scope waits.
                threads.into_iter().for_each(|thread| thread.join().expect("it failed"));
            });
        });
        let report = engine.drain(Duration::ZERO);
        assert_eq!(report.returned.len(), 0);
        self.account(engine, &produced, &report);
        println!("{} jobs in {:?}", self.register.jobs(), start.elapsed());
    }

    /// The report adds up, and every accepted job ended once. Joins the engine's threads.
    fn account(&self, engine: Engine<Load>, produced: &Produced, report: &DrainReport<Load>) {
        let accepted = produced.accepted.len() as u64;
        let returned = report.returned.len() as u64;
        let parts = [report.finished, returned, report.running, report.expired, report.unpublished];
        assert_eq!(
            parts.iter().sum::<u64>(),
            accepted,
            "finished, returned, running, expired, unpublished: {parts:?}"
        );
        for back in &report.returned {
            let number = back.job.payload().number;
            let to = self.tenants.get().expect("named at the start")[tenant(number)];
            self.register.ended(back.job.payload(), back.tenant == to && back.job == job(number));
        }
        // What was running has run afterwards.
        drop(engine);
        let checked = self.register.check(&produced.accepted, report.unpublished);
        checked.unwrap_or_else(|problem| panic!("{problem}; {parts:?}"));
    }
}
