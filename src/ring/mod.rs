#![doc = include_str!("README.md")]

mod depot;
mod head;
mod orders;
mod pool;
mod span;
mod spare;
mod tail;
mod word;

pub(crate) use head::{Head, Left, Rest, Stop, Taker};
pub(crate) use pool::{BLOCKS_MAX, Pool, Returns, prefetch_line};
pub(crate) use spare::{Kept, Spare};
#[cfg(any(feature = "testing", fairlane_loom))]
pub(crate) use tail::Ticket;
pub(crate) use tail::{Door, ReserveError, Tail, depth};
pub(crate) use word::{Stamp, Word, behind, distance};
