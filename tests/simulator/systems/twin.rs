//! A slow, obvious twin of the engine, and the flaws that the oracle must notice in it.

use super::{Drained, Ending, Expired, Figures, Granted, Job, Row, Standing, System, submit_each};
use crate::mix::Mix;
use crate::systems::engine::Slots;
use crate::terms::Terms;
use fairlane::Reason;
use std::collections::{BTreeMap, VecDeque};

/// What is wrong with a twin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Flaw {
    None,
    /// One queue for everybody, in order of arrival.
    Fifo,
    /// Every tenant has the weight of the first tier.
    IgnoresWeights,
    /// Goes on with the weights it began with.
    IgnoresSwaps,
    /// Books no corrections.
    IgnoresCorrections,
    /// A lane without a ready job keeps its balance, and what each round adds to it.
    SavesCredit,
    /// A newly backlogged lane waits for the rest of the round.
    FreshLast,
    /// Serves tenant 0 only when there is nobody else.
    Starves,
    /// Every so many jobs one is lost.
    Drops(u64),
    /// Every so many grants one is made twice.
    Doubles(u64),
    /// Every so many grants two jobs of a lane change places.
    Reorders(u64),
    /// Serves what stands behind an unfinished producer.
    Overtakes,
    /// Every so many wake-ups one is forgotten.
    ForgetsWake(u64),
    /// Every so many looks find nothing.
    Idles(u64),
    /// Takes one job more than the bound.
    OverBound,
    /// Refuses the last job that the bound allows.
    UnderBound,
    /// Counts a panicked job as still running.
    LeaksPanics,
    /// Forgets to count refusals.
    Miscounts,
    /// A drain hands back all but one.
    DrainLoses,
    /// Takes a policy over that it should refuse.
    TakesAnyPolicy,
    /// Lets the clock step back.
    ClockBack,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Reserved,
    Ready,
    Abandoned,
}

#[derive(Default)]
struct Lane {
    named: bool,
    tier: usize,
    jobs: VecDeque<(Job, usize)>,
    /// Millionths of a cost unit.
    balance: i64,
    last_round: u64,
    in_rotation: bool,
    row: Row,
}

struct Running {
    tenant: usize,
    job: Job,
}

pub(crate) struct Twin {
    flaw: Flaw,
    /// Counts the occasions for the flaw.
    occasions: u64,
    terms: Terms,
    first: Terms,
    now: u64,
    lanes: Vec<Lane>,
    /// States of the places in all lanes, by number.
    places: Vec<(usize, State)>,
    fresh: VecDeque<usize>,
    round: u64,
    current: VecDeque<usize>,
    next: VecDeque<usize>,
    /// Tenants of waiting jobs in order of arrival, for the FIFO.
    arrivals: VecDeque<usize>,
    asleep: Vec<bool>,
    grants: Slots<Running>,
    counts: (u64, u64),
    running: u64,
    waiting: u64,
    /// Of those, places that were given up.
    abandoned: u64,
    refused: BTreeMap<Reason, u64>,
    stopped: bool,
}

const MICROS: i64 = 1_000_000;

impl Twin {
    pub(crate) fn new(mix: &Mix, flaw: Flaw) -> Twin {
        Twin {
            flaw,
            occasions: 0,
            terms: mix.terms.clone(),
            first: mix.terms.clone(),
            now: 0,
            lanes: (0..mix.tenants).map(|_| Lane::default()).collect(),
            places: Vec::new(),
            fresh: VecDeque::new(),
            round: 1,
            current: VecDeque::new(),
            next: VecDeque::new(),
            arrivals: VecDeque::new(),
            asleep: vec![false; mix.workers],
            grants: Slots::new(),
            counts: (0, 0),
            running: 0,
            waiting: 0,
            abandoned: 0,
            refused: BTreeMap::new(),
            stopped: false,
        }
    }

    /// Whether the flaw shows this time, every `every` occasions.
    fn strikes(&mut self, every: u64) -> bool {
        self.occasions += 1;
        self.occasions % every == 0
    }

    fn refuse(&mut self, tenant: usize, job: Job, reason: Reason) -> Reason {
        if self.flaw != Flaw::Miscounts {
            *self.refused.entry(reason).or_default() += 1;
            let row = &mut self.lanes[tenant].row;
            row.refused += 1;
            row.refused_cost += u64::from(job.cost);
        }
        reason
    }

    fn enqueue(&mut self, tenant: usize, job: Job, state: State) -> Result<usize, Reason> {
        if self.stopped {
            return Err(self.refuse(tenant, job, Reason::Closed));
        }
        let bound = self.terms.of(tenant, self.lanes[tenant].tier).bound as usize;
        let most = match self.flaw {
            Flaw::OverBound => bound + 1,
            Flaw::UnderBound => bound - 1,
            _ => bound,
        };
        if self.lanes[tenant].jobs.len() >= most {
            return Err(self.refuse(tenant, job, Reason::QueueFull));
        }
        if self.waiting >= u64::from(self.terms.queue_max) {
            return Err(self.refuse(tenant, job, Reason::EngineFull));
        }
        let place = self.places.len();
        self.places.push((tenant, state));
        self.lanes[tenant].jobs.push_back((job, place));
        self.arrivals.push_back(tenant);
        self.waiting += 1;
        if state == State::Ready {
            self.activate(tenant);
        }
        Ok(place)
    }

    fn activate(&mut self, tenant: usize) {
        if std::mem::replace(&mut self.lanes[tenant].in_rotation, true) {
            return;
        }
        if self.flaw == Flaw::FreshLast {
            self.next.push_back(tenant);
        } else {
            self.fresh.push_back(tenant);
        }
        self.wake_one();
    }

    fn wake_one(&mut self) {
        if let Flaw::ForgetsWake(every) = self.flaw {
            if self.asleep.contains(&true) && self.strikes(every) {
                return;
            }
        }
        if let Some(sleeper) = self.asleep.iter_mut().find(|asleep| **asleep) {
            *sleeper = false;
        }
    }

    /// The next lane in turn, taken out of the rotation.
    fn next_lane(&mut self) -> Option<usize> {
        while let Some(lane) = self.fresh.pop_front() {
            if self.lanes[lane].last_round != self.round {
                return Some(lane);
            }
            self.next.push_back(lane);
        }
        if self.current.is_empty() {
            std::mem::swap(&mut self.current, &mut self.next);
            self.round += 1;
        }
        let lane = self.current.pop_front();
        let others = !(self.current.is_empty() && self.next.is_empty());
        if lane == Some(0) && others && self.flaw == Flaw::Starves {
            self.next.push_back(0);
            return self.next_lane();
        }
        lane
    }

    fn quantum(&self, tenant: usize) -> i64 {
        let terms = if self.flaw == Flaw::IgnoresSwaps { &self.first } else { &self.terms };
        let due = match self.flaw {
            Flaw::IgnoresWeights => terms.of(usize::MAX, 0),
            _ => terms.of(tenant, self.lanes[tenant].tier),
        };
        (due.quantum * MICROS as f64).round() as i64
    }

    /// Serves a lane and puts it back where it belongs. Returns whether it waits for a producer.
    fn serve(&mut self, tenant: usize, most: usize, out: &mut Vec<Granted>) -> bool {
        if self.lanes[tenant].last_round != self.round {
            self.lanes[tenant].last_round = self.round;
            self.lanes[tenant].balance += self.quantum(tenant);
        }
        loop {
            self.skip_abandoned(tenant);
            let lane = &mut self.lanes[tenant];
            let Some(&(job, place)) = lane.jobs.front() else {
                self.forfeit(tenant);
                self.lanes[tenant].in_rotation = false;
                return false;
            };
            let price = i64::from(job.cost) * MICROS;
            if self.places[place].1 == State::Reserved && !self.may_overtake(tenant) {
                self.forfeit(tenant);
                self.next.push_back(tenant);
                return true;
            }
            if self.lanes[tenant].balance < price {
                self.next.push_back(tenant);
                return false;
            }
            if out.len() == most {
                self.current.push_front(tenant);
                return false;
            }
            self.lanes[tenant].balance -= price;
            self.grant(tenant, out);
        }
    }

    fn skip_abandoned(&mut self, tenant: usize) {
        let Twin { lanes, places, waiting, abandoned, .. } = self;
        let jobs = &mut lanes[tenant].jobs;
        while jobs.front().is_some_and(|(_, place)| places[*place].1 == State::Abandoned) {
            jobs.pop_front();
            *waiting -= 1;
            *abandoned -= 1;
        }
    }

    fn forfeit(&mut self, tenant: usize) {
        if self.flaw != Flaw::SavesCredit {
            self.lanes[tenant].balance = self.lanes[tenant].balance.min(0);
        }
    }

    fn may_overtake(&mut self, tenant: usize) -> bool {
        let jobs = &mut self.lanes[tenant].jobs;
        let behind = jobs.iter().position(|(_, place)| self.places[*place].1 == State::Ready);
        match behind {
            Some(at) if self.flaw == Flaw::Overtakes => {
                jobs.swap(0, at);
                true
            }
            _ => false,
        }
    }

    fn grant(&mut self, tenant: usize, out: &mut Vec<Granted>) {
        let (mut job, _) = self.lanes[tenant].jobs.pop_front().expect("just seen");
        self.waiting -= 1;
        let flaw = self.flaw;
        match flaw {
            Flaw::Drops(every) if self.strikes(every) => return,
            Flaw::Reorders(every) if self.strikes(every) => {
                let states = &self.places;
                let next = self.lanes[tenant].jobs.front_mut();
                let next = next.filter(|(_, place)| states[*place].1 == State::Ready);
                if let Some((next, _)) = next {
                    std::mem::swap(&mut job, next);
                }
            }
            Flaw::Doubles(every) if self.strikes(every) => self.hand_out(tenant, job, out),
            _ => {}
        }
        self.hand_out(tenant, job, out);
    }

    fn hand_out(&mut self, tenant: usize, job: Job, out: &mut Vec<Granted>) {
        let row = &mut self.lanes[tenant].row;
        row.dispatched += 1;
        row.served_cost += u64::from(job.cost);
        self.counts.0 += 1;
        self.counts.1 += u64::from(job.cost);
        self.running += 1;
        let key = self.grants.put(Running { tenant, job });
        out.push(Granted { key, tenant, job });
    }

    fn tick_fair(&mut self, most: usize) -> (bool, Vec<Granted>) {
        let (mut out, mut stalled, mut barren) = (Vec::new(), false, 0);
        while out.len() < most {
            let (before, round) = (out.len(), self.round);
            let Some(lane) = self.next_lane() else { break };
            stalled |= self.serve(lane, most, &mut out);
            barren = if out.len() > before { 0 } else { barren + u32::from(self.round != round) };
            // Costs are drawn so that a few hundred rounds cover any job of a control's run.
            if stalled && barren > 1_000 {
                break;
            }
        }
        (stalled && out.is_empty(), out)
    }

    fn tick_fifo(&mut self, most: usize) -> (bool, Vec<Granted>) {
        let (mut out, mut stalled) = (Vec::new(), VecDeque::new());
        while out.len() < most {
            let Some(tenant) = self.arrivals.pop_front() else { break };
            self.skip_abandoned(tenant);
            let Some(&(_, place)) = self.lanes[tenant].jobs.front() else { continue };
            if self.places[place].1 == State::Ready {
                self.grant(tenant, &mut out);
            } else {
                stalled.push_back(tenant);
            }
        }
        let waits = !stalled.is_empty();
        stalled.append(&mut self.arrivals);
        self.arrivals = stalled;
        for tenant in 0..self.lanes.len() {
            self.skip_abandoned(tenant);
            self.lanes[tenant].in_rotation = !self.lanes[tenant].jobs.is_empty();
        }
        (waits && out.is_empty(), out)
    }

    fn leaves_work(&self) -> bool {
        match self.flaw {
            Flaw::Fifo => self.lanes.iter().any(|lane| lane.in_rotation),
            _ => !(self.fresh.is_empty() && self.current.is_empty() && self.next.is_empty()),
        }
    }
}

impl System for Twin {
    fn name(&mut self, tenant: usize, tier: usize) -> Result<bool, Reason> {
        if self.stopped && !self.lanes[tenant].named {
            *self.refused.entry(Reason::Closed).or_default() += 1;
            return Err(Reason::Closed);
        }
        self.lanes[tenant].tier = tier;
        Ok(!std::mem::replace(&mut self.lanes[tenant].named, true))
    }

    fn submit(&mut self, tenant: usize, job: Job) -> Result<(), Reason> {
        self.enqueue(tenant, job, State::Ready).map(drop)
    }

    fn submit_batch(&mut self, tenant: usize, jobs: &[Job]) -> (usize, Option<Reason>) {
        submit_each(self, tenant, jobs, Twin::refuse)
    }

    fn reserve(&mut self, tenant: usize, job: Job) -> Result<usize, Reason> {
        self.enqueue(tenant, job, State::Reserved)
    }

    fn publish(&mut self, place: usize) {
        self.places[place].1 = State::Ready;
        self.activate(self.places[place].0);
    }

    fn abandon(&mut self, place: usize) {
        self.places[place].1 = State::Abandoned;
        self.abandoned += 1;
        self.activate(self.places[place].0);
    }

    fn tick(&mut self, _worker: usize, _now: u64, most: usize) -> (bool, Vec<Granted>) {
        if self.stopped {
            return (false, Vec::new());
        }
        if let Flaw::Idles(every) = self.flaw {
            if self.strikes(every) {
                return (false, Vec::new());
            }
        }
        let ticked = match self.flaw {
            Flaw::Fifo => self.tick_fifo(most),
            _ => self.tick_fair(most),
        };
        if self.leaves_work() {
            self.wake_one();
        }
        ticked
    }

    fn end(&mut self, grant: usize, ending: Ending) {
        let Running { tenant, job } = self.grants.take(grant);
        if self.flaw != Flaw::LeaksPanics || ending != Ending::Panicked {
            self.running -= 1;
        }
        if let Ending::Settled(actual) = ending {
            if self.flaw != Flaw::IgnoresCorrections {
                let back = i64::from(job.cost) - i64::from(actual);
                self.lanes[tenant].balance += back * MICROS;
            }
        }
    }

    fn lie_down(&mut self, worker: usize) {
        self.asleep[worker] = true;
    }

    fn next_moment(&self) -> u64 {
        u64::MAX
    }

    fn expired(&mut self) -> Vec<Expired> {
        Vec::new()
    }

    fn explain(&self, _tenant: usize) -> Standing {
        unreachable!("nobody waits for a limit here")
    }

    fn look_again(&mut self, worker: usize, stalled: bool, _until: u64) -> bool {
        let has_work = if stalled { !self.fresh.is_empty() } else { self.leaves_work() };
        let sleeps = !has_work && !self.stopped;
        self.asleep[worker] &= sleeps;
        sleeps
    }

    fn is_woken(&self, worker: usize) -> bool {
        !self.asleep[worker]
    }

    fn get_up(&mut self, worker: usize) {
        self.asleep[worker] = false;
    }

    fn leave(&mut self, _worker: usize) {
        if self.leaves_work() {
            self.wake_one();
        }
    }

    fn come(&mut self, _worker: usize) {}

    fn turn_clock(&mut self, to: u64) -> u64 {
        self.now = if self.flaw == Flaw::ClockBack { to } else { self.now.max(to) };
        self.now
    }

    fn set_policy(&mut self, terms: &Terms) -> bool {
        let fixed = terms.queue_max == self.terms.queue_max;
        let used = self.lanes.iter().all(|lane| !lane.named || lane.tier < terms.tiers.len());
        let taken = fixed && used || self.flaw == Flaw::TakesAnyPolicy;
        if taken && used {
            self.terms = terms.clone();
        }
        taken
    }

    fn figures(&mut self) -> Figures {
        let rows = self.lanes.iter().enumerate().filter(|(_, lane)| lane.named);
        let rows: Vec<Row> = rows
            .map(|(tenant, lane)| {
                let due = self.terms.of(tenant, lane.tier);
                let depth = lane.jobs.len() as u64;
                let accepted = lane.row.dispatched + depth;
                Row { tenant, weight: due.weight, bound: due.bound, accepted, depth, ..lane.row }
            })
            .collect();
        let totals = Figures::of(rows);
        Figures {
            running: self.running,
            refused: self.refused.clone(),
            reserved: totals.depth.next_multiple_of(self.terms.block()),
            by_workers: self.counts,
            ..totals
        }
    }

    fn drain(&mut self) -> Drained {
        self.stopped = true;
        let mut returned = Vec::new();
        for tenant in 0..self.lanes.len() {
            self.skip_abandoned(tenant);
            while let Some(&(job, place)) = self.lanes[tenant].jobs.front() {
                if self.places[place].1 == State::Reserved {
                    break;
                }
                self.lanes[tenant].jobs.pop_front();
                self.lanes[tenant].row.dispatched += 1;
                self.lanes[tenant].row.served_cost += u64::from(job.cost);
                self.waiting -= 1;
                returned.push((tenant, job.number));
                self.skip_abandoned(tenant);
            }
        }
        if self.flaw == Flaw::DrainLoses {
            returned.pop();
        }
        let finished = self.counts.0 - self.running;
        Drained { finished, returned, running: self.running, expired: 0, unpublished: self.waiting }
    }

    fn payloads(&self) -> u64 {
        self.waiting - self.abandoned + self.running
    }
}
