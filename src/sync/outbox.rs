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
    /// nothing there or the room is used up. `make` should not panic: what it has made before
    /// would be leaked.
    #[inline]
    pub(crate) fn append_while<S>(
        &mut self,
        sources: &[S],
        mut make: impl for<'p> FnMut(&S, Place<'p, T>) -> Option<Put<'p>>,
    ) {
        let room = self.room();
        let places = &mut self.values.spare_capacity_mut()[..room];
        let mut made = 0;
        for (source, place) in sources.iter().zip(places) {
            let put = make(source, Place { place, _brand: PhantomData });
            if put.is_none() {
                break;
            }
            made += 1;
        }
        // SAFETY: the first `made` places behind the values, which are within the capacity, have
        // been filled: a `Put<'p>` comes from the `Place<'p>` of the same call alone.
        unsafe { self.values.set_len(self.values.len() + made) };
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Takes all values out; what is not taken is dropped with the iterator.
    #[inline]
    pub(crate) fn drain(&mut self) -> std::vec::Drain<'_, T> {
        self.values.drain(..)
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
