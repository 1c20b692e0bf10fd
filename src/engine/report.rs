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
use std::collections::BTreeMap;

impl<T: Send + 'static> Shared<T> {
    pub(super) fn snapshot(&self) -> Snapshot {
        let plan = self.lanes.plan.load();
        let tenant_rows = self.tenant_rows(&plan);
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
            limits: self.limits_row(&plan),
            budgets: self.budget_rows(),
            tiers: self.tier_rows(&plan),
            workers: self.worker_rows(),
            tenant_rows,
        }
    }

    fn limits_row(&self, plan: &Plan) -> LimitsRow {
        let census = self.lanes.gate.census();
        let mut waiting = census.parked;
        waiting[Reason::NoCapableWorker.index()] += self.lanes.routes.unserved();
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

    fn tenant_rows(&self, plan: &Plan) -> Vec<TenantRow> {
        let mut rows = Vec::with_capacity(self.lanes.table.used() as usize);
        self.lanes.table.for_each_name(|name, tenant| {
            let row = self.lanes.table.row(tenant.slot);
            let Some(profile) = plan.profiles.get(row.profile() as usize) else { return };
            let (mut dispatched, mut depth) = row.progress();
            let mut served_cost = row.served().1;
            let mut expired = self
                .lanes
                .gate
                .known(tenant.slot)
                .map_or(0, |entry| entry.expired(tenant.generation));
            for branch in self.lanes.known_branches(tenant.slot).into_iter().flatten() {
                let row = self.lanes.table.row(branch.lane);
                let (more, waiting) = row.progress();
                dispatched += more;
                depth += waiting;
                served_cost += row.served().1;
                expired += self.lanes.gate.entry(branch.lane).expired(tenant.generation);
            }
            let tenant_row = TenantRow {
                tenant: name.to_owned(),
                tier: plan.tiers[profile.tier as usize].clone(),
                weight: profile.weight,
                accepted: dispatched + u64::from(depth),
                dispatched,
                served_cost,
                expired,
                depth,
                queue_max: profile.bound,
                refused: row.refused.load(Relaxed),
                refused_cost: row.refused_cost.load(Relaxed),
                in_flight: plan.rules[row.profile() as usize]
                    .counts()
                    .then(|| self.lanes.gate.entry(tenant.slot).running()),
                waits_for: self.lanes.gate.place(tenant.slot).map(|place| place.denial.reason),
            };
            rows.push((tenant.slot, tenant_row));
        });
        rows.sort_unstable_by_key(|(slot, _)| *slot);
        rows.into_iter().map(|(_, row)| row).collect()
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
