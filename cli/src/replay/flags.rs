//! What may be asked of a replay, and whether it can be.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::Args;
use fairlane::Policy;

use super::format::{CostFrom, Format, Wanted};
use super::run::{Schedulers, Setup};
use crate::check;
use crate::report::html::PageFile;

const WORKERS_MAX: u32 = 1_024;
const CAPACITY: (f64, f64) = (1.0, 1e9);
const LOAD: (f64, f64) = (0.001, 1_000.0);

/// Puts a real log through the engine and through a plain FIFO, and compares.
// Values are taken as text, and also where they begin with a hyphen, because one that is wrong deserves a
// line that says what would be right.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is one job. A job of cost c keeps one worker busy for c x workers / capacity seconds.
Arrivals keep their pattern and are scaled so that total cost / (last - first) = load x capacity.
Lines up to 60 s out of order are put in order. Malformed lines are counted and left out.

Times: RFC 3339; YYYY-MM-DD HH:MM:SS[.fraction] (UTC); 17/May/2015:10:05:03 +0000; seconds since
1970, or milliseconds from 100000000000 on; both with decimals.

Exit code 0: done. 1: the report cannot be written, or a job was lost. 2: a flag, the policy or the
log is unfit, the page's file cannot be made, or more than half of the log's lines are malformed.

Examples:
  fairlane replay access.log --cost bytes
  fairlane replay jobs.csv --tenant customer --time started_at --cost seconds --load 2
  zcat access.log.gz | fairlane replay - --policy fairlane.toml --json")]
pub(crate) struct ReplayArgs {
    /// Log to replay; `-` for standard input, which goes to a temporary file.
    pub(super) trace: PathBuf,

    /// auto, clf (Common or Combined Log Format), csv (with a header), or jsonl.
    ///
    /// auto: csv when the first line is a header with the time's column; else jsonl or clf, as the
    /// first of 20 lines says that is a JSON object or a line of a web log.
    #[arg(long, value_name = "FORMAT", default_value = "auto", allow_hyphen_values = true)]
    format: String,

    /// Field that names the tenant [default: tenant; for clf: host]
    ///
    /// Fields of clf: host, ident, user, time, method, path (without the query), protocol, status,
    /// bytes, referer, agent.
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    tenant: Option<String>,

    /// Field that holds the time of arrival [default: time]
    #[arg(long, value_name = "FIELD", allow_hyphen_values = true)]
    time: Option<String>,

    /// What a job costs [default: the field `cost`, or 1 where there is none; for clf: 1]
    ///
    /// `1`: each the same. `bytes`: the field of that name in KiB, rounded up, `-` as 1. Another
    /// name: that field, in cost units, rounded up. All are held to 1..=1000000.
    #[arg(long, value_name = "FIELD|bytes|1", allow_hyphen_values = true)]
    cost: Option<String>,

    /// Tier of every tenant [default: the policy's default tier]
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    tier: Option<String>,

    /// Policy (TOML), with FAIRLANE__ variables over it [default: the engine's own]
    ///
    /// Tenants named in it keep their own settings. Quotas hold under fair; fifo has the same bounds and
    /// no quotas.
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    policy: Option<PathBuf>,

    /// Workers, 1 to 1024.
    #[arg(long, value_name = "N", default_value = "2", allow_hyphen_values = true)]
    workers: String,

    /// Cost units per second that all workers do together, 1 to 10^9.
    #[arg(
        long,
        value_name = "COST_PER_SECOND",
        default_value = "10000",
        allow_hyphen_values = true
    )]
    capacity: String,

    /// Cost offered per second as a multiple of the capacity, 0.001 to 1000.
    #[arg(long, value_name = "RATIO", default_value = "1.5", allow_hyphen_values = true)]
    load: String,

    /// fair (the engine), fifo, or both.
    #[arg(long, value_name = "WHICH", default_value = "both", allow_hyphen_values = true)]
    scheduler: String,

    /// Run on real threads in real time, at most an hour, one scheduler after the other.
    ///
    /// Otherwise time is virtual: the engine's own dispatch under a clock that is turned, with
    /// simulated workers; the same input gives the same output.
    #[arg(long)]
    live: bool,

    /// Print one JSON object and nothing else.
    #[arg(long)]
    pub(super) json: bool,

    // Not a path, because clap would say of an empty one that there is none.
    /// Also write the report to FILE as a page to look at.
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    html: Option<OsString>,
}

impl ReplayArgs {
    /// Checks every flag, and reads the policy.
    pub(super) fn check(&self) -> Result<(Setup, Option<Format>, Wanted), String> {
        let format = match self.format.as_str() {
            "auto" => None,
            "clf" => Some(Format::Clf),
            "csv" => Some(Format::Csv),
            "jsonl" => Some(Format::Jsonl),
            other => return Err(choice("--format", "auto, clf, csv or jsonl", other)),
        };
        let schedulers = match self.scheduler.as_str() {
            "fair" => Schedulers::Fair,
            "fifo" => Schedulers::Fifo,
            "both" => Schedulers::Both,
            other => return Err(choice("--scheduler", "fair, fifo or both", other)),
        };
        let workers = workers(&self.workers)?;
        let capacity = number("--capacity", &self.capacity, CAPACITY)?;
        let load = number("--load", &self.load, LOAD)?;
        let policy = self
            .policy
            .as_deref()
            .map_or_else(|| Ok(Policy::default()), check::load_or_first_problem)?;
        let tier = tier(&policy, self.tier.as_deref())?;
        let is_live = self.live;
        let setup = Setup { policy, tier, workers, capacity, load, schedulers, is_live };
        Ok((setup, format, self.wanted()))
    }

    fn wanted(&self) -> Wanted {
        let cost = match self.cost.as_deref() {
            None => CostFrom::Default,
            Some("1") => CostFrom::One,
            Some("bytes") => CostFrom::Bytes,
            Some(field) => CostFrom::Field(field.to_owned()),
        };
        Wanted { tenant: self.tenant.clone(), time: self.time.clone(), cost }
    }

    /// Opens the file of the page, if one is asked for.
    pub(super) fn page(&self) -> Result<Option<PageFile>, String> {
        let sources: Vec<&Path> = [Some(&self.trace), self.policy.as_ref()]
            .into_iter()
            .flatten()
            .map(PathBuf::as_path)
            .collect();
        let create = |file: &OsString| PageFile::create(Path::new(file), &sources);
        self.html.as_ref().map(create).transpose()
    }

    /// The log's name without its folder: a page may be passed on.
    pub(super) fn shown_file(&self) -> String {
        self.trace
            .file_name()
            .filter(|name| *name != OsStr::new("-"))
            .map_or_else(|| self.shown_trace(), |name| check::shown(Path::new(name)))
    }

    /// The log's name on one line.
    pub(super) fn shown_trace(&self) -> String {
        if self.trace == Path::new("-") {
            return "standard input".to_owned();
        }
        check::shown(&self.trace)
    }
}

fn choice(flag: &str, choices: &str, text: &str) -> String {
    format!("{flag} must be {choices}, not `{}`", text.escape_debug())
}

fn workers(text: &str) -> Result<u32, String> {
    let value = text.parse().ok().filter(|value| (1..=WORKERS_MAX).contains(value));
    value.ok_or_else(|| {
        choice("--workers", &format!("a whole number from 1 to {WORKERS_MAX}"), text)
    })
}

fn number(flag: &str, text: &str, (min, max): (f64, f64)) -> Result<f64, String> {
    let value = text.parse().ok().filter(|value: &f64| (min..=max).contains(value));
    value.ok_or_else(|| choice(flag, &format!("a number from {min} to {max}"), text))
}

fn tier(policy: &Policy, asked: Option<&str>) -> Result<String, String> {
    let Some(name) = asked else { return Ok(policy.default_tier().name().to_owned()) };
    if policy.tier(name).is_some() {
        return Ok(name.to_owned());
    }
    let known: Vec<&str> = policy.tiers().iter().map(|tier| tier.name()).collect();
    Err(format!("unknown tier `{}`: the policy has {}", name.escape_debug(), known.join(", ")))
}
