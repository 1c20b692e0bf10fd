//! The budgets of an engine by name, and what draws on them.

use super::purse::{Purse, Spending};
use super::slab::Slab;
use crate::limit::{BudgetTerms, DimensionTerms};
use crate::sync::Mutex;
use crate::units::{Nanos, Order};
use std::collections::HashMap;
use std::sync::Arc;

/// Every budget and every dimension that an engine has known. A number, once given, stays.
#[derive(Default, Debug)]
pub(crate) struct Budgets {
    pub(crate) dimensions: Arc<Dimensions>,
    known: Mutex<Known>,
    /// What jobs in rings draw on beside their tenants' budgets.
    extras: Mutex<Slab<Box<Extra>>>,
}

#[derive(Default, Debug)]
struct Known {
    purses: Vec<Arc<Purse>>,
    numbers: HashMap<Box<str>, u32>,
}

/// Names of dimensions by number.
#[derive(Debug)]
pub(crate) struct Dimensions(Mutex<Named>);

#[derive(Default, Debug)]
struct Named {
    names: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
}

/// One budget that a tenant's jobs, or one job, draw on.
#[derive(Clone, Debug)]
pub(crate) struct Draw {
    pub(crate) purse: Arc<Purse>,
    /// Whether the budget limits `cost`, so that a job's cost units count.
    pub(crate) with_cost: bool,
}

/// What one job draws on beside its tenant's budgets, and what it may spend.
#[derive(Clone, Default, Debug)]
pub(crate) struct Extra {
    /// By number of budget, none twice.
    pub(crate) draws: Vec<Draw>,
    /// By number of dimension, none twice.
    pub(crate) named: Vec<(u32, u64)>,
}

impl Default for Dimensions {
    fn default() -> Self {
        let dimensions = Dimensions(Mutex::default());
        let cost = dimensions.intern(Dimensions::COST_NAME);
        debug_assert_eq!(cost, Dimensions::COST);
        dimensions
    }
}

impl Dimensions {
    /// What jobs draw of by default.
    pub(crate) const COST_NAME: &str = DimensionTerms::COST;
    /// Its number.
    pub(crate) const COST: u32 = 0;

    fn open<R>(&self, look: impl FnOnce(&mut Named) -> R) -> R {
        look(&mut self.0.lock().expect("no code panics under this lock"))
    }

    /// The number of a dimension, which is new if nobody has asked for it yet.
    pub(super) fn intern(&self, name: &str) -> u32 {
        self.open(|named| named.intern(name))
    }

    /// The same; `None` when it is new and there are `most` already.
    pub(crate) fn intern_below(&self, name: &str, most: usize) -> Option<u32> {
        self.open(|named| {
            let may = named.names.len() < most || named.numbers.contains_key(name);
            may.then(|| named.intern(name))
        })
    }

    /// The name of a dimension.
    pub(super) fn name(&self, number: u32) -> Option<Box<str>> {
        self.open(|named| named.names.get(number as usize).cloned())
    }
}

impl Named {
    fn intern(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.into());
        self.numbers.insert(name.into(), number);
        number
    }
}

impl Budgets {
    fn open<R>(&self, look: impl FnOnce(&mut Known) -> R) -> R {
        look(&mut self.known.lock().expect("no code panics under this lock"))
    }

    /// The budget `name`, which is made if it is new.
    pub(crate) fn ensure(&self, name: &str) -> Arc<Purse> {
        self.open(|known| {
            if let Some(&number) = known.numbers.get(name) {
                return Arc::clone(&known.purses[number as usize]);
            }
            let number = known.purses.len() as u32;
            let purse = Arc::new(Purse::new(number, name, &self.dimensions));
            known.numbers.insert(name.into(), number);
            known.purses.push(Arc::clone(&purse));
            purse
        })
    }

    /// The budget `name`, if there has ever been one.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Purse>> {
        self.open(|known| {
            let number = known.numbers.get(name)?;
            Some(Arc::clone(&known.purses[*number as usize]))
        })
    }

    /// The budget of a number.
    pub(crate) fn purse(&self, number: u32) -> Option<Arc<Purse>> {
        self.open(|known| known.purses.get(number as usize).map(Arc::clone))
    }

    /// Every budget there has been, by number.
    pub(crate) fn all(&self) -> Vec<Arc<Purse>> {
        self.open(|known| known.purses.clone())
    }

    /// Makes the limits hold that a policy states by name; other budgets limit nothing from now on, and what
    /// names them is refused.
    pub(crate) fn adopt(&self, terms: &HashMap<String, BudgetTerms>, now: Nanos) {
        terms.keys().for_each(|name| drop(self.ensure(name)));
        self.all().iter().for_each(|purse| purse.adopt(terms.get(purse.name()), now));
    }

    /// Keeps what a job draws on while the job is in a ring. The number goes with its order.
    pub(crate) fn keep(&self, extra: Box<Extra>) -> u32 {
        self.extras.lock().expect("no code panics under this lock").add(extra)
    }

    /// Takes out what has been kept under `number`.
    pub(crate) fn take(&self, number: u32) -> Option<Box<Extra>> {
        if number == Order::NO_EXTRA {
            return None;
        }
        self.extras.lock().expect("no code panics under this lock").take(number)
    }
}

/// What a grant has reserved, until it ends.
#[derive(Debug)]
pub(crate) struct Reservation {
    /// The tenant's budgets when the job was granted, by number.
    pub(super) draws: Arc<[Draw]>,
    pub(super) extra: Option<Box<Extra>>,
    pub(super) cost: u32,
    /// For how long the job waited, in the receipt's words.
    pub(super) waited: u32,
    pub(super) outcome: Outcome,
}

/// What came of a grant, as far as it is known.
#[derive(Default, Debug)]
pub(super) struct Outcome {
    /// The job was not begun.
    pub(super) is_void: bool,
    pub(super) cost: Option<u32>,
    /// What was spent of dimensions, by number, where it is known.
    pub(super) named: Vec<(u32, u64)>,
}

/// A correction of what a grant is taken to have spent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Note<'a> {
    /// It cost this much.
    Cost(u32),
    /// It has spent so much of these dimensions, by number.
    Spent(&'a [(u32, u64)]),
    /// It was not begun.
    Void,
}

/// The budgets that a job draws on, in the order in which they are locked: by number, none twice.
#[derive(Clone)]
pub(super) struct Draws<'a> {
    tenant: &'a [Draw],
    extra: &'a [Draw],
}

impl<'a> Draws<'a> {
    /// Both are in that order.
    pub(super) fn new(tenant: &'a [Draw], extra: Option<&'a Extra>) -> Self {
        Draws { tenant, extra: extra.map_or(&[], |extra| &extra.draws) }
    }
}

impl<'a> Iterator for Draws<'a> {
    type Item = &'a Draw;

    fn next(&mut self) -> Option<&'a Draw> {
        let number = |draws: &[Draw]| draws.first().map_or(u32::MAX, |draw| draw.purse.number());
        let (tenant, extra) = (number(self.tenant), number(self.extra));
        let (from, other) = if tenant <= extra {
            (&mut self.tenant, &mut self.extra)
        } else {
            (&mut self.extra, &mut self.tenant)
        };
        let (first, rest) = from.split_first()?;
        *from = rest;
        if tenant == extra {
            *other = &other[1..];
        }
        Some(first)
    }
}

impl Reservation {
    /// Takes a correction down, unless it is spending that one of the budgets cannot count.
    pub(super) fn note(&mut self, note: Note<'_>) -> bool {
        match note {
            Note::Cost(cost) => self.outcome.cost = Some(cost),
            Note::Void => self.outcome.is_void = true,
            Note::Spent(amounts) => {
                let mut draws = Draws::new(&self.draws, self.extra.as_deref());
                if !draws.all(|draw| draw.purse.can_count(amounts)) {
                    return false;
                }
                for &(number, amount) in amounts {
                    add(&mut self.outcome.named, number, amount, |old, _| *old = amount);
                }
            }
        }
        true
    }

    /// Settles everything, and returns the budgets that have room for others now.
    pub(super) fn settle(self, now: Nanos) -> Vec<Arc<Purse>> {
        let estimated = self.extra.as_ref().map_or(&[][..], |extra| &extra.named);
        let reserved = Spending { cost: self.cost.into(), named: estimated };
        let Outcome { is_void, cost, mut named } = self.outcome;
        let names_cost =
            named.iter().chain(estimated).any(|(number, _)| *number == Dimensions::COST);
        if let (Some(cost), true) = (cost, names_cost) {
            add(&mut named, Dimensions::COST, cost.into(), |old, settled| *old = settled);
        }
        for &(number, amount) in estimated {
            add(&mut named, number, amount, |_, _| {});
        }
        let spent = Spending { cost: cost.unwrap_or(self.cost).into(), named: &named };
        let spent = (!is_void).then_some(spent);
        let drawn = Draws::new(&self.draws, self.extra.as_deref());
        let gaining =
            drawn.filter(|draw| draw.purse.settle(draw.with_cost, reserved, spent, now).wakes);
        gaining.map(|draw| Arc::clone(&draw.purse)).collect()
    }
}

/// Adds an entry for the dimension, or lets `merge` change the one there is.
fn add(named: &mut Vec<(u32, u64)>, number: u32, amount: u64, merge: impl FnOnce(&mut u64, u64)) {
    match named.iter_mut().find(|(known, _)| *known == number) {
        Some((_, old)) => merge(old, amount),
        None => named.push((number, amount)),
    }
}
