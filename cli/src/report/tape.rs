use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use fairlane::Nanos;

/// One job handed to a handler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Service {
    /// When the handler began, on the run's clock.
    pub(crate) at: Nanos,
    /// Since the job's intended arrival.
    pub(crate) wait: Nanos,
    /// The tenant's place in the recording's list.
    pub(crate) tenant: u32,
    /// Cost units.
    pub(crate) cost: u32,
}

/// Notes services from many threads, and keeps the run's clock.
///
/// Each thread writes to a reel of its own, so its lock is free and the note costs a clock reading
/// and a push. With more threads than reels some share one, which is slower but just as right.
#[derive(Debug)]
pub(crate) struct Tape {
    epoch: Instant,
    reels: Vec<Mutex<Vec<Service>>>,
}

/// Threads that ever wrote to a tape: the next one's number.
static WRITERS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// This thread's number, given at its first note.
    static WRITER: Cell<Option<usize>> = const { Cell::new(None) };
}

impl Tape {
    /// Makes a tape whose clock shows zero at `epoch`, for about `threads` writers.
    pub(crate) fn new(epoch: Instant, threads: usize) -> Tape {
        let reels = (0..threads.max(1)).map(|_| Mutex::default()).collect();
        Tape { epoch, reels }
    }

    /// The moment the clock shows zero.
    pub(crate) fn epoch(&self) -> Instant {
        self.epoch
    }

    /// The time since the epoch; zero before it.
    pub(crate) fn now(&self) -> Nanos {
        Nanos::from_duration(Instant::now().saturating_duration_since(self.epoch))
    }

    /// Notes that the calling thread begins a job now.
    pub(crate) fn begin(&self, tenant: u32, cost: u32, arrived: Nanos) {
        let at = self.now();
        let service = Service { at, wait: at.since(arrived), tenant, cost };
        let writer = WRITER.get().unwrap_or_else(|| {
            let number = WRITERS.fetch_add(1, Ordering::Relaxed);
            WRITER.set(Some(number));
            number
        });
        let reel = &self.reels[writer % self.reels.len()];
        reel.lock().unwrap_or_else(PoisonError::into_inner).push(service);
    }

    /// Takes all notes made so far, in no particular order.
    pub(crate) fn take(&self) -> Vec<Service> {
        let reels = self.reels.iter();
        let take = |reel: &Mutex<Vec<Service>>| {
            std::mem::take(&mut *reel.lock().unwrap_or_else(PoisonError::into_inner))
        };
        reels.flat_map(take).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn notes_of_all_threads_are_kept_even_with_fewer_reels() {
        let tape = Tape::new(Instant::now(), 2);
        std::thread::scope(|scope| {
            for tenant in 0..5 {
                let tape = &tape;
                scope.spawn(move || (0..1_000).for_each(|_| tape.begin(tenant, 3, Nanos::ZERO)));
            }
        });
        let services = tape.take();
        let of = |tenant| services.iter().filter(|s| s.tenant == tenant && s.cost == 3).count();
        assert!((0..5).all(|tenant| of(tenant) == 1_000));
        assert!(tape.take().is_empty());
    }

    #[test]
    fn the_clock_stands_at_zero_until_its_epoch() {
        let tape = Tape::new(Instant::now() + Duration::from_secs(60), 1);
        assert_eq!(tape.now(), Nanos::ZERO);
        tape.begin(0, 1, Nanos(5));
        assert_eq!(tape.take()[0].wait, Nanos::ZERO);
    }
}
