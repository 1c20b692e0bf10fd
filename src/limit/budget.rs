//! What is spent and reserved of a named budget, by dimension.

mod keys;

use crate::limit::BudgetTerms;
use crate::units::Nanos;
use keys::Keys;

/// A limit that stands in the way, or was passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Breach {
    /// The first dimension whose limit it is.
    pub(crate) dimension: usize,
    /// What counts against it: at a check what is spent and reserved, at a hard breach what was spent before, at a
    /// soft one what is spent now.
    pub(crate) current: u64,
    /// The limit.
    pub(crate) limit: u64,
}

/// What became of spending that was reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reported {
    /// Counted.
    Ok,
    /// Counted; the first of its dimensions that stands above a soft limit. Advice only.
    SoftBreach(Breach),
    /// A hard limit would be passed: no usage changed, the spending is held as debt.
    HardBreach(Breach),
    /// The key is known, and nothing was counted.
    AlreadyApplied,
}

/// One dimension, in its own unit.
#[derive(Clone, Debug, Default)]
struct Dimension {
    name: Box<str>,
    soft: Option<u64>,
    hard: Option<u64>,
    /// Spending counted since the last reset.
    usage: u64,
    /// Spending of reports that were refused since the last reset: no usage, and yet spent.
    unbooked: u64,
    /// Held for grants that have not ended.
    reserved: u64,
    /// Reports and settlements that passed the hard limit, and the soft one.
    breaches: Breaches,
    /// Waits that it began.
    hits: u64,
}

/// How often the limits of a dimension were passed, ever.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Breaches {
    /// The hard limit.
    pub(crate) hard: u64,
    /// The soft limit.
    pub(crate) soft: u64,
}

/// One dimension at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Use<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Spending counted since the last reset.
    pub(crate) usage: u64,
    /// What grants in flight may still spend.
    pub(crate) reserved: u64,
    /// What was really spent above the hard limit.
    pub(crate) debt: u64,
    /// Spending above this is advice.
    pub(crate) soft: Option<u64>,
    /// At this much nothing more is granted.
    pub(crate) hard: Option<u64>,
    /// How often they were passed.
    pub(crate) breaches: Breaches,
    /// How often somebody began to wait because of the hard limit.
    pub(crate) hits: u64,
}

/// What is spent and reserved of a named budget.
///
/// Amounts are slices by dimension, where a missing end is zero; [`Budget::dimension`] gives a name its index, which
/// never changes. Several budgets may apply to a job: the gate asks all of them before it reserves in any.
///
/// A grant reserves what it may spend, and settles what it did spend. Nothing is granted once `spent + reserved`
/// is at the hard limit, or would pass it. Real spending is always counted, also above the limit, and then
/// nothing is granted until a reset, a refund or a higher limit (T-F12).
///
/// Time never goes back here: a `now` before the latest one seen is read as the latest.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    dimensions: Vec<Dimension>,
    every: Option<Nanos>,
    /// The reset that was last due, or the moment from which resets are counted.
    anchor: Nanos,
    /// When usage was last put to zero.
    reset_at: Nanos,
    resets: u64,
    /// The last hard breach since the last reset: its dimension and its moment.
    last_breach: Option<(usize, Nanos)>,
    seen: Nanos,
    keys: Keys,
}

impl Budget {
    /// The number of dimensions up to which jobs may add some to those of the terms.
    pub(crate) const DIMENSIONS_MAX: usize = 32;

    /// Nothing spent; the first reset is one interval from now.
    pub(crate) fn new(terms: &BudgetTerms, now: Nanos) -> Budget {
        let mut budget = Budget {
            dimensions: Vec::new(),
            every: None,
            anchor: now,
            reset_at: now,
            resets: 0,
            last_breach: None,
            seen: now,
            keys: Keys::default(),
        };
        budget.adopt(terms, now);
        budget
    }

    /// Takes on new limits and another interval; what is spent and reserved stays.
    ///
    /// Dimensions without terms go on being counted, without a limit. Resets stay in step with the last one: the
    /// next is the first multiple of the new interval after it that is not yet past.
    pub(crate) fn adopt(&mut self, terms: &BudgetTerms, now: Nanos) {
        self.advance(now);
        for dimension in &mut self.dimensions {
            (dimension.soft, dimension.hard) = (None, None);
        }
        for limits in &terms.dimensions {
            let index = self.find(&limits.name).unwrap_or_else(|| self.add(&limits.name));
            let dimension = &mut self.dimensions[index];
            (dimension.soft, dimension.hard) = (limits.soft, limits.hard);
        }
        if self.every.is_none() {
            self.anchor = self.seen;
        }
        self.every = terms.every;
        self.step();
    }

    /// The index of a dimension, which is added if it is new: dimensions are an open set, and those without limits
    /// are only counted. `None` when there are [`Budget::DIMENSIONS_MAX`] already: what cannot be counted is
    /// to be refused.
    pub(crate) fn dimension(&mut self, name: &str) -> Option<usize> {
        let room = self.dimensions.len() < Budget::DIMENSIONS_MAX;
        self.find(name).or_else(|| room.then(|| self.add(name)))
    }

    /// Whether a grant that may spend `amounts` fits. An amount above the limit itself never does.
    ///
    /// # Errors
    /// The first [`Breach`]: a limit that is reached, whatever the amount, or that the amount would pass.
    pub(crate) fn check(&mut self, amounts: &[u64], now: Nanos) -> Result<(), Breach> {
        self.advance(now);
        let breach = self.dimensions.iter().enumerate().find_map(|(index, dimension)| {
            let (limit, current) = (dimension.hard?, dimension.held());
            let wanted = current.saturating_add(amount(amounts, index).max(1));
            (wanted > limit).then_some(Breach { dimension: index, current, limit })
        });
        breach.map_or(Ok(()), Err)
    }

    /// Counts that somebody begins to wait for the dimension at `index`.
    pub(crate) fn count_hit(&mut self, index: usize) {
        self.dimensions[index].hits += 1;
    }

    /// What may still be granted of the dimension at `index`, as of the last moment seen; `u64::MAX` without a limit.
    pub(crate) fn room(&self, index: usize) -> u64 {
        let dimension = &self.dimensions[index];
        dimension.hard.map_or(u64::MAX, |hard| hard.saturating_sub(dimension.held()))
    }

    /// Holds `amounts` for a grant that [`check`](Budget::check) has let pass.
    pub(crate) fn reserve(&mut self, amounts: &[u64]) {
        self.each(amounts, |dimension, amount| {
            dimension.reserved = dimension.reserved.saturating_add(amount);
        });
    }

    /// Gives back what a grant that ends without spending had reserved, at most what is reserved.
    ///
    /// Whether it has been given back before is for the grant to know.
    pub(crate) fn release(&mut self, reserved: &[u64]) {
        self.each(reserved, |dimension, amount| {
            dimension.reserved = dimension.reserved.saturating_sub(amount);
        });
    }

    /// Puts what a grant really spent, less what it has reported already, in the place of what it had reserved.
    /// Spending counts in the period in which it is settled, and counts above the limit too, as
    /// [`Reported::HardBreach`] then says.
    pub(crate) fn settle(&mut self, reserved: &[u64], actual: &[u64], now: Nanos) -> Reported {
        self.advance(now);
        self.release(reserved);
        let breach = self.passed_by(actual);
        self.book(actual);
        self.judge(actual, breach)
    }

    /// Counts spending that no grant had reserved: all dimensions or none, and once for each `key` within 24
    /// hours, of which 65,536 are remembered.
    ///
    /// A report that would pass a hard limit changes no usage; since the spending has happened nevertheless, it is
    /// held as debt and stands in the way of grants and reports like usage. Its key counts as applied.
    pub(crate) fn report(&mut self, deltas: &[u64], key: Option<&str>, now: Nanos) -> Reported {
        self.advance(now);
        if key.is_some_and(|key| !self.keys.insert(key, self.seen)) {
            return Reported::AlreadyApplied;
        }
        let breach = self.passed_by(deltas);
        if breach.is_some() {
            self.each(deltas, |dimension, delta| {
                dimension.unbooked = dimension.unbooked.saturating_add(delta);
            });
        } else {
            self.book(deltas);
        }
        self.judge(deltas, breach)
    }

    /// Takes spending of the moment `spent_at` back, debt first, at most to zero. Spending before the last
    /// reset is gone already.
    pub(crate) fn refund(&mut self, amounts: &[u64], spent_at: Nanos, now: Nanos) {
        self.advance(now);
        if spent_at < self.reset_at {
            return;
        }
        self.each(amounts, |dimension, amount| {
            let unbooked = dimension.unbooked.min(amount);
            dimension.unbooked -= unbooked;
            dimension.usage = dimension.usage.saturating_sub(amount - unbooked);
        });
    }

    /// Puts all spending to zero if a reset is due, once however many were missed; whether it did. Reservations
    /// stay: their grants have not ended.
    ///
    /// The next reset is the last one plus a multiple of the interval, so a late call shifts nothing (T-F19).
    pub(crate) fn advance(&mut self, now: Nanos) -> bool {
        self.seen = self.seen.max(now);
        let due = self.next_reset().is_some_and(|at| at <= self.seen);
        if due {
            self.step();
            self.reset_at = self.seen;
            self.resets += 1;
            self.last_breach = None;
            for dimension in &mut self.dimensions {
                (dimension.usage, dimension.unbooked) = (0, 0);
            }
        }
        due
    }

    /// The moment of the next reset; `None` when there is none before the end of time.
    pub(crate) fn next_reset(&self) -> Option<Nanos> {
        self.every.map(|every| self.anchor.after(every)).filter(|&at| at < Nanos::MAX)
    }

    /// How many resets there were.
    pub(crate) fn resets(&self) -> u64 {
        self.resets
    }

    /// Dimension and moment of the last hard breach since the last reset.
    pub(crate) fn last_breach(&self) -> Option<(usize, Nanos)> {
        self.last_breach
    }

    /// The dimensions as they stand, by index.
    pub(crate) fn uses(&self) -> impl Iterator<Item = Use<'_>> {
        self.dimensions.iter().map(|dimension| Use {
            name: &dimension.name,
            usage: dimension.usage,
            reserved: dimension.reserved,
            debt: dimension.spent().saturating_sub(dimension.hard.unwrap_or(u64::MAX)),
            soft: dimension.soft,
            hard: dimension.hard,
            breaches: dimension.breaches,
            hits: dimension.hits,
        })
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.dimensions.iter().position(|dimension| &*dimension.name == name)
    }

    fn add(&mut self, name: &str) -> usize {
        self.dimensions.push(Dimension { name: name.into(), ..Dimension::default() });
        self.dimensions.len() - 1
    }

    /// Moves the anchor on to the last multiple of the interval that is not in the future.
    fn step(&mut self) {
        if let Some(every) = self.every {
            let passed = self.seen.since(self.anchor).0;
            self.anchor = self.anchor.after(Nanos(passed - passed % every.0));
        }
    }

    /// The first hard limit that spending `amounts` would pass.
    fn passed_by(&self, amounts: &[u64]) -> Option<Breach> {
        self.dimensions.iter().enumerate().find_map(|(index, dimension)| {
            let (limit, current) = (dimension.hard?, dimension.spent());
            let amount = amount(amounts, index);
            let passed = amount > 0 && current.saturating_add(amount) > limit;
            passed.then_some(Breach { dimension: index, current, limit })
        })
    }

    /// The first dimension of `amounts`, just booked, that stands above its soft limit.
    fn softly_passed_by(&self, amounts: &[u64]) -> Option<Breach> {
        self.dimensions.iter().enumerate().find_map(|(index, dimension)| {
            let (limit, current) = (dimension.soft?, dimension.spent());
            let passed = amount(amounts, index) > 0 && current > limit;
            passed.then_some(Breach { dimension: index, current, limit })
        })
    }

    fn book(&mut self, amounts: &[u64]) {
        self.each(amounts, |dimension, amount| {
            dimension.usage = dimension.usage.saturating_add(amount);
        });
    }

    /// Counts the hard breach of `amounts`, or else the first soft one, and says which.
    fn judge(&mut self, amounts: &[u64], hard: Option<Breach>) -> Reported {
        if let Some(breach) = hard {
            self.dimensions[breach.dimension].breaches.hard += 1;
            self.last_breach = Some((breach.dimension, self.seen));
            return Reported::HardBreach(breach);
        }
        match self.softly_passed_by(amounts) {
            None => Reported::Ok,
            Some(breach) => {
                self.dimensions[breach.dimension].breaches.soft += 1;
                Reported::SoftBreach(breach)
            }
        }
    }

    fn each(&mut self, amounts: &[u64], act: impl Fn(&mut Dimension, u64)) {
        debug_assert!(amounts.len() <= self.dimensions.len(), "an amount without a dimension");
        for (dimension, &amount) in self.dimensions.iter_mut().zip(amounts) {
            act(dimension, amount);
        }
    }
}

impl Dimension {
    /// What was really spent since the last reset.
    fn spent(&self) -> u64 {
        self.usage.saturating_add(self.unbooked)
    }

    /// What cannot be granted to anyone else.
    fn held(&self) -> u64 {
        self.spent().saturating_add(self.reserved)
    }
}

fn amount(amounts: &[u64], index: usize) -> u64 {
    amounts.get(index).copied().unwrap_or(0)
}

#[cfg(all(test, not(fairlane_loom)))]
mod tests;
