//! What a checkpoint becomes: one file, or several in a folder.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;

use crate::{Container, Fault, Headroom, Layout, Plan};

/// The files that a checkpoint is to become, laid out and not yet written.
#[derive(Debug)]
pub enum PendingFiles {
    /// A file of its own.
    File {
        /// What it consists of.
        layout: Layout,
        /// The old file with other keys, if it is that.
        renamed: Option<Renamed>,
    },
    /// Files in a folder.
    Folder {
        /// All but the manifest.
        files: Vec<NewFile>,
        /// What leads to them, which is written after them; `None` if nothing does.
        manifest: Option<Box<dyn Manifest>>,
        /// Files of the old checkpoint that nothing leads to any more.
        gone: Vec<String>,
    },
}

/// A file of a folder.
#[derive(Debug)]
pub struct NewFile {
    /// Its name in the folder.
    pub name: String,
    /// What it consists of.
    pub layout: Layout,
    /// The old file with other keys, if it is that.
    pub renamed: Option<Renamed>,
    /// True if it differs from the file that it replaces.
    pub changed: bool,
}

/// An old file with other keys.
#[derive(Debug)]
pub struct Renamed {
    /// Where the old file starts in the checkpoint's address space.
    pub start: u64,
    /// The new keys.
    pub plan: Plan,
}

/// The file of a folder that leads to the others.
pub trait Manifest: Debug + Send + Sync {
    /// Its name in the folder.
    fn name(&self) -> &str;

    /// Says that a file has another name than the one it was laid out under.
    fn rename_file(&mut self, from: &str, to: &str);

    /// The bytes that it consists of.
    fn to_bytes(&self) -> Vec<u8>;

    /// A copy of its own.
    fn boxed(&self) -> Box<dyn Manifest>;
}

/// How a file that gets other keys is written, and the room it leaves for longer ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// In the words it has.
    Kept(Headroom),
    /// In words that loaders read by default.
    Plain(Headroom),
}

impl Manner {
    /// The file of a container that starts at `start` in the checkpoint's address space, with other
    /// keys.
    ///
    /// # Errors
    /// As [`Container::rewrite`].
    pub fn rewrite(
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

impl From<Layout> for PendingFiles {
    fn from(layout: Layout) -> PendingFiles {
        PendingFiles::File { layout, renamed: None }
    }
}

impl PendingFiles {
    /// Bytes of all files, the manifest excepted.
    pub fn len(&self) -> u64 {
        self.layouts().map(Layout::len).sum()
    }

    /// True if the files have no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same in a folder, where a file of its own gets this name.
    #[must_use]
    pub fn in_folder(self, name: String) -> PendingFiles {
        match self {
            PendingFiles::File { layout, renamed } => {
                let file = NewFile { name, layout, renamed, changed: true };
                PendingFiles::Folder { files: [file].into(), manifest: None, gone: Vec::new() }
            }
            folder => folder,
        }
    }

    /// The layout of a file of its own; `None` for files in a folder.
    pub fn into_layout(self) -> Option<Layout> {
        match self {
            PendingFiles::File { layout, .. } => Some(layout),
            PendingFiles::Folder { .. } => None,
        }
    }

    /// How many files there are, the manifest excepted.
    pub fn files(&self) -> usize {
        self.layouts().count()
    }

    /// The layouts of all files but the manifest.
    pub fn layouts(&self) -> impl Iterator<Item = &Layout> {
        let (one, files) = match self {
            PendingFiles::File { layout, .. } => (Some(layout), &[][..]),
            PendingFiles::Folder { files, .. } => (None, files.as_slice()),
        };
        one.into_iter().chain(files.iter().map(|file| &file.layout))
    }
}
