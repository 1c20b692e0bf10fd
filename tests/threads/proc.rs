//! What the system says of the threads of this process.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The engine's threads that live now, by the folders in which the system describes them.
pub(crate) fn engine_threads() -> BTreeSet<PathBuf> {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux lists the threads");
    let tasks = tasks.map(|task| task.expect("a readable list").path());
    // Others end meanwhile.
    let name = |task: &Path| fs::read_to_string(task.join("comm")).unwrap_or_default();
    tasks.filter(|task| name(task).starts_with("fairlane-")).collect()
}

/// What one thread has used of the machine since it began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    pub(crate) cpu: Duration,
    /// Times it gave its core up to wait for something: each is a wake-up later.
    pub(crate) waits: u64,
}

impl Used {
    pub(crate) fn by(task: &Path) -> Used {
        let read = |name| fs::read_to_string(task.join(name)).expect("the thread lives");
        let schedstat = read("schedstat");
        let nanos = schedstat.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
        let waits = field(&read("status"), "voluntary_ctxt_switches").parse();
        Used {
            cpu: Duration::from_nanos(nanos.expect("time on a core")),
            waits: waits.expect("a number"),
        }
    }

    pub(crate) fn since(self, before: Used) -> Used {
        Used { cpu: self.cpu - before.cpu, waits: self.waits - before.waits }
    }
}

/// The cores that the calling thread may run on, as the system lists them: `0-3,8`.
pub(crate) fn own_cores() -> String {
    let status = fs::read_to_string("/proc/thread-self/status").expect("Linux describes threads");
    field(&status, "Cpus_allowed_list")
}

fn field(status: &str, name: &str) -> String {
    let rest = |line: &str| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim().to_owned());
    status.lines().find_map(rest).unwrap_or_else(|| panic!("a line of {name}"))
}
