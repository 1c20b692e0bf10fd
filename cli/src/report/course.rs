use fairlane::Nanos;
use hdrhistogram::Histogram;

/// Most points of a curve; it has at least half as many once the run is longer than they are wide.
const POINTS_MAX: usize = 2_048;
/// Width of a point at first: a run of a tenth of a second fills the curve.
const FIRST_STEP: Nanos = Nanos(50_000);

/// How a run went: jobs waiting over time, and everybody's waits.
///
/// It takes the same memory however long the run is.
#[derive(Clone, Debug)]
pub(crate) struct Course {
    /// Width of a point; doubles when the run outgrows the curve.
    step: Nanos,
    /// Jobs queued less jobs begun within each point.
    changes: Vec<i64>,
    /// Waits of all served jobs, microseconds.
    pub(crate) waits: Histogram<u32>,
}

impl Default for Course {
    fn default() -> Course {
        Course { step: FIRST_STEP, changes: Vec::new(), waits: super::histogram() }
    }
}

impl Course {
    /// Notes that a job was queued; the order of notes does not matter.
    pub(super) fn queued(&mut self, at: Nanos) {
        self.change(at, 1);
    }

    /// Notes that a job was taken out of its queue.
    pub(super) fn begun(&mut self, at: Nanos) {
        self.change(at, -1);
    }

    fn change(&mut self, at: Nanos, by: i64) {
        while at.0 / self.step.0 >= POINTS_MAX as u64 {
            self.changes = self.changes.chunks(2).map(|pair| pair.iter().sum()).collect();
            self.step = Nanos(self.step.0.saturating_mul(2));
        }
        let point = (at.0 / self.step.0) as usize;
        if point >= self.changes.len() {
            self.changes.resize(point + 1, 0);
        }
        self.changes[point] += by;
    }

    /// Jobs waiting at the end of each step, with the moment of that end.
    pub(crate) fn depth(&self) -> impl Iterator<Item = (Nanos, u64)> {
        let ends = (1..).map(|point| Nanos(self.step.0.saturating_mul(point)));
        let mut waiting = 0_i64;
        ends.zip(&self.changes).map(move |(end, change)| {
            waiting += change;
            (end, waiting.max(0) as u64)
        })
    }

    /// The most jobs waiting at the end of any step.
    pub(crate) fn peak(&self) -> u64 {
        self.depth().map(|(_, waiting)| waiting).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_what_was_queued_and_not_begun_in_whatever_order_it_is_told() {
        let mut course = Course::default();
        (0..10).for_each(|_| course.begun(Nanos(250_000)));
        (0..30).for_each(|_| course.queued(Nanos(10_000)));
        let depth: Vec<(Nanos, u64)> = course.depth().collect();
        assert_eq!(depth.first(), Some(&(Nanos(50_000), 30)));
        assert_eq!(depth.last(), Some(&(Nanos(300_000), 20)));
        assert_eq!(course.peak(), 30);
    }

    #[test]
    fn a_long_run_keeps_its_shape_in_as_many_points() {
        let mut course = Course::default();
        let day = 86_400_000_000_000_u64;
        // A triangle: one more each second until noon, one less until midnight.
        for second in 0..43_200 {
            course.queued(Nanos(second * 1_000_000_000));
            course.begun(Nanos(day - 1 - second * 1_000_000_000));
        }
        let points = course.depth().count();
        assert!((POINTS_MAX / 2..=POINTS_MAX).contains(&points), "{points}");
        assert!((43_100..=43_200).contains(&course.peak()), "{}", course.peak());
        assert_eq!(course.depth().last().map(|(_, waiting)| waiting), Some(0));
    }
}
