//! A set of lanes: one bit each, and a summary that says where to look.

use crate::sync::atomic::{AtomicU64, Ordering, Ordering::Relaxed};
use crate::sync::{mutant, ord, rmw_full_fence};

/// Lanes by number, 64 to a word, with one summary bit per word.
///
/// A summary bit may be set over an empty word (whoever finds that clears it); over a word that is
/// not empty it is set, or being set by a thread that is in the middle of `insert` or `find`.
pub(super) struct LaneSet {
    /// Set by `insert`, cleared by `take`, by RMW only.
    words: Box<[AtomicU64]>,
    /// Set by `insert`, cleared by `find`, by RMW only.
    summary: Box<[AtomicU64]>,
}

impl LaneSet {
    pub(super) fn new(lanes: usize) -> Self {
        let words = lanes.div_ceil(64);
        LaneSet { words: zeroed(words), summary: zeroed(words.div_ceil(64)) }
    }

    /// Adds the lanes of `mask` in word `index`. Ends with a `SeqCst` fence.
    #[inline]
    pub(super) fn insert(&self, index: u32, mask: u64) {
        // ORDERING(rotation.insert): Release hands over the lanes' plain state; pairs with
        // rotation.take.
        self.words[index as usize].fetch_or(mask, ord!("rotation.insert", AcqRel => Relaxed));
        // ORDERING(rotation.insert_fence): either this look sees a summary bit being cleared, or
        // the clearer sees the word; pairs with rotation.clear_fence and park.fence.
        rmw_full_fence(ord!("rotation.insert_fence", SeqCst => AcqRel));
        let (summary, bit) = self.summary_of(index);
        if summary.load(Relaxed) & bit == 0 {
            summary.fetch_or(bit, Ordering::Release);
            rmw_full_fence(Ordering::SeqCst);
        }
    }

    #[inline]
    fn summary_of(&self, index: u32) -> (&AtomicU64, u64) {
        (&self.summary[index as usize / 64], 1 << (index % 64))
    }

    /// Takes up to `most` lanes out of word `index`, lowest first: an exclusive right to them.
    #[inline]
    pub(super) fn take(&self, index: u32, most: u32) -> u64 {
        let word = &self.words[index as usize];
        // ORDERING(rotation.take): Acquire; pairs with rotation.insert.
        let order = ord!("rotation.take", AcqRel => Relaxed);
        if most >= 64 {
            return word.swap(0, order);
        }
        let wanted = lowest(word.load(Relaxed), most);
        if mutant!("rotation.take_by_store") {
            let seen = word.load(Ordering::Acquire);
            word.store(seen & !wanted, Ordering::Release);
            return seen & wanted;
        }
        word.fetch_and(!wanted, order) & wanted
    }

    /// Takes one lane, if it is here. A look comes first: it mostly is not.
    pub(super) fn take_only(&self, index: u32, bit: u64) -> bool {
        let word = &self.words[index as usize];
        // ORDERING(rotation.take): Acquire; pairs with rotation.insert.
        let order = ord!("rotation.take", AcqRel => Relaxed);
        word.load(Relaxed) & bit != 0 && word.fetch_and(!bit, order) & bit != 0
    }

    /// The first word at or after `from` that is not empty. Clears the hints of empty words before
    /// it; sets `unseen` when that hid, for a moment, a word that had filled up. Then a worker may
    /// have gone to sleep over it, and the caller looks at the sleepers.
    pub(super) fn find(&self, from: u32, unseen: &mut bool) -> Option<u32> {
        let mut at = from;
        loop {
            let index = self.find_hinted(at)?;
            // A look only: `take` decides, and acquires.
            if self.words[index as usize].load(Relaxed) != 0 {
                return Some(index);
            }
            if !self.clear_hint(index) {
                *unseen = true;
                return Some(index);
            }
            at = index + 1;
        }
    }

    /// The same for those who only look: hints stay as they are, so nothing is ever hidden.
    pub(super) fn look(&self, from: u32) -> Option<u32> {
        if mutant!("rotation.look_clears") {
            return self.find(from, &mut false);
        }
        let mut at = from;
        loop {
            let index = self.find_hinted(at)?;
            if self.words[index as usize].load(Relaxed) != 0 {
                return Some(index);
            }
            at = index + 1;
        }
    }

    /// Whether a look finds no lane.
    #[inline]
    pub(super) fn is_bare(&self) -> bool {
        self.look(0).is_none()
    }

    /// Whether any summary bit is set.
    #[inline]
    pub(super) fn is_hinted(&self) -> bool {
        self.summary.iter().any(|word| word.load(Relaxed) != 0)
    }

    fn find_hinted(&self, from: u32) -> Option<u32> {
        let mut at = from as usize / 64;
        let mut hints = self.summary.get(at)?.load(Relaxed) & (!0 << (from % 64));
        loop {
            if hints != 0 {
                return Some(at as u32 * 64 + hints.trailing_zeros());
            }
            at += 1;
            hints = self.summary.get(at)?.load(Relaxed);
        }
    }

    /// Clears the summary bit of a word that looked empty. `false` when the word has filled up;
    /// then it ends with a `SeqCst` fence.
    fn clear_hint(&self, index: u32) -> bool {
        let (summary, bit) = self.summary_of(index);
        summary.fetch_and(!bit, Ordering::AcqRel);
        // ORDERING(rotation.clear_fence): pairs with rotation.insert_fence.
        rmw_full_fence(ord!("rotation.clear_fence", SeqCst => AcqRel));
        if mutant!("rotation.no_recheck") || self.words[index as usize].load(Relaxed) == 0 {
            return true;
        }
        summary.fetch_or(bit, Ordering::Release);
        rmw_full_fence(Ordering::SeqCst);
        false
    }

    pub(super) fn for_each(&self, visit: &mut impl FnMut(u32)) {
        let mut from = 0;
        while let Some(index) = self.look(from) {
            let mut lanes = self.words[index as usize].load(Relaxed);
            while lanes != 0 {
                visit(index * 64 + lanes.trailing_zeros());
                lanes &= lanes - 1;
            }
            from = index + 1;
        }
    }
}

fn zeroed(len: usize) -> Box<[AtomicU64]> {
    (0..len).map(|_| AtomicU64::new(0)).collect()
}

/// The lowest `most` set bits of `bits`, `most < 64`.
#[inline]
fn lowest(bits: u64, most: u32) -> u64 {
    let mut rest = bits;
    for _ in 0..most {
        rest &= rest.wrapping_sub(1);
    }
    bits & !rest
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_found_from_any_word_and_taken_lowest_first() {
        let set = LaneSet::new(10_000);
        for lane in [3, 70, 71, 9_999] {
            set.insert(lane / 64, 1 << (lane % 64));
        }
        assert_eq!((set.look(0), set.look(1), set.look(2)), (Some(0), Some(1), Some(156)));
        assert_eq!(set.take(1, 1), 1 << 6);
        assert_eq!(set.take(1, 64), 1 << 7);
        assert_eq!(set.find(1, &mut false), Some(156));
        assert_eq!(set.find(157, &mut false), None);
        let mut seen = Vec::new();
        set.for_each(&mut |lane| seen.push(lane));
        assert_eq!(seen, [3, 9_999]);
    }

    #[test]
    fn an_emptied_set_has_no_hints_left_after_a_search() {
        let set = LaneSet::new(64 * 64 * 2);
        set.insert(100, 1);
        assert!(set.is_hinted());
        assert_eq!(set.take(100, 64), 1);
        assert_eq!(set.look(0), None);
        assert!(set.is_hinted());
        assert_eq!(set.find(0, &mut false), None);
        assert!(!set.is_hinted());
    }

    #[test]
    fn the_lowest_bits_are_the_lowest() {
        assert_eq!(lowest(0b1011_0100, 2), 0b1_0100);
        assert_eq!(lowest(0b1, 5), 0b1);
        assert_eq!(lowest(0, 3), 0);
    }
}
