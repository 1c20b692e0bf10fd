//! Slots, clients and arrivals on a simulated clock.

use crate::queue::Queue;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// Clients that submit again some time after their job is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clients {
    pub(crate) lane: usize,
    pub(crate) count: usize,
    /// Nanoseconds.
    pub(crate) execute: u64,
    pub(crate) think: u64,
}

/// What a run measured.
#[derive(Debug)]
pub(crate) struct Report {
    /// Slots in use, averaged over the run, per lane.
    pub(crate) slots: Vec<f64>,
    /// Most slots in use at once.
    pub(crate) peak: usize,
    /// Waits from submission to grant, per lane, in the order of the grants.
    pub(crate) waits: Vec<Vec<u64>>,
    /// Jobs refused, per lane.
    pub(crate) refused: Vec<u64>,
}

/// What a job does once it runs, and afterwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Errand {
    lane: usize,
    execute: u64,
    /// Submitted again this long after it is done.
    think: Option<u64>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Done { slot: usize, errand: Errand },
    Submit(Errand),
}

/// A run of `queue` with one worker per slot.
pub(crate) struct Simulation<'a> {
    queue: &'a mut dyn Queue,
    /// Slots without a job.
    free: Vec<usize>,
    slots: usize,
    /// By time, then in the order made.
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    made: u64,
    waiting: Vec<VecDeque<(u64, Errand)>>,
    busy: Vec<u64>,
    report: Report,
}

impl<'a> Simulation<'a> {
    pub(crate) fn new(queue: &'a mut dyn Queue, slots: usize, lanes: usize) -> Self {
        let report = Report {
            slots: vec![0.0; lanes],
            peak: 0,
            waits: vec![Vec::new(); lanes],
            refused: vec![0; lanes],
        };
        Simulation {
            queue,
            free: (0..slots).rev().collect(),
            slots,
            events: BinaryHeap::new(),
            made: 0,
            waiting: vec![VecDeque::new(); lanes],
            busy: vec![0; lanes],
            report,
        }
    }

    pub(crate) fn clients(mut self, clients: Clients) -> Self {
        let Clients { lane, count, execute, think } = clients;
        for _ in 0..count {
            self.at(0, Event::Submit(Errand { lane, execute, think: Some(think) }));
        }
        self
    }

    /// A single job of `lane` at the moment `at`.
    pub(crate) fn arrival(&mut self, at: u64, lane: usize, execute: u64) {
        self.at(at, Event::Submit(Errand { lane, execute, think: None }));
    }

    fn at(&mut self, time: u64, event: Event) {
        self.events.push(Reverse((time, self.made, event)));
        self.made += 1;
    }

    /// Runs until `end`.
    pub(crate) fn run(mut self, end: u64) -> Report {
        while let Some(now) = self.events.peek().map(|Reverse((time, ..))| *time) {
            if now >= end {
                break;
            }
            while self.events.peek().is_some_and(|Reverse((time, ..))| *time == now) {
                let Reverse((_, _, event)) = self.events.pop().expect("just seen");
                self.handle(now, event);
            }
            self.grant(now, end);
        }
        self.report.slots = self.busy.iter().map(|&busy| busy as f64 / end as f64).collect();
        self.report
    }

    fn handle(&mut self, now: u64, event: Event) {
        match event {
            Event::Done { slot, errand } => {
                self.free.push(slot);
                if let Some(think) = errand.think {
                    self.at(now + think, Event::Submit(errand));
                }
            }
            Event::Submit(errand) if self.queue.submit(errand.lane, 1) => {
                self.waiting[errand.lane].push_back((now, errand));
            }
            Event::Submit(errand) => self.report.refused[errand.lane] += 1,
        }
    }

    /// Gives every free slot a job, as long as there are any.
    fn grant(&mut self, now: u64, end: u64) {
        let mut idle = Vec::new();
        while let Some(slot) = self.free.pop() {
            let Some(pick) = self.queue.pick(slot, now, 1).into_iter().next() else {
                idle.push(slot);
                continue;
            };
            let (since, errand) = self.waiting[pick.lane].pop_front().expect("it was submitted");
            self.report.waits[pick.lane].push(now - since);
            let done = now + errand.execute;
            self.busy[pick.lane] += done.min(end) - now;
            self.at(done, Event::Done { slot, errand });
        }
        let jobs: usize = self.waiting.iter().map(VecDeque::len).sum();
        assert!(idle.is_empty() || jobs == 0, "a slot is idle and {jobs} jobs wait");
        idle.reverse();
        self.free = idle;
        self.report.peak = self.report.peak.max(self.slots - self.free.len());
    }
}
