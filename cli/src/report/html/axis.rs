//! Where values stand along an axis, and which of them are written beside it.

use fairlane::Nanos;

use super::text::{count, unit_of};

/// Intervals between the marks of an axis of counts and of one of time, at most.
const COUNTS_MAX: u64 = 6;
const MOMENTS_MAX: u64 = 5;
/// Labels that fit beside each other on a telephone.
const LABELS_MAX: usize = 5;

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3_600 * SECOND;

/// Waits that are marked, in nanoseconds: about a decade apart, at values people think in.
const WAITS: [(u64, &str); 14] = [
    (1_000, "1 µs"),
    (10_000, "10 µs"),
    (100_000, "100 µs"),
    (1_000_000, "1 ms"),
    (10_000_000, "10 ms"),
    (100_000_000, "100 ms"),
    (SECOND, "1 s"),
    (10 * SECOND, "10 s"),
    (60 * SECOND, "1 min"),
    (600 * SECOND, "10 min"),
    (HOUR, "1 h"),
    (10 * HOUR, "10 h"),
    (100 * HOUR, "100 h"),
    (1_000 * HOUR, "1000 h"),
];

/// Parts of a whole that are marked, a decade apart.
const PARTS: [&str; 6] = ["100 %", "10 %", "1 %", "0.1 %", "0.01 %", "0.001 %"];

/// A mark on an axis.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Mark {
    /// 0 to 1 along the axis.
    pub(super) at: f64,
    /// Empty where there is no room for one.
    pub(super) label: String,
}

/// An axis of counts from zero to a round value.
pub(super) struct Counts {
    step: u64,
    top: u64,
}

impl Counts {
    /// The shortest axis that reaches `max`.
    pub(super) fn up_to(max: u64) -> Counts {
        let steps = (0..19).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)));
        let fits = |step: &u64| max.div_ceil(*step) <= COUNTS_MAX;
        let step = steps.into_iter().find(fits).unwrap_or(u64::MAX);
        Counts { step, top: max.div_ceil(step).max(1).saturating_mul(step) }
    }

    pub(super) fn place(&self, value: u64) -> f64 {
        value as f64 / self.top as f64
    }

    pub(super) fn marks(&self) -> Vec<Mark> {
        let values = (0..=self.top / self.step).map(|number| number * self.step);
        values.map(|value| Mark { at: self.place(value), label: count(value) }).collect()
    }
}

/// An axis of time from the start of a run to its end.
pub(super) struct Time {
    end: u64,
}

impl Time {
    pub(super) fn until(end: Nanos) -> Time {
        Time { end: end.0.max(1) }
    }

    pub(super) fn place(&self, at: u64) -> f64 {
        at as f64 / self.end as f64
    }

    pub(super) fn marks(&self) -> Vec<Mark> {
        let step = Self::steps().find(|step| self.end / step <= MOMENTS_MAX).unwrap_or(self.end);
        let (unit, name) = unit_of(self.end as f64);
        let label = |at: u64| match at {
            0 => "0".to_owned(),
            at => format!("{} {name}", at as f64 / unit),
        };
        let moments = (0..=self.end / step).map(|number| number * step);
        moments.map(|at| Mark { at: self.place(at), label: label(at) }).collect()
    }

    /// Round spans: decimal below a minute, as clocks have them above.
    fn steps() -> impl Iterator<Item = u64> {
        let small = (0..10).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)));
        let minutes = [10, 30, 60, 120, 300, 600, 1_800].map(|seconds| seconds * SECOND);
        let hours = [1, 2, 6, 12, 24].map(|hours| hours * HOUR);
        let days = (0..5).flat_map(|power| [2, 5, 10].map(|d| d * 10_u64.pow(power) * 24 * HOUR));
        small.chain(minutes).chain(hours).chain(days)
    }
}

/// A logarithmic axis of waits.
pub(super) struct WaitAxis {
    marks: &'static [(u64, &'static str)],
}

impl WaitAxis {
    /// An axis from the mark at or below `min` to the one at or above `max`.
    pub(super) fn over(min: Nanos, max: Nanos) -> WaitAxis {
        let last = WAITS.iter().position(|(at, _)| *at >= max.0).unwrap_or(WAITS.len() - 1).max(1);
        let first = WAITS.iter().rposition(|(at, _)| *at <= min.0).unwrap_or(0).min(last - 1);
        WaitAxis { marks: &WAITS[first..=last] }
    }

    /// Where a wait stands; what is beyond an end stands at it.
    pub(super) fn place(&self, wait: u64) -> f64 {
        let (first, last) = (self.marks[0].0, self.marks[self.marks.len() - 1].0);
        let wait = wait.clamp(first, last);
        (wait as f64 / first as f64).ln() / (last as f64 / first as f64).ln()
    }

    pub(super) fn marks(&self) -> Vec<Mark> {
        let every = self.marks.len().div_ceil(LABELS_MAX);
        let label = |number: usize, text: &str| {
            if number % every == 0 { text.to_owned() } else { String::new() }
        };
        let marks = self.marks.iter().enumerate();
        marks
            .map(|(number, (at, text))| Mark { at: self.place(*at), label: label(number, text) })
            .collect()
    }
}

/// A logarithmic axis of parts of a whole, from all of it down.
pub(super) struct Parts {
    decades: usize,
}

impl Parts {
    /// The shortest axis on which `least` can be told from nothing.
    pub(super) fn down_to(least: f64) -> Parts {
        let reaches = |decades: &usize| 0.1_f64.powi(*decades as i32) <= least * 1.001;
        Parts { decades: (1..PARTS.len()).find(reaches).unwrap_or(PARTS.len() - 1) }
    }

    /// Where a part stands, 0 for the whole, 1 for the least and for nothing.
    pub(super) fn place(&self, part: f64) -> f64 {
        (-part.log10() / self.decades as f64).clamp(0.0, 1.0)
    }

    pub(super) fn marks(&self) -> Vec<Mark> {
        let at = |decade: usize| decade as f64 / self.decades as f64;
        let labels = PARTS[..=self.decades].iter().enumerate();
        labels.map(|(decade, text)| Mark { at: at(decade), label: (*text).to_owned() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(marks: &[Mark]) -> Vec<&str> {
        marks.iter().map(|mark| mark.label.as_str()).collect()
    }

    #[test]
    fn counts_are_marked_at_round_values_and_never_overflow_the_axis() {
        assert_eq!(labels(&Counts::up_to(0).marks()), ["0", "1"]);
        assert_eq!(
            labels(&Counts::up_to(10_000).marks())[1..],
            ["2,000", "4,000", "6,000", "8,000", "10,000"]
        );
        for max in [1, 3, 7, 99, 101, 12_345, 1_000_000_007, u64::MAX] {
            let axis = Counts::up_to(max);
            assert!(axis.place(max) <= 1.0, "{max}");
            assert!((2..=7).contains(&axis.marks().len()), "{max}: {:?}", axis.marks());
        }
    }

    #[test]
    fn time_is_marked_in_one_unit_at_round_values() {
        let at = |end: u64| Time::until(Nanos(end)).marks();
        assert_eq!(labels(&at(2 * SECOND)), ["0", "0.5 s", "1 s", "1.5 s", "2 s"]);
        assert_eq!(labels(&at(300 * SECOND)), ["0", "1 min", "2 min", "3 min", "4 min", "5 min"]);
        assert_eq!(labels(&at(5 * HOUR)), ["0", "1 h", "2 h", "3 h", "4 h", "5 h"]);
        assert_eq!(labels(&at(300_000)), ["0", "100 µs", "200 µs", "300 µs"]);
        for power in 0..19 {
            for end in [1, 3, 7].map(|digit| digit * 10_u64.pow(power)) {
                let marks = at(end);
                assert!((2..=7).contains(&marks.len()), "{end}: {marks:?}");
                assert!(
                    marks.iter().all(|mark| mark.at <= 1.0 && mark.label.len() <= 8),
                    "{marks:?}"
                );
            }
        }
    }

    #[test]
    fn waits_are_marked_about_a_decade_apart_with_room_for_each_label() {
        let axis = WaitAxis::over(Nanos(500_000), Nanos(3_400_000_000));
        let marks = axis.marks();
        assert_eq!(labels(&marks), ["100 µs", "", "10 ms", "", "1 s", ""]);
        assert_eq!((marks[0].at, marks[5].at), (0.0, 1.0));
        let all = WaitAxis::over(Nanos::ZERO, Nanos::MAX).marks();
        assert!(all.iter().filter(|mark| !mark.label.is_empty()).count() <= LABELS_MAX);
        assert_eq!(WaitAxis::over(Nanos(1), Nanos(1)).marks().len(), 2);
        assert_eq!(axis.place(0), 0.0);
    }

    #[test]
    fn parts_reach_down_to_the_least_and_end_there() {
        assert_eq!(labels(&Parts::down_to(0.01).marks()), ["100 %", "10 %", "1 %"]);
        assert_eq!(Parts::down_to(1.0).marks().len(), 2);
        assert_eq!(Parts::down_to(0.0).marks().len(), PARTS.len());
        let axis = Parts::down_to(0.004);
        assert_eq!((axis.place(1.0), axis.place(0.001), axis.place(0.0)), (0.0, 1.0, 1.0));
    }
}
