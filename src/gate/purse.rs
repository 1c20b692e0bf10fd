//! A named budget at the gate: its sums behind a lock, and whether lanes wait for them.

use super::budgets::Dimensions;
use super::{BudgetPart, Denial, Lack, Until};
use crate::error::Reason;
use crate::limit::{Breach, Budget, BudgetTerms, Reported};
use crate::sync::{Mutex, mutant};
use crate::units::Nanos;
use std::sync::Arc;

/// A named budget. There is one of each name for the life of the engine, whoever draws on it.
#[derive(Debug)]
pub(crate) struct Purse {
    /// Its place in the registry.
    number: u32,
    name: Box<str>,
    /// Names of dimensions by number, the same for all budgets.
    names: Arc<Dimensions>,
    sums: Mutex<Sums>,
}

#[derive(Debug)]
struct Sums {
    budget: Budget,
    /// The number of each dimension, by its place in the budget.
    numbers: Vec<u32>,
    /// Whether the policy in force has it.
    is_in_force: bool,
    /// How often there came to be more room. A lane that is parked under an older number comes too late.
    gains: u64,
    /// Whether lanes may stand in the lot for it. Changed under the lot's lock too.
    is_awaited: bool,
    /// What is asked for now, by place in the budget, a missing end being zero. Kept to be filled again.
    amounts: Vec<u64>,
    /// What has been spent in place of that.
    spent: Vec<u64>,
}

/// What a job may spend, or has spent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Spending<'a> {
    /// Of the dimension `cost`, in budgets that limit it.
    pub(crate) cost: u64,
    /// By number of dimension, none twice. `cost` here counts in place of the above.
    pub(crate) named: &'a [(u32, u64)],
}

/// What a budget was asked to write down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Booked {
    /// What the budget says to it, with numbers of dimensions.
    pub(crate) reported: Reported,
    /// Whether lanes that wait for it may have room now.
    pub(crate) wakes: bool,
}

/// A budget at a moment, for reports.
#[derive(Clone, Debug)]
pub(crate) struct PurseView {
    pub(crate) name: String,
    pub(crate) resets: u64,
    pub(crate) next_reset: Option<Nanos>,
    pub(crate) last_breach: Option<(String, Nanos)>,
    pub(crate) uses: Vec<(String, Use)>,
}

/// One dimension of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub(crate) soft: Option<u64>,
    pub(crate) hard: Option<u64>,
    pub(crate) used: u64,
    pub(crate) reserved: u64,
    pub(crate) debt: u64,
    pub(crate) hits: u64,
    pub(crate) hard_breaches: u64,
    pub(crate) soft_breaches: u64,
}

impl Purse {
    /// A budget of no policy yet.
    pub(super) fn new(number: u32, name: &str, names: &Arc<Dimensions>) -> Self {
        let sums = Sums {
            budget: Budget::new(&BudgetTerms::default(), Nanos::ZERO),
            numbers: Vec::new(),
            is_in_force: false,
            gains: 0,
            is_awaited: false,
            amounts: Vec::new(),
            spent: Vec::new(),
        };
        Purse { number, name: name.into(), names: Arc::clone(names), sums: Mutex::new(sums) }
    }

    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn open<R>(&self, look: impl FnOnce(&mut Sums) -> R) -> R {
        look(&mut self.sums.lock().expect("no code panics under a budget's lock"))
    }

    /// Takes on the limits of a policy, `None` when it has none of this name. Sums are kept; the first reset
    /// of a budget that had none is one interval from `now`.
    pub(super) fn adopt(&self, terms: Option<&BudgetTerms>, now: Nanos) {
        self.open(|sums| {
            sums.is_in_force = terms.is_some();
            sums.budget.adopt(terms.unwrap_or(&BudgetTerms::default()), now);
            let names = sums.budget.uses().skip(sums.numbers.len()).map(|it| it.name.to_owned());
            for name in names.collect::<Vec<_>>() {
                sums.numbers.push(self.names.intern(&name));
            }
        });
    }

    /// Whether the policy in force has it.
    pub(crate) fn is_in_force(&self) -> bool {
        self.open(|sums| sums.is_in_force)
    }

    /// Holds `spending` for a grant, if it fits and `go` agrees, which is asked while the budget is locked:
    /// so nobody else sees what is not granted after all.
    pub(super) fn admit<R>(
        &self,
        (with_cost, spending): (bool, Spending<'_>),
        now: Nanos,
        go: impl FnOnce() -> Result<R, Denial>,
    ) -> Result<R, Denial> {
        self.open(|sums| {
            self.check(sums, (with_cost, spending), now)?;
            let admitted = go()?;
            if !mutant!("purse.unreserved") {
                sums.budget.reserve(&sums.amounts);
            }
            Ok(admitted)
        })
    }

    /// Counts that a tenant has begun to wait for the dimension at `place`.
    pub(super) fn count_hit(&self, place: u32) {
        self.open(|sums| sums.budget.count_hit(place as usize));
    }

    /// Gives every dimension of `amounts` a place, or none where one finds no room: whether all can be counted.
    pub(super) fn can_count(&self, amounts: &[(u32, u64)]) -> bool {
        self.open(|sums| {
            let is_new = |number: &u32| !sums.numbers.contains(number);
            let new = amounts.iter().filter(|(number, _)| is_new(number)).count();
            let fits = new == 0 || sums.numbers.len() + new <= Budget::DIMENSIONS_MAX;
            fits && amounts.iter().all(|(number, _)| self.place(sums, *number).is_some())
        })
    }

    /// What [`Purse::admit`] would say to it, without a trace.
    pub(super) fn foresee(
        &self,
        (with_cost, spending): (bool, Spending<'_>),
        now: Nanos,
    ) -> Result<(), Denial> {
        self.open(|sums| self.check(sums, (with_cost, spending), now))
    }

    /// Whether `spending` fits; it is among the sums as `amounts` then.
    fn check(
        &self,
        sums: &mut Sums,
        (with_cost, spending): (bool, Spending<'_>),
        now: Nanos,
    ) -> Result<(), Denial> {
        if !self.spread(sums, with_cost, spending) || !sums.is_in_force {
            return Err(self.unevaluable());
        }
        let checked = sums.budget.check(&sums.amounts, now);
        checked.map_err(|breach| self.lacks(sums, breach))
    }

    /// What cannot be counted is refused (decision 13).
    fn unevaluable(&self) -> Denial {
        let budget = Some(BudgetPart { budget: self.number, place: None });
        Denial { reason: Reason::Budget, until: Until::Change, used: (0, 0), budget }
    }

    fn lacks(&self, sums: &Sums, breach: Breach) -> Denial {
        let need = sums.amounts.get(breach.dimension).map_or(1, |amount| (*amount).max(1));
        let place = breach.dimension as u32;
        let budget = Some(BudgetPart { budget: self.number, place: Some(place) });
        if need > breach.limit {
            return self.never_fits(place, (need, breach.limit));
        }
        let reset = sums.budget.next_reset().unwrap_or(Nanos::MAX);
        let lack = Lack { budget: self.number, place, need, gains: sums.gains, reset };
        let used = (breach.current, breach.limit);
        Denial { reason: Reason::Budget, until: Until::Budget(lack), used, budget }
    }

    fn never_fits(&self, place: u32, used: (u64, u64)) -> Denial {
        let budget = Some(BudgetPart { budget: self.number, place: Some(place) });
        Denial { reason: Reason::TooWide, until: Until::Change, used, budget }
    }

    /// Why `spending` will never fit, however much is given back, if so.
    pub(super) fn never(&self, (with_cost, spending): (bool, Spending<'_>)) -> Option<Denial> {
        self.open(|sums| {
            if !self.spread(sums, with_cost, spending) || !sums.is_in_force {
                return Some(self.unevaluable());
            }
            let limits = sums.budget.uses().zip(0..).filter_map(|(it, place)| {
                let need = sums.amounts.get(place as usize).map_or(1, |amount| (*amount).max(1));
                Some((place, (need, it.hard?)))
            });
            let mut wide = limits.filter(|(_, (need, hard))| need > hard);
            wide.next().map(|(place, used)| self.never_fits(place, used))
        })
    }

    /// Fills in the sums' `amounts`, by place; `false` when a dimension cannot be counted here.
    fn spread(&self, sums: &mut Sums, with_cost: bool, spending: Spending<'_>) -> bool {
        sums.amounts.clear();
        let cost = with_cost.then_some((Dimensions::COST, spending.cost));
        let mut all = cost.into_iter().chain(spending.named.iter().copied());
        all.all(|(number, amount)| {
            let place = self.place(sums, number);
            place.into_iter().for_each(|place| put(&mut sums.amounts, place, amount));
            place.is_some()
        })
    }

    /// Where the dimension stands here; it gets a place if there is one (A-40: dimensions are an open set).
    fn place(&self, sums: &mut Sums, number: u32) -> Option<usize> {
        if let Some(place) = sums.numbers.iter().position(|known| *known == number) {
            return Some(place);
        }
        let place = sums.budget.dimension(&self.names.name(number)?)?;
        debug_assert_eq!(place, sums.numbers.len(), "a new dimension stands at the end");
        sums.numbers.push(number);
        Some(place)
    }

    /// Puts what a grant has spent in the place of what it had reserved; nothing when it has not `spent`.
    pub(super) fn settle(
        &self,
        with_cost: bool,
        reserved: Spending<'_>,
        spent: Option<Spending<'_>>,
        now: Nanos,
    ) -> Booked {
        self.open(|sums| {
            let actual = spent.unwrap_or(Spending { cost: 0, named: &[] });
            // Every dimension has had its place since the job was admitted, or its spending was noted.
            let mut is_known = self.spread(sums, with_cost, actual);
            sums.spent.clone_from(&sums.amounts);
            if actual != reserved {
                is_known &= self.spread(sums, with_cost, reserved);
            }
            debug_assert!(is_known, "a dimension without a place");
            let Sums { budget, amounts, spent: actual, .. } = sums;
            let of_spent = actual.iter().copied().chain(std::iter::repeat(0));
            let gains = amounts.iter().zip(of_spent).any(|(held, spent)| spent < *held);
            let reported = match spent {
                None => {
                    budget.release(amounts);
                    Reported::Ok
                }
                Some(_) => budget.settle(amounts, actual, now),
            };
            Booked { reported: sums.numbered(reported), wakes: gains && sums.gain() }
        })
    }

    /// Counts spending that no grant had reserved; `None` when a dimension cannot be counted.
    pub(crate) fn report(
        &self,
        amounts: &[(u32, u64)],
        key: Option<&str>,
        now: Nanos,
    ) -> Option<Reported> {
        self.open(|sums| {
            let is_known = self.spread(sums, false, Spending { cost: 0, named: amounts });
            let reported = is_known.then(|| sums.budget.report(&sums.amounts, key, now))?;
            Some(sums.numbered(reported))
        })
    }

    /// Takes spending back; whether lanes that wait for it may have room now. `None` as above.
    pub(crate) fn refund(
        &self,
        amounts: &[(u32, u64)],
        spent_at: Nanos,
        now: Nanos,
    ) -> Option<bool> {
        self.open(|sums| {
            let is_known = self.spread(sums, false, Spending { cost: 0, named: amounts });
            is_known.then(|| sums.budget.refund(&sums.amounts, spent_at, now))?;
            Some(sums.gain())
        })
    }

    /// An amount of `spending` above a limit that it can never fit, and the limit.
    pub(crate) fn too_wide(&self, with_cost: bool, spending: Spending<'_>) -> Option<(u64, u64)> {
        self.open(|sums| {
            self.spread(sums, with_cost, spending).then_some(())?;
            let limits = sums.budget.uses().zip(sums.amounts.iter().copied());
            let mut wide = limits.filter_map(|(it, amount)| Some((amount, it.hard?)));
            wide.find(|(amount, limit)| amount > limit)
        })
    }

    /// Notes that a lane waits for it from now on, unless there has been more room since the lane was
    /// refused. Under the lot's lock.
    pub(super) fn await_room(&self, seen: u64) -> bool {
        self.open(|sums| {
            let waits = sums.gains == seen || mutant!("purse.gain_unseen");
            sums.is_awaited |= waits;
            waits
        })
    }

    /// Hands out what room there is, by place; `hand_out` says whether lanes still wait. Under the lot's lock.
    pub(super) fn share(&self, hand_out: impl FnOnce(&mut dyn Iterator<Item = u64>) -> bool) {
        self.open(|sums| {
            let mut rooms = (0..sums.numbers.len()).map(|place| sums.budget.room(place));
            let still = hand_out(&mut rooms);
            sums.is_awaited = still;
        });
    }

    /// The name of the dimension at `place`, and when the budget is reset next.
    pub(crate) fn dimension(&self, place: u32) -> Option<(String, Option<Nanos>)> {
        self.open(|sums| {
            let name = sums.budget.uses().nth(place as usize)?.name.to_owned();
            Some((name, sums.budget.next_reset()))
        })
    }

    /// All there is to report at `now`.
    pub(crate) fn view(&self, now: Nanos) -> PurseView {
        self.open(|sums| {
            sums.budget.advance(now);
            let uses = sums.budget.uses().map(|it| {
                let numbers = Use {
                    soft: it.soft,
                    hard: it.hard,
                    used: it.usage,
                    reserved: it.reserved,
                    debt: it.debt,
                    hits: it.hits,
                    hard_breaches: it.breaches.hard,
                    soft_breaches: it.breaches.soft,
                };
                (it.name.to_owned(), numbers)
            });
            let uses: Vec<_> = uses.collect();
            let breach = sums.budget.last_breach();
            PurseView {
                name: self.name.to_string(),
                resets: sums.budget.resets(),
                next_reset: sums.budget.next_reset(),
                last_breach: breach.map(|(place, at)| (uses[place].0.clone(), at)),
                uses,
            }
        })
    }
}

impl Sums {
    /// Notes that there is more room; whether somebody may wait for it.
    fn gain(&mut self) -> bool {
        self.gains += 1;
        self.is_awaited
    }

    /// With numbers of dimensions for places.
    fn numbered(&self, reported: Reported) -> Reported {
        let number = |breach: Breach| Breach {
            dimension: self.numbers[breach.dimension] as usize,
            ..breach
        };
        match reported {
            Reported::SoftBreach(breach) => Reported::SoftBreach(number(breach)),
            Reported::HardBreach(breach) => Reported::HardBreach(number(breach)),
            other => other,
        }
    }
}

/// Sets the amount at `place`.
fn put(amounts: &mut Vec<u64>, place: usize, amount: u64) {
    amounts.resize(amounts.len().max(place + 1), 0);
    amounts[place] = amount;
}
