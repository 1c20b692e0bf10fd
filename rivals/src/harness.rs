//! Pinned threads, interleaved rounds, checked sums.

use crate::systems::{Fairlane, Fifo, MutexDrr, Payload, System};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub(crate) struct Options {
    pub(crate) tenants: Vec<usize>,
    pub(crate) rounds: usize,
    pub(crate) jobs: usize,
    pub(crate) json: bool,
    pub(crate) only: Option<String>,
}

impl Options {
    pub(crate) fn from_args(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Options {
            tenants: vec![1, 8, 100, 1_000, 10_000, 100_000],
            rounds: 7,
            jobs: 2_000_000,
            json: false,
            only: None,
        };
        let mut args = args;
        while let Some(flag) = args.next() {
            let mut value = || args.next().ok_or(format!("{flag} needs a value"));
            match flag.as_str() {
                "--json" => options.json = true,
                "--rounds" => options.rounds = number(&flag, &value()?)?,
                "--jobs" => options.jobs = number(&flag, &value()?)?,
                "--only" => options.only = Some(value()?),
                "--tenants" => {
                    let text = value()?;
                    let parsed = text.split(',').map(|part| number(&flag, part));
                    options.tenants = parsed.collect::<Result<_, _>>()?;
                }
                _ => {
                    return Err(format!(
                        "unknown flag {flag}; known: --json --rounds N --jobs N --tenants N,... --only NAME"
                    ));
                }
            }
        }
        Ok(options)
    }
}

fn number(flag: &str, text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("{flag}: {text:?} is not a number above 0")),
        Ok(number) => Ok(number),
    }
}

/// Million jobs a second of every system at one number of tenants.
pub(crate) struct Figures {
    pub(crate) tenants: usize,
    pub(crate) systems: Vec<(&'static str, Vec<f64>)>,
}

/// Runs all systems, interleaved round by round.
pub(crate) fn compare(options: &Options, tenants: usize) -> Figures {
    let all: Vec<Box<dyn System + Send>> = vec![
        Box::new(Fairlane::new(tenants)),
        Box::new(Fifo::new()),
        Box::new(MutexDrr::new(tenants)),
    ];
    let systems: Vec<_> = all
        .into_iter()
        .filter(|system| options.only.as_deref().is_none_or(|only| only == system.name()))
        .collect();
    let order = arrivals(options.jobs, tenants);
    let mut figures: Vec<_> = systems.iter().map(|system| (system.name(), Vec::new())).collect();
    for round in 0..=options.rounds {
        for (system, (_, mops)) in systems.iter().zip(&mut figures) {
            let measured = run(system.as_ref(), &order);
            // The first round warms up.
            if round > 0 {
                mops.push(measured);
            }
        }
    }
    for (_, mops) in &mut figures {
        mops.sort_by(f64::total_cmp);
    }
    Figures { tenants, systems: figures }
}

/// Which tenant each job is for: uniform, from a fixed seed.
fn arrivals(jobs: usize, tenants: usize) -> Vec<u32> {
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % tenants as u64) as u32
    };
    (0..jobs).map(next).collect()
}

/// Moves every job of `order` through `system` once; million jobs a second.
fn run(system: &(dyn System + Send), order: &[u32]) -> f64 {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let pin = |at: usize| cores.get(at).copied().map(core_affinity::set_for_current);
    let (start, done) = (Barrier::new(2), AtomicBool::new(false));
    let expected: u64 = (0..order.len() as u64).sum();
    std::thread::scope(|scope| {
        let consumer = scope.spawn(|| {
            pin(1);
            let (mut count, mut sum, mut owners) = (0u64, 0u64, 0u64);
            start.wait();
            system.serve(&|| done.load(Ordering::Acquire), &mut |payload| {
                count += 1;
                sum += payload.number;
                owners += payload.tenant;
            });
            assert_eq!((count, sum), (order.len() as u64, expected), "{}", system.name());
            assert_eq!(owners, order.iter().map(|&owner| u64::from(owner)).sum::<u64>());
            Instant::now()
        });
        let producer = scope.spawn(|| {
            pin(0);
            start.wait();
            let begin = Instant::now();
            for (number, &tenant) in order.iter().enumerate() {
                let payload = Payload { number: number as u64, tenant: u64::from(tenant) };
                while !system.offer(tenant as usize, payload) {
                    std::hint::spin_loop();
                }
            }
            done.store(true, Ordering::Release);
            begin
        });
        let begin = producer.join().expect("the producer does not panic");
        let end = consumer.join().expect("the consumer does not panic");
        order.len() as f64 / end.duration_since(begin).as_secs_f64() / 1e6
    })
}

pub(crate) fn print_table(rows: &[Figures]) {
    println!("million jobs a second, median [min..max] of the rounds; ratio = fairlane / system\n");
    println!("{:>8}  {:<12} {:>24} {:>7}", "tenants", "system", "mops", "ratio");
    for row in rows {
        let own = median(&row.systems[0].1);
        for (name, mops) in &row.systems {
            let spread =
                format!("{:.1} [{:.1}..{:.1}]", median(mops), mops[0], mops[mops.len() - 1]);
            println!("{:>8}  {:<12} {:>24} {:>7.2}", row.tenants, name, spread, own / median(mops));
        }
    }
}

pub(crate) fn print_json(rows: &[Figures]) {
    let mut list = Vec::new();
    for row in rows {
        let own = median(&row.systems[0].1);
        for (name, mops) in &row.systems {
            list.push(serde_json::json!({
                "tenants": row.tenants,
                "system": name,
                "mops": { "median": median(mops), "min": mops[0], "max": mops[mops.len() - 1] },
                "ratio": own / median(mops),
            }));
        }
    }
    println!("{}", serde_json::Value::Array(list));
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}
