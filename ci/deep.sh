#!/usr/bin/env bash
# Hours rather than minutes: the same claims with more cases, more jobs and more interleavings.
# Every bound can be set from outside.
set -euo pipefail
source "$(dirname "$0")/common.sh"

# As the release profile has it, each of 26 test programs is optimized as a whole, and takes twice as long to
# build.
export CARGO_PROFILE_RELEASE_LTO=${CARGO_PROFILE_RELEASE_LTO:-false}
export CARGO_PROFILE_RELEASE_CODEGEN_UNITS=${CARGO_PROFILE_RELEASE_CODEGEN_UNITS:-16}

export PROPTEST_CASES=${PROPTEST_CASES:-20000}
export FAIRLANE_CASES=${FAIRLANE_CASES:-$PROPTEST_CASES}
export FAIRLANE_STRESS_JOBS=${FAIRLANE_STRESS_JOBS:-200000000}
export FAIRLANE_SIM_SEEDS=${FAIRLANE_SIM_SEEDS:-30000}
export FAIRLANE_LOOM_EXTRA_PREEMPTIONS=${FAIRLANE_LOOM_EXTRA_PREEMPTIONS:-1}
export FAIRLANE_LOOM_SECONDS=${FAIRLANE_LOOM_SECONDS:-14400}
export FAIRLANE_SHUTTLE_RUNS=${FAIRLANE_SHUTTLE_RUNS:-100000}
export FAIRLANE_TSAN_JOBS=${FAIRLANE_TSAN_JOBS:-20000000}

test_stage "tests, release" workspace_tests --release --locked
test_stage "loom models and mutants, $FAIRLANE_LOOM_EXTRA_PREEMPTIONS more preemptions" loom_runner check
test_stage "schedules of the whole engine, $FAIRLANE_SHUTTLE_RUNS a scheduler" schedules
test_stage "ThreadSanitizer, $FAIRLANE_TSAN_JOBS jobs" ci/tsan.sh

# The comparison needs no wider bounds: what stock loom misses, it misses by construction.
unset FAIRLANE_LOOM_EXTRA_PREEMPTIONS
stage "mutants under stock loom" loom_runner stock
