//! Jobs whose tenant, cost and way in follow from their number.

use crate::register::Register;
use fairlane::Nanos;
use std::sync::Arc;
use std::time::Duration;

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

/// When a job may go, and how urgent it is.
#[derive(Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) priority: i32,
    /// [`Nanos::ZERO`] for at once.
    pub(crate) not_before: Nanos,
    /// [`Nanos::MAX`] for never.
    pub(crate) deadline: Nanos,
}

/// The terms of a job that is made at a moment; `None` for a plain job.
pub(crate) type TermsOf = fn(usize, Nanos) -> Option<Terms>;

/// Jobs in the order of their arrival.
pub(crate) fn plain(_number: usize, _now: Nanos) -> Option<Terms> {
    None
}

/// Every kind of terms in each producer's jobs: its first is plain, its second expires soon, its third is
/// not due yet and expires later, and its last is urgent.
pub(crate) fn timed(number: usize, now: Nanos) -> Option<Terms> {
    let at = |millis| now.after(Nanos::from_duration(Duration::from_millis(millis)));
    let (priority, not_before, deadline) = match number % JOBS_EACH {
        0 => return None,
        1 => (0, Nanos::ZERO, at(60)),
        2 => (4_000, at(50), at(150)),
        _ => (9_000, Nanos::ZERO, Nanos::MAX),
    };
    Some(Terms { priority, not_before, deadline })
}

/// What a job turns out to have cost.
pub(crate) fn actual(number: usize) -> u32 {
    cost(number).div_ceil(2)
}
