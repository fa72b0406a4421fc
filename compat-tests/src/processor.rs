//! Time that work takes of the processor, however busy the machine is.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long this thread has been running on a processor.
pub fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // The clock begins at nought with the thread.
    Duration::try_from(time).unwrap_or_default()
}
