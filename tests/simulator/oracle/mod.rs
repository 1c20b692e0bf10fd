//! What must hold in every run, whatever the seed: see the README beside the simulator.

mod books;
mod bound;
mod doors;
mod lane;
mod limits;

use crate::systems::{Ending, Granted};
use crate::terms::Terms;
use bound::{Pairs, is_above, turns_of_wait};
use lane::{Lane, Place, State, Unsettled};
use limits::Limits;
use std::collections::BTreeMap;
use std::fmt;

/// What was broken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Kind {
    /// A job is lost, doubled or changed.
    Conservation,
    /// A job overtook another one of its lane.
    Order,
    /// A queue holds more than it may, or a job was refused without need.
    Door,
    /// Two lanes drifted apart.
    Bound,
    /// A lane waited for more than the others' turns.
    Wait,
    /// A lane that had just become backlogged was not served next.
    Fresh,
    /// A worker found nothing while a job could be had.
    Work,
    /// A worker sleeps beside a job and nobody is about to wake it.
    Wake,
    /// A snapshot says something else than what happened.
    Books,
    /// A policy was taken over or refused wrongly.
    Policy,
    /// Payloads or blocks are left over.
    Memory,
    Clock,
    /// More was granted than a quota allows.
    Quota,
    /// A job was granted before it was due, or at or after its deadline.
    Deadline,
    /// An expired job was not told of, or wrongly, or not once.
    Expiry,
    /// A lane is said to wait for what does not keep it.
    Reason,
    /// The engine panicked.
    Panic,
}

#[derive(Clone, Debug)]
pub(crate) struct Breach {
    pub(crate) kind: Kind,
    text: String,
}

impl Breach {
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Breach {
        Breach { kind, text: text.into() }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.text)
    }
}

pub(crate) type Verdict = Result<(), Breach>;

fn breach(kind: Kind, text: impl Into<String>) -> Verdict {
    Err(Breach::new(kind, text))
}

/// Where a job is. Every job is in exactly one of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    Refused,
    /// In a lane, published or not.
    Waiting,
    Abandoned,
    Running,
    Done,
    Panicked,
    Returned,
    Expired,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    tenant: u32,
    cost: u32,
    fate: Fate,
}

pub(crate) struct Oracle {
    terms: Terms,
    lanes: Vec<Lane>,
    /// By job number.
    jobs: Vec<Known>,
    pairs: Pairs,
    /// Lanes that are ready.
    eligible: usize,
    /// Places of all lanes that hold or may come to hold a job.
    waiting: usize,
    /// Cost granted so far.
    total: f64,
    /// Quanta of all tenants ever named, and the most slack each has had.
    quanta: f64,
    slack: f64,
    counted_slack: Vec<f64>,
    /// Looks for work so far.
    looks: u64,
    /// Lanes whose first job ever waits, with the look before it came.
    fresh: BTreeMap<usize, u64>,
    /// Whether a swap may have left a round with halvings that belong to another policy.
    swapped: bool,
    stopped: bool,
    granted: u64,
    granted_cost: u64,
    ended: u64,
    returned: u64,
    returned_cost: u64,
    refused: BTreeMap<fairlane::Reason, u64>,
    retired: u64,
    /// In seeds with limits or job options: then nothing is said about fairness between lanes.
    limits: Option<Limits>,
    /// The clock, the moment of the present look, and the latest moment of any look: workers read the clock late.
    now: u64,
    looked_at: u64,
    latest: u64,
}

impl Oracle {
    pub(crate) fn new(terms: &Terms, tenants: usize) -> Oracle {
        Oracle {
            terms: terms.clone(),
            lanes: (0..tenants).map(|tenant| Lane::new(terms.of(tenant, 0))).collect(),
            jobs: Vec::new(),
            pairs: Pairs::new(tenants),
            eligible: 0,
            waiting: 0,
            total: 0.0,
            quanta: 0.0,
            slack: 0.0,
            counted_slack: vec![0.0; tenants],
            looks: 0,
            fresh: BTreeMap::new(),
            swapped: false,
            stopped: false,
            granted: 0,
            granted_cost: 0,
            ended: 0,
            returned: 0,
            returned_cost: 0,
            refused: BTreeMap::new(),
            retired: 0,
            limits: None,
            now: 0,
            looked_at: 0,
            latest: 0,
        }
    }

    /// The same for a run with limits; whether its workers agree on the time.
    pub(crate) fn limited(terms: &Terms, tenants: usize, clocks_agree: bool) -> Oracle {
        let limits = Some(Limits::new(terms, tenants, clocks_agree));
        Oracle { limits, ..Oracle::new(terms, tenants) }
    }

    /// The clock shows `now`.
    pub(crate) fn at(&mut self, now: u64) {
        self.now = now;
    }

    /// The largest difference of two lanes, as a part of what is allowed.
    pub(crate) fn worst(&self) -> f64 {
        self.pairs.worst
    }

    /// Lanes that must be granted a job by whoever looks.
    pub(crate) fn eligible(&self) -> usize {
        if self.limits.is_some() { self.owed(self.now).count() } else { self.eligible }
    }

    /// Jobs that wait, published or not.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Brings a lane's state up to date after its places have changed.
    fn refresh(&mut self, tenant: usize) {
        let lane = &mut self.lanes[tenant];
        if self.limits.is_some() {
            return lane.drop_abandoned();
        }
        lane.pass_abandoned();
        let ready = lane.front().is_some_and(|place| place.state == State::Ready);
        if ready && !lane.ready {
            self.eligible += 1;
            lane.begin(self.total);
            self.pairs.begin(tenant);
            self.count_slack(tenant);
        } else if !ready && self.lanes[tenant].ready {
            self.eligible -= 1;
        }
        self.lanes[tenant].ready = ready;
        if !ready {
            self.fresh.remove(&tenant);
        }
    }

    fn count_slack(&mut self, tenant: usize) {
        let more = self.lanes[tenant].slack - self.counted_slack[tenant];
        if more > 0.0 {
            self.counted_slack[tenant] += more;
            self.slack += more;
        }
    }

    /// A look for work begins.
    pub(crate) fn look(&mut self, at: u64) {
        self.looks += 1;
        self.looked_at = at;
        self.latest = self.latest.max(at);
    }

    /// The latest moment that a worker has shown the engine.
    pub(crate) fn latest(&self) -> u64 {
        self.latest
    }

    /// A look for up to `most` jobs has found `found`.
    pub(crate) fn looked(&self, worker: usize, most: usize, found: usize) -> Verdict {
        if found > most {
            return breach(Kind::Work, format!("{found} jobs granted, {most} asked for"));
        }
        if self.limits.is_some() && !self.stopped {
            return self.looked_at_limits(worker, most, found);
        }
        if found < most && self.eligible > 0 && !self.stopped {
            let ready: Vec<usize> =
                (0..self.lanes.len()).filter(|lane| self.lanes[*lane].ready).take(5).collect();
            let text = format!(
                "worker {worker} found {found} of {most} while {} lanes are ready: {ready:?} ...",
                self.eligible
            );
            return breach(Kind::Work, text);
        }
        Ok(())
    }

    fn looked_at_limits(&self, worker: usize, most: usize, found: usize) -> Verdict {
        self.check_expiry()?;
        let owed: Vec<usize> =
            if found < most { self.owed(self.looked_at).take(5).collect() } else { Vec::new() };
        if owed.is_empty() {
            return Ok(());
        }
        let text = format!("worker {worker} found {found} of {most}, and lanes {owed:?} may go");
        breach(Kind::Work, text)
    }

    /// A worker was granted a job.
    pub(crate) fn granted(&mut self, granted: &Granted) -> Verdict {
        let Granted { tenant, job, .. } = *granted;
        self.check_grant(granted)?;
        if self.limits.is_some() {
            self.check_limits(granted)?;
        } else {
            self.check_turn(tenant)?;
        }
        let lane = &mut self.lanes[tenant];
        if self.limits.is_none() {
            lane.unpassed = 0;
        }
        lane.grant(job.cost);
        lane.served_first.get_or_insert(self.looks);
        lane.waits_since = self.total + f64::from(job.cost);
        self.total += f64::from(job.cost);
        self.granted += 1;
        self.granted_cost += u64::from(job.cost);
        self.waiting -= 1;
        self.jobs[job.number as usize].fate = Fate::Running;
        self.fresh.remove(&tenant);
        if self.limits.is_some() {
            self.lanes[tenant].places.retain(|place| place.number != job.number);
            return Ok(());
        }
        let (cost, base) = (f64::from(job.cost), f64::from(self.terms.base));
        self.pairs.charge(tenant, cost, &self.lanes, base)?;
        self.pairs.grant(tenant, &self.lanes)?;
        self.lanes[tenant].places.pop_front();
        self.refresh(tenant);
        Ok(())
    }

    /// The job is the one that is next in its lane.
    fn check_grant(&self, granted: &Granted) -> Verdict {
        let Granted { tenant, job, .. } = *granted;
        let known = self.jobs.get(job.number as usize);
        let expected = known.filter(|known| known.fate == Fate::Waiting);
        let same = |known: &Known| (known.tenant as usize, known.cost) == (tenant, job.cost);
        if !expected.is_some_and(same) {
            let text = format!("{granted:?} was granted, and known is {known:?}");
            return breach(Kind::Conservation, text);
        }
        match self.lanes[tenant].front() {
            _ if self.limits.is_some() => Ok(()),
            Some(place) if place.number == job.number && place.state == State::Ready => Ok(()),
            front => breach(Kind::Order, format!("{granted:?} came, next is {front:?}")),
        }
    }

    /// The lane did not wait too long for its grant, and is not served before a fresh one.
    fn check_turn(&self, tenant: usize) -> Verdict {
        let lane = &self.lanes[tenant];
        let waited = self.total - lane.waits_since;
        let most = turns_of_wait(lane) * self.quanta + self.slack;
        if is_above(waited, most) {
            let text = format!(
                "lane {tenant} waited while {waited:.0} was granted to others, at most {most:.0}"
            );
            return breach(Kind::Wait, text);
        }
        let Some(served) = lane.served_first else { return Ok(()) };
        // Served in an earlier look, and before the fresh lane came.
        let later = |came: &u64| served < self.looks && served <= *came;
        match self.fresh.iter().find(|(_, came)| later(came)) {
            Some((fresh, _)) => breach(
                Kind::Fresh,
                format!("lane {tenant} was served before the fresh lane {fresh}"),
            ),
            None => Ok(()),
        }
    }

    /// A grant has ended.
    pub(crate) fn ended(&mut self, granted: &Granted, ending: Ending) -> Verdict {
        let known = &mut self.jobs[granted.job.number as usize];
        known.fate = if ending == Ending::Panicked { Fate::Panicked } else { Fate::Done };
        self.ended += 1;
        self.lanes[granted.tenant].running -= 1;
        if let Some(limits) = &mut self.limits {
            limits.ended(granted.tenant, granted.job.number);
            return Ok(());
        }
        let Ending::Settled(actual) = ending else { return Ok(()) };
        let back = f64::from(granted.job.cost) - f64::from(actual);
        self.lanes[granted.tenant].book(back);
        self.count_slack(granted.tenant);
        let base = f64::from(self.terms.base);
        self.pairs.charge(granted.tenant, -back, &self.lanes, base)
    }

    /// Some worker parks without a deadline although a job could be had, and nobody looks.
    pub(crate) fn rested(&self, sleeps: bool, looks: bool) -> Verdict {
        if let Some(text) = self.owed_text() {
            let text = format!("a worker sleeps, no wake is pending: {text}");
            return if sleeps && !looks && !self.stopped {
                breach(Kind::Wake, text)
            } else {
                Ok(())
            };
        }
        if self.eligible() > 0 && sleeps && !looks && !self.stopped {
            let text =
                format!("{} lanes are ready, a worker sleeps, no wake is pending", self.eligible());
            return breach(Kind::Wake, text);
        }
        Ok(())
    }

    /// A policy was offered and taken over or not.
    pub(crate) fn policy(&mut self, terms: &Terms, taken: bool) -> Verdict {
        let used = self.lanes.iter().filter(|lane| lane.named).map(|lane| lane.tier).max();
        let fits = terms.queue_max == self.terms.queue_max
            && used.is_none_or(|tier| tier < terms.tiers.len());
        if taken != fits {
            let text = format!("taken over: {taken}, and it fits: {fits}");
            return breach(Kind::Policy, text);
        }
        if taken {
            self.terms = terms.clone();
            self.swapped = true;
            self.fresh.clear();
            for tenant in 0..self.lanes.len() {
                // Whoever is not known may have been in a tier that is gone.
                self.move_to(tenant, self.lanes[tenant].tier.min(terms.tiers.len() - 1));
            }
        }
        Ok(())
    }

    /// Other terms hold for the tenant from now on: intervals begin anew, and what is left of a
    /// turn under the old ones may still be spent.
    fn move_to(&mut self, tenant: usize, tier: usize) {
        let due = self.terms.of(tenant, tier);
        self.lanes[tenant].tier = tier;
        if let Some(limits) = &mut self.limits {
            limits.follow(tenant, &self.terms.quota(tenant, tier), self.now);
            self.note_wide(tenant);
        }
        let lane = &mut self.lanes[tenant];
        let before = std::mem::replace(&mut lane.due, due);
        if lane.named {
            self.quanta += (due.quantum - before.quantum).max(0.0);
        }
        if lane.ready {
            lane.begin(self.total);
            lane.book(before.quantum);
            self.pairs.begin(tenant);
        }
        self.pairs.forget(tenant);
        self.fresh.remove(&tenant);
        self.count_slack(tenant);
    }

    /// A new place at the end of a lane.
    fn push(&mut self, tenant: usize, place: Place) {
        self.waiting += 1;
        let lane = &mut self.lanes[tenant];
        lane.accepted += 1;
        lane.places.push_back(place);
        lane.widen(place.cost);
        self.count_slack(tenant);
        self.refresh(tenant);
        self.note_fresh(tenant, place);
    }

    /// A tenant's first job ever, one that a single turn pays for: the lane cannot have had its
    /// turn, so it must be served next.
    fn note_fresh(&mut self, tenant: usize, place: Place) {
        if self.limits.is_some() {
            return;
        }
        let lane = &self.lanes[tenant];
        let covered = lane.due.quantum >= self.terms.smallest_quantum().max(1.0);
        let first = lane.accepted == 1 && place.state == State::Ready;
        if first && place.cost == 1 && covered && !self.swapped && !self.stopped {
            self.fresh.insert(tenant, self.looks);
        }
    }
}
