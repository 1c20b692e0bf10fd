//! Putting a snapshot together.

use super::shared::Shared;
use crate::dispatch::Plan;
use crate::error::Reason;
use crate::stats::{Delays, Kind, Quantiles, Snapshot, TenantRow, TierRow, WorkerRow};
use crate::sync::atomic::Ordering::Relaxed;

impl<T: Send + 'static> Shared<T> {
    pub(super) fn snapshot(&self) -> Snapshot {
        let plan = self.lanes.plan.load();
        let tenant_rows = self.tenant_rows(&plan);
        let retired = self.lanes.table.retired();
        let sum = |of: fn(&TenantRow) -> u64| tenant_rows.iter().map(of).sum::<u64>();
        let dispatched = sum(|row| row.dispatched) + retired.dispatched;
        let depth = sum(|row| u64::from(row.depth));
        let (granted, settled) = self.grants();
        let blocks = u64::from(self.lanes.pool.blocks_out());
        Snapshot {
            at_ns: self.clock.now().0,
            accepted: dispatched + depth,
            dispatched,
            served_cost: sum(|row| row.served_cost) + retired.served_cost,
            depth,
            running: granted - settled,
            refused: self.refusals(),
            tenants: tenant_rows.len() as u32,
            tenants_max: self.lanes.table.tenants_max(),
            tenants_retired: retired.tenants,
            queue_reserved: blocks * u64::from(self.lanes.pool.mask() + 1),
            queue_max: self.lanes.pool.slots_max(),
            timed_every: self.lanes.cadence.stamped_every(),
            tiers: self.tier_rows(&plan),
            workers: self.worker_rows(),
            tenant_rows,
        }
    }

    fn refusals(&self) -> std::collections::BTreeMap<Reason, u64> {
        let counts = self.refused.iter().map(|count| count.load(Relaxed));
        Reason::ALL.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
    }

    fn tenant_rows(&self, plan: &Plan) -> Vec<TenantRow> {
        let mut rows = Vec::with_capacity(self.lanes.table.used() as usize);
        self.lanes.table.for_each_name(|name, tenant| {
            let row = self.lanes.table.row(tenant.slot);
            let Some(profile) = plan.profiles.get(row.profile() as usize) else { return };
            let (dispatched, depth) = row.progress();
            let tenant_row = TenantRow {
                tenant: name.to_owned(),
                tier: plan.tiers[profile.tier as usize].clone(),
                weight: profile.weight,
                accepted: dispatched + u64::from(depth),
                dispatched,
                served_cost: row.served().1,
                depth,
                queue_max: profile.bound,
                refused: row.refused.load(Relaxed),
                refused_cost: row.refused_cost.load(Relaxed),
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
        let workers = &self.desks[..self.desks.len() - 1];
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
