//! Checkpoints of several files in a folder.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{
    Container, Fault, Finding, Format, Location, Manner, Opened, PendingFiles, Plan, Section,
    Source, Template, TensorSet, UnsupportedTensors,
};

/// The files of one folder, by their names: a directory, one day what begins alike in a bucket.
///
/// The names of files in folders below have `/` in them.
pub trait Store: Send + Sync {
    /// The names of the files in the folder itself.
    ///
    /// # Errors
    /// What keeps the folder from being read.
    fn list(&self) -> Result<Vec<String>, Fault> {
        self.list_in("")
    }

    /// The names of the files in a folder below; the empty name is the folder itself.
    ///
    /// # Errors
    /// What keeps that folder from being read.
    fn list_in(&self, folder: &str) -> Result<Vec<String>, Fault>;

    /// The names of the folders in a folder below, or in the folder itself.
    ///
    /// # Errors
    /// What keeps that folder from being read.
    fn folders_in(&self, folder: &str) -> Result<Vec<String>, Fault>;

    /// True if there is a file of this name, in the folder or below.
    fn has(&self, name: &str) -> bool;

    /// True if a file is a link that leads out of the folder to somewhere other than a file that
    /// does belong to it, `manifest`: hub caches link every file of a checkpoint to one place.
    fn leads_out(&self, _name: &str, _manifest: &str) -> bool {
        false
    }

    /// How many bytes a file has, without opening it.
    ///
    /// # Errors
    /// What keeps it from being looked at.
    fn length(&self, name: &str) -> Result<u64, Fault> {
        Ok(self.open(name)?.source.len())
    }

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

/// How a checkpoint of several files is to be opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// How much is looked up.
    pub depth: Depth,
    /// What happens to tensors some of whose elements are missing.
    pub incomplete: Incomplete,
    /// Along which dimension tensors were cut where no file says so; the first that matches decides.
    pub cuts: Vec<Cut>,
    /// The names and shapes of the model's tensors in its order, where a checkpoint has several
    /// parameters as one vector.
    pub shapes: Vec<(String, Vec<u64>)>,
    /// Which of the copies of its parameters are taken.
    pub which: Which,
}

impl Opening {
    /// Along which dimension the user says that a tensor was cut.
    pub fn cut(&self, key: &str) -> Option<usize> {
        self.cuts.iter().find(|cut| cut.pattern.matches(key)).map(|cut| cut.dimension)
    }
}

/// Which parameters are taken of a checkpoint that has them twice: as the optimizer has them, and as
/// the model computed with them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Which {
    /// The optimizer's, in full precision, with its moments.
    #[default]
    Masters,
    /// The model's own, for which no file of the optimizer is read.
    Module,
}

/// Along which dimension the tensors were cut whose keys match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The keys.
    pub pattern: Template,
    /// The dimension, counted from 0.
    pub dimension: usize,
}

/// How much of a checkpoint is looked up when it is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// The places of all elements.
    #[default]
    Elements,
    /// What a listing shows, which a format may know without a look at the files of the elements;
    /// tensors may be [unlocated](crate::Data::Unlocated).
    Listing,
}

/// What happens to tensors some of whose elements are missing, or contradict what is said of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Incomplete {
    /// The checkpoint is refused.
    #[default]
    Refused,
    /// They are left out of what is opened.
    LeftOut,
}

/// A tensor that was left out, since it is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The path to it, joined by `/`.
    pub path: String,
    /// What is wrong with it.
    pub why: String,
}

/// How checkpoints are opened that are several files in a folder, of which one, the manifest, leads
/// to the others.
pub trait FolderFormat: Sync {
    /// What such a checkpoint is called in messages: `sharded checkpoint`.
    fn kind(&self) -> &'static str;

    /// What one of its manifests is called in messages: `index`.
    fn manifest(&self) -> &'static str;

    /// True if a file of this name is the manifest of such a checkpoint.
    fn is_manifest(&self, name: &str) -> bool;

    /// The manifests among the names of a folder's files, one for each checkpoint of this kind;
    /// names that end with a slash are those of folders in it.
    ///
    /// # Errors
    /// Files of such a checkpoint, but nothing that leads to them.
    fn manifests_among(&self, names: &[String]) -> Result<Vec<String>, Fault> {
        Ok(names.iter().filter(|name| self.is_manifest(name)).cloned().collect())
    }

    /// True if a file of this name may be all that is left of such a checkpoint, which
    /// [`manifests_among`](Self::manifests_among) leaves out since what is in it has to say so.
    fn may_be_the_last_of(&self, _name: &str) -> bool {
        false
    }

    /// A folder below in which the files of such a checkpoint may be, with what else there is of it
    /// beside that folder.
    fn subfolder(&self) -> Option<&'static str> {
        None
    }

    /// What a checkpoint is called among several of its kind in one folder; none where there is
    /// only one.
    fn title<'n>(&self, _manifest: &'n str) -> Option<&'n str> {
        None
    }

    /// The files that a manifest leads to, in order.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    fn files(&self, store: &dyn Store, manifest: &str) -> Result<Vec<String>, Fault>;

    /// What is wrong with a manifest that can be read all the same, and what its usual loader would
    /// run of it.
    ///
    /// # Errors
    /// Only what keeps it from being read.
    fn examine(&self, _store: &dyn Store, _manifest: &str) -> Result<Vec<Finding>, Fault> {
        Ok(Vec::new())
    }

    /// What is in the files that a manifest leads to, where files are not checked as a whole.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    fn parts(&self, _store: &dyn Store, _manifest: &str) -> Result<Vec<FilePart>, Fault> {
        Ok(Vec::new())
    }

    /// Opens a checkpoint; tensor bytes are never read.
    ///
    /// # Errors
    /// What is wrong with the manifest or a file, and every way in which they disagree.
    fn open(
        &self,
        store: &dyn Store,
        manifest: &str,
        opening: &Opening,
    ) -> Result<Box<dyn Folder>, Fault>;
}

/// Something inside a file of a folder that is checked by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePart {
    /// The file's name in the folder.
    pub file: String,
    /// Where it is in the file; what is packed has this many bytes at most.
    pub location: Location,
    /// What it is called in messages.
    pub name: String,
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

    /// Tensors that were left out, since they are not whole.
    fn left_out(&self) -> &[LeftOut] {
        &[]
    }

    /// What no file says and the others lead to, in a sentence; `None` if they say it all.
    fn inferred(&self) -> Option<&str> {
        None
    }

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
