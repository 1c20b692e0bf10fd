//! Gives the engine locks that ThreadSanitizer can see, and mutants.

fn main() {
    println!("cargo::rustc-cfg=fairlane_tsan");
    println!("cargo::rerun-if-changed=build.rs");
}
