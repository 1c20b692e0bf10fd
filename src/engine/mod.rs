//! What users hold: the builder, the engine's handle, workers, drain.

mod budget;
mod builder;
mod drain;
mod explain;
mod job;
mod observe;
mod refusal;
mod report;
mod require;
mod room;
mod shared;
mod submit;
#[cfg(feature = "testing")]
pub mod testing;
mod threads;
mod timekeeper;
mod worker;

pub use budget::{Breach, Reported};
pub use builder::{Builder, StartError};
pub use drain::{DrainReport, Returned};
pub use explain::{BranchStanding, Explanation, Standing, Wait};
pub use job::{Accepted, Job, Kind};
pub use observe::{Observer, PanicReport, Parking, Served};
pub use refusal::{Batch, Refusal, Refused};
pub use require::Requirement;
pub use submit::TenantError;
pub use worker::{Worker, WorkerError};

pub use crate::dispatch::Expired;
use crate::dispatch::{Lanes, PlanError};
use crate::gate::TIERS_MAX;
use crate::policy::Policy;
use crate::sync::Mutex;
use crate::sync::thread::JoinHandle;
use shared::Shared;
use std::fmt;
use std::sync::Arc;

/// A running engine. Clones are handles to the same one.
///
/// When the last handle drops without a [`drain`](Engine::drain), intake stops, running handlers
/// finish, the engine's threads are joined (unless the drop happens on one of them), and what
/// still waits is dropped.
pub struct Engine<T: Send + 'static> {
    owner: Arc<Owner<T>>,
    /// The same as the owner's. Here because each pointer on the way in costs a submission.
    shared: Arc<Shared<T>>,
    lanes: Arc<Lanes<T>>,
}

impl<T: Send + 'static> Clone for Engine<T> {
    fn clone(&self) -> Self {
        Engine {
            owner: Arc::clone(&self.owner),
            shared: Arc::clone(&self.shared),
            lanes: Arc::clone(&self.lanes),
        }
    }
}

struct Owner<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    /// The engine's own threads; empty when the service brings its own.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// Why a policy was not taken over. The old one stays in force, whole.
#[non_exhaustive]
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SetPolicyError {
    /// The key sizes the engine and cannot change while it runs.
    Fixed {
        /// The policy's key.
        key: &'static str,
        /// Its value in the running engine.
        running: u64,
        /// Its value in the refused policy.
        refused: u64,
    },
    /// The refused policy has no such tier, but tenants of the engine are in it.
    TierInUse {
        /// The tier's name.
        tier: String,
    },
    /// The tier has a `tier_concurrency`, and the engine has known too many tiers to count its grants.
    /// Names of tiers that are gone count too: reuse them, or restart.
    TooManyTiers {
        /// The tier's name.
        tier: String,
        /// Most tiers over an engine's life whose grants can be counted.
        most: usize,
    },
    /// The policy's `[costs]` name kinds of jobs that are new, and the engine would have known too many. Names
    /// of kinds that are gone count too: reuse them, or restart.
    TooManyKinds {
        /// Kinds that the engine would have known, those of the refused policy included.
        kinds: usize,
        /// Most kinds over an engine's life.
        most: usize,
    },
}

impl fmt::Display for SetPolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SetPolicyError::Fixed { key, running, refused } => {
                write!(f, "{key} is fixed while the engine runs: {running}, not {refused}")
            }
            SetPolicyError::TierInUse { tier } => {
                write!(f, "tier \"{tier}\" has tenants and cannot be removed")
            }
            SetPolicyError::TooManyTiers { tier, most } => write!(
                f,
                "tier \"{tier}\" cannot have a tier_concurrency: \
                 the engine has known {most} tiers before it, those that are gone included"
            ),
            SetPolicyError::TooManyKinds { kinds, most } => write!(
                f,
                "costs: the engine would have known {kinds} kinds of jobs, \
                 those that are gone included, of at most {most}"
            ),
        }
    }
}

impl std::error::Error for SetPolicyError {}

impl From<PlanError> for SetPolicyError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Fixed(key, running, refused) => {
                SetPolicyError::Fixed { key, running, refused }
            }
            PlanError::TierInUse(tier) => SetPolicyError::TierInUse { tier },
            PlanError::TooManyTiers(tier) => SetPolicyError::TooManyTiers { tier, most: TIERS_MAX },
        }
    }
}

impl<T: Send + 'static> Engine<T> {
    /// Begins the set-up of an engine for payloads of type `T`.
    pub fn builder() -> Builder<T> {
        Builder::new()
    }

    /// Replaces the policy. New weights hold from each tenant's next visit, new bounds for the
    /// next submission; balances are kept and no queued job is dropped. A concurrency that the policy
    /// before did not have counts the grants from now on, and not those that are out; a new `max_wait` and
    /// new priority bands hold for jobs that are submitted from now on.
    ///
    /// # Errors
    /// [`SetPolicyError`] when the policy cannot follow the present one; nothing changes then.
    ///
    /// # Cost
    /// A pass over all tenants; workers and submitters do not wait for it.
    pub fn set_policy(&self, policy: Policy) -> Result<(), SetPolicyError> {
        self.shared.set_policy(policy)
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.shared.lanes.plan.load().policy.clone()
    }

    /// What the engine has done and what waits, at this moment. Costs a pass over all tenants.
    #[must_use]
    pub fn snapshot(&self) -> crate::stats::Snapshot {
        self.shared.snapshot()
    }

    fn new(shared: Shared<T>) -> Self {
        let shared = Arc::new(shared);
        let owner = Owner { shared: Arc::clone(&shared), threads: Mutex::new(Vec::new()) };
        Engine { owner: Arc::new(owner), lanes: Arc::clone(&shared.lanes), shared }
    }
}

impl<T: Send + 'static> fmt::Debug for Engine<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lanes = &self.shared.lanes;
        f.debug_struct("Engine")
            .field("tenants", &lanes.table.used())
            .field("workers", &self.shared.workers())
            .field("sleeping", &lanes.sleepers.count())
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Drop for Owner<T> {
    fn drop(&mut self) {
        self.shared.stop_intake();
        self.shared.stop_workers();
        self.join_threads();
        self.shared.discard_leftovers();
    }
}
