//! What a file format provides.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use crate::{
    Container, Fault, Finding, FolderFormat, PendingFiles, Source, TensorSet, UnsupportedTensors,
};

/// How the files of a sharded checkpoint are named: `model-00001-of-00002.safetensors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardNames {
    /// The name of the kind of checkpoint, as `ls --json` gives it.
    pub kind: &'static str,
    /// What comes before the number.
    pub stem: &'static str,
    /// The ending, without the dot.
    pub extension: &'static str,
}

/// What is known of a format, whatever a file of it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The name that reports use, such as `safetensors`.
    pub name: &'static str,
    /// File name endings that ask for this format to be written, without the dot; the usual one
    /// first.
    pub extensions: &'static [&'static str],
    /// How its files are named where a checkpoint is spread over several; `None` if loaders know no
    /// such checkpoints.
    pub shard_names: Option<ShardNames>,
    /// True if several keys of one file can share their elements, so that ties need not be written
    /// out.
    pub shares_elements: bool,
    /// True if the order of keys in a file means something, and is not how it was written by chance.
    pub orders_keys: bool,
    /// True if a file can hold anything beside tensors: numbers, texts, containers, objects.
    pub holds_objects: bool,
    /// True if a file says which version of its code each module had.
    pub versions_modules: bool,
    /// True if [`Container::rewrite`] follows plans that cast tensors, with everything beside them
    /// as it was; otherwise the tensors are encoded again.
    pub casts_in_files: bool,
    /// True if a file has a place for metadata: text under names, beside the tensors.
    pub holds_metadata: bool,
    /// True if a key that shares another key's elements is recorded in the metadata.
    pub records_ties: bool,
    /// True if new checkpoints are folders: files of tensors, and one that leads to them.
    pub writes_folders: bool,
}

impl Facts {
    /// A format that holds tensors under keys, and nothing else.
    pub const fn of_tensors(name: &'static str, extensions: &'static [&'static str]) -> Facts {
        Facts {
            name,
            extensions,
            shard_names: None,
            shares_elements: false,
            orders_keys: false,
            holds_objects: false,
            versions_modules: false,
            casts_in_files: false,
            holds_metadata: false,
            records_ties: false,
            writes_folders: false,
        }
    }
}

/// A kind of checkpoint: how to open one, and how to lay out a new one.
pub trait Format: Sync {
    /// What is known of all its files.
    fn facts(&self) -> &'static Facts;

    /// The name that reports use, such as `safetensors`.
    fn name(&self) -> &'static str {
        self.facts().name
    }

    /// Reads what the file holds; `None` if the bytes are those of another format, as every single
    /// file is to a format whose checkpoints are folders alone.
    ///
    /// Tensor bytes are never read.
    ///
    /// # Errors
    /// What is wrong with a file that is of this format.
    fn open(&self, _source: &dyn Source) -> Result<Option<Box<dyn Container>>, Fault> {
        Ok(None)
    }

    /// What is wrong with a file of this format that opens all the same: what readers pass over, and
    /// what its usual loader fails on. Nothing of files of other formats.
    ///
    /// `name` is what the file is called, if it is called something.
    ///
    /// # Errors
    /// Only what keeps the bytes from being read.
    fn examine(&self, _source: &dyn Source, _name: &str) -> Result<Vec<Finding>, Fault> {
        Ok(Vec::new())
    }

    /// How its checkpoints are opened that are folders of several files; `None` if it has no such
    /// checkpoints of its own.
    fn folders(&self) -> Option<&dyn FolderFormat> {
        None
    }

    /// Lays out a new checkpoint, if checkpoints of this format are not only read.
    ///
    /// # Errors
    /// Every tensor that the format cannot hold.
    fn encode(&self, contents: &TensorSet) -> Result<PendingFiles, UnsupportedTensors> {
        let why = format!("{} checkpoints are read and not written", self.name());
        Err(UnsupportedTensors::none_written(contents, why))
    }

    /// Lays out a new checkpoint that is a folder, with these tensors in one file each, if the
    /// format [writes folders](Facts::writes_folders).
    ///
    /// # Errors
    /// Every tensor that the format cannot hold.
    fn encode_files(&self, files: &[TensorSet]) -> Result<PendingFiles, UnsupportedTensors> {
        let why = format!("{} checkpoints are not spread over several files", self.name());
        let none = TensorSet::default();
        Err(UnsupportedTensors::none_written(files.first().unwrap_or(&none), why))
    }
}
