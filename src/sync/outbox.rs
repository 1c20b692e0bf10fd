//! A buffer that is filled in place.

/// A vector whose pushes never grow it, so that values are built where they stay.
pub(crate) struct Outbox<T> {
    values: Vec<T>,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Outbox { values: Vec::new() }
    }
}

impl<T> Outbox<T> {
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Outbox { values: Vec::with_capacity(capacity) }
    }

    /// Empties the buffer and makes room for `most` values.
    pub(crate) fn prepare(&mut self, most: usize) {
        self.values.clear();
        self.values.reserve(most);
    }

    /// Values that still fit.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        self.values.capacity() - self.values.len()
    }

    /// Appends a value. Panics when there is no room.
    #[inline(always)]
    pub(crate) fn push(&mut self, value: T) {
        let len = self.values.len();
        assert!(len < self.values.capacity(), "room was made before");
        // SAFETY: `len` is inside the allocation.
        let place = unsafe { self.values.as_mut_ptr().add(len) };
        // SAFETY: the place is owned, aligned and holds no value.
        unsafe { place.write(value) };
        // SAFETY: the value at `len` has just been written, and `len + 1 <= capacity`.
        unsafe { self.values.set_len(len + 1) };
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
