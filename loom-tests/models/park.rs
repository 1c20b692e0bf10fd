//! Sleeping and waking: no wake-up is lost or swallowed.

use super::harness::check;
use crate::park::{Bed, Look, Sleepers, dormitory};
use crate::rotation::{Claim, Findings, Rotation};
use crate::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use crate::sync::full_fence;
use crate::sync::{Arc, Condvar, Mutex};
use loom::thread;

/// Jobs are counted; taking one is an RMW.
struct Post {
    jobs: AtomicU64,
    sleepers: Sleepers,
}

impl Post {
    fn new(seats: usize) -> (Arc<Post>, Vec<Bed>) {
        let (sleepers, beds) = dormitory(seats);
        (Arc::new(Post { jobs: AtomicU64::new(0), sleepers }), beds)
    }

    fn post(&self) {
        self.jobs.fetch_add(1, Relaxed);
        full_fence(SeqCst);
        self.sleepers.wake_one();
    }

    /// Sleeps until there is a job, and takes it.
    fn work(&self, bed: &Bed) {
        while self.jobs.fetch_update(Relaxed, Relaxed, |jobs| jobs.checked_sub(1)).is_err() {
            bed.sleep(&self.sleepers, None, || self.jobs.load(Relaxed) != 0);
        }
    }
}

/// Either the worker's second look sees the job, or the poster sees that the worker sleeps.
#[test]
fn park_wake_up() {
    check("park_wake_up", None, || {
        let (post, beds) = Post::new(1);
        let poster = Arc::clone(&post);
        let poster = thread::spawn(move || poster.post());
        post.work(&beds[0]);
        poster.join().unwrap();
    });
}

/// The same when the poster keeps a job for itself and leaves one: it looks for a sleeper before it
/// begins its own, which waits for the other.
#[test]
fn park_left_behind() {
    check("park_left_behind", None, || {
        let (post, beds) = Post::new(1);
        let met = Meeting::new(2);
        let (poster, their_met) = (Arc::clone(&post), met.clone());
        let poster = thread::spawn(move || {
            poster.jobs.fetch_add(1, Relaxed);
            poster.sleepers.wake_one_if(|| poster.jobs.load(Relaxed) != 0);
            their_met.wait();
        });
        post.work(&beds[0]);
        met.wait();
        poster.join().unwrap();
    });
}

/// Two posts wake two workers: neither wakes the other's, and a worker that withdraws because it
/// has seen a job leaves no wake unused that the other needs. Each job waits for the other.
/// Bound: 2 preemptions.
#[test]
fn park_two_posts() {
    check("park_two_posts", Some(2), || {
        let (post, mut beds) = Post::new(2);
        let bed = beds.pop().unwrap();
        let met = Meeting::new(2);
        let (their_post, their_met) = (Arc::clone(&post), Arc::clone(&met));
        let worker = thread::spawn(move || {
            their_post.work(&bed);
            their_met.wait();
        });
        let poster = Arc::clone(&post);
        let poster = thread::spawn(move || {
            poster.post();
            poster.post();
        });
        post.work(&beds[0]);
        met.wait();
        worker.join().unwrap();
        poster.join().unwrap();
    });
}

/// A place where a number of threads wait for each other.
pub(super) struct Meeting {
    missing: Mutex<u32>,
    complete: Condvar,
}

impl Meeting {
    pub(super) fn new(threads: u32) -> Arc<Meeting> {
        Arc::new(Meeting { missing: Mutex::new(threads), complete: Condvar::new() })
    }

    pub(super) fn wait(&self) {
        let mut missing = self.missing.lock().unwrap();
        *missing -= 1;
        self.complete.notify_all();
        while *missing > 0 {
            missing = self.complete.wait(missing).unwrap();
        }
    }
}

/// A rotation, and who sleeps over it.
struct Floor {
    rotation: Rotation,
    sleepers: Sleepers,
}

impl Floor {
    /// With a hint over an empty word, as a lane that came and went leaves it.
    fn new(seats: usize) -> (Arc<Floor>, Vec<Bed>) {
        let (sleepers, beds) = dormitory(seats);
        let floor = Floor { rotation: Rotation::new(64, seats), sleepers };
        floor.rotation.activate(9);
        let claim = floor.rotation.claim(0, 64, 64, 0).expect("the lane is there");
        finish(&floor.rotation, 0, claim);
        (Arc::new(floor), beds)
    }

    fn activate(&self, lane: u32) {
        self.rotation.activate(lane);
        self.sleepers.wake_one();
    }

    /// Sleeps until there is a lane, and takes it.
    fn work(&self, bed: &Bed) {
        loop {
            if let Some(claim) = self.rotation.claim(bed.seat(), 1, 1, 0) {
                return finish(&self.rotation, bed.seat(), claim);
            }
            bed.sleep(&self.sleepers, None, || !self.rotation.is_empty());
        }
    }
}

/// Ends the visit of lanes that all leave the rotation.
fn finish(rotation: &Rotation, seat: usize, mut claim: Claim) {
    let findings = Findings::default();
    while let Some(right) = claim.next_right() {
        drop(right);
    }
    rotation.put_back(seat, &claim, &findings);
}

/// An activation wakes the worker that is about to sleep over an empty rotation.
#[test]
fn park_activation() {
    check("park_activation", None, || {
        let (floor, beds) = Floor::new(1);
        let producer = Arc::clone(&floor);
        let producer = thread::spawn(move || producer.activate(0));
        floor.work(&beds[0]);
        producer.join().unwrap();
    });
}

/// Somebody who only looks at the rotation does not hide a lane from a worker that is about to
/// sleep.
/// Bound: 3 preemptions.
#[test]
fn park_onlooker() {
    check("park_onlooker", Some(3), || {
        let (floor, beds) = Floor::new(1);
        let producer = Arc::clone(&floor);
        let producer = thread::spawn(move || producer.activate(0));
        let onlooker = Arc::clone(&floor);
        let onlooker = thread::spawn(move || onlooker.rotation.for_each(|_| ()));
        floor.work(&beds[0]);
        producer.join().unwrap();
        onlooker.join().unwrap();
    });
}

/// What a look has put on its shelf is there for whoever stops the workers, and nothing is put there
/// afterwards. The shelf is a plain number to the model: the look's own edges must carry it.
///
/// Mutants: `look.begin_fence`, `look.settle_fence`, `look.end`, `look.wait`, `look.no_wait`.
/// Exhaustive.
#[test]
fn park_look_and_stop() {
    check("park_look_and_stop", None, || {
        let state = Arc::new((Look::new(), AtomicU64::new(0), AtomicU64::new(0)));
        let worker = Arc::clone(&state);
        let worker = thread::spawn(move || {
            let (look, stopped, shelf) = &*worker;
            if !look.begin(|| stopped.load(Relaxed) == 1) {
                return 0;
            }
            shelf.store(1, Relaxed);
            look.end();
            1
        });
        let (look, stopped, shelf) = &*state;
        stopped.store(1, Relaxed);
        Look::settle([look].into_iter());
        let found = shelf.load(Relaxed);
        assert_eq!(found, worker.join().unwrap());
    });
}
