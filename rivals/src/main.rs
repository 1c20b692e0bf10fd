//! Compares fairlane with its alternatives in one run.
fn main() {}
