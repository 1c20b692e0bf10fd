//! The order of one lane's jobs where it is not simply the order of arrival: bands, due moments,
//! deadlines. Jobs that need it, and all behind them, are set aside here by the lane's drainer.
//!
//! No clock and no sharing: the moment is an argument, and there is one drainer at a time.

mod heap;
mod slab;
#[cfg(all(test, not(fairlane_loom)))]
mod tests;

use crate::units::{Band, Nanos, Order};
use heap::{Heap, Moment};
use slab::{Chain, Entry, Slab};

/// How many picks in a row may pass a band over that has jobs; the next one is its own.
const PASSES_MAX: u8 = 15;

/// Slots that an empty lane keeps when it shrinks.
const KEPT_SLOTS: usize = 64;

/// Which of a job's links its lane's chain is made of.
const OF_LANE: usize = 0;
/// Which of a job's links its band's chain is made of.
const OF_BAND: usize = 1;

/// The jobs of a lane that were set aside.
///
/// A job is not yet due, or it is due and stands in its band, or it is barred. Bands go in their
/// order; inside a band jobs go in the order in which they got there: by the later of arrival and
/// due moment, then by arrival. That holds if every [`put`](Aside::put) at a moment follows a
/// [`settle`](Aside::settle) to that moment.
///
/// No band is passed over more than 15 picks in a row for a higher one. So the lowest band that has
/// jobs gets at least one of any 16 picks; one with `n` lower ones that have jobs gets at least one
/// of any `16 + n`, because the lower ones go first when both have waited long enough.
///
/// # Cost
/// O(1) for a job without due moment and deadline, O(log n) for one with them. Memory is kept for
/// the most jobs that were here at once, until [`shrink`](Aside::shrink).
pub(crate) struct Aside<J> {
    jobs: Slab<J>,
    /// All jobs, by arrival.
    all: Chain<OF_LANE>,
    /// The jobs that are due.
    bands: [Ready; Band::COUNT],
    /// Those that are due and that no limit will ever let go, in the order in which that was found.
    barred: Chain<OF_BAND>,
    /// The jobs that are not, by due moment.
    waiting: Heap,
    /// The jobs with a deadline, by deadline.
    deadlines: Heap,
    /// The latest moment that was settled to.
    settled: Nanos,
    /// Jobs put here since it last shrank. At one a nanosecond it would wrap after 584 years.
    arrivals: u64,
}

/// The due jobs of one band.
struct Ready {
    chain: Chain<OF_BAND>,
    /// Picks since the band's last one, or since it was empty, `0..=PASSES_MAX + 2`.
    passed: u8,
}

impl Ready {
    const EMPTY: Ready = Ready { chain: Chain::new(), passed: 0 };
}

impl<J> Aside<J> {
    /// A lane with nothing set aside. Allocates nothing.
    pub(crate) const fn new() -> Self {
        Aside {
            jobs: Slab::new(),
            all: Chain::new(),
            bands: [Ready::EMPTY; Band::COUNT],
            barred: Chain::new(),
            waiting: Heap::new(),
            deadlines: Heap::new(),
            settled: Nanos::ZERO,
            arrivals: 0,
        }
    }

    /// All jobs here, due or not.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there is no job here, due or not.
    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.len() == 0
    }

    /// Sets a job aside, behind all that came before it. It is due at once if its due moment has
    /// been settled to already.
    pub(crate) fn put(&mut self, order: Order, job: J) {
        let arrival = self.arrivals;
        self.arrivals += 1;
        let slot = self.jobs.add(Entry::new(order, job));
        self.all.push(&mut self.jobs, slot);
        if order.due <= self.settled {
            self.make_ready(slot, order.band);
        } else {
            self.waiting.add(Moment { at: order.due, arrival, slot });
        }
        if order.deadline != Nanos::MAX {
            self.deadlines.add(Moment { at: order.deadline, arrival, slot });
        }
    }

    /// Moves what is due at `now` to the end of its band, by due moment, then by arrival. A moment
    /// before the last one changes nothing.
    pub(crate) fn settle(&mut self, now: Nanos) {
        self.settled = self.settled.max(now);
        while let Some(Moment { slot, .. }) = self.waiting.first().filter(|m| m.at <= now) {
            self.waiting.remove(slot);
            self.make_ready(slot, self.jobs.entry(slot).order.band);
        }
    }

    /// The next job to go, if any is due and not barred. It stays the same until a job is put,
    /// settled, barred, unbarred or taken out. Deadlines are not looked at: take out what has
    /// [`expired`](Aside::expired) first.
    pub(crate) fn peek(&self) -> Option<&J> {
        Some(&self.jobs.entry(self.next_slot()?.1).job)
    }

    /// The order of what [`peek`](Aside::peek) shows.
    pub(crate) fn peek_order(&self) -> Option<Order> {
        Some(self.jobs.entry(self.next_slot()?.1).order)
    }

    /// Takes out what [`peek`](Aside::peek) shows. That is the pick which the bands are counted by.
    pub(crate) fn take(&mut self) -> Option<J> {
        let (picked, slot) = self.next_slot()?;
        for (index, band) in self.bands.iter_mut().enumerate() {
            if index == picked {
                band.passed = 0;
            } else if !band.chain.is_empty() {
                band.passed += 1;
            }
        }
        Some(self.remove(slot))
    }

    /// Bars what [`peek`](Aside::peek) shows: it leaves its band, so that others may go. That is no
    /// pick, and bands are passed over as often as before.
    pub(crate) fn bar(&mut self) {
        let Some((band, slot)) = self.next_slot() else { return };
        self.leave_band(band, slot);
        self.jobs.set_barred(slot, true);
        self.barred.push(&mut self.jobs, slot);
    }

    /// Whether any job is barred.
    pub(crate) fn has_barred(&self) -> bool {
        !self.barred.is_empty()
    }

    /// Puts what is barred back to where it stood: before all others of its band.
    pub(crate) fn unbar(&mut self) {
        while let Some(slot) = self.barred.last() {
            self.barred.remove(&mut self.jobs, slot);
            self.jobs.set_barred(slot, false);
            let band = self.jobs.entry(slot).order.band.index();
            self.bands[band].chain.push_first(&mut self.jobs, slot);
        }
    }

    /// Takes out a job that may not go any more at `now`, due or not: the one with the earliest
    /// deadline, of several the first to arrive.
    pub(crate) fn expired(&mut self, now: Nanos) -> Option<J> {
        let first = self.deadlines.first().filter(|moment| moment.at <= now)?;
        Some(self.remove(first.slot))
    }

    /// The earliest due moment among the jobs that are not yet due.
    pub(crate) fn next_due(&self) -> Option<Nanos> {
        Some(self.waiting.first()?.at)
    }

    /// The earliest deadline, also one that has passed.
    pub(crate) fn next_deadline(&self) -> Option<Nanos> {
        Some(self.deadlines.first()?.at)
    }

    /// Takes out the job that arrived first, due or not, for lanes that are emptied. With its order.
    pub(crate) fn take_any(&mut self) -> Option<(Order, J)> {
        let first = self.all.first()?;
        Some((self.jobs.entry(first).order, self.remove(first)))
    }

    /// Gives memory back if there is no job here and there was room for more than 64.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty() && self.jobs.capacity() > KEPT_SLOTS {
            *self = Aside { settled: self.settled, ..Aside::new() };
        }
    }

    /// The band whose turn it is, and its first job: the lowest band that was passed over as often
    /// as allowed, otherwise the highest one.
    fn next_slot(&self) -> Option<(usize, u32)> {
        let ready = self.bands.iter().enumerate();
        let mut firsts = ready.filter_map(|(index, band)| Some((index, band.chain.first()?)));
        let owed = firsts.clone().rev().find(|&(index, _)| self.bands[index].passed >= PASSES_MAX);
        owed.or_else(|| firsts.next())
    }

    fn make_ready(&mut self, slot: u32, band: Band) {
        self.bands[band.index()].chain.push(&mut self.jobs, slot);
    }

    /// Takes a job out of everything it is in.
    fn remove(&mut self, slot: u32) -> J {
        self.all.remove(&mut self.jobs, slot);
        self.deadlines.remove(slot);
        if self.jobs.entry(slot).is_barred {
            self.barred.remove(&mut self.jobs, slot);
        } else if !self.waiting.remove(slot) {
            self.leave_band(self.jobs.entry(slot).order.band.index(), slot);
        }
        self.jobs.remove(slot).job
    }

    fn leave_band(&mut self, band: usize, slot: u32) {
        let band = &mut self.bands[band];
        band.chain.remove(&mut self.jobs, slot);
        if band.chain.is_empty() {
            band.passed = 0;
        }
    }
}
