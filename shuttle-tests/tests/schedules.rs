//! The whole engine under schedules that shuttle chooses: at random, and by probabilistic
//! concurrency testing with depth 2 and 3. Nothing here knows the engine's insides: builder,
//! submissions, threads, policy swaps and drains are the public ones, and every thread, lock,
//! atomic and clock behind them is shuttle's (`src/sync/under_shuttle.rs`).
//!
//! README.md says what is set from outside and how a failing schedule is replayed.

#[path = "schedules/harness.rs"]
mod harness;
#[path = "schedules/load.rs"]
mod load;
#[path = "schedules/mutants.rs"]
mod mutants;
#[path = "schedules/producer.rs"]
mod producer;
#[path = "schedules/register.rs"]
mod register;
#[path = "schedules/rig.rs"]
mod rig;
#[path = "schedules/scenarios.rs"]
mod scenarios;

/// Every scenario in one size.
macro_rules! sized {
    ($size:ident, $producers:literal, $workers:literal) => {
        mod $size {
            use super::rig::Size;
            use super::{harness, scenarios};

            const SIZE: Size = Size { producers: $producers, workers: $workers };

            sized!(@ $size, plain, "every accepted job runs once and no wake-up is lost");
            sized!(@ $size, swap, "a policy swap loses no job and tears no visit");
            sized!(@ $size, shutdown, "a drain accounts for every job and ends all runs");
            sized!(@ $size, panics, "a panic is reported once and costs no job");
            sized!(@ $size, pulled, "pulled jobs come in each producer's order");
        }
    };
    (@ $size:ident, $scenario:ident, $claim:literal) => {
        #[doc = $claim]
        #[test]
        fn $scenario() {
            harness::explore(concat!(stringify!($size), "::", stringify!($scenario)), || {
                scenarios::$scenario(SIZE)
            });
        }
    };
}

// With one worker nobody makes up for a wake-up that is lost.
sized!(p2w1, 2, 1);
sized!(p2w2, 2, 2);
sized!(p3w3, 3, 3);

/// What a schedule fixes is all that an execution depends on, so that a replay shows the same.
#[test]
fn an_execution_follows_from_its_schedule() {
    for scenario in [
        scenarios::plain,
        scenarios::swap,
        scenarios::shutdown,
        scenarios::panics,
        scenarios::pulled,
    ] {
        harness::check_replays(move || scenario(rig::Size { producers: 2, workers: 2 }));
    }
}
