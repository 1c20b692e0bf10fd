use super::books::{Books, TenantShare};
use super::event::{Act, Event};
use super::max_min::{jain, max_min};
use super::throttle::Throttles;
use crate::units::{Nanos, Weight};

/// Windows per run.
pub const WINDOWS: usize = 100;

/// Records the events of a run, in any order, and reports afterwards how fair it was.
///
/// # Cost
/// 32 bytes per event, see [`ShareMeter::with_events_max`]; a report takes time linear in events +
/// tenants x windows.
///
/// # Examples
/// ```
/// use fairlane::fairness::{Act, Event, ShareMeter};
/// use fairlane::{Nanos, Weight};
///
/// let mut meter = ShareMeter::new(vec![Weight::ONE; 2]);
/// for at in 0..1_000 {
///     for tenant in 0..2 {
///         meter.record(Event { at: Nanos(at), tenant, cost: 1, act: Act::Accepted });
///     }
///     // The second tenant gets one turn in four instead of one in two.
///     let tenant = usize::from(at % 4 == 0);
///     meter.record(Event { at: Nanos(at), tenant, cost: 1, act: Act::Served });
/// }
/// let report = meter.report();
/// assert_eq!(report.tenants[0].share_ratio, Some(1.0));
/// assert!((report.min_share_ratio.unwrap() - 0.5).abs() < 0.05);
/// ```
#[derive(Clone, Debug)]
pub struct ShareMeter {
    weights: Vec<f64>,
    /// Each tenant's dearest job in cost units; 0 before its first.
    largest: Vec<u64>,
    events: Vec<Event>,
    grain: Nanos,
    /// Events at which the record is compacted. Doubles when compacting frees too little.
    events_max: usize,
}

/// Parts of the present run that a compacted record tells apart at first: a thousandth of a window.
const FINE_PARTS: u64 = 1_000 * WINDOWS as u64;
/// The fewest: a tenth of a window.
const COARSE_PARTS: u64 = 10 * WINDOWS as u64;

impl ShareMeter {
    /// Starts an empty record for as many tenants as there are weights.
    #[must_use]
    pub fn new(weights: Vec<Weight>) -> ShareMeter {
        ShareMeter {
            largest: vec![0; weights.len()],
            weights: weights.into_iter().map(Weight::as_f64).collect(),
            events: Vec::new(),
            grain: Nanos::ZERO,
            events_max: usize::MAX,
        }
    }

    /// Lets like events of one tenant that follow one another within `grain` be stored as one.
    ///
    /// A long overload is mostly one tenant's refusals; with a grain of a thousandth of a window
    /// its memory shrinks by an order and a window's sums move by at most that thousandth. The
    /// default, zero, keeps every event.
    #[must_use]
    pub fn with_grain(mut self, grain: Nanos) -> ShareMeter {
        self.grain = grain;
        self
    }

    /// Bounds the record: when it reaches `events_max` events, like events of a tenant are added up
    /// over spans of a thousandth of a window, and over wider ones, up to a tenth, while that leaves
    /// more than half of the bound. By default every event is kept.
    ///
    /// A window's edges move by at most such a span, and so do the times at which the run begins
    /// and ends. A record in which more tenants are active than the bound has room for, even so,
    /// grows beyond it.
    #[must_use]
    pub fn with_events_max(mut self, events_max: usize) -> ShareMeter {
        self.events_max = events_max.max(2);
        self
    }

    /// Adds one event.
    ///
    /// # Panics
    /// When the tenant is not one of those given to [`ShareMeter::new`].
    pub fn record(&mut self, event: Event) {
        assert!(event.tenant < self.weights.len(), "tenant {} has no weight", event.tenant);
        let largest = &mut self.largest[event.tenant];
        *largest = event.cost.max(*largest);
        match self.events.last_mut() {
            Some(last) if event.continues(last, self.grain) => last.cost += event.cost,
            _ => self.events.push(event),
        }
        if self.events.len() >= self.events_max {
            self.compact();
        }
    }

    /// Adds like events up until the record is half empty, or as coarse as it may get.
    #[cold]
    fn compact(&mut self) {
        let times = || self.events.iter().map(|event| event.at.0);
        let span = times().max().unwrap_or(0) - times().min().unwrap_or(0);
        // Powers of two, so that every coarser span is made of whole finer ones.
        let mut part = (span / FINE_PARTS).max(1).next_power_of_two();
        self.add_up(part);
        while self.events.len() > self.events_max / 2 && part < span / COARSE_PARTS {
            part *= 2;
            self.add_up(part);
        }
        if self.events.len() > self.events_max / 2 {
            self.events_max *= 2;
        }
    }

    /// Makes one event of all that are alike and fall into the same `part` nanoseconds.
    fn add_up(&mut self, part: u64) {
        for event in &mut self.events {
            event.at.0 -= event.at.0 % part;
        }
        // Equal ones become one, so their order is nothing to keep.
        self.events.sort_unstable_by_key(|event| (event.at, event.tenant, event.act as u8));
        self.events.dedup_by(|event, earlier| {
            let alike =
                (event.at, event.tenant, event.act) == (earlier.at, earlier.tenant, earlier.act);
            earlier.cost += if alike { event.cost } else { 0 };
            alike
        });
    }

    /// Judges what was recorded so far.
    ///
    /// The run begins with its first event and ends with its last service; events after that are
    /// part of no window. Without any service nobody is judged.
    #[must_use]
    pub fn report(&self) -> ShareReport {
        let mut books: Vec<Books> = self.largest.iter().map(|l| Books::new(*l)).collect();
        if let Some(run) = Run::of(&self.events) {
            let mut windows: Vec<Vec<&Event>> = vec![Vec::new(); WINDOWS];
            for event in self.events.iter().filter(|event| event.at <= run.end) {
                windows[run.window(event.at)].push(event);
            }
            let mut throttles = Throttles::of(&self.events);
            for (window, events) in windows.iter().enumerate() {
                self.judge_window(events, &mut books, |tenant, served| {
                    throttles.allowed(tenant, run.end_of(window), served)
                });
            }
        }
        ShareReport::of(books.iter().map(Books::share).collect())
    }

    /// Adds one window to every tenant's books. `allowed` is what a tenant's quotas let go at its end,
    /// given the cost served to the tenant in it.
    fn judge_window(
        &self,
        events: &[&Event],
        books: &mut [Books],
        mut allowed: impl FnMut(usize, u64) -> Option<u64>,
    ) {
        for event in events {
            books[event.tenant].window.add(event);
        }
        let served: u64 = books.iter().map(|b| b.window.served).sum();
        let demands = books.iter().enumerate();
        let demands = demands.map(|(tenant, b)| b.demand(allowed(tenant, b.window.served)));
        let demands: Vec<f64> = demands.collect();
        let entitled = max_min(served as f64, &self.weights, &demands);
        for (book, entitled) in books.iter_mut().zip(entitled) {
            book.close_window(entitled);
        }
    }
}

/// The stretch of time that is judged.
struct Run {
    start: Nanos,
    end: Nanos,
}

impl Run {
    fn of(events: &[Event]) -> Option<Run> {
        let end = events.iter().filter(|e| e.act == Act::Served).map(|e| e.at).max()?;
        let start = events.iter().map(|e| e.at).min()?;
        Some(Run { start, end })
    }

    /// The window that `at` falls into: each begins where the one before ends, and the end of the
    /// run belongs to the last.
    fn window(&self, at: Nanos) -> usize {
        let span = u128::from(self.end.since(self.start).0).max(1);
        let place = u128::from(at.since(self.start).0) * WINDOWS as u128 / span;
        (place as usize).min(WINDOWS - 1)
    }

    /// The first moment that is not in the window any more.
    fn end_of(&self, window: usize) -> Nanos {
        if window + 1 == WINDOWS {
            return self.end.after(Nanos(1));
        }
        let span = u128::from(self.end.since(self.start).0).max(1);
        let past = (span * (window as u128 + 1)).div_ceil(WINDOWS as u128);
        self.start.after(Nanos(past as u64))
    }
}

/// How fair a run was.
#[derive(Clone, PartialEq, Debug)]
pub struct ShareReport {
    /// [`jain`] of the judged tenants' share ratios, 1/n to 1; `None` when nobody was judged or
    /// none of those got anything.
    pub jain: Option<f64>,
    /// The smallest share ratio of a judged tenant, 0 to 1; `None` when nobody was judged.
    pub min_share_ratio: Option<f64>,
    /// One row per tenant, in the order of the weights.
    pub tenants: Vec<TenantShare>,
}

impl ShareReport {
    fn of(tenants: Vec<TenantShare>) -> ShareReport {
        let ratios = || tenants.iter().filter_map(|tenant| tenant.share_ratio);
        ShareReport { jain: jain(ratios()), min_share_ratio: ratios().reduce(f64::min), tenants }
    }
}

#[cfg(all(test, not(fairlane_loom)))]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    pub(in super::super) fn event(at: u64, tenant: usize, cost: u64, act: Act) -> Event {
        Event { at: Nanos(at), tenant, cost, act }
    }

    pub(in super::super) fn equal(tenants: usize) -> ShareMeter {
        ShareMeter::new(vec![Weight::ONE; tenants])
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * b.abs().max(1.0)
    }

    /// Serves one unit per tick to the tenant that `pick` names, out of a backlog made at tick 0.
    fn backlogged(weights: &[f64], ticks: u64, pick: impl Fn(u64) -> usize) -> ShareReport {
        let weights: Vec<Weight> = weights.iter().map(|w| Weight::new(*w).unwrap()).collect();
        let tenants = weights.len();
        let mut meter = ShareMeter::new(weights);
        for tenant in 0..tenants {
            (0..ticks).for_each(|_| meter.record(event(0, tenant, 1, Act::Accepted)));
        }
        (0..ticks).for_each(|at| meter.record(event(at, pick(at), 1, Act::Served)));
        meter.report()
    }

    #[test]
    fn shares_in_proportion_to_weight_score_one() {
        let report = backlogged(&[1.0, 1.0, 2.0], 4_000, |at| [0, 2, 1, 2][at as usize % 4]);
        assert!(report.min_share_ratio.unwrap() > 0.999, "{report:?}");
        assert!(report.jain.unwrap() > 0.999_999);
        assert!(close(report.tenants[2].entitled, 2_000.0));
    }

    #[test]
    fn a_tenant_held_to_a_quarter_of_its_entitlement_scores_a_quarter() {
        let report = backlogged(&[1.0, 1.0], 8_000, |at| usize::from(at % 8 == 0));
        assert!(close(report.tenants[0].share_ratio.unwrap(), 1.0));
        assert!((report.min_share_ratio.unwrap() - 0.25).abs() < 0.01, "{report:?}");
        let jain = 1.25 * 1.25 / (2.0 * (1.0 + 0.25 * 0.25));
        assert!((report.jain.unwrap() - jain).abs() < 0.01);
    }

    #[test]
    fn service_in_advance_does_not_make_up_for_starvation() {
        // Each has the whole server for half the run: the totals are equal, the windows are not.
        let report = backlogged(&[1.0, 1.0], 2_000, |at| usize::from(at >= 1_000));
        for tenant in report.tenants {
            assert!((tenant.share_ratio.unwrap() - 0.5).abs() < 0.01);
            assert_eq!(tenant.worst_window, Some(0.0));
        }
    }

    #[test]
    fn a_fair_second_at_a_thousand_jobs_scores_one() {
        // T-C7: the source's score is 0 here.
        let report = backlogged(&[1.0, 1.0, 1.0, 1.0], 1_000, |at| at as usize % 4);
        assert!(report.jain.unwrap() > 0.999, "{report:?}");
        assert!(report.min_share_ratio.unwrap() > 0.95, "{report:?}");
    }

    #[test]
    fn one_tier_or_one_tenant_alone_scores_one() {
        // T-C7: the source's score is 0.667 with one tier.
        let tier = backlogged(&[2.0, 2.0], 1_000, |at| at as usize % 2);
        assert!(tier.jain.unwrap() > 0.999);
        let alone = backlogged(&[2.0], 1_000, |_| 0);
        assert_eq!((alone.jain, alone.min_share_ratio), (Some(1.0), Some(1.0)));
    }

    #[test]
    fn a_run_without_service_judges_nobody() {
        let mut meter = equal(2);
        assert_eq!(meter.report().jain, None);
        meter.record(event(5, 0, 100, Act::Accepted));
        let report = meter.report();
        assert_eq!((report.jain, report.min_share_ratio), (None, None));
        assert_eq!(report.tenants[0], TenantShare::default());
    }

    #[test]
    fn a_run_of_one_instant_is_one_window() {
        let mut meter = equal(2);
        for tenant in 0..2 {
            meter.record(event(7, tenant, 10, Act::Accepted));
            (0..10).for_each(|_| meter.record(event(7, tenant, 1, Act::Served)));
        }
        // The offer of cost 10 is the largest job, so 10 served are one job's worth: not judged.
        let report = meter.report();
        assert!(report.tenants.iter().all(|t| t.share_ratio.is_none() && t.entitled == 10.0));
    }

    #[test]
    fn windows_cut_the_run_evenly_and_the_end_belongs_to_the_last() {
        let run = Run { start: Nanos(1_000), end: Nanos(1_200) };
        assert_eq!(run.window(Nanos(1_000)), 0);
        assert_eq!(run.window(Nanos(1_001)), 0);
        assert_eq!(run.window(Nanos(1_002)), 1);
        assert_eq!(run.window(Nanos(1_199)), 99);
        assert_eq!(run.window(Nanos(1_200)), 99);
        assert_eq!((run.end_of(0), run.end_of(99)), (Nanos(1_002), Nanos(1_201)));
        let long = Run { start: Nanos(0), end: Nanos(u64::MAX) };
        assert_eq!(long.window(Nanos(u64::MAX / 2)), 49);
    }

    #[test]
    fn the_run_ends_at_the_last_service() {
        let fair = |meter: &mut ShareMeter| {
            for at in 0..1_000 {
                meter.record(event(at, at as usize % 2, 1, Act::Accepted));
                meter.record(event(at, at as usize % 2, 1, Act::Served));
            }
        };
        let mut meter = equal(2);
        fair(&mut meter);
        let before = meter.report();
        (1_000..9_000).for_each(|at| meter.record(event(at, 0, 1, Act::Accepted)));
        assert_eq!(meter.report(), before);
    }

    #[test]
    fn a_tenant_below_ten_of_its_largest_jobs_is_not_judged() {
        let run = |jobs: u64| {
            let mut meter = equal(2);
            for at in 0..1_000 {
                meter.record(event(at, 0, 1, Act::Accepted));
                meter.record(event(at, 0, 1, Act::Served));
            }
            (0..jobs).for_each(|i| meter.record(event(i * 50, 1, 3, Act::Accepted)));
            (0..jobs).for_each(|i| meter.record(event(i * 50, 1, 3, Act::Served)));
            meter.report().tenants[1]
        };
        assert_eq!(run(9).share_ratio, None);
        assert_eq!(run(9).entitled, 27.0);
        assert_eq!(run(10).share_ratio, Some(1.0));
    }

    #[test]
    fn the_unfinished_end_of_the_run_lengthens_the_last_merged_window() {
        // Fifteen jobs, of which the last five are refused: fewer than ten, yet not forgotten.
        let mut meter = equal(2);
        for at in 0..1_500 {
            let other = at % 100 == 0;
            meter.record(event(at, 0, 1, Act::Accepted));
            meter.record(event(at, 0, 1, Act::Served));
            if other && at < 1_000 {
                meter.record(event(at, 1, 1, Act::Accepted));
                meter.record(event(at, 1, 1, Act::Served));
            } else if other {
                meter.record(event(at, 1, 1, Act::RefusedFull));
            }
        }
        let row = meter.report().tenants[1];
        assert_eq!((row.attained, row.entitled), (10.0, 15.0));
        assert_eq!(row.worst_window, row.share_ratio);
    }

    #[test]
    fn a_job_that_waits_across_windows_is_demanded_once_in_a_merged_one() {
        let mut meter = equal(2);
        for at in 0..1_000 {
            meter.record(event(at, 0, 1, Act::Accepted));
            meter.record(event(at, usize::from(at % 50 == 49), 1, Act::Served));
        }
        // Twenty jobs, each waiting for five windows before its service.
        (0..20).for_each(|i| meter.record(event(i * 50, 1, 1, Act::Accepted)));
        let row = meter.report().tenants[1];
        // At most the one that waits at the border of the two merged windows is counted twice.
        assert!(row.entitled <= 21.0, "{row:?}");
        assert!(row.share_ratio.unwrap() > 0.95, "{row:?}");
    }

    #[test]
    fn a_refusal_for_a_full_queue_is_demand() {
        let mut meter = equal(2);
        for at in 0..2_000 {
            meter.record(event(at, 0, 1, Act::Accepted));
            meter.record(event(at, 0, 1, Act::Served));
            // The other is accepted once in four times.
            let act = if at % 4 == 0 { Act::Accepted } else { Act::RefusedFull };
            meter.record(event(at, 1, 1, act));
            if act == Act::Accepted {
                meter.record(event(at, 1, 1, Act::Served));
            }
        }
        assert!(meter.report().tenants[1].share_ratio.unwrap() < 0.5);
    }

    #[test]
    fn what_left_the_queue_is_no_longer_demand() {
        let mut meter = equal(2);
        (0..100).for_each(|_| meter.record(event(0, 1, 1, Act::Accepted)));
        meter.record(event(0, 1, 100, Act::Left));
        for at in 0..1_000 {
            meter.record(event(at, 0, 1, Act::Accepted));
            meter.record(event(at, 0, 1, Act::Served));
        }
        // Entitled in the first window only, to half of the ten served in it.
        let row = meter.report().tenants[1];
        assert_eq!((row.entitled, row.share_ratio), (5.0, None));
    }

    #[test]
    fn a_grain_saves_memory_and_hardly_moves_the_result() {
        let mut fine = equal(2);
        let mut coarse = equal(2).with_grain(Nanos(1_000));
        for at in 0..100_000 {
            let quiet = at % 100 == 0;
            let act = if quiet { Act::Served } else { Act::RefusedFull };
            for meter in [&mut fine, &mut coarse] {
                if quiet {
                    meter.record(event(at * 10, 1, 1, Act::Accepted));
                }
                meter.record(event(at * 10, usize::from(at % 200 == 0), 1, act));
            }
        }
        assert!(coarse.events.len() * 10 < fine.events.len());
        let (fine, coarse) = (fine.report(), coarse.report());
        assert!((fine.jain.unwrap() - coarse.jain.unwrap()).abs() < 0.001);
    }

    #[test]
    fn a_bounded_record_stays_small_and_hardly_moves_the_result() {
        let mut whole = equal(3);
        let mut bounded = equal(3).with_events_max(20_000);
        for at in 0..400_000 {
            for meter in [&mut whole, &mut bounded] {
                meter.record(event(at * 10, at as usize % 3, 1, Act::Accepted));
                meter.record(event(at * 10, [0, 1, 0, 2][at as usize % 4], 1, Act::Served));
            }
        }
        assert!(bounded.events.len() <= 20_000 && bounded.events_max == 20_000);
        let (whole, bounded) = (whole.report(), bounded.report());
        for (a, b) in whole.tenants.iter().zip(&bounded.tenants) {
            assert!((a.share_ratio.unwrap() - b.share_ratio.unwrap()).abs() < 0.001);
            assert!((a.entitled - b.entitled).abs() / a.entitled < 0.001);
        }
        assert!(whole.min_share_ratio.unwrap() < 0.8, "the run must have something to tell");
    }

    #[test]
    fn a_bound_that_all_tenants_together_exceed_is_raised_rather_than_kept_by_forgetting() {
        let mut meter = equal(300).with_events_max(100);
        for tenant in 0..300 {
            (0..20).for_each(|at| meter.record(event(at, tenant, 1, Act::Accepted)));
            (20..40).for_each(|at| meter.record(event(at, tenant, 1, Act::Served)));
        }
        assert!(meter.events_max > 100);
        let report = meter.report();
        assert!(report.tenants.iter().all(|tenant| tenant.attained > 0.0));
    }

    /// One server, one unit a tick: tenant 0 offers ten times the capacity, the others 1 % each.
    fn noisy_neighbour(light: usize, next: impl Fn(&mut [VecDeque<u64>]) -> usize) -> ShareReport {
        let mut meter = equal(light + 1);
        let mut queues = vec![VecDeque::new(); light + 1];
        let mut ticket = 0;
        for at in 0..10_000_u64 {
            let quiet = 1 + (at as usize) % 100;
            for tenant in std::iter::repeat_n(0, 10).chain((quiet <= light).then_some(quiet)) {
                ticket += 1;
                queues[tenant].push_back(ticket);
                meter.record(event(at, tenant, 1, Act::Accepted));
            }
            let tenant = next(&mut queues);
            queues[tenant].pop_front();
            meter.record(event(at, tenant, 1, Act::Served));
        }
        meter.report()
    }

    #[test]
    fn a_fair_scheduler_scores_one_beside_a_noisy_neighbour() {
        let light_first = |queues: &mut [VecDeque<u64>]| {
            (1..queues.len()).find(|tenant| !queues[*tenant].is_empty()).unwrap_or(0)
        };
        let report = noisy_neighbour(50, light_first);
        assert!(report.min_share_ratio.unwrap() > 0.95, "{:?}", report.min_share_ratio);
        assert!(report.jain.unwrap() > 0.999);
        assert!(report.tenants.iter().all(|tenant| tenant.share_ratio.is_some()));
    }

    #[test]
    fn a_fifo_scores_visibly_bad() {
        // Negative control: a measure that passes this is broken.
        let oldest = |queues: &mut [VecDeque<u64>]| {
            let head = |tenant: &usize| queues[*tenant].front().copied().unwrap_or(u64::MAX);
            (0..queues.len()).min_by_key(head).unwrap_or(0)
        };
        let report = noisy_neighbour(50, oldest);
        assert!(report.min_share_ratio.unwrap() < 0.2, "{:?}", report.min_share_ratio);
        assert!(report.jain.unwrap() < 0.6, "{:?}", report.jain);
        assert_eq!(report.tenants[0].share_ratio, Some(1.0));
    }

    #[test]
    fn two_thousand_tenants_are_reported_in_linear_time() {
        let mut meter = equal(2_000);
        for at in 0..100_000 {
            let tenant = at as usize % 2_000;
            meter.record(event(at, tenant, 1, Act::Accepted));
            meter.record(event(at, tenant, 1, Act::Served));
        }
        let report = meter.report();
        assert_eq!(report.tenants.len(), 2_000);
        assert!(report.min_share_ratio.unwrap() > 0.999);
    }

    proptest! {
        #[test]
        fn share_ratios_stay_between_zero_and_one(
            acts in proptest::collection::vec((0_u64..500, 0..5_usize, 1_u64..9, 0..6_u8), 0..400),
        ) {
            let mut meter = equal(5);
            for (at, tenant, cost, act) in acts {
                let all = [Act::Accepted, Act::RefusedFull, Act::Served, Act::Left];
                let all = all.into_iter().chain([Act::Throttled, Act::Freed]);
                let act = all.clone().nth(usize::from(act)).unwrap();
                meter.record(event(at, tenant, cost, act));
            }
            let report = meter.report();
            for ratio in report.tenants.iter().filter_map(|tenant| tenant.share_ratio) {
                prop_assert!((0.0..=1.0).contains(&ratio));
            }
        }
    }
}
