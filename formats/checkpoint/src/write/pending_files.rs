//! What a checkpoint becomes: one file, or shards with their index.

use statedict_core::{Container, Fault, Headroom, Layout, Plan};

use crate::shards::index::Index;

/// The files that a checkpoint is to become, laid out and not yet written.
#[derive(Debug)]
pub struct PendingFiles(pub(crate) Files);

/// One file, or several in a folder.
#[derive(Debug)]
pub(crate) enum Files {
    /// A file of its own.
    One { layout: Layout, renamed: Option<Renamed> },
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

/// What a new file is, if it is an old one with other keys.
#[derive(Debug)]
pub(crate) struct Renamed {
    /// Where the old file starts in the checkpoint's source.
    pub(crate) start: u64,
    pub(crate) plan: Plan,
}

/// How a file that gets other keys is written, and the room it leaves for longer ones.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    /// In the words it has.
    Kept(Headroom),
    /// In words that loaders read by default.
    Plain(Headroom),
}

impl Manner {
    /// The file of a container that starts at `start` in the checkpoint's source, with other keys.
    pub(crate) fn rewrite(
        self,
        container: &dyn Container,
        start: u64,
        plan: Plan,
    ) -> Result<(Layout, Option<Renamed>), Fault> {
        Ok(match self {
            Manner::Kept(reserve) => {
                (container.rewrite(&plan, reserve)?, Some(Renamed { start, plan }))
            }
            Manner::Plain(reserve) => (container.rewrite_plainly(&plan, reserve)?, None),
        })
    }
}

/// A file of a folder.
#[derive(Debug)]
pub(crate) struct NewFile {
    pub(crate) name: String,
    pub(crate) layout: Layout,
    pub(crate) renamed: Option<Renamed>,
    /// It differs from the file it replaces.
    pub(crate) changed: bool,
}

impl From<Layout> for PendingFiles {
    fn from(layout: Layout) -> PendingFiles {
        PendingFiles(Files::One { layout, renamed: None })
    }
}

impl PendingFiles {
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

    /// The same in a folder, where a file of its own gets this name.
    pub fn in_folder(self, name: String) -> PendingFiles {
        PendingFiles(match self.0 {
            Files::One { layout, renamed } => {
                Files::Folder(vec![NewFile { name, layout, renamed, changed: true }])
            }
            several => several,
        })
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
