//! What a run of schedulers is reported as: recorded ([`Recording`], [`Tape`]), summed up into the
//! types below, and rendered as a table for people, as JSON for programs, or as a page to look at.
//!
//! Nothing here knows where the jobs came from, so every command that runs schedulers side by side
//! reports the same way.

mod course;
mod fluid;
pub(crate) mod html;
pub(crate) mod json;
mod output;
mod recording;
pub(crate) mod table;
mod tape;

pub(crate) use course::{Course, Part, Tally};
pub(crate) use output::publish;
pub(crate) use recording::{Ending, Note, Recording, TenantInfo, largest};
pub(crate) use tape::{Service, Tape};

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Tenants that get a row of their own; all others share one.
pub(crate) const ROWS_MAX: usize = 100;

/// The name of the row that all smaller tenants share.
pub(crate) const OTHER: &str = "_other";

/// What one or more schedulers made of the same arrivals.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// What became of the jobs in the run of the first scheduler.
    pub(crate) jobs: JobCounts,
    /// Each scheduler under its name, fairlane's own first.
    #[serde(serialize_with = "json::as_map")]
    pub(crate) schedulers: Vec<(&'static str, SchedulerReport)>,
}

impl Report {
    /// Finds a scheduler's report by its name.
    pub(crate) fn scheduler(&self, name: &str) -> Option<&SchedulerReport> {
        self.schedulers.iter().find(|(own, _)| *own == name).map(|(_, report)| report)
    }
}

/// What became of every job of a run, in jobs.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
pub(crate) struct JobCounts {
    /// Offered, including what could not be understood.
    pub(crate) read: u64,
    /// Not understood, hence never submitted.
    pub(crate) malformed: u64,
    pub(crate) accepted: u64,
    /// By reason code; a reason that did not occur is absent.
    pub(crate) refused: BTreeMap<&'static str, u64>,
    /// Begun by a handler, counted by the handlers themselves.
    pub(crate) dispatched: u64,
    /// Not run, because they had waited as long as they may.
    pub(crate) expired: u64,
    /// Still queued at the end of the run and handed back.
    pub(crate) returned: u64,
    /// Accepted, yet neither dispatched, expired, returned nor still queued: 0 unless a scheduler
    /// is wrong. Below zero when it ran a job twice.
    pub(crate) lost: i64,
}

/// How one scheduler shared its capacity.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SchedulerReport {
    /// Jain index of the judged tenants' share ratios; null when nobody was judged.
    pub(crate) jain: Option<f64>,
    /// The smallest share ratio of a judged tenant; null when nobody was judged.
    pub(crate) min_share_ratio: Option<f64>,
    /// Jobs begun per second, from the start of the run to its last service.
    pub(crate) throughput_per_s: f64,
    /// How often a tenant's lane was taken out of its turns because a limit was reached, by reason
    /// code; a reason that did not occur is absent.
    pub(crate) parked: BTreeMap<&'static str, u64>,
    /// The tenants with the largest offered cost, largest first, at most [`ROWS_MAX`]; then one row
    /// named [`OTHER`] if there are more.
    pub(crate) tenants: Vec<TenantRow>,
    /// What the run is drawn as. Not in the JSON.
    #[serde(skip)]
    pub(crate) course: Course,
}

/// What one tenant offered and got.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TenantRow {
    pub(crate) tenant: String,
    pub(crate) tier: String,
    /// Relative share; the sum of the weights for [`OTHER`].
    pub(crate) weight: f64,
    /// Jobs offered, whether accepted or not.
    pub(crate) jobs: u64,
    /// Cost units, whether accepted or not.
    pub(crate) offered_cost: u64,
    /// Cost units granted to handlers.
    pub(crate) served_cost: u64,
    /// Cost units the tenant's weighted max-min share came to.
    pub(crate) entitled_cost: f64,
    /// How much of that it got, 0 to 1; null when there was too little work to judge.
    pub(crate) share_ratio: Option<f64>,
    pub(crate) wait_ms: WaitMs,
    pub(crate) fluid_delay_ms: DelayMs,
    /// Jobs refused, for any reason. Shown in the table only.
    #[serde(skip)]
    pub(crate) refused: u64,
}

/// Waits of the served jobs in milliseconds, from intended arrival to grant; null when none was.
#[derive(Clone, Copy, Default, Debug, Serialize)]
pub(crate) struct WaitMs {
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) p999: Option<f64>,
    pub(crate) max: Option<f64>,
}

/// By how much later the served jobs ended than under a fluid max-min server of the same capacity, in
/// milliseconds to two digits, 0 where it was not later; null when none was served or the run was not in
/// virtual time.
#[derive(Clone, Copy, Default, Debug, Serialize)]
pub(crate) struct DelayMs {
    pub(crate) p50: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) max: Option<f64>,
}

impl DelayMs {
    /// Reads a histogram of microseconds.
    fn of(micros: &Histogram<u32>) -> DelayMs {
        let WaitMs { p50, p99, max, .. } = percentiles(micros);
        DelayMs { p50, p99, max }
    }
}

/// An empty histogram of microseconds, to three digits, that grows with what it is given.
fn histogram() -> Histogram<u32> {
    Histogram::new(3).expect("three digits are in the histogram's range")
}

/// The same to two digits, which takes a tenth of the memory.
fn coarse_histogram() -> Histogram<u32> {
    Histogram::new(2).expect("two digits are in the histogram's range")
}

/// Reads the percentiles of a histogram of microseconds.
fn percentiles(micros: &Histogram<u32>) -> WaitMs {
    if micros.is_empty() {
        return WaitMs::default();
    }
    let ms = |micros: u64| Some(micros as f64 / 1_000.0);
    let at = |quantile| ms(micros.value_at_quantile(quantile));
    WaitMs { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: ms(micros.max()) }
}
