//! How many cases property tests run.

use proptest::prelude::ProptestConfig;

/// So many cases, or as many as `FAIRLANE_CASES` says, for deeper runs. Failing cases are reported in full;
/// nothing is written beside the sources.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    let cases = std::env::var("FAIRLANE_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(cases);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}
