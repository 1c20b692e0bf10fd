//! mea's FairShare: permits, of which the key that holds the fewest gets the next one. There is no
//! queue of jobs; a job is a future that waits for its permit, as a task would.

use super::{BATCH, Ends, Payload, Setup};
use mea::admission::{FairShare, OwnedFairSharePermit};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

pub(crate) const NAME: &str = "mea FairShare";

type Permit = OwnedFairSharePermit<u64>;
type Acquire = Pin<Box<dyn Future<Output = Permit> + Send>>;

/// Jobs that wait for permits, and jobs that have one.
pub(crate) struct Permits {
    admission: Arc<FairShare<u64>>,
    /// What is still waited for; a slot is free when it holds nothing.
    waiting: Vec<Option<(Acquire, Payload)>>,
    free: Vec<usize>,
    granted: VecDeque<(Permit, Payload)>,
    /// Slots whose waker was called, in that order.
    woken: Arc<Mutex<VecDeque<usize>>>,
    capacity: usize,
}

/// Tells which future has been given its permit.
struct Signal {
    slot: usize,
    woken: Arc<Mutex<VecDeque<usize>>>,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.woken.lock().push_back(self.slot);
    }
}

impl Permits {
    /// As many permits as the others take jobs at once.
    pub(crate) fn new(setup: &Setup) -> Permits {
        Permits::with_permits(BATCH, setup.capacity)
    }

    /// At most `permits` jobs granted and `capacity` in flight.
    pub(crate) fn with_permits(permits: usize, capacity: usize) -> Permits {
        Permits {
            admission: Arc::new(FairShare::new(permits)),
            waiting: Vec::new(),
            free: Vec::new(),
            granted: VecDeque::new(),
            woken: Arc::default(),
            capacity,
        }
    }

    fn in_flight(&self) -> usize {
        self.waiting.len() - self.free.len() + self.granted.len()
    }

    /// Takes a job that has its permit, and the permit with it.
    pub(crate) fn next(&mut self) -> Option<(Permit, Payload)> {
        if let Some(granted) = self.granted.pop_front() {
            return Some(granted);
        }
        let slot = self.woken.lock().pop_front()?;
        let (mut acquire, payload) = self.waiting[slot].take().expect("a slot is woken once");
        self.free.push(slot);
        let mut context = Context::from_waker(Waker::noop());
        match acquire.as_mut().poll(&mut context) {
            Poll::Ready(permit) => Some((permit, payload)),
            Poll::Pending => unreachable!("a waker is called when the permit is there"),
        }
    }
}

impl Ends for Permits {
    fn offer(&mut self, tenant: u32, _cost: u32, payload: Payload) -> bool {
        if self.in_flight() >= self.capacity {
            return false;
        }
        let admission = Arc::clone(&self.admission);
        let mut acquire: Acquire = Box::pin(admission.acquire_owned(u64::from(tenant)));
        let slot = self.free.pop().unwrap_or(self.waiting.len());
        let waker = Waker::from(Arc::new(Signal { slot, woken: Arc::clone(&self.woken) }));
        let polled = acquire.as_mut().poll(&mut Context::from_waker(&waker));
        if slot == self.waiting.len() {
            self.waiting.push(None);
        }
        match polled {
            Poll::Ready(permit) => {
                self.free.push(slot);
                self.granted.push_back((permit, payload));
            }
            Poll::Pending => self.waiting[slot] = Some((acquire, payload)),
        }
        true
    }

    fn take(&mut self, most: usize, sink: &mut impl FnMut(Payload)) -> usize {
        let mut taken = 0;
        while taken < most
            && let Some((permit, payload)) = self.next()
        {
            taken += 1;
            sink(payload);
            drop(permit);
        }
        taken
    }
}
