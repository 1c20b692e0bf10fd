//! Who has seen which job.

use fairlane::DrainReport;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// For every job by number: how often it was handled, handed back, and its payload dropped.
#[derive(Clone)]
pub(crate) struct Register {
    marks: Arc<[Marks]>,
}

#[derive(Default)]
struct Marks {
    handled: AtomicU32,
    returned: AtomicU32,
    dropped: AtomicU32,
}

/// A payload that counts its own drop.
pub(crate) struct Load {
    pub(crate) number: usize,
    register: Register,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.register.marks[self.number].dropped.fetch_add(1, Relaxed);
    }
}

impl Register {
    pub(crate) fn new(jobs: usize) -> Register {
        Register { marks: (0..jobs).map(|_| Marks::default()).collect() }
    }

    pub(crate) fn load(&self, number: usize) -> Load {
        Load { number, register: self.clone() }
    }

    pub(crate) fn handled(&self, number: usize) {
        self.marks[number].handled.fetch_add(1, Relaxed);
    }

    pub(crate) fn returned(&self, report: &DrainReport<Load>) {
        for job in &report.returned {
            self.marks[job.job.payload().number].returned.fetch_add(1, Relaxed);
        }
    }

    fn count(&self, of: impl Fn(&Marks) -> &AtomicU32) -> u64 {
        self.marks.iter().map(|marks| u64::from(of(marks).load(Relaxed))).sum()
    }

    pub(crate) fn handled_count(&self) -> u64 {
        self.count(|marks| &marks.handled)
    }

    /// Every one of the first `accepted` jobs was handled or handed back, once.
    #[track_caller]
    pub(crate) fn assert_each_ended_once(&self, accepted: usize, what: &str) {
        let ends = |marks: &Marks| marks.handled.load(Relaxed) + marks.returned.load(Relaxed);
        let wrong: Vec<_> = self.marks[..accepted]
            .iter()
            .enumerate()
            .filter(|(_, marks)| ends(marks) != 1)
            .map(|(number, marks)| (number, ends(marks), marks.dropped.load(Relaxed)))
            .collect();
        assert!(
            wrong.is_empty(),
            "{what}: {} of {accepted} jobs did not end once; (number, ends, drops): {:?}",
            wrong.len(),
            &wrong[..wrong.len().min(5)]
        );
    }

    /// Whether the first `made` payloads are gone.
    pub(crate) fn all_dropped(&self, made: usize) -> bool {
        self.marks[..made].iter().all(|marks| marks.dropped.load(Relaxed) > 0)
    }

    /// Every payload made was dropped, once.
    #[track_caller]
    pub(crate) fn assert_each_dropped_once(&self, made: usize) {
        let drops = |marks: &Marks| marks.dropped.load(Relaxed);
        let wrong = self.marks[..made].iter().filter(|marks| drops(marks) != 1).count();
        assert_eq!(wrong, 0, "payloads leaked or dropped twice, of {made}");
    }
}
