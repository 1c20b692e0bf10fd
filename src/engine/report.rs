//! Putting a snapshot together.

use super::shared::Shared;
use crate::dispatch::Plan;
use crate::error::Reason;
use crate::gate::{PurseView, Scope};
use crate::stats::{
    BudgetDimensionRow, BudgetRow, Delays, Kind, LimitsRow, Quantiles, Snapshot, TenantRow,
    TierRow, WorkerRow,
};
use crate::sync::atomic::Ordering::Relaxed;
use crate::tenant::Interned;
use std::collections::BTreeMap;

/// How many lanes wait for each reason beyond those that are parked for it: lanes wait outside the lot
/// too, and a rule may come before the one that a lane is parked for.
type Moved = [i64; Reason::ALL.len()];

/// Sums over a tenant's lanes.
#[derive(Default)]
struct LaneSums {
    dispatched: u64,
    depth: u32,
    served_cost: u64,
    expired: u64,
    /// What the first of them that waits waits for.
    waits_for: Option<Reason>,
}

impl<T: Send + 'static> Shared<T> {
    pub(super) fn snapshot(&self) -> Snapshot {
        let plan = self.lanes.plan.load();
        let (tenant_rows, moved) = self.tenant_rows(&plan);
        let retired = self.lanes.table.retired();
        let sum = |of: fn(&TenantRow) -> u64| tenant_rows.iter().map(of).sum::<u64>();
        let past = self.lanes.routes.past();
        let dispatched = sum(|row| row.dispatched) + retired.dispatched + past.0;
        let depth = sum(|row| u64::from(row.depth));
        let (granted, settled) = self.grants();
        let blocks = u64::from(self.lanes.pool.blocks_out());
        Snapshot {
            at_ns: self.clock.now().0,
            accepted: dispatched + depth,
            dispatched,
            served_cost: sum(|row| row.served_cost) + retired.served_cost + past.1,
            depth,
            expired: self.lanes.expired.total(),
            running: granted - settled,
            refused: self.refusals(),
            tenants: tenant_rows.len() as u32,
            tenants_max: self.lanes.table.tenants_max(),
            tenants_retired: retired.tenants,
            queue_reserved: blocks * u64::from(self.lanes.pool.mask() + 1),
            queue_max: self.lanes.pool.slots_max(),
            timed_every: self.lanes.cadence.stamped_every(),
            limits: self.limits_row(&plan, &moved),
            budgets: self.budget_rows(),
            tiers: self.tier_rows(&plan),
            workers: self.worker_rows(),
            tenant_rows,
        }
    }

    fn limits_row(&self, plan: &Plan, moved: &Moved) -> LimitsRow {
        let census = self.lanes.gate.census();
        let mut waiting = census.parked;
        for (lanes, moved) in waiting.iter_mut().zip(moved) {
            *lanes = lanes.saturating_add_signed(*moved);
        }
        LimitsRow {
            concurrency: plan.policy.concurrency(),
            in_flight: self.lanes.gate.used(Scope::Engine),
            waiting: by_reason(waiting),
            parked: by_reason(census.parks),
            minima_waiting: census.urgent,
            minima_served: census.minima_served,
        }
    }

    fn budget_rows(&self) -> Vec<BudgetRow> {
        let (purses, now) = (self.lanes.gate.budgets.all(), self.clock.now());
        let in_force = purses.iter().filter(|purse| purse.is_in_force());
        in_force.map(|purse| budget_row(purse.view(now))).collect()
    }

    fn refusals(&self) -> BTreeMap<Reason, u64> {
        by_reason(std::array::from_fn(|at| self.refused[at].load(Relaxed)))
    }

    fn tenant_rows(&self, plan: &Plan) -> (Vec<TenantRow>, Moved) {
        let mut rows = Vec::with_capacity(self.lanes.table.used() as usize);
        let mut moved = [0; Reason::ALL.len()];
        self.lanes.table.for_each_name(|name, tenant| {
            let sums = self.lane_sums(tenant, &mut moved);
            rows.push((tenant.slot, self.tenant_row(name, tenant, sums, plan)));
        });
        rows.sort_unstable_by_key(|(slot, _)| *slot);
        (rows.into_iter().map(|(_, row)| row).collect(), moved)
    }

    /// One tenant's row, by `plan` unless a swap has given the tenant a profile since.
    fn tenant_row(&self, name: &str, tenant: Interned, sums: LaneSums, plan: &Plan) -> TenantRow {
        let row = self.lanes.table.row(tenant.slot);
        let number = row.profile() as usize;
        let newer = (number >= plan.profiles.len()).then(|| self.lanes.plan.load());
        let plan = newer.as_deref().unwrap_or(plan);
        let profile = &plan.profiles[number];
        let running = || self.lanes.gate.entry(tenant.slot).running();
        TenantRow {
            tenant: name.to_owned(),
            tier: plan.tiers[profile.tier as usize].clone(),
            weight: profile.weight,
            accepted: sums.dispatched + u64::from(sums.depth),
            dispatched: sums.dispatched,
            served_cost: sums.served_cost,
            expired: sums.expired,
            depth: sums.depth,
            queue_max: profile.bound,
            refused: row.refused.load(Relaxed),
            refused_cost: row.refused_cost.load(Relaxed),
            in_flight: plan.rules[number].counts().then(running),
            waits_for: sums.waits_for,
        }
    }

    /// What a tenant's lanes come to together.
    fn lane_sums(&self, tenant: Interned, moved: &mut Moved) -> LaneSums {
        let branches = self.lanes.known_branches(tenant.slot);
        let branches = branches.iter().flatten().map(|branch| branch.lane);
        let mut sums = LaneSums::default();
        for lane in std::iter::once(tenant.slot).chain(branches) {
            let row = self.lanes.table.row(lane);
            let (dispatched, depth) = row.progress();
            sums.dispatched += dispatched;
            sums.depth += depth;
            sums.served_cost += row.served().1;
            let entry = self.lanes.gate.known(lane);
            sums.expired += entry.map_or(0, |entry| entry.expired(tenant.generation));
            if let Some(hold) = self.hold(lane, depth) {
                sums.waits_for.get_or_insert(hold.denial.reason);
                moved[hold.denial.reason.index()] += 1;
                hold.parked.into_iter().for_each(|parked| moved[parked.index()] -= 1);
            }
        }
        sums
    }

    fn tier_rows(&self, plan: &Plan) -> Vec<TierRow> {
        let delays = |tier, kind| {
            let workers = self.desks.iter().map(|desk| &*desk.delays as &Delays);
            Quantiles::merged(workers, tier, kind)
        };
        let tiers = plan.tiers.iter().enumerate().map(|(number, name)| TierRow {
            tier: name.clone(),
            queue_delay: delays(number as u32, Kind::Queue),
            run_time: delays(number as u32, Kind::Run),
        });
        tiers.collect()
    }

    fn worker_rows(&self) -> Vec<WorkerRow> {
        let workers = &self.desks[..self.workers()];
        let rows = workers.iter().enumerate().map(|(number, desk)| {
            let counters = &desk.counters;
            WorkerRow {
                worker: number as u32,
                granted: counters.granted.get(),
                cost: counters.cost.get(),
                visits: counters.visits.get(),
                claims: counters.claims.get(),
                long_claims: counters.long_claims.get(),
                sleeps: counters.sleeps.get(),
                stalls: counters.stalls.get(),
                panics: counters.panics.get(),
                taken_over: counters.jobs_taken_over.get(),
            }
        });
        rows.collect()
    }
}

fn budget_row(view: PurseView) -> BudgetRow {
    let dimensions = view.uses.into_iter().map(|(dimension, it)| BudgetDimensionRow {
        dimension,
        soft: it.soft,
        hard: it.hard,
        used: it.used,
        reserved: it.reserved,
        debt: it.debt,
        hits: it.hits,
        hard_breaches: it.hard_breaches,
        soft_breaches: it.soft_breaches,
    });
    let last_breach_ns = view.last_breach.as_ref().map(|(_, at)| at.0);
    BudgetRow {
        budget: view.name,
        resets: view.resets,
        resets_at_ns: view.next_reset.map(|at| at.0),
        last_breach: view.last_breach.map(|(dimension, _)| dimension),
        last_breach_ns,
        dimensions: dimensions.collect(),
    }
}

/// The reasons that have occurred, with their counts.
fn by_reason(counts: [u64; Reason::ALL.len()]) -> BTreeMap<Reason, u64> {
    Reason::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
}
