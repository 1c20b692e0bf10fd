//! What is done when a moment comes that something has waited for.

use super::claimed::Claimed;
use super::lanes::Lanes;
use super::seat::Seat;
use super::visit::Tally;
use crate::rotation::Findings;
use crate::sync::{Outbox, full_fence, mutant, ord};
use crate::units::Nanos;
use std::collections::VecDeque;

/// When a lane is looked after again that somebody else held.
const SOON: Nanos = Nanos(1_000_000);

/// When lanes are looked after again that a panic has left. Later than [`SOON`]: it may come again.
const NOT_SO_SOON: Nanos = Nanos(1_000_000_000);

/// Lanes whose alarm has rung. What a panic leaves of them gets another alarm.
struct Rung<'a, T> {
    seat: &'a mut Seat,
    lanes: &'a Lanes<T>,
    left: VecDeque<u32>,
    now: Nanos,
}

impl<T> Drop for Rung<'_, T> {
    fn drop(&mut self) {
        for lane in self.left.drain(..) {
            self.seat.errands.set_alarm(self.lanes, lane, self.now.after(NOT_SO_SOON));
        }
    }
}

impl Seat {
    /// Brings back the parked lanes whose moment has come at `now`, and looks after those whose jobs
    /// come due or expire. A look when there is nothing to do.
    #[inline]
    pub(crate) fn keep_time<T>(&mut self, lanes: &Lanes<T>, now: Nanos) {
        if lanes.gate.next_at() <= now {
            self.keep_time_now(lanes, now);
        }
    }

    #[cold]
    fn keep_time_now<T>(&mut self, lanes: &Lanes<T>, now: Nanos) {
        let mut rung = Vec::new();
        lanes.gate.wake_due(now, &mut self.errands.woken, &mut rung);
        lanes.wake(&mut self.errands.woken);
        self.look_at_plan();
        // ORDERING(timely.fence): either this look sees a job that has just been published, or whoever
        // published it sees that no alarm is set; pairs with submit.fence.
        full_fence(ord!("timely.fence", SeqCst => AcqRel));
        let mut rung = Rung { seat: self, lanes, left: rung.into(), now };
        while let Some(lane) = rung.left.front() {
            rung.seat.look_after(lanes, *lane, now);
            rung.left.pop_front();
        }
    }

    /// Expires what is to expire in a lane, and sees to it that what is due is granted by somebody.
    fn look_after<T>(&mut self, lanes: &Lanes<T>, lane: u32, now: Nanos) {
        let row = lanes.table.row(lane);
        if row.progress().1 == 0 {
            return;
        }
        // A lane that waits for something else has its place there again at its next visit.
        if lanes.gate.call_back(lane) {
            lanes.bring_back(lane);
        }
        if !mutant!("timely.no_rouse") {
            lanes.rouse(lane);
        }
        let rotation = lanes.rotation_of(lane);
        let Some(mut claim) = rotation.claim_lane(self.index, lane) else {
            self.errands.set_alarm(lanes, lane, now.after(SOON));
            return self.run_errands(lanes);
        };
        self.class = lanes.class_of(lane);
        let mut findings = Findings::default();
        let mut rights = claim.next_right().into_iter().collect();
        // No room for a grant: this may be a thread that runs no jobs.
        let mut out = Outbox::with_capacity(0);
        let mut tally = Tally::of(&mut out, now);
        Claimed {
            seat: self,
            lanes,
            claim: &mut claim,
            rights: &mut rights,
            findings: &mut findings,
            tally: &mut tally,
            visits_before: 0,
        }
        .visit_in_order();
        rotation.put_back(self.index, &claim, &findings);
        self.tell(lanes, &claim, &findings);
        self.class = 0;
        self.run_errands(lanes);
    }
}
