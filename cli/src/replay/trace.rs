//! A log in two passes: surveyed first, then read again in order of time, neither time held whole.

use std::collections::HashMap;
use std::sync::Arc;

use indicatif::ProgressBar;

use super::format::{self, Fault, Format, Wanted};
use super::input::Source;
use super::job::Jobs;
use super::reorder::{Arrival, Floor, HELD_MAX, Reorder};
use super::time::Moment;
use crate::progress;

/// Malformed lines that are told one by one.
const TOLD_MAX: usize = 3;
/// Lines between two looks at how far a reading has come.
const LOOK_EVERY: u64 = 1 << 12;
/// What all readings but the first can fail with.
const CHANGED: &str = "changed while it was read";

/// A log that has been read once.
#[derive(Debug)]
pub(super) struct Trace {
    source: Source,
    format: Format,
    wanted: Wanted,
    pub(super) survey: Survey,
    /// In bytes, over all readings.
    bar: ProgressBar,
}

/// What the first reading found.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Survey {
    /// In the order in which they first appear.
    pub(super) tenants: Vec<Arc<str>>,
    /// Each tenant's place in `tenants`.
    places: HashMap<Arc<str>, u32>,
    /// Each tenant's cost, in cost units.
    pub(super) costs: Vec<u64>,
    pub(super) jobs: u64,
    pub(super) malformed: u64,
    /// The first malformed lines, with their numbers.
    pub(super) told: Vec<(u64, Fault)>,
    /// The first and the last arrival; `first > last` without jobs.
    pub(super) first: Moment,
    pub(super) last: Moment,
    bytes: u64,
}

impl Trace {
    /// Reads the log for the first of `readings` times.
    pub(super) fn survey(
        mut source: Source,
        format: Option<Format>,
        wanted: Wanted,
        readings: u64,
    ) -> Result<Trace, String> {
        let format = match format {
            Some(format) => format,
            None => detect(&mut source, &wanted)?,
        };
        let mut survey = Survey { first: Moment::MAX, last: Moment::MIN, ..Survey::default() };
        let bar = progress::bar(source.bytes().map_err(unreadable)?.saturating_mul(readings));
        let lines = source.lines(u64::MAX).map_err(unreadable)?;
        let mut jobs = Jobs::new(lines, format, &wanted)?;
        let mut floor = Floor::default();
        while jobs.advance().map_err(unreadable)? {
            let number = jobs.number();
            match jobs.job() {
                Ok(job) => {
                    let at = floor.admit(job.at);
                    survey.note(&job.tenant, at, job.cost);
                }
                Err(fault) => survey.malformed(number, fault),
            }
            if number % LOOK_EVERY == 0 {
                bar.set_position(jobs.bytes_read());
            }
        }
        survey.bytes = jobs.bytes_read();
        Ok(Trace { source, format, wanted, survey, bar })
    }

    /// Reads the log again and hands its jobs out in order of time. Returns how many lines were so
    /// late that their time was moved.
    pub(super) fn replay(&mut self, mut each: impl FnMut(Arrival)) -> Result<u64, String> {
        let survey = &self.survey;
        let lines = self.source.lines(survey.bytes).map_err(unreadable)?;
        let mut jobs = Jobs::new(lines, self.format, &self.wanted)?;
        let mut reorder = Reorder::new(HELD_MAX);
        let (mut read, mut cost) = (0, 0);
        let before = self.bar.position();
        while jobs.advance().map_err(unreadable)? {
            let Ok(job) = jobs.job() else { continue };
            let place = survey.places.get(&*job.tenant).ok_or(CHANGED)?;
            read += 1;
            cost += u64::from(job.cost);
            reorder.push(job.at, *place, job.cost);
            while let Some(arrival) = reorder.pop_due() {
                each(arrival);
            }
            if read % LOOK_EVERY == 0 {
                self.bar.set_position(before + jobs.bytes_read());
            }
        }
        if (read, cost) != (survey.jobs, survey.cost()) {
            return Err(CHANGED.to_owned());
        }
        while let Some(arrival) = reorder.pop() {
            each(arrival);
        }
        Ok(reorder.late())
    }
}

impl Survey {
    fn note(&mut self, tenant: &str, at: Moment, cost: u32) {
        let place = match self.places.get(tenant) {
            Some(place) => *place,
            None => self.add(tenant),
        };
        self.costs[place as usize] += u64::from(cost);
        self.jobs += 1;
        (self.first, self.last) = (self.first.min(at), self.last.max(at));
    }

    fn add(&mut self, tenant: &str) -> u32 {
        let place =
            u32::try_from(self.tenants.len()).expect("fewer than 2^32 tenants fit in memory");
        let name: Arc<str> = tenant.into();
        self.places.insert(Arc::clone(&name), place);
        self.tenants.push(name);
        self.costs.push(0);
        place
    }

    fn malformed(&mut self, number: u64, fault: Fault) {
        self.malformed += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push((number, fault));
        }
    }

    /// The cost of all jobs, in cost units.
    pub(super) fn cost(&self) -> u64 {
        self.costs.iter().sum()
    }

    /// What makes the log unfit for a replay.
    pub(super) fn problem(&self) -> Option<String> {
        let Survey { jobs, malformed, first, last, .. } = self;
        if *malformed > *jobs {
            let (line, fault) = self.told.first()?;
            let all = jobs + malformed;
            return Some(format!(
                "{malformed} of {all} lines are malformed, more than half; line {line}: {fault}"
            ));
        }
        if *jobs == 0 {
            return Some("no jobs in it".to_owned());
        }
        let one_moment =
            format!("all {jobs} jobs arrive at one moment: there is no time to replay");
        (first == last).then_some(one_moment)
    }
}

fn detect(source: &mut Source, wanted: &Wanted) -> Result<Format, String> {
    let lines = source.lines(u64::MAX).map_err(unreadable)?;
    let found = format::detect(lines, wanted).map_err(unreadable)?;
    let mut lines = source.lines(u64::MAX).map_err(unreadable)?;
    match found {
        Some(format) => Ok(format),
        None if lines.is_blank().map_err(unreadable)? => Err("no jobs in it".to_owned()),
        None => {
            Err("the format cannot be told from the first lines: say --format clf, csv or jsonl"
                .to_owned())
        }
    }
}

fn unreadable(error: std::io::Error) -> String {
    format!("cannot be read: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::format::CostFrom;
    use std::fs::OpenOptions;
    use std::io::Write;
    use tempfile::NamedTempFile;

    fn trace(file: &NamedTempFile) -> Trace {
        let wanted = Wanted { tenant: None, time: None, cost: CostFrom::Default };
        Trace::survey(Source::open(file.path()).unwrap(), None, wanted, 2).unwrap()
    }

    fn log(text: &str) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn both_readings_see_the_same_jobs_in_order_of_time() {
        let file = log("tenant,time,cost\nb,100,3\na,70,2\nx,y,z\nb,90,1\n");
        let mut trace = trace(&file);
        let survey = &trace.survey;
        assert_eq!((survey.jobs, survey.malformed, survey.cost()), (3, 1, 6));
        assert_eq!((survey.first, survey.last), (70_000_000_000, 100_000_000_000));
        assert_eq!(survey.costs, [4, 2]);
        for _ in 0..2 {
            let mut seen = Vec::new();
            let late = trace.replay(|arrival| seen.push((arrival.tenant, arrival.cost))).unwrap();
            assert_eq!((seen, late), (vec![(1, 2), (0, 1), (0, 3)], 0));
        }
    }

    #[test]
    fn a_log_that_grows_is_read_as_it_was_and_one_that_changes_is_refused() {
        let text = "tenant,time,cost\na,1,5\nb,2,5\n";
        let file = log(text);
        let mut trace = trace(&file);
        let mut writer = OpenOptions::new().append(true).open(file.path()).unwrap();
        writer.write_all(b"c,3,5\n").unwrap();
        let mut jobs = 0;
        assert_eq!(trace.replay(|_| jobs += 1), Ok(0));
        assert_eq!(jobs, 2);
        for other in ["tenant,time,cost\na,1,5\nb,2,6\n", "tenant,time,cost\na,1,5\nc,2,5\n", ""] {
            std::fs::write(file.path(), other).unwrap();
            assert!(trace.replay(|_| ()).is_err(), "{other}");
        }
    }
}
