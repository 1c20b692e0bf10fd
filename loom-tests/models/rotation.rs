//! The rotation: who may drain a lane, and that no lane is forgotten or paid twice.

use super::harness::check;
use crate::fair::{Account, Quantum, ROUNDS, Refill};
use crate::rotation::{Claim, Findings, Rotation};
use crate::sync::atomic::AtomicU32;
use crate::sync::atomic::Ordering::{Acquire, Release};
use crate::sync::{Arc, DrainRight, Owned};
use crate::units::Weight;
use loom::thread;

/// A rotation of one word, and plain state for each of its first lanes.
struct Ring<T> {
    rotation: Rotation,
    lanes: Vec<Owned<T>>,
}

impl<T> Ring<T> {
    fn new(round: u32, seats: usize, states: Vec<T>) -> Arc<Ring<T>> {
        let lanes = states.into_iter().zip(0..).map(|(state, lane)| Owned::new(lane, state));
        Arc::new(Ring {
            rotation: Rotation::starting_at(0, 64, seats, round),
            lanes: lanes.collect(),
        })
    }

    /// Claims up to `most` lanes, lets `visit` see each, and puts all back to wait for their next
    /// turn. Returns how many there were.
    fn visit(&self, seat: usize, most: u32, visit: impl FnMut(&mut T, Refill)) -> usize {
        self.visit_and(seat, most, Findings::over, visit)
    }

    /// The same, with all put back as `place` says.
    fn visit_and(
        &self,
        seat: usize,
        most: u32,
        place: fn(&mut Findings, &DrainRight),
        mut visit: impl FnMut(&mut T, Refill),
    ) -> usize {
        let Some(mut claim) = self.rotation.claim(seat, most, most, 0) else { return 0 };
        let mut findings = Findings::default();
        let mut visited = 0;
        while let Some(mut right) = claim.next_right() {
            let refill = claim.refill;
            self.lanes[right.lane() as usize].open(&mut right, |state| visit(state, refill));
            place(&mut findings, &right);
            visited += 1;
        }
        self.rotation.put_back(seat, &claim, &findings);
        visited
    }

    /// Claims one lane, lets `visit` see it, and puts it back as a lane whose turn is still to come.
    /// `false` when somebody else has it.
    fn look_after(&self, seat: usize, lane: u32, visit: impl FnOnce(&mut T)) -> bool {
        let Some(mut claim) = self.rotation.claim_lane(seat, lane) else { return false };
        let mut findings = Findings::default();
        let mut right = claim.next_right().expect("the lane has been claimed");
        self.lanes[lane as usize].open(&mut right, visit);
        findings.unseen(&right);
        self.rotation.put_back(seat, &claim, &findings);
        true
    }

    /// Claims all there is, for good.
    fn take_all(&self) -> Vec<u32> {
        let mut all = Vec::new();
        while let Some(claim) = self.rotation.claim(0, 64, 64, 0) {
            all.extend(finish(&self.rotation, 0, claim));
        }
        all.sort_unstable();
        all
    }
}

/// Ends the visit of lanes that all leave the rotation.
fn finish(rotation: &Rotation, seat: usize, mut claim: Claim) -> Vec<u32> {
    let findings = Findings::default();
    let lanes = std::iter::from_fn(|| claim.next_right()).map(|right| right.lane()).collect();
    rotation.put_back(seat, &claim, &findings);
    lanes
}

/// One drainer at a time, and what one did to the lane's plain state happens before the next one
/// touches it: in the middle of a turn, so that nobody begins a round in between. The lane stands in the
/// rotation once at the end.
fn hand_over(most: u32) {
    let ring = Ring::new(0, 2, vec![0, 0]);
    ring.rotation.activate(0);
    let other = Arc::clone(&ring);
    let visit = move |ring: &Ring<usize>, seat| {
        ring.visit_and(seat, most, Findings::again, |visits, _| *visits += 1)
    };
    let other = thread::spawn(move || visit(&other, 1));
    let mut visits = visit(&ring, 0);
    visits += other.join().unwrap();
    let mut counted = 0;
    ring.visit(0, 64, |visits, _| counted = *visits);
    assert_eq!(counted, visits);
    assert_eq!(ring.take_all(), [0]);
}

/// See [`hand_over`]: whole words, by swap.
#[test]
fn rotation_hand_over() {
    check("rotation_hand_over", None, || hand_over(64));
}

/// See [`hand_over`]: single lanes, by `fetch_and`.
#[test]
fn rotation_hand_over_of_one() {
    check("rotation_hand_over_of_one", None, || hand_over(1));
}

/// Somebody who wants one lane and no other, and a worker that claims what there is: the lane is one's at
/// a time and stands in the rotation once at the end, whoever was first.
#[test]
fn rotation_claim_lane() {
    check("rotation_claim_lane", None, || {
        let ring = Ring::new(0, 2, vec![0, 0]);
        ring.rotation.activate(0);
        let keeper = Arc::clone(&ring);
        let keeper = thread::spawn(move || keeper.look_after(1, 0, |visits| *visits += 1));
        let mut visits = ring.visit(0, 1, |visits, _| *visits += 1);
        visits += usize::from(keeper.join().unwrap());
        let mut counted = 0;
        ring.visit(0, 64, |visits, _| counted = *visits);
        assert_eq!(counted, visits);
        assert_eq!(ring.take_all(), [0]);
    });
}

/// Two workers that want one lane each of the same word get different ones, and put-backs into the
/// word meanwhile are not lost.
#[test]
fn rotation_lanes_of_a_word() {
    check("rotation_lanes_of_a_word", None, || {
        let ring = Ring::new(0, 2, vec![0, 0]);
        ring.rotation.activate(0);
        let other = Arc::clone(&ring);
        let other = thread::spawn(move || {
            other.rotation.activate(1);
            other.visit(1, 1, |visits, _| *visits += 1)
        });
        let mut visits = ring.visit(0, 1, |visits, _| *visits += 1);
        visits += other.join().unwrap();
        let mut counted = 0;
        for lane in 0..2 {
            let seen = ring.visit(0, 1, |visits, _| counted += *visits);
            assert_eq!(seen, 1, "search {lane}");
        }
        assert!(counted >= visits && visits >= 1);
        assert_eq!(ring.take_all(), [0, 1]);
    });
}

/// A word that is not empty has its hint when everybody rests: an insertion meets a search that
/// clears the hint an earlier lane has left behind.
#[test]
fn rotation_hints() {
    check("rotation_hints", None, || {
        let ring = Ring::new(0, 2, vec![(), ()]);
        ring.rotation.activate(0);
        let earlier = ring.rotation.claim(0, 64, 64, 0).expect("the lane is there");
        assert!(!finish(&ring.rotation, 0, earlier).is_empty());
        let worker = Arc::clone(&ring);
        let worker = thread::spawn(move || {
            let claim = worker.rotation.claim(1, 64, 64, 0);
            claim.map_or(Vec::new(), |claim| finish(&worker.rotation, 1, claim))
        });
        ring.rotation.activate(1);
        let mut seen = worker.join().unwrap();
        assert_eq!(ring.rotation.is_empty(), seen == [1]);
        seen.extend(ring.take_all());
        assert_eq!(seen, [1]);
    });
}

/// A turn is given at most once a round, rounds missed are given back, and no lane is skipped: two
/// workers claim twice each, over the wrap of the round's number.
/// Bound: 2 preemptions.
#[test]
fn rotation_rounds() {
    check("rotation_rounds", Some(2), || {
        let quantum = Quantum::new(Weight::new(1.0).expect("valid"), 1);
        let ring = Ring::new(ROUNDS - 1, 2, vec![Turns::new(), Turns::new()]);
        ring.rotation.activate(0);
        ring.rotation.activate(1);
        let other = Arc::clone(&ring);
        let other = thread::spawn(move || {
            for _ in 0..2 {
                other.visit(1, 1, |turns, refill| turns.take(refill, quantum));
            }
        });
        for _ in 0..2 {
            ring.visit(0, 1, |turns, refill| turns.take(refill, quantum));
        }
        other.join().unwrap();
        let last = ring.rotation.refill().round;
        let rounds = u64::from(last.wrapping_sub(ROUNDS - 1) % ROUNDS) + 1;
        let mut refills = 0;
        while ring.rotation.refill().round == last {
            let seen = ring.visit(0, 64, |turns, refill| {
                refills += turns.refills(quantum);
                assert!(
                    turns.refills(quantum) <= rounds,
                    "{} in {rounds} rounds",
                    turns.refills(quantum)
                );
                turns.take(refill, quantum);
            });
            if seen == 0 || ring.rotation.refill().round != last {
                break;
            }
        }
        assert!(refills > 0);
        assert_eq!(ring.take_all(), [0, 1]);
    });
}

/// A lane's account, and the rounds in which it was begun.
struct Turns {
    account: Account,
}

impl Turns {
    fn new() -> Turns {
        Turns { account: Account::new() }
    }

    fn take(&mut self, refill: Refill, quantum: Quantum) {
        assert!(refill.leap == 1 && refill.shift == 0);
        self.account.begin(refill, quantum);
    }

    /// Quanta received so far; nothing is ever paid.
    fn refills(&self, quantum: Quantum) -> u64 {
        (self.account.deficit() as f64 / 1e6 / quantum.units()) as u64
    }
}

/// The cursor never goes back: a worker that was about to begin a round that others have left behind
/// begins nothing.
/// Bound: 2 preemptions.
#[test]
fn rotation_cursor() {
    check("rotation_cursor", Some(2), || {
        let ring = Ring::new(ROUNDS - 1, 2, vec![None]);
        ring.rotation.activate(0);
        ring.visit(0, 64, note_round);
        let other = Arc::clone(&ring);
        let other = thread::spawn(move || {
            for _ in 0..3 {
                other.visit(1, 64, note_round);
            }
        });
        ring.visit(0, 64, note_round);
        other.join().unwrap();
        ring.visit(0, 64, note_round);
    });
}

/// Notes the round of a lane's turn; it is at most a few after the last one, never before it.
fn note_round(last: &mut Option<u32>, refill: Refill) {
    let since = last.map_or(0, |last| refill.round.wrapping_sub(last) % ROUNDS);
    assert!(since <= 4, "round {} after {last:?}", refill.round);
    *last = Some(refill.round);
}

/// A worker begins a round with a lane in hand only as long as no other lane waits for its turn,
/// and a lane that comes meanwhile is not lost.
#[test]
fn rotation_alone() {
    check("rotation_alone", None, || {
        let rotation = Arc::new(Rotation::new(64, 1));
        let joined = Arc::new(AtomicU32::new(0));
        rotation.activate(0);
        let (other, flag) = (Arc::clone(&rotation), Arc::clone(&joined));
        let other = thread::spawn(move || {
            other.activate(1);
            flag.store(1, Release);
        });
        let mut claim = rotation.claim(0, 1, 1, 0).expect("a lane waits");
        let right = claim.next_right().expect("the claim is of one lane");
        let mut findings = Findings::default();
        let joined_before = joined.load(Acquire) == 1;
        if rotation.go_round_alone(0, &mut claim, 0) {
            assert!(!joined_before, "a round ends before all have had their turn");
        }
        findings.over(&right);
        let mine = right.lane();
        drop(right);
        rotation.put_back(0, &claim, &findings);
        other.join().unwrap();
        let mut left = Vec::new();
        while let Some(claim) = rotation.claim(0, 64, 64, 0) {
            left.extend(finish(&rotation, 0, claim));
        }
        left.sort_unstable();
        assert_eq!(left, [0, 1], "lane {mine} was claimed first");
    });
}

/// A round is made worth several turns only if it granted nothing at all: one lane grants, whether
/// it stays or leaves, the other is short of `NEED` turns, and whoever begins the next round knows
/// of both.
fn leap(stays: bool) {
    let rotation = Arc::new(Rotation::new(64, 2));
    rotation.activate(0);
    rotation.activate(1);
    let other = Arc::clone(&rotation);
    let other = thread::spawn(move || serve(&other, 1, stays));
    let mine = serve(&rotation, 0, stays);
    let next = rotation.claim(0, 1, 1, 0);
    let theirs = other.join().unwrap();
    let Some(next) = next else { return };
    let granted = [mine, theirs]
        .into_iter()
        .flatten()
        .any(|(round, lane)| lane == 0 && (round + 1) % ROUNDS == next.refill.round);
    assert!(!granted || next.refill.leap == 1, "a granting round leaps");
}

/// See [`leap`]: the lane stays.
/// Bound: 3 preemptions.
#[test]
fn rotation_leap() {
    check("rotation_leap", Some(3), || leap(true));
}

/// See [`leap`]: the lane leaves the rotation, and no insertion orders its grant.
/// Bound: 4 preemptions.
#[test]
fn rotation_leap_over_leaver() {
    check("rotation_leap_over_leaver", Some(4), || leap(false));
}

/// Turns that lane 1 is short of.
const NEED: u32 = 5;

/// Visits one lane: lane 0 grants something, lane 1 does not. Returns the round and the lane.
fn serve(rotation: &Rotation, seat: usize, stays: bool) -> Option<(u32, u32)> {
    let mut claim = rotation.claim(seat, 1, 1, 0)?;
    let round = claim.refill.round;
    let right = claim.next_right().expect("a claim has a lane");
    let lane = right.lane();
    let mut findings = Findings::default();
    if lane == 0 {
        findings.granted = true;
    } else {
        findings.needs(NEED);
    }
    if lane != 0 || stays {
        findings.over(&right);
    }
    rotation.put_back(seat, &claim, &findings);
    Some((round, lane))
}
