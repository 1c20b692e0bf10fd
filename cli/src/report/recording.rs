use std::collections::BTreeMap;

use fairlane::fairness::{Act, Event, ShareMeter, TenantShare};
use fairlane::{Nanos, Policy, Quota, Reason, Tier, Weight};
use hdrhistogram::Histogram;

use super::fluid::{Fluid, Late};
use super::{
    Course, DelayMs, JobCounts, OTHER, Part, ROWS_MAX, SchedulerReport, Service, TenantRow, WaitMs,
    coarse_histogram, histogram, percentiles,
};

/// Events that are kept one by one, 32 bytes each: half a million jobs at least. A longer run is
/// summed up as it goes, to a thousandth of a window.
const EVENTS_MAX: usize = 1 << 20;

/// A tenant as its scheduler knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TenantInfo {
    pub(crate) name: String,
    pub(crate) tier: String,
    pub(crate) weight: Weight,
}

impl TenantInfo {
    /// The tenant `name` of `tier`, as `policy` has it.
    pub(crate) fn of(policy: &Policy, name: &str, tier: &Tier) -> TenantInfo {
        let own = policy.override_for(name).and_then(|own| own.weight);
        TenantInfo {
            name: name.to_owned(),
            tier: tier.name().to_owned(),
            weight: own.unwrap_or_else(|| tier.weight()),
        }
    }

    /// What limits it under `policy`, which has its tier.
    pub(crate) fn quota(&self, policy: &Policy) -> Quota {
        let tier = policy.tier(&self.tier).expect("tenants are of the policy's tiers");
        policy.quota_for(tier, policy.override_for(&self.name))
    }
}

/// What a scheduler did with the jobs it accepted, told when it has stopped.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Ending {
    /// Every job that a handler began, but for those told to [`Recording::serve`].
    pub(crate) services: Vec<Service>,
    /// What else happened, but for that told to [`Recording::note`].
    pub(crate) notes: Vec<Note>,
    /// How often lanes were parked, by reason.
    pub(crate) parked: BTreeMap<&'static str, u64>,
    /// Jobs handed back unserved.
    pub(crate) returned: u64,
    /// Jobs the scheduler says it still holds.
    pub(crate) queued: u64,
}

/// What happened to a tenant besides offers and services, at a moment of the run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Note {
    /// A limit of its own keeps its next job from being served.
    Throttled { at: Nanos, tenant: u32 },
    /// The limit lets it go again.
    Freed { at: Nanos, tenant: u32 },
    /// A job had waited as long as it may.
    Expired { at: Nanos, tenant: u32, cost: u32 },
}

/// Sums of one tenant's jobs.
#[derive(Clone, Copy, Default)]
struct Sums {
    jobs: u64,
    cost: u64,
    refused: u64,
    served_cost: u64,
}

/// Records one run of one scheduler and sums it up.
///
/// Its memory grows with the tenants and the jobs that wait, not with those of the whole run.
pub(crate) struct Recording {
    tenants: Vec<TenantInfo>,
    sums: Vec<Sums>,
    /// Tenants with a row of their own; the first of them is drawn apart.
    rows: Vec<usize>,
    /// Waits in microseconds: one histogram for each of `rows`, and the last for all others.
    waits: Vec<Histogram<u32>>,
    /// Each tenant's place in `waits`.
    waits_of: Vec<u32>,
    meter: ShareMeter,
    jobs: JobCounts,
    course: Course,
    /// What a fluid server makes of the accepted jobs, where the capacity is known.
    fluid: Option<Fluid>,
    /// Delays against it in microseconds, in the places of `waits`.
    delays: Vec<Histogram<u32>>,
    last_service: Nanos,
}

impl Recording {
    /// Starts the record of a run. `grain` is the span within which a tenant's like offers may be
    /// kept as one; a thousandth of the expected window is plenty.
    ///
    /// The first [`ROWS_MAX`] tenants get rows of their own, and the first of all is taken for the
    /// largest; see [`Recording::with_rows`].
    pub(crate) fn new(tenants: Vec<TenantInfo>, grain: Nanos) -> Recording {
        let weights = tenants.iter().map(|tenant| tenant.weight).collect();
        let meter = ShareMeter::new(weights).with_grain(grain).with_events_max(EVENTS_MAX);
        let recording = Recording {
            sums: vec![Sums::default(); tenants.len()],
            rows: Vec::new(),
            waits: Vec::new(),
            waits_of: Vec::new(),
            meter,
            jobs: JobCounts::default(),
            course: Course::default(),
            fluid: None,
            delays: Vec::new(),
            last_service: Nanos::ZERO,
            tenants,
        };
        let first = (0..recording.tenants.len().min(ROWS_MAX)).collect();
        recording.with_rows(first)
    }

    /// Names the tenants that get rows of their own, the largest first: [`largest`], where that is
    /// known.
    pub(crate) fn with_rows(mut self, rows: Vec<usize>) -> Recording {
        self.waits = vec![histogram(); rows.len() + 1];
        self.delays = vec![coarse_histogram(); rows.len() + 1];
        self.waits_of = vec![rows.len() as u32; self.tenants.len()];
        for (row, tenant) in rows.iter().enumerate() {
            self.waits_of[*tenant] = row as u32;
        }
        self.rows = rows;
        self
    }

    /// Compares with a fluid server that does `capacity` cost units per second. The run must tell offers in
    /// order of time, each job's end with [`Recording::ends`], and expiries as they happen.
    pub(crate) fn with_fluid(mut self, capacity: f64) -> Recording {
        let weights = self.tenants.iter().map(|tenant| tenant.weight);
        self.fluid = Some(Fluid::new(weights, capacity));
        self
    }

    fn part(&self, place: usize) -> Part {
        if self.rows.first() == Some(&place) { Part::Largest } else { Part::Others }
    }

    /// Counts lines that could not be understood as jobs.
    pub(crate) fn malformed(&mut self, lines: u64) {
        self.jobs.read += lines;
        self.jobs.malformed += lines;
    }

    /// Counts a job offered at its intended arrival, and what the scheduler said to it.
    pub(crate) fn offer(&mut self, at: Nanos, tenant: u32, cost: u32, verdict: Result<(), Reason>) {
        let place = tenant as usize;
        let sums = &mut self.sums[place];
        self.jobs.read += 1;
        sums.jobs += 1;
        sums.cost += u64::from(cost);
        let act = match verdict {
            Ok(()) => {
                self.jobs.accepted += 1;
                self.course.queued(at, self.part(place));
                self.compare(|fluid, late| fluid.accept(at, tenant, cost, late));
                Some(Act::Accepted)
            }
            Err(reason) => {
                *self.jobs.refused.entry(reason.code()).or_default() += 1;
                sums.refused += 1;
                matches!(reason, Reason::QueueFull | Reason::EngineFull).then_some(Act::RefusedFull)
            }
        };
        if let Some(act) = act {
            self.meter.record(Event { at, tenant: place, cost: u64::from(cost), act });
        }
    }

    /// Counts a job that a handler began.
    pub(crate) fn serve(&mut self, service: &Service) {
        let Service { at, wait, tenant, cost } = *service;
        let (place, cost) = (tenant as usize, u64::from(cost));
        self.jobs.dispatched += 1;
        self.sums[place].served_cost += cost;
        let waits = &mut self.waits[self.waits_of[place] as usize];
        waits.record(wait.0 / 1_000).expect("a histogram that grows takes any wait");
        self.course.left(at, self.part(place));
        self.last_service = self.last_service.max(at);
        self.meter.record(Event { at, tenant: place, cost, act: Act::Served });
    }

    /// Takes note of when the tenant's job that has begun last ends.
    pub(crate) fn ends(&mut self, tenant: u32, end: Nanos) {
        self.compare(|fluid, late| fluid.ends(tenant, end, late));
    }

    /// Tells the fluid server something, if there is one, and counts the delays that come of it.
    fn compare(&mut self, tell: impl FnOnce(&mut Fluid, &mut Late<'_>)) {
        let Some(fluid) = &mut self.fluid else { return };
        let (delays, places) = (&mut self.delays, &self.waits_of);
        tell(fluid, &mut |tenant, delay| {
            let delays = &mut delays[places[tenant as usize] as usize];
            delays.record(delay.0 / 1_000).expect("a histogram that grows takes any delay");
        });
    }

    /// Counts what happened besides.
    pub(crate) fn note(&mut self, note: &Note) {
        let (at, tenant, cost, act) = match *note {
            Note::Throttled { at, tenant } => (at, tenant, 0, Act::Throttled),
            Note::Freed { at, tenant } => (at, tenant, 0, Act::Freed),
            Note::Expired { at, tenant, cost } => {
                self.jobs.expired += 1;
                self.course.left(at, self.part(tenant as usize));
                self.compare(|fluid, late| fluid.expires(at, tenant, late));
                (at, tenant, cost, Act::Left)
            }
        };
        self.meter.record(Event { at, tenant: tenant as usize, cost: cost.into(), act });
    }

    /// Closes the record and sums it up.
    pub(crate) fn finish(mut self, ending: Ending) -> (JobCounts, SchedulerReport) {
        let Ending { services, notes, parked, returned, queued } = ending;
        services.iter().for_each(|service| self.serve(service));
        notes.iter().for_each(|note| self.note(note));
        self.jobs.returned = returned;
        let accounted = self.jobs.dispatched + self.jobs.expired + returned + queued;
        self.jobs.lost = self.jobs.accepted as i64 - accounted as i64;

        self.compare(Fluid::finish);
        self.draw();
        let fairness = self.meter.report();
        let report = SchedulerReport {
            jain: fairness.jain,
            min_share_ratio: fairness.min_share_ratio,
            throughput_per_s: per_second(self.jobs.dispatched, self.last_service),
            parked,
            tenants: self.tenant_rows(&fairness.tenants),
            course: self.course,
        };
        (self.jobs, report)
    }

    /// Tells the course whose waits are whose.
    fn draw(&mut self) {
        for (place, sums) in self.sums.iter().enumerate() {
            self.course.of_mut(self.part(place)).add_tenant(sums.jobs);
        }
        for (row, waits) in self.waits.iter().enumerate() {
            let part = self.rows.get(row).map_or(Part::Others, |place| self.part(*place));
            self.course.of_mut(part).add_waits(waits);
        }
    }

    /// The rows of those that have their own, largest first, then the one of all others.
    fn tenant_rows(&self, shares: &[TenantShare]) -> Vec<TenantRow> {
        let mut own = self.rows.clone();
        own.sort_by_key(|place| std::cmp::Reverse(self.sums[*place].cost));
        let row = |place: usize| self.row(place, &shares[place]);
        let mut rows: Vec<TenantRow> =
            own.into_iter().map(|place| self.timed(row(place), self.waits_of[place])).collect();
        let shared = self.rows.len() as u32;
        let others = (0..self.tenants.len()).filter(|place| self.waits_of[*place] == shared);
        let others = others.map(|place| (row(place), shares[place].attained));
        rows.extend(joined(others).map(|other| self.timed(other, shared)));
        rows
    }

    /// The row with the times in this place.
    fn timed(&self, row: TenantRow, place: u32) -> TenantRow {
        let wait_ms = percentiles(&self.waits[place as usize]);
        let fluid_delay_ms = DelayMs::of(&self.delays[place as usize]);
        TenantRow { wait_ms, fluid_delay_ms, ..row }
    }

    /// A tenant's row without its times.
    fn row(&self, place: usize, share: &TenantShare) -> TenantRow {
        let (tenant, sums) = (&self.tenants[place], self.sums[place]);
        TenantRow {
            tenant: tenant.name.clone(),
            tier: tenant.tier.clone(),
            weight: tenant.weight.as_f64(),
            jobs: sums.jobs,
            offered_cost: sums.cost,
            served_cost: sums.served_cost,
            entitled_cost: share.entitled,
            share_ratio: share.share_ratio,
            wait_ms: WaitMs::default(),
            fluid_delay_ms: DelayMs::default(),
            refused: sums.refused,
        }
    }
}

/// The places of the [`ROWS_MAX`] largest of `costs`, largest first; the earlier of equals.
pub(crate) fn largest(costs: &[u64]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..costs.len()).collect();
    places.sort_by_key(|place| std::cmp::Reverse(costs[*place]));
    places.truncate(ROWS_MAX);
    places
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

fn per_second(jobs: u64, span: Nanos) -> f64 {
    let seconds = span.as_duration().as_secs_f64();
    if seconds > 0.0 { jobs as f64 / seconds } else { 0.0 }
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
        let notes = vec![Note::Expired { at: Nanos(3), tenant: 0, cost: 1 }];
        let ending = Ending { services, notes, returned: 1, ..Ending::default() };
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
    fn a_service_told_at_once_counts_as_one_told_at_the_end() {
        let run = |at_once: bool| {
            let mut recording = Recording::new(tenants(2), Nanos::ZERO);
            let services: Vec<Service> = (0..50).map(|at| service(at, at as u32 % 2, 9)).collect();
            services.iter().for_each(|s| recording.offer(s.at, s.tenant, 1, Ok(())));
            let services = if at_once {
                services.iter().for_each(|service| recording.serve(service));
                Vec::new()
            } else {
                services
            };
            let (jobs, report) = recording.finish(Ending { services, ..Ending::default() });
            (jobs, serde_json::to_string(&report).unwrap())
        };
        assert_eq!(run(true), run(false));
    }

    #[test]
    fn lines_that_are_no_jobs_are_read_and_malformed_and_nothing_else() {
        let mut recording = Recording::new(tenants(1), Nanos::ZERO);
        recording.malformed(3);
        let (jobs, _) = recording.finish(Ending::default());
        assert_eq!(jobs, JobCounts { read: 3, malformed: 3, ..JobCounts::default() });
    }

    #[test]
    fn the_course_counts_every_job_once_and_sets_the_first_row_apart() {
        let mut recording = Recording::new(tenants(3), Nanos::ZERO).with_rows(largest(&[1, 2, 1]));
        let mut services = Vec::new();
        for at in 0..90_000 {
            // The second offers twice as much as each other one, and every ninth job is refused.
            let tenant = [0, 1, 1, 2][at as usize % 4];
            let verdict = if at % 9 == 0 { Err(Reason::QueueFull) } else { Ok(()) };
            recording.offer(Nanos(at), tenant, 1, verdict);
            if verdict.is_ok() && at % 5 > 0 {
                services.push(service(at + 70, tenant, 70));
            }
        }
        let (jobs, report) = recording.finish(Ending { services, ..Ending::default() });
        let [others, largest] = Part::ALL.map(|part| report.course.of(part));
        let first = &report.tenants[0];
        assert_eq!((first.tenant.as_str(), largest.tenants, others.tenants), ("t1", 1, 2));
        assert_eq!((largest.offered, largest.waits.len()), (first.jobs, first.served_cost));
        assert_eq!(largest.offered + others.offered, jobs.read);
        assert_eq!(largest.waits.len() + others.waits.len(), jobs.dispatched);
        let left = |part: Part| report.course.depth(part).last().unwrap().1;
        let left = Part::ALL.map(left);
        assert_eq!(left.iter().sum::<u64>(), jobs.accepted - jobs.dispatched);
        assert!(left[0].abs_diff(left[1]) < 10, "each offers half of the jobs: {left:?}");
    }

    #[test]
    fn small_tenants_share_one_row_and_sums_stay_whole() {
        let costs: Vec<u64> = (0..130).map(|tenant| 20 * (1 + tenant / 30)).collect();
        let mut recording = Recording::new(tenants(130), Nanos::ZERO).with_rows(largest(&costs));
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
