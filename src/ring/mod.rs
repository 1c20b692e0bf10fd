#![doc = include_str!("README.md")]

mod depot;
mod head;
mod orders;
mod pool;
mod span;
mod tail;
mod word;

pub(crate) use head::{Head, Left, Rest, Stop, Taker};
pub(crate) use pool::{BLOCKS_MAX, Kept, Pool, Returns, prefetch_line};
#[cfg(any(feature = "testing", fairlane_loom))]
pub(crate) use tail::Ticket;
pub(crate) use tail::{Door, ReserveError, Tail, depth};
pub(crate) use word::{Stamp, Word, behind, distance};
