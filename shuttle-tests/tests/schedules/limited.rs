//! Scenarios with limits, due moments and deadlines, in which a thread moves the engine's clock. As those of
//! `scenarios.rs`, each function is one execution.

use crate::gauge::{Allowed, Caps, Gauge, Pace};
use crate::load::{Load, TermsOf, actual, cost, plain, tenant, timed};
use crate::rig::{Rig, Size, join, named};
use fairlane::{Cap, Engine, Grant, Limits, Nanos, Own, Policy, PolicyBuilder, Rate, Unit, Weight};
use shuttle::current::context_switches;
use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::atomic::{AtomicBool, Ordering::SeqCst};
use shuttle::thread::{JoinHandle, spawn, yield_now};
use std::sync::Arc;
use std::time::Duration;

/// Caps at the start of a scenario of quotas, and again at its end.
const FIRST: Caps = Caps { tenant: 1, tier: 2 };
/// Caps that are swapped in between.
const WIDE: Caps = Caps { tenant: 2, tier: 3 };
/// Caps where jobs have terms: one grant at a time, so that most jobs wait.
const NARROW: Caps = Caps { tenant: 1, tier: 1 };
/// Caps of which nobody may run.
const PAUSED: Caps = Caps { tenant: 0, tier: 1 };
/// Grants in flight that the engine allows, so that they are counted: more than its tier's.
const ENGINE_CAP: u32 = 4;
/// The rate of every tenant.
const PACE: Pace = Pace { jobs: 3, per: Nanos(200_000_000) };
/// Cost units that all tenants together may spend, before refunds.
const BUDGET: u64 = 45;
/// Cost units that are given back at one of so many moves of the clock.
const REFUND: (u64, u32) = (15, 3);
/// By how much the clock moves, in milliseconds.
const STEPS_MS: [u64; 3] = [1, 30, 120];
/// Switches of threads between two moves, twice as many at most: others get on in between, whether they poll
/// or sleep.
const MOVE_EVERY: usize = 200;

/// Most turns of others before a drain.
const PAUSE_MAX: u32 = 60;

/// A policy with room for few jobs, and these caps.
fn policy(caps: Caps, limits: Limits) -> PolicyBuilder {
    let limits = limits.concurrency(Cap::Grants(caps.tenant));
    Policy::builder()
        .tenants_max(4)
        .queue_max(8)
        .base_quantum(20)
        .concurrency(ENGINE_CAP)
        .tier("only", Weight::ONE)
        .default_tier("only")
        .tier_queue_max("only", 2)
        .tier_concurrency("only", Cap::Grants(caps.tier))
        .tier_limits("only", limits)
}

/// With a rate and a budget that every job draws on: the same in all, so that both hold across swaps.
fn quotas(caps: Caps) -> Policy {
    let rate = Rate::strict(PACE.jobs as u64, Unit::Jobs, PACE.per.as_duration()).unwrap();
    let limits = Limits::default().rate(rate).budgets(Own::Is(vec!["org".to_owned()]));
    policy(caps, limits).budget_hard("org", "cost", BUDGET).build().unwrap()
}

/// With caps alone.
fn caps_alone(caps: Caps) -> Policy {
    policy(caps, Limits::default()).build().unwrap()
}

/// What the threads of an execution with limits share.
struct Limited {
    rig: Arc<Rig>,
    gauge: Arc<Gauge>,
    ended: Arc<AtomicBool>,
}

impl Clone for Limited {
    fn clone(&self) -> Limited {
        let Limited { rig, gauge, ended } = self;
        Limited { rig: Arc::clone(rig), gauge: Arc::clone(gauge), ended: Arc::clone(ended) }
    }
}

impl Limited {
    fn new(size: Size, terms: TermsOf, allowed: Allowed) -> Limited {
        let rig = Rig::with(size, terms);
        let gauge = Arc::new(Gauge::new(allowed, &rig.register));
        Limited { rig, gauge, ended: Arc::new(AtomicBool::new(false)) }
    }

    /// An engine with threads of its own.
    fn start(&self, size: Size, policy: Policy) -> Engine<Load> {
        let (hook, handler) = (self.clone(), self.clone());
        let builder = self.rig.builder(size).policy(policy);
        let builder = builder.on_expired(move |job| hook.rig.expires(&job));
        builder.start(move |grant| handler.serve(grant)).unwrap()
    }

    /// An engine without.
    fn build(&self, size: Size, policy: Policy) -> Engine<Load> {
        let hook = self.clone();
        let builder = self.rig.builder(size).policy(policy);
        builder.on_expired(move |job| hook.rig.expires(&job)).build().unwrap()
    }

    /// Runs a job that has just been granted, at a moment that nobody has noted.
    fn serve(&self, grant: Grant<Load>) {
        let number = grant.payload().number;
        self.rig.register.granted(number, Nanos::ZERO, self.rig.clock.now());
        self.gauge.begins(tenant(number), cost(number));
        self.run(grant);
    }

    /// Runs a job, in which others may go on.
    fn run(&self, grant: Grant<Load>) {
        let number = grant.payload().number;
        self.rig.runs(&grant);
        yield_now();
        self.gauge.ends(tenant(number), cost(number), actual(number));
        grant.settle(actual(number));
    }

    /// Starts the service's own threads, which pull jobs.
    fn pull(&self, engine: &Engine<Load>, size: Size) -> Vec<JoinHandle<()>> {
        let start = |_| {
            let (limited, engine) = (self.clone(), engine.clone());
            spawn(move || limited.pull_all(&engine))
        };
        (0..size.workers).map(start).collect()
    }

    /// Pulls and runs jobs until the engine stops. The clock is looked at before and after each call, most of
    /// which do not wait: so it is known when their jobs were granted.
    fn pull_all(&self, engine: &Engine<Load>) {
        let mut worker = engine.worker().unwrap();
        let mut is_idle = false;
        while !worker.is_stopped() {
            let before = self.rig.clock.now();
            let grants: Vec<_> = match is_idle {
                false => worker.next_batch(2).collect(),
                true => worker.wait_batch(2, Duration::from_micros(50)).collect(),
            };
            let after = self.rig.clock.now();
            is_idle = grants.is_empty();
            for grant in &grants {
                let number = grant.payload().number;
                self.rig.register.granted(number, before, after);
                self.gauge.granted(tenant(number), before, after);
                self.gauge.begins(tenant(number), cost(number));
            }
            grants.into_iter().for_each(|grant| self.run(grant));
        }
    }

    /// Starts the thread that moves the clock until all is over, and calls `beside` at each step.
    fn keep_time(&self, beside: impl Fn(&Limited) + Send + 'static) -> JoinHandle<()> {
        let limited = self.clone();
        spawn(move || {
            let mut next = 0;
            while !limited.ended.load(SeqCst) {
                if context_switches() >= next {
                    next = context_switches() + thread_rng().gen_range(0..2 * MOVE_EVERY);
                    let step = STEPS_MS[thread_rng().gen_range(0..STEPS_MS.len())];
                    limited.rig.clock.advance(Nanos::from_duration(Duration::from_millis(step)));
                    beside(&limited);
                }
                yield_now();
            }
        })
    }

    /// Starts the thread that swaps policies of quotas: to wider caps, and back to the first ones.
    fn swap_quotas(&self, engine: &Engine<Load>) -> JoinHandle<()> {
        let (limited, engine) = (self.clone(), engine.clone());
        spawn(move || {
            limited.gauge.widen(WIDE);
            engine.set_policy(quotas(WIDE)).expect("the sizes stay");
            engine.set_policy(quotas(FIRST)).expect("the sizes stay");
            limited.narrow(&engine);
        })
    }

    /// What is within the first caps, which are in force, stays so.
    fn narrow(&self, engine: &Engine<Load>) {
        let snapshot = engine.snapshot();
        let in_flight = |wanted| {
            let mut rows = snapshot.tenant_rows.iter();
            rows.find(|row| row.tenant == wanted).and_then(|row| row.in_flight)
        };
        for (tenant, name) in crate::rig::NAMES.into_iter().enumerate() {
            if in_flight(name).is_some_and(|out| out <= FIRST.tenant) {
                self.gauge.narrow_tenant(tenant, FIRST.tenant);
            }
        }
        if snapshot.limits.in_flight <= FIRST.tier {
            self.gauge.narrow_tier(FIRST.tier);
        }
    }

    /// Ends the execution: all jobs have ended, and nothing is held any more.
    fn end(&self, engine: Engine<Load>, beside: Vec<JoinHandle<()>>) {
        let report = engine.drain(Duration::MAX);
        self.ended.store(true, SeqCst);
        join(beside);
        assert_eq!((report.running, report.returned.len()), (0, 0), "all had ended");
        check_rest(&engine);
        self.rig.account(engine, report);
    }
}

/// No grant is out, so no slot is taken and nothing is reserved.
fn check_rest(engine: &Engine<Load>) {
    let snapshot = engine.snapshot();
    assert_eq!(snapshot.limits.in_flight, 0, "slots of the engine are left");
    let held = snapshot.tenant_rows.iter().find(|row| row.in_flight.unwrap_or(0) > 0);
    assert!(held.is_none(), "slots of a tenant are left: {held:?}");
    let dimensions = snapshot.budgets.iter().flat_map(|budget| &budget.dimensions);
    let reserved = dimensions.map(|dimension| dimension.reserved).sum::<u64>();
    assert_eq!(reserved, 0, "a budget is left reserved");
}

/// Gives some of the budget back now and then, and asks what the first tenant waits for.
fn refund(engine: &Engine<Load>) -> impl Fn(&Limited) + Send + 'static {
    let engine = engine.clone();
    move |limited| {
        let (Some(org), Some(cost)) = (engine.budget("org"), engine.dimension("cost")) else {
            return limited.rig.register.object("the policy has its budget".to_owned());
        };
        if thread_rng().gen_ratio(1, REFUND.1) {
            limited.gauge.refunds(REFUND.0);
            engine.refund(org, &[(cost, REFUND.0)], engine.now()).expect("both are the engine's");
        }
        if let Ok(common) = named(&engine, 0) {
            let explained = engine.explain(common).expect("the table has room for all");
            let out = explained.in_flight.expect("the tenant has limits");
            if out > WIDE.tenant {
                limited.rig.register.object(format!("{out} grants in flight are explained"));
            }
        }
    }
}

/// Rate, caps and a budget park lanes; the clock, ends of grants, refunds and policy swaps bring them back.
/// The engine's own threads, so that nothing but its own wake-ups can.
pub(crate) fn quota(size: Size) {
    let limited = Limited::new(size, plain, Allowed { caps: FIRST, cost: BUDGET });
    let engine = limited.start(size, quotas(FIRST));
    let beside = vec![limited.keep_time(refund(&engine)), limited.swap_quotas(&engine)];
    join(limited.rig.produce(&engine, size));
    limited.rig.await_all_runs();
    limited.end(engine, beside);
}

/// The same where it is known when jobs were granted.
pub(crate) fn quota_pulled(size: Size) {
    let limited = Limited::new(size, plain, Allowed { caps: FIRST, cost: BUDGET });
    let engine = limited.build(size, quotas(FIRST));
    let mut beside = vec![limited.keep_time(refund(&engine)), limited.swap_quotas(&engine)];
    beside.extend(limited.pull(&engine, size));
    join(limited.rig.produce(&engine, size));
    let gauge = Arc::clone(&limited.gauge);
    limited.rig.await_all_runs();
    gauge.check_pace(PACE);
    limited.end(engine, beside);
}

/// Jobs with priorities, due moments and deadlines, of tenants with one grant at a time: each is run or
/// expires. The timekeeper is the engine's.
pub(crate) fn deadline(size: Size) {
    let limited = Limited::new(size, timed, Allowed { caps: NARROW, cost: u64::MAX });
    let engine = limited.start(size, caps_alone(NARROW));
    let beside = vec![limited.keep_time(|_| ())];
    join(limited.rig.produce(&engine, size));
    limited.rig.await_all_runs();
    limited.end(engine, beside);
}

/// The same where it is known when jobs were granted: none at its deadline or later.
pub(crate) fn deadline_pulled(size: Size) {
    let limited = Limited::new(size, timed, Allowed { caps: NARROW, cost: u64::MAX });
    let engine = limited.build(size, caps_alone(NARROW));
    let mut beside = vec![limited.keep_time(|_| ())];
    beside.extend(limited.pull(&engine, size));
    join(limited.rig.produce(&engine, size));
    limited.rig.await_all_runs();
    limited.end(engine, beside);
}

/// A drain comes while lanes are parked and policies are swapped: nobody may run in the last of them.
pub(crate) fn parked(size: Size) {
    let limited = Limited::new(size, timed, Allowed { caps: NARROW, cost: u64::MAX });
    let engine = limited.start(size, caps_alone(NARROW));
    let producers = limited.rig.produce(&engine, size);
    let swapper = engine.clone();
    let swapper = spawn(move || {
        for caps in [PAUSED, NARROW, PAUSED] {
            swapper.set_policy(caps_alone(caps)).expect("the sizes stay");
        }
    });
    let clock = limited.keep_time(|_| ());
    (0..thread_rng().gen_range(0..PAUSE_MAX)).for_each(|_| yield_now());
    let report = engine.drain(Duration::from_micros(thread_rng().gen_range(0..200)));
    join(producers);
    join(vec![swapper]);
    limited.ended.store(true, SeqCst);
    join(vec![clock]);
    let again = engine.drain(Duration::ZERO);
    assert_eq!(again.returned.len(), 0, "nothing is handed back twice");
    limited.rig.account(engine, report);
}
