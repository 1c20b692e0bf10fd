//! Equal tenants get equal shares, however they are spread over threads (per_core).

use crate::tries::{Held, fill_while_held, is_ordinary, spin, within_tries};
use fairlane::{Engine, Policy, Tenant, Weight};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

const TENANTS: usize = 31;
/// Jobs per tenant that are counted, and that are queued.
const COUNTED: usize = 3_000;
const QUEUED: usize = 3_600;

/// Whether every tenant is within 5 % of an equal share.
fn equal(counts: &[u32]) -> Result<String, String> {
    let share = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    let off = |&count: &u32| (f64::from(count) / share - 1.0).abs();
    let worst = counts.iter().map(off).fold(0.0, f64::max);
    let figures = format!("furthest from an equal share {:.2} %", worst * 100.0);
    if worst <= 0.05 { Ok(figures) } else { Err(figures) }
}

struct Counts {
    tenants: OnceLock<Vec<Tenant>>,
    all: AtomicUsize,
    each: [AtomicU32; TENANTS],
}

impl Counts {
    fn note(&self, tenant: Tenant) {
        if self.all.fetch_add(1, Relaxed) < COUNTED * TENANTS {
            let tenants = self.tenants.get().expect("set before the first job");
            let lane = tenants.iter().position(|other| *other == tenant).expect("one of ours");
            self.each[lane].fetch_add(1, Relaxed);
        }
    }
}

fn policy() -> Policy {
    let policy = Policy::builder().queue_max(300_000).default_queue_max(10_000);
    policy.tier("all", Weight::new(1.0).unwrap()).default_tier("all").build().unwrap()
}

fn queue_all(engine: &Engine<Held>, tenants: &[Tenant]) {
    for _ in 0..QUEUED {
        for &tenant in tenants {
            assert!(engine.submit(tenant, None).is_ok());
        }
    }
}

fn measure() -> Vec<u32> {
    let counts = Arc::new(Counts {
        tenants: OnceLock::new(),
        all: AtomicUsize::new(0),
        each: [const { AtomicU32::new(0) }; TENANTS],
    });
    let noted = Arc::clone(&counts);
    let handler = move |grant| {
        if is_ordinary(&grant) {
            spin(Duration::from_micros(4));
            noted.note(grant.tenant());
        }
    };
    let engine = Engine::builder().workers(2).policy(policy()).start(handler).unwrap();
    let name = |k| engine.tenant(&format!("tenant-{k}"), "all").unwrap();
    let tenants: Vec<_> = (0..TENANTS).map(name).collect();
    counts.tenants.set(tenants.clone()).unwrap();
    let holder = engine.tenant("holder", "all").unwrap();
    fill_while_held(&engine, holder, 2, || {
        thread::scope(|scope| {
            // One tenant has a thread to itself, 30 share another.
            scope.spawn(|| queue_all(&engine, &tenants[..1]));
            scope.spawn(|| queue_all(&engine, &tenants[1..]));
        });
    });
    let report = engine.drain(Duration::from_secs(20));
    assert_eq!((report.returned.len(), report.running), (0, 0));
    counts.each.iter().map(|count| count.load(Relaxed)).collect()
}

#[test]
fn thirty_one_tenants_get_equal_shares_of_two_workers() {
    within_tries("per_core", 6, || equal(&measure()));
}

#[test]
fn a_queue_per_core_is_not_equal() {
    let mut counts = vec![1_000; TENANTS];
    counts[0] = 30_000;
    assert!(equal(&counts).is_err());
    assert!(equal(&[1_000; TENANTS]).is_ok());
}
