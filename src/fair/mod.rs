//! Fairness as arithmetic: no clock, no atomics, no allocation on the path of a job.

mod account;
pub mod share;

pub(crate) use account::{
    Account, LEAP_MAX, Purse, Quantum, ROUNDS, Refill, SHIFT_MAX, Turn, micros,
};
