//! Tries, gates and spins.

use fairlane::{Engine, Grant, Tenant};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// Runs `attempt` until it succeeds, at most `tries` times, one test of this binary at a time:
/// they would take each other's cores.
#[track_caller]
pub(crate) fn within_tries(
    what: &str,
    tries: u32,
    mut attempt: impl FnMut() -> Result<String, String>,
) {
    static ALONE: Mutex<()> = Mutex::new(());
    let mut reasons = Vec::new();
    {
        // A test that failed has spoiled nothing for the next.
        let _alone = ALONE.lock().unwrap_or_else(|failed| failed.into_inner());
        for number in 1..=tries {
            match attempt() {
                Ok(figures) => return println!("{what}, try {number}: {figures}"),
                Err(reason) => {
                    println!("{what}, try {number} failed: {reason}");
                    reasons.push(reason);
                }
            }
        }
    }
    panic!("{what}: {tries} tries failed:\n  {}", reasons.join("\n  "));
}

pub(crate) fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

/// Where handlers wait until it is opened.
#[derive(Default)]
pub(crate) struct Gate {
    /// Handlers that wait, and whether the gate is open.
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Gate {
    pub(crate) fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(state, |state| !state.1).unwrap());
    }

    pub(crate) fn await_arrivals(&self, handlers: usize) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| state.0 < handlers).unwrap());
    }

    pub(crate) fn open(&self) {
        self.state.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}

/// Opens the gate however a test ends: an engine cannot be dropped while a handler waits.
pub(crate) struct Opens<'a>(pub(crate) &'a Gate);

impl Drop for Opens<'_> {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// A job that either holds its worker at a gate or is ordinary.
pub(crate) type Held = Option<Arc<Gate>>;

/// Passes the gate and returns `false`, or returns `true` for an ordinary job.
pub(crate) fn is_ordinary(grant: &Grant<Held>) -> bool {
    match grant.payload() {
        Some(gate) => {
            gate.pass();
            false
        }
        None => true,
    }
}

/// Runs `fill` while all workers are held by jobs of `holder`, so that everything is queued
/// before the first job is granted.
pub(crate) fn fill_while_held(
    engine: &Engine<Held>,
    holder: Tenant,
    workers: usize,
    fill: impl FnOnce(),
) {
    let gate = Arc::new(Gate::default());
    let _opens = Opens(&gate);
    for _ in 0..workers {
        assert!(engine.submit(holder, Some(Arc::clone(&gate))).is_ok());
    }
    gate.await_arrivals(workers);
    fill();
}
