//! Switches the engine's facade to shuttle, for this package alone: a cfg in RUSTFLAGS would reach
//! the dependencies too.

fn main() {
    println!("cargo::rustc-cfg=fairlane_shuttle");
    println!("cargo::rerun-if-changed=build.rs");
}
