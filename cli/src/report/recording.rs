use std::ops::Range;

use fairlane::fairness::{Act, Event, ShareMeter, TenantShare};
use fairlane::{Nanos, Reason, Weight};
use hdrhistogram::Histogram;

use super::{JobCounts, OTHER, ROWS_MAX, SchedulerReport, Service, TenantRow, WaitMs};

/// Longest wait the histograms tell apart, microseconds: a day.
const WAIT_US_MAX: u64 = 86_400_000_000;

/// A tenant as its scheduler knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TenantInfo {
    pub(crate) name: String,
    pub(crate) tier: String,
    pub(crate) weight: Weight,
}

/// What a scheduler did with the jobs it accepted, told when it has stopped.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Ending {
    /// Every job that a handler began.
    pub(crate) services: Vec<Service>,
    /// Jobs whose deadline passed in the queue.
    pub(crate) expired: u64,
    /// Jobs handed back unserved.
    pub(crate) returned: u64,
    /// Jobs the scheduler says it still holds.
    pub(crate) queued: u64,
}

/// Sums of one tenant's offers.
#[derive(Clone, Copy, Default)]
struct Offered {
    jobs: u64,
    cost: u64,
    refused: u64,
}

/// Records one run of one scheduler and sums it up.
pub(crate) struct Recording {
    tenants: Vec<TenantInfo>,
    offered: Vec<Offered>,
    meter: ShareMeter,
    jobs: JobCounts,
}

impl Recording {
    /// Starts the record of a run. `grain` is the span within which a tenant's like offers may be
    /// kept as one; a thousandth of the expected window is plenty.
    pub(crate) fn new(tenants: Vec<TenantInfo>, grain: Nanos) -> Recording {
        let weights = tenants.iter().map(|tenant| tenant.weight).collect();
        Recording {
            offered: vec![Offered::default(); tenants.len()],
            meter: ShareMeter::new(weights).with_grain(grain),
            jobs: JobCounts::default(),
            tenants,
        }
    }

    /// Counts a job offered at its intended arrival, and what the scheduler said to it.
    pub(crate) fn offer(&mut self, at: Nanos, tenant: u32, cost: u32, verdict: Result<(), Reason>) {
        let place = tenant as usize;
        let offered = &mut self.offered[place];
        self.jobs.read += 1;
        offered.jobs += 1;
        offered.cost += u64::from(cost);
        let act = match verdict {
            Ok(()) => {
                self.jobs.accepted += 1;
                Some(Act::Accepted)
            }
            Err(reason) => {
                *self.jobs.refused.entry(reason.code()).or_default() += 1;
                offered.refused += 1;
                matches!(reason, Reason::QueueFull | Reason::EngineFull).then_some(Act::RefusedFull)
            }
        };
        if let Some(act) = act {
            self.meter.record(Event { at, tenant: place, cost: u64::from(cost), act });
        }
    }

    /// Closes the record and sums it up.
    pub(crate) fn finish(mut self, ending: Ending) -> (JobCounts, SchedulerReport) {
        let Ending { mut services, expired, returned, queued } = ending;
        for service in &services {
            let (tenant, cost) = (service.tenant as usize, u64::from(service.cost));
            self.meter.record(Event { at: service.at, tenant, cost, act: Act::Served });
        }
        self.jobs.dispatched = services.len() as u64;
        (self.jobs.expired, self.jobs.returned) = (expired, returned);
        let accounted = self.jobs.dispatched + expired + returned + queued;
        self.jobs.lost = self.jobs.accepted as i64 - accounted as i64;

        let last = services.iter().map(|service| service.at).max().unwrap_or_default();
        let fairness = self.meter.report();
        services.sort_unstable_by_key(|service| service.tenant);
        let report = SchedulerReport {
            jain: fairness.jain,
            min_share_ratio: fairness.min_share_ratio,
            throughput_per_s: per_second(services.len(), last),
            tenants: self.rows(&services, &fairness.tenants),
        };
        (self.jobs, report)
    }

    /// The largest tenants' rows, then the one of all others. `services` are sorted by tenant.
    fn rows(&self, services: &[Service], shares: &[TenantShare]) -> Vec<TenantRow> {
        let mut order: Vec<usize> = (0..self.tenants.len()).collect();
        order.sort_by_key(|place| std::cmp::Reverse(self.offered[*place].cost));
        let (own, others) = order.split_at(order.len().min(ROWS_MAX));
        let mut waits = Waits::new();
        let mut rows: Vec<TenantRow> = own
            .iter()
            .map(|place| {
                let mut row = self.row(*place, services, &shares[*place], &mut waits);
                row.wait_ms = waits.take();
                row
            })
            .collect();
        let others = others.iter().map(|place| {
            let share = &shares[*place];
            (self.row(*place, services, share, &mut waits), share.attained)
        });
        if let Some(mut other) = joined(others) {
            other.wait_ms = waits.take();
            rows.push(other);
        }
        rows
    }

    /// One tenant's row without its waits, which are added to `waits`.
    fn row(
        &self,
        place: usize,
        services: &[Service],
        share: &TenantShare,
        waits: &mut Waits,
    ) -> TenantRow {
        let (tenant, offered) = (&self.tenants[place], self.offered[place]);
        let own = &services[range_of(services, place)];
        own.iter().for_each(|service| waits.add(service.wait));
        TenantRow {
            tenant: tenant.name.clone(),
            tier: tenant.tier.clone(),
            weight: tenant.weight.as_f64(),
            jobs: offered.jobs,
            offered_cost: offered.cost,
            served_cost: own.iter().map(|service| u64::from(service.cost)).sum(),
            entitled_cost: share.entitled,
            share_ratio: share.share_ratio,
            wait_ms: WaitMs::default(),
            refused: offered.refused,
        }
    }
}

/// Where a tenant's services are among those of all, sorted by tenant.
fn range_of(services: &[Service], place: usize) -> Range<usize> {
    let start = services.partition_point(|service| (service.tenant as usize) < place);
    let end = services.partition_point(|service| (service.tenant as usize) <= place);
    start..end
}

/// Adds rows up into one named [`OTHER`]; its share ratio is that of the judged ones together.
fn joined(rows: impl Iterator<Item = (TenantRow, f64)>) -> Option<TenantRow> {
    let (mut judged_entitled, mut judged_attained) = (0.0, 0.0);
    let mut sum: Option<TenantRow> = None;
    for (row, attained) in rows {
        if row.share_ratio.is_some() {
            judged_entitled += row.entitled_cost;
            judged_attained += attained;
        }
        match &mut sum {
            None => sum = Some(row),
            Some(sum) => {
                sum.weight += row.weight;
                sum.jobs += row.jobs;
                sum.offered_cost += row.offered_cost;
                sum.served_cost += row.served_cost;
                sum.entitled_cost += row.entitled_cost;
                sum.refused += row.refused;
            }
        }
    }
    sum.map(|sum| TenantRow {
        tenant: OTHER.to_owned(),
        tier: OTHER.to_owned(),
        share_ratio: (judged_entitled > 0.0).then(|| judged_attained / judged_entitled),
        ..sum
    })
}

fn per_second(jobs: usize, span: Nanos) -> f64 {
    let seconds = span.as_duration().as_secs_f64();
    if seconds > 0.0 { jobs as f64 / seconds } else { 0.0 }
}

/// One histogram used for row after row, to three digits.
struct Waits {
    micros: Histogram<u64>,
}

impl Waits {
    fn new() -> Waits {
        let micros = Histogram::new_with_bounds(1, WAIT_US_MAX, 3);
        Waits { micros: micros.expect("the bounds are in the histogram's range") }
    }

    fn add(&mut self, wait: Nanos) {
        self.micros.saturating_record(wait.0 / 1_000);
    }

    /// Reads the percentiles and empties the histogram.
    fn take(&mut self) -> WaitMs {
        if self.micros.is_empty() {
            return WaitMs::default();
        }
        let ms = |micros: u64| Some(micros as f64 / 1_000.0);
        let at = |quantile| ms(self.micros.value_at_quantile(quantile));
        let waits =
            WaitMs { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: ms(self.micros.max()) };
        self.micros.reset();
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenants(n: usize) -> Vec<TenantInfo> {
        let named = |i| TenantInfo {
            name: format!("t{i}"),
            tier: "starter".to_owned(),
            weight: Weight::ONE,
        };
        (0..n).map(named).collect()
    }

    fn service(at: u64, tenant: u32, wait: u64) -> Service {
        Service { at: Nanos(at), wait: Nanos(wait), tenant, cost: 1 }
    }

    #[test]
    fn every_job_is_counted_where_it_ended() {
        let mut recording = Recording::new(tenants(1), Nanos::ZERO);
        for verdict in [Ok(()), Ok(()), Ok(()), Err(Reason::QueueFull), Err(Reason::Draining)] {
            recording.offer(Nanos(1), 0, 1, verdict);
        }
        let services = vec![service(1_000_000_000, 0, 500)];
        let ending = Ending { services, expired: 1, returned: 1, queued: 0 };
        let (jobs, report) = recording.finish(ending);
        assert_eq!((jobs.read, jobs.accepted, jobs.dispatched), (5, 3, 1));
        assert_eq!((jobs.expired, jobs.returned, jobs.lost), (1, 1, 0));
        assert_eq!(jobs.refused, [("draining", 1), ("queue_full", 1)].into());
        assert_eq!(report.tenants[0].refused, 2);
        assert_eq!(report.throughput_per_s, 1.0);
    }

    #[test]
    fn a_job_that_nobody_accounts_for_is_lost_and_one_run_twice_is_below_zero() {
        // Negative control: the count must be able to be wrong.
        let lost = |served: usize| {
            let mut recording = Recording::new(tenants(1), Nanos::ZERO);
            (0..2).for_each(|_| recording.offer(Nanos(1), 0, 1, Ok(())));
            let services = vec![service(9, 0, 1); served];
            recording.finish(Ending { services, ..Ending::default() }).0.lost
        };
        assert_eq!((lost(1), lost(2), lost(3)), (1, 0, -1));
    }

    #[test]
    fn waits_are_read_to_three_digits() {
        let mut recording = Recording::new(tenants(2), Nanos::ZERO);
        (0..1_000).for_each(|_| recording.offer(Nanos(0), 1, 1, Ok(())));
        let services = (1..=1_000).map(|i| service(i, 1, i * 1_000_000)).collect();
        let (_, report) = recording.finish(Ending { services, ..Ending::default() });
        let waits = report.tenants[0].wait_ms;
        let near = |value: Option<f64>, ms: f64| (value.unwrap() - ms).abs() <= ms / 900.0;
        assert!(near(waits.p50, 500.0) && near(waits.p99, 990.0), "{waits:?}");
        assert!(near(waits.p999, 999.0) && near(waits.max, 1_000.0), "{waits:?}");
        assert_eq!(report.tenants[1].wait_ms.max, None);
    }

    #[test]
    fn small_tenants_share_one_row_and_sums_stay_whole() {
        let mut recording = Recording::new(tenants(130), Nanos::ZERO);
        let mut services = Vec::new();
        for at in 0..130 * 20 {
            let tenant = (at % 130) as u32;
            // The first 30 are the light ones.
            recording.offer(Nanos(at), tenant, 1 + tenant / 30, Ok(()));
            services.push(Service { cost: 1 + tenant / 30, ..service(at, tenant, 7_000) });
        }
        let (jobs, report) = recording.finish(Ending { services, ..Ending::default() });
        assert_eq!(report.tenants.len(), 101);
        let other = report.tenants.last().unwrap();
        assert_eq!((other.tenant.as_str(), other.weight, other.jobs), ("_other", 30.0, 600));
        assert_eq!(other.share_ratio, Some(1.0));
        assert!(other.wait_ms.max.is_some());
        assert_eq!(report.tenants.iter().map(|row| row.jobs).sum::<u64>(), jobs.read);
        assert!(report.tenants[..100].is_sorted_by_key(|row| std::cmp::Reverse(row.offered_cost)));
    }
}
