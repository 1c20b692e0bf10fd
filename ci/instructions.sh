#!/usr/bin/env bash
# Counts the instructions of a submission and of a dispatched job under callgrind, which are the same
# on every machine, and compares them with those on record: a change of more than 2 fails, or of more
# than 1 % where that is more (with one job a lane, allocation and hashing make that much of a
# difference from run to run). With `--record` the figures of this run become those on record.
set -euo pipefail
cd "$(dirname "$0")/.."

record=ci/instructions.txt
most_change=2

if ! command -v valgrind >/dev/null; then
    echo "SKIPPED: counting instructions needs valgrind"
    exit 0
fi
compiler=$(rustc --version)
if [[ ${1:-} != --record ]] && ! grep -qxF "# $compiler" "$record"; then
    echo "SKIPPED: the figures on record are of another compiler: $(head -1 "$record")"
    exit 0
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cargo build --locked --release --package fairlane-instructions
program=${CARGO_TARGET_DIR:-target}/release/fairlane-instructions

# count NAME FUNCTION TENANTS DEPTH [LIMITS]: instructions inside FUNCTION per job.
count() {
    valgrind --tool=callgrind --callgrind-out-file="$scratch/out" --collect-atstart=no \
        --toggle-collect="*$2*" "$program" "${@:3}" 2>&1 |
        awk -v name="$1" '/^[0-9]+$/ { jobs = $1 } /Collected/ { printf "%s %.1f\n", name, $4 / jobs }'
}

{
    echo "# $compiler"
    count submit-backlogged submit_all 8 1024
    count dispatch-backlogged dispatch_all 8 1024
    count submit-one-job-a-lane submit_all 1024 1
    count dispatch-one-job-a-lane dispatch_all 1024 1
    count dispatch-smooth-limits dispatch_all 8 1024 "1000000000 jobs per 1s smooth"
    count dispatch-strict-limits dispatch_all 8 1024 "1000000000 jobs per 1s"
    count dispatch-one-budget dispatch_all 8 1024 budget
} >"$scratch/now"

if [[ ${1:-} == --record ]]; then
    cp "$scratch/now" "$record"
    cat "$record"
    exit 0
fi
awk -v most="$most_change" '
    /^#/ { next }
    NR == FNR { before[$1] = $2; next }
    {
        change = $2 - before[$1]
        allowed = before[$1] / 100 > most ? before[$1] / 100 : most
        ok = $1 in before && change <= allowed && -change <= allowed
        printf "%-4s %-26s %7.1f, on record %7.1f\n", ok ? "ok" : "FAIL", $1, $2, before[$1]
        ok ? passed++ : failed++
    }
    END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 }
' "$record" "$scratch/now"
