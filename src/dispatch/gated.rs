//! Visits of lanes whose tenants have limits, and what becomes of those that are refused.

use super::granting::{Granting, Till};
use super::lanes::Lanes;
use super::plan::Plan;
use super::seat::Seat;
use crate::claim::{Grant, Waited};
use crate::gate::{Closed, Denial, Held, Parked, Pass, Refused, Scope};
use crate::ring::{Stamp, Taker};
use crate::sync::mutant;
use crate::units::Nanos;
use std::sync::Arc;

/// Makes grants of the jobs that a lane's balance covers and the gate lets through.
pub(super) struct Gated<'a> {
    pub(super) granting: Granting<'a>,
    pub(super) pass: Pass<'a>,
    /// What the job just admitted holds.
    held: Held,
    pub(super) denial: Option<Denial>,
}

impl<'a> Gated<'a> {
    pub(super) fn new(granting: Granting<'a>, pass: Pass<'a>) -> Self {
        Gated { granting, pass, held: Held::NOTHING, denial: None }
    }
}

impl<'a, T> Taker<T> for Gated<'a> {
    type Out = Grant<T>;
    type Till = Till<'a>;

    fn open(&self) -> Till<'a> {
        self.granting.open_till()
    }

    fn close(&mut self, till: Till<'a>) {
        self.granting.close_till(till);
    }

    #[inline(always)]
    fn admit(&mut self, till: &mut Till<'a>, cost: u32) -> bool {
        if !till.purse.covers(cost) {
            return false;
        }
        if self.pass.admit_at_once(cost) {
            self.held = Held::OWN;
            return till.purse.pay(cost);
        }
        self.asks(cost) && till.purse.pay(cost)
    }

    fn make(&mut self, till: &mut Till<'a>, cost: u32, stamp: Stamp, payload: T) -> Grant<T> {
        let waited = self.granting.waited(stamp).to_bits();
        let kept = Waited::from_bits(self.pass.keep(self.held, cost, None, waited));
        self.granting.grant(till, (cost, self.held), kept, payload)
    }
}

impl Gated<'_> {
    /// Whether the gate lets a job of `cost` go that is not let go at once.
    #[cold]
    fn asks(&mut self, cost: u32) -> bool {
        // The ring may ask twice about a job that it may not take; slots taken in vain go back later,
        // so only the first answer is right.
        if self.denial.is_some() {
            return false;
        }
        match self.pass.admit(cost, None) {
            Ok(held) => self.held = held,
            Err(denial) => self.denial = Some(denial),
        }
        self.denial.is_none()
    }
}

impl Seat {
    /// Does what visits have left to be done. No lane is claimed any more.
    #[cold]
    pub(super) fn run_errands<T>(&mut self, lanes: &Lanes<T>) {
        if self.errands.run(lanes, &self.plan) {
            self.look_at_plan();
        }
    }
}

/// What visits leave to be done once no lane is claimed.
#[derive(Default)]
pub(super) struct Errands {
    /// Lanes with jobs that their profile never lets go.
    pub(super) barred: Vec<(u32, u32)>,
    /// Lanes to park.
    pub(super) refused: Vec<(Refused, u32)>,
    /// Slots that were taken in vain, and the tenants' in whose visits.
    back: Vec<(Scope, u32)>,
    /// Budgets whose room is to be shared out again, by number.
    rooms: Vec<u32>,
    /// Lanes to look after, and when.
    alarms: Vec<(u32, Nanos)>,
    /// Lanes that are to join the rotation.
    pub(super) woken: Vec<u32>,
    /// Lanes that were parked, for an observer; told and forgotten by the engine.
    pub(super) parked: Vec<(u32, Denial)>,
    /// Whether the plan has changed since the first of these visits.
    pub(super) are_late: bool,
    /// Whether there is an observer.
    pub(super) are_observed: bool,
}

impl Errands {
    #[inline]
    pub(super) fn are_none(&self) -> bool {
        self.refused.is_empty()
            && self.barred.is_empty()
            && self.back.is_empty()
            && self.rooms.is_empty()
            && self.alarms.is_empty()
    }

    /// Takes over what a visit of the tenant in `slot` leaves.
    pub(super) fn add(&mut self, slot: u32, closed: Closed) {
        self.back.extend(closed.back.into_iter().map(|scope| (scope, slot)));
        self.rooms.extend(closed.room);
    }

    /// Forgets to park a lane that goes back into the rotation.
    pub(super) fn forget(&mut self, lane: u32) {
        self.refused.retain(|(refused, _)| refused.lane != lane);
        self.barred.retain(|(barred, _)| *barred != lane);
    }

    /// Gives slots back, parks the lanes that were refused, by the limits of their profiles in `plan`, and
    /// wakes those that are to go. Whether there is a newer plan by which lanes are to go.
    fn run<T>(&mut self, lanes: &Lanes<T>, plan: &Plan) -> bool {
        for (scope, slot) in self.back.drain(..) {
            lanes.gate.release(scope, slot, &mut self.woken);
        }
        let (mut sooner, mut is_late) = self.park(lanes, plan);
        is_late |= self.look_back(lanes, plan);
        self.are_late = false;
        for room in self.rooms.drain(..) {
            let purse = lanes.gate.budgets.purse(room);
            purse.into_iter().for_each(|purse| lanes.gate.share(&purse, &mut self.woken));
        }
        for (lane, at) in self.alarms.drain(..) {
            sooner |= lanes.gate.arm(lane, at);
        }
        if sooner && !mutant!("gate.alarm_unrung") {
            lanes.alarm.ring(&lanes.sleepers);
        }
        lanes.wake(&mut self.woken);
        is_late
    }

    /// Parks the lanes that were refused; whether one of them waits for the next of all moments, and whether
    /// they came too late for the policy in force.
    fn park<T>(&mut self, lanes: &Lanes<T>, plan: &Plan) -> (bool, bool) {
        let mut sooner = false;
        for (refused, profile) in &self.refused {
            lanes.gate.entry(refused.lane).leave_until(refused.denial.until.moment());
            match lanes.gate.park(refused, &plan.rules[*profile as usize]) {
                Parked::Waits { sooner: is_next } => {
                    sooner |= is_next;
                    if self.are_observed {
                        self.parked.push((refused.slot, refused.denial));
                    }
                }
                Parked::Goes => self.woken.push(refused.lane),
            }
        }
        // A swap of the policy takes every lane out of the lot after it has published the new plan, and a change
        // of tier the tenant's after it has noted the new profile. So a lane that came too late for that sees it
        // here, and goes by it.
        let is_late = !self.refused.is_empty() && self.is_late(lanes, plan);
        for (Refused { lane, .. }, profile) in self.refused.drain(..) {
            let is_other = lanes.table.row(lane).profile() != profile;
            let is_other = is_late || (is_other && !mutant!("gate.old_tier"));
            if is_other && lanes.gate.call_back(lane) {
                self.woken.push(lane);
            }
        }
        (sooner, is_late)
    }

    /// Whether there is another plan than the one that visits went by, of which `plan` was the latest.
    fn is_late<T>(&self, lanes: &Lanes<T>, plan: &Plan) -> bool {
        self.are_late || !std::ptr::eq(Arc::as_ptr(&lanes.plan.load()), plan)
    }

    /// Brings lanes back that went to rest with jobs which their limits never let go, if they have others by now.
    /// Whether there is a newer plan.
    fn look_back<T>(&mut self, lanes: &Lanes<T>, plan: &Plan) -> bool {
        let (mut is_late, are_late) = (false, self.are_late);
        for (lane, profile) in self.barred.drain(..) {
            // Either this comes after the lot was looked through for the new limits, and sees them, or whoever
            // looks for lanes at rest after that sees this one.
            lanes.gate.place(lane);
            let is_newer = are_late || !std::ptr::eq(Arc::as_ptr(&lanes.plan.load()), plan);
            if is_newer || lanes.table.row(lane).profile() != profile {
                lanes.rouse(lane);
            }
            is_late |= is_newer;
        }
        is_late
    }

    /// Has a lane looked after at `at`, unless that is to happen sooner anyway.
    pub(super) fn set_alarm<T>(&mut self, lanes: &Lanes<T>, lane: u32, at: Nanos) {
        if at < lanes.gate.entry(lane).alarm() {
            self.alarms.push((lane, at));
        }
    }
}
