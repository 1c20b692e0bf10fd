//! Stopping while jobs wait and run.

use crate::register::{Load, Register};
use fairlane::{
    Cap, Clock, DrainReport, Engine, Expired, Grant, Job, Limits, ManualClock, Nanos, Policy, Rate,
    Tenant, Unit, Weight,
};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

fn tenants(engine: &Engine<Load>, count: usize) -> Vec<Tenant> {
    (0..count).map(|k| engine.tenant(&format!("tenant-{k}"), "growth").unwrap()).collect()
}

fn accounted<T>(report: &DrainReport<T>) -> u64 {
    report.returned.len() as u64 + elsewhere(report)
}

/// Jobs that no drain has handed back.
fn elsewhere<T>(report: &DrainReport<T>) -> u64 {
    report.finished + report.running + report.expired + report.unpublished
}

/// An engine whose handlers take about `spin` and mark what they handle.
fn marking(workers: usize, register: &Register, spin: Duration) -> Engine<Load> {
    let register = register.clone();
    let handler = move |grant: Grant<Load>| {
        let start = Instant::now();
        while start.elapsed() < spin {
            std::hint::spin_loop();
        }
        register.handled(grant.payload().number);
    };
    Engine::builder().workers(workers).start(handler).unwrap()
}

fn submit_all(engine: &Engine<Load>, tenants: &[Tenant], register: &Register, jobs: usize) {
    for number in 0..jobs {
        let job = Job::new(register.load(number)).cost(1 + number as u32 % 5);
        let _ = engine.submit(tenants[number % tenants.len()], job).unwrap();
    }
}

/// Drains in the middle of the work; afterwards every job has ended once.
fn drain_in_flight(workers: usize, jobs: usize, spin: Duration, timeout: Duration) {
    let register = Register::new(jobs);
    let engine = marking(workers, &register, spin);
    let tenants = tenants(&engine, 20);
    submit_all(&engine, &tenants, &register, jobs);
    let report = engine.drain(timeout);
    let what = format!("{workers} workers, {spin:?}, {timeout:?}: {report:?}");
    assert_eq!(accounted(&report), jobs as u64, "{what}");
    register.returned(&report);
    drop(report);
    // Joins the engine's threads, so that what was running has run.
    drop(engine);
    register.assert_each_ended_once(jobs, &what);
    register.assert_each_dropped_once(jobs);
}

// C-7, T-C10
#[test]
fn a_drain_in_mid_flight_loses_no_job() {
    for round in 0..60 {
        let workers = 1 + round % 3;
        let timeout = Duration::from_micros(100 * (round as u64 % 5));
        drain_in_flight(workers, 3_000, Duration::ZERO, timeout);
        drain_in_flight(workers, 2_000, Duration::from_micros(3), timeout);
    }
}

#[test]
fn a_drain_in_mid_flight_of_slow_handlers_loses_no_job() {
    for workers in [1, 2, 3] {
        drain_in_flight(workers, 300, Duration::from_micros(500), Duration::from_millis(2));
    }
}

#[test]
fn what_a_drain_hands_back_is_in_order_with_its_cost() {
    let register = Register::new(500);
    let engine = Engine::<Load>::builder().workers(1).build().unwrap();
    let tenants = tenants(&engine, 7);
    submit_all(&engine, &tenants, &register, 500);
    let report = engine.drain(Duration::ZERO);
    assert_eq!((report.finished, report.returned.len()), (0, 500));
    for (k, &tenant) in tenants.iter().enumerate() {
        let of_tenant = report.returned.iter().filter(|back| back.tenant == tenant);
        let numbers: Vec<usize> = of_tenant.map(|back| back.job.payload().number).collect();
        assert_eq!(numbers, (k..500).step_by(7).collect::<Vec<_>>());
    }
    let back = report.returned.into_iter().find(|back| back.job.payload().number == 8).unwrap();
    let again = Engine::<Load>::builder().workers(1).build().unwrap();
    let to = again.tenant("any", "starter").unwrap();
    let _ = again.submit(to, back.job).unwrap();
    let mut worker = again.worker().unwrap();
    assert_eq!(worker.next_batch(1).next().unwrap().cost(), 4, "1 + 8 % 5");
}

#[test]
fn a_second_drain_has_nothing_more_to_hand_back() {
    let register = Register::new(100);
    let engine = Engine::<Load>::builder().workers(1).build().unwrap();
    submit_all(&engine, &tenants(&engine, 3), &register, 100);
    let mut worker = engine.worker().unwrap();
    assert_eq!(worker.next_batch(10).count(), 10);
    let (first, second) = (engine.drain(Duration::ZERO), engine.drain(Duration::from_secs(10)));
    assert_eq!((first.finished, first.returned.len()), (10, 90));
    assert_eq!((second.finished, second.returned.len()), (10, 0));
    assert_eq!((second.running, second.unpublished), (0, 0));
}

// What an earlier drain has handed back is missing from a later report, and nothing else.
#[test]
fn the_reports_of_two_drains_account_for_every_job() {
    let register = Register::new(100);
    let engine = Engine::<Load>::builder().workers(1).build().unwrap();
    submit_all(&engine, &tenants(&engine, 3), &register, 100);
    let mut worker = engine.worker().unwrap();
    let mut held: Vec<_> = worker.next_batch(10).collect();
    let first = engine.drain(Duration::ZERO);
    assert_eq!((first.finished, first.returned.len(), first.running), (0, 90, 10));
    assert_eq!(accounted(&first), 100);
    held.truncate(4);
    let second = engine.drain(Duration::ZERO);
    assert_eq!((second.finished, second.returned.len(), second.running), (6, 0, 4));
    assert_eq!(accounted(&second) + first.returned.len() as u64, 100);
}

#[test]
fn drains_on_several_threads_hand_every_job_back_once() {
    for _ in 0..50 {
        let register = Register::new(500);
        let engine = Engine::<Load>::builder().workers(1).build().unwrap();
        submit_all(&engine, &tenants(&engine, 5), &register, 500);
        let drains: Vec<_> = (0..3)
            .map(|_| {
                let engine = engine.clone();
                thread::spawn(move || engine.drain(Duration::ZERO))
            })
            .collect();
        let reports: Vec<_> = drains.into_iter().map(|drain| drain.join().unwrap()).collect();
        reports.iter().for_each(|report| register.returned(report));
        register.assert_each_ended_once(500, "three drains");
        assert!(reports.iter().all(|report| (report.finished, report.unpublished) == (0, 0)));
    }
}

/// Tenants of the tier `starter` get one grant at a time, the tenant `parked` none.
fn one_at_a_time() -> Policy {
    let policy = Policy::builder().tier("growth", Weight::ONE).tier("starter", Weight::ONE);
    let policy = policy.tier_limits("starter", Limits::default().concurrency(Cap::Grants(1)));
    policy.tenant_limits("parked", Limits::default().concurrency(Cap::Grants(0))).build().unwrap()
}

// Every number of the report, of one drain that meets jobs in every state there is.
#[test]
fn a_drain_counts_what_expired_and_hands_back_what_nobody_saw_expire() {
    let clock = ManualClock::new();
    let (register, second) = (Register::new(100), 1_000_000_000);
    let told = register.clone();
    let engine = Engine::<Load>::builder()
        .workers(1)
        .policy(one_at_a_time())
        .clock(Clock::Manual(clock.clone()))
        .on_expired(move |job: Expired<Load>| told.handled(job.payload.number))
        .build()
        .unwrap();
    let mut numbers = 0..;
    let mut submit =
        |name: &str, tier: &str, jobs: usize, wish: &dyn Fn(Job<Load>) -> Job<Load>| {
            let tenant = engine.tenant(name, tier).unwrap();
            for number in numbers.by_ref().take(jobs) {
                let _ = engine.submit(tenant, wish(Job::new(register.load(number)))).unwrap();
            }
        };
    submit("plain", "growth", 5, &|job| job);
    submit("capped", "starter", 4, &|job| job);
    submit("parked", "starter", 7, &|job| job.deadline(Nanos(second)));
    submit("later", "growth", 3, &|job| job.not_before(Nanos(10 * second)));
    let mut worker = engine.worker().unwrap();
    let mut held: Vec<_> = worker.next_batch(64).collect();
    assert_eq!(held.len(), 6, "five of `plain`, one of `capped`");
    held.drain(..4).for_each(|grant| register.handled(grant.payload().number));
    clock.advance_to(Nanos(2 * second));
    assert_eq!(worker.next_batch(64).count(), 0);
    submit("parked", "starter", 2, &|job| job.deadline(Nanos(3 * second)));
    clock.advance_to(Nanos(4 * second));
    let report = engine.drain(Duration::ZERO);
    let parts = (report.finished, report.returned.len(), report.running, report.expired);
    assert_eq!((parts, report.unpublished), ((4, 8, 2, 7), 0));
    assert_eq!((accounted(&report), engine.snapshot().accepted), (21, 21));
    register.returned(&report);
    held.drain(..).for_each(|grant| register.handled(grant.payload().number));
    register.assert_each_ended_once(21, "one drain");
    let again = engine.drain(Duration::ZERO);
    assert_eq!((again.finished, again.returned.len(), again.expired), (6, 0, 7));
    assert_eq!(elsewhere(&again) + report.returned.len() as u64, 21);
}

/// Tenants with and without a rate, jobs with and without a deadline, some not due before long.
fn submit_mixed(engine: &Engine<Load>, register: &Register, jobs: usize) {
    for number in 0..jobs {
        let tier = if number % 2 == 0 { "growth" } else { "starter" };
        let tenant = engine.tenant(&format!("{tier}-{}", number % 6), tier).unwrap();
        let job = Job::new(register.load(number));
        let job = match number % 5 {
            0 | 1 => job.max_wait(Duration::from_micros(300 + 40 * (number as u64 % 50))),
            2 => job.delay(Duration::from_secs(60)),
            _ => job,
        };
        let _ = engine.submit(tenant, job).unwrap();
    }
}

/// Drains four times at the same time, while jobs run and expire; the counts of expired and returned.
fn drain_together(register: &Register, jobs: usize) -> (u64, u64) {
    let (ran, told) = (register.clone(), register.clone());
    let rate = Rate::strict(20, Unit::Jobs, Duration::from_secs(60)).unwrap();
    let policy = Policy::builder().tier("growth", Weight::ONE).tier("starter", Weight::ONE);
    let policy = policy.tier_limits("starter", Limits::default().rate(rate)).build().unwrap();
    let engine = Engine::<Load>::builder()
        .workers(2)
        .policy(policy)
        .on_expired(move |job: Expired<Load>| told.handled(job.payload.number))
        .start(move |grant| {
            thread::sleep(Duration::from_micros(5));
            ran.handled(grant.payload().number);
        })
        .unwrap();
    submit_mixed(&engine, register, jobs);
    let drain = |k: u64| {
        let engine = engine.clone();
        thread::spawn(move || engine.drain(Duration::from_micros(400 * k)))
    };
    let drains: Vec<_> = (1..=4).map(drain).collect();
    let reports: Vec<_> = drains.into_iter().map(|drain| drain.join().unwrap()).collect();
    let returned: u64 = reports.iter().map(|report| report.returned.len() as u64).sum();
    for report in &reports {
        register.returned(report);
        assert_eq!(returned + elsewhere(report), jobs as u64, "{report:?}");
    }
    (reports[0].expired, returned)
}

#[test]
fn drains_at_the_same_time_agree_on_what_expired() {
    let (mut expired, mut returned) = (0, 0);
    for _ in 0..40 {
        let register = Register::new(600);
        let (gone, back) = drain_together(&register, 600);
        register.assert_each_ended_once(600, "four drains");
        register.assert_each_dropped_once(600);
        (expired, returned) = (expired + gone, returned + back);
    }
    assert!(expired > 0 && returned > 0, "{expired} expired, {returned} came back");
}

/// Two workers; the handler of job 0 drains, and sends the report out.
fn drain_from_handler(workers: usize, jobs: usize, timeout: Duration) -> (u64, Duration) {
    let register = Register::new(jobs);
    let own: Arc<Mutex<Option<Engine<Load>>>> = Arc::default();
    let (sender, reports) = mpsc::channel();
    let (handled, handle) = (register.clone(), Arc::clone(&own));
    let engine = Engine::builder()
        .workers(workers)
        .start(move |grant: Grant<Load>| {
            handled.handled(grant.payload().number);
            if grant.payload().number == jobs / 2 {
                let engine = handle.lock().unwrap().take().expect("put there before");
                let start = Instant::now();
                let report = engine.drain(timeout);
                sender.send((accounted(&report), start.elapsed())).unwrap();
                handled.returned(&report);
                // The last handle drops here, on a thread of the engine.
            }
        })
        .unwrap();
    *own.lock().unwrap() = Some(engine.clone());
    let tenants = tenants(&engine, 3);
    for number in 0..jobs {
        // The drain may be faster than this loop.
        let job = Job::new(register.load(number));
        if engine.submit(tenants[number % 3], job).is_err() {
            register.handled(number);
        }
    }
    let found = reports.recv_timeout(Duration::from_secs(20)).expect("the drain came back");
    drop(engine);
    // The last handle is the handler's, so nobody joins its thread, which runs what it has taken.
    let deadline = Instant::now() + Duration::from_secs(5);
    while !register.all_dropped(jobs) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    register.assert_each_ended_once(jobs, "drain from a handler");
    found
}

#[test]
fn a_handler_may_drain_its_own_engine() {
    for jobs in [1, 3, 400] {
        let (_, took) = drain_from_handler(2, jobs, Duration::from_secs(15));
        assert!(took < Duration::from_secs(10), "its own job was waited for: {took:?}");
    }
}

#[test]
fn the_only_worker_may_drain_and_the_rest_is_handed_back() {
    for jobs in [1, 2, 100] {
        drain_from_handler(1, jobs, Duration::from_millis(20));
    }
}

// verification.md: shutdown twice, from inside handlers: defined, no deadlock.
#[test]
fn two_handlers_that_drain_do_not_wait_for_each_other() {
    let both = Arc::new(Barrier::new(2));
    let own: Arc<Mutex<Option<Engine<u32>>>> = Arc::default();
    let (sender, took) = mpsc::channel();
    let handle = Arc::clone(&own);
    let engine = Engine::builder()
        .workers(2)
        .start(move |_: Grant<u32>| {
            let engine = handle.lock().unwrap().clone().expect("put there before");
            both.wait();
            let start = Instant::now();
            drop(engine.drain(Duration::from_secs(4)));
            sender.send(start.elapsed()).unwrap();
        })
        .unwrap();
    *own.lock().unwrap() = Some(engine.clone());
    for name in ["a", "b"] {
        let _ = engine.submit(engine.tenant(name, "scale").unwrap(), 0).unwrap();
    }
    let longest = took.recv().unwrap().max(took.recv().unwrap());
    *own.lock().unwrap() = None;
    drop(engine);
    assert!(longest < Duration::from_secs(2), "each waited for the other's job: {longest:?}");
}

#[test]
fn dropping_the_engine_drops_every_payload_once() {
    for (workers, jobs) in [(1, 2_000), (2, 2_000), (3, 50)] {
        let register = Register::new(jobs);
        let engine = marking(workers, &register, Duration::from_micros(20));
        submit_all(&engine, &tenants(&engine, 11), &register, jobs);
        drop(engine);
        register.assert_each_dropped_once(jobs);
        assert!(register.handled_count() <= jobs as u64);
    }
}

#[test]
fn dropping_an_engine_without_threads_drops_every_payload_once() {
    let register = Register::new(500);
    let engine = Engine::<Load>::builder().workers(2).build().unwrap();
    submit_all(&engine, &tenants(&engine, 11), &register, 500);
    let mut worker = engine.worker().unwrap();
    let kept: Vec<Grant<Load>> = worker.next_batch(20).collect();
    drop(engine);
    assert_eq!(worker.next_batch(20).count(), 0, "the engine has stopped");
    drop(worker);
    drop(kept);
    register.assert_each_dropped_once(500);
}

// A drain waits for what runs, and reports what still does when the time is up.
#[test]
fn a_job_that_runs_longer_than_the_drain_is_reported_running() {
    let release = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&release);
    let engine = Engine::builder()
        .workers(2)
        .start(move |grant: Grant<u32>| {
            while *grant.payload() == 1 && !gate.load(Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
        })
        .unwrap();
    let tenant = engine.tenant("acme", "scale").unwrap();
    for number in 0..100 {
        let _ = engine.submit(tenant, number).unwrap();
    }
    let report = engine.drain(Duration::from_millis(300));
    release.store(true, Relaxed);
    assert_eq!((report.finished, report.returned.len(), report.running), (99, 0, 1));
    let end = engine.drain(Duration::from_secs(10));
    assert_eq!((end.finished, end.running), (100, 0), "its grant stayed good");
}
