//! Budgets from outside: handles, reports of spending, refunds.

use super::Engine;
use super::job::{Spends, Wishes};
use super::refusal::{BAD_SPENDS, Bound, Why};
use super::shared::Shared;
use crate::error::{BudgetError, Reason};
use crate::gate::{Dimensions, Draw, Extra, Purse, too_wide};
use crate::limit;
use crate::tenant::Row;
use crate::units::{BudgetId, Dimension, Nanos};
use std::sync::Arc;

/// Most budgets, and most dimensions, that one job may name.
const NAMED_MAX: usize = 16;
/// Most dimensions that callers may name over an engine's life.
const DIMENSIONS_MAX: usize = 65_536;
/// Longest name of a dimension, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Longest key of a report, in bytes.
const KEY_BYTES_MAX: usize = 256;

/// Amounts by number of dimension.
type Amounts = Vec<(u32, u64)>;

/// What became of spending that was reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reported {
    /// It is counted.
    Counted,
    /// It is counted, and stands above a soft limit: advice, with a counter in the snapshot.
    SoftBreach(Breach),
    /// It would pass a hard limit: no usage changed in any dimension. It was spent all the same, so it is held
    /// as debt, and nothing is granted until a reset, a refund or a higher limit.
    HardBreach(Breach),
    /// The key is known: nothing was counted.
    AlreadyApplied,
}

/// A limit that was passed.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Breach {
    /// The first dimension whose limit it is.
    pub dimension: Dimension,
    /// At a hard breach what was spent before, at a soft one what is spent now.
    pub current: u64,
    /// The limit.
    pub limit: u64,
}

impl<T: Send + 'static> Engine<T> {
    /// The dimension `name` (1 to 64 bytes of `a-z`, `0-9`, `_`, `.` and `-`), such as `total_tokens`: what
    /// jobs may [`spend`](crate::Job::spend) and budgets limit. Dimensions are an open set; the policy need not
    /// name it. `None` for a name that cannot be, and beyond 65,536 names.
    #[must_use]
    pub fn dimension(&self, name: &str) -> Option<Dimension> {
        let is_fit = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-');
        if !(1..=NAME_BYTES_MAX).contains(&name.len()) || !name.bytes().all(is_fit) {
            return None;
        }
        let dimensions = &self.shared.lanes.gate.budgets.dimensions;
        let number = dimensions.intern_below(name, DIMENSIONS_MAX)?;
        Some(Dimension { number, engine: self.shared.lanes.number })
    }

    /// The budget that the policy in force calls `name`.
    #[must_use]
    pub fn budget(&self, name: &str) -> Option<BudgetId> {
        let purse = self.shared.lanes.gate.budgets.find(name)?;
        let id = BudgetId { number: purse.number(), engine: self.shared.lanes.number };
        purse.is_in_force().then_some(id)
    }

    /// Counts spending that no grant has reserved: all dimensions or none. Amounts of one dimension add up.
    ///
    /// With a `key`, a second report with it within 24 hours counts nothing. A budget remembers 65,536 keys;
    /// beyond that the oldest are forgotten early.
    ///
    /// # Errors
    /// [`BudgetError`]; nothing is counted then.
    pub fn report(
        &self,
        budget: BudgetId,
        key: Option<&str>,
        amounts: &[(Dimension, u64)],
    ) -> Result<Reported, BudgetError> {
        if key.is_some_and(|key| !(1..=KEY_BYTES_MAX).contains(&key.len())) {
            return Err(BudgetError::Key);
        }
        let (purse, amounts) = self.shared.spending(budget, amounts)?;
        let reported = purse.report(&amounts, key, self.now()).ok_or(BudgetError::Dimensions)?;
        let engine = self.shared.lanes.number;
        let breach = |breach: limit::Breach| Breach {
            dimension: Dimension { number: breach.dimension as u32, engine },
            current: breach.current,
            limit: breach.limit,
        };
        Ok(match reported {
            limit::Reported::Ok => Reported::Counted,
            limit::Reported::SoftBreach(it) => Reported::SoftBreach(breach(it)),
            limit::Reported::HardBreach(it) => Reported::HardBreach(breach(it)),
            limit::Reported::AlreadyApplied => Reported::AlreadyApplied,
        })
    }

    /// Takes back spending of the moment `spent_at` on the engine's clock, debt first, at most to zero. What was
    /// spent before the budget's last reset is gone already. Lanes that wait for the budget go on as far as
    /// there is room.
    ///
    /// # Errors
    /// [`BudgetError`]; nothing is taken back then.
    pub fn refund(
        &self,
        budget: BudgetId,
        amounts: &[(Dimension, u64)],
        spent_at: Nanos,
    ) -> Result<(), BudgetError> {
        let (purse, amounts) = self.shared.spending(budget, amounts)?;
        let refunded = purse.refund(&amounts, spent_at, self.now());
        if refunded.ok_or(BudgetError::Dimensions)? {
            self.shared.lanes.share(&[purse]);
        }
        Ok(())
    }
}

impl<T: Send + 'static> Shared<T> {
    /// The budget, and amounts by number of dimension, none twice.
    fn spending(
        &self,
        budget: BudgetId,
        amounts: &[(Dimension, u64)],
    ) -> Result<(Arc<Purse>, Amounts), BudgetError> {
        let engine = self.lanes.number;
        let purse = self.lanes.gate.budgets.purse(budget.number);
        let purse = purse.filter(|_| budget.engine == engine).ok_or(BudgetError::Foreign)?;
        let mut sums: Amounts = Vec::with_capacity(amounts.len());
        for (dimension, amount) in amounts {
            if dimension.engine != engine {
                return Err(BudgetError::Foreign);
            }
            match sums.iter_mut().find(|(number, _)| *number == dimension.number) {
                Some((_, sum)) => *sum = sum.saturating_add(*amount),
                None => sums.push((dimension.number, *amount)),
            }
        }
        Ok((purse, sums))
    }

    /// What a job of a tenant with `profile` draws on beside its tenant's budgets, if anything.
    pub(super) fn extra(
        &self,
        wishes: &Wishes,
        profile: u32,
        cost: u32,
    ) -> Result<Option<Box<Extra>>, Why> {
        let Some(spends) = &wishes.spends else { return Ok(None) };
        let engine = self.lanes.number;
        let (budgets, amounts) = (&spends.budgets, &spends.amounts);
        let are_ours = budgets.iter().all(|budget| budget.engine == engine)
            && amounts.iter().all(|(dimension, _)| dimension.engine == engine);
        if !are_ours || budgets.len() > NAMED_MAX || amounts.len() > NAMED_MAX {
            return Err((Reason::Invalid, (0, BAD_SPENDS)));
        }
        let plan = self.lanes.plan.load();
        let known = budgets.iter().filter_map(|id| self.lanes.gate.budgets.purse(id.number));
        let mut draws: Vec<_> = known.map(|purse| plan.draw(purse.name())).collect();
        draws.sort_by_key(|draw| draw.purse.number());
        draws.dedup_by_key(|draw| draw.purse.number());
        let named = amounts.iter().map(|(dimension, amount)| (dimension.number, *amount)).collect();
        let extra = Extra { draws, named };
        match plan.rules.get(profile as usize).and_then(|rules| too_wide(rules, cost, &extra)) {
            Some(detail) => Err((Reason::TooWide, detail)),
            None => Ok(Some(Box::new(extra))),
        }
    }

    /// Whose limit never lets a job of `cost` go that comes to `amount` where `limit` is the most; `None` when
    /// it was another policy's.
    #[cold]
    pub(super) fn bound_of(
        &self,
        row: &Row,
        cost: u32,
        wishes: &Wishes,
        (amount, limit): (u64, u64),
    ) -> Option<Box<Bound>> {
        let (plan, profile) = self.plan_of(row);
        let rules = &plan.rules[profile];
        let budgets = &self.lanes.gate.budgets;
        if rules.rate.is_some_and(|rate| (rate.amount(cost), rate.widest()) == (amount, limit)) {
            return Some(Box::new(Bound::Rate));
        }
        let spends = wishes.spends.as_deref();
        let needs = |dimension: &str| {
            let number = budgets.dimensions.intern_below(dimension, DIMENSIONS_MAX);
            let mut named = spends.into_iter().flat_map(|spends| &spends.amounts);
            let named = named.find(|(it, _)| Some(it.number) == number).map(|(_, amount)| *amount);
            named.or_else(|| (dimension == Dimensions::COST_NAME).then_some(cost.into()))
        };
        let own = spends.into_iter().flat_map(|spends| &spends.budgets);
        let own = own.filter_map(|id| budgets.purse(id.number));
        let mut purses = rules.budgets.iter().map(|draw| Arc::clone(&draw.purse)).chain(own);
        purses.find_map(|purse| {
            let mut limits = plan.policy.budget(purse.name())?.limits().iter();
            let it =
                limits.find(|it| it.hard == Some(limit) && needs(&it.dimension) == Some(amount))?;
            let (budget, dimension) = (purse.name().to_owned(), it.dimension.clone());
            Some(Box::new(Bound::Budget { budget, dimension }))
        })
    }

    /// The reverse of [`Shared::extra`].
    pub(super) fn spends(&self, extra: &Extra) -> Box<Spends> {
        let engine = self.lanes.number;
        let budget = |draw: &Draw| BudgetId { number: draw.purse.number(), engine };
        let amount = |&(number, amount): &(u32, u64)| (Dimension { number, engine }, amount);
        let budgets = extra.draws.iter().map(budget).collect();
        Box::new(Spends { budgets, amounts: extra.named.iter().map(amount).collect() })
    }
}
