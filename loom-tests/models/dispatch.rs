//! Whole visits: `Seat::tick` over real lanes.

use super::dispatch_rig::{Place, lanes, submit, tenant};
use super::harness::check;
use loom::thread;
use std::sync::Arc;

/// What a visit does to a lane's plain state is over before the lane can be another worker's, also
/// when the visit takes the lane out of the rotation.
#[test]
fn dispatch_leaving_visit() {
    check("dispatch_leaving_visit", Some(2), || {
        let (lanes, _beds) = lanes(1, 2, 2);
        submit(&lanes, tenant(0), 1).unwrap();
        let producer = Arc::clone(&lanes);
        let producer = thread::spawn(move || submit(&producer, tenant(0), 2).unwrap());
        let other = Arc::clone(&lanes);
        let other = thread::spawn(move || Place::new(1, &other).tick(1).1);
        let mut mine = Place::new(0, &lanes);
        let mut jobs = mine.tick(1).1;
        producer.join().unwrap();
        jobs.extend(other.join().unwrap());
        jobs.extend(mine.drain());
        jobs.sort_unstable();
        assert_eq!(jobs, [1, 2]);
        let row = lanes.table.row(0);
        assert_eq!(row.progress(), (2, 0));
        assert!(lanes.rotation.is_empty() && row.tail.look().is_idle());
    });
}
