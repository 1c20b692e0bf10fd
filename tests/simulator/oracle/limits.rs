//! Quotas, due moments, deadlines and the order inside a lane, for seeds that have them.
//!
//! A rate is known by two twins (`Used`): what the engine lets go, the one that has counted least must
//! allow; what the one that has counted most allows, the engine must let go. They differ for a while after
//! a swap, and where workers do not agree on the time: the engine takes a grant as of a moment between what
//! its worker read and the latest that any worker has read.

use super::lane::{Lane, Place, State};
use super::{Breach, Kind, Oracle, Verdict, breach};
use crate::quota::{Moment, Quota, Used};
use crate::systems::{Expired, Figures, Granted, Job, Standing, Wishes};
use crate::terms::Terms;
use fairlane::Reason;
use std::collections::BTreeMap;

/// Most picks that may pass the lowest band over that has jobs.
const PASSES_MAX: u32 = 15;
pub(super) const BANDS: usize = 4;

/// Where a job stands in its lane's order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Order {
    pub(super) band: usize,
    /// From when on it may go; 0 for at once.
    pub(super) due: u64,
    /// From when on it may not go any more; `u64::MAX` for never.
    pub(super) deadline: u64,
    /// Whether neither submitter nor policy has said anything.
    pub(super) is_plain: bool,
}

impl Order {
    /// Of the policy's default bands.
    fn of(wishes: &Wishes, max_wait: Option<u64>, now: u64) -> Order {
        let priority = wishes.priority.unwrap_or(0);
        let band = [8_000, 6_000, 3_000].iter().filter(|first| priority < **first).count();
        let delayed = wishes.delay.map_or(0, |time| now + time);
        let due = wishes.not_before.unwrap_or(0).max(delayed);
        let due = if due <= now { 0 } else { due };
        let waits = [wishes.max_wait, max_wait].into_iter().flatten().min();
        let latest = waits.map_or(u64::MAX, |time| now.max(due).saturating_add(time));
        let deadline = latest.min(wishes.deadline.unwrap_or(u64::MAX));
        let is_plain = wishes.are_none() && max_wait.is_none();
        Order { band, due, deadline, is_plain }
    }
}

/// What a grant counts in.
#[derive(Clone, Copy, Default, Debug)]
struct Holds {
    tenant: bool,
    tier: Option<usize>,
    engine: bool,
}

#[derive(Clone, Default, Debug)]
struct Limited {
    used: Used,
    /// Grants in flight that count.
    out: u32,
    /// Picks since each band's last one, or since it had no job.
    passed: [u32; BANDS],
    /// Whether a policy has ever made a waiting job too wide: it stands aside once its turn has come, so that
    /// picks are not counted exactly any more.
    was_too_wide: bool,
    /// A producer that has reserved a place while the lane may have been idle: until it finishes, nobody
    /// else can bring the lane back.
    blocked_by: Option<u64>,
    /// Until when what has expired meanwhile may be left after such a producer has finished.
    late_until: u64,
}

/// When the engine looks after a lane again that somebody else held when its moment came.
const SOON_NS: u64 = 1_000_000;

/// What is known of limits.
pub(super) struct Limits {
    lanes: Vec<Limited>,
    tiers: BTreeMap<usize, u32>,
    engine: u32,
    held: BTreeMap<u64, Holds>,
    /// Whether all workers see the same moment at one time.
    clocks_agree: bool,
    expired: u64,
}

impl Limits {
    pub(super) fn new(terms: &Terms, tenants: usize, clocks_agree: bool) -> Limits {
        let lane = |tenant| Limited {
            used: Used::none(terms.quota(tenant, 0).rate),
            ..Limited::default()
        };
        Limits {
            lanes: (0..tenants).map(lane).collect(),
            tiers: BTreeMap::new(),
            engine: 0,
            held: BTreeMap::new(),
            clocks_agree,
            expired: 0,
        }
    }

    pub(super) fn expired(&self) -> u64 {
        self.expired
    }

    /// A tenant has a new handle and no past.
    pub(super) fn begin(&mut self, tenant: usize, quota: &Quota) {
        self.lanes[tenant] = Limited { used: Used::none(quota.rate), ..Limited::default() };
    }

    pub(super) fn follow(&mut self, tenant: usize, quota: &Quota, now: u64) {
        self.lanes[tenant].used.follow(quota.rate, now);
    }

    pub(super) fn blocks(&mut self, tenant: usize, number: u64) {
        self.lanes[tenant].blocked_by.get_or_insert(number);
    }

    pub(super) fn finished(&mut self, tenant: usize, number: u64, now: u64) {
        let lane = &mut self.lanes[tenant];
        if lane.blocked_by == Some(number) {
            lane.blocked_by = None;
            lane.late_until = now + SOON_NS;
        }
    }

    pub(super) fn ended(&mut self, tenant: usize, number: u64) {
        let holds = self.held.remove(&number).unwrap_or_default();
        self.lanes[tenant].out -= u32::from(holds.tenant);
        self.engine -= u32::from(holds.engine);
        if let Some(out) = holds.tier.and_then(|tier| self.tiers.get_mut(&tier)) {
            *out -= 1;
        }
    }
}

/// Published places that no unfinished producer stands before.
fn visible(lane: &Lane) -> impl Iterator<Item = &Place> + Clone {
    lane.places.iter().take_while(|place| place.state != State::Reserved)
}

/// Of those, what may go at `now`.
fn ready(lane: &Lane, now: u64) -> impl Iterator<Item = &Place> + Clone {
    visible(lane).filter(move |place| is_ready(place, now))
}

fn is_ready(place: &Place, now: u64) -> bool {
    place.order.due <= now && place.order.deadline > now
}

impl Oracle {
    fn limits(&self) -> &Limits {
        self.limits.as_ref().expect("a run with limits")
    }

    /// When the present look is, as the engine takes it.
    fn moment(&self) -> Moment {
        Moment { from: self.looked_at, to: self.latest }
    }

    fn quota_of(&self, tenant: usize) -> Quota {
        self.terms.quota(tenant, self.lanes[tenant].tier)
    }

    pub(super) fn order_of(&self, tenant: usize, job: &Job) -> Order {
        Order::of(&job.wishes, self.quota_of(tenant).max_wait, self.now)
    }

    /// Whether a job's cost is more than its tenant's rate ever lets go.
    pub(super) fn is_too_wide(&self, tenant: usize, cost: u32) -> bool {
        let rate = self.quota_of(tenant).rate.filter(|rate| rate.by_cost);
        rate.is_some_and(|rate| u64::from(cost) > rate.widest())
    }

    /// Notes whether the terms that hold from now on make a waiting job of the tenant too wide. Terms that come
    /// soon after may not, and yet a look in between have set it aside.
    pub(super) fn note_wide(&mut self, tenant: usize) {
        let mut places = self.lanes[tenant].places.iter();
        let has_wide = places.any(|place| self.is_too_wide(tenant, place.cost));
        self.limits.as_mut().expect("a run with limits").lanes[tenant].was_too_wide |= has_wide;
    }

    /// Whether a new place of an unfinished producer may have found the lane idle: what is there waits for its
    /// time, or stands aside for terms that let it go.
    pub(super) fn may_be_idle(&self, tenant: usize) -> bool {
        let is_aside = |place: &Place| place.order.due != 0 || self.is_too_wide(tenant, place.cost);
        visible(&self.lanes[tenant]).all(is_aside)
    }

    /// The bounds on a tenant's grants, with what counts towards each.
    fn caps(&self, tenant: usize) -> [(Reason, u32, Option<u32>); 3] {
        let (limits, quota) = (self.limits(), self.quota_of(tenant));
        let tier_out = limits.tiers.get(&self.lanes[tenant].tier).copied().unwrap_or(0);
        [
            (Reason::Concurrency, limits.lanes[tenant].out, quota.cap),
            (Reason::TierConcurrency, tier_out, quota.tier_cap),
            (Reason::EngineConcurrency, limits.engine, self.terms.capacity),
        ]
    }

    fn is_counted(&self, tenant: usize) -> bool {
        let quota = Quota { max_wait: None, ..self.quota_of(tenant) };
        !quota.is_none() || self.terms.capacity.is_some()
    }

    /// A grant keeps to the order of its lane and to every quota.
    pub(super) fn check_limits(&mut self, granted: &Granted) -> Verdict {
        let place = self.check_place(granted)?;
        self.check_band(granted.tenant, &place)?;
        self.check_quotas(granted)?;
        self.take_quotas(granted);
        Ok(())
    }

    fn check_place(&self, granted: &Granted) -> Result<Place, Breach> {
        let lane = &self.lanes[granted.tenant];
        let found = visible(lane).find(|place| place.number == granted.job.number);
        let Some(place) = found else {
            let text = format!("{granted:?} came past an unfinished producer");
            return Err(Breach::new(Kind::Order, text));
        };
        let (now, looked_at) = (self.now, self.looked_at);
        if place.order.due > now || place.order.deadline <= looked_at {
            let text = format!("{place:?} was granted at {now}, in a look at {looked_at}");
            return Err(Breach::new(Kind::Deadline, text));
        }
        Ok(*place)
    }

    /// Whether `first` is to go before `other`, which is in the same band and came later.
    fn precedes(&self, first: &Place, other: &Place) -> bool {
        if !self.limits().clocks_agree {
            return first.order.due == 0;
        }
        first.order.due.max(first.at) <= other.order.due.max(other.at)
    }

    fn check_band(&mut self, tenant: usize, place: &Place) -> Verdict {
        self.note_wide(tenant);
        let lane = &self.lanes[tenant];
        let band = place.order.band;
        let looked_at = self.looked_at;
        let may_go = |it: &&Place| is_ready(it, looked_at) && !self.is_too_wide(tenant, it.cost);
        let before = visible(lane).take_while(|other| other.number != place.number);
        let mut before = before.filter(may_go);
        let overtaken =
            before.find(|first| first.order.band == band && self.precedes(first, place));
        drop(before);
        if let Some(first) = overtaken {
            return breach(Kind::Order, format!("{place:?} went before {first:?}"));
        }
        let limited = &self.limits().lanes[tenant];
        let exact = self.limits().clocks_agree && !limited.was_too_wide;
        let urgent = visible(lane).filter(may_go).find(|other| other.order.band < band);
        let passed = limited.passed[band];
        if let (Some(urgent), true) = (urgent, exact && passed < PASSES_MAX) {
            let text = format!("{place:?} went before {urgent:?}, passed over {passed} times");
            return breach(Kind::Order, text);
        }
        self.count_pick(tenant, place, exact)
    }

    /// Counts a pick for the bands it has passed over.
    fn count_pick(&mut self, tenant: usize, place: &Place, exact: bool) -> Verdict {
        let mut waits = [false; BANDS];
        let lane = &self.lanes[tenant];
        let others = ready(lane, self.looked_at).filter(|other| other.number != place.number);
        others.for_each(|other| waits[other.order.band] = true);
        let limits = self.limits.as_mut().expect("a run with limits");
        let passed = &mut limits.lanes[tenant].passed;
        for band in 0..BANDS {
            passed[band] =
                if waits[band] && band != place.order.band { passed[band] + 1 } else { 0 };
        }
        let lowest = (0..BANDS).rev().find(|band| waits[*band]);
        let most = |band| if band == BANDS - 1 { PASSES_MAX } else { PASSES_MAX + 2 };
        match lowest {
            Some(band) if exact && passed[band] > most(band) => {
                let text = format!("band {band} of tenant {tenant} passed over {}", passed[band]);
                breach(Kind::Order, text)
            }
            _ => Ok(()),
        }
    }

    fn check_quotas(&self, granted: &Granted) -> Verdict {
        let Granted { tenant, job, .. } = *granted;
        for (reason, out, cap) in self.caps(tenant) {
            if cap.is_some_and(|cap| out >= cap) {
                let text =
                    format!("tenant {tenant} was granted a job at {reason} {out} of {cap:?}");
                return breach(Kind::Quota, text);
            }
        }
        let (used, moment) = (&self.limits().lanes[tenant].used, self.moment());
        if !used.may_admit(job.cost, moment) {
            let text = format!("{granted:?} exceeds the rate at {moment:?}: {used:?}");
            return breach(Kind::Quota, text);
        }
        Ok(())
    }

    fn take_quotas(&mut self, granted: &Granted) {
        let Granted { tenant, job, .. } = *granted;
        let (counted, quota) = (self.is_counted(tenant), self.quota_of(tenant));
        let tier = quota.tier_cap.map(|_| self.lanes[tenant].tier);
        let engine = self.terms.capacity.is_some();
        let moment = self.moment();
        let limits = self.limits.as_mut().expect("a run with limits");
        limits.lanes[tenant].used.charge(job.cost, moment);
        limits.lanes[tenant].out += u32::from(counted);
        limits.engine += u32::from(engine);
        tier.into_iter().for_each(|tier| *limits.tiers.entry(tier).or_default() += 1);
        limits.held.insert(job.number, Holds { tenant: counted, tier, engine });
    }

    /// A job has expired: it was there, its moment has come, and it is told of once.
    pub(crate) fn expired(&mut self, expired: &Expired) -> Verdict {
        let Expired { tenant, number, cost } = *expired;
        let known = self.jobs.get(number as usize).copied();
        let waits = known.filter(|known| {
            known.fate == super::Fate::Waiting
                && (known.tenant as usize, known.cost) == (tenant, cost)
        });
        if waits.is_none() {
            return breach(Kind::Expiry, format!("{expired:?} was told, known is {known:?}"));
        }
        let lane = &mut self.lanes[tenant];
        let at = lane.places.iter().position(|place| place.number == number);
        let at = at.expect("a waiting job has a place");
        let place = lane.places[at];
        if place.order.deadline > self.now || place.state != State::Ready {
            return breach(Kind::Expiry, format!("{place:?} expired at {}", self.now));
        }
        lane.places.remove(at);
        lane.dispatched += 1;
        lane.expired += 1;
        self.waiting -= 1;
        self.jobs[number as usize].fate = super::Fate::Expired;
        let band = place.order.band;
        let is_left =
            ready(&self.lanes[tenant], self.looked_at).any(|place| place.order.band == band);
        let limits = self.limits.as_mut().expect("a run with limits");
        limits.expired += 1;
        if !is_left {
            limits.lanes[tenant].passed[band] = 0;
        }
        Ok(())
    }

    /// After a look nothing is left that should have expired by then.
    pub(super) fn check_expiry(&self) -> Verdict {
        for (tenant, lane) in self.lanes.iter().enumerate() {
            let limited = &self.limits().lanes[tenant];
            let blocked = limited.blocked_by.is_some() || self.looked_at < limited.late_until;
            let late = visible(lane)
                .find(|place| place.order.deadline <= self.looked_at && !place.is_hidden);
            if let (Some(late), false) = (late, blocked) {
                let text = format!("{late:?} of tenant {tenant} is left at {}", self.looked_at);
                return breach(Kind::Expiry, text);
            }
        }
        Ok(())
    }

    /// Lanes that must be granted a job by who looks at `now`.
    pub(super) fn owed(&self, now: u64) -> impl Iterator<Item = usize> + '_ {
        (0..self.lanes.len()).filter(move |tenant| self.is_owed(*tenant, now))
    }

    /// A lane that is owed a grant now, in words.
    pub(super) fn owed_text(&self) -> Option<String> {
        let limits = self.limits.as_ref()?;
        let tenant = self.owed(self.now).next()?;
        let (lane, limited) = (&self.lanes[tenant], &limits.lanes[tenant]);
        Some(format!("lane {tenant} may go at {}: {:?}, {limited:?}", self.now, lane.places))
    }

    fn is_owed(&self, tenant: usize, now: u64) -> bool {
        let limited = &self.limits().lanes[tenant];
        if limited.blocked_by.is_some() {
            return false;
        }
        // Which job is next is not asked here: all of them may go.
        let dearest = ready(&self.lanes[tenant], now).map(|place| place.cost).max();
        let Some(dearest) = dearest else { return false };
        let has_room =
            self.caps(tenant).iter().all(|(_, out, cap)| cap.is_none_or(|cap| *out < cap));
        let earlier = now.saturating_sub(self.terms.jitter_ns);
        has_room && limited.used.must_admit(dearest, earlier)
    }

    /// What a lane is said to wait for binds. After a look that has left no lane unseen.
    pub(crate) fn check_standing(&self, tenant: usize, said: Standing) -> Verdict {
        let lane = &self.lanes[tenant];
        let is_right = match said {
            Standing::Idle => lane.places.is_empty(),
            Standing::Ready => lane.places.iter().any(|place| place.state == State::Reserved),
            Standing::Waits(Reason::NotDue, until) => {
                // Jobs that are too wide stand aside.
                ready(lane, self.looked_at).all(|place| self.is_too_wide(tenant, place.cost))
                    && until.is_none_or(|at| visible(lane).any(|place| place.order.due == at))
            }
            Standing::Waits(reason, until) => {
                self.binds(tenant, reason) && until.is_none_or(|at| at > self.looked_at)
            }
        };
        if is_right {
            return Ok(());
        }
        let text = format!(
            "tenant {tenant} {said:?} at {}, known: {:?}, {:?}, {:?}",
            self.looked_at,
            self.caps(tenant),
            self.limits().lanes[tenant],
            visible(lane).collect::<Vec<_>>()
        );
        breach(Kind::Reason, text)
    }

    /// Whether a limit keeps the lane's next job from going.
    fn binds(&self, tenant: usize, reason: Reason) -> bool {
        let caps = self.caps(tenant);
        // A job that is being published counts: what is refused to a job of cost 1 is refused to all.
        let dearest = self.lanes[tenant].places.iter().map(|place| place.cost).max();
        let Some(dearest) = dearest else { return false };
        match reason {
            Reason::Rate => {
                let earlier = self.looked_at.saturating_sub(self.terms.jitter_ns);
                !self.limits().lanes[tenant].used.must_admit(dearest, earlier)
            }
            Reason::TooWide => self.is_too_wide(tenant, dearest),
            Reason::Paused => caps.iter().any(|(_, _, cap)| *cap == Some(0)),
            _ => caps.iter().any(|(own, out, cap)| {
                *own == reason && cap.is_some_and(|cap| *out >= cap && cap > 0)
            }),
        }
    }

    /// After such a look the figures on limits are exact.
    pub(crate) fn check_waits(&self, seen: &Figures) -> Verdict {
        let mut waiting: BTreeMap<Reason, u64> = BTreeMap::new();
        for row in &seen.rows {
            if let Some(reason) = row.waits_for {
                *waiting.entry(reason).or_default() += 1;
                self.check_standing(row.tenant, Standing::Waits(reason, None))?;
            }
            let out = self.is_counted(row.tenant).then(|| self.limits().lanes[row.tenant].out);
            if row.in_flight != out {
                let text = format!("{row:?}: grants in flight, expected {out:?}");
                return breach(Kind::Books, text);
            }
        }
        if (&seen.waiting, seen.in_flight) != (&waiting, self.limits().engine) {
            let text = format!(
                "lanes wait {:?} and {} grants are out, expected {waiting:?} and {}",
                seen.waiting,
                seen.in_flight,
                self.limits().engine
            );
            return breach(Kind::Books, text);
        }
        Ok(())
    }
}
