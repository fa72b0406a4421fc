//! Where elements are stored unchanged in a file.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use crate::source::{Backed, FileSource};

/// Elements that a file holds as [`Checkpoint::read`](crate::Checkpoint::read) would give them:
/// row-major, little-endian, side by side.
///
/// The file is the one that was opened, even if another one is at its path by now. Whoever maps it
/// must make sure that nobody edits it meanwhile.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The file, which for a sharded checkpoint is one of several.
    pub file: Arc<File>,
    /// Where in the file the elements are.
    pub range: Range<u64>,
}

impl Stored {
    /// A range of a checkpoint's source, if it is read from a file as it is.
    pub(super) fn of(source: &FileSource, range: Range<u64>) -> Option<Stored> {
        let (file, start) = source.file_at(range.start)?;
        Some(Stored { file, range: range.start - start..range.end - start })
    }
}
