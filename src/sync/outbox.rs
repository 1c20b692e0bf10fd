//! A buffer that is filled in place.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// A vector whose pushes never grow it, so that values are built where they stay.
pub(crate) struct Outbox<T> {
    values: Vec<T>,
    /// Values it may hold now; at most its capacity.
    limit: usize,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Outbox::with_capacity(0)
    }
}

impl<T> Outbox<T> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Outbox { values: Vec::with_capacity(capacity), limit: capacity }
    }

    /// Empties the buffer and makes room for `most` values.
    pub(crate) fn prepare(&mut self, most: usize) {
        self.values.clear();
        self.values.reserve(most);
        self.limit = most;
    }

    /// Leaves room for at most `most` more values.
    pub(crate) fn limit(&mut self, most: usize) {
        self.limit = self.values.capacity().min(self.values.len() + most);
    }

    /// Values that still fit.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        self.limit - self.values.len()
    }

    /// Appends a value. Panics when there is no room.
    #[inline]
    pub(crate) fn push(&mut self, value: T) {
        assert!(self.room() > 0, "room was made before");
        self.values.push(value);
    }

    /// Appends what `make` puts into the place it is given for each of `sources`, until it puts
    /// nothing there or the room is used up. What it has made before it panics stays.
    #[inline]
    pub(crate) fn append_while<S>(
        &mut self,
        sources: &[S],
        mut make: impl for<'p> FnMut(&S, Place<'p, T>) -> Option<Put<'p>>,
    ) {
        let room = self.room();
        let first = self.values.spare_capacity_mut()[..room].as_mut_ptr();
        // SAFETY: these are the first `room` places behind the values, and while this lives nothing
        // else reaches what is behind the values: `Made` changes their number alone.
        let places = unsafe { std::slice::from_raw_parts_mut(first, room) };
        let mut made = Made { values: &mut self.values, count: 0 };
        for (source, place) in sources.iter().zip(places) {
            let put = make(source, Place { place, _brand: PhantomData });
            if put.is_none() {
                break;
            }
            made.count += 1;
        }
    }

    /// The values that follow the first `count`.
    pub(crate) fn after(&self, count: usize) -> &[T] {
        &self.values[count..]
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Takes up to `most` values out, the first ones; what is not taken is dropped with the iterator.
    #[inline]
    pub(crate) fn drain_some(&mut self, most: usize) -> std::vec::Drain<'_, T> {
        let most = most.min(self.values.len());
        self.values.drain(..most)
    }

    /// Takes all values out; what is not taken is dropped with the iterator.
    #[inline]
    pub(crate) fn drain(&mut self) -> std::vec::Drain<'_, T> {
        self.values.drain(..)
    }
}

/// Values made behind those of a buffer; they are the buffer's when this drops, so that no panic leaks
/// them.
struct Made<'a, T> {
    values: &'a mut Vec<T>,
    count: usize,
}

impl<T> Drop for Made<'_, T> {
    #[inline]
    fn drop(&mut self) {
        let values = self.values.len() + self.count;
        // SAFETY: the first `count` places behind the values, which are within the capacity, have
        // been filled: a `Put<'p>` comes from the `Place<'p>` of the same call alone.
        unsafe { self.values.set_len(values) };
    }
}

/// Where one value goes. The lifetime is of one call, and no other fits.
pub(crate) struct Place<'p, T> {
    place: &'p mut MaybeUninit<T>,
    _brand: PhantomData<fn(&'p ()) -> &'p ()>,
}

/// Says that the place has been filled.
pub(crate) struct Put<'p>(PhantomData<fn(&'p ()) -> &'p ()>);

impl<'p, T> Place<'p, T> {
    /// Fills the place.
    #[inline]
    pub(crate) fn put(self, value: T) -> Put<'p> {
        self.place.write(value);
        Put(PhantomData)
    }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
    use std::sync::Arc;

    #[test]
    fn what_was_made_before_a_panic_is_neither_lost_nor_leaked() {
        let counted = Arc::new(());
        let mut out = Outbox::with_capacity(4);
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            out.append_while(&[1, 2, 3], |number, place| {
                if *number == 3 {
                    resume_unwind(Box::new("on purpose"));
                }
                Some(place.put(Arc::clone(&counted)))
            });
        }));
        assert!(unwound.is_err());
        assert_eq!((out.len(), out.room(), Arc::strong_count(&counted)), (2, 2, 3));
        drop(out);
        assert_eq!(Arc::strong_count(&counted), 1);
    }
}
