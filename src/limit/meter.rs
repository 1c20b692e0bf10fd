//! The state of one rate of one tenant.

use super::gcra::Gcra;
use super::window::Window;
use crate::limit::{Rate, Shape};
use crate::units::Nanos;

/// What a rate says about an amount that does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    /// The earliest moment at which exactly this amount is admitted if nothing else is charged until then;
    /// [`Nanos::MAX`] when it is wider than the rate.
    pub(crate) retry_at: Nanos,
    /// Jobs or cost units that count now; of a smooth rate the level of its bucket, rounded up.
    pub(crate) current: u64,
    /// The most that may count at once: the stated number, or the burst of a smooth rate.
    pub(crate) limit: u64,
}

/// What one tenant has used of one rate: at most 64 bytes, and 16 more per moment remembered, at most 65.
///
/// Time never goes back here: a `now` before the latest one seen is read as the latest. A clock that stands or
/// steps back therefore makes tenants wait, and never issues more; one that leaps ahead, as if that time had passed.
///
/// # Swaps
/// The rate is an argument, and may be another one at every call. What is remembered counts under the rate asked
/// about, as the number that it was charged as (a job charged as one stays one when the unit becomes cost):
/// - strict to strict: moments and amounts are kept. A longer window holds what is remembered of it: what had left
///   the shorter one by its last call is forgotten.
/// - smooth to smooth: the level is kept in units, and lowered to the new burst.
/// - strict to smooth: the level is what it would be, had the entries been charged under the smooth rate.
/// - smooth to strict: what is left of the level counts as one entry of the last moment seen.
///
/// So what is charged after a swap is by itself never more than the new rate allows.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    /// The latest moment seen.
    seen: Nanos,
    /// Entries before this moment are forgotten or blended with others, and cannot be given back.
    refundable_from: Nanos,
    state: State,
}

/// What is remembered, by the shape of the rate last asked about.
#[derive(Clone, Debug)]
enum State {
    Window(Window),
    Bucket(Gcra),
}

impl Meter {
    /// Nothing charged, nothing allocated.
    pub(crate) const fn new() -> Meter {
        let state = State::Window(Window::new());
        Meter { seen: Nanos::ZERO, refundable_from: Nanos::ZERO, state }
    }

    /// [`advance`](Meter::advance) and [`fits`](Meter::fits) in one.
    #[cfg(test)]
    pub(crate) fn check(&mut self, rate: &Rate, amount: u64, now: Nanos) -> Result<(), Refusal> {
        self.advance(rate, now);
        self.fits(rate, amount)
    }

    /// Whether `amount` may go now, at the moment and under the rate of the last
    /// [`advance`](Meter::advance): many jobs are looked at in one moment.
    ///
    /// # Errors
    /// [`Refusal`] when it may not.
    #[inline]
    pub(crate) fn fits(&self, rate: &Rate, amount: u64) -> Result<(), Refusal> {
        let limit = rate.widest();
        let refused = |retry_at, current| Refusal { retry_at, current, limit };
        match &self.state {
            State::Window(window) => window
                .check(limit, rate.per(), amount)
                .map_err(|retry_at| refused(retry_at, window.used())),
            State::Bucket(bucket) => bucket
                .check(limit, amount)
                .map_err(|wait| refused(self.seen.after(wait), bucket.units())),
        }
    }

    /// How much [`fits`](Meter::fits) at most, in jobs or cost units.
    #[inline]
    pub(crate) fn room(&self, rate: &Rate) -> u64 {
        match &self.state {
            State::Window(window) => rate.widest().saturating_sub(window.used()),
            State::Bucket(bucket) => bucket.room(rate.widest()),
        }
    }

    /// [`advance`](Meter::advance) and [`count`](Meter::count) in one.
    #[cfg(test)]
    pub(crate) fn charge(&mut self, rate: &Rate, amount: u64, now: Nanos) {
        self.advance(rate, now);
        self.count(rate, amount);
    }

    /// Counts `amount`, which [`fits`](Meter::fits) has let pass, at the moment of the last
    /// [`advance`](Meter::advance).
    #[inline]
    pub(crate) fn count(&mut self, rate: &Rate, amount: u64) {
        match &mut self.state {
            State::Window(window) => window.charge(rate.per(), amount, self.seen),
            State::Bucket(bucket) => bucket.charge(amount),
        }
    }

    /// Gives back an `amount` whose grant failed, where `charged_at` is the `now` of its charge.
    ///
    /// Never gives back more than still counts of that charge: nothing of a charge that has left the window, nor
    /// where a swap has blended it with others; of a smooth rate, what has drained since stays lost.
    #[allow(dead_code, reason = "grants that can fail come with leases")]
    pub(crate) fn refund(&mut self, rate: &Rate, amount: u64, charged_at: Nanos) {
        self.advance(rate, self.seen);
        let elapsed = self.seen.since(charged_at);
        if charged_at < self.refundable_from {
            return;
        }
        match &mut self.state {
            // A meter made anew after it was idle knows nothing of what has left.
            State::Window(_) if elapsed >= rate.per() => {}
            State::Window(window) => window.refund(amount, charged_at),
            State::Bucket(bucket) => bucket.refund(amount, elapsed),
        }
    }

    /// Whether nothing counts any more, so that this state and a new one say the same.
    pub(crate) fn is_idle(&mut self, rate: &Rate, now: Nanos) -> bool {
        self.advance(rate, now);
        match &self.state {
            State::Window(window) => window.used() == 0,
            State::Bucket(bucket) => bucket.is_empty(),
        }
    }

    /// Takes on `rate`, and drops what no longer counts at `now`. Leaves no other trace.
    pub(crate) fn advance(&mut self, rate: &Rate, now: Nanos) {
        let elapsed = now.since(self.seen);
        match (&mut self.state, rate.shape()) {
            (State::Window(_), Shape::Strict) | (State::Bucket(_), Shape::Smooth { .. }) => {}
            (State::Window(window), Shape::Smooth { .. }) => {
                self.state = State::Bucket(poured(window, rate, self.seen));
            }
            (State::Bucket(bucket), Shape::Strict) => {
                self.state = State::Window(logged(bucket, rate, self.seen));
                self.refundable_from = self.seen;
            }
        }
        self.seen = self.seen.max(now);
        match &mut self.state {
            State::Window(window) => {
                if let Some(dropped) = window.trim(rate.per(), self.seen) {
                    self.refundable_from = self.refundable_from.max(dropped.after(Nanos(1)));
                }
            }
            State::Bucket(bucket) => {
                if bucket.adopt(rate) {
                    self.refundable_from = self.seen.after(Nanos(1));
                }
                bucket.drain(elapsed);
            }
        }
    }
}

/// The bucket as it would be at `seen`, had the entries been charged under the smooth `rate`.
fn poured(window: &Window, rate: &Rate, seen: Nanos) -> Gcra {
    let mut bucket = Gcra::new(rate);
    let mut last = Nanos::ZERO;
    for (at, amount) in window.entries() {
        bucket.drain(at.since(last));
        bucket.charge(amount);
        last = at;
    }
    bucket.drain(seen.since(last));
    bucket
}

/// The level as one entry of the moment `seen`.
fn logged(bucket: &Gcra, rate: &Rate, seen: Nanos) -> Window {
    let mut window = Window::new();
    window.charge(rate.per(), bucket.units(), seen);
    window
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests;
