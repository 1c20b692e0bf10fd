//! Fields to jobs: the values are read and held to their ranges.

use std::borrow::Cow;
use std::io::{self, Read};

use super::format::{CostFrom, Fault, Fields, Format, Records, Wanted};
use super::input::Lines;
use super::time::{Moment, Times};

/// Longest name of a tenant, in bytes, as the engine has it.
const NAME_BYTES_MAX: usize = 256;
/// Dearest job, in cost units, as the engine has it.
const COST_MAX: u32 = 1_000_000;
/// Bytes per cost unit where bytes are the cost.
const UNIT_BYTES: f64 = 1_024.0;
/// How much of a bad value a message shows, in characters.
const SHOWN_CHARS: usize = 40;

/// One line of a log, understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Job<'a> {
    /// 1 to 256 bytes.
    pub(super) tenant: Cow<'a, str>,
    pub(super) at: Moment,
    /// Cost units, 1 to 1,000,000.
    pub(super) cost: u32,
}

/// Reads the jobs of a log, in the order of its lines.
pub(super) struct Jobs<R> {
    records: Records<R>,
    times: Times,
    in_bytes: bool,
}

impl<R: Read> Jobs<R> {
    pub(super) fn new(lines: Lines<R>, format: Format, wanted: &Wanted) -> Result<Jobs<R>, String> {
        let records = Records::new(lines, format, wanted)?;
        Ok(Jobs { records, times: Times::default(), in_bytes: wanted.cost == CostFrom::Bytes })
    }

    /// Moves to the next record; `false` at the end.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        self.records.advance()
    }

    /// The present record as a job.
    pub(super) fn job(&mut self) -> Result<Job<'_>, Fault> {
        let Fields { tenant, time, cost } = self.records.fields()?;
        let at = self.times.parse(&time).ok_or_else(|| bad("time", &time))?;
        let cost = match cost {
            None => 1,
            Some(cost) if self.in_bytes => {
                cost_of_bytes(&cost).ok_or_else(|| bad("bytes", &cost))?
            }
            Some(cost) => cost_of(&cost).ok_or_else(|| bad("cost", &cost))?,
        };
        Ok(Job { tenant: name(tenant)?, at, cost })
    }

    /// The number of the present record's first line, from 1.
    pub(super) fn number(&self) -> u64 {
        self.records.number()
    }

    /// Bytes read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.records.bytes_read()
    }
}

fn bad(what: &str, value: &[u8]) -> Fault {
    let text = String::from_utf8_lossy(value);
    let start: String = text.chars().take(SHOWN_CHARS).collect();
    let more = if start.len() < text.len() { "..." } else { "" };
    format!("bad {what} `{}`{more}", start.escape_debug()).into()
}

fn name(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, str>, Fault> {
    if bytes.is_empty() {
        return Err("the tenant is empty".into());
    }
    if bytes.len() > NAME_BYTES_MAX {
        return Err(format!("the tenant's name has {} bytes, at most 256", bytes.len()).into());
    }
    let text = match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    };
    text.ok_or_else(|| "the tenant is not UTF-8 text".into())
}

/// A decimal number of at least zero.
fn amount(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text.trim_ascii()).ok()?;
    let value: f64 = text.parse().ok()?;
    (value.is_finite() && !value.is_sign_negative()).then_some(value)
}

/// Cost units, rounded up and held to their range.
fn cost_of(text: &[u8]) -> Option<u32> {
    amount(text).map(|units| units.ceil().clamp(1.0, f64::from(COST_MAX)) as u32)
}

/// KiB, rounded up and held to the range of costs; `-` is the log's zero.
fn cost_of_bytes(text: &[u8]) -> Option<u32> {
    if text == b"-" {
        return Some(1);
    }
    amount(text).map(|bytes| (bytes / UNIT_BYTES).ceil().clamp(1.0, f64::from(COST_MAX)) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_cost_a_unit_for_each_kib_begun() {
        for (bytes, cost) in [
            ("-", 1),
            ("0", 1),
            ("1", 1),
            ("1024", 1),
            ("1025", 2),
            ("2048", 2),
            ("1024000000", 1_000_000),
            ("1024000001", 1_000_000),
            ("99999999999999999999999999", 1_000_000),
        ] {
            assert_eq!(cost_of_bytes(bytes.as_bytes()), Some(cost), "{bytes}");
        }
    }

    #[test]
    fn costs_are_rounded_up_and_held_to_their_range() {
        for (text, cost) in
            [("1", 1), ("0", 1), ("2.1", 3), (" 7 ", 7), ("1e3", 1_000), ("1000001", 1_000_000)]
        {
            assert_eq!(cost_of(text.as_bytes()), Some(cost), "{text}");
        }
    }

    #[test]
    fn negative_and_unparsable_costs_are_none() {
        for text in ["-1", "-0.5", "-0", "", "x", "NaN", "inf", "-inf", "1,5", "0x10", "5 6", "--"]
        {
            assert_eq!(cost_of(text.as_bytes()), None, "{text}");
            assert_eq!(cost_of_bytes(text.as_bytes()), None, "{text}");
        }
        assert_eq!(cost_of(b"-"), None);
        assert_eq!(cost_of(b"\xff"), None);
    }

    fn read(text: &[u8]) -> Vec<Result<(String, Moment, u32), String>> {
        let wanted = Wanted { tenant: None, time: None, cost: CostFrom::Default };
        let lines = Lines::new(text).unwrap();
        let mut jobs = Jobs::new(lines, Format::Csv, &wanted).unwrap();
        let mut seen = Vec::new();
        while jobs.advance().unwrap() {
            let job = jobs.job().map(|job| (job.tenant.into_owned(), job.at, job.cost));
            seen.push(job.map_err(Fault::into_owned));
        }
        seen
    }

    #[test]
    fn a_line_is_a_job_or_says_what_is_wrong_with_it() {
        let long = "n".repeat(257);
        let text = format!(
            "tenant,time,cost\nacme,5,3\n,5,1\n{long},5,1\n{},6,1\na,soon,1\na,5,-2\na,5,\n",
            "n".repeat(256)
        );
        let seen = read(text.as_bytes());
        assert_eq!(seen[0], Ok(("acme".to_owned(), 5_000_000_000, 3)));
        assert_eq!(seen[1], Err("the tenant is empty".to_owned()));
        assert_eq!(seen[2], Err("the tenant's name has 257 bytes, at most 256".to_owned()));
        assert!(seen[3].is_ok());
        assert_eq!(seen[4], Err("bad time `soon`".to_owned()));
        assert_eq!(seen[5], Err("bad cost `-2`".to_owned()));
        assert_eq!(seen[6], Err("bad cost ``".to_owned()));
    }

    #[test]
    fn a_name_that_is_no_text_is_refused() {
        let seen = read(b"tenant,time\n\xff\xfe,5\nb,5\n");
        assert_eq!(seen[0], Err("the tenant is not UTF-8 text".to_owned()));
        assert!(seen[1].is_ok());
    }

    #[test]
    fn a_message_shows_one_short_line_of_a_bad_value() {
        let shown = bad("time", format!("a\u{1b}[31m\n{}", "x".repeat(500)).as_bytes());
        assert!(shown.len() < 80 && shown.ends_with("..."), "{shown}");
        assert!(!shown.contains(['\n', '\u{1b}']));
    }
}
