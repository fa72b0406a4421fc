//! Long work that is watched from outside, and can be stopped from there.

use std::error::Error;
use std::fmt;
use std::io;
use std::ops::ControlFlow;

/// Follows reading and writing, and says whether they are to go on.
///
/// Closures are observers too.
pub trait Observer: Send + Sync {
    /// So many more bytes of the new files are in their places; some of them may not have been
    /// written for it, where the file system shares them.
    ///
    /// `Break` stops the work, which then leaves everything as it was.
    /// Called from several threads, about once for each MiB.
    fn advance(&self, bytes: u64) -> ControlFlow<()>;

    /// So many more bytes of the old files are about to be read.
    ///
    /// `Break` stops the work.
    /// Called from several threads, for every read.
    fn read(&self, _bytes: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<F: Fn(u64) -> ControlFlow<()> + Send + Sync> Observer for F {
    fn advance(&self, bytes: u64) -> ControlFlow<()> {
        self(bytes)
    }
}

/// The observer said that the work is to stop.
#[derive(Debug)]
pub(crate) struct Stopped;

impl Error for Stopped {}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it was stopped")
    }
}

/// Reports bytes to the observer; an error with [`Stopped`] in it if the work is to stop.
pub(crate) fn report(observer: &dyn Observer, bytes: u64) -> io::Result<()> {
    match observer.advance(bytes) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(io::Error::other(Stopped)),
    }
}

/// True for errors of [`report`].
pub(crate) fn is_stopped(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Stopped>())
}
