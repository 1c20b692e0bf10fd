//! The oracle of jobs: what became of each.
//!
//! Its own lock is never held where shuttle could switch, so it adds nothing to the schedule.

use fairlane::Nanos;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What happened to one job, as counts.
#[derive(Clone, Default)]
struct Ends {
    made: u32,
    accepted: u32,
    ran: u32,
    returned: u32,
    expired: u32,
    dropped: u32,
    /// The moments between which it may be granted: not before the first, and before the second.
    window: Option<(Nanos, Nanos)>,
    /// When it was pulled: moments before and after the call.
    pulled: Option<(u64, u64)>,
}

#[derive(Default)]
struct Pages {
    jobs: Vec<Ends>,
    moment: u64,
    /// What was seen to be wrong. Kept until the end, because the engine catches panics of handlers.
    objections: Vec<String>,
}

pub(crate) struct Register(Mutex<Pages>);

impl Register {
    pub(crate) fn new(jobs: usize) -> Register {
        let jobs = vec![Ends::default(); jobs];
        Register(Mutex::new(Pages { jobs, ..Pages::default() }))
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

    pub(crate) fn expired(&self, number: usize) {
        self.pages().jobs[number].expired += 1;
    }

    pub(crate) fn dropped(&self, number: usize) {
        self.pages().jobs[number].dropped += 1;
    }

    /// Something is not as it should be; [`check_ends`](Register::check_ends) tells.
    pub(crate) fn object(&self, what: String) {
        self.pages().objections.push(what);
    }

    /// The job may be granted from `not_before` on, and before `deadline`.
    pub(crate) fn is_due(&self, number: usize, not_before: Nanos, deadline: Nanos) {
        self.pages().jobs[number].window = Some((not_before, deadline));
    }

    /// The job was granted at a moment between `before` and `after`.
    pub(crate) fn granted(&self, number: usize, before: Nanos, after: Nanos) {
        let Some((not_before, deadline)) = self.pages().jobs[number].window else { return };
        if before >= deadline || after < not_before {
            self.object(format!(
                "job {number}, due from {not_before:?} until {deadline:?}, was granted between \
                 {before:?} and {after:?}"
            ));
        }
    }

    /// The job was told to have expired at `now` at the latest.
    pub(crate) fn expires(&self, number: usize, now: Nanos) {
        self.expired(number);
        let window = self.pages().jobs[number].window;
        if window.is_none_or(|(_, deadline)| now < deadline) {
            self.object(format!("job {number}, due {window:?}, expired before {now:?}"));
        }
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

    /// Jobs that have expired.
    pub(crate) fn expiries(&self) -> u64 {
        self.pages().jobs.iter().map(|job| u64::from(job.expired)).sum()
    }

    /// Whether nobody objected, every accepted job ended once, no other did, and every payload was dropped
    /// once. To be asked when nothing of the engine is left.
    pub(crate) fn check_ends(&self) -> Result<(), String> {
        let pages = self.pages();
        if let Some(objection) = pages.objections.first() {
            return Err(objection.clone());
        }
        for (number, job) in pages.jobs.iter().enumerate() {
            let Ends { accepted, ran, returned, expired, .. } = job;
            if *accepted > 1 || ran + returned + expired != *accepted {
                return Err(format!(
                    "job {number}: accepted {accepted}, ran {ran}, returned {returned}, expired {expired}"
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
    use fairlane::Nanos;

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
    fn an_expired_job_counts_as_an_end_and_not_twice() {
        let told = |expired: usize, ran: usize| {
            let register = Register::new(1);
            register.made(0);
            register.accepted(0);
            register.dropped(0);
            (0..expired).for_each(|_| register.expired(0));
            (0..ran).for_each(|_| register.ran(0));
            register.check_ends()
        };
        assert_eq!(told(1, 0), Ok(()));
        assert!(told(1, 1).unwrap_err().contains("ran 1, returned 0, expired 1"));
        assert!(told(2, 0).unwrap_err().contains("expired 2"));
    }

    #[test]
    fn a_job_granted_too_early_or_too_late_is_rejected() {
        let granted = |before, after| {
            let register = Register::new(1);
            register.is_due(0, Nanos(10), Nanos(20));
            register.granted(0, Nanos(before), Nanos(after));
            register.check_ends()
        };
        assert_eq!(granted(19, 30), Ok(()), "it may have been at 19");
        assert_eq!(granted(5, 10), Ok(()), "it may have been at 10");
        assert!(granted(20, 30).unwrap_err().contains("job 0"), "at its deadline it is too late");
        assert!(granted(5, 9).unwrap_err().contains("job 0"));
    }

    #[test]
    fn a_job_that_expires_before_its_deadline_or_without_one_is_rejected() {
        let expires = |window: Option<(Nanos, Nanos)>, now| {
            let register = Register::new(1);
            register.accepted(0);
            window.into_iter().for_each(|(from, until)| register.is_due(0, from, until));
            register.expires(0, Nanos(now));
            register.check_ends()
        };
        let window = Some((Nanos(10), Nanos(20)));
        assert_eq!(expires(window, 20), Ok(()));
        assert!(expires(window, 19).is_err());
        assert!(expires(None, 19).is_err());
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
