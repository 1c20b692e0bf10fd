//! Jobs whose tenant, cost and way in follow from their number.

use crate::register::Register;
use std::sync::Arc;

/// Jobs that one producer submits.
pub(crate) const JOBS_EACH: usize = 4;
/// Tenants; number 0 is everybody's, so that producers meet in its lane.
pub(crate) const TENANTS: usize = 3;

/// A job's payload. Tells the register when it is dropped.
pub(crate) struct Load {
    pub(crate) number: usize,
    register: Arc<Register>,
}

impl Load {
    pub(crate) fn new(number: usize, register: &Arc<Register>) -> Load {
        register.made(number);
        Load { number, register: Arc::clone(register) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.register.dropped(self.number);
    }
}

pub(crate) fn producer(number: usize) -> usize {
    number / JOBS_EACH
}

/// The numbers of a producer's jobs, in the order in which it submits them.
pub(crate) fn numbers(producer: usize) -> std::ops::Range<usize> {
    producer * JOBS_EACH..(producer + 1) * JOBS_EACH
}

/// A producer's last job is for a tenant of its own.
pub(crate) fn tenant(number: usize) -> usize {
    if number % JOBS_EACH + 1 < JOBS_EACH { 0 } else { 1 + producer(number) % (TENANTS - 1) }
}

pub(crate) fn cost(number: usize) -> u32 {
    1 + number as u32 % 3 * 20
}
