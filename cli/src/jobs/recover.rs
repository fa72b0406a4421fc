//! Files whose editing in place was interrupted become whole.

use std::path::PathBuf;
use std::sync::Arc;

use statedict_checkpoint::{Interrupted, Journals, recover};

use crate::jobs::error::Error;
use crate::jobs::observer::Observer;

/// Restores a file whose editing in place was interrupted, by a crash or a kill, or the files of a
/// checkpoint.
#[derive(Clone, Debug)]
pub struct Recover {
    /// The file, or the folder or index of several.
    pub file: PathBuf,
    /// Which journals are used.
    pub journals: Journals,
}

/// What was found of each file, and what was done about it; nothing if no edit was interrupted.
pub type Outcome = Vec<Interrupted>;

impl Default for Recover {
    fn default() -> Recover {
        Recover { file: PathBuf::new(), journals: Journals::Own }
    }
}

impl Recover {
    /// Restores it, if there is something to restore.
    ///
    /// # Errors
    /// What keeps the file from being restored.
    pub fn run(&self, _observer: &Arc<dyn Observer>) -> Result<Outcome, Error> {
        Ok(recover(&self.file, self.journals)?)
    }
}
