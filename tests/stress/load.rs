//! Jobs whose tenant, cost and way in follow from their number, so that whoever sees a job can
//! tell whether it is what was submitted.

use fairlane::{Job, Nanos};
use std::time::Duration;

/// Producers, each with a range of numbers of its own.
pub(crate) const PRODUCERS: u32 = 4;
/// Tenants; number 0 is hot.
pub(crate) const TENANTS: usize = 200;
/// Jobs in a row that are alike in tenant and way in.
pub(crate) const GROUP: u32 = 16;

/// SplitMix64's mix of a number.
pub(crate) fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// How a group of jobs is submitted.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    Single,
    Batch,
    Blocking,
}

#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Load {
    pub(crate) number: u32,
    seal: u64,
}

impl Load {
    pub(crate) fn new(number: u32) -> Load {
        Load { number, seal: mix(number.into()) }
    }

    pub(crate) fn is_intact(&self) -> bool {
        self.seal == mix(self.number.into())
    }
}

pub(crate) fn cost(number: u32) -> u32 {
    match mix(number.into()) % 64 {
        0 => 200,
        other => 1 + other as u32 % 9,
    }
}

pub(crate) fn job(number: u32) -> Job<Load> {
    Job::new(Load::new(number)).cost(cost(number))
}

/// The same job with an order of its own, for most numbers: a priority, a due moment, a deadline or a longest wait.
pub(crate) fn job_with_terms(number: u32) -> Job<Load> {
    let (job, mixed) = (job(number), mix(u64::from(number) | 1 << 42));
    let micros = mixed >> 32 & 0xfff;
    match mixed % 8 {
        0 => job.priority((mixed >> 16) as i32 % 9_000),
        1 => job.delay(Duration::from_micros(micros)),
        2 => job.max_wait(Duration::from_micros(micros)),
        3 => job.deadline(Nanos(u64::from(number) * 2_000 + micros * 1_000)),
        4 => job.delay(Duration::from_micros(micros)).max_wait(Duration::from_micros(micros)),
        _ => job,
    }
}

/// Half of all groups are the hot tenant's.
pub(crate) fn tenant(number: u32) -> usize {
    let mixed = mix(u64::from(number / GROUP) | 1 << 40) as usize;
    if mixed % 2 == 0 { 0 } else { 1 + mixed / 2 % (TENANTS - 1) }
}

pub(crate) fn way(number: u32) -> Way {
    match mix(u64::from(number / GROUP) | 1 << 41) % 3 {
        0 => Way::Single,
        1 => Way::Batch,
        _ => Way::Blocking,
    }
}
