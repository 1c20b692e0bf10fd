//! The workloads, a file for each kind, and the list of them.

mod fairness;
mod flood;
mod growth;
mod limited;
mod memory;
mod open_loop;
mod solo;
mod stalled;
mod throughput;
mod timed;

use crate::report::Row;
use crate::systems::{Build, Setup};

/// What the command line says about every workload.
pub(crate) struct Context {
    /// Rounds that count.
    pub(crate) rounds: usize,
    /// Jobs a round of the throughput workloads; the others take a part of it.
    pub(crate) jobs: usize,
    /// Numbers of tenants instead of the workload's own, where it has some.
    pub(crate) tenants: Option<Vec<usize>>,
    /// Names of systems, or parts of names, in lower case; all systems when there are none.
    pub(crate) systems: Vec<String>,
}

impl Context {
    /// The numbers of tenants to run: the command line's, or the workload's own.
    fn sizes(&self, own: &[usize]) -> Vec<usize> {
        self.tenants.clone().unwrap_or_else(|| own.to_vec())
    }

    /// Whether a system was asked for.
    pub(crate) fn wants(&self, system: &str) -> bool {
        let system = system.to_lowercase();
        self.systems.is_empty() || self.systems.iter().any(|part| system.contains(part))
    }

    /// Builds those of `all` that were asked for and that `fit`.
    fn build<T>(
        &self,
        all: &[Build<T>],
        setup: &Setup,
        fit: impl Fn(&str) -> bool,
    ) -> Vec<(&'static str, T)> {
        let wanted = all.iter().filter(|(name, _)| self.wants(name) && fit(name));
        wanted.map(|(name, build)| (*name, build(setup))).collect()
    }
}

/// One question, and what answers it.
pub(crate) struct Workload {
    /// What it is called on the command line and in the rows.
    pub(crate) name: &'static str,
    /// What it finds out.
    pub(crate) question: &'static str,
    /// Runs it; an error is a system that lost, doubled or altered jobs.
    pub(crate) run: fn(&Context) -> Result<Vec<Row>, String>,
}

/// What runs when only numbers of tenants are chosen.
pub(crate) const UNIFORM: &str = "W3";

/// All workloads, in the order they run.
pub(crate) const ALL: [Workload; 15] = [
    Workload {
        name: "W1",
        question: "how many jobs a second through one tenant, from one thread to another?",
        run: |context| throughput::uniform(context, "W1", &[1]),
    },
    Workload {
        name: "W2",
        question: "how many through 8 tenants?",
        run: |context| throughput::uniform(context, "W2", &[8]),
    },
    Workload {
        name: "W3",
        question: "how many through 100 and 1,000 tenants, uniformly?",
        run: |context| throughput::uniform(context, "W3", &[100, 1_000]),
    },
    Workload {
        name: "W4",
        question: "how many through 10,000 and 100,000 tenants, uniformly?",
        run: |context| throughput::uniform(context, "W4", &[10_000, 100_000]),
    },
    Workload {
        name: "W5",
        question: "what do tenants without jobs cost, and skew? 100 busy of 100,000; 10,000 busy (Zipf 1.1)",
        run: throughput::skewed,
    },
    Workload {
        name: "W6",
        question: "how long does a light tenant wait while another offers ten times the capacity?",
        run: flood::run,
    },
    Workload {
        name: "W7",
        question: "what do 1,000 different weights cost, 1 to 1,000?",
        run: throughput::weighted,
    },
    Workload {
        name: "W8",
        question: "how many jobs a second when each one makes its tenant busy and idle again?",
        run: throughput::churn,
    },
    Workload {
        name: "W9",
        question: "how long do jobs wait at 10, 50 and 80 % load, 100,000 a second, spinning and asleep?",
        run: open_loop::run,
    },
    Workload {
        name: "W10",
        question: "does a tenant get the share that its weight promises, whatever its jobs cost?",
        run: fairness::run,
    },
    Workload {
        name: "W11",
        question: "what do other tenants notice of a producer stalled between reserving a place and publishing?",
        run: stalled::run,
    },
    Workload {
        name: "W12",
        question: "how much memory does a tenant take, idle, with 16 jobs, and a job in a deep queue?",
        run: memory::run,
    },
    Workload {
        name: "W14",
        question: "what part of the throughput is kept with a rate and a concurrency on every tenant, and with a budget?",
        run: limited::run,
    },
    Workload {
        name: "solo",
        question: "what does a job cost on one thread, in bursts of 1,024 in and out?",
        run: solo::run,
    },
    Workload {
        name: "growth",
        question: "what does a job cost with 100 and with 10,000 backlogged tenants?",
        run: growth::run,
    },
];
