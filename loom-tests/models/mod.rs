//! The loom models. This is a module of the engine's crate, so models reach what is private to it.
//!
//! A model is a test whose name is unique among all models and is also what it hands to
//! [`harness::check`]; `mutants.toml` and `floors.toml` know it by that name.

mod chunks;
mod crowd;
mod dispatch;
mod dispatch_death;
mod dispatch_rig;
mod engine;
mod gate;
mod harness;
mod lent;
mod park;
mod policy;
mod pool;
mod ring;
mod ring_blocks;
mod ring_life;
mod ring_rig;
mod ring_spare;
mod rotation;
mod selftest;
mod tenant;
