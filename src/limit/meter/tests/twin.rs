//! A slow obvious twin of every rate, which also rejects meters that are broken.

use super::*;
use crate::units::property_config;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// What the twins judge: a meter, or one that is broken.
trait Limiter {
    fn check(&mut self, rate: &Rate, amount: u64, now: Nanos) -> Result<(), Refusal>;
    fn charge(&mut self, rate: &Rate, amount: u64, now: Nanos);
    fn refund(&mut self, rate: &Rate, amount: u64, charged_at: Nanos);
}

impl Limiter for Meter {
    fn check(&mut self, rate: &Rate, amount: u64, now: Nanos) -> Result<(), Refusal> {
        Meter::check(self, rate, amount, now)
    }

    fn charge(&mut self, rate: &Rate, amount: u64, now: Nanos) {
        Meter::charge(self, rate, amount, now);
    }

    fn refund(&mut self, rate: &Rate, amount: u64, charged_at: Nanos) {
        Meter::refund(self, rate, amount, charged_at);
    }
}

/// Counts by windows that begin at multiples of their length.
struct FixedWindows {
    number: u64,
    used: u64,
}

impl Limiter for FixedWindows {
    fn check(&mut self, rate: &Rate, amount: u64, now: Nanos) -> Result<(), Refusal> {
        let number = now.0 / rate.per().0;
        if number > self.number {
            (self.number, self.used) = (number, 0);
        }
        let next = Nanos((self.number + 1) * rate.per().0);
        let refusal = Refusal { retry_at: next, current: self.used, limit: rate.most() };
        if self.used + amount <= rate.most() { Ok(()) } else { Err(refusal) }
    }

    fn charge(&mut self, _: &Rate, amount: u64, _: Nanos) {
        self.used += amount;
    }

    fn refund(&mut self, _: &Rate, amount: u64, _: Nanos) {
        self.used = self.used.saturating_sub(amount);
    }
}

/// A meter that gives back so many times what it is told to.
struct Refunds(u64, Meter);

impl Limiter for Refunds {
    fn check(&mut self, rate: &Rate, amount: u64, now: Nanos) -> Result<(), Refusal> {
        self.1.check(rate, amount, now)
    }

    fn charge(&mut self, rate: &Rate, amount: u64, now: Nanos) {
        self.1.charge(rate, amount, now);
    }

    fn refund(&mut self, rate: &Rate, amount: u64, charged_at: Nanos) {
        self.1.refund(rate, amount * self.0, charged_at);
    }
}

/// One entry as the twin keeps it.
#[derive(Clone, Copy)]
struct Entry {
    at: u64,
    /// The `now` of its charge, which is earlier than `at` if the clock had stepped back.
    told: u64,
    amount: u64,
}

/// Every entry ever charged and not given back, and the definition of each shape.
#[derive(Default)]
struct Twin {
    entries: Vec<Entry>,
    seen: u64,
}

impl Twin {
    fn sum(&self, from: u64) -> u64 {
        self.entries.iter().filter(|entry| entry.at >= from).map(|entry| entry.amount).sum()
    }

    /// Whether no window that ends with `at` would hold too much, were `amount` charged then, and were windows
    /// longer by `late`.
    fn admits(&self, rate: &Rate, amount: u64, at: u64, late: u64) -> bool {
        let fits = |from: u64| {
            let sum = u128::from(self.sum(from) + amount);
            match rate.shape() {
                Shape::Strict => sum <= u128::from(rate.most()),
                Shape::Smooth { burst } => {
                    let (most, per) = (u128::from(rate.most()), u128::from(rate.per().0));
                    sum * per <= u128::from(burst) * per + most * u128::from(at - from)
                }
            }
        };
        let inside =
            |entry: &&Entry| rate.shape() != Shape::Strict || at - entry.at < rate.per().0 + late;
        self.entries.iter().filter(inside).all(|entry| fits(entry.at)) && amount <= rate.widest()
    }

    /// Forgets an entry, unless it has left its window: then it may be joined with some that have not.
    fn refund(&mut self, rate: &Rate, index: usize) -> Entry {
        let entry = self.entries[index];
        if rate.shape() != Shape::Strict || self.seen - entry.at < rate.per().0 {
            self.entries.remove(index);
        }
        entry
    }

    fn charge(&mut self, amount: u64, told: u64) {
        self.entries.push(Entry { at: self.seen, told, amount });
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Pass(u64),
    Jump(u64),
    Try(u64),
    Refund(prop::sample::Index),
}

/// Time that goes on or stands.
fn steady(per: u64, wide: u64) -> impl Strategy<Value = Vec<Op>> {
    let pass = prop_oneof![Just(0), 0..per / 500 + 2, 0..per / 20 + 2, 0..per * 2];
    let op = prop_oneof![
        4 => pass.prop_map(Op::Pass),
        8 => (1..=wide).prop_map(Op::Try),
        1 => any::<prop::sample::Index>().prop_map(Op::Refund),
    ];
    vec(op, 200)
}

/// Time that goes on so slowly that a window holds more moments than are kept apart.
fn dense(per: u64) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        10 => (0..per / 100).prop_map(Op::Pass),
        10 => (1..=2_u64).prop_map(Op::Try),
        1 => any::<prop::sample::Index>().prop_map(Op::Refund),
    ];
    vec(op, 700)
}

/// Time that may do anything.
fn wild(per: u64, wide: u64) -> impl Strategy<Value = Vec<Op>> {
    let moment = prop_oneof![0..per * 4, Just(YEAR), Just(u64::MAX), Just(u64::MAX - per / 2)];
    let jump = moment.prop_map(Op::Jump);
    (steady(per, wide), vec((0..200_usize, jump), 0..12)).prop_map(|(mut ops, jumps)| {
        for (index, jump) in jumps {
            ops[index] = jump;
        }
        ops
    })
}

/// How close a meter is held to its twin.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Held {
    /// The same answers, the same moments, where `late` is 0; else admitted at most so much later.
    Within(u64),
    /// It never admits what the twin does not.
    Safe,
}

fn run(limiter: &mut dyn Limiter, rate: &Rate, ops: &[Op], held: Held) -> Result<(), String> {
    let (mut twin, mut now) = (Twin::default(), 0_u64);
    for op in ops {
        match *op {
            Op::Pass(span) => now = now.saturating_add(span),
            Op::Jump(moment) => now = moment,
            Op::Refund(index) if !twin.entries.is_empty() => {
                let entry = twin.refund(rate, index.index(twin.entries.len()));
                limiter.refund(rate, entry.amount, Nanos(entry.told));
            }
            Op::Refund(_) => {}
            Op::Try(amount) => attempt(limiter, &mut twin, rate, amount, now, held)?,
        }
    }
    every_window_holds(&twin, rate)
}

fn attempt(
    limiter: &mut dyn Limiter,
    twin: &mut Twin,
    rate: &Rate,
    amount: u64,
    now: u64,
    held: Held,
) -> Result<(), String> {
    let told = now;
    let now = now.max(twin.seen);
    twin.seen = now;
    match (limiter.check(rate, amount, Nanos(told)), held) {
        (Ok(()), _) => {
            if !twin.admits(rate, amount, now, 0) {
                return Err(format!("{amount} admitted at {now}"));
            }
            limiter.charge(rate, amount, Nanos(told));
            twin.charge(amount, told);
        }
        (Err(_), Held::Safe) => {}
        (Err(refusal), Held::Within(late)) => {
            let retry_at = refusal.retry_at.0;
            if twin.admits(rate, amount, now, late) {
                return Err(format!("{amount} refused at {now}"));
            }
            if amount <= rate.widest() && retry_at != u64::MAX {
                let early = !twin.admits(rate, amount, retry_at, 0);
                let tardy = twin.admits(rate, amount, retry_at - 1, late);
                if early || tardy {
                    return Err(format!("{amount} at {now} told to come at {retry_at}"));
                }
            }
        }
    }
    Ok(())
}

/// The definition once more, over what was admitted and kept: every window that begins at an entry.
fn every_window_holds(twin: &Twin, rate: &Rate) -> Result<(), String> {
    for (index, first) in twin.entries.iter().enumerate() {
        let mut sum = 0;
        for entry in &twin.entries[index..] {
            let span = entry.at - first.at;
            sum += entry.amount;
            let most = match rate.shape() {
                Shape::Strict if span < rate.per().0 => u128::from(rate.most()),
                Shape::Strict => break,
                Shape::Smooth { burst } => {
                    let drained = u128::from(rate.most()) * u128::from(span);
                    u128::from(burst) + drained / u128::from(rate.per().0)
                }
            };
            if u128::from(sum) > most {
                return Err(format!("{sum} in the window that begins at {}", first.at));
            }
        }
    }
    Ok(())
}

fn log_rate() -> impl Strategy<Value = Rate> {
    (1..=64_u64, 1..2_000_u64).prop_map(|(most, ms)| strict(most, Duration::from_millis(ms)))
}

fn wide_rate() -> impl Strategy<Value = Rate> {
    (65..400_u64, 1..2_000_u64).prop_map(|(most, ms)| strict(most, Duration::from_millis(ms)))
}

fn smooth_rate() -> impl Strategy<Value = Rate> {
    (1..200_u64, 1..2_000_u64, any::<prop::sample::Index>())
        .prop_map(|(most, ms, burst)| (most, ms, 1 + burst.index(most as usize) as u64))
        .prop_map(|(most, ms, burst)| smooth(most, Duration::from_millis(ms), burst))
}

/// A rate, and what is asked of it.
fn case(
    rate: impl Strategy<Value = Rate>,
    wide: fn(&Rate) -> u64,
    steady_time: bool,
) -> impl Strategy<Value = (Rate, Vec<Op>)> {
    rate.prop_flat_map(move |rate| {
        let (per, wide) = (rate.per().0, wide(&rate));
        let ops = if steady_time { steady(per, wide).boxed() } else { wild(per, wide).boxed() };
        (Just(rate), ops)
    })
}

fn fifth(rate: &Rate) -> u64 {
    rate.widest() / 5 + 2
}

fn without_refunds(ops: Vec<Op>) -> Vec<Op> {
    ops.into_iter().filter(|op| !matches!(op, Op::Refund(_))).collect()
}

proptest! {
    #![proptest_config(property_config())]

    #[test]
    fn a_log_says_what_its_twin_says((rate, ops) in case(log_rate(), fifth, true)) {
        let outcome = run(&mut Meter::new(), &rate, &ops, Held::Within(0));
        prop_assert_eq!(outcome, Ok(()));
    }

    #[test]
    fn sub_windows_are_never_exceeded_and_at_most_a_64th_late(
        (rate, ops) in wide_rate().prop_flat_map(|rate| (Just(rate), dense(rate.per().0))),
    ) {
        let late = rate.per().0.div_ceil(64);
        prop_assert_eq!(run(&mut Meter::new(), &rate, &ops, Held::Within(late)), Ok(()));
    }

    #[test]
    fn a_bucket_says_what_its_twin_says((rate, ops) in case(smooth_rate(), fifth, true)) {
        let ops = without_refunds(ops);
        prop_assert_eq!(run(&mut Meter::new(), &rate, &ops, Held::Within(0)), Ok(()));
    }

    #[test]
    fn no_refund_from_a_bucket_lets_too_much_pass((rate, ops) in case(smooth_rate(), fifth, true)) {
        prop_assert_eq!(run(&mut Meter::new(), &rate, &ops, Held::Safe), Ok(()));
    }

    #[test]
    fn no_clock_makes_a_rate_issue_more(
        (rate, ops) in case(prop_oneof![log_rate(), wide_rate(), smooth_rate()], fifth, false),
    ) {
        prop_assert_eq!(run(&mut Meter::new(), &rate, &ops, Held::Safe), Ok(()));
        let (late, ops) = (rate.per().0.div_ceil(64), without_refunds(ops));
        prop_assert_eq!(run(&mut Meter::new(), &rate, &ops, Held::Within(late)), Ok(()));
    }

    #[test]
    fn the_room_is_the_most_that_fits(
        (rate, ops) in case(prop_oneof![log_rate(), wide_rate(), smooth_rate()], fifth, false),
    ) {
        let (mut meter, mut now) = (Meter::new(), 0_u64);
        for op in without_refunds(ops) {
            match op {
                Op::Pass(span) => now = now.saturating_add(span),
                Op::Jump(moment) => now = moment,
                Op::Try(amount) => _ = admit(&mut meter, &rate, amount, now),
                Op::Refund(_) => {}
            }
            meter.advance(&rate, Nanos(now));
            let room = meter.room(&rate);
            prop_assert!(meter.fits(&rate, room + 1).is_err(), "more than {room} of {rate:?}");
            prop_assert!(room == 0 || meter.fits(&rate, room).is_ok(), "{room} of {rate:?}");
        }
    }

    #[test]
    fn a_refund_at_once_restores_the_meter(
        (rate, ops) in case(prop_oneof![log_rate(), wide_rate(), smooth_rate()], fifth, true),
        amount in 1..400_u64,
    ) {
        let (mut meter, mut now) = (Meter::new(), 0);
        for op in ops {
            match op {
                Op::Pass(span) => now += span,
                Op::Try(amount) => _ = admit(&mut meter, &rate, amount, now),
                _ => {}
            }
        }
        let amount = amount.min(rate.widest());
        let retry_at = meter.check(&rate, amount, Nanos(now)).err().map_or(now, |r| r.retry_at.0);
        let mut refunded = meter.clone();
        admit(&mut refunded, &rate, amount, retry_at).unwrap();
        refunded.refund(&rate, amount, Nanos(retry_at));
        for wide in 1..=rate.widest() {
            let asked = [&mut meter, &mut refunded].map(|m| m.check(&rate, wide, Nanos(retry_at)));
            prop_assert_eq!(asked[0].is_ok(), asked[1].is_ok(), "{} of {:?}", wide, rate);
        }
    }

    #[test]
    fn after_any_swap_the_new_rate_holds_for_what_is_charged_from_then_on(
        stages in vec(case(prop_oneof![log_rate(), wide_rate(), smooth_rate()], fifth, false), 2..5),
    ) {
        let (mut meter, mut start) = (Meter::new(), 0);
        for (rate, ops) in stages {
            let later = ops.into_iter().map(|op| match op {
                Op::Jump(moment) => Op::Jump(moment.saturating_add(start)),
                op => op,
            });
            let ops: Vec<Op> = [Op::Jump(start)].into_iter().chain(later).collect();
            prop_assert_eq!(run(&mut meter, &rate, &ops, Held::Safe), Ok(()));
            start = meter.seen.0;
            let idle_at = Nanos(start).after(Nanos(rate.per().0 * 2));
            prop_assert!(idle_at == Nanos::MAX || meter.clone().is_idle(&rate, idle_at));
        }
    }

    #[test]
    fn strict_swaps_count_all_that_no_rate_has_forgotten(
        rates in vec(prop_oneof![log_rate(), wide_rate()], 2..5),
        ops in vec((0..5_usize, 0..300 * MS, 1..60_u64), 200),
    ) {
        let (mut meter, mut twin) = (Meter::new(), Twin::default());
        for (rate, span, amount) in ops {
            let rate = &rates[rate % rates.len()];
            twin.seen += span;
            let now = twin.seen;
            twin.entries.retain(|entry| now - entry.at < rate.per().0);
            if admit(&mut meter, rate, amount, now).is_ok() {
                prop_assert!(twin.admits(rate, amount, now, 0), "{} at {} under {:?}", amount, now, rate);
                twin.charge(amount, now);
            }
        }
    }
}

/// Whether the property that the twin holds the meter to rejects what `make` makes.
fn is_rejected<L: Limiter>(rate: impl Strategy<Value = Rate>, make: fn() -> L) -> bool {
    let config = Config { max_shrink_iters: 0, ..property_config() };
    let outcome = TestRunner::new(config).run(&case(rate, fifth, true), |(rate, ops)| {
        run(&mut make(), &rate, &ops, Held::Within(rate.per().0.div_ceil(64)))
            .map_err(TestCaseError::fail)
    });
    outcome.is_err()
}

#[test]
fn the_twin_rejects_windows_that_begin_where_they_like() {
    assert!(is_rejected(log_rate(), || FixedWindows { number: 0, used: 0 }));
    assert!(is_rejected(wide_rate(), || FixedWindows { number: 0, used: 0 }));
}

#[test]
fn the_twin_rejects_refunds_that_are_forgotten_or_doubled() {
    for rate in [log_rate().boxed(), wide_rate().boxed()] {
        assert!(is_rejected(rate.clone(), || Refunds(0, Meter::new())));
        assert!(is_rejected(rate, || Refunds(2, Meter::new())));
    }
}
