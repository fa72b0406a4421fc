//! Work that is followed from outside, and can be stopped from there.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use statedict_checkpoint::Interrupted;
use statedict_core::LeftOut;

/// Follows a job, and says whether it is to go on.
///
/// A closure that takes the bytes that were written is an observer; [`silent`] is one that lets
/// everything happen.
pub trait Observer: statedict_checkpoint::Observer {
    /// Writing begins, of so many bytes; [`advance`](statedict_checkpoint::Observer::advance) counts
    /// them.
    fn begin_writing(&self, _bytes: u64) {}

    /// Reading begins, of about so many bytes;
    /// [`read`](statedict_checkpoint::Observer::read) counts them.
    fn begin_reading(&self, _bytes: u64) {}

    /// Something is worth knowing and does not stop the job.
    fn notice(&self, _notice: &Notice) {}
}

impl<F: Fn(u64) -> ControlFlow<()> + Send + Sync> Observer for F {}

/// What was noticed of a file when it was opened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A checkpoint was opened, and what it holds is known.
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What it is.
        kind: String,
        /// How many tensors it has.
        tensors: usize,
        /// Its length.
        bytes: u64,
    },
    /// A folder was named, and this file in it was opened.
    Opened(PathBuf),
    /// Files of weights in the folder that are not part of the checkpoint.
    Strays(Vec<String>),
    /// Tensors that are not whole, and are left out.
    LeftOut(Vec<LeftOut>),
    /// What no file of the checkpoint says and the others lead to, in a sentence.
    Inferred(String),
    /// An edit of the file was interrupted.
    Interrupted(Interrupted),
    /// Of several state dicts one was taken, since none was named.
    Choice {
        /// The file.
        file: PathBuf,
        /// What was taken and what not.
        choice: crate::jobs::choice::Choice,
        /// Which of the files of the request it is.
        of: crate::jobs::choice::Role,
    },
    /// A pattern of the request matches no key.
    UnusedPattern {
        /// The field of the request that has the pattern: `drop`, `init`, `resize`.
        field: &'static str,
        /// The pattern.
        pattern: String,
        /// What was probably meant.
        meant: Option<String>,
    },
}

/// An observer that lets everything happen.
pub fn silent() -> Arc<dyn Observer> {
    Arc::new(|_| ControlFlow::Continue(()))
}
