//! Taking turns between classes of jobs.

use super::lanes::Lanes;
use super::seat::Seat;
use crate::rotation::{Claim, Findings, Rotation};
use crate::units::Nanos;

impl Seat {
    /// Whether jobs are granted here that not every worker can run.
    #[inline]
    pub(crate) fn has_classes(&self) -> bool {
        self.reach_of.0 != 1
    }

    /// Takes over a change of the classes, or of what this worker can run.
    #[cold]
    pub(super) fn look_at_routes<T>(&mut self, lanes: &Lanes<T>) {
        self.reach_of = lanes.routes.reach(self.index);
        (self.class, self.next_class) = (0, 0);
    }

    /// Whether there is work for this worker, or a change of what it can run.
    pub(crate) fn has_work<T>(&self, lanes: &Lanes<T>) -> bool {
        !lanes.rotation.is_empty()
            || lanes.routes.version() != self.reach_of.1
            || self.classes().any(|class| !lanes.routes.rotation(class).is_empty())
    }

    /// The classes within reach beside the one that everybody can run.
    fn classes(&self) -> impl Iterator<Item = usize> + use<> {
        let mut mask = self.reach_of.0 & !1;
        std::iter::from_fn(move || {
            let class = (mask != 0).then(|| mask.trailing_zeros() as usize);
            mask &= mask.wrapping_sub(1);
            class
        })
    }

    /// The rotation of the present claim's class.
    #[inline]
    pub(super) fn rotation<'a, T>(&self, lanes: &'a Lanes<T>) -> &'a Rotation {
        rotation(lanes, self.class)
    }

    /// Wakes a worker for what the present claim leaves behind.
    #[inline]
    pub(super) fn wake_one<T>(&self, lanes: &Lanes<T>) {
        match self.class {
            0 => lanes.sleepers.wake_one(),
            class => lanes.routes.wake_capable(class, &lanes.sleepers),
        }
    }

    /// Claims lanes of the class whose turn it is: a worker finishes a round of each of its classes before
    /// a second one of any.
    pub(super) fn claim_of_any_class<T>(
        &mut self,
        lanes: &Lanes<T>,
        most: u32,
        jobs: u32,
        shift: u32,
    ) -> Option<Claim> {
        for _ in 0..=self.reach_of.0.count_ones() {
            let class = self.next_class;
            let claim = rotation(lanes, class).claim(self.index, most, jobs, shift);
            let Some(claim) = claim else {
                self.next_class = self.class_after(class);
                continue;
            };
            self.class = class;
            if lanes.routes.version() != self.reach_of.1 {
                // The number may have become another class's, which the claim has brought to light.
                self.put_back_unseen(lanes, claim);
                self.look_at_routes(lanes);
                continue;
            }
            if self.rounds[class] != claim.refill.round {
                self.rounds[class] = claim.refill.round;
                self.next_class = self.class_after(class);
            }
            return Some(claim);
        }
        None
    }

    fn put_back_unseen<T>(&self, lanes: &Lanes<T>, mut claim: Claim) {
        let mut findings = Findings::default();
        findings.all_unseen(&mut claim);
        self.rotation(lanes).put_back(self.index, &claim, &findings);
        self.wake_one(lanes);
    }

    /// The next class within reach, in order and round again.
    fn class_after(&self, class: usize) -> usize {
        let above = self.reach_of.0 & (!1 << class);
        if above == 0 { 0 } else { above.trailing_zeros() as usize }
    }
}

impl<T> Lanes<T> {
    /// Takes a worker out of its place. Lanes that nobody can visit from now on let go of what they have been
    /// handed and leave their queues, for others to go: they wait in the rotation of their class, and ask
    /// again when a worker comes for it.
    pub(crate) fn dismiss(&self, seat: usize, now: Nanos) {
        let lost = self.routes.leave(seat, now);
        if lost == 0 {
            return;
        }
        let mut woken = Vec::new();
        for (lane, row) in self.table.extra_rows().filter(|(_, row)| lost >> row.class() & 1 == 1) {
            if self.gate.leave_queue(lane) {
                woken.push(lane);
            }
            self.gate.take_back(lane, row.owner(), &mut woken);
        }
        self.wake(&mut woken);
    }
}

fn rotation<T>(lanes: &Lanes<T>, class: usize) -> &Rotation {
    if class == 0 { &lanes.rotation } else { lanes.routes.rotation(class) }
}
