//! Hands the compiler's version to the report: figures without it cannot be compared.

use std::process::Command;

fn main() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().ok();
    let version = output.and_then(|output| String::from_utf8(output.stdout).ok());
    let version = version.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=FAIRLANE_RIVALS_RUSTC={}", version.trim());
    println!("cargo::rerun-if-changed=build.rs");
}
