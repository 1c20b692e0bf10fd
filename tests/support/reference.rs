//! Deficit round robin as in the paper (Shreedhar and Varghese, 1995), as plainly as possible.

use crate::queue::{Pick, Queue};
use std::collections::VecDeque;

/// Visits its lanes in order, each for one turn a round. Balances in thousandths of a cost unit.
pub(crate) struct Reference {
    lanes: Vec<Lane>,
    /// Whose turn it is, and whether that turn has begun.
    at: usize,
    begun: bool,
}

struct Lane {
    jobs: VecDeque<Pick>,
    submitted: u32,
    quantum: u64,
    deficit: u64,
}

impl Reference {
    pub(crate) fn new(weights: &[f64], base: u32) -> Reference {
        let lane = |weight: &f64| Lane {
            jobs: VecDeque::new(),
            submitted: 0,
            quantum: (weight * 1_000.0).round() as u64 * u64::from(base),
            deficit: 0,
        };
        Reference { lanes: weights.iter().map(lane).collect(), at: 0, begun: false }
    }

    fn next(&mut self) -> Option<Pick> {
        if self.lanes.iter().all(|lane| lane.jobs.is_empty()) {
            return None;
        }
        loop {
            let lane = &mut self.lanes[self.at];
            if !self.begun {
                self.begun = true;
                lane.deficit += lane.quantum;
            }
            match lane.jobs.front() {
                Some(job) if lane.deficit >= u64::from(job.cost) * 1_000 => {
                    lane.deficit -= u64::from(job.cost) * 1_000;
                    return lane.jobs.pop_front();
                }
                Some(_) => {}
                None => lane.deficit = 0,
            }
            self.at = (self.at + 1) % self.lanes.len();
            self.begun = false;
        }
    }
}

impl Queue for Reference {
    fn submit(&mut self, lane: usize, cost: u32) -> bool {
        let queue = &mut self.lanes[lane];
        queue.jobs.push_back(Pick { lane, cost, number: queue.submitted });
        queue.submitted += 1;
        true
    }

    fn pick(&mut self, _worker: usize, _now: u64, most: usize) -> Vec<Pick> {
        std::iter::from_fn(|| self.next()).take(most).collect()
    }
}
