//! How many grants may be out at once: of a tenant, of a tier, of the engine.

use crate::sync::atomic::{AtomicU64, Ordering::Relaxed};
use crate::sync::{mutant, ord, spin};

/// Slots for grants, one word: `queued 1 | cap 31 | used 32`.
///
/// Taking and giving back are one compare-and-swap each, as long as nobody queues. While lanes queue,
/// the word changes under the lot's lock only: nobody takes a slot past them, and whoever gives one back
/// learns from the same swap that it is to be handed over. So there is no second flag to look at, and
/// no moment in which a slot comes free unseen.
#[derive(Debug)]
pub(crate) struct Slots(AtomicU64);

#[derive(Clone, Copy)]
struct Word(u64);

/// The cap of slots that are counted and not limited.
const UNBOUNDED: u32 = (1 << 31) - 1;
const QUEUED: u64 = 1 << 63;
const CAP_SHIFT: u32 = 32;

impl Word {
    const fn new(queued: bool, cap: u32, used: u32) -> Word {
        Word((queued as u64) << 63 | (cap as u64) << CAP_SHIFT | used as u64)
    }

    const fn is_queued(self) -> bool {
        self.0 & QUEUED != 0
    }

    const fn cap(self) -> u32 {
        (self.0 >> CAP_SHIFT) as u32 & UNBOUNDED
    }

    const fn used(self) -> u32 {
        self.0 as u32
    }

    const fn has_room(self) -> bool {
        self.used() < self.cap()
    }

    /// How many of `most` slots there are for somebody who does not queue.
    fn open_to(self, most: u32) -> u32 {
        if self.is_queued() { 0 } else { self.cap().saturating_sub(self.used()).min(most) }
    }

    const fn with_used(self, used: u32) -> Word {
        Word::new(self.is_queued(), self.cap(), used)
    }
}

impl Slots {
    /// Slots that are counted and not limited.
    pub(crate) fn unbounded() -> Self {
        Slots(AtomicU64::new(Word::new(false, UNBOUNDED, 0).0))
    }

    fn look(&self) -> Word {
        Word(self.0.load(Relaxed))
    }

    /// Slots taken.
    pub(crate) fn used(&self) -> u32 {
        self.look().used()
    }

    /// The most that may be taken; `None` without a limit.
    pub(crate) fn cap(&self) -> Option<u32> {
        Some(self.look().cap()).filter(|cap| *cap != UNBOUNDED)
    }

    /// Takes a slot, if there is one and nobody queues for it.
    #[inline]
    pub(crate) fn take(&self) -> bool {
        self.take_some(1) == 1
    }

    /// Takes up to `most` slots, as many as there are, if nobody queues for them. Returns how many.
    #[inline]
    pub(crate) fn take_some(&self, most: u32) -> u32 {
        if mutant!("slots.load_then_add") {
            let word = self.look();
            let some = word.open_to(most);
            self.0.fetch_add(some.into(), Relaxed);
            return some;
        }
        let mut some = 0;
        let taken = self.change(|word| {
            some = word.open_to(most);
            (some > 0).then(|| word.with_used(word.used() + some))
        });
        if taken { some } else { 0 }
    }

    /// Gives a slot back. `false` when lanes queue: then it is still taken, to be handed over.
    #[inline]
    pub(crate) fn give(&self) -> bool {
        self.give_some(1)
    }

    /// Gives `some` slots back. `false` when lanes queue: then they are still taken, to be handed over.
    #[inline]
    pub(crate) fn give_some(&self, some: u32) -> bool {
        self.change(|word| {
            let unseen = mutant!("slots.queue_unseen");
            (!word.is_queued() || unseen).then(|| word.with_used(word.used().saturating_sub(some)))
        })
    }

    /// Whether [`Slots::take`] would have taken one.
    pub(super) fn would_take(&self) -> bool {
        self.look().open_to(1) == 1
    }

    /// Whether no more are taken than there may be.
    pub(super) fn is_within(&self) -> bool {
        let word = self.look();
        word.used() <= word.cap()
    }

    /// Takes a slot, or joins the queue. Under the lot's lock; `is_first` when nobody queues yet.
    pub(super) fn take_or_queue(&self, is_first: bool) -> bool {
        let mut taken = false;
        self.change(|word| {
            taken = is_first && word.has_room();
            let used = word.used() + u32::from(taken);
            Some(Word::new(word.is_queued() || !taken, word.cap(), used))
        });
        taken
    }

    /// Gives a slot back although lanes queue. Under the lot's lock.
    pub(super) fn give_anyway(&self) {
        self.change(|word| Some(word.with_used(word.used().saturating_sub(1))));
    }

    /// Takes a slot for the first of the queue. Under the lot's lock.
    pub(super) fn take_for_queue(&self) -> bool {
        self.change(|word| word.has_room().then(|| word.with_used(word.used() + 1)))
    }

    /// Nobody queues any more. Under the lot's lock.
    pub(super) fn unqueue(&self) {
        self.change(|word| Some(Word::new(false, word.cap(), word.used())));
    }

    /// Sets the limit. What is taken beyond it stays taken, and nothing more is until it is below.
    /// Under the lot's lock.
    pub(super) fn set_cap(&self, cap: Option<u32>) {
        let cap = cap.map_or(UNBOUNDED, |cap| cap.min(UNBOUNDED - 1));
        self.change(|word| Some(Word::new(word.is_queued(), cap, word.used())));
    }

    /// Changes the word to what `next` makes of it, unless that is `None`.
    #[inline]
    fn change(&self, mut next: impl FnMut(Word) -> Option<Word>) -> bool {
        let mut word = self.look();
        loop {
            let Some(new) = next(word) else { return false };
            // ORDERING(slots.change): AcqRel: what a grant did comes before what the next holder of
            // its slot does; pairs with itself.
            let swapped = self.0.compare_exchange_weak(
                word.0,
                new.0,
                ord!("slots.change", AcqRel => Relaxed),
                Relaxed,
            );
            match swapped {
                Ok(_) => return true,
                Err(now) => word = Word(now),
            }
            spin();
        }
    }
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_word_gives_back_what_was_packed(queued: bool, cap in 0..=UNBOUNDED, used: u32) {
            let word = Word::new(queued, cap, used);
            prop_assert_eq!((word.is_queued(), word.cap(), word.used()), (queued, cap, used));
        }
    }

    fn slots(cap: u32) -> Slots {
        let slots = Slots::unbounded();
        slots.set_cap(Some(cap));
        slots
    }

    #[test]
    fn no_more_slots_are_taken_than_there_are() {
        let slots = slots(2);
        assert!(slots.take() && slots.take() && !slots.take());
        assert!(slots.give() && slots.take() && !slots.take());
    }

    #[test]
    fn some_slots_are_as_many_as_there_are_and_none_past_the_queue() {
        let slots = slots(5);
        assert_eq!((slots.take_some(3), slots.take_some(3), slots.take_some(3)), (3, 2, 0));
        assert!(slots.give_some(4) && slots.used() == 1);
        assert!(slots.take_some(4) == 4 && !slots.take_or_queue(true));
        assert!(!slots.give_some(2) && slots.used() == 5, "they are to be handed over");
        slots.give_anyway();
        assert_eq!(slots.take_some(1), 0, "somebody queues");
    }

    #[test]
    fn nobody_takes_a_slot_past_the_queue() {
        let slots = slots(1);
        assert!(slots.take() && !slots.take_or_queue(true));
        assert!(!slots.give(), "it is to be handed over");
        slots.give_anyway();
        assert!(!slots.take(), "somebody queues");
        assert!(slots.take_for_queue());
        slots.unqueue();
        assert!(slots.give() && slots.take());
    }

    #[test]
    fn a_cap_below_what_is_taken_lets_nothing_in_until_it_has_drained() {
        let slots = slots(3);
        assert!(slots.take() && slots.take() && slots.take());
        slots.set_cap(Some(1));
        assert!(slots.give() && slots.give() && !slots.take(), "one is still out");
        assert!(slots.give() && slots.take());
        slots.set_cap(Some(0));
        assert!(slots.give() && !slots.take(), "paused");
        slots.set_cap(None);
        assert!(slots.take() && slots.cap().is_none());
    }
}
