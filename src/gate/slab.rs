//! Values by number, numbers of values that left first.

/// Values by number. Memory is kept for the most there were at once.
#[derive(Debug)]
pub(super) struct Slab<V> {
    cells: Vec<Cell<V>>,
    /// The free number that the next value gets, or [`NONE`].
    free: u32,
}

#[derive(Debug)]
enum Cell<V> {
    Used(V),
    /// The free number after this one, or [`NONE`].
    Free(u32),
}

/// No number: the end of the free ones.
const NONE: u32 = u32::MAX;

impl<V> Slab<V> {
    pub(super) const fn new() -> Self {
        Slab { cells: Vec::new(), free: NONE }
    }

    /// Keeps a value, and says under which number.
    pub(super) fn add(&mut self, value: V) -> u32 {
        let number = self.free;
        if number == NONE {
            self.cells.push(Cell::Used(value));
            return u32::try_from(self.cells.len() - 1).expect("memory ends before 2^32 values");
        }
        match std::mem::replace(&mut self.cells[number as usize], Cell::Used(value)) {
            Cell::Free(next) => self.free = next,
            Cell::Used(_) => unreachable!("number {number} is in the free list"),
        }
        number
    }

    /// Takes out the value under `number`, if there is one.
    pub(super) fn take(&mut self, number: u32) -> Option<V> {
        let cell = self.cells.get_mut(number as usize)?;
        if let Cell::Free(_) = cell {
            return None;
        }
        match std::mem::replace(cell, Cell::Free(self.free)) {
            Cell::Used(value) => {
                self.free = number;
                Some(value)
            }
            Cell::Free(_) => None,
        }
    }

    /// The value under `number`, if there is one.
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut V> {
        match self.cells.get_mut(number as usize)? {
            Cell::Used(value) => Some(value),
            Cell::Free(_) => None,
        }
    }
}

impl<V> Default for Slab<V> {
    fn default() -> Self {
        Slab::new()
    }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_used_again_once_its_value_has_left() {
        let mut slab = Slab::new();
        let numbers = ["a", "b", "c"].map(|value| slab.add(value));
        assert_eq!(slab.take(numbers[1]), Some("b"));
        assert_eq!((slab.take(numbers[1]), slab.take(7)), (None, None));
        assert_eq!(slab.add("d"), numbers[1]);
        assert_eq!(slab.get_mut(numbers[1]).copied(), Some("d"));
        assert_ne!(slab.add("e"), numbers[2]);
        assert_eq!(slab.take(numbers[2]), Some("c"));
    }
}
