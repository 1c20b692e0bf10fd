//! On what, and at which commit, the figures were made.

use crate::harness::cores;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// What has to stand beside every figure.
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    /// The first core's frequency governor, where it can be read.
    governor: Option<String>,
    /// Load average of the last minute: what else ran before the first figure.
    load: Option<f64>,
    /// The checkout's commit, `-dirty` with local changes; "unknown" outside a checkout.
    commit: String,
}

/// The compiler this program was built with.
const RUSTC: &str = env!("FAIRLANE_RIVALS_RUSTC");
const GOVERNOR: &str = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";

impl Machine {
    /// Asks the system.
    pub(crate) fn read() -> Machine {
        Machine {
            cpu: cpu(&fs::read_to_string("/proc/cpuinfo").unwrap_or_default()),
            cores: cores(),
            kernel: line("/proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned()),
            governor: line(GOVERNOR),
            load: line("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
            commit: commit().unwrap_or_else(|| "unknown".to_owned()),
        }
    }

    /// One line each for the head of the table.
    pub(crate) fn lines(&self) -> String {
        let Machine { cpu, cores, kernel, governor, load, commit } = self;
        let os = std::env::consts::OS;
        let governor = governor.as_deref().unwrap_or("not readable");
        let load = load.map_or("not readable".to_owned(), |load| load.to_string());
        format!(
            "machine: {cpu}, {cores} cores, {os} {kernel}, governor {governor}, load {load}\n\
             commit: {commit}\n{RUSTC}"
        )
    }

    /// The fields `machine`, `commit` and `rustc`.
    pub(crate) fn json(&self) -> [(&'static str, Value); 3] {
        let machine = json!({
            "cpu": self.cpu, "cores": self.cores, "os": std::env::consts::OS,
            "kernel": self.kernel, "governor": self.governor, "load_1m": self.load,
        });
        [("machine", machine), ("commit", json!(self.commit)), ("rustc", json!(RUSTC))]
    }
}

fn line(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn cpu(cpuinfo: &str) -> String {
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or(std::env::consts::ARCH, |(_, name)| name).trim().to_owned()
}

fn commit() -> Option<String> {
    let git = |args: &[&str]| {
        let here = ["-C", env!("CARGO_MANIFEST_DIR")];
        let output = Command::new("git").args(here).args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"])?;
    let clean = git(&["status", "--porcelain"])?.is_empty();
    Some(if clean { commit } else { format!("{commit}-dirty") })
}

#[cfg(test)]
mod tests {
    use super::cpu;

    #[test]
    fn the_processor_is_named_as_the_kernel_names_it() {
        assert_eq!(cpu("processor\t: 0\nmodel name\t: AMD EPYC 7B13\nflags\t: a"), "AMD EPYC 7B13");
        assert_eq!(cpu(""), std::env::consts::ARCH);
    }
}
