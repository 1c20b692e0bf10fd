//! grommet-core: a single-threaded scheduler, one shard's. Its keys take turns; it knows neither
//! weights nor costs.

use super::{Ends, Payload, Setup};
use grommet_core::{Admit, Completion, Config, Disposition, Scheduler};
use std::time::Duration;

pub(crate) const NAME: &str = "grommet-core";

/// One class of work without deadlines or state; each job is completed before the next is taken.
pub(crate) struct Grommet(Scheduler<u64, Payload, (), 1>);

impl Grommet {
    pub(crate) fn new(setup: &Setup) -> Grommet {
        let mut config = Config::new([1]);
        config.max_pending = setup.capacity;
        Grommet(Scheduler::new(config))
    }
}

impl Ends for Grommet {
    #[inline]
    fn offer(&mut self, tenant: u32, _cost: u32, payload: Payload) -> bool {
        if self.0.is_saturated() {
            return false;
        }
        let key = u64::from(tenant);
        self.0.admit(Admit { key, class: 0, expires_at: None, payload });
        true
    }

    #[inline]
    fn take(&mut self, most: usize, sink: &mut impl FnMut(Payload)) -> usize {
        let mut taken = 0;
        while taken < most
            && let Some(job) = self.0.next(0, Duration::ZERO)
        {
            taken += 1;
            sink(job.payload);
            let done = Completion { key: job.key, class: job.class, state: Disposition::Drop };
            self.0.complete(done, Duration::ZERO);
        }
        taken
    }
}
