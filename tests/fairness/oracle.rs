//! Judges a run: the bound of decision 1, conservation, order, work conservation.

use crate::queue::{Pick, Queue};
use std::collections::VecDeque;

/// What a run does, one step after the other.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// `jobs` jobs of a lane arrive; their costs cycle through the case's.
    Arrive { lane: usize, jobs: u32 },
    /// A worker asks for jobs after some time.
    Tick { worker: usize, most: usize, passed: u64 },
}

/// A whole run.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) weights: Vec<f64>,
    /// The quantum per unit weight.
    pub(crate) base: u32,
    pub(crate) workers: usize,
    /// Costs of each lane's jobs, in a cycle.
    pub(crate) costs: Vec<Vec<u32>>,
    pub(crate) steps: Vec<Step>,
}

/// What `d = S_i/f_i - S_j/f_j` has been since both lanes became backlogged.
#[derive(Clone, Copy)]
struct Window {
    now: f64,
    low: f64,
    high: f64,
}

impl Window {
    const NEW: Window = Window { now: 0.0, low: 0.0, high: 0.0 };

    /// Moves by `by`; returns the widest difference over any interval of the window.
    fn moves(&mut self, by: f64) -> f64 {
        self.now += by;
        self.low = self.low.min(self.now);
        self.high = self.high.max(self.now);
        self.high - self.low
    }
}

/// Follows a run.
pub(crate) struct Oracle<'a> {
    case: &'a Case,
    waiting: Vec<VecDeque<(u32, u32)>>,
    submitted: Vec<u32>,
    /// Windows of the pairs `i < j`, by `i * lanes + j`.
    windows: Vec<Window>,
    /// The largest difference seen, as a part of its bound.
    pub(crate) worst: f64,
}

impl<'a> Oracle<'a> {
    pub(crate) fn new(case: &'a Case) -> Self {
        let lanes = case.weights.len();
        Oracle {
            case,
            waiting: vec![VecDeque::new(); lanes],
            submitted: vec![0; lanes],
            windows: vec![Window::NEW; lanes * lanes],
            worst: 0.0,
        }
    }

    /// Runs the case, then takes out what is left.
    pub(crate) fn run(mut self, queue: &mut dyn Queue) -> Result<Self, String> {
        let mut now = 0;
        for step in &self.case.steps {
            match *step {
                Step::Arrive { lane, jobs } => self.arrive(queue, lane, jobs),
                Step::Tick { worker, most, passed } => {
                    now += passed;
                    self.tick(queue, worker, now, most)?;
                }
            }
        }
        for left in 0.. {
            if self.queued() == 0 {
                break;
            }
            self.tick(queue, left % self.case.workers, now, 64)?;
        }
        let rest = queue.pick(0, now, 1);
        if rest.is_empty() { Ok(self) } else { Err(format!("{rest:?} came out of nothing")) }
    }

    fn queued(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }

    fn arrive(&mut self, queue: &mut dyn Queue, lane: usize, jobs: u32) {
        if self.waiting[lane].is_empty() && jobs > 0 {
            self.restart(lane);
        }
        for _ in 0..jobs {
            let number = self.submitted[lane];
            let costs = &self.case.costs[lane];
            let cost = costs[number as usize % costs.len()];
            assert!(queue.submit(lane, cost), "the bounds are wide");
            self.waiting[lane].push_back((number, cost));
            self.submitted[lane] += 1;
        }
    }

    fn tick(
        &mut self,
        queue: &mut dyn Queue,
        worker: usize,
        now: u64,
        most: usize,
    ) -> Result<(), String> {
        let queued = self.queued();
        let picks = queue.pick(worker, now, most);
        if picks.is_empty() && queued > 0 {
            return Err(format!("nothing was granted while {queued} jobs wait"));
        }
        if picks.len() > most {
            return Err(format!("{} jobs granted, {most} asked for", picks.len()));
        }
        picks.into_iter().try_for_each(|pick| self.granted(pick))
    }

    fn granted(&mut self, pick: Pick) -> Result<(), String> {
        let next = self.waiting[pick.lane].pop_front();
        if next != Some((pick.number, pick.cost)) {
            return Err(format!("{pick:?} came, {next:?} of its lane is next"));
        }
        let by = f64::from(pick.cost) / self.case.weights[pick.lane];
        for other in 0..self.waiting.len() {
            if other != pick.lane && !self.waiting[other].is_empty() {
                self.compare(pick.lane, other, by)?;
            }
        }
        Ok(())
    }

    fn compare(&mut self, lane: usize, other: usize, by: f64) -> Result<(), String> {
        let (i, j) = (lane.min(other), lane.max(other));
        let by = if lane == i { by } else { -by };
        let lanes = self.waiting.len();
        let wide = self.windows[i * lanes + j].moves(by);
        let bound = self.bound(i, j);
        self.worst = self.worst.max(wide / bound);
        if wide > bound * (1.0 + 1e-9) {
            return Err(format!("lanes {i} and {j} differ by {wide:.3}, the bound is {bound:.3}"));
        }
        Ok(())
    }

    /// `2Q + m_i/f_i + m_j/f_j`
    fn bound(&self, i: usize, j: usize) -> f64 {
        let dearest = |lane: usize| {
            let most = self.case.costs[lane].iter().max().expect("a lane has costs");
            f64::from(*most) / self.case.weights[lane]
        };
        2.0 * f64::from(self.case.base) + dearest(i) + dearest(j)
    }

    /// The lane becomes backlogged: its intervals begin anew.
    fn restart(&mut self, lane: usize) {
        let lanes = self.waiting.len();
        for other in 0..lanes {
            let (i, j) = (lane.min(other), lane.max(other));
            self.windows[i * lanes + j] = Window::NEW;
        }
    }
}
