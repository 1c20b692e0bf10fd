//! Lines that are a little out of order, put in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::time::Moment;

/// How far out of order a line may be, in nanoseconds of the log's time: a minute.
pub(super) const REACH: i64 = 60_000_000_000;
/// Most jobs held back at once, about 32 MB. In a log denser than this many lines a minute, lines
/// are put in order over as many lines instead.
pub(super) const HELD_MAX: usize = 1 << 20;

/// One job of a log, in order of time, then of line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Arrival {
    pub(super) at: Moment,
    line: u64,
    /// The tenant's number.
    pub(super) tenant: u32,
    /// Cost units.
    pub(super) cost: u32,
}

/// Tells how early a line may still be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floor {
    at: Moment,
    /// Lines that were earlier, and were moved to the floor.
    late: u64,
}

impl Default for Floor {
    fn default() -> Floor {
        Floor { at: Moment::MIN, late: 0 }
    }
}

impl Floor {
    /// The line's moment, or the floor when that is later.
    pub(super) fn admit(&mut self, at: Moment) -> Moment {
        self.at = self.at.max(at.saturating_sub(REACH));
        self.late += u64::from(at < self.at);
        at.max(self.at)
    }
}

/// Holds jobs back until no earlier one can come.
#[derive(Debug)]
pub(super) struct Reorder {
    held: BinaryHeap<Reverse<Arrival>>,
    held_max: usize,
    floor: Floor,
    lines: u64,
}

impl Reorder {
    pub(super) fn new(held_max: usize) -> Reorder {
        Reorder { held: BinaryHeap::new(), held_max, floor: Floor::default(), lines: 0 }
    }

    /// Takes the next line in.
    pub(super) fn push(&mut self, at: Moment, tenant: u32, cost: u32) {
        let at = self.floor.admit(at);
        self.held.push(Reverse(Arrival { at, line: self.lines, tenant, cost }));
        self.lines += 1;
    }

    /// The earliest job, once no earlier one can come.
    pub(super) fn pop_due(&mut self) -> Option<Arrival> {
        let Reverse(first) = self.held.peek()?;
        if first.at > self.floor.at && self.held.len() <= self.held_max {
            return None;
        }
        let first = self.pop()?;
        self.floor.at = self.floor.at.max(first.at);
        Some(first)
    }

    /// The earliest job, when no more lines come.
    pub(super) fn pop(&mut self) -> Option<Arrival> {
        self.held.pop().map(|Reverse(first)| first)
    }

    /// Lines that came too late to be put in order.
    pub(super) fn late(&self) -> u64 {
        self.floor.late
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// The seconds and lines that come out, and how many were late.
    fn through(seconds: &[i64], held_max: usize) -> (Vec<(i64, u64)>, u64) {
        let mut reorder = Reorder::new(held_max);
        let mut out = Vec::new();
        for at in seconds {
            reorder.push(at * SECOND, 0, 1);
            while let Some(arrival) = reorder.pop_due() {
                out.push(arrival);
            }
        }
        out.extend(std::iter::from_fn(|| reorder.pop()));
        (out.iter().map(|a| (a.at / SECOND, a.line)).collect(), reorder.late())
    }

    #[test]
    fn lines_within_a_minute_are_put_in_order_and_equals_keep_theirs() {
        let (out, late) = through(&[100, 40, 160, 100, 159], 99);
        assert_eq!(out, [(40, 1), (100, 0), (100, 3), (159, 4), (160, 2)]);
        assert_eq!(late, 0);
    }

    #[test]
    fn later_lines_are_moved_to_a_minute_before_the_newest_and_counted() {
        let (out, late) = through(&[100, 39, 200, 1], 99);
        assert_eq!(out, [(40, 1), (100, 0), (140, 3), (200, 2)]);
        assert_eq!(late, 2);
    }

    #[test]
    fn what_comes_out_never_steps_back_however_few_are_held() {
        let seconds: Vec<i64> = (0..2_000).map(|i| (i * 7_919) % 500).collect();
        for held_max in [0, 1, 10, 10_000] {
            let (out, late) = through(&seconds, held_max);
            assert_eq!(out.len(), seconds.len());
            assert!(out.is_sorted_by_key(|(at, _)| *at), "{held_max}");
            assert!(late > 0);
        }
    }

    #[test]
    fn moments_at_the_ends_of_time_do_no_harm() {
        let mut floor = Floor::default();
        assert_eq!(floor.admit(Moment::MIN), Moment::MIN);
        assert_eq!(floor.admit(Moment::MAX), Moment::MAX);
        assert_eq!(floor.admit(0), Moment::MAX - REACH);
    }
}
