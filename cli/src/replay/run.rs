//! The same jobs through one scheduler or two, in virtual or in real time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlane::{Nanos, Policy, Reason};

use super::reorder::Arrival;
use super::simulation::{PassiveFair, Simulation};
use super::trace::{Survey, Trace};
use crate::report::{JobCounts, Recording, Report, SchedulerReport, Tape, TenantInfo, largest};
use crate::schedulers::{
    Bounds, Fair, Fifo, FifoQueue, Leftovers, Request, Scheduler, sleep_until,
};

/// Time for the worker threads to come up before the first arrival.
const START_LEAD: Duration = Duration::from_millis(50);
/// A run of a hundred years is longer than anyone's log, and far from where clocks end.
const RUN_MAX_S: f64 = 100.0 * 365.25 * 86_400.0;
/// Longest run in real time.
const LIVE_MAX_S: f64 = 3_600.0;
const NANOS_PER_S: f64 = 1e9;
/// Parts of a run within which a tenant's like offers may be kept as one: a thousandth of a window.
const GRAINS: u64 = 100_000;

/// What the jobs are put through, all in range.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) policy: Policy,
    /// Name of the tier of every tenant.
    pub(super) tier: String,
    pub(super) workers: u32,
    /// Cost units per second, all workers together.
    pub(super) capacity: f64,
    /// Offered cost per second as a multiple of the capacity.
    pub(super) load: f64,
    pub(super) schedulers: Schedulers,
    pub(super) is_live: bool,
}

impl Setup {
    /// How many schedulers share a reading: in virtual time all, in real time each has the machine
    /// for itself.
    fn at_once(&self) -> usize {
        if self.is_live { 1 } else { self.schedulers.names().len() }
    }

    /// How often the log is read.
    pub(super) fn readings(&self) -> u64 {
        1 + (self.schedulers.names().len() / self.at_once()) as u64
    }
}

/// Which schedulers the jobs go through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Schedulers {
    Fair,
    Fifo,
    Both,
}

impl Schedulers {
    fn names(self) -> &'static [&'static str] {
        match self {
            Schedulers::Fair => &["fair"],
            Schedulers::Fifo => &["fifo"],
            Schedulers::Both => &["fair", "fifo"],
        }
    }
}

/// One scheduler's run, fed in order of arrival.
pub(super) trait Run {
    /// Offers a job; one that is not admitted belongs to a tenant too many.
    fn offer(&mut self, request: Request, is_admitted: bool);

    /// Lets all accepted jobs be served, and sums up.
    fn finish(self: Box<Self>, malformed: u64) -> (JobCounts, SchedulerReport);
}

/// What a replay came to.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) report: Report,
    /// From the first arrival to the last, as scaled.
    pub(super) span: Nanos,
    /// Lines whose time was moved because they came too late.
    pub(super) late: u64,
}

/// Puts the log through every scheduler asked for.
pub(super) fn replay(trace: &mut Trace, setup: &Setup) -> Result<Replayed, String> {
    let scale = Scale::new(&trace.survey, setup)?;
    let mut finished = Vec::new();
    let mut late = 0;
    for names in setup.schedulers.names().chunks(setup.at_once()) {
        let runs = names.iter().map(|name| start(name, &trace.survey, setup, &scale));
        let mut runs = runs.collect::<Result<Vec<Box<dyn Run>>, String>>()?;
        let tenants_max = setup.policy.tenants_max();
        late = trace.replay(|arrival| {
            let request = scale.request(&arrival);
            runs.iter_mut().for_each(|run| run.offer(request, arrival.tenant < tenants_max));
        })?;
        let malformed = trace.survey.malformed;
        finished.extend(names.iter().zip(runs.into_iter().map(|run| run.finish(malformed))));
    }
    let jobs = finished[0].1.0.clone();
    let schedulers = finished.into_iter().map(|(name, (_, report))| (*name, report)).collect();
    Ok(Replayed { report: Report { jobs, schedulers }, span: scale.span, late })
}

/// The tenants as the policy has them.
fn tenants(survey: &Survey, setup: &Setup) -> Vec<TenantInfo> {
    let tier = setup.policy.tier(&setup.tier).expect("checked with the flags");
    let tenant = |name: &Arc<str>| TenantInfo::of(&setup.policy, name, tier);
    survey.tenants.iter().map(tenant).collect()
}

fn start(
    name: &str,
    survey: &Survey,
    setup: &Setup,
    scale: &Scale,
) -> Result<Box<dyn Run>, String> {
    let tenants = tenants(survey, setup);
    let recording = Recording::new(tenants.clone(), Nanos(scale.span.0 / GRAINS))
        .with_rows(largest(&survey.costs));
    let (policy, workers) = (setup.policy.clone(), setup.workers);
    let bounds = || Bounds::of(&policy, &tenants);
    let tape = || Arc::new(Tape::new(Instant::now() + START_LEAD, workers as usize));
    Ok(match (name, setup.is_live) {
        ("fair", false) => {
            let engine = PassiveFair::new(workers, policy, tenants)?;
            Box::new(Simulation::new(engine, workers, recording.with_fluid(setup.capacity)))
        }
        (_, false) => {
            let queue = FifoQueue::new(bounds());
            Box::new(Simulation::new(queue, workers, recording.with_fluid(setup.capacity)))
        }
        ("fair", true) => {
            let tape = tape();
            let scheduler = Fair::start(workers, policy, tenants, Arc::clone(&tape))?;
            Box::new(Live { scheduler, tape, recording })
        }
        (_, true) => {
            let tape = tape();
            let scheduler = Fifo::start(workers, bounds(), Arc::clone(&tape));
            Box::new(Live { scheduler, tape, recording })
        }
    })
}

/// The log's time and costs as the run's time.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// The first arrival, which becomes zero.
    first: i64,
    /// Nanoseconds of the run for each of the log.
    factor: f64,
    /// Nanoseconds of one worker for each cost unit.
    unit: f64,
    /// The last arrival.
    span: Nanos,
}

impl Scale {
    /// Fits the arrivals so that the total cost over the time between first and last is the load's
    /// part of the capacity.
    fn new(survey: &Survey, setup: &Setup) -> Result<Scale, String> {
        let seconds = survey.cost() as f64 / (setup.load * setup.capacity);
        let (max, what) = if setup.is_live {
            (LIVE_MAX_S, "in real time")
        } else {
            (RUN_MAX_S, "in virtual time")
        };
        if seconds > max {
            return Err(format!(
                "at this --capacity and --load the jobs would arrive over {seconds:.0} s {what}, at \
                 most {max:.0} s"
            ));
        }
        let span = seconds * NANOS_PER_S;
        Ok(Scale {
            first: survey.first,
            factor: span / survey.last.abs_diff(survey.first) as f64,
            unit: f64::from(setup.workers) * NANOS_PER_S / setup.capacity,
            span: Nanos(span as u64),
        })
    }

    fn request(&self, arrival: &Arrival) -> Request {
        let since = arrival.at.abs_diff(self.first) as f64;
        let takes = (f64::from(arrival.cost) * self.unit).max(1.0);
        Request {
            tenant: arrival.tenant,
            cost: arrival.cost,
            arrived: Nanos((since * self.factor) as u64),
            takes: Nanos(takes.round() as u64),
        }
    }
}

/// One scheduler's run with worker threads.
struct Live<S> {
    scheduler: S,
    tape: Arc<Tape>,
    recording: Recording,
}

impl<S: Scheduler> Run for Live<S> {
    fn offer(&mut self, request: Request, is_admitted: bool) {
        let Request { tenant, cost, arrived, .. } = request;
        sleep_until(self.tape.epoch() + arrived.as_duration());
        let verdict =
            if is_admitted { self.scheduler.submit(request) } else { Err(Reason::TooManyTenants) };
        self.recording.offer(arrived, tenant, cost, verdict);
    }

    fn finish(mut self: Box<Self>, malformed: u64) -> (JobCounts, SchedulerReport) {
        self.recording.malformed(malformed);
        self.recording.finish(self.scheduler.finish(Leftovers::Serve))
    }
}
