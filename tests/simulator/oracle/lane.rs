//! One tenant as the oracle knows it.

use super::limits::Order;
use crate::terms::Due;
use std::collections::VecDeque;

/// A place in a lane, in the order of the reservations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) cost: u32,
    pub(super) state: State,
    pub(super) order: Order,
    /// Whether it came behind an unfinished producer: then its deadline may pass unseen.
    pub(super) is_hidden: bool,
    /// When it was reserved.
    pub(super) at: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// The producer has not finished.
    Reserved,
    Ready,
    /// The producer gave up: nothing comes of it.
    Abandoned,
}

/// How far a balance may lie outside the range that deficit round robin keeps it in.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Unsettled {
    /// Given back and maybe not used: over once `uses` more has been granted, because then a turn
    /// has ended since.
    credit: f64,
    uses: f64,
    /// Charged and maybe not paid: over at the next grant, which takes a balance above zero.
    debt: f64,
}

impl Unsettled {
    /// Books a correction of `back` (negative: a charge) for a lane whose turn is worth `quantum`
    /// and whose dearest job costs `dearest`.
    pub(super) fn book(&mut self, back: f64, quantum: f64, dearest: f64) {
        if back > 0.0 {
            self.credit += back;
            self.uses = self.credit + quantum + dearest;
        } else {
            self.debt -= back;
        }
    }

    fn grant(&mut self, cost: f64) {
        self.debt = 0.0;
        self.uses -= cost;
        if self.uses <= 0.0 {
            (self.credit, self.uses) = (0.0, 0.0);
        }
    }

    pub(super) fn debt(&self) -> f64 {
        self.debt
    }
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) named: bool,
    pub(super) tier: usize,
    pub(super) due: Due,
    /// Never begins with an abandoned place.
    pub(super) places: VecDeque<Place>,
    /// Abandoned places among them.
    pub(super) tombstones: usize,
    /// Abandoned places at the front that the engine may not have passed yet.
    pub(super) unpassed: usize,
    /// What a snapshot's row must say.
    pub(super) dispatched: u64,
    pub(super) served_cost: u64,
    pub(super) refused: u64,
    pub(super) refused_cost: u64,
    pub(super) expired: u64,
    /// Grants not ended.
    pub(super) running: u32,
    /// Jobs ever accepted under this handle, tombstones included.
    pub(super) accepted: u64,
    /// Whether the first place holds a published job.
    pub(super) ready: bool,
    /// The look in which the lane was served first since it became ready.
    pub(super) served_first: Option<u64>,
    /// Cost granted by the engine when this lane's present wait began.
    pub(super) waits_since: f64,
    pub(super) unsettled: Unsettled,
    /// The dearest job, and the most credit and debt, since the lane became ready.
    dearest: f64,
    credit: f64,
    debt: f64,
    /// How wide the range of the balance has been since then: the sum of the three.
    pub(super) slack: f64,
}

impl Lane {
    pub(super) fn new(due: Due) -> Lane {
        Lane {
            named: false,
            tier: 0,
            due,
            places: VecDeque::new(),
            tombstones: 0,
            unpassed: 0,
            dispatched: 0,
            served_cost: 0,
            refused: 0,
            refused_cost: 0,
            expired: 0,
            running: 0,
            accepted: 0,
            ready: false,
            served_first: None,
            waits_since: 0.0,
            unsettled: Unsettled::default(),
            dearest: 0.0,
            credit: 0.0,
            debt: 0.0,
            slack: 0.0,
        }
    }

    /// Places that hold or may come to hold a job.
    pub(super) fn jobs(&self) -> usize {
        self.places.len() - self.tombstones
    }

    pub(super) fn front(&self) -> Option<&Place> {
        self.places.front()
    }

    /// Drops abandoned places at the front.
    pub(super) fn pass_abandoned(&mut self) {
        while self.places.front().is_some_and(|place| place.state == State::Abandoned) {
            self.places.pop_front();
            self.tombstones -= 1;
            self.unpassed += 1;
        }
    }

    /// Drops abandoned places wherever they stand: jobs with an order are taken past them.
    pub(super) fn drop_abandoned(&mut self) {
        self.places.retain(|place| place.state != State::Abandoned);
        self.unpassed += std::mem::take(&mut self.tombstones);
    }

    /// Takes in what may have widened the range of the balance.
    pub(super) fn widen(&mut self, cost: u32) {
        self.dearest = self.dearest.max(f64::from(cost));
        self.credit = self.credit.max(self.unsettled.credit);
        self.debt = self.debt.max(self.unsettled.debt);
        self.slack = self.dearest + self.credit + self.debt;
    }

    /// Begins a time in which the lane is ready.
    pub(super) fn begin(&mut self, total: f64) {
        let costs = self.places.iter().map(|place| place.cost);
        (self.dearest, self.credit, self.debt) = (0.0, 0.0, 0.0);
        self.served_first = None;
        self.waits_since = total;
        self.widen(costs.max().unwrap_or(0));
    }

    pub(super) fn book(&mut self, back: f64) {
        self.unsettled.book(back, self.due.quantum, self.dearest);
        self.widen(0);
    }

    pub(super) fn grant(&mut self, cost: u32) {
        self.dispatched += 1;
        self.served_cost += u64::from(cost);
        self.running += 1;
        self.unsettled.grant(f64::from(cost));
    }
}
