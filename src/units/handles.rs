//! Numbers for names that are looked up ahead, so that no string travels with a job.

/// What a budget counts, such as `total_tokens`; good for one engine.
///
/// Made by [`Engine::dimension`](crate::Engine::dimension).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Dimension {
    pub(crate) number: u32,
    pub(crate) engine: u16,
}

/// A named budget; good for one engine.
///
/// Made by [`Engine::budget`](crate::Engine::budget).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BudgetId {
    pub(crate) number: u32,
    pub(crate) engine: u16,
}
