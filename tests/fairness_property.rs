//! Decision 1 on random weights, costs, arrivals and workers: for any two lanes, over any interval
//! in which both are backlogged, `|S_i/f_i - S_j/f_j| <= 2Q + m_i/f_i + m_j/f_j` (C-22).
//!
//! The same oracle rejects a FIFO and a round robin that ignores weights.

#[path = "support/cases.rs"]
mod cases;
#[path = "fairness/oracle.rs"]
mod oracle;
#[path = "support/queue.rs"]
mod queue;
#[path = "support/reference.rs"]
mod reference;

use cases::config;
use oracle::{Case, Oracle, Step};
use proptest::collection::vec;
use proptest::prelude::*;
use queue::{Queue, Setup};
use reference::Reference;

/// Thousandths, as the engine keeps them; wide, narrow or equal.
fn weights(lanes: usize) -> impl Strategy<Value = Vec<f64>> {
    let any = (0.0..5.0f64).prop_map(|log| (10.0 * 10f64.powf(log)).round() / 1_000.0);
    let near = (500..2_000u32).prop_map(|thousandths| f64::from(thousandths) / 1_000.0);
    let few = prop::sample::select(vec![1.0, 2.0, 10.0]);
    prop_oneof![vec(any, lanes), vec(near, lanes), vec(few, lanes), Just(vec![1.0; lanes])]
}

/// Costs of one lane: all alike, small with a rare dear one, or anything up to `most`.
fn costs(most: u32) -> impl Strategy<Value = Vec<u32>> {
    let alike = (1..=most).prop_map(|cost| vec![cost]);
    let rare = (1..=most, 2..40usize).prop_map(|(dear, every)| {
        let mut costs = vec![1; every];
        costs[every - 1] = dear;
        costs
    });
    prop_oneof![alike, rare, vec(1..=most, 1..30)]
}

fn most_cost() -> impl Strategy<Value = u32> {
    prop::sample::select(vec![1u32, 3, 10, 100, 10_000, 1_000_000])
}

/// Nanoseconds between ticks: standing still, fast handlers, slow ones.
fn passed() -> impl Strategy<Value = u64> {
    prop::sample::select(vec![0u64, 0, 0, 300, 2_000, 15_000, 1_000_000])
}

fn step(lanes: usize, workers: usize, pace: u64) -> impl Strategy<Value = Step> {
    let arrive = (0..lanes, prop_oneof![1..4u32, 1..60u32]);
    let tick = (0..workers, prop_oneof![Just(1usize), 1..8usize, 1..200usize]);
    prop_oneof![
        1 => arrive.prop_map(|(lane, jobs)| Step::Arrive { lane, jobs }),
        3 => tick.prop_map(move |(worker, most)| {
            Step::Tick { worker, most, passed: pace * most as u64 }
        }),
    ]
}

/// Backlogs at the start, then arrivals and ticks.
fn case(workers: usize) -> impl Strategy<Value = Case> {
    let sizes = (2..12usize, prop::sample::select(vec![1u32, 20, 1_000]), most_cost(), passed());
    sizes.prop_flat_map(move |(lanes, base, most, pace)| {
        let backlogs = vec(0..120u32, lanes);
        let steps = vec(step(lanes, workers, pace), 50..200);
        let costs = vec(costs(most), lanes);
        (weights(lanes), costs, backlogs, steps).prop_map(
            move |(weights, costs, backlogs, steps)| {
                let first = backlogs.into_iter().enumerate();
                let mut all: Vec<Step> =
                    first.map(|(lane, jobs)| Step::Arrive { lane, jobs }).collect();
                all.extend(steps);
                Case { weights, base, workers, costs, steps: all }
            },
        )
    })
}

fn setup(case: &Case) -> Setup {
    Setup::new(&case.weights).base(case.base).workers(case.workers).bounds(100_000, 50_000)
}

fn judge(case: &Case, queue: &mut dyn Queue) -> Result<f64, String> {
    Oracle::new(case).run(queue).map(|oracle| oracle.worst)
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn one_worker_keeps_the_bound_order_and_every_job(case in case(1)) {
        let judged = judge(&case, &mut setup(&case).engine());
        prop_assert!(judged.is_ok(), "{}", judged.unwrap_err());
    }

    #[test]
    fn several_workers_keep_the_bound_order_and_every_job(case in case(4)) {
        let judged = judge(&case, &mut setup(&case).engine());
        prop_assert!(judged.is_ok(), "{}", judged.unwrap_err());
    }
}

/// Lanes that are all backlogged from the start.
fn backlogged() -> impl Strategy<Value = (Vec<f64>, u32, Vec<Vec<u32>>, Vec<u32>)> {
    (1..40usize, prop::sample::select(vec![1u32, 20, 300])).prop_flat_map(|(lanes, base)| {
        let weight = (100..20_000u32).prop_map(|thousandths| f64::from(thousandths) / 1_000.0);
        let costs = vec(prop_oneof![costs(3), costs(50), costs(2_000)], lanes);
        (vec(weight, lanes), Just(base), costs, vec(1..80u32, lanes))
    })
}

fn fill(queue: &mut dyn Queue, costs: &[Vec<u32>], jobs: &[u32]) {
    for (lane, (costs, &jobs)) in costs.iter().zip(jobs).enumerate() {
        for job in 0..jobs as usize {
            assert!(queue.submit(lane, costs[job % costs.len()]));
        }
    }
}

proptest! {
    #![proptest_config(config(256))]

    // Lanes of one word are visited by number, so one worker whose handlers are fast serves in
    // the very order of the paper's algorithm; leaps over barren rounds must not show.
    #[test]
    fn a_backlog_comes_out_in_the_order_of_the_reference(
        (weights, base, costs, jobs) in backlogged(), most in 1..50usize,
    ) {
        let mut engine = Setup::new(&weights).base(base).bounds(100_000, 50_000).warm_engine();
        let mut reference = Reference::new(&weights, base);
        fill(&mut engine, &costs, &jobs);
        fill(&mut reference, &costs, &jobs);
        loop {
            let (got, expected) = (engine.pick(0, 0, most), reference.pick(0, 0, most));
            prop_assert_eq!(&got, &expected);
            if got.is_empty() {
                break;
            }
        }
    }
}

/// Worker 0 learns that handlers are slow and costs small, and halves the quantum; worker 2, which
/// is fast, leaves an empty lane behind, over which worker 0 begins a round that grants nothing.
/// Then dear heads meet worker 1, which has learnt nothing and halves nothing.
fn two_paces() -> Case {
    let tick = |worker, passed| Step::Tick { worker, most: 1, passed };
    let mut steps = vec![Step::Arrive { lane: 0, jobs: 90 }];
    steps.extend((0..60).map(|_| tick(0, 1_000_000)));
    steps.extend((0..30).map(|_| tick(2, 0)));
    steps.push(tick(0, 1_000_000));
    steps.extend([1, 2].map(|lane| Step::Arrive { lane, jobs: 60 }));
    steps.extend((0..100).map(|_| tick(1, 0)));
    let costs = vec![vec![1], vec![1_000], vec![1_000]];
    Case { weights: vec![1.0; 3], base: 20, workers: 3, costs, steps }
}

// Decision 2: a leap over barren rounds is as many turns as some head needs. Turns counted with a
// halved quantum must not be paid out in whole ones.
#[test]
fn a_leap_is_worth_the_same_whichever_worker_begins_the_round() {
    let case = two_paces();
    judge(&case, &mut setup(&case).engine()).unwrap();
}

/// Two lanes with weights 1 and 10 that stay backlogged for long, with mixed costs.
fn long_case() -> Case {
    let mut steps: Vec<Step> = (0..2).map(|lane| Step::Arrive { lane, jobs: 2_000 }).collect();
    steps.extend((0..1_500).map(|_| Step::Tick { worker: 0, most: 1, passed: 0 }));
    let costs = vec![vec![1, 5, 2], vec![3, 1, 9, 4]];
    Case { weights: vec![1.0, 10.0], base: 2, workers: 1, costs, steps }
}

#[test]
fn the_oracle_accepts_the_reference() {
    let case = long_case();
    let worst = judge(&case, &mut Reference::new(&case.weights, case.base)).unwrap();
    assert!(worst > 0.3, "a bound that is never approached tests nothing: {worst}");
}

#[test]
fn the_oracle_rejects_a_fifo() {
    let case = long_case();
    let problem = judge(&case, &mut setup(&case).fifo()).unwrap_err();
    assert!(problem.contains("the bound is"), "{problem}");
}

#[test]
fn the_oracle_rejects_a_round_robin_that_ignores_weights() {
    let case = long_case();
    let problem = judge(&case, &mut Reference::new(&[1.0, 1.0], case.base)).unwrap_err();
    assert!(problem.contains("the bound is"), "{problem}");
}

/// Drops, repeats or swaps jobs on the way out.
struct Broken<Q>(Q, fn(&mut Vec<queue::Pick>));

impl<Q: Queue> Queue for Broken<Q> {
    fn submit(&mut self, lane: usize, cost: u32) -> bool {
        self.0.submit(lane, cost)
    }

    fn pick(&mut self, worker: usize, now: u64, most: usize) -> Vec<queue::Pick> {
        let mut picks = self.0.pick(worker, now, most);
        self.1(&mut picks);
        picks
    }
}

#[test]
fn the_oracle_rejects_lost_repeated_and_reordered_jobs_and_idleness() {
    let mut case = long_case();
    case.steps.push(Step::Tick { worker: 0, most: 8, passed: 0 });
    let broken = |by: fn(&mut Vec<queue::Pick>)| {
        let mut queue = Broken(Reference::new(&case.weights, case.base), by);
        judge(&case, &mut queue).unwrap_err()
    };
    let lost = broken(|picks| {
        if picks.len() > 3 {
            picks.remove(1);
        }
    });
    assert!(lost.contains("is next"), "{lost}");
    let repeated = broken(|picks| {
        if picks.len() > 3 {
            picks[1] = picks[0];
        }
    });
    assert!(repeated.contains("is next"), "{repeated}");
    let more = broken(|picks| picks.extend_from_within(..));
    assert!(more.contains("asked for"), "{more}");
    let swapped = broken(|picks| picks.reverse());
    assert!(swapped.contains("is next"), "{swapped}");
    let idle = broken(|picks| {
        if picks.len() > 3 {
            picks.clear()
        }
    });
    assert!(idle.contains("nothing was granted"), "{idle}");
}
