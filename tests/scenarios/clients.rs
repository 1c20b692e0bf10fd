//! Clients on a simulated clock: slots shared over time, waits beside a flood.

use crate::checks::Verdict;
use crate::queue::{Queue, Setup};
use crate::rng::Rng;
use crate::simulation::{Clients, Report, Simulation};

const SECOND: u64 = 1_000_000_000;
const MILLISECOND: u64 = 1_000_000;

fn averages_are(report: &Report, expected: &[f64]) -> Verdict {
    for (got, due) in report.slots.iter().zip(expected) {
        if (got - due).abs() > 0.01 * due + 1e-9 {
            return Err(format!("slots {:?}, expected {expected:?}", report.slots));
        }
    }
    Ok(())
}

fn within_capacity(report: &Report, slots: usize) -> Verdict {
    let within = report.peak <= slots && report.slots.iter().sum::<f64>() <= slots as f64;
    within.then_some(()).ok_or_else(|| format!("{report:?} is more than {slots} slots"))
}

fn closed_loop(queue: &mut dyn Queue, slots: usize, clients: [usize; 2]) -> Report {
    let mut simulation = Simulation::new(queue, slots, 2);
    for (lane, count) in clients.into_iter().enumerate() {
        let think = SECOND - MILLISECOND;
        simulation = simulation.clients(Clients { lane, count, execute: SECOND, think });
    }
    simulation.run(50 * SECOND)
}

// [closed_loop_baseline]
#[test]
fn closed_loop_clients_share_the_slots() {
    let setup = Setup::new(&[1.0; 2]).workers(4);
    let report = closed_loop(&mut setup.engine(), 4, [8, 8]);
    averages_are(&report, &[2.0, 2.0]).unwrap();
    within_capacity(&report, 4).unwrap();
}

// [closed_loop_baseline] With clients that differ in number, a FIFO shares by their number.
#[test]
fn more_clients_get_no_more_slots() {
    let setup = Setup::new(&[1.0; 2]).workers(4);
    averages_are(&closed_loop(&mut setup.engine(), 4, [8, 24]), &[2.0, 2.0]).unwrap();
    let fifo = closed_loop(&mut setup.fifo(), 4, [8, 24]);
    assert!(averages_are(&fifo, &[2.0, 2.0]).is_err(), "{:?}", fifo.slots);
}

// [unlimited_control] The check of the run above must be able to fail.
#[test]
fn clients_without_a_limit_use_what_they_ask_for() {
    let setup = Setup::new(&[1.0; 2]).workers(7);
    let mut queue = setup.engine();
    let report = Simulation::new(&mut queue, 7, 2)
        .clients(Clients { lane: 0, count: 5, execute: SECOND, think: SECOND })
        .clients(Clients { lane: 1, count: 2, execute: SECOND, think: SECOND / 2 })
        .run(50 * SECOND);
    averages_are(&report, &[2.5, 4.0 / 3.0]).unwrap();
    assert!(within_capacity(&report, 2).is_err());
}

/// Two slots, jobs of 1 ms; 50 light tenants at 1 % of the capacity each, and the p99 of their
/// waits in milliseconds, with and without a tenant that offers ten times the capacity.
fn light_p99(queue: &mut dyn Queue, flood: bool) -> f64 {
    let mut simulation = Simulation::new(queue, 2, 51);
    let mut rng = Rng(11);
    // 100 moments a millisecond: 2 jobs are the capacity, so 20 of them flood.
    for moment in 0..100 * 1_000 {
        let at = moment * MILLISECOND / 100;
        for lane in 1..51 {
            if rng.below(1_000_000) < 200 {
                simulation.arrival(at, lane, MILLISECOND);
            }
        }
        if flood && rng.below(1_000_000) < 200_000 {
            simulation.arrival(at, 0, MILLISECOND);
        }
    }
    let report = simulation.run(1_000 * MILLISECOND);
    let mut waits: Vec<u64> = report.waits.into_iter().skip(1).flatten().collect();
    waits.sort_unstable();
    waits[waits.len() * 99 / 100] as f64 / MILLISECOND as f64
}

// [light_under_flood] in simulated time; tests/threads.rs has it on real threads.
#[test]
fn a_flood_at_most_doubles_the_wait_of_light_tenants() {
    let setup = Setup::new(&[1.0; 51]).workers(2).bounds(20_000, 10_000);
    let alone = light_p99(&mut setup.engine(), false);
    let flooded = light_p99(&mut setup.engine(), true);
    let fifo = light_p99(&mut setup.fifo(), true);
    println!("p99 of light waits: {alone:.2} ms, flooded {flooded:.2} ms, FIFO {fifo:.2} ms");
    assert!(flooded <= 2.0 * alone, "{flooded} ms against {alone} ms");
    assert!(fifo >= 100.0 * alone, "the FIFO is only {:.0}x as slow", fifo / alone);
}
