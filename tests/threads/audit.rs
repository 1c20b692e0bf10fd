//! Decision 1's bound, measured visit by visit through an observer; README.md says what is asked, and why.

use crate::tries::{Held, fill_while_held, is_ordinary, spin, within_tries};
use fairlane::{Engine, Job, Observer, Policy, Served, Tenant, Weight};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

const WORKERS: usize = 2;
const BASE: u32 = 20;
const DEAREST: u32 = 7;
const WEIGHTS: [f64; 3] = [1.0, 2.0, 10.0];
/// Jobs queued per unit weight, and how many of them are left over for the end.
const JOBS: u32 = 2_500;
const REST: u32 = 200;
/// Claims held for longer are left out.
const LONG: u64 = 1_000_000;
/// A round takes longer: a claim this short makes no lane miss a turn.
const NOTABLE: u64 = 250_000;
/// After a long claim its lane is given the turns it missed, at most 8: about this long.
const CATCH_UP: u64 = 5_000_000;

/// What the observer saw; times in nanoseconds.
#[derive(Clone, Copy)]
struct Visit {
    worker: ThreadId,
    lane: usize,
    jobs: u32,
    cost: u64,
    at: u64,
    held: u64,
}

/// Why an audit was not passed.
#[derive(Debug)]
enum Failure {
    /// The machine was in the way; another try may tell.
    Disturbed(String),
    /// The bound was exceeded with no claim held for long enough to explain it.
    Unfair(String),
}

/// The oracle: whether in `visits`, in their order, no two lanes come further apart than the bound.
///
/// Stretches in which a lane was claimed for long are left out; the sums start again after each,
/// for the bound holds in every interval in which the lanes stay backlogged.
fn audit(visits: &[Visit], weights: &[f64]) -> Result<String, Failure> {
    let long: Vec<_> = visits.iter().filter(|visit| visit.held > LONG).collect();
    if long.len() * 100 > visits.len() {
        let shares = format!("{} of {} claims held over 1 ms", long.len(), visits.len());
        return Err(Failure::Disturbed(shares));
    }
    let is_left_out = |at: u64| {
        long.iter()
            .any(|visit| visit.at - visit.held.min(visit.at) <= at && at <= visit.at + CATCH_UP)
    };
    let in_flight = WORKERS as f64 * longest_report(visits, weights);
    let mut sums = vec![0.0; weights.len()];
    let (mut checked, mut most, mut from) = (0, 0.0_f64, 0);
    for (number, visit) in visits.iter().enumerate() {
        if is_left_out(visit.at) {
            sums.fill(0.0);
            from = number + 1;
            continue;
        }
        checked += 1;
        sums[visit.lane] += visit.cost as f64 / weights[visit.lane];
        for other in (0..weights.len()).filter(|&other| other != visit.lane) {
            let apart = (sums[visit.lane] - sums[other]).abs();
            let dearest = f64::from(DEAREST) * (1.0 / weights[visit.lane] + 1.0 / weights[other]);
            let bound = 2.0 * f64::from(BASE) + dearest + in_flight;
            if apart > bound {
                let lanes = (visit.lane, other);
                let reason = format!("{lanes:?} are {apart:.1} apart, {bound:.1} allowed");
                return Err(breach(&visits[from..=number], from, &reason));
            }
            most = most.max(apart / bound);
        }
    }
    let (long, all) = (long.len(), visits.len());
    let percent = 100.0 * most;
    let figures =
        format!("{checked} of {all} visits checked, {long} long, {percent:.0} % of the bound used");
    let too_few = checked * 2 < all;
    if too_few { Err(Failure::Disturbed(format!("too few: {figures}"))) } else { Ok(figures) }
}

/// The most that one look has served a lane, by its weight. A worker reports the visits of a look together,
/// and between a visit and its report the other worker may report any number of its own: so much may be
/// missing from the sums for each worker.
fn longest_report(visits: &[Visit], weights: &[f64]) -> f64 {
    let mut reports: HashMap<ThreadId, (u64, Vec<f64>)> = HashMap::new();
    let mut longest = 0.0_f64;
    for visit in visits {
        let fresh = (visit.held, vec![0.0; weights.len()]);
        let report = reports.entry(visit.worker).or_insert_with(|| fresh.clone());
        if report.0 != visit.held {
            *report = fresh;
        }
        report.1[visit.lane] += visit.cost as f64 / weights[visit.lane];
        longest = longest.max(report.1[visit.lane]);
    }
    longest
}

/// Sorts a breach of the bound by the longest claim in its stretch of visits.
fn breach(stretch: &[Visit], from: usize, reason: &str) -> Failure {
    let held = stretch.iter().map(|visit| visit.held).max().unwrap_or(0);
    let last = from + stretch.len() - 1;
    let told = format!("visits {from}..={last}: {reason}; longest claim {} us", held / 1_000);
    if held > NOTABLE { Failure::Disturbed(told) } else { Failure::Unfair(told) }
}

/// A log that workers write without waiting for each other: the sequence is taken inside the
/// callback.
struct Log {
    start: Instant,
    tenants: OnceLock<Vec<Tenant>>,
    sequence: AtomicUsize,
    visits: Vec<OnceLock<Visit>>,
}

struct Watch(Arc<Log>);

impl Observer for Watch {
    fn served(&self, served: Served) {
        let log = &*self.0;
        let Some(tenants) = log.tenants.get() else { return };
        let Some(lane) = tenants.iter().position(|tenant| *tenant == served.tenant) else { return };
        let place = log.sequence.fetch_add(1, Relaxed);
        let at = log.start.elapsed().as_nanos() as u64;
        let held = served.held.as_nanos() as u64;
        let worker = thread::current().id();
        let visit = Visit { worker, lane, jobs: served.jobs, cost: served.cost, at, held };
        if let Some(slot) = log.visits.get(place) {
            assert!(slot.set(visit).is_ok(), "a place in the sequence is taken once");
        }
    }
}

fn policy() -> Policy {
    let mut policy = Policy::builder()
        .base_quantum(BASE)
        .queue_max(200_000)
        .default_queue_max(100_000)
        .default_tier("w1");
    for weight in WEIGHTS {
        policy = policy.tier(format!("w{weight}"), Weight::new(weight).unwrap());
    }
    policy.build().unwrap()
}

fn fill(engine: &Engine<Held>, tenants: &[Tenant]) {
    for (tenant, weight) in tenants.iter().zip(WEIGHTS) {
        for number in 0..JOBS * weight as u32 {
            let job = Job::new(None).cost(1 + number % DEAREST);
            assert!(engine.submit(*tenant, job).is_ok());
        }
    }
}

/// The visits up to the moment when some lane is nearly empty, with handlers of `time`.
fn measure(time: Duration) -> Vec<Visit> {
    let places = JOBS as usize * 20;
    let log = Arc::new(Log {
        start: Instant::now(),
        tenants: OnceLock::new(),
        sequence: AtomicUsize::new(0),
        visits: (0..places).map(|_| OnceLock::new()).collect(),
    });
    let handler = move |grant| {
        if is_ordinary(&grant) {
            spin(time);
        }
    };
    let builder = Engine::builder().workers(WORKERS).policy(policy());
    let engine = builder.observer(Watch(Arc::clone(&log))).start(handler).unwrap();
    let name = |weight| engine.tenant(&format!("of-{weight}"), &format!("w{weight}")).unwrap();
    let tenants = WEIGHTS.map(name);
    log.tenants.set(tenants.to_vec()).unwrap();
    let holder = engine.tenant("holder", "w1").unwrap();
    fill_while_held(&engine, holder, WORKERS, || fill(&engine, &tenants));
    let report = engine.drain(Duration::from_secs(20));
    assert_eq!((report.returned.len(), report.running), (0, 0));
    backlogged(log.visits.iter().map_while(|slot| slot.get().copied()))
}

fn backlogged(visits: impl Iterator<Item = Visit>) -> Vec<Visit> {
    let mut served = [0; WEIGHTS.len()];
    let stays = |visit: &Visit| {
        served[visit.lane] += visit.jobs;
        served[visit.lane] + REST < JOBS * WEIGHTS[visit.lane] as u32
    };
    visits.take_while(stays).collect()
}

/// Audits once; what the machine did not cause is not tried again.
fn audit_once() -> Result<String, String> {
    let visits = measure(Duration::from_micros(20));
    if visits.len() < 5_000 {
        return Err(format!("only {} visits while all were backlogged", visits.len()));
    }
    match audit(&visits, &WEIGHTS) {
        Ok(figures) => Ok(figures),
        Err(Failure::Disturbed(reason)) => Err(reason),
        Err(Failure::Unfair(reason)) => panic!("{reason}"),
    }
}

#[test]
fn no_two_lanes_come_further_apart_than_the_bound() {
    for _ in 0..3 {
        within_tries("bound audit", 5, audit_once);
    }
}

/// 500 rounds in which each lane spends `quanta`, one job of cost 5 a visit.
fn rounds(quanta: [u64; 3]) -> Vec<Visit> {
    let (worker, mut visits) = (thread::current().id(), Vec::new());
    for _ in 0..500 {
        for (lane, quantum) in quanta.into_iter().enumerate() {
            for _ in 0..quantum / 5 {
                let at = visits.len() as u64 * 10_000;
                let held = 2_000 + visits.len() as u64 % 2;
                visits.push(Visit { worker, lane, jobs: 1, cost: 5, at, held });
            }
        }
    }
    visits
}

#[test]
fn the_audit_accepts_shares_by_weight_and_rejects_an_ignored_weight() {
    assert!(audit(&rounds([20, 40, 200]), &WEIGHTS).is_ok());
    for ignored in [[20, 20, 200], [20, 40, 20], [40, 40, 200]] {
        let failure = audit(&rounds(ignored), &WEIGHTS).expect_err("not by weight");
        assert!(matches!(failure, Failure::Unfair(_)), "{failure:?}");
    }
}

#[test]
fn the_audit_leaves_out_few_long_claims_and_fails_on_many() {
    let with_long = |every: usize| {
        let mut visits = rounds([20, 40, 200]);
        visits.iter_mut().step_by(every).for_each(|visit| visit.held = LONG + 1);
        audit(&visits, &WEIGHTS)
    };
    assert!(with_long(2_000).is_ok(), "{:?}", with_long(2_000));
    assert!(matches!(with_long(50), Err(Failure::Disturbed(_))), "2 %");
}
