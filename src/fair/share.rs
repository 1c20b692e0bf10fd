//! Who got what: the fairness of a finished run, as plain arithmetic over its recorded events.
//!
//! A run is cut into [`WINDOWS`] windows of equal length, from its first event to its last
//! service. In each window and for each tenant:
//!
//! - **demand** is the tenant's backlog when the window begins plus the cost it offers in it
//!   (accepted, or refused because a queue was full), less what its own quotas forbade: of what is not
//!   served, more than they let go at the end of the window ([`Act::Throttled`]);
//! - **entitled** is its weighted [max-min share](max_min) of all cost served in the window.
//!
//! A few jobs cannot be split evenly, so a tenant's consecutive windows are merged until its
//! entitlement in the merged one reaches [`JUDGED_JOBS`] of its largest jobs. A merged window is a
//! window like any other: nobody is entitled to more than its demand there, which is the backlog
//! when it begins plus all that is offered in it. (Without that cap a job that waits across a border
//! would be counted on both sides of it.) What is left over at the end of the run, too small to be
//! judged alone, lengthens the tenant's last merged window. Then
//!
//! **share ratio** = sum of min(served, entitled) / sum of entitled, over the merged windows.
//!
//! It is 1 for a tenant that got all it was entitled to and 0 for one that got none of it; more
//! than the entitlement is no merit. A tenant that never fills a merged window is not judged.
//!
//! Not promised: anything about waiting. A tenant may get its whole share late.

mod books;
mod event;
mod max_min;
mod meter;
mod throttle;

pub use books::{JUDGED_JOBS, TenantShare};
pub use event::{Act, Event};
pub use max_min::{jain, max_min};
pub use meter::{ShareMeter, ShareReport, WINDOWS};
