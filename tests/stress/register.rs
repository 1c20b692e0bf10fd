//! The oracle: how often each job ended, and in which order they came.

use crate::load::{Load, PRODUCERS, TENANTS, mix, tenant};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Jobs of one producer and one tenant come in order.
const STREAMS: usize = PRODUCERS as usize * TENANTS;

pub(crate) struct Register {
    /// How often each job ended, by number.
    ends: Vec<AtomicU8>,
    /// Sum of the mixed numbers of the jobs that ended.
    sum: AtomicU64,
    /// For every worker, producer and tenant, one more than the last job seen.
    last: Vec<AtomicU32>,
    disordered: AtomicU64,
    spoilt: AtomicU64,
}

impl Register {
    /// For `jobs` jobs and the orders in which so many workers are granted them.
    pub(crate) fn new(jobs: u32, workers: usize) -> Register {
        let streams = workers * STREAMS;
        Register {
            ends: (0..jobs).map(|_| AtomicU8::new(0)).collect(),
            sum: AtomicU64::new(0),
            last: (0..streams).map(|_| AtomicU32::new(0)).collect(),
            disordered: AtomicU64::new(0),
            spoilt: AtomicU64::new(0),
        }
    }

    pub(crate) fn jobs(&self) -> u32 {
        self.ends.len() as u32
    }

    /// The numbers of one producer, which it submits in order.
    pub(crate) fn numbers_of(&self, producer: u32) -> std::ops::Range<u32> {
        let each = self.jobs() / PRODUCERS;
        producer * each..(producer + 1) * each
    }

    /// A job was run or handed back; `is_right` says whether tenant and cost are those submitted.
    pub(crate) fn ended(&self, load: &Load, is_right: bool) {
        self.ends[load.number as usize].fetch_add(1, Relaxed);
        self.sum.fetch_add(mix(load.number.into()), Relaxed);
        if !is_right || !load.is_intact() {
            self.spoilt.fetch_add(1, Relaxed);
        }
    }

    /// A job was granted; told in the order of the worker's grants.
    pub(crate) fn granted(&self, worker: usize, number: u32) {
        let producer = (number / (self.jobs() / PRODUCERS).max(1)) as usize;
        let stream = worker * STREAMS + producer * TENANTS + tenant(number);
        let before = self.last[stream].swap(number + 1, Relaxed);
        if before > number {
            self.disordered.fetch_add(1, Relaxed);
        }
    }

    /// Whether the jobs `accepted` ended once each and no other did. `lost` of them may not have
    /// ended.
    pub(crate) fn check(&self, accepted: &[u32], lost: u64) -> Result<(), String> {
        let mut due = vec![0_u8; self.ends.len()];
        accepted.iter().for_each(|&number| due[number as usize] += 1);
        let ends = || self.ends.iter().map(|ends| ends.load(Relaxed)).zip(&due);
        let never = ends().filter(|(ends, due)| ends < due).count() as u64;
        let often = ends().filter(|(ends, due)| ends > due).count() as u64;
        let spoilt = self.spoilt.load(Relaxed);
        if (never, often, spoilt) != (lost, 0, 0) {
            return Err(format!(
                "of {} jobs {never} never ended ({lost} may), {often} too often, {spoilt} spoilt",
                accepted.len()
            ));
        }
        let mixes = accepted.iter().map(|&number| mix(number.into()));
        let sum = mixes.fold(0, u64::wrapping_add);
        if lost == 0 && sum != self.sum.load(Relaxed) {
            return Err("the checksums differ".to_owned());
        }
        Ok(())
    }

    #[track_caller]
    pub(crate) fn assert_in_order(&self) {
        assert_eq!(self.disordered.load(Relaxed), 0, "jobs granted before an earlier one");
    }
}

#[cfg(test)]
mod tests {
    use super::{Load, Register, Relaxed};

    fn told(ended: &[u32], accepted: &[u32]) -> Result<(), String> {
        let register = Register::new(64, 1);
        ended.iter().for_each(|&number| register.ended(&Load::new(number), true));
        register.check(accepted, 0)
    }

    #[test]
    fn a_job_lost_doubled_or_invented_is_rejected() {
        assert_eq!(told(&[3, 1, 2], &[1, 2, 3]), Ok(()));
        assert!(told(&[3, 1], &[1, 2, 3]).unwrap_err().contains("1 never"));
        assert!(told(&[3, 1, 2, 3], &[1, 2, 3]).unwrap_err().contains("1 too often"));
        assert!(told(&[3, 1, 2, 9], &[1, 2, 3]).unwrap_err().contains("1 too often"));
    }

    #[test]
    fn a_job_of_another_tenant_or_cost_is_rejected() {
        let register = Register::new(64, 1);
        register.ended(&Load::new(1), false);
        assert!(register.check(&[1], 0).unwrap_err().contains("1 spoilt"));
    }

    #[test]
    fn jobs_out_of_order_are_counted_by_worker() {
        let register = Register::new(64, 2);
        [1, 2, 2, 4, 3].into_iter().for_each(|number| register.granted(0, number));
        assert_eq!(register.disordered.load(Relaxed), 2, "2 twice, 3 after 4");
        [1, 5].into_iter().for_each(|number| register.granted(1, number));
        assert_eq!(register.disordered.load(Relaxed), 2, "another worker's order is its own");
    }
}
