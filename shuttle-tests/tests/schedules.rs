//! The whole engine under schedules that shuttle chooses: at random, and by probabilistic
//! concurrency testing with depth 2 and 3. Nothing here knows the engine's insides: builder,
//! submissions, threads, policy swaps and drains are the public ones, and every thread, lock,
//! atomic and clock behind them is shuttle's (`src/sync/under_shuttle.rs`).
//!
//! README.md says what is set from outside and how a failing schedule is replayed.

#[path = "schedules/gauge.rs"]
mod gauge;
#[path = "schedules/harness.rs"]
mod harness;
#[path = "schedules/limited.rs"]
mod limited;
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
            use super::{harness, limited, scenarios};

            const SIZE: Size = Size { producers: $producers, workers: $workers };

            sized!(@ $size, scenarios::plain, "every accepted job runs once and no wake-up is lost");
            sized!(@ $size, scenarios::swap, "a policy swap loses no job and tears no visit");
            sized!(@ $size, scenarios::shutdown, "a drain accounts for every job and ends all runs");
            sized!(@ $size, scenarios::panics, "a panic is reported once and costs no job");
            sized!(@ $size, scenarios::pulled, "pulled jobs come in each producer's order");
            sized!(@ $size, limited::quota, "no limit is exceeded and no lane stays parked");
            sized!(@ $size, limited::quota_pulled, "no window sees more grants than the rate says");
            sized!(@ $size, limited::deadline, "every job runs or expires, and never early");
            sized!(@ $size, limited::deadline_pulled, "no job is granted at its deadline or later");
            sized!(@ $size, limited::parked, "a drain finds the jobs of parked lanes");
        }
    };
    (@ $size:ident, $room:ident :: $scenario:ident, $claim:literal) => {
        #[doc = $claim]
        #[test]
        fn $scenario() {
            harness::explore(stringify!($room), concat!(stringify!($size), "::", stringify!($scenario)), || {
                $room::$scenario(SIZE)
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
        limited::quota,
        limited::quota_pulled,
        limited::deadline,
        limited::deadline_pulled,
        limited::parked,
    ] {
        harness::check_replays(move || scenario(rig::Size { producers: 2, workers: 2 }));
    }
}
