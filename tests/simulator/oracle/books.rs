//! What snapshots and drains report, and what is left at the end.

use super::{Fate, Kind, Oracle, State, Verdict, breach};
use crate::systems::{Drained, Figures, Row};

impl Oracle {
    /// A snapshot between two steps, when nothing moves, is exact.
    pub(crate) fn figures(&mut self, seen: &Figures, payloads: u64) -> Verdict {
        for row in &seen.rows {
            self.check_row(row)?;
        }
        let known = self.lanes.iter().filter(|lane| lane.named).count();
        let sum = |of: fn(&Row) -> u64| seen.rows.iter().map(of).sum::<u64>();
        let running = self.granted - self.ended;
        let held = self.waiting as u64 + running;
        let expired = self.limits.as_ref().map_or(0, |limits| limits.expired());
        // Tenants given up count in the totals and have no row.
        let gone = self.granted + self.returned + expired - sum(|row| row.dispatched);
        let checks = [
            ("tenants", seen.rows.len() as u64, known as u64),
            ("tenants given up", seen.retired, self.retired),
            ("dispatched", seen.dispatched, self.granted + self.returned + expired),
            ("expired", seen.expired, expired),
            ("cost", seen.served_cost, self.granted_cost + self.returned_cost),
            ("depth", seen.depth, sum(|row| row.depth)),
            ("accepted", seen.accepted, sum(|row| row.accepted) + gone),
            ("running", seen.running, running),
            ("granted by workers", seen.by_workers.0, self.granted),
            ("cost granted by workers", seen.by_workers.1, self.granted_cost),
            ("payloads", payloads, held),
        ];
        for (what, seen, expected) in checks {
            if seen != expected {
                let kind = if what == "payloads" { Kind::Memory } else { Kind::Books };
                return breach(kind, format!("{what}: {seen}, expected {expected}"));
            }
        }
        if seen.refused != self.refused {
            return breach(
                Kind::Books,
                format!("refused: {:?}, not {:?}", seen.refused, self.refused),
            );
        }
        self.check_blocks(seen)
    }

    fn check_row(&mut self, row: &Row) -> Verdict {
        let lane = &mut self.lanes[row.tenant];
        let (low, high) = (lane.places.len(), lane.places.len() + lane.unpassed);
        if !(low as u64..=high as u64).contains(&row.depth) {
            let text = format!("tenant {}: depth {}, expected {low}", row.tenant, row.depth);
            return breach(Kind::Books, text);
        }
        lane.unpassed = row.depth as usize - low;
        let expected = Row {
            tenant: row.tenant,
            weight: lane.due.weight,
            bound: lane.due.bound,
            accepted: lane.dispatched + row.depth,
            dispatched: lane.dispatched,
            served_cost: lane.served_cost,
            depth: row.depth,
            refused: lane.refused,
            refused_cost: lane.refused_cost,
            expired: lane.expired,
            // What limits come to is exact at rest only.
            in_flight: row.in_flight,
            waits_for: row.waits_for,
        };
        if *row == expected && lane.named {
            return Ok(());
        }
        breach(Kind::Books, format!("{row:?}, expected {expected:?}"))
    }

    /// Blocks hold what waits, and are not more than there may be.
    fn check_blocks(&self, seen: &Figures) -> Verdict {
        let block = self.terms.block();
        let most = u64::from(self.terms.queue_max).next_multiple_of(block);
        if self.limits.is_some() {
            // What is set aside holds fewer blocks.
            return Ok(());
        }
        let least: u64 = self.lanes.iter().map(|lane| lane.places.len() as u64).sum();
        if (least..=most).contains(&seen.reserved) {
            return Ok(());
        }
        let text = format!("{} slots in use, expected {least}..={most}", seen.reserved);
        breach(Kind::Memory, text)
    }

    /// At rest, with every worker asleep, no lane holds a block; one chain may be at hand.
    pub(crate) fn emptied(&self, seen: &Figures) -> Verdict {
        let most = 16 * self.terms.block();
        if seen.depth != 0 || self.waiting != 0 {
            let text = format!("{} jobs wait at the end, depth {}", self.waiting, seen.depth);
            return breach(Kind::Conservation, text);
        }
        if seen.reserved <= most {
            return Ok(());
        }
        breach(Kind::Memory, format!("{} slots in use at rest, at most {most}", seen.reserved))
    }

    /// A drain hands back what could be had, in order, and counts the rest.
    pub(crate) fn drained(&mut self, report: &Drained) -> Verdict {
        self.stopped = true;
        for (tenant, number) in &report.returned {
            self.take_back(*tenant, *number)?;
        }
        let left: usize = self.lanes.iter().map(|lane| lane.places.len()).sum();
        let unpassed: usize = self.lanes.iter().map(|lane| lane.unpassed).sum();
        let checks = [
            ("lanes ready after a drain", self.eligible() as u64, 0),
            ("finished", report.finished, self.ended),
            ("running", report.running, self.granted - self.ended),
            ("expired", report.expired, self.limits.as_ref().map_or(0, |limits| limits.expired())),
        ];
        for (what, seen, expected) in checks {
            if seen != expected {
                return breach(Kind::Conservation, format!("{what}: {seen}, expected {expected}"));
            }
        }
        if !(left..=left + unpassed).contains(&(report.unpublished as usize)) {
            let text = format!("unpublished: {}, expected {left}", report.unpublished);
            return breach(Kind::Conservation, text);
        }
        Ok(())
    }

    fn take_back(&mut self, tenant: usize, number: u64) -> Verdict {
        let known = self.jobs.get_mut(number as usize);
        let mut places = self.lanes[tenant].places.iter();
        let front = match self.limits {
            // In the order of the bands, which is not looked at here.
            Some(_) => places.find(|place| place.number == number).copied(),
            None => places.next().copied(),
        };
        let next = front.filter(|place| place.number == number && place.state == State::Ready);
        let (Some(known), Some(place)) = (known, next) else {
            let text = format!("job {number} of tenant {tenant} came back, next is {front:?}");
            return breach(Kind::Conservation, text);
        };
        known.fate = Fate::Returned;
        self.returned += 1;
        self.returned_cost += u64::from(place.cost);
        self.waiting -= 1;
        let lane = &mut self.lanes[tenant];
        lane.places.retain(|place| place.number != number);
        if self.limits.is_none() {
            lane.unpassed = 0;
        }
        lane.dispatched += 1;
        lane.served_cost += u64::from(place.cost);
        self.refresh(tenant);
        Ok(())
    }

    /// Every job is in exactly one place, and the counts of the places add up to all jobs.
    pub(crate) fn balance(&self) -> Verdict {
        let count = |fate| self.jobs.iter().filter(|job| job.fate == fate).count() as u64;
        let (done, panicked) = (count(Fate::Done), count(Fate::Panicked));
        let checks = [
            ("ended", done + panicked, self.ended),
            ("running", count(Fate::Running), self.granted - self.ended),
            ("returned", count(Fate::Returned), self.returned),
            ("expired", count(Fate::Expired), self.limits.as_ref().map_or(0, |l| l.expired())),
            ("waiting", count(Fate::Waiting), self.waiting as u64),
        ];
        for (what, counted, expected) in checks {
            if counted != expected {
                let text = format!("{what}: {counted} jobs, expected {expected}");
                return breach(Kind::Conservation, text);
            }
        }
        let settled = count(Fate::Running) == 0 && count(Fate::Waiting) == 0;
        if settled { Ok(()) } else { breach(Kind::Conservation, "jobs are left over") }
    }
}
