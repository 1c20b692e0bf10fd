//! Slots by moment, from which any slot can be taken out.

use crate::units::Nanos;

/// When something is to happen to a slot. Ordered by moment, then by arrival.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Moment {
    pub(super) at: Nanos,
    pub(super) arrival: u64,
    pub(super) slot: u32,
}

/// A slot that is not in the heap.
const ABSENT: u32 = u32::MAX;

/// A binary heap, earliest moment first, that knows where each slot stands. What leaves early
/// leaves at once: the heap holds what is live and nothing else.
pub(super) struct Heap {
    moments: Vec<Moment>,
    /// By slot: its index in `moments`, or `ABSENT`. As long as the highest slot that was ever here.
    places: Vec<u32>,
}

impl Heap {
    pub(super) const fn new() -> Self {
        Heap { moments: Vec::new(), places: Vec::new() }
    }

    pub(super) fn first(&self) -> Option<Moment> {
        self.moments.first().copied()
    }

    #[cfg(all(test, not(fairlane_loom)))]
    pub(super) fn len(&self) -> usize {
        self.moments.len()
    }

    /// Moments and places that need no memory of the allocator's.
    #[cfg(all(test, not(fairlane_loom)))]
    pub(super) fn capacities(&self) -> (usize, usize) {
        (self.moments.capacity(), self.places.capacity())
    }

    /// Adds a slot that is not here.
    pub(super) fn add(&mut self, moment: Moment) {
        let slot = moment.slot as usize;
        if slot >= self.places.len() {
            self.places.resize(slot + 1, ABSENT);
        }
        debug_assert_eq!(self.places[slot], ABSENT, "slot {slot} is in the heap already");
        self.moments.push(moment);
        self.rise(self.moments.len() - 1);
    }

    /// Takes a slot out. Returns whether it was here.
    pub(super) fn remove(&mut self, slot: u32) -> bool {
        let Some(place) = self.places.get_mut(slot as usize).filter(|place| **place != ABSENT)
        else {
            return false;
        };
        let place = std::mem::replace(place, ABSENT) as usize;
        let last = self.moments.pop().expect("a slot with a place is in the heap");
        if place < self.moments.len() {
            self.moments[place] = last;
            // The last one may belong above or below the one it stands in for, not both.
            let settled = self.rise(place);
            self.sink(settled);
        }
        true
    }

    /// Moves what stands at `place` towards the front until its order is right; says where to.
    fn rise(&mut self, mut place: usize) -> usize {
        let moving = self.moments[place];
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.moments[parent] <= moving {
                break;
            }
            self.set(place, self.moments[parent]);
            place = parent;
        }
        self.set(place, moving);
        place
    }

    /// Moves what stands at `place` towards the back until its order is right.
    fn sink(&mut self, mut place: usize) {
        let moving = self.moments[place];
        loop {
            let left = 2 * place + 1;
            let children = left..self.moments.len().min(left + 2);
            let Some(child) = children.min_by_key(|&child| self.moments[child]) else { break };
            if moving <= self.moments[child] {
                break;
            }
            self.set(place, self.moments[child]);
            place = child;
        }
        self.set(place, moving);
    }

    fn set(&mut self, place: usize, moment: Moment) {
        self.moments[place] = moment;
        self.places[moment.slot as usize] = place as u32;
    }
}
