//! Pinned threads, interleaved rounds, checked counts and sums.

use crate::systems::{BATCH, Entry, Exit, Payload, System};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// Fruitless attempts after which a consumer believes that nothing is left. A single one is not
/// enough: a round of firq-core that only refills balances finds nothing either.
pub(crate) const EMPTY_LOOKS: u32 = 64;

/// The cores this process may use, asked for once: a pinned thread would see its own only.
fn all_cores() -> &'static [core_affinity::CoreId] {
    static CORES: OnceLock<Vec<core_affinity::CoreId>> = OnceLock::new();
    CORES.get_or_init(|| core_affinity::get_core_ids().unwrap_or_default())
}

/// How many cores this process may use, at least 1. Call it before any thread is pinned.
pub(crate) fn cores() -> usize {
    all_cores().len().max(1)
}

/// Binds the thread to the core, if the machine has two: one spinning thread on each, not more.
pub(crate) fn pin(core: usize) {
    if cores() > 1 {
        core_affinity::set_for_current(all_cores()[core]);
    }
}

/// What a thread does while there is no room, or nothing to take.
#[inline]
pub(crate) fn pause() {
    if all_cores().len() > 1 { std::hint::spin_loop() } else { thread::yield_now() }
}

/// Runs `work` on a thread of its own, bound to the first core.
pub(crate) fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let pinned = || {
        pin(0);
        work()
    };
    thread::scope(|scope| scope.spawn(pinned).join()).expect("the work does not panic")
}

/// How long this thread has run. Time in which the system ran others on its core does not count.
#[cfg(target_os = "linux")]
pub(crate) fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// How long it is since the first call: here the system does not say how long a thread has run.
#[cfg(not(target_os = "linux"))]
pub(crate) fn thread_time() -> Duration {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed()
}

/// A moment of a thread.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    at: Instant,
    ran: Duration,
}

impl Moment {
    fn now() -> Moment {
        Moment { at: Instant::now(), ran: thread_time() }
    }

    /// The part of the time since `begin` in which the thread ran, up to 1.
    fn on_core_since(&self, begin: &Moment) -> f64 {
        let (ran, passed) = (self.ran - begin.ran, self.at.duration_since(begin.at));
        (ran.as_secs_f64() / passed.as_secs_f64().max(1e-9)).min(1.0)
    }
}

/// What went in or came out: how many, and sums that a lost, doubled or altered job changes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Tally {
    /// Jobs.
    pub(crate) jobs: u64,
    numbers: u64,
    tenants: u64,
}

impl Tally {
    /// Counts a job.
    #[inline]
    pub(crate) fn add(&mut self, payload: Payload) {
        self.jobs += 1;
        self.numbers += payload.number;
        self.tenants += payload.tenant;
    }

    /// Says how this differs from what went in.
    pub(crate) fn check(self, expected: Tally, system: &str) -> Result<(), String> {
        if self == expected {
            return Ok(());
        }
        Err(format!("{system} lost, doubled or altered jobs: {self:?} came out of {expected:?}"))
    }
}

impl FromIterator<Payload> for Tally {
    fn from_iter<I: IntoIterator<Item = Payload>>(payloads: I) -> Tally {
        let mut tally = Tally::default();
        payloads.into_iter().for_each(|payload| tally.add(payload));
        tally
    }
}

/// The jobs of an order of arrivals.
pub(crate) fn payloads(order: &[u32]) -> impl Iterator<Item = Payload> {
    let numbered = order.iter().zip(0..);
    numbered.map(|(&tenant, number)| Payload { number, tenant: u64::from(tenant) })
}

/// Lets both threads begin at once, each with its end in hand.
pub(crate) struct Start<'a> {
    barrier: &'a Barrier,
    /// Set when everything has been put in.
    done: &'a AtomicBool,
}

impl Start<'_> {
    /// Waits for the other thread; when it came.
    pub(crate) fn wait(&self) -> Moment {
        self.barrier.wait();
        Moment::now()
    }
}

/// What came out, from when on it was looked for, and when the last expected job came.
pub(crate) struct Finish {
    tally: Tally,
    begin: Moment,
    end: Moment,
}

/// One run of one system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    /// From the first offer to the last job's coming out.
    pub(crate) seconds: f64,
    /// The part of that time in which the producer and the consumer ran, the smaller of the two.
    /// Both spin, so below 1 others used their cores.
    pub(crate) on_core: f64,
}

/// A system as a round uses it: one call for all jobs of a run.
pub(crate) trait Contestant: Sync {
    /// The system's name in the rows.
    fn name(&self) -> &'static str;
    /// What has to come out.
    fn expected(&self, order: &[u32]) -> Tally;
    /// Puts all jobs in; when it began.
    fn produce(&self, order: &[u32], start: &Start<'_>) -> Moment;
    /// Takes all jobs out.
    fn consume(&self, jobs: u64, start: &Start<'_>) -> Finish;
}

impl<S: System> Contestant for S {
    fn name(&self) -> &'static str {
        System::name(self)
    }

    fn expected(&self, order: &[u32]) -> Tally {
        payloads(order).collect()
    }

    #[inline(never)]
    fn produce(&self, order: &[u32], start: &Start<'_>) -> Moment {
        let mut entry = self.entry();
        let begin = start.wait();
        for (&tenant, payload) in order.iter().zip(payloads(order)) {
            while !entry.offer(tenant, 1, payload) {
                pause();
            }
        }
        begin
    }

    #[inline(never)]
    fn consume(&self, jobs: u64, start: &Start<'_>) -> Finish {
        consume(&mut self.exit(), jobs, start)
    }
}

/// Takes `jobs` jobs, then looks whether there are any that should not be.
#[inline]
pub(crate) fn consume(exit: &mut impl Exit, jobs: u64, start: &Start<'_>) -> Finish {
    let mut tally = Tally::default();
    let mut empty_looks = 0;
    let begin = start.wait();
    while tally.jobs < jobs && empty_looks < EMPTY_LOOKS {
        let last = start.done.load(Ordering::Acquire);
        if exit.take(BATCH, &mut |payload| tally.add(payload)) == 0 {
            empty_looks += u32::from(last);
            pause();
        }
    }
    let end = Moment::now();
    while !start.done.load(Ordering::Acquire) {
        exit.take(BATCH, &mut |payload| tally.add(payload));
    }
    for _ in 0..EMPTY_LOOKS {
        exit.take(BATCH, &mut |payload| tally.add(payload));
    }
    Finish { tally, begin, end }
}

/// Each contestant's runs, round by round; the first round warms up and is left out. The
/// contestants take turns inside a round, and another one begins each round.
pub(crate) fn race(
    contestants: &[Box<dyn Contestant>],
    order: &[u32],
    rounds: usize,
) -> Result<Vec<Vec<Run>>, String> {
    let (barrier, done) = (Barrier::new(2), AtomicBool::new(false));
    let start = Start { barrier: &barrier, done: &done };
    let turns = turns(contestants.len(), rounds);
    let (begins, finishes) = thread::scope(|scope| {
        let producer = scope.spawn(|| {
            pin(0);
            turns.iter().map(|&(_, k)| produce(&*contestants[k], order, &start)).collect()
        });
        let consumer = scope.spawn(|| {
            pin(1);
            turns.iter().map(|&(_, k)| finish(&*contestants[k], order, &start)).collect()
        });
        let begins: Vec<(Moment, Moment)> = producer.join().expect("the producer does not panic");
        let finishes: Vec<Finish> = consumer.join().expect("the consumer does not panic");
        (begins, finishes)
    });
    let mut runs = vec![Vec::new(); contestants.len()];
    for ((&(round, k), (begin, end)), finish) in turns.iter().zip(begins).zip(finishes) {
        let contestant = &contestants[k];
        finish.tally.check(contestant.expected(order), contestant.name())?;
        let seconds = finish.end.at.duration_since(begin.at).as_secs_f64();
        let on_core = end.on_core_since(&begin).min(finish.end.on_core_since(&finish.begin));
        if round > 0 {
            runs[k].push(Run { seconds, on_core });
        }
    }
    Ok(runs)
}

/// Round and contestant of each run: a round of warming up, then `rounds`.
pub(crate) fn turns(contestants: usize, rounds: usize) -> Vec<(usize, usize)> {
    let round = |round| (0..contestants).map(move |k| (round, (round + k) % contestants));
    (0..=rounds).flat_map(round).collect()
}

/// Begin and end of the offers.
fn produce(contestant: &dyn Contestant, order: &[u32], start: &Start<'_>) -> (Moment, Moment) {
    start.done.store(false, Ordering::Relaxed);
    start.wait();
    let begin = contestant.produce(order, start);
    let end = Moment::now();
    start.done.store(true, Ordering::Release);
    start.wait();
    (begin, end)
}

fn finish(contestant: &dyn Contestant, order: &[u32], start: &Start<'_>) -> Finish {
    start.wait();
    let finish = contestant.consume(order.len() as u64, start);
    start.wait();
    finish
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use parking_lot::Mutex;
    use std::collections::VecDeque;

    /// A queue that does to every 1,000th job what its fault says; a stall holds its lock.
    pub(crate) struct Broken {
        queue: Mutex<VecDeque<Payload>>,
        fault: Fault,
    }

    #[derive(Clone, Copy)]
    pub(crate) enum Fault {
        None,
        Lose,
        Double,
        Alter,
        Stall,
    }

    impl Broken {
        pub(crate) fn new(fault: Fault) -> Broken {
            Broken { queue: Mutex::default(), fault }
        }
    }

    struct Ends<'a>(&'a Broken);

    impl Entry for Ends<'_> {
        fn offer(&mut self, _tenant: u32, _cost: u32, mut payload: Payload) -> bool {
            let mut queue = self.0.queue.lock();
            if queue.len() >= 100 {
                return false;
            }
            let hit = payload.number % 1_000 == 999;
            match self.0.fault {
                Fault::Lose if hit => return true,
                Fault::Double if hit => queue.push_back(payload),
                Fault::Alter if hit => payload.tenant += 1,
                Fault::Stall if hit => thread::sleep(Duration::from_millis(20)),
                _ => {}
            }
            queue.push_back(payload);
            true
        }
    }

    impl Exit for Ends<'_> {
        fn take(&mut self, most: usize, sink: &mut impl FnMut(Payload)) -> usize {
            let mut queue = self.0.queue.lock();
            let ready = most.min(queue.len());
            queue.drain(..ready).for_each(sink);
            ready
        }
    }

    impl System for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }

        fn entry(&self) -> impl Entry {
            Ends(self)
        }

        fn exit(&self) -> impl Exit {
            Ends(self)
        }
    }

    fn race_of(fault: Fault) -> Result<Vec<Vec<Run>>, String> {
        race(&[Box::new(Broken::new(fault))], &[3; 5_000], 2)
    }

    #[test]
    fn a_system_that_keeps_all_jobs_is_timed_in_every_round_but_the_first() {
        let runs = race_of(Fault::None).unwrap();
        assert_eq!((runs.len(), runs[0].len()), (1, 2));
        assert!(runs[0].iter().all(|run| run.seconds > 0.0), "{runs:?}");
        assert!(runs[0].iter().all(|run| run.on_core > 0.0 && run.on_core <= 1.0), "{runs:?}");
    }

    #[test]
    fn a_system_that_loses_doubles_or_alters_one_job_in_a_thousand_is_rejected() {
        for fault in [Fault::Lose, Fault::Double, Fault::Alter] {
            let problem = race_of(fault).unwrap_err();
            assert!(problem.starts_with("broken lost, doubled or altered jobs"), "{problem}");
        }
    }

    #[test]
    fn a_thread_s_time_passes_while_it_runs_and_not_while_it_sleeps() {
        let begin = thread_time();
        let end = Instant::now() + Duration::from_millis(200);
        thread::sleep(Duration::from_millis(100));
        let slept = thread_time() - begin;
        while Instant::now() < end {
            std::hint::spin_loop();
        }
        let ran = thread_time() - begin - slept;
        assert!(ran > Duration::ZERO && ran < Duration::from_millis(150), "{ran:?}");
        assert!(cfg!(not(target_os = "linux")) || slept < Duration::from_millis(50), "{slept:?}");
    }

    #[test]
    fn every_contestant_runs_once_a_round_and_another_begins_each() {
        let expected = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (1, 0), (2, 2), (2, 0), (2, 1)];
        assert_eq!(turns(3, 2), expected);
    }
}
