//! Work that Python waits for: without its lock, with progress, stopped by Ctrl-C.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pyo3::prelude::*;
use statedict::{Error, Notice, Observer};

use crate::error::Raised;

/// How long signals and progress wait.
const TICK: Duration = Duration::from_millis(50);

/// What is known of work from outside.
#[derive(Default)]
struct Watch {
    stopped: AtomicBool,
    done: AtomicU64,
    /// Bytes to be written, or to be read where nothing is written; 0 before that is known.
    total: AtomicU64,
    /// True for work that only reads.
    reads: AtomicBool,
    notices: Mutex<Vec<Notice>>,
}

impl Watch {
    fn flow(&self) -> ControlFlow<()> {
        if self.stopped.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

impl statedict::checkpoint::Observer for Watch {
    fn advance(&self, bytes: u64) -> ControlFlow<()> {
        self.done.fetch_add(bytes, Ordering::Relaxed);
        self.flow()
    }

    fn read(&self, bytes: u64) -> ControlFlow<()> {
        if self.reads.load(Ordering::Relaxed) {
            self.done.fetch_add(bytes, Ordering::Relaxed);
        }
        self.flow()
    }
}

impl Observer for Watch {
    fn begin_reading(&self, bytes: u64) {
        self.reads.store(true, Ordering::Relaxed);
        self.total.store(bytes, Ordering::Relaxed);
    }

    fn begin_writing(&self, bytes: u64) {
        self.total.store(bytes, Ordering::Relaxed);
    }

    fn notice(&self, notice: &Notice) {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner).push(notice.clone());
    }
}

/// Does a job beside the thread that Python waits in, which calls `progress(done, total)` and runs
/// the handlers of signals meanwhile; what they raise stops the job.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    progress: Option<&Bound<'_, PyAny>>,
    job: impl FnOnce(&Arc<dyn Observer>) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let watch = Arc::new(Watch::default());
    let observer: Arc<dyn Observer> = watch.clone();
    let (outcome, raised) = thread::scope(|scope| {
        let (finished, mut waiting) = channel();
        let worker = scope.spawn(move || {
            // Dropped at the end, whatever the end is.
            let _finished = finished;
            job(&observer)
        });
        let mut raised = None;
        while py.detach(|| is_at_work(&mut waiting)) {
            if let Err(error) = look_up(py, progress, &watch)
                && raised.is_none()
            {
                watch.stopped.store(true, Ordering::Relaxed);
                raised = Some(error);
            }
        }
        (py.detach(|| worker.join()), raised)
    });
    if let Some(error) = raised {
        return Err(error);
    }
    report(progress, &watch)?;
    match outcome {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Raised::from(error).into_err(py)),
        Err(panic) => Err(of_panic(py, panic.as_ref())),
    }
}

/// Waits a little, or until the work is over.
fn is_at_work(waiting: &mut Receiver<()>) -> bool {
    waiting.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout)
}

/// Lets Python do what has to be done meanwhile.
fn look_up(py: Python<'_>, progress: Option<&Bound<'_, PyAny>>, watch: &Watch) -> PyResult<()> {
    py.check_signals()?;
    report(progress, watch)
}

fn report(progress: Option<&Bound<'_, PyAny>>, watch: &Watch) -> PyResult<()> {
    let (Some(progress), total) = (progress, watch.total.load(Ordering::Relaxed)) else {
        return Ok(());
    };
    if total > 0 {
        let done = watch.done.load(Ordering::Relaxed).min(total);
        progress.call1((done, total))?;
    }
    Ok(())
}

/// Does what is over soon, without Python's lock.
pub(crate) fn briefly<T: Send, E: Into<Raised> + Send>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T, E> + Send,
) -> PyResult<T> {
    match py.detach(|| catch_unwind(AssertUnwindSafe(work))) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(error.into().into_err(py)),
        Err(panic) => Err(of_panic(py, panic.as_ref())),
    }
}

/// A fault of this package's own.
fn of_panic(py: Python<'_>, panic: &(dyn Any + Send)) -> PyErr {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
    Raised::new("internal", format!("internal error, please report it: {text}")).into_err(py)
}
