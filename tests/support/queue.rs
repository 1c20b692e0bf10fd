//! What the tests ask for the next job: the engine in its passive form, or a FIFO for control.

use fairlane::{Clock, Engine, Job, ManualClock, Nanos, Policy, Tenant, Weight, Worker};
use std::collections::VecDeque;

/// A job that was granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pick {
    /// Whose job it was.
    pub(crate) lane: usize,
    /// What it cost.
    pub(crate) cost: u32,
    /// Which job of its lane it was, from 0.
    pub(crate) number: u32,
}

/// Whatever decides who goes next, so that checks run on the engine and on controls alike.
pub(crate) trait Queue {
    /// Queues a job; `false` when it is refused.
    fn submit(&mut self, lane: usize, cost: u32) -> bool;
    /// Up to `most` jobs for `worker` at the moment `now`, in nanoseconds.
    fn pick(&mut self, worker: usize, now: u64, most: usize) -> Vec<Pick>;
}

/// Lanes, their weights and the bounds.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    weights: Vec<f64>,
    base: u32,
    workers: usize,
    engine_max: u32,
    tenant_max: u32,
}

impl Setup {
    /// One lane per weight, quantum 1 per unit weight, one worker.
    pub(crate) fn new(weights: &[f64]) -> Setup {
        Setup {
            weights: weights.to_vec(),
            base: 1,
            workers: 1,
            engine_max: 1_000_000,
            tenant_max: 500_000,
        }
    }

    pub(crate) fn base(mut self, base: u32) -> Setup {
        self.base = base;
        self
    }

    pub(crate) fn workers(mut self, workers: usize) -> Setup {
        self.workers = workers;
        self
    }

    pub(crate) fn bounds(mut self, engine_max: u32, tenant_max: u32) -> Setup {
        (self.engine_max, self.tenant_max) = (engine_max, tenant_max);
        self
    }

    /// One tier per different weight, in the order of first use.
    pub(crate) fn policy(&self) -> Policy {
        let mut policy = Policy::builder()
            .base_quantum(self.base)
            .queue_max(self.engine_max)
            .default_queue_max(self.tenant_max)
            .tenants_max(self.weights.len().max(63) as u32 + 1)
            .default_tier(tier(self.weights[0]));
        for &weight in &self.weights {
            policy = policy.tier(tier(weight), Weight::new(weight).expect("a weight in range"));
        }
        policy.build().expect("a valid policy")
    }

    pub(crate) fn engine(&self) -> Fair {
        let hand = ManualClock::new();
        let engine = Engine::builder()
            .workers(self.workers)
            .clock(Clock::Manual(hand.clone()))
            .policy(self.policy())
            .build()
            .expect("a passive engine");
        let name = |(lane, &weight): (usize, &f64)| {
            engine.tenant(&format!("lane-{lane}"), &tier(weight)).expect("room for every lane")
        };
        Fair {
            tenants: self.weights.iter().enumerate().map(name).collect(),
            workers: (0..self.workers).map(|_| engine.worker().expect("a place")).collect(),
            numbers: vec![0; self.weights.len()],
            engine,
            hand,
        }
    }

    /// The same after a few jobs of another tenant: a worker that has seen none takes handlers to
    /// be slow and looks for fresh lanes after every job, within turns (decision 4).
    pub(crate) fn warm_engine(&self) -> Fair {
        let mut queue = self.engine();
        let tier = tier(self.weights[0]);
        let other = queue.engine.tenant("warm-up", &tier).expect("room for one more");
        for _ in 0..20 {
            let _ = queue.engine.submit(other, (0, 0)).expect("an empty engine takes it");
            assert_eq!(queue.pick(0, 0, 1).len(), 1);
        }
        while !queue.pick(0, 0, 1).is_empty() {}
        queue
    }

    pub(crate) fn fifo(&self) -> Fifo {
        Fifo { setup: self.clone(), jobs: VecDeque::new(), numbers: vec![0; self.weights.len()] }
    }
}

fn tier(weight: f64) -> String {
    format!("w{}", (weight * 1_000.0).round())
}

/// The engine without threads, under a clock that stands still between picks.
pub(crate) struct Fair {
    pub(crate) engine: Engine<(usize, u32)>,
    pub(crate) workers: Vec<Worker<(usize, u32)>>,
    pub(crate) tenants: Vec<Tenant>,
    hand: ManualClock,
    /// Jobs accepted per lane.
    numbers: Vec<u32>,
}

impl Queue for Fair {
    fn submit(&mut self, lane: usize, cost: u32) -> bool {
        let job = Job::new((lane, self.numbers[lane])).cost(cost);
        let accepted = self.engine.submit(self.tenants[lane], job).is_ok();
        self.numbers[lane] += u32::from(accepted);
        accepted
    }

    fn pick(&mut self, worker: usize, now: u64, most: usize) -> Vec<Pick> {
        self.hand.advance_to(Nanos(now));
        let grants = self.workers[worker].tick(Nanos(now), most);
        let picks = grants.map(|grant| {
            let (lane, number) = *grant.payload();
            Pick { lane, cost: grant.cost(), number }
        });
        picks.collect()
    }
}

/// One queue for everybody, in order of arrival, with the same bounds.
pub(crate) struct Fifo {
    setup: Setup,
    jobs: VecDeque<Pick>,
    numbers: Vec<u32>,
}

impl Queue for Fifo {
    fn submit(&mut self, lane: usize, cost: u32) -> bool {
        let queued = self.jobs.iter().filter(|job| job.lane == lane).count();
        let full = queued >= self.setup.tenant_max as usize;
        if full || self.jobs.len() >= self.setup.engine_max as usize {
            return false;
        }
        self.jobs.push_back(Pick { lane, cost, number: self.numbers[lane] });
        self.numbers[lane] += 1;
        true
    }

    fn pick(&mut self, _worker: usize, _now: u64, most: usize) -> Vec<Pick> {
        let most = most.min(self.jobs.len());
        self.jobs.drain(..most).collect()
    }
}
