#!/usr/bin/env bash
# The stress runs under ThreadSanitizer, and mutants of the engine that it must report. Needs no
# nightly toolchain: the compiler is told to take the flag, and the standard library stays as it is.
#
# FAIRLANE_TSAN_JOBS sets the jobs of the large run, 500,000 by default.
set -euo pipefail
cd "$(dirname "$0")/.."

export RUSTC_BOOTSTRAP=1
host=$(rustc -vV | sed -n 's/^host: //p')
flags="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer"
target_dir=${CARGO_TARGET_DIR:-tsan-tests/target}/tsan
stress=$target_dir/$host/release/stress
# Publication of a job, of a lane and of free blocks, and the hand-over of a slot, weakened to Relaxed on either side.
mutants=(ring.publish ring.peek rotation.insert rotation.take pool.give pool.take slots.change)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Whether a program that does nothing compiles and runs under the sanitizer.
is_supported() {
    echo 'fn main() {}' >"$work/empty.rs"
    # shellcheck disable=SC2086
    rustc $flags --target "$host" -o "$work/empty" "$work/empty.rs" 2>"$work/why" && "$work/empty" 2>>"$work/why"
}

# build: for the target only, so that build scripts and macros stay as they are.
build() {
    RUSTFLAGS="${RUSTFLAGS:-} $flags" cargo build --release --quiet --locked \
        --manifest-path tsan-tests/Cargo.toml --target "$host" --target-dir "$target_dir"
}

# run JOBS MUTANT: runs the stress program; a report ends it with code 66.
run() {
    FAIRLANE_STRESS_JOBS=$1 FAIRLANE_MUTANT=$2 \
        TSAN_OPTIONS="halt_on_error=1 exitcode=66 suppressions=tsan-tests/suppressions.txt" "$stress"
}

if ! is_supported; then
    echo "SKIPPED: ThreadSanitizer is not to be had with $(rustc -V) on $host:"
    sed 's/^/    /' "$work/why"
    exit 0
fi

build
run "${FAIRLANE_TSAN_JOBS:-500000}" none
echo "no race reported"
passed=1 failed=0
for mutant in "${mutants[@]}"; do
    code=0
    run 100000 "$mutant" >"$work/$mutant" 2>&1 || code=$?
    if ((code == 66)) && grep -q 'WARNING: ThreadSanitizer: data race' "$work/$mutant"; then
        echo "$mutant: a race is reported, as it should"
        passed=$((passed + 1))
    else
        echo "$mutant: NOT REPORTED (exit code $code)"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
((failed == 0))
