//! The oracle: what became of every job.
//!
//! Its own lock is never held where shuttle could switch, so it adds nothing to the schedule.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What happened to one job, as counts.
#[derive(Clone, Default)]
struct Ends {
    made: u32,
    accepted: u32,
    ran: u32,
    returned: u32,
    dropped: u32,
    /// When it was pulled: moments before and after the call.
    pulled: Option<(u64, u64)>,
}

#[derive(Default)]
struct Pages {
    jobs: Vec<Ends>,
    moment: u64,
}

pub(crate) struct Register(Mutex<Pages>);

impl Register {
    pub(crate) fn new(jobs: usize) -> Register {
        Register(Mutex::new(Pages { jobs: vec![Ends::default(); jobs], moment: 0 }))
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // A failing check poisons it; what unwinds then still counts its drops.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn made(&self, number: usize) {
        self.pages().jobs[number].made += 1;
    }

    pub(crate) fn accepted(&self, number: usize) {
        self.pages().jobs[number].accepted += 1;
    }

    pub(crate) fn ran(&self, number: usize) {
        self.pages().jobs[number].ran += 1;
    }

    pub(crate) fn returned(&self, number: usize) {
        self.pages().jobs[number].returned += 1;
    }

    pub(crate) fn dropped(&self, number: usize) {
        self.pages().jobs[number].dropped += 1;
    }

    /// The next moment of the execution.
    pub(crate) fn moment(&self) -> u64 {
        let mut pages = self.pages();
        pages.moment += 1;
        pages.moment
    }

    /// The job came out of a call that lasted from `began` to `ended`.
    pub(crate) fn pulled(&self, number: usize, began: u64, ended: u64) {
        self.pages().jobs[number].pulled = Some((began, ended));
    }

    pub(crate) fn accepted_jobs(&self) -> u64 {
        self.pages().jobs.iter().map(|job| u64::from(job.accepted)).sum()
    }

    pub(crate) fn runs(&self) -> u64 {
        self.pages().jobs.iter().map(|job| u64::from(job.ran)).sum()
    }

    /// Whether every accepted job ended once, no other did, and every payload was dropped once.
    /// To be asked when nothing of the engine is left.
    pub(crate) fn check_ends(&self) -> Result<(), String> {
        for (number, job) in self.pages().jobs.iter().enumerate() {
            if job.accepted > 1 || job.ran + job.returned != job.accepted {
                let Ends { accepted, ran, returned, .. } = job;
                return Err(format!(
                    "job {number}: accepted {accepted}, ran {ran}, returned {returned}"
                ));
            }
            if job.dropped != job.made {
                return Err(format!("job {number}: made {}, dropped {}", job.made, job.dropped));
            }
        }
        Ok(())
    }

    /// Whether the jobs of a stream, one producer's in one lane, were pulled in the order of their
    /// numbers: no call that began after another's end may bring an earlier job.
    pub(crate) fn check_order<S: PartialEq>(
        &self,
        stream: impl Fn(usize) -> S,
    ) -> Result<(), String> {
        let pages = self.pages();
        let pulled = || pages.jobs.iter().enumerate().filter_map(|(k, job)| Some((k, job.pulled?)));
        for (earlier, (began, _)) in pulled() {
            let later = pulled().filter(|(later, _)| *later > earlier);
            let mut overtook = later
                .filter(|(later, (_, ended))| stream(*later) == stream(earlier) && *ended < began);
            if let Some((later, _)) = overtook.next() {
                return Err(format!("job {later} was pulled before job {earlier}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Register;

    fn told(ran: &[usize], returned: &[usize], dropped: &[usize]) -> Result<(), String> {
        let register = Register::new(3);
        for number in 0..3 {
            register.made(number);
            register.accepted(number);
        }
        ran.iter().for_each(|&number| register.ran(number));
        returned.iter().for_each(|&number| register.returned(number));
        dropped.iter().for_each(|&number| register.dropped(number));
        register.check_ends()
    }

    #[test]
    fn a_job_lost_doubled_or_leaked_is_rejected() {
        assert_eq!(told(&[0, 1], &[2], &[0, 1, 2]), Ok(()));
        assert!(told(&[0, 1], &[], &[0, 1, 2]).unwrap_err().contains("job 2"));
        assert!(told(&[0, 1, 2], &[2], &[0, 1, 2]).unwrap_err().contains("job 2"));
        assert!(told(&[0, 1, 2], &[], &[0, 1]).unwrap_err().contains("dropped 0"));
        assert!(told(&[0, 1, 2], &[], &[0, 1, 1, 2]).unwrap_err().contains("dropped 2"));
    }

    #[test]
    fn an_overtaken_job_is_rejected_and_overlapping_calls_are_not() {
        let order = |calls: [(u64, u64); 2]| {
            let register = Register::new(2);
            calls.iter().enumerate().for_each(|(k, call)| register.pulled(k, call.0, call.1));
            register.check_order(|_| 0)
        };
        assert_eq!(order([(1, 2), (3, 4)]), Ok(()));
        assert_eq!(order([(2, 4), (1, 3)]), Ok(()));
        assert!(order([(3, 4), (1, 2)]).unwrap_err().contains("job 1 was pulled before job 0"));
    }
}
