//! Bounds: who is let in.

use crate::checks::{Verdict, fill, take};
use crate::queue::{Fifo, Queue, Setup};
use crate::rng::Rng;
use fairlane::Reason;

/// Eight tenants of four jobs fill the engine; a ninth has none.
fn eight_full() -> crate::queue::Fair {
    let mut queue = Setup::new(&[1.0; 9]).bounds(32, 4).engine();
    (0..8).for_each(|lane| fill(&mut queue, lane, 4, 1));
    queue
}

// [bounds] C-3
#[test]
fn small_bounds_are_exact() {
    let queue = eight_full();
    let refused = |lane: usize| {
        let refusal = queue.engine.submit(queue.tenants[lane], (lane, 9)).unwrap_err();
        (refusal.reason(), refusal.to_string())
    };
    let tenant_full = (Reason::QueueFull, "queue full: 4 of 4 jobs queued".to_owned());
    assert!((0..8).all(|lane| refused(lane) == tenant_full));
    let engine_full = (Reason::EngineFull, "engine full: room for 32 jobs is taken".to_owned());
    assert_eq!(refused(8), engine_full);
}

// [bounds] What was taken out fits in again, to the job.
#[test]
fn after_eight_are_taken_eight_are_accepted() {
    for base in [1, 20] {
        let mut queue = Setup::new(&[1.0; 17]).base(base).bounds(32, 4).engine();
        (0..8).for_each(|lane| fill(&mut queue, lane, 4, 1));
        take(&mut queue, 8);
        let accepted = (8..17).filter(|&lane| queue.submit(lane, 1)).count();
        assert_eq!(accepted, 8, "base {base}");
        assert_eq!(queue.engine.snapshot().depth, 32);
    }
}

// [bounds] The same by tenants that were there before, over many laps.
#[test]
fn a_full_engine_takes_as_many_as_leave() {
    let mut queue = eight_full();
    for lap in 0..100 {
        for pick in take(&mut queue, 8) {
            assert!(queue.submit(pick.lane, 1), "lap {lap}, lane {}", pick.lane);
        }
        assert!((0..9).all(|lane| !queue.submit(lane, 1)), "lap {lap}: one too many");
    }
}

/// One tenant at ten times the capacity, 50 at a hundredth of it each; refused light jobs.
fn light_refused(queue: &mut dyn Queue, steps: u64) -> (u64, u64) {
    let mut rng = Rng(7);
    let (mut offered, mut refused) = (0, 0);
    for step in 0..steps {
        for _ in 0..10 {
            let _ = queue.submit(0, 1);
        }
        for lane in 1..51 {
            if rng.below(1_000_000) < 10_000 {
                offered += 1;
                refused += u64::from(!queue.submit(lane, 1));
            }
        }
        // One job a step, which takes 1 us.
        queue.pick(0, step * 1_000, 1);
    }
    (offered, refused)
}

fn at_most_one_percent((offered, refused): (u64, u64)) -> Verdict {
    let few = refused * 100 <= offered;
    few.then_some(()).ok_or_else(|| format!("{refused} of {offered} light jobs refused"))
}

// [hog_at_the_door] Decision 6
#[test]
fn a_hog_does_not_shut_the_door_on_light_tenants() {
    for bound in [256, 1_000, 2_048] {
        let setup = Setup::new(&[1.0; 51]).bounds(bound, 100_000);
        let light = light_refused(&mut setup.engine(), 20_000);
        at_most_one_percent(light).unwrap_or_else(|problem| panic!("bound {bound}: {problem}"));
        let mut fifo: Fifo = setup.fifo();
        assert!(at_most_one_percent(light_refused(&mut fifo, 5_000)).is_err());
    }
}

// Decision 6: the last eighth is for tenants that hold at most one block.
#[test]
fn a_hog_gets_seven_eighths_and_a_light_tenant_the_rest() {
    let mut queue = Setup::new(&[1.0; 51]).bounds(4_096, 100_000).engine();
    let hog = (0..5_000).filter(|_| queue.submit(0, 1)).count();
    assert!((3_500..=3_616).contains(&hog), "the hog got {hog} of 4,096");
    let light = (1..51).filter(|&lane| queue.submit(lane, 1)).count();
    let free_blocks = (4_096 - hog) / 64;
    assert!(light >= free_blocks.min(50), "{light} light tenants got in");
}

// T-C3, C-23: a job whose cost is not in range never reaches a queue.
#[test]
fn a_cost_out_of_range_is_refused_at_the_door() {
    let mut queue = Setup::new(&[1.0]).engine();
    for cost in [0, 1_000_001, u32::MAX] {
        assert!(!queue.submit(0, cost));
    }
    assert!(queue.submit(0, 1_000_000));
    assert_eq!(queue.engine.snapshot().accepted, 1);
}
