#![doc = include_str!("README.md")]

mod lane;
mod pool;
mod word;

pub(crate) use lane::{Door, Front, Head, ReserveError, Rest, SPAN_MAX, Span, Tail, Ticket, depth};
pub(crate) use pool::{BLOCKS_MAX, Pool, Returns, prefetch_line};
pub(crate) use word::{Meta, Stamp, Word, distance};
