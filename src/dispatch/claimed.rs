//! What becomes of a claim whose visits end in a panic, and of the visit that does.
//!
//! No user code runs while lanes are claimed, so only a broken invariant can panic there. It costs
//! the worker, not the lanes: what is here runs while the panic passes, and nowhere else.

use super::lanes::Lanes;
use super::ordered::Apart;
use super::seat::Seat;
use super::visit::{Place, Tally, prefetch_rows};
use crate::fair::micros;
use crate::ring::behind;
use crate::rotation::{Claim, Findings};
use crate::sync::{DrainRight, mutant};
use crate::tenant::{Drain, LeftBehind, Row};

/// The lanes of a claim while they are visited: dropped by a panic, it puts them back. Forgotten once
/// all have been noted; then [`Rotation::put_back`](crate::rotation::Rotation::put_back) comes next.
pub(super) struct Claimed<'a, 'o, T> {
    pub(super) seat: &'a mut Seat,
    pub(super) lanes: &'a Lanes<T>,
    pub(super) claim: &'a mut Claim,
    /// Rights that the claim has handed out; those of lanes that have been noted come first.
    pub(super) rights: &'a mut Vec<DrainRight>,
    pub(super) findings: &'a mut Findings,
    pub(super) tally: &'a mut Tally<'o, T>,
    /// How many visits there had been when the first of `rights` was handed out.
    pub(super) visits_before: u32,
}

impl<T> Claimed<'_, '_, T> {
    /// Visits the lanes, as long as there is room for grants.
    #[inline(always)]
    pub(super) fn visit(mut self) {
        while self.tally.out.room() > 0 && !self.claim.is_used_up() {
            self.visits_before = self.tally.visits;
            let more = std::iter::from_fn(|| self.claim.next_right());
            self.rights.extend(more.take(self.seat.reach as usize));
            prefetch_rows(self.lanes, self.rights, self.claim.is_fresh());
            self.visit_rights();
            // What stands here has been visited, or is put back unseen: the rights end.
            self.rights.clear();
        }
        std::mem::forget(self);
    }

    /// Visits the claim's only lane for the order of its jobs; it keeps its place.
    pub(super) fn visit_in_order(mut self) {
        let Claimed { seat, lanes, claim, rights, findings, tally, .. } = &mut self;
        let right = rights.first_mut().expect("the lane has been claimed");
        let spot = seat.spot(lanes, right.lane(), claim);
        spot.row.drained.drain.open(right, |drain| spot.greet(drain));
        match seat.visit_ordered(&spot, right, tally, findings) {
            Place::Gone | Place::Parked | Place::Ordered => {}
            Place::Again | Place::Over | Place::Stalled | Place::Lingers => findings.unseen(right),
        }
        std::mem::forget(self);
    }

    #[inline(always)]
    fn visit_rights(&mut self) {
        let Claimed { seat, lanes, claim, rights, findings, tally, .. } = self;
        match &mut rights[..] {
            [right] if claim.is_used_up() && !findings.keeps_any() => {
                seat.visit_alone(lanes, claim, right, tally, findings);
            }
            rights => seat.visit_all(lanes, claim, rights, tally, findings),
        }
    }
}

impl<T> Drop for Claimed<'_, '_, T> {
    // Hands on what the fields point to: their own address is nobody's concern, so they need not be in
    // memory.
    #[inline(always)]
    fn drop(&mut self) {
        let noted = self.tally.visits.wrapping_sub(self.visits_before) as usize;
        let rest = self.rights.get_mut(noted..).unwrap_or_default();
        give_up(self.seat, self.lanes, (self.claim, rest), self.findings, self.tally);
    }
}

/// Puts the lanes of a claim back whose visits have ended in a panic, `rest` of them without having been
/// noted, and wakes somebody for them.
#[cold]
#[inline(never)]
fn give_up<T>(
    seat: &mut Seat,
    lanes: &Lanes<T>,
    (claim, rest): (&mut Claim, &mut [DrainRight]),
    findings: &mut Findings,
    tally: &Tally<'_, T>,
) {
    if mutant!("claimed.no_drop_guard") {
        return;
    }
    if let Some(cut) = rest.first().filter(|right| !right.has_ended()) {
        seat.errands.forget(cut.lane());
    }
    findings.cut_short(rest, claim);
    seat.rotation(lanes).put_back(seat.index, claim, findings);
    seat.count_grants(tally);
    seat.tell(lanes, claim, findings);
    seat.class = 0;
}

/// Ends the drain right of a lane when dropped by a panic: the lane is idle already, and whoever
/// activates it has the next right.
pub(super) struct Leaving<'a>(pub(super) &'a mut DrainRight);

impl Drop for Leaving<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if !mutant!("claimed.left_kept") {
            self.0.end();
        }
    }
}

/// A lane whose state says that it is left while the lane is not idle yet: dropped by a panic, it takes
/// that back.
pub(super) struct Resting<'a> {
    pub(super) drain: &'a mut Drain,
    pub(super) left: LeftBehind,
}

impl Drop for Resting<'_> {
    fn drop(&mut self) {
        self.drain.stay(self.left);
    }
}

/// A visit while it grants: dropped by a panic, it has the lane count what was granted.
pub(super) struct Granted<'a, 'o, T> {
    pub(super) row: &'a Row,
    pub(super) drain: &'a mut Drain,
    pub(super) tally: &'a mut Tally<'o, T>,
    /// Grants in the outbox when the visit began, and the cost that the tick had charged.
    pub(super) before: (usize, u64),
}

impl<T> Drop for Granted<'_, '_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        count(self.row, self.drain, (0, 0), self.tally, self.before);
    }
}

/// The same for a visit of a lane whose jobs have an order of their own.
pub(super) struct GrantedApart<'a, 'o, T> {
    pub(super) row: &'a Row,
    pub(super) drain: &'a mut Drain,
    pub(super) apart: &'a mut Apart<T>,
    pub(super) tally: &'a mut Tally<'o, T>,
    pub(super) before: (usize, u64),
    /// Jobs that have expired in this visit.
    pub(super) expired: u32,
}

impl<T> Drop for GrantedApart<'_, '_, T> {
    fn drop(&mut self) {
        let beside = (self.apart.waiting(), self.expired);
        count(self.row, self.drain, beside, self.tally, self.before);
    }
}

/// Counts and charges what a visit has granted that a panic cuts short. Beside the ring, jobs `wait` that
/// have been set aside, and some have `expired`.
#[cold]
#[inline(never)]
fn count<T>(
    row: &Row,
    drain: &mut Drain,
    (wait, expired): (u32, u32),
    tally: &mut Tally<'_, T>,
    before: (usize, u64),
) {
    if mutant!("claimed.uncounted") {
        return;
    }
    let granted = tally.out.after(before.0);
    let cost: i64 = granted.iter().map(|grant| i64::from(grant.cost())).sum();
    let jobs = granted.len() as u32 + expired;
    let charged = (tally.cost - before.1) as i64;
    drain.account.correct(micros(charged - cost));
    tally.cost = before.1 + cost as u64;
    match (behind(drain.head.position(), wait), jobs) {
        (head, 0) => row.drained.publish_skips(head),
        (head, jobs) => row.drained.publish(head, jobs, cost as u64),
    }
}
