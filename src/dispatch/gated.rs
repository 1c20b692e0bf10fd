//! Visits of lanes whose tenants have limits, and what becomes of those that are refused.

use super::granting::{Granting, Till};
use super::lanes::Lanes;
use crate::claim::Grant;
use crate::gate::{Denial, Held, Parked, Pass, Refused, Rules, Scope};
use crate::ring::{Stamp, Taker};
use crate::units::Nanos;

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

    fn admit(&mut self, till: &mut Till<'a>, cost: u32) -> bool {
        if !till.purse.covers(cost) {
            return false;
        }
        match self.pass.admit(cost) {
            Ok(held) => {
                self.held = held;
                till.purse.pay(cost)
            }
            Err(denial) => {
                self.denial = Some(denial);
                false
            }
        }
    }

    fn make(&mut self, till: &mut Till<'a>, cost: u32, stamp: Stamp, payload: T) -> Grant<T> {
        self.granting.grant(till, (cost, self.held), stamp, payload)
    }
}

/// What visits leave to be done once no lane is claimed.
#[derive(Default)]
pub(super) struct Errands {
    /// Lanes to park.
    pub(super) refused: Vec<(Refused, u32)>,
    /// Slots that were taken in vain.
    pub(super) back: Vec<Scope>,
    /// Lanes to look after, and when.
    alarms: Vec<(u32, Nanos)>,
    /// Lanes that are to join the rotation.
    pub(super) woken: Vec<u32>,
}

impl Errands {
    #[inline]
    pub(super) fn are_none(&self) -> bool {
        self.refused.is_empty() && self.back.is_empty() && self.alarms.is_empty()
    }

    /// Gives slots back, parks the lanes that were refused, by the limits of their profiles, and wakes
    /// those that are to go.
    #[cold]
    pub(super) fn run<T>(&mut self, lanes: &Lanes<T>, rules: &[Rules]) {
        let mut sooner = false;
        self.back.drain(..).for_each(|scope| lanes.gate.release(scope, &mut self.woken));
        for (refused, profile) in self.refused.drain(..) {
            match lanes.gate.park(&refused, &rules[profile as usize]) {
                Parked::Waits { sooner: is_next } => sooner |= is_next,
                Parked::Goes => self.woken.push(refused.lane),
            }
        }
        for (lane, at) in self.alarms.drain(..) {
            sooner |= lanes.gate.arm(lane, at);
        }
        if sooner {
            lanes.alarm.ring(&lanes.sleepers);
        }
        lanes.wake(&mut self.woken);
    }

    /// Has a lane looked after at `at`, unless that is to happen sooner anyway.
    pub(super) fn set_alarm<T>(&mut self, lanes: &Lanes<T>, lane: u32, at: Nanos) {
        if at < lanes.gate.entry(lane).alarm() {
            self.alarms.push((lane, at));
        }
    }
}
