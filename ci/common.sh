# Sourced by the scripts beside it: stages with their times, and one summary of all tests.
#
# A stage that lacks a tool prints a line "SKIPPED: why" and succeeds; the summary names it. With
# FAIRLANE_SKIPS=fail, where every tool is to be had, it counts as a failure.

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TERM_COLOR=never

# The tools of the models share one place for their build output.
loom_tools=(--manifest-path loom-tests/runner/Cargo.toml --target-dir loom-tests/target/tools)

results=$(mktemp)
trap finish EXIT

# stage NAME COMMAND...: runs the command and says how long it took.
stage() {
    local name=$1 started=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    "$@"
    printf '== %s: %s s\n' "$name" "$((SECONDS - started))"
}

# The same for a command whose output ends with counts of tests, or that may be skipped.
test_stage() {
    local name=$1
    shift
    printf 'stage: %s\n' "$name" >>"$results"
    stage "$name" counted "$@"
}

counted() {
    "$@" 2>&1 | tee -a "$results"
}

# Runs the tests of the workspace, all of them even when some fail.
workspace_tests() {
    if cargo nextest --version >/dev/null 2>&1; then
        cargo nextest run --workspace --no-fail-fast "$@"
    else
        cargo test --workspace --no-fail-fast --lib --bins --tests --examples "$@"
    fi
}

loom_runner() {
    cargo run --quiet --locked "${loom_tools[@]}" -- "$@"
}

# Shuttle's schedules; FAIRLANE_SHUTTLE_RUNS says how many.
schedules() {
    cargo test --locked --manifest-path shuttle-tests/Cargo.toml --test schedules
}

# The last line: the counts of cargo-nextest, cargo test, the loom runner and ci/tsan.sh, added up, and one for
# each stage that was skipped. A stage that failed without counting anything, such as a lint, counts as one
# failure. The line before says which stages were skipped.
finish() {
    local code=$?
    printf '\nall stages: %s s\n' "$SECONDS"
    awk -v code="$code" -v skips="${FAIRLANE_SKIPS:-count}" '
        /^stage: / { stage = substr($0, 8) }
        /^SKIPPED: / {
            missing++
            names = names (missing > 1 ? "; " : ", ") stage " (" substr($0, 10) ")"
        }
        /^ *Summary \[.*run:/ || /^test result:/ || /^[0-9]+ passed, [0-9]+ failed$/ {
            for (i = 1; i < NF; i++) {
                if ($i !~ /^[0-9]+$/) continue
                if ($(i + 1) ~ /^passed/) passed += $i
                if ($(i + 1) ~ /^(failed|timed|exec)/) failed += $i
                if ($(i + 1) ~ /^(skipped|ignored)/) skipped += $i
            }
        }
        END {
            if (skips == "fail") failed += missing
            else skipped += missing
            if (code != 0 && failed == 0) failed = 1
            printf "stages skipped: %d%s\n", missing, names
            printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
            exit skips == "fail" && missing > 0
        }' "$results" || code=$((code ? code : 1))
    rm -f "$results"
    exit "$code"
}
