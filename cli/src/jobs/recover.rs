//! A file whose editing in place was interrupted becomes what it was.

use std::path::PathBuf;
use std::sync::Arc;

use statedict_checkpoint::{Interrupted, Journals, recover};

use crate::jobs::error::Error;
use crate::jobs::observer::Observer;

/// Restores a file whose editing in place was interrupted, by a crash or a kill.
#[derive(Clone, Debug)]
pub struct Recover {
    /// The file.
    pub file: PathBuf,
    /// Which journals are used.
    pub journals: Journals,
}

/// What was found, and what was done about it; none if no edit was interrupted.
pub type Outcome = Option<Interrupted>;

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
