//! Decision 1 of the design, for pairs of lanes: over any interval in which both are ready,
//! `|S_i/f_i - S_j/f_j| <= 2Q + m_i/f_i + m_j/f_j`, where S counts a job at its actual cost once
//! that is known, and m includes what corrections have not settled yet. And while a lane waits for
//! its next grant, no other lane gets more than the turns of the rounds that the grant takes.

use super::lane::Lane;
use super::{Breach, Kind};

/// Pairs cost time, so at most this many lanes are watched.
const WATCHED_MAX: usize = 14;

/// What `S_i/f_i - S_j/f_j` has been since both lanes became ready.
#[derive(Clone, Copy, Default)]
struct Window {
    now: f64,
    low: f64,
    high: f64,
}

impl Window {
    /// Moves by `by`; returns the widest difference over any interval so far.
    fn moves(&mut self, by: f64) -> f64 {
        self.now += by;
        self.low = self.low.min(self.now);
        self.high = self.high.max(self.now);
        self.high - self.low
    }
}

#[derive(Clone, Copy, Default)]
struct Passed {
    cost: f64,
    slack: f64,
}

pub(super) struct Pairs {
    watched: Vec<usize>,
    /// Place of a tenant among the watched.
    places: Vec<Option<u8>>,
    /// By place `i * len + j`, for `i < j`.
    windows: Vec<Window>,
    /// Cost charged to `j` since the wait of `i` began, and the most slack `j` had, by place.
    passed_by: Vec<Passed>,
    /// The largest difference seen, as a part of its bound.
    pub(super) worst: f64,
}

impl Pairs {
    /// Watches the first lanes, which are the busiest, and some of the others.
    pub(super) fn new(tenants: usize) -> Pairs {
        let first = tenants.min(WATCHED_MAX / 2);
        let rest = tenants - first;
        let others = rest.min(WATCHED_MAX - first);
        let others = (0..others).map(|at| first + at * rest / others);
        let watched: Vec<usize> = (0..first).chain(others).collect();
        let mut places = vec![None; tenants];
        watched.iter().enumerate().for_each(|(at, tenant)| places[*tenant] = Some(at as u8));
        let pairs = watched.len() * watched.len();
        Pairs {
            watched,
            places,
            windows: vec![Window::default(); pairs],
            passed_by: vec![Passed::default(); pairs],
            worst: 0.0,
        }
    }

    fn place(&self, tenant: usize) -> Option<usize> {
        self.places[tenant].map(usize::from)
    }

    fn key(&self, one: usize, other: usize) -> usize {
        one.min(other) * self.watched.len() + one.max(other)
    }

    /// The lane becomes ready: its intervals and its wait begin anew.
    pub(super) fn begin(&mut self, tenant: usize) {
        let Some(place) = self.place(tenant) else { return };
        for other in 0..self.watched.len() {
            let key = self.key(place, other);
            self.windows[key] = Window::default();
            self.passed_by[place * self.watched.len() + other] = Passed::default();
        }
    }

    /// The lane was charged `cost` (negative: given back), at a grant or by a correction.
    pub(super) fn charge(
        &mut self,
        tenant: usize,
        cost: f64,
        lanes: &[Lane],
        base: f64,
    ) -> Result<(), Breach> {
        let Some(place) = self.place(tenant) else { return Ok(()) };
        self.pass(place, cost, &lanes[tenant]);
        if !lanes[tenant].ready {
            return Ok(());
        }
        for other in 0..self.watched.len() {
            let rival = self.watched[other];
            if other == place || !lanes[rival].ready {
                continue;
            }
            let by = cost / lanes[tenant].due.weight;
            let key = self.key(place, other);
            let wide = self.windows[key].moves(if place < other { by } else { -by });
            let slack = |tenant: usize| lanes[tenant].slack / lanes[tenant].due.weight;
            let bound = 2.0 * base + slack(tenant) + slack(rival);
            self.worst = self.worst.max(wide / bound);
            if is_above(wide, bound) {
                let text = format!(
                    "lanes {tenant} and {rival} differ by {wide:.3}, the bound is {bound:.3}"
                );
                return Err(Breach::new(Kind::Bound, text));
            }
        }
        Ok(())
    }

    /// Other terms hold for the lane, or it was given up and will be another: nobody counts what it got before.
    pub(super) fn forget(&mut self, tenant: usize) {
        let Some(place) = self.place(tenant) else { return };
        let len = self.watched.len();
        let column = self.passed_by.iter_mut().skip(place).step_by(len);
        column.for_each(|passed| *passed = Passed::default());
    }

    /// The others have been passed by.
    fn pass(&mut self, place: usize, cost: f64, lane: &Lane) {
        let len = self.watched.len();
        for passed in self.passed_by.iter_mut().skip(place).step_by(len) {
            passed.cost += cost;
            passed.slack = passed.slack.max(lane.slack);
        }
    }

    /// The lane was granted a job: its own wait begins anew, and no other one waits too long.
    pub(super) fn grant(&mut self, tenant: usize, lanes: &[Lane]) -> Result<(), Breach> {
        let Some(place) = self.place(tenant) else { return Ok(()) };
        let len = self.watched.len();
        self.passed_by[place * len..(place + 1) * len].fill(Passed::default());
        for other in (0..len).filter(|other| *other != place) {
            let waiting = &lanes[self.watched[other]];
            let passed = self.passed_by[other * len + place];
            if !waiting.ready {
                continue;
            }
            let most = turns_of_wait(waiting) * lanes[tenant].due.quantum + passed.slack;
            if is_above(passed.cost, most) {
                let text = format!(
                    "lane {} waited while lane {tenant} was granted {:.0}, at most {most:.0}",
                    self.watched[other], passed.cost
                );
                return Err(Breach::new(Kind::Wait, text));
            }
        }
        Ok(())
    }
}

/// Turns that any other lane may have before the first job of this one: those it takes to pay for
/// it, one for what is left of the present round, and one for rounding.
pub(super) fn turns_of_wait(lane: &Lane) -> f64 {
    let head = lane.front().map_or(0.0, |place| f64::from(place.cost));
    (head + lane.unsettled.debt()) / lane.due.quantum + 2.0
}

/// Compares with room for what is lost in rounding.
pub(super) fn is_above(value: f64, bound: f64) -> bool {
    value > bound * (1.0 + 1e-9) + 1e-6
}
