#!/usr/bin/env bash
# Everything that has to hold before a change goes in. Needs a Rust toolchain with rustfmt and
# clippy, and no more; cargo-nextest runs the tests where it is installed.
set -euo pipefail
source "$(dirname "$0")/common.sh"

format() {
    cargo fmt --all -- --check
    # Reaches the models through the engine's lib.rs, and loom-prepare as a path dependency.
    cargo fmt --all --manifest-path loom-tests/runner/Cargo.toml -- --check
    cargo fmt --all --manifest-path shuttle-tests/Cargo.toml -- --check
    cargo fmt --all --manifest-path tsan-tests/Cargo.toml -- --check
}

lint() {
    cargo clippy --locked --workspace --all-targets -- -D warnings
    # The workspace as a whole turns every feature on.
    cargo clippy --locked --package fairlane --no-default-features -- -D warnings
    cargo clippy --locked "${loom_tools[@]}" --all-targets -- -D warnings
    cargo clippy --locked --manifest-path shuttle-tests/Cargo.toml --lib --test schedules -- -D warnings
    cargo clippy --locked --manifest-path tsan-tests/Cargo.toml --lib --bins -- -D warnings
}

documentation() {
    RUSTDOCFLAGS=-Dwarnings cargo doc --locked --workspace --no-deps
}

examples() {
    cargo build --locked --workspace --examples
    for example in quickstart own_threads policy_swap quotas; do
        "${CARGO_TARGET_DIR:-target}/debug/examples/$example" >/dev/null
    done
}

tool_tests() {
    cargo test --quiet --locked "${loom_tools[@]}"
    cargo test --quiet --locked --lib --manifest-path loom-tests/prepare/Cargo.toml --target-dir loom-tests/target/tools
}

stage "format" format
stage "lint" lint
stage "documentation" documentation
test_stage "tests" workspace_tests --locked
test_stage "examples in the documentation" cargo test --locked --workspace --doc
stage "examples" examples
test_stage "pages in a browser" ./ci/page.sh
test_stage "instructions" ./ci/instructions.sh
test_stage "tests of the loom tools" tool_tests
test_stage "loom models and mutants" loom_runner check
test_stage "schedules of the whole engine" schedules
test_stage "ThreadSanitizer" ci/tsan.sh
