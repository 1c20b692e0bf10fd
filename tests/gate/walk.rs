//! A random walk through what the simulator does not draw: shared budgets, requirements, and caps over a
//! tenant's several lanes, against plain sums.

use crate::cases::config;
use crate::rig::{SECOND, caps, policy};
use fairlane::{
    BudgetId, Cap, Clock, Dimension, Engine, Grant, Job, Limits, ManualClock, Nanos, Policy,
    Reason, Requirement, Tenant, Weight, Worker,
};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::Duration;

const TENANTS: usize = 3;
/// One that all share, and one of each tenant's own.
const BUDGETS: usize = 1 + TENANTS;
/// Of the shared budget.
const PERIOD: u64 = 10 * SECOND;

#[derive(Clone, Debug)]
enum Step {
    Submit {
        tenant: usize,
        cost: u32,
        needs: bool,
    },
    Look {
        worker: usize,
        most: usize,
    },
    /// `None`: as estimated.
    End {
        which: usize,
        cost: Option<u32>,
    },
    Report {
        budget: usize,
        amount: u64,
    },
    Refund {
        budget: usize,
        amount: u64,
    },
    Wait(u64),
    Swap(Terms),
}

/// Limits of a policy.
#[derive(Clone, Debug)]
struct Terms {
    hard: [u64; BUDGETS],
    cap: u32,
}

/// Sums of one budget.
#[derive(Clone, Copy, Default, Debug)]
struct Sums {
    spent: u64,
    reserved: u64,
}

/// What the walk has come to, beside what an engine makes of it.
struct Walk {
    engine: Engine<u32>,
    clock: ManualClock,
    workers: Vec<Worker<u32>>,
    tenants: Vec<Tenant>,
    budgets: Vec<BudgetId>,
    cost: Dimension,
    gpu: Requirement,
    terms: Terms,
    sums: [Sums; BUDGETS],
    /// Costs that wait, by tenant and lane, with the numbers of their jobs.
    queues: Vec<[VecDeque<(u32, u32)>; 2]>,
    held: Vec<(usize, Grant<u32>)>,
    jobs: u32,
}

fn terms() -> impl Strategy<Value = Terms> {
    (prop::array::uniform4(1u64..20), 0u32..4).prop_map(|(hard, cap)| Terms { hard, cap })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..TENANTS, 1u32..6, any::<bool>())
            .prop_map(|(tenant, cost, needs)| Step::Submit { tenant, cost, needs }),
        6 => (0usize..2, 1usize..5).prop_map(|(worker, most)| Step::Look { worker, most }),
        6 => (0usize..8, prop::option::of(0u32..8))
            .prop_map(|(which, cost)| Step::End { which, cost }),
        1 => (0..BUDGETS, 0u64..8).prop_map(|(budget, amount)| Step::Report { budget, amount }),
        2 => (0..BUDGETS, 0u64..12).prop_map(|(budget, amount)| Step::Refund { budget, amount }),
        2 => (0u64..6).prop_map(Step::Wait),
        1 => terms().prop_map(Step::Swap),
    ]
}

fn name(budget: usize) -> String {
    if budget == 0 { "org".to_owned() } else { format!("own-{budget}") }
}

fn written(terms: &Terms) -> Policy {
    policy(|mut p| {
        p = p.tier("starter", Weight::ONE).budget_reset("org", Duration::from_nanos(PERIOD));
        for (budget, hard) in terms.hard.iter().enumerate() {
            p = p.budget_hard(name(budget), "cost", *hard);
        }
        for tenant in 0..TENANTS {
            let limits = Limits::default().budgets(vec!["org".to_owned(), name(1 + tenant)]);
            p = p.tenant_limits(format!("t{tenant}"), limits.concurrency(Cap::Grants(terms.cap)));
        }
        p
    })
}

impl Walk {
    fn new(terms: Terms) -> Walk {
        let clock = ManualClock::new();
        let engine = Engine::builder()
            .workers(2)
            .policy(written(&terms))
            .clock(Clock::Manual(clock.clone()))
            .build()
            .unwrap();
        let gpu = caps("gpu");
        let workers = vec![engine.worker().unwrap(), engine.worker_with(gpu.clone()).unwrap()];
        let tenants =
            (0..TENANTS).map(|k| engine.tenant(&format!("t{k}"), "starter").unwrap()).collect();
        let budgets = (0..BUDGETS).map(|k| engine.budget(&name(k)).unwrap()).collect();
        let cost = engine.dimension("cost").unwrap();
        let gpu = engine.requirement(&gpu).unwrap();
        let (sums, queues) = ([Sums::default(); BUDGETS], vec![Default::default(); TENANTS]);
        let held = Vec::new();
        Walk {
            engine,
            clock,
            workers,
            tenants,
            budgets,
            cost,
            gpu,
            terms,
            sums,
            queues,
            held,
            jobs: 0,
        }
    }

    /// Whether the limits let a job of a tenant go.
    fn fits(&self, tenant: usize, cost: u32) -> bool {
        let out = self.held.iter().filter(|(of, _)| *of == tenant).count();
        let has_room = |budget: usize| {
            let Sums { spent, reserved } = self.sums[budget];
            spent + reserved + u64::from(cost) <= self.terms.hard[budget]
        };
        out < self.terms.cap as usize && has_room(0) && has_room(1 + tenant)
    }

    /// The place of the job in a lane that comes next: jobs wider than a budget ever allows stand aside.
    fn next(&self, tenant: usize, queue: &VecDeque<(u32, u32)>) -> Option<usize> {
        let widest = self.terms.hard[0].min(self.terms.hard[1 + tenant]);
        queue.iter().position(|(_, cost)| u64::from(*cost) <= widest)
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Submit { tenant, cost, needs } => self.submit(tenant, cost, needs)?,
            Step::Look { worker, most } => drop(self.look(worker, most)?),
            Step::End { which, cost } => self.end(which, cost),
            Step::Report { budget, amount } => {
                let amounts = [(self.cost, amount)];
                self.engine.report(self.budgets[budget], None, &amounts).unwrap();
                self.sums[budget].spent += amount;
            }
            Step::Refund { budget, amount } => {
                let (amounts, now) = ([(self.cost, amount)], self.engine.now());
                self.engine.refund(self.budgets[budget], &amounts, now).unwrap();
                self.sums[budget].spent = self.sums[budget].spent.saturating_sub(amount);
            }
            Step::Wait(seconds) => {
                let before = self.clock.now().0 / PERIOD;
                self.clock.advance(Nanos(seconds * SECOND));
                if self.clock.now().0 / PERIOD > before {
                    self.sums[0].spent = 0;
                }
            }
            Step::Swap(terms) => {
                self.engine.set_policy(written(&terms)).unwrap();
                self.terms = terms;
            }
        }
        Ok(())
    }

    fn submit(&mut self, tenant: usize, cost: u32, needs: bool) -> Result<(), TestCaseError> {
        let job = Job::new(self.jobs).cost(cost);
        let job = if needs { job.requires(self.gpu) } else { job };
        let widest = self.terms.hard[0].min(self.terms.hard[1 + tenant]);
        match self.engine.submit(self.tenants[tenant], job) {
            Ok(_) => {
                prop_assert!(u64::from(cost) <= widest);
                self.queues[tenant][usize::from(needs)].push_back((self.jobs, cost));
                self.jobs += 1;
            }
            Err(refused) => {
                prop_assert_eq!(refused.reason(), Reason::TooWide);
                prop_assert!(u64::from(cost) > widest);
            }
        }
        Ok(())
    }

    /// Whether a look granted anything; nothing may go that does not fit, nor out of its lane's order.
    fn look(&mut self, worker: usize, most: usize) -> Result<bool, TestCaseError> {
        let grants: Vec<_> = self.workers[worker].next_batch(most).collect();
        let some = !grants.is_empty();
        for grant in grants {
            let tenant = self.tenants.iter().position(|tenant| *tenant == grant.tenant()).unwrap();
            let place = |queue| {
                let next: usize = self.next(tenant, queue)?;
                (queue[next].0 == *grant.payload()).then_some(next)
            };
            let places: Vec<_> = self.queues[tenant].iter().map(place).collect();
            let lane = places.iter().position(Option::is_some);
            prop_assert!(lane.is_some_and(|lane| lane <= worker), "a job out of order or of reach");
            let (lane, next) = (lane.unwrap(), places[lane.unwrap()].unwrap());
            let (_, cost) = self.queues[tenant][lane].remove(next).unwrap();
            prop_assert!(self.fits(tenant, cost), "cost {} of {}: {:?}", cost, tenant, self.sums);
            self.sums[0].reserved += u64::from(cost);
            self.sums[1 + tenant].reserved += u64::from(cost);
            self.held.push((tenant, grant));
        }
        Ok(some)
    }

    fn end(&mut self, which: usize, cost: Option<u32>) {
        if self.held.is_empty() {
            return;
        }
        let (tenant, grant) = self.held.remove(which % self.held.len());
        let reserved = u64::from(grant.cost());
        for budget in [0, 1 + tenant] {
            self.sums[budget].reserved -= reserved;
            self.sums[budget].spent += cost.map_or(reserved, u64::from);
        }
        match cost {
            Some(cost) => grant.settle(cost),
            None => drop(grant),
        }
    }

    /// Looks until nothing is found; then nothing that waits may fit, and the books are those of the sums.
    fn check(&mut self) -> Result<(), TestCaseError> {
        while self.look(0, 4)? || self.look(1, 4)? {}
        for tenant in 0..TENANTS {
            for queue in &self.queues[tenant] {
                let next = self.next(tenant, queue).map(|next| queue[next].1);
                let goes = next.is_some_and(|cost| self.fits(tenant, cost));
                prop_assert!(!goes, "{:?} of {} stays behind: {:?}", queue, tenant, self.sums);
            }
        }
        let snapshot = self.engine.snapshot();
        for row in &snapshot.budgets {
            let at = (0..BUDGETS).find(|at| name(*at) == row.budget).unwrap();
            prop_assert_eq!(row.dimensions[0].reserved, self.sums[at].reserved);
        }
        let waiting: usize = self.queues.iter().flatten().map(VecDeque::len).sum();
        prop_assert_eq!(snapshot.depth, waiting as u64);
        prop_assert_eq!(snapshot.running, self.held.len() as u64);
        prop_assert_eq!(snapshot.accepted, u64::from(self.jobs));
        Ok(())
    }
}

proptest! {
    #![proptest_config(config(200))]

    /// No budget and no cap is exceeded by any grant, nothing that fits stays behind, no job is lost.
    #[test]
    fn nothing_is_exceeded_and_nothing_stays_behind(
        first in terms(), steps in prop::collection::vec(step(), 1..120),
    ) {
        let mut walk = Walk::new(first);
        for (at, step) in steps.into_iter().enumerate() {
            walk.take(step)?;
            if at % 8 == 7 {
                walk.check()?;
            }
        }
        walk.check()?;
        let waiting: usize = walk.queues.iter().flatten().map(VecDeque::len).sum();
        let report = walk.engine.drain(Duration::ZERO);
        prop_assert_eq!((report.returned.len(), report.running), (waiting, walk.held.len() as u64));
    }
}

// Negative control: sums that forget one report find the engine at fault.
#[test]
fn a_walk_with_wrong_sums_is_rejected() {
    let mut walk = Walk::new(Terms { hard: [5; BUDGETS], cap: 3 });
    walk.take(Step::Report { budget: 0, amount: 4 }).unwrap();
    walk.sums[0].spent = 0;
    walk.take(Step::Submit { tenant: 0, cost: 2, needs: false }).unwrap();
    assert!(walk.check().unwrap_err().to_string().contains("stays behind"));
    walk.sums[0].spent = 4;
    walk.check().unwrap();
    walk.take(Step::Refund { budget: 0, amount: 1 }).unwrap();
    walk.sums[0].spent = 4;
    assert!(walk.check().unwrap_err().to_string().contains("cost 2 of 0"));
}
