use super::Engine;
use super::observe::{Observer, PanicReport};
use super::shared::{ExpiryHook, Hooks, PanicHook, SPARE_DESKS, Shared};
use super::threads;
use crate::claim::Grant;
use crate::clock::Clock;
use crate::dispatch::{Expired, Lanes, Start};
use crate::park::dormitory;
use crate::policy::Policy;
use crate::sync::{cores, next_serial};
use crate::units::Capabilities;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Most workers an engine may have.
pub(super) const WORKERS_MAX: usize = 1_024;

/// Sets an engine up. Made by [`Engine::builder`].
#[must_use = "nothing runs before `start` or `build`"]
pub struct Builder<T> {
    policy: Policy,
    workers: Option<usize>,
    pin: bool,
    clock: Option<Clock>,
    observer: Option<Arc<dyn Observer>>,
    panic_hook: Option<PanicHook>,
    expiry_hook: Option<ExpiryHook<T>>,
    capabilities: Option<Box<dyn Fn(usize) -> Capabilities + Send>>,
    pub(super) start: Start,
    _payload: PhantomData<fn(T)>,
}

/// Why an engine could not start. Nothing keeps running.
#[non_exhaustive]
#[derive(Debug)]
pub enum StartError {
    /// The number of workers is outside `1..=1024`.
    Workers {
        /// What was asked for.
        asked: usize,
    },
    /// The operating system gave no thread.
    Spawn {
        /// Which worker it was for.
        worker: usize,
        /// What it said.
        source: std::io::Error,
    },
    /// Pinning was asked for and there are fewer cores for this process than workers, or the
    /// operating system refused.
    Pin {
        /// Which worker could not be pinned.
        worker: usize,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Workers { asked } => {
                write!(f, "workers: {asked} is outside 1..={WORKERS_MAX}")
            }
            StartError::Spawn { worker, source } => {
                write!(f, "worker {worker} got no thread: {source}")
            }
            StartError::Pin { worker } => {
                write!(f, "worker {worker} could not be pinned to a core")
            }
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StartError::Spawn { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl<T: Send + 'static> Builder<T> {
    pub(super) fn new() -> Self {
        Builder {
            policy: Policy::default(),
            workers: None,
            pin: false,
            clock: None,
            observer: None,
            panic_hook: None,
            expiry_hook: None,
            capabilities: None,
            start: Start::default(),
            _payload: PhantomData,
        }
    }

    /// Sets the policy; [`Policy::default`] otherwise.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the number of workers, `1..=1024`; the available parallelism otherwise.
    ///
    /// With [`build`](Builder::build) it is the most [`Worker`](crate::Worker)s at a time.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Pins each of the engine's threads to a core of its own; off otherwise.
    pub fn pin(mut self, pin: bool) -> Self {
        self.pin = pin;
        self
    }

    /// Sets the clock; the machine's monotonic clock otherwise.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Sets what each of the engine's threads can run beside jobs that require nothing, by its number;
    /// none otherwise. Threads with capabilities grant themselves one job at a time.
    pub fn capabilities(mut self, of: impl Fn(usize) -> Capabilities + Send + 'static) -> Self {
        self.capabilities = Some(Box::new(of));
        self
    }

    /// Sets an observer; none otherwise.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Sets what is told about a panic in a handler, in an observer, or in the engine itself on a thread of
    /// its own; nobody otherwise.
    pub fn on_panic(mut self, hook: impl Fn(PanicReport) + Send + Sync + 'static) -> Self {
        self.panic_hook = Some(Arc::new(hook));
        self
    }

    /// Sets what is told of jobs that expired, and gets them; they are dropped otherwise. Called with no
    /// lane claimed and no lock held: on a worker's thread between handlers, on the timekeeper's when
    /// all workers are busy, or inside the pull that found the job expired.
    pub fn on_expired(mut self, hook: impl Fn(Expired<T>) + Send + Sync + 'static) -> Self {
        self.expiry_hook = Some(Arc::new(hook));
        self
    }

    /// Makes an engine without threads: the service's own threads take grants through
    /// [`Engine::worker`].
    ///
    /// # Errors
    /// [`StartError::Workers`].
    pub fn build(self) -> Result<Engine<T>, StartError> {
        Ok(Engine::new(self.into_shared()?))
    }

    /// Makes an engine that runs `handler` on threads of its own, one per worker.
    ///
    /// # Errors
    /// [`StartError`]; threads that had started are stopped first.
    pub fn start(
        self,
        handler: impl Fn(Grant<T>) + Send + Sync + 'static,
    ) -> Result<Engine<T>, StartError> {
        let pin = self.pin;
        let mut builder = self;
        let of = builder.capabilities.take();
        let capabilities =
            move |worker| of.as_ref().map_or_else(Capabilities::default, |of| of(worker));
        let engine = Engine::new(builder.into_shared()?);
        // On an error the engine drops here, which stops and joins what has started.
        let mut threads = engine.owner.threads.lock().expect("nobody else has seen the engine");
        let started =
            threads::start(&engine.shared, Arc::new(handler), &capabilities, pin, &mut threads);
        drop(threads);
        started.map(|()| engine)
    }

    fn into_shared(self) -> Result<Shared<T>, StartError> {
        let workers = self.workers.unwrap_or_else(|| cores().min(WORKERS_MAX));
        if !(1..=WORKERS_MAX).contains(&workers) {
            return Err(StartError::Workers { asked: workers });
        }
        let (sleepers, beds) = dormitory(workers + SPARE_DESKS);
        // Engines are numbered, so that a handle of one is refused by another.
        let number = next_serial() as u16;
        let clock = self.clock.unwrap_or_else(Clock::monotonic);
        let lanes =
            Lanes::starting_at(self.policy, workers + SPARE_DESKS, sleepers, number, self.start)
                .observed(self.observer.is_some())
                .timed(clock.clone());
        let hooks =
            Hooks { observer: self.observer, panic: self.panic_hook, expiry: self.expiry_hook };
        Ok(Shared::new(Arc::new(lanes), clock, hooks, beds))
    }
}
