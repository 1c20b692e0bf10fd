//! What is done when a moment comes that something has waited for.

use super::lanes::Lanes;
use super::seat::Seat;
use super::visit::{Place, Tally};
use crate::rotation::Findings;
use crate::sync::{Outbox, full_fence, mutant, ord};
use crate::units::Nanos;

/// When a lane is looked after again that somebody else held.
const SOON: Nanos = Nanos(1_000_000);

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
        rung.into_iter().for_each(|lane| self.look_after(lanes, lane, now));
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
        let mut right = claim.next_right().expect("the lane has been claimed");
        let spot = self.spot(lanes, lane, &claim);
        row.drained.drain.open(&mut right, |drain| spot.greet(drain));
        // No room for a grant: this may be a thread that runs no jobs.
        let mut out = Outbox::with_capacity(0);
        let mut tally = Tally::of(&mut out, now);
        match self.visit_ordered(&spot, &mut right, &mut tally, &mut findings) {
            Place::Gone | Place::Parked | Place::Ordered => {}
            Place::Again | Place::Over | Place::Lingers => findings.unseen(&right),
        }
        rotation.put_back(self.index, &claim, &findings);
        self.tell(lanes, &findings);
        self.class = 0;
        self.run_errands(lanes);
    }
}
