//! The index of a folder of shards, made or corrected.

use std::path::PathBuf;
use std::sync::Arc;

use statedict_checkpoint::{Disk, Existing, Indexing, NewIndex, System, index_folder};

use crate::jobs::error::Error;
use crate::jobs::observer::Observer;

/// Makes the index of a folder of shards, or corrects it.
#[derive(Clone, Debug)]
pub struct Index {
    /// The folder.
    pub folder: PathBuf,
    /// The names of the shards; none for those whose names make them one series.
    pub files: Vec<String>,
    /// What to do with an index that says something else.
    pub existing: Existing,
    /// Do all but the writing.
    pub dry_run: bool,
}

/// What was found, and whether it was written.
pub struct Outcome {
    /// The index that fits the shards, and what it replaces.
    pub index: NewIndex,
    /// It was written.
    pub written: bool,
    /// It was to be written and was not, since there is another that is not to be replaced.
    pub blocked: bool,
}

impl Default for Index {
    fn default() -> Index {
        let (folder, files) = (PathBuf::new(), Vec::new());
        Index { folder, files, existing: Existing::Refuse, dry_run: false }
    }
}

impl Index {
    /// Makes it, and writes it where that is wanted.
    ///
    /// # Errors
    /// A folder whose files are not shards of one checkpoint, and what keeps it from being written.
    pub fn run(&self, _observer: &Arc<dyn Observer>) -> Result<Outcome, Error> {
        let index = index_folder(&self.folder, &self.files)?;
        let wanted = !self.dry_run && index.replaces != Indexing::Same;
        let in_the_way = index.replaces != Indexing::Nothing && self.existing == Existing::Refuse;
        let written = wanted && !in_the_way;
        if written {
            let disk: Arc<dyn Disk> = Arc::new(System);
            index.stage(self.existing, &disk)?.commit()?;
        }
        Ok(Outcome { index, written, blocked: wanted && in_the_way })
    }
}
