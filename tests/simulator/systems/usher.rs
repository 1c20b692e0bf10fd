//! A slow, obvious engine with limits and job options and without fairness, and the flaws that the
//! oracle must notice in it.

use super::engine::Slots;
use super::{Drained, Ending, Expired, Figures, Granted, Job, Row, Standing, System, submit_each};
use crate::mix::Mix;
use crate::quota::{Moment, Quota, Used};
use crate::terms::Terms;
use fairlane::Reason;
use std::collections::BTreeMap;

/// What is wrong with an usher.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    None,
    /// One grant more than the bound of a tenant, of a tier, of the engine.
    OverTenant,
    OverTier,
    OverEngine,
    /// Every so many grants do not count towards the rate.
    LeaksRate(u64),
    /// Forgets what it has granted when a worker shows it an earlier moment than another one.
    ForgetsPast,
    /// Goes on with the limits it began with.
    KeepsLimits,
    /// Grants what has expired.
    RunsExpired,
    /// Grants what is not due.
    RunsEarly,
    /// Tells twice, never, or in another tenant's name of every so many expired jobs.
    ExpiresTwice(u64),
    ExpiresSilently(u64),
    ExpiresForeign(u64),
    /// Forgets to count expired jobs.
    MiscountsExpired,
    /// The order of arrival, whatever the priority.
    IgnoresBands,
    /// The lowest band only when there is no other.
    StarvesLowest,
    /// The latest of a band first.
    ReordersBand,
    /// Every so many grants keep their slots for ever.
    LeaksSlot(u64),
    /// Nobody is woken for a slot that comes free.
    ForgetsWake,
    /// Says that everything waits for its rate.
    WrongReason,
    /// Counts one grant too few.
    WrongInFlight,
    /// A drain loses a job that is not due.
    DrainLoses,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    job: Job,
    place: usize,
    is_open: bool,
    band: usize,
    due: u64,
    deadline: u64,
    at: u64,
}

#[derive(Default)]
struct Lane {
    named: bool,
    tier: usize,
    jobs: Vec<Waiting>,
    used: Used,
    out: u32,
    passed: [u32; 4],
    row: Row,
}

struct Running {
    tenant: usize,
    counted: bool,
    tier: Option<usize>,
    engine: bool,
}

pub(crate) struct Usher {
    fault: Fault,
    occasions: u64,
    terms: Terms,
    first: Terms,
    now: u64,
    /// The latest moment that a worker has shown.
    seen: u64,
    lanes: Vec<Lane>,
    places: Vec<usize>,
    turn: usize,
    asleep: Vec<bool>,
    grants: Slots<Running>,
    tiers: BTreeMap<usize, u32>,
    engine: u32,
    granted: (u64, u64),
    running: u64,
    expired: u64,
    told: Vec<Expired>,
    refused: BTreeMap<Reason, u64>,
    stopped: bool,
}

impl Usher {
    pub(crate) fn new(mix: &Mix, fault: Fault) -> Usher {
        let lane =
            |tenant| Lane { used: Used::none(mix.terms.quota(tenant, 0).rate), ..Lane::default() };
        Usher {
            fault,
            occasions: 0,
            terms: mix.terms.clone(),
            first: mix.terms.clone(),
            now: 0,
            seen: 0,
            lanes: (0..mix.tenants).map(lane).collect(),
            places: Vec::new(),
            turn: 0,
            asleep: vec![false; mix.workers],
            grants: Slots::new(),
            tiers: BTreeMap::new(),
            engine: 0,
            granted: (0, 0),
            running: 0,
            expired: 0,
            told: Vec::new(),
            refused: BTreeMap::new(),
            stopped: false,
        }
    }

    fn strikes(&mut self, every: u64) -> bool {
        self.occasions += 1;
        self.occasions % every == 0
    }

    fn limits(&self) -> &Terms {
        if self.fault == Fault::KeepsLimits { &self.first } else { &self.terms }
    }

    fn quota(&self, tenant: usize) -> Quota {
        self.limits().quota(tenant, self.lanes[tenant].tier)
    }

    fn follow(&mut self) {
        for tenant in 0..self.lanes.len() {
            let rate = self.quota(tenant).rate;
            self.lanes[tenant].used.follow(rate, self.now);
        }
    }

    fn wake_one(&mut self) {
        if let Some(sleeper) = self.asleep.iter_mut().find(|asleep| **asleep) {
            *sleeper = false;
        }
    }

    fn enqueue(&mut self, tenant: usize, job: Job, is_open: bool) -> Result<usize, Reason> {
        let place = self.places.len();
        let waiting = self.waiting(tenant, job, (place, is_open));
        let bound = self.terms.of(tenant, self.lanes[tenant].tier).bound as usize;
        let rate = self.terms.quota(tenant, self.lanes[tenant].tier).rate;
        let too_wide = rate.is_some_and(|rate| rate.amount(job.cost) > rate.widest());
        let reason = if self.stopped {
            Reason::Closed
        } else if too_wide {
            Reason::TooWide
        } else if waiting.deadline <= self.now {
            Reason::Deadline
        } else if self.lanes[tenant].jobs.len() >= bound {
            Reason::QueueFull
        } else {
            self.places.push(tenant);
            self.lanes[tenant].jobs.push(waiting);
            self.wake_one();
            return Ok(place);
        };
        Err(self.refuse(tenant, job, reason))
    }

    fn refuse(&mut self, tenant: usize, job: Job, reason: Reason) -> Reason {
        *self.refused.entry(reason).or_default() += 1;
        let row = &mut self.lanes[tenant].row;
        row.refused += 1;
        row.refused_cost += u64::from(job.cost);
        reason
    }

    fn waiting(&self, tenant: usize, job: Job, (place, is_open): (usize, bool)) -> Waiting {
        let (now, wishes) = (self.now, job.wishes);
        let max_wait = self.terms.quota(tenant, self.lanes[tenant].tier).max_wait;
        let due = wishes.not_before.unwrap_or(0).max(wishes.delay.map_or(0, |time| now + time));
        let waits = [wishes.max_wait, max_wait].into_iter().flatten().min();
        let latest = waits.map_or(u64::MAX, |time| due.max(now).saturating_add(time));
        let deadline = latest.min(wishes.deadline.unwrap_or(u64::MAX));
        let band = match wishes.priority.unwrap_or(0) {
            8_000.. => 0,
            6_000..8_000 => 1,
            3_000..6_000 => 2,
            _ => 3,
        };
        Waiting { job, place, is_open, band, due, deadline, at: now }
    }

    /// Takes out what has expired, up to the first unfinished producer.
    fn expire(&mut self) {
        for tenant in 0..self.lanes.len() {
            while let Some(at) = self.late(tenant) {
                let (now, lane) = (self.now, &mut self.lanes[tenant]);
                let Waiting { job, band, .. } = lane.jobs.remove(at);
                let mut open = lane.jobs.iter().take_while(|job| job.is_open);
                // A band without jobs is not passed over.
                if !open.any(|job| job.band == band && job.due <= now) {
                    lane.passed[band] = 0;
                }
                lane.row.dispatched += 1;
                if self.fault != Fault::MiscountsExpired {
                    self.expired += 1;
                    self.lanes[tenant].row.expired += 1;
                }
                self.tell(Expired { tenant, number: job.number, cost: job.cost });
            }
        }
    }

    fn late(&self, tenant: usize) -> Option<usize> {
        let jobs = self.lanes[tenant].jobs.iter().take_while(|job| job.is_open);
        let mut late = jobs.enumerate().filter(|(_, job)| job.deadline <= self.now);
        late.next().map(|(at, _)| at)
    }

    fn tell(&mut self, expired: Expired) {
        let fault = self.fault;
        match fault {
            Fault::ExpiresSilently(every) if self.strikes(every) => return,
            Fault::ExpiresTwice(every) if self.strikes(every) => self.told.push(expired),
            Fault::ExpiresForeign(every) if self.strikes(every) => {
                let tenant = (expired.tenant + 1) % self.lanes.len();
                return self.told.push(Expired { tenant, ..expired });
            }
            _ => {}
        }
        self.told.push(expired);
    }

    /// Where the lane's next job stands.
    fn next(&self, tenant: usize) -> Option<usize> {
        let lane = &self.lanes[tenant];
        let open = lane.jobs.iter().enumerate().take_while(|(_, job)| job.is_open);
        let due = open.filter(|(_, job)| job.due <= self.now || self.fault == Fault::RunsEarly);
        let due: Vec<_> = due.collect();
        let bands: Vec<usize> = due.iter().map(|(_, job)| job.band).collect();
        let owed = (0..4).rev().find(|band| bands.contains(band) && lane.passed[*band] >= 15);
        let owed = owed.filter(|_| self.fault != Fault::StarvesLowest);
        let band = owed.or_else(|| bands.iter().min().copied())?;
        if self.fault == Fault::IgnoresBands {
            return due.first().map(|(at, _)| *at);
        }
        let of_band = due.iter().filter(|(_, job)| job.band == band);
        if self.fault == Fault::ReordersBand {
            return of_band.map(|(at, _)| *at).next_back();
        }
        of_band.min_by_key(|(at, job)| (job.due.max(job.at), *at)).map(|(at, _)| *at)
    }

    fn caps(&self, tenant: usize) -> [(Reason, u32, Option<u32>, Fault); 3] {
        let (quota, tier) = (self.quota(tenant), self.lanes[tenant].tier);
        let tier_out = self.tiers.get(&tier).copied().unwrap_or(0);
        let out = self.lanes[tenant].out;
        [
            (Reason::Concurrency, out, quota.cap, Fault::OverTenant),
            (Reason::TierConcurrency, tier_out, quota.tier_cap, Fault::OverTier),
            (Reason::EngineConcurrency, self.engine, self.limits().capacity, Fault::OverEngine),
        ]
    }

    /// What keeps a lane's next job.
    fn denial(&self, tenant: usize, cost: u32) -> Option<Reason> {
        if self.fault == Fault::WrongReason && self.denial_of(tenant, cost).is_some() {
            return Some(Reason::Rate);
        }
        self.denial_of(tenant, cost)
    }

    fn denial_of(&self, tenant: usize, cost: u32) -> Option<Reason> {
        let rate = self.quota(tenant).rate;
        if rate.is_some_and(|rate| rate.amount(cost) > rate.widest()) {
            return Some(Reason::TooWide);
        }
        if !self.lanes[tenant].used.may_admit(cost, Moment::at(self.seen)) {
            return Some(Reason::Rate);
        }
        let full = self.caps(tenant).into_iter().find(|(_, out, cap, fault)| {
            let more = u32::from(*fault == self.fault);
            cap.is_some_and(|cap| *out >= cap + more)
        });
        full.map(|(reason, _, cap, _)| if cap == Some(0) { Reason::Paused } else { reason })
    }

    fn grant(&mut self, tenant: usize, at: usize) -> Granted {
        let Waiting { job, band, .. } = self.lanes[tenant].jobs.remove(at);
        let now = self.now;
        let lane = &mut self.lanes[tenant];
        let open = lane.jobs.iter().take_while(|job| job.is_open).filter(|job| job.due <= now);
        let mut waits = [false; 4];
        open.for_each(|job| waits[job.band] = true);
        for (other, passed) in lane.passed.iter_mut().enumerate() {
            let passes = waits[other] && other != band;
            *passed = if passes { *passed + 1 } else { 0 };
        }
        lane.row.dispatched += 1;
        lane.row.served_cost += u64::from(job.cost);
        self.granted = (self.granted.0 + 1, self.granted.1 + u64::from(job.cost));
        self.running += 1;
        let fault = self.fault;
        let is_free = matches!(fault, Fault::LeaksRate(every) if self.strikes(every));
        if !is_free {
            self.lanes[tenant].used.charge(job.cost, Moment::at(self.seen));
        }
        let running = self.count(tenant);
        Granted { key: self.grants.put(running), tenant, job }
    }

    fn counts(&self, tenant: usize) -> bool {
        let quota = self.quota(tenant);
        !Quota { max_wait: None, ..quota }.is_none() || self.limits().capacity.is_some()
    }

    fn count(&mut self, tenant: usize) -> Running {
        let counted = self.counts(tenant);
        let tier = self.quota(tenant).tier_cap.map(|_| self.lanes[tenant].tier);
        let engine = self.limits().capacity.is_some();
        self.lanes[tenant].out += u32::from(counted);
        tier.into_iter().for_each(|tier| *self.tiers.entry(tier).or_default() += 1);
        self.engine += u32::from(engine);
        Running { tenant, counted, tier, engine }
    }

    /// The next lane in turn whose next job may go, and where that stands.
    fn next_grant(&self) -> Option<(usize, usize)> {
        let lanes = (0..self.lanes.len()).map(|by| (self.turn + by) % self.lanes.len());
        lanes.filter_map(|tenant| Some((tenant, self.next(tenant)?))).find(|(tenant, at)| {
            self.denial_of(*tenant, self.lanes[*tenant].jobs[*at].job.cost).is_none()
        })
    }

    fn depth(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.jobs.len() as u64).sum()
    }
}

impl System for Usher {
    fn name(&mut self, tenant: usize, tier: usize) -> Result<bool, Reason> {
        if self.stopped && !self.lanes[tenant].named {
            *self.refused.entry(Reason::Closed).or_default() += 1;
            return Err(Reason::Closed);
        }
        self.lanes[tenant].tier = tier;
        let rate = self.quota(tenant).rate;
        let fresh = !std::mem::replace(&mut self.lanes[tenant].named, true);
        if fresh {
            self.lanes[tenant].used = Used::none(rate);
        } else {
            self.lanes[tenant].used.follow(rate, self.now);
        }
        Ok(fresh)
    }

    fn submit(&mut self, tenant: usize, job: Job) -> Result<(), Reason> {
        self.enqueue(tenant, job, true).map(drop)
    }

    fn submit_batch(&mut self, tenant: usize, jobs: &[Job]) -> (usize, Option<Reason>) {
        submit_each(self, tenant, jobs, Usher::refuse)
    }

    fn reserve(&mut self, tenant: usize, job: Job) -> Result<usize, Reason> {
        self.enqueue(tenant, job, false)
    }

    fn publish(&mut self, place: usize) {
        let tenant = self.places[place];
        let mut jobs = self.lanes[tenant].jobs.iter_mut();
        jobs.find(|job| job.place == place).expect("it was reserved").is_open = true;
        self.wake_one();
    }

    fn abandon(&mut self, place: usize) {
        let tenant = self.places[place];
        self.lanes[tenant].jobs.retain(|job| job.place != place);
        self.wake_one();
    }

    fn tick(&mut self, _worker: usize, now: u64, most: usize) -> (bool, Vec<Granted>) {
        let mut out = Vec::new();
        if now < self.seen && self.fault == Fault::ForgetsPast {
            self.lanes.iter_mut().for_each(|lane| lane.used.forget());
        }
        self.seen = self.seen.max(now);
        if self.stopped {
            return (false, out);
        }
        if self.fault != Fault::RunsExpired {
            self.expire();
        }
        while out.len() < most {
            let Some((tenant, at)) = self.next_grant() else { break };
            self.turn = tenant + 1;
            out.push(self.grant(tenant, at));
        }
        if self.next_grant().is_some() {
            self.wake_one();
        }
        (false, out)
    }

    fn end(&mut self, grant: usize, _ending: Ending) {
        let Running { tenant, counted, tier, engine, .. } = self.grants.take(grant);
        self.running -= 1;
        let fault = self.fault;
        if matches!(fault, Fault::LeaksSlot(every) if self.strikes(every)) {
            return;
        }
        self.lanes[tenant].out -= u32::from(counted);
        self.engine -= u32::from(engine);
        if let Some(out) = tier.and_then(|tier| self.tiers.get_mut(&tier)) {
            *out -= 1;
        }
        if self.fault != Fault::ForgetsWake {
            self.wake_one();
        }
    }

    fn lie_down(&mut self, worker: usize) {
        self.asleep[worker] = true;
    }

    fn look_again(&mut self, worker: usize, _stalled: bool, _until: u64) -> bool {
        let sleeps = self.next_grant().is_none() && !self.stopped;
        self.asleep[worker] &= sleeps;
        sleeps
    }

    fn next_moment(&self) -> u64 {
        // Looks at every moment while any may matter.
        let by_time = |(tenant, lane): (usize, &Lane)| {
            let is_limited = self.quota(tenant).rate.is_some() && !lane.jobs.is_empty();
            is_limited || lane.jobs.iter().any(|job| job.due > self.now)
        };
        if self.lanes.iter().enumerate().any(by_time) { self.now + 1 } else { u64::MAX }
    }

    fn expired(&mut self) -> Vec<Expired> {
        std::mem::take(&mut self.told)
    }

    fn explain(&self, tenant: usize) -> Standing {
        let lane = &self.lanes[tenant];
        match self.next(tenant) {
            _ if lane.jobs.is_empty() => Standing::Idle,
            None if lane.jobs.iter().any(|job| !job.is_open) => Standing::Ready,
            None => Standing::Waits(Reason::NotDue, None),
            Some(at) => match self.denial(tenant, lane.jobs[at].job.cost) {
                Some(reason) => Standing::Waits(reason, None),
                None => Standing::Ready,
            },
        }
    }

    fn is_woken(&self, worker: usize) -> bool {
        !self.asleep[worker]
    }

    fn get_up(&mut self, worker: usize) {
        self.asleep[worker] = false;
    }

    fn leave(&mut self, _worker: usize) {
        self.wake_one();
    }

    fn come(&mut self, _worker: usize) {}

    fn turn_clock(&mut self, to: u64) -> u64 {
        self.now = self.now.max(to);
        self.now
    }

    fn set_policy(&mut self, terms: &Terms) -> bool {
        let used = self.lanes.iter().all(|lane| !lane.named || lane.tier < terms.tiers.len());
        let taken = terms.queue_max == self.terms.queue_max && used;
        if taken {
            self.terms = terms.clone();
            self.follow();
            self.wake_one();
        }
        taken
    }

    fn figures(&mut self) -> Figures {
        let row = |tenant: usize| {
            let lane = &self.lanes[tenant];
            let due = self.terms.of(tenant, lane.tier);
            let depth = lane.jobs.len() as u64;
            let cost = self.next(tenant).map(|at| lane.jobs[at].job.cost);
            let less = u32::from(self.fault == Fault::WrongInFlight && lane.out > 1);
            Row {
                tenant,
                weight: due.weight,
                bound: due.bound,
                accepted: lane.row.dispatched + depth,
                depth,
                in_flight: self.counts(tenant).then(|| lane.out - less),
                waits_for: cost.and_then(|cost| self.denial(tenant, cost)),
                ..lane.row
            }
        };
        let named = (0..self.lanes.len()).filter(|tenant| self.lanes[*tenant].named);
        let rows: Vec<Row> = named.map(row).collect();
        let mut waiting = BTreeMap::new();
        let reasons = rows.iter().filter_map(|row| row.waits_for);
        reasons.for_each(|reason| *waiting.entry(reason).or_default() += 1);
        Figures {
            running: self.running,
            refused: self.refused.clone(),
            by_workers: self.granted,
            expired: self.expired,
            in_flight: self.engine,
            waiting,
            ..Figures::of(rows)
        }
    }

    fn drain(&mut self) -> Drained {
        self.stopped = true;
        let mut returned = Vec::new();
        let loses = self.fault == Fault::DrainLoses;
        for (tenant, lane) in self.lanes.iter_mut().enumerate() {
            let open = lane.jobs.iter().take_while(|job| job.is_open).count();
            for waiting in lane.jobs.drain(..open) {
                lane.row.dispatched += 1;
                lane.row.served_cost += u64::from(waiting.job.cost);
                if !(loses && waiting.due > self.now) {
                    returned.push((tenant, waiting.job.number));
                }
            }
        }
        let finished = self.granted.0 - self.running;
        Drained {
            finished,
            returned,
            running: self.running,
            expired: self.expired,
            unpublished: self.depth(),
        }
    }

    fn payloads(&self) -> u64 {
        self.depth() + self.running
    }
}
