//! Pinned threads, interleaved rounds, checked counts and sums.

use crate::systems::{BATCH, Entry, Exit, Payload, System};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Barrier, OnceLock};
use std::thread;
use std::time::Instant;

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
    pub(crate) fn wait(&self) -> Instant {
        self.barrier.wait();
        Instant::now()
    }
}

/// What came out, and when the last expected job did.
pub(crate) struct Finish {
    tally: Tally,
    at: Instant,
}

/// A system as a round uses it: one call for all jobs of a run.
pub(crate) trait Contestant: Sync {
    /// The system's name in the rows.
    fn name(&self) -> &'static str;
    /// What has to come out.
    fn expected(&self, order: &[u32]) -> Tally;
    /// Puts all jobs in; when it began.
    fn produce(&self, order: &[u32], start: &Start<'_>) -> Instant;
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
    fn produce(&self, order: &[u32], start: &Start<'_>) -> Instant {
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
    start.wait();
    while tally.jobs < jobs && empty_looks < EMPTY_LOOKS {
        let last = start.done.load(Ordering::Acquire);
        if exit.take(BATCH, &mut |payload| tally.add(payload)) == 0 {
            empty_looks += u32::from(last);
            pause();
        }
    }
    let at = Instant::now();
    while !start.done.load(Ordering::Acquire) {
        exit.take(BATCH, &mut |payload| tally.add(payload));
    }
    for _ in 0..EMPTY_LOOKS {
        exit.take(BATCH, &mut |payload| tally.add(payload));
    }
    Finish { tally, at }
}

/// Seconds each contestant took, round by round; the first round warms up and is left out. The
/// contestants take turns inside a round, and another one begins each round.
pub(crate) fn race(
    contestants: &[Box<dyn Contestant>],
    order: &[u32],
    rounds: usize,
) -> Result<Vec<Vec<f64>>, String> {
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
        let begins: Vec<Instant> = producer.join().expect("the producer does not panic");
        let finishes: Vec<Finish> = consumer.join().expect("the consumer does not panic");
        (begins, finishes)
    });
    let mut seconds = vec![Vec::new(); contestants.len()];
    for ((&(round, k), begin), finish) in turns.iter().zip(begins).zip(finishes) {
        let contestant = &contestants[k];
        finish.tally.check(contestant.expected(order), contestant.name())?;
        if round > 0 {
            seconds[k].push(finish.at.duration_since(begin).as_secs_f64());
        }
    }
    Ok(seconds)
}

/// Round and contestant of each run: a round of warming up, then `rounds`.
pub(crate) fn turns(contestants: usize, rounds: usize) -> Vec<(usize, usize)> {
    let round = |round| (0..contestants).map(move |k| (round, (round + k) % contestants));
    (0..=rounds).flat_map(round).collect()
}

fn produce(contestant: &dyn Contestant, order: &[u32], start: &Start<'_>) -> Instant {
    start.done.store(false, Ordering::Relaxed);
    start.wait();
    let begin = contestant.produce(order, start);
    start.done.store(true, Ordering::Release);
    start.wait();
    begin
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
    use std::time::Duration;

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

    fn race_of(fault: Fault) -> Result<Vec<Vec<f64>>, String> {
        race(&[Box::new(Broken::new(fault))], &[3; 5_000], 2)
    }

    #[test]
    fn a_system_that_keeps_all_jobs_is_timed_in_every_round_but_the_first() {
        let seconds = race_of(Fault::None).unwrap();
        assert_eq!(seconds.len(), 1);
        assert!(seconds[0].len() == 2 && seconds[0].iter().all(|&s| s > 0.0), "{seconds:?}");
    }

    #[test]
    fn a_system_that_loses_doubles_or_alters_one_job_in_a_thousand_is_rejected() {
        for fault in [Fault::Lose, Fault::Double, Fault::Alter] {
            let problem = race_of(fault).unwrap_err();
            assert!(problem.starts_with("broken lost, doubled or altered jobs"), "{problem}");
        }
    }

    #[test]
    fn every_contestant_runs_once_a_round_and_another_begins_each() {
        let expected = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (1, 0), (2, 2), (2, 0), (2, 1)];
        assert_eq!(turns(3, 2), expected);
    }
}
