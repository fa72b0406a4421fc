//! What is said of edits that were interrupted.

use std::fmt;
use std::path::{Path, PathBuf};

/// What was found of an edit that was interrupted; its text is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// The file is read as it was before, through the journal of the edit.
    Pending {
        /// The file.
        file: PathBuf,
    },
    /// The file was restored as it was before.
    Restored {
        /// The file.
        file: PathBuf,
    },
    /// The file is read as its edit, which is all but over, makes it: the manifest of the checkpoint
    /// that it is part of has changed already.
    Decided {
        /// The file.
        file: PathBuf,
    },
    /// The edit of the file was finished.
    Finished {
        /// The file.
        file: PathBuf,
    },
    /// The edit did not begin; its unfinished journal was removed.
    Discarded {
        /// The file.
        file: PathBuf,
    },
    /// There is a journal that would change what is read, and need not be this user's.
    Untrusted {
        /// The journal.
        journal: PathBuf,
        /// Why.
        why: String,
    },
    /// There is a journal that is not believed; the file is read as it is.
    Ignored {
        /// The journal.
        journal: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl Interrupted {
    /// The file, or its journal if that is not used.
    pub fn file(&self) -> &Path {
        match self {
            Interrupted::Pending { file }
            | Interrupted::Restored { file }
            | Interrupted::Decided { file }
            | Interrupted::Finished { file }
            | Interrupted::Discarded { file } => file,
            Interrupted::Untrusted { journal, .. } | Interrupted::Ignored { journal, .. } => {
                journal
            }
        }
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = self.file().display();
        match self {
            Interrupted::Pending { .. } => {
                write!(f, "found an interrupted edit of '{named}'; reading the original")
            }
            Interrupted::Restored { .. } => {
                write!(f, "found an interrupted edit of '{named}'; restored the original")
            }
            Interrupted::Decided { .. } => write!(
                f,
                "found an edit of '{named}' that was interrupted at its end; reading the new file"
            ),
            Interrupted::Finished { .. } => {
                write!(f, "found an edit of '{named}' that was interrupted at its end; finished it")
            }
            Interrupted::Discarded { .. } => write!(
                f,
                "found an edit of '{named}' that was interrupted before it began; the file is whole"
            ),
            Interrupted::Untrusted { why, .. } => {
                write!(f, "the journal '{named}' is not trusted: {why}")
            }
            Interrupted::Ignored { why, .. } => {
                write!(f, "the journal '{named}' is ignored: {why}")
            }
        }
    }
}
