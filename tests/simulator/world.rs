//! One run: actors that take steps in an order drawn from the seed.

use crate::chance::Chance;
use crate::mix::Mix;
use crate::oracle::{Breach, Kind, Oracle, Verdict};
use crate::quota::Quota;
use crate::systems::{Granted, System};
use crate::tally::Tally;
use crate::terms::Terms;
use crate::trace::Trace;
use crate::workers::Place;

/// Longer than any wish reaches.
const AGES_NS: u64 = 10_000_000_000_000;
/// Looks that bring everything to rest.
const LOOKS_MAX: u32 = 5_000;

/// A producer, and the submission it has stopped in, if any.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Producer {
    pub(crate) stopped: Option<Stop>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    pub(crate) tenant: usize,
    pub(crate) number: u64,
    /// By which the system knows the reserved place.
    pub(crate) place: usize,
    /// The step from which on it goes on.
    pub(crate) until: u64,
}

/// A tenant as its clients see it.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Client {
    pub(crate) named: bool,
    pub(crate) tier: usize,
    /// What the tenant's jobs cost: all the same, or up to this.
    pub(crate) cost: u64,
    pub(crate) alike: bool,
    /// The most that a corrected cost may be, in percent of the job's: some tenants exaggerate,
    /// others understate.
    pub(crate) actual: u64,
}

pub(crate) struct World<'a> {
    pub(crate) system: &'a mut dyn System,
    pub(crate) oracle: Oracle,
    pub(crate) mix: &'a Mix,
    pub(crate) chance: Chance,
    pub(crate) trace: Trace,
    pub(crate) tally: Tally,
    pub(crate) step: u64,
    pub(crate) now: u64,
    /// The clock stands still until this step.
    pub(crate) still_until: u64,
    pub(crate) terms: Terms,
    pub(crate) clients: Vec<Client>,
    pub(crate) producers: Vec<Producer>,
    pub(crate) workers: Vec<Place>,
    /// Grants that end elsewhere.
    pub(crate) loose: Vec<Granted>,
    pub(crate) next_number: u64,
    pub(crate) drained: bool,
}

impl<'a> World<'a> {
    pub(crate) fn new(mix: &'a Mix, system: &'a mut dyn System, trace: Trace) -> World<'a> {
        let mut chance = Chance::new(mix.seed.rotate_left(17) ^ 0xA11CE);
        let tiers = mix.terms.tiers.len();
        let clients = (0..mix.tenants).map(|_| Client {
            named: false,
            tier: chance.index(tiers),
            cost: chance.scaled(1..=mix.cost_max),
            alike: chance.per_mille(500),
            actual: chance.scaled(20..=500),
        });
        World {
            clients: clients.collect(),
            oracle: match mix.habits {
                None => Oracle::new(&mix.terms, mix.tenants),
                Some(_) => Oracle::limited(&mix.terms, mix.tenants, mix.faults.clocks_agree()),
            },
            terms: mix.terms.clone(),
            producers: vec![Producer::default(); mix.producers],
            workers: (0..mix.workers).map(|_| Place::default()).collect(),
            loose: Vec::new(),
            tally: Tally::default(),
            step: 0,
            now: 0,
            still_until: 0,
            next_number: 0,
            drained: false,
            system,
            mix,
            chance,
            trace,
        }
    }

    /// Takes `steps` steps, then brings everything to rest.
    pub(crate) fn run(&mut self, steps: u64) -> Verdict {
        // After a drain only refusals are left to see.
        let last = self.mix.drain_at.map_or(steps, |at| steps.min(at + 300));
        self.tally_sizes();
        while self.step < last {
            self.step += 1;
            self.take_step()?;
            self.check_rest()?;
            if self.step % self.mix.snapshot_every == 0 {
                self.check_figures()?;
            }
        }
        self.come_to_rest()?;
        self.trace.note("end", self.next_number, self.tally.get("granted"));
        Ok(())
    }

    fn tally_sizes(&mut self) {
        self.tally.add("near wrap", u64::from(self.mix.first_round > 0));
        let Mix { workers, producers, tenants, .. } = *self.mix;
        let sizes = [
            ("one worker", workers == 1),
            ("eight workers", workers == 8),
            ("one producer", producers == 1),
            ("64 producers", producers == 64),
            ("one tenant", tenants == 1),
            ("10,000 tenants", tenants == 10_000),
        ];
        sizes.into_iter().for_each(|(what, is_so)| self.tally.add(what, u64::from(is_so)));
    }

    fn take_step(&mut self) -> Verdict {
        self.pass_time()?;
        self.take_fault()?;
        if self.mix.drain_at == Some(self.step) {
            return self.drain();
        }
        if self.chance.per_mille(self.mix.produce) {
            let producer = self.chance.index(self.producers.len());
            return self.produce(producer);
        }
        if !self.loose.is_empty() && self.chance.per_mille(200) {
            let at = self.chance.index(self.loose.len());
            let granted = self.loose.swap_remove(at);
            return self.end(&granted);
        }
        let worker = self.chance.index(self.workers.len());
        self.work(worker)
    }

    /// Compares a snapshot with what the oracle knows.
    pub(crate) fn check_figures(&mut self) -> Verdict {
        let figures = self.system.figures();
        self.trace.note("figures", figures.dispatched, figures.depth);
        let payloads = self.system.payloads();
        self.oracle.figures(&figures, payloads)
    }

    pub(crate) fn drain(&mut self) -> Verdict {
        let report = self.system.drain();
        self.drained = true;
        self.tally.add("drains", 1);
        self.tally.add("returned", report.returned.len() as u64);
        self.tally.add("unpublished", report.unpublished);
        self.trace.note("drain", report.returned.len() as u64, report.running);
        report.returned.iter().for_each(|(tenant, number)| {
            self.trace.note("returned", *tenant as u64, *number);
        });
        self.oracle.drained(&report)?;
        self.check_figures()
    }

    /// Lets producers finish, handlers return and workers serve what is left, then drains.
    fn come_to_rest(&mut self) -> Verdict {
        self.trace.note("rest", self.step, 0);
        for producer in 0..self.producers.len() {
            self.finish(producer)?;
        }
        self.end_all()?;
        if !self.drained {
            self.lift_limits()?;
            self.serve_all()?;
            self.check_figures()?;
            let figures = self.system.figures();
            self.oracle.emptied(&figures)?;
        }
        self.drain()?;
        self.oracle.balance()?;
        match self.system.payloads() {
            0 => Ok(()),
            left => Err(Breach::new(Kind::Memory, format!("{left} payloads are left at the end"))),
        }
    }

    /// Lets everything go that limits and due moments keep.
    fn lift_limits(&mut self) -> Verdict {
        if self.mix.habits.is_none() {
            return Ok(());
        }
        let mut terms = self.terms.clone();
        terms.capacity = None;
        for tier in terms.tiers.iter_mut().chain(terms.own.values_mut()) {
            tier.quota = Quota::default();
        }
        let taken = self.system.set_policy(&terms);
        self.oracle.policy(&terms, taken)?;
        self.terms = terms;
        self.still_until = 0;
        self.turn_clock(self.now + AGES_NS)
    }

    /// Every worker looks for work in turn until nothing is left, then sleeps.
    fn serve_all(&mut self) -> Verdict {
        for worker in 0..self.workers.len() {
            self.wake_up(worker);
        }
        let mut rounds = 0;
        // A look grants at least one job while there are any: the oracle sees to that.
        while self.oracle.waiting() > 0 && (self.mix.habits.is_some() || self.oracle.eligible() > 0)
        {
            let worker = self.chance.index(self.workers.len());
            self.look_for_work(worker, 256)?;
            self.end_all()?;
            rounds += 1;
            if rounds > LOOKS_MAX {
                let text = format!("{} jobs are never granted", self.oracle.waiting());
                return Err(Breach::new(Kind::Work, text));
            }
        }
        for worker in 0..self.workers.len() {
            self.look_for_work(worker, 1)?;
            self.system.lie_down(worker);
        }
        Ok(())
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number - 1
    }
}
