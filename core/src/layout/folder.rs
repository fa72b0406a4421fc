//! Checkpoints of several files in a folder.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{
    Container, Fault, Format, Manner, Opened, PendingFiles, Plan, Section, Source, TensorSet,
    UnsupportedTensors,
};

/// The files of one folder, by their names: a directory, one day what begins alike in a bucket.
///
/// The names of files in folders below have `/` in them.
pub trait Store: Send + Sync {
    /// The names of the files in the folder itself.
    ///
    /// # Errors
    /// What keeps the folder from being read.
    fn list(&self) -> Result<Vec<String>, Fault>;

    /// True if there is a file of this name, in the folder or below.
    fn has(&self, name: &str) -> bool;

    /// All the bytes of a file that is not part of the tensors, such as an index.
    ///
    /// # Errors
    /// What keeps it from being read; [`Fault::TooLarge`] if it has more than `limit` bytes.
    fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, Fault>;

    /// Opens a file, of which tensors are read later.
    ///
    /// # Errors
    /// What keeps it from being opened.
    fn open(&self, name: &str) -> Result<StoreFile, Fault>;
}

/// An opened file of a [`Store`].
pub struct StoreFile {
    /// Where it starts in the checkpoint's address space, in which files lie end to end in the
    /// order in which they are opened.
    pub start: u64,
    /// Its bytes, counted from its own first one.
    pub source: Box<dyn Source>,
}

/// How checkpoints are opened that are several files in a folder, of which one, the manifest, leads
/// to the others.
pub trait FolderFormat: Sync {
    /// What one of its manifests is called in messages: `index`.
    fn manifest(&self) -> &'static str;

    /// True if a file of this name is the manifest of such a checkpoint.
    fn is_manifest(&self, name: &str) -> bool;

    /// The files that a manifest leads to, in order.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    fn files(&self, store: &dyn Store, manifest: &str) -> Result<Vec<String>, Fault>;

    /// Opens a checkpoint; tensor bytes are never read.
    ///
    /// # Errors
    /// What is wrong with the manifest or a file, and every way in which they disagree.
    fn open(&self, store: &dyn Store, manifest: &str) -> Result<Box<dyn Folder>, Fault>;
}

/// An opened checkpoint of several files.
pub trait Folder: Send + Sync {
    /// What the files hold together; its tensors have places in the address space.
    fn opened(&self) -> &dyn Opened;

    /// The format of what it is rewritten as, which says what it can hold.
    fn format(&self) -> &'static dyn Format;

    /// Its files by name, in the order in which they lie in the address space, and after them those
    /// that hold no tensors.
    fn files(&self) -> Vec<&str>;

    /// The file that starts here in the address space, where it is one that can be
    /// [rewritten in place](Container::rewrite_in_place).
    fn container_at(&self, _start: u64) -> Option<&dyn Container> {
        None
    }

    /// The same files with other keys, everything else as it was.
    ///
    /// # Errors
    /// What stands in the way.
    fn rewrite(&self, plan: &Plan, manner: Manner) -> Result<PendingFiles, Fault>;

    /// The tensors written again, in as many files as there are; `section` says which key each
    /// tensor has now.
    ///
    /// # Errors
    /// Every tensor that the format cannot hold.
    fn encode(
        &self,
        contents: TensorSet,
        section: &Section,
    ) -> Result<PendingFiles, UnsupportedTensors>;
}
