//! Work shared out among processors.

use std::num::NonZero;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Builder};

/// Threads beyond these would only wait for the same memory and disk.
const MAX_THREADS: usize = 8;

/// How many threads keep every processor at work.
pub(crate) fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS)
}

/// How many threads keep every processor at work where each of them waits for the disk at times.
pub(crate) fn waiting() -> usize {
    (2 * processors()).min(MAX_THREADS)
}

/// Does every job and gives the results in no particular order; stops at the first failure.
///
/// Each thread works with what `worker` makes, which may keep memory from job to job.
pub(crate) fn each<J, R: Send, E: Send, W: FnMut(J) -> Result<R, E>>(
    jobs: impl Iterator<Item = J> + Send,
    worker: impl Fn() -> W + Sync,
) -> Result<Vec<R>, E> {
    each_on(processors(), jobs, worker)
}

/// The same on so many threads.
pub(crate) fn each_on<J, R: Send, E: Send, W: FnMut(J) -> Result<R, E>>(
    threads: usize,
    jobs: impl Iterator<Item = J> + Send,
    worker: impl Fn() -> W + Sync,
) -> Result<Vec<R>, E> {
    let jobs = Mutex::new(jobs.fuse());
    let failed = AtomicBool::new(false);
    let work = || {
        let results = std::iter::from_fn(|| {
            if failed.load(Ordering::Relaxed) {
                None
            } else {
                jobs.lock().unwrap_or_else(PoisonError::into_inner).next()
            }
        })
        .map(worker())
        .collect::<Result<Vec<R>, E>>();
        failed.fetch_or(results.is_err(), Ordering::Relaxed);
        results
    };
    thread::scope(|scope| {
        // A thread that cannot be had is done without; this one goes on until nothing is left.
        let others = (1..threads).filter_map(|_| Builder::new().spawn_scoped(scope, work).ok());
        let others: Vec<_> = others.collect();
        let mut all = work();
        for other in others {
            let theirs = other.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked));
            all = all.and_then(|all| Ok(all.into_iter().chain(theirs?).collect()));
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once() {
        let mut squares = each(0..1000u64, || |n| Ok::<_, ()>(n * n)).expect("no failure");
        squares.sort_unstable();
        assert_eq!(squares, (0..1000u64).map(|n| n * n).collect::<Vec<_>>());
    }

    #[test]
    fn a_failure_ends_the_work() {
        let endless = std::iter::repeat(());
        let mut left = 100;
        let jobs = endless.map(|()| {
            left -= 1;
            left
        });
        assert_eq!(
            each(jobs, || |left| if left == 0 { Err("broken") } else { Ok(()) }),
            Err("broken")
        );
    }
}
