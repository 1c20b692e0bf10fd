use super::event::{Act, Event};

/// Entitlement at which a merged window is long enough to judge, in jobs of the tenant's largest
/// cost: the unevenness of whole jobs is then at most a tenth.
pub const JUDGED_JOBS: u64 = 10;

/// One tenant's sums over one window, in cost units.
#[derive(Clone, Copy, Default)]
pub(super) struct Window {
    accepted: u64,
    refused: u64,
    pub(super) served: u64,
    left: u64,
}

impl Window {
    pub(super) fn add(&mut self, event: &Event) {
        let sum = match event.act {
            Act::Accepted => &mut self.accepted,
            Act::RefusedFull => &mut self.refused,
            Act::Served => &mut self.served,
            Act::Left => &mut self.left,
            Act::Throttled | Act::Freed => return,
        };
        *sum += event.cost;
    }

    fn offered(&self) -> u64 {
        self.accepted + self.refused
    }
}

/// Consecutive windows of one tenant taken as one.
#[derive(Clone, Copy, Default)]
struct Merged {
    /// Backlog when the first of them begins, cost units.
    backlog: f64,
    offered: f64,
    served: f64,
    /// Sum of the windows' entitlements, before the cap at the merged demand.
    shares: f64,
}

impl Merged {
    fn entitled(&self) -> f64 {
        self.shares.min(self.backlog + self.offered)
    }

    fn attained(&self) -> f64 {
        self.served.min(self.entitled())
    }

    /// Appends what directly follows, whose own first backlog is no new demand.
    fn extend(&mut self, next: &Merged) {
        self.offered += next.offered;
        self.served += next.served;
        self.shares += next.shares;
    }
}

/// One tenant's running account while the windows pass by.
pub(super) struct Books {
    /// Entitlement that closes a merged window; infinite for a tenant without jobs.
    enough: f64,
    /// Accepted less served and left, before the current window. Below zero only if a service was
    /// dated before its offer, and then the next window sets it right.
    backlog: i128,
    /// Sums of the current window; the caller adds to them.
    pub(super) window: Window,
    open: Merged,
    /// The last full merged window, kept apart because the end of the run may lengthen it.
    last: Option<Merged>,
    total: TenantShare,
}

impl Books {
    pub(super) fn new(largest: u64) -> Books {
        let enough = if largest == 0 { f64::INFINITY } else { (JUDGED_JOBS * largest) as f64 };
        Books {
            // Sums of shares carry rounding errors far below this.
            enough: enough * (1.0 - 1e-9),
            backlog: 0,
            window: Window::default(),
            open: Merged::default(),
            last: None,
            total: TenantShare::default(),
        }
    }

    /// Cost that asks to be served in the current window, when its quotas let `allowed` more go at the
    /// end of it.
    pub(super) fn demand(&self, allowed: Option<u64>) -> f64 {
        let asked = self.backlog.max(0) + i128::from(self.window.offered());
        let served = i128::from(self.window.served);
        let most = allowed.map_or(asked, |allowed| served + i128::from(allowed));
        asked.min(most) as f64
    }

    /// Books the current window with its entitlement and begins the next.
    pub(super) fn close_window(&mut self, entitled: f64) {
        let window = std::mem::take(&mut self.window);
        self.open.extend(&Merged {
            backlog: 0.0,
            offered: window.offered() as f64,
            served: window.served as f64,
            shares: entitled,
        });
        self.backlog += i128::from(window.accepted);
        self.backlog -= i128::from(window.served) + i128::from(window.left);
        if self.open.entitled() >= self.enough {
            let next = Merged { backlog: self.backlog.max(0) as f64, ..Merged::default() };
            let full = std::mem::replace(&mut self.open, next);
            if let Some(before) = self.last.replace(full) {
                self.total.add(&before);
            }
        }
    }

    pub(super) fn share(&self) -> TenantShare {
        let mut total = self.total;
        match self.last {
            Some(mut last) => {
                last.extend(&self.open);
                total.add(&last);
                total.share_ratio = Some(total.attained / total.entitled);
            }
            None => {
                total.entitled = self.open.entitled();
                total.attained = self.open.attained();
            }
        }
        total
    }
}

/// What one tenant was entitled to in a run and how much of it it got.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct TenantShare {
    /// Sum of its entitlements over its merged windows, cost units.
    pub entitled: f64,
    /// Sum of min(served, entitled) over its merged windows, cost units.
    pub attained: f64,
    /// `attained / entitled`, 0 to 1; `None` for a tenant with too little work to judge.
    pub share_ratio: Option<f64>,
    /// The same for its worst merged window.
    pub worst_window: Option<f64>,
}

impl TenantShare {
    fn add(&mut self, merged: &Merged) {
        self.entitled += merged.entitled();
        self.attained += merged.attained();
        let ratio = merged.attained() / merged.entitled();
        self.worst_window = Some(self.worst_window.map_or(ratio, |worst| worst.min(ratio)));
    }
}
