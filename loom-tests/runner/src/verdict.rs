//! What kind of failure a model's output shows.

use serde::Deserialize;
use std::fmt;

/// How a model can fail.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Failure {
    /// Two accesses to plain memory with nothing to order them.
    Race,
    /// Every thread waits.
    Deadlock,
    /// An assertion of the model or of the engine.
    Assert,
    /// An `Arc` or an allocation that loom tracks was not freed.
    Leak,
    /// A loop that never ends: too many branches, or out of time.
    Hang,
    /// Any other panic.
    Panic,
    /// The process died without a word.
    Crash,
}

/// What the message of a panic contains, as loom and the standard library write it.
const SIGNS: [(&str, Failure); 9] = [
    ("Causality violation", Failure::Race),
    ("currently writing to cell", Failure::Race),
    ("currently reading from cell", Failure::Race),
    ("deadlock; threads =", Failure::Deadlock),
    ("assertion `", Failure::Assert),
    ("assertion failed", Failure::Assert),
    ("Arc leaked.", Failure::Leak),
    ("Allocation leaked.", Failure::Leak),
    ("exceeded maximum number of branches", Failure::Hang),
];

/// The kind of failure that the output of a failed process shows. The first panic decides: those
/// after it are destructors that run into what the first one left behind.
pub(crate) fn classify(output: &str) -> Failure {
    let Some(first) = output.split("panicked at ").nth(1) else {
        return Failure::Crash;
    };
    let sign = SIGNS.iter().find(|(sign, _)| first.contains(sign));
    sign.map_or(Failure::Panic, |(_, failure)| *failure)
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{self:?}").to_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, classify};

    #[test]
    fn every_kind_of_failure_is_told() {
        let told = |message: &str| {
            classify(&format!("running 1 test\nthread 'm' panicked at x.rs:1:2:\n{message}\n"))
        };
        assert_eq!(told("Causality violation: Concurrent read and write accesses."), Failure::Race);
        assert_eq!(told("deadlock; threads = [(Id(0), Blocked)]"), Failure::Deadlock);
        assert_eq!(told("assertion `left == right` failed: lost\n  left: 1"), Failure::Assert);
        assert_eq!(told("assertion failed: seen"), Failure::Assert);
        assert_eq!(told("Arc leaked.\n  Index: 3"), Failure::Leak);
        assert_eq!(told("Model exceeded maximum number of branches. This is"), Failure::Hang);
        assert_eq!(told("called `Option::unwrap()` on a `None` value"), Failure::Panic);
        assert_eq!(classify("running 1 test\n"), Failure::Crash);
    }

    #[test]
    fn the_first_panic_decides() {
        let output = "panicked at a.rs:1:1:\nindex out of bounds\npanicked at b.rs:1:1:\nassertion failed: x\n";
        assert_eq!(classify(output), Failure::Panic);
        let output = "panicked at a.rs:1:1:\ndeadlock; threads = []\npanicked at b.rs:1:1:\nassertion failed: x\n";
        assert_eq!(classify(output), Failure::Deadlock);
    }
}
