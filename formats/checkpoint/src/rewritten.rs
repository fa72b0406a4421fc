//! What a checkpoint becomes: one file, or shards with their index.

use statedict_core::{Layout, Plan};

use crate::index::Index;

/// The files that a checkpoint is to become, laid out and not yet written.
#[derive(Debug)]
pub struct Rewritten(pub(crate) Files);

/// One file, or several in a folder.
#[derive(Debug)]
pub(crate) enum Files {
    /// A file of its own; with the plan, if it is the old file with other keys.
    One { layout: Layout, plan: Option<Plan> },
    /// Files in a folder.
    Folder(Vec<NewFile>),
    /// Files in a folder, with the index that names them.
    Shards {
        files: Vec<NewFile>,
        index_name: String,
        index: Box<Index>,
        /// Files of the old checkpoint that the new index names no more.
        gone: Vec<String>,
    },
}

/// A file of a folder.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(crate) name: String,
    pub(crate) layout: Layout,
    /// It differs from the file it replaces.
    pub(crate) changed: bool,
}

impl From<Layout> for Rewritten {
    fn from(layout: Layout) -> Rewritten {
        Rewritten(Files::One { layout, plan: None })
    }
}

impl Rewritten {
    /// Bytes of all files, the index excepted.
    pub fn len(&self) -> u64 {
        match &self.0 {
            Files::One { layout, .. } => layout.len(),
            Files::Folder(files) | Files::Shards { files, .. } => {
                files.iter().map(|file| file.layout.len()).sum()
            }
        }
    }

    /// True if the files have no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many files there are, the index excepted.
    pub fn files(&self) -> usize {
        match &self.0 {
            Files::One { .. } => 1,
            Files::Folder(files) | Files::Shards { files, .. } => files.len(),
        }
    }

    pub(crate) fn layouts(&self) -> impl Iterator<Item = &Layout> {
        let (one, files) = match &self.0 {
            Files::One { layout, .. } => (Some(layout), &[][..]),
            Files::Folder(files) | Files::Shards { files, .. } => (None, files.as_slice()),
        };
        one.into_iter().chain(files.iter().map(|file| &file.layout))
    }
}
