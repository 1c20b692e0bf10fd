//! What a run is drawn as: how long its jobs waited, and how many were queued when.
//!
//! It takes the same memory however long the run is. Both are kept apart for the largest tenant and
//! for all others, because what a scheduler does to the others is the point.

use fairlane::Nanos;
use hdrhistogram::Histogram;

/// Most points of a curve; it has at least half as many once the run is longer than they are wide.
const POINTS_MAX: usize = 1_024;
/// Width of a point at first: a run of a millisecond fills the curve.
const FIRST_STEP: Nanos = Nanos(1_000);

/// Whose jobs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// Those of all tenants but the largest, together.
    Others,
    /// Those of the tenant that offered most.
    Largest,
}

impl Part {
    /// The others first, since they are what a scheduler is judged by.
    pub(crate) const ALL: [Part; 2] = [Part::Others, Part::Largest];
}

/// How a run went: jobs waiting over time, and everybody's waits.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    /// Width of a point; doubles when the run outgrows the curve.
    step: Nanos,
    /// Jobs queued less jobs taken out within each point, in the order of [`Part::ALL`].
    changes: Vec<[i64; 2]>,
    /// In the order of [`Part::ALL`].
    parts: [Tally; 2],
}

/// The jobs of a part, all points together.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// How many tenants these are.
    pub(crate) tenants: usize,
    /// Jobs offered, whether they ever began or not.
    pub(crate) offered: u64,
    /// Waits of the served jobs, microseconds.
    pub(crate) waits: Histogram<u32>,
}

impl Default for Course {
    fn default() -> Course {
        let tally = || Tally { tenants: 0, offered: 0, waits: super::histogram() };
        Course { step: FIRST_STEP, changes: Vec::new(), parts: [tally(), tally()] }
    }
}

impl Course {
    /// Notes that a job was queued; the order of notes does not matter.
    pub(super) fn queued(&mut self, at: Nanos, part: Part) {
        self.change(at, part, 1);
    }

    /// Notes that a job was taken out of its queue, to run or because it expired.
    pub(super) fn left(&mut self, at: Nanos, part: Part) {
        self.change(at, part, -1);
    }

    fn change(&mut self, at: Nanos, part: Part, by: i64) {
        while at.0 / self.step.0 >= POINTS_MAX as u64 {
            self.changes = self.changes.chunks(2).map(sum).collect();
            self.step = Nanos(self.step.0.saturating_mul(2));
        }
        let point = (at.0 / self.step.0) as usize;
        if point >= self.changes.len() {
            self.changes.resize(point + 1, [0; 2]);
        }
        self.changes[point][part as usize] += by;
    }

    /// Whose jobs these were, and how long they waited.
    pub(crate) fn of(&self, part: Part) -> &Tally {
        &self.parts[part as usize]
    }

    pub(super) fn of_mut(&mut self, part: Part) -> &mut Tally {
        &mut self.parts[part as usize]
    }

    /// The waits of all served jobs, microseconds.
    pub(crate) fn waits(&self) -> Histogram<u32> {
        let mut all = super::histogram();
        self.parts.iter().for_each(|tally| add(&mut all, &tally.waits));
        all
    }

    /// Jobs of a part that are queued at the end of each step, with the moment of that end. A job
    /// that is handed back counts until the end.
    pub(crate) fn depth(&self, part: Part) -> impl Iterator<Item = (Nanos, u64)> {
        self.sums(move |change| change[part as usize])
    }

    /// The most jobs waiting at the end of any step.
    pub(crate) fn peak(&self) -> u64 {
        self.sums(|change| change.iter().sum()).map(|(_, waiting)| waiting).max().unwrap_or(0)
    }

    fn sums(&self, pick: impl Fn(&[i64; 2]) -> i64) -> impl Iterator<Item = (Nanos, u64)> {
        let ends = (1..).map(|point| Nanos(self.step.0.saturating_mul(point)));
        let mut waiting = 0_i64;
        ends.zip(&self.changes).map(move |(end, change)| {
            waiting += pick(change);
            (end, waiting.max(0) as u64)
        })
    }
}

impl Tally {
    pub(super) fn add_tenant(&mut self, offered: u64) {
        self.tenants += 1;
        self.offered += offered;
    }

    pub(super) fn add_waits(&mut self, micros: &Histogram<u32>) {
        add(&mut self.waits, micros);
    }
}

fn add(sum: &mut Histogram<u32>, more: &Histogram<u32>) {
    sum.add(more).expect("a histogram that grows takes in any other");
}

/// Adds the changes of neighbouring points up.
fn sum(points: &[[i64; 2]]) -> [i64; 2] {
    points.iter().fold([0; 2], |sum, change| [sum[0] + change[0], sum[1] + change[1]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_what_was_queued_and_not_begun_in_whatever_order_it_is_told() {
        let mut course = Course::default();
        (0..10).for_each(|_| course.left(Nanos(5_000), Part::Others));
        (0..30).for_each(|_| course.queued(Nanos(200), Part::Others));
        (0..7).for_each(|_| course.queued(Nanos(1_000), Part::Largest));
        let depth: Vec<(Nanos, u64)> = course.depth(Part::Others).collect();
        assert_eq!(depth.first(), Some(&(Nanos(1_000), 30)));
        assert_eq!(depth.last(), Some(&(Nanos(6_000), 20)));
        let largest = course.depth(Part::Largest).map(|(_, waiting)| waiting);
        assert_eq!(largest.collect::<Vec<u64>>(), [0, 7, 7, 7, 7, 7]);
        assert_eq!(course.peak(), 37);
    }

    #[test]
    fn a_long_run_keeps_its_shape_in_as_many_points() {
        let mut course = Course::default();
        let day = 86_400_000_000_000_u64;
        // A triangle: one more each second until noon, one less until midnight.
        for second in 0..43_200 {
            let part = Part::ALL[second as usize % 2];
            course.queued(Nanos(second * 1_000_000_000), part);
            course.left(Nanos(day - 1 - second * 1_000_000_000), part);
        }
        let points = course.depth(Part::Others).count();
        assert!((POINTS_MAX / 2..=POINTS_MAX).contains(&points), "{points}");
        assert!((43_100..=43_200).contains(&course.peak()), "{}", course.peak());
        for part in Part::ALL {
            assert_eq!(course.depth(part).last().map(|(_, waiting)| waiting), Some(0));
            let most = course.depth(part).map(|(_, waiting)| waiting).max().unwrap();
            assert!((21_500..=21_600).contains(&most), "{most}");
        }
    }

    #[test]
    fn parts_have_waits_of_their_own_and_all_together() {
        let mut course = Course::default();
        for (part, wait) in [(Part::Largest, 9_000), (Part::Others, 10), (Part::Others, 20)] {
            let mut waits = super::super::histogram();
            waits.record(wait).unwrap();
            course.of_mut(part).add_tenant(5);
            course.of_mut(part).add_waits(&waits);
        }
        let [others, largest] = Part::ALL.map(|part| course.of(part));
        assert_eq!((largest.tenants, largest.offered, largest.waits.len()), (1, 5, 1));
        assert_eq!((others.tenants, others.offered, others.waits.max()), (2, 10, 20));
        assert_eq!(course.waits().len(), 3);
    }
}
