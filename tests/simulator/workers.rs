//! What workers do: look for work, run handlers, sleep in steps, die.

use crate::oracle::Verdict;
use crate::systems::{Ending, Granted};
use crate::world::World;

/// A worker and what it is doing.
#[derive(Default, Debug)]
pub(crate) struct Place {
    pub(crate) doing: Doing,
    /// Granted and not ended, in order; the first is in its handler.
    pub(crate) grants: Vec<Granted>,
    /// The latest moment of its looks.
    looked_at: u64,
    /// Looks in a row that found unfinished producers only.
    stalls: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum Doing {
    /// About to look for work.
    #[default]
    Awake,
    /// In a handler until this moment.
    Busy(u64),
    /// In a handler that does not return.
    Stuck,
    /// Has announced that it sleeps; the look after that comes next.
    LyingDown { stalled: bool, until: u64 },
    /// Parked until this moment at most; `stalled` when only unfinished producers were left.
    Asleep { stalled: bool, until: u64 },
    /// Its thread has ended.
    Gone,
}

/// The longest sleep over unfinished producers, in nanoseconds (design decision 15).
const STALL_SLEEP_MAX: u64 = 1_000_000;
const STALL_SLEEP_MIN: u64 = 50_000;
/// Looks over unfinished producers before the first such sleep.
const STALL_YIELDS: u32 = 16;

impl World<'_> {
    /// A worker's step.
    pub(crate) fn work(&mut self, worker: usize) -> Verdict {
        let dies = self.chance.per_mille(self.mix.faults.death);
        match self.workers[worker].doing {
            Doing::Gone => {
                self.come_back(worker);
                Ok(())
            }
            Doing::Stuck => Ok(()),
            Doing::Awake if dies => self.die(worker),
            Doing::Busy(_) if dies => self.die(worker),
            Doing::Awake => {
                let most = self.chance.scaled(1..=self.mix.most) as usize;
                self.look_for_work(worker, most)
            }
            Doing::Busy(until) if until <= self.now => self.end_first(worker),
            Doing::Busy(_) => Ok(()),
            Doing::LyingDown { stalled, until } => {
                self.look_again(worker, stalled, until);
                Ok(())
            }
            Doing::Asleep { until, .. } => {
                self.sleep_on(worker, until);
                Ok(())
            }
        }
    }

    pub(crate) fn look_for_work(&mut self, worker: usize, most: usize) -> Verdict {
        let now = self.read_clock(worker);
        self.oracle.look(now);
        let (stalled, granted) = self.system.tick(worker, now, most);
        self.trace.note("look", worker as u64, (granted.len() as u64) << 1 | u64::from(stalled));
        self.note_expired()?;
        for one in &granted {
            self.trace.note("granted", one.tenant as u64, one.job.number);
            self.oracle.granted(one)?;
        }
        self.oracle.looked(worker, most, granted.len())?;
        if granted.len() < most && self.mix.habits.is_some() {
            self.check_waits()?;
        }
        self.tally.add("granted", granted.len() as u64);
        if granted.is_empty() {
            self.find_nothing(worker, stalled);
            return Ok(());
        }
        self.workers[worker].stalls = 0;
        for one in granted {
            if self.chance.per_mille(self.mix.faults.loose) {
                self.tally.add("loose", 1);
                self.loose.push(one);
            } else {
                self.workers[worker].grants.push(one);
            }
        }
        self.begin_first(worker);
        Ok(())
    }

    fn note_expired(&mut self) -> Verdict {
        for expired in self.system.expired() {
            self.tally.add("expired", 1);
            self.trace.note("expired", expired.tenant as u64, expired.number);
            self.oracle.expired(&expired)?;
        }
        Ok(())
    }

    /// Nothing is left to be looked at: what lanes wait for is known.
    fn check_waits(&mut self) -> Verdict {
        if self.drained || !self.chance.per_mille(100) {
            return Ok(());
        }
        let figures = self.system.figures();
        figures.waiting.iter().for_each(|(reason, lanes)| self.tally.add(reason.code(), *lanes));
        self.oracle.check_waits(&figures)?;
        let tenant = self.chance.index(self.clients.len());
        // A handle may have gone stale, which its client learns when it submits.
        if self.clients[tenant].named && figures.rows.iter().any(|row| row.tenant == tenant) {
            let standing = self.system.explain(tenant);
            self.oracle.check_standing(tenant, standing)?;
        }
        Ok(())
    }

    /// The worker's clock may be read late, and now and then goes back, as clocks do that somebody sets.
    fn read_clock(&mut self, worker: usize) -> u64 {
        let late = self.mix.faults.skew_steps * self.mix.step_ns;
        let read = self.now - self.chance.below(late + 1).min(self.now);
        let place = &mut self.workers[worker];
        place.looked_at = place.looked_at.max(read);
        let mut looked_at = place.looked_at;
        if self.chance.per_mille(self.mix.faults.regress) {
            looked_at -= self.chance.scaled(1..=looked_at.max(1)).min(looked_at);
        }
        let has_rates = self.mix.habits.is_some_and(|habits| habits.rates);
        let is_behind = looked_at < self.oracle.latest();
        self.tally.add("looks behind", u64::from(is_behind));
        self.tally.add("looks behind under rates", u64::from(is_behind && has_rates));
        looked_at
    }

    fn find_nothing(&mut self, worker: usize, stalled: bool) {
        let place = &mut self.workers[worker];
        place.stalls = if stalled { place.stalls + 1 } else { 0 };
        if !self.drained && (!stalled || place.stalls > STALL_YIELDS) {
            let until = self.system.next_moment();
            self.system.lie_down(worker);
            self.workers[worker].doing = Doing::LyingDown { stalled, until };
        }
    }

    fn look_again(&mut self, worker: usize, stalled: bool, until: u64) {
        let sleeps = self.system.look_again(worker, stalled, until);
        self.trace.note("sleeps", worker as u64, u64::from(sleeps));
        let stall = STALL_SLEEP_MIN << (self.workers[worker].stalls - u32::from(stalled)).min(5);
        let until = if stalled { self.now + stall.min(STALL_SLEEP_MAX) } else { until };
        self.tally.add("sleeps", u64::from(sleeps));
        self.workers[worker].doing =
            if sleeps { Doing::Asleep { stalled, until } } else { Doing::Awake };
    }

    fn sleep_on(&mut self, worker: usize, until: u64) {
        let woken = self.system.is_woken(worker);
        let timeout =
            until <= self.now || self.chance.per_mille(self.mix.faults.timeout) || self.drained;
        if woken || timeout {
            self.tally.add("wakes", u64::from(woken));
            self.trace.note("wakes", worker as u64, u64::from(woken));
            self.system.get_up(worker);
            self.workers[worker].doing = Doing::Awake;
        }
    }

    /// Begins the handler of the worker's next grant.
    fn begin_first(&mut self, worker: usize) {
        let doing = if self.workers[worker].grants.is_empty() {
            Doing::Awake
        } else if self.chance.per_mille(self.mix.faults.stuck) && self.has_others(worker) {
            self.tally.add("stuck", 1);
            Doing::Stuck
        } else {
            Doing::Busy(self.now + self.chance.below(2 * self.mix.handler_ns + 1))
        };
        self.workers[worker].doing = doing;
    }

    /// Whether some other worker can still go on.
    fn has_others(&self, worker: usize) -> bool {
        let mut others = self.workers.iter().enumerate().filter(|(at, _)| *at != worker);
        others.any(|(_, place)| place.doing != Doing::Stuck)
    }

    fn end_first(&mut self, worker: usize) -> Verdict {
        let granted = self.workers[worker].grants.remove(0);
        self.end(&granted)?;
        self.begin_first(worker);
        Ok(())
    }

    /// Ends a grant, one way or another.
    pub(crate) fn end(&mut self, granted: &Granted) -> Verdict {
        let ending = self.draw_ending(granted);
        self.trace.note("end", granted.job.number, ending.code());
        self.system.end(granted.key, ending);
        self.oracle.ended(granted, ending)
    }

    /// A worker's thread ends. What it was granted and has not begun ends with it or lives on.
    fn die(&mut self, worker: usize) -> Verdict {
        self.tally.add("deaths", 1);
        self.trace.note("dies", worker as u64, 0);
        let grants = std::mem::take(&mut self.workers[worker].grants);
        for granted in grants {
            if self.chance.per_mille(500) {
                self.loose.push(granted);
            } else {
                self.system.end(granted.key, Ending::Panicked);
                self.oracle.ended(&granted, Ending::Panicked)?;
            }
        }
        self.system.leave(worker);
        self.workers[worker].doing = Doing::Gone;
        Ok(())
    }

    fn come_back(&mut self, worker: usize) {
        self.trace.note("comes", worker as u64, 0);
        self.system.come(worker);
        self.workers[worker].doing = Doing::Awake;
    }

    /// Gets a worker to a point where it may look for work.
    pub(crate) fn wake_up(&mut self, worker: usize) {
        match self.workers[worker].doing {
            Doing::Gone => self.come_back(worker),
            Doing::LyingDown { .. } | Doing::Asleep { .. } => self.system.get_up(worker),
            Doing::Awake | Doing::Busy(_) | Doing::Stuck => {}
        }
        self.workers[worker].doing = Doing::Awake;
    }

    /// Ends every grant that is out.
    pub(crate) fn end_all(&mut self) -> Verdict {
        let mut out = std::mem::take(&mut self.loose);
        for worker in 0..self.workers.len() {
            out.append(&mut self.workers[worker].grants);
            if matches!(self.workers[worker].doing, Doing::Busy(_) | Doing::Stuck) {
                self.workers[worker].doing = Doing::Awake;
            }
        }
        out.iter().try_for_each(|granted| self.end(granted))
    }

    /// Nobody sleeps beside a job without a wake on its way.
    pub(crate) fn check_rest(&mut self) -> Verdict {
        if self.mix.habits.is_none() && self.oracle.eligible() == 0 {
            return Ok(());
        }
        let (mut sleeps, mut looks) = (false, false);
        for (worker, place) in self.workers.iter().enumerate() {
            match place.doing {
                Doing::Awake | Doing::LyingDown { .. } | Doing::Asleep { stalled: true, .. } => {
                    looks = true;
                }
                Doing::Asleep { until, .. }
                    if until <= self.now || self.system.is_woken(worker) =>
                {
                    looks = true;
                }
                Doing::Asleep { .. } => sleeps = true,
                Doing::Busy(_) | Doing::Stuck | Doing::Gone => {}
            }
        }
        if looks || !sleeps {
            return Ok(());
        }
        self.oracle.rested(sleeps, looks)
    }
}
