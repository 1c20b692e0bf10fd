//! Plain state behind an exclusive right.

use super::UnsafeCell;

/// The exclusive right to take jobs out of one lane and to touch its [`Owned`] state.
///
/// Not `Clone`: whoever holds the value is the lane's only drainer. Made only by the rotation,
/// which hands out each lane at most once between two put-backs.
#[derive(Debug)]
pub(crate) struct DrainRight {
    lane: u32,
}

/// Stands for the lane of a right that has ended.
const NO_LANE: u32 = u32::MAX;

impl DrainRight {
    /// Makes the right for `lane`.
    ///
    /// # Safety
    /// No other right for the same lane of the same engine may exist until this one is dropped,
    /// and the caller's claim must happen after the previous holder's put-back.
    #[inline]
    pub(crate) unsafe fn new(lane: u32) -> Self {
        DrainRight { lane }
    }

    /// The lane the right is for.
    #[inline]
    pub(crate) fn lane(&self) -> u32 {
        self.lane
    }

    /// Ends the right while somebody still holds the value: it opens nothing from now on.
    pub(crate) fn end(&mut self) {
        self.lane = NO_LANE;
    }

    /// Whether the right has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.lane == NO_LANE
    }
}

/// State of one lane that only the holder of its [`DrainRight`] may touch: no atomics inside.
#[derive(Debug)]
pub(crate) struct Owned<T> {
    lane: u32,
    state: UnsafeCell<T>,
}

// SAFETY: `open` is the only access and takes the lane's one right by `&mut`; the rotation's
// hand-over orders one holder's accesses before the next one's. So `T` moves between threads but
// is never shared.
unsafe impl<T: Send> Sync for Owned<T> {}

impl<T> Owned<T> {
    pub(crate) fn new(lane: u32, state: T) -> Self {
        Owned { lane, state: UnsafeCell::new(state) }
    }

    /// Runs `f` on this state and another one of the same lane. Panics when either is for another
    /// lane than the right.
    pub(crate) fn open_both<U, R>(
        &self,
        other: &Owned<U>,
        right: &mut DrainRight,
        f: impl FnOnce(&mut T, &mut U) -> R,
    ) -> R {
        assert_eq!(right.lane, other.lane, "a drain right opens its own lane only");
        assert!(!std::ptr::addr_eq(self, other), "two states are two");
        self.open(right, |mine| {
            other.state.with_mut(|theirs| {
                // SAFETY: as in `open`, and the two are different cells.
                f(mine, unsafe { &mut *theirs })
            })
        })
    }

    /// Runs `f` on the state. Panics when the right is for another lane.
    #[inline]
    pub(crate) fn open<R>(&self, right: &mut DrainRight, f: impl FnOnce(&mut T) -> R) -> R {
        assert_eq!(right.lane, self.lane, "a drain right opens its own lane only");
        self.state.with_mut(|state| {
            // SAFETY: the right is unique for this lane and borrowed mutably for the call.
            f(unsafe { &mut *state })
        })
    }
}
