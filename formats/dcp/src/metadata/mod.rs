//! The catalog of a distributed checkpoint: what `.metadata` says there is, and where.
//!
//! Source: `torch/distributed/checkpoint/metadata.py` and `filesystem.py`, torch 2.0 to 2.15.

mod admitted;
mod extract;
mod names;

use std::borrow::Cow;
use std::sync::Arc;

use statedict_core::{DType, Fault, IndexMap, IndexSet, Rectangle, Source, Step, Tensor};

pub use admitted::is_admitted;
pub(crate) use names::{Meaning, meanings};

use crate::pickle::follow;

/// What one metadata file says, or all of them together.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    /// Everything that was saved, under its name, in the order of the saved plan.
    pub(crate) entries: IndexMap<Arc<str>, Entry>,
    /// The path of each name in the nested state dict; none where names are keys at the root.
    pub(crate) paths: IndexMap<Arc<str>, Vec<Step>>,
    /// The data files, by the numbers that items have for them.
    pub(crate) files: IndexSet<Arc<str>>,
}

/// Something that was saved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Tensor(Chunked),
    /// Anything else, pickled by itself.
    Object(Item),
}

/// A tensor in chunks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunked {
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<u64>,
    pub(crate) chunks: Vec<Chunk>,
}

/// A rectangle of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) at: Box<[u64]>,
    pub(crate) size: Box<[u64]>,
    /// Where it is; none if no file is said to have it.
    pub(crate) item: Option<Item>,
}

/// A range of a data file that holds one chunk or object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// The number of the file.
    pub(crate) file: usize,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// How it was transformed when it was saved, in the order in which to undo that.
    pub(crate) transforms: Arc<[Arc<str>]>,
}

impl Metadata {
    /// Reads one metadata file.
    ///
    /// # Errors
    /// What is wrong with it, and what it names that no checkpoint needs.
    pub(crate) fn read(source: &dyn Source) -> Result<Metadata, Fault> {
        let built = follow(source, is_admitted)?;
        extract::metadata(&built)
    }

    /// The path of a name, which is a key at the root if nothing else is known.
    pub(crate) fn path(&self, name: &str) -> Cow<'_, [Step]> {
        match self.paths.get(name) {
            Some(path) => Cow::Borrowed(path),
            None => Cow::Owned(vec![Step::key(name)]),
        }
    }

    /// Adds what the metadata of another rank says, which was saved without collectives: each
    /// describes its own chunks alone, and those that are the same are replicas.
    ///
    /// # Errors
    /// Ranks that do not agree on what a name is.
    pub(crate) fn merge(&mut self, other: Metadata) -> Result<(), Fault> {
        let files: Vec<usize> =
            other.files.into_iter().map(|file| self.files.insert_full(file).0).collect();
        for (name, mut entry) in other.entries {
            entry.renumber(&files);
            match (self.entries.get_mut(&name), entry) {
                (None, entry) => drop(self.entries.insert(name, entry)),
                (Some(Entry::Object(_)), Entry::Object(_)) => {}
                (Some(Entry::Tensor(own)), Entry::Tensor(other)) if own.is_like(&other) => {
                    own.add(other);
                }
                _ => {
                    let what = format!("the metadata files do not agree on what '{name}' is");
                    return Err(Fault::broken(what));
                }
            }
        }
        for (name, path) in other.paths {
            self.paths.entry(name).or_insert(path);
        }
        Ok(())
    }
}

impl Chunked {
    fn is_like(&self, other: &Chunked) -> bool {
        self.dtype == other.dtype && self.shape == other.shape
    }

    fn add(&mut self, other: Chunked) {
        let own: IndexSet<(&[u64], &[u64])> =
            self.chunks.iter().map(|chunk| (&*chunk.at, &*chunk.size)).collect();
        let is_new = |chunk: &Chunk| !own.contains(&(&*chunk.at, &*chunk.size));
        let new: Vec<Chunk> = other.chunks.into_iter().filter(is_new).collect();
        self.chunks.extend(new);
    }
}

impl Entry {
    /// The number of the file with its first chunk, if it is a tensor.
    pub(crate) fn first_file(&self) -> Option<usize> {
        match self {
            Entry::Object(_) => None,
            Entry::Tensor(tensor) => {
                tensor.chunks.iter().find_map(|chunk| Some(chunk.item.as_ref()?.file))
            }
        }
    }

    /// Gives the files of its items other numbers.
    fn renumber(&mut self, files: &[usize]) {
        let renumber = |item: &mut Item| item.file = files[item.file];
        match self {
            Entry::Object(item) => renumber(item),
            Entry::Tensor(tensor) => {
                tensor.chunks.iter_mut().filter_map(|chunk| chunk.item.as_mut()).for_each(renumber);
            }
        }
    }
}

impl Chunked {
    /// How many elements it has.
    pub(crate) fn count(&self) -> u64 {
        Tensor::unlocated(self.dtype.clone(), self.shape.clone()).count()
    }
}

impl Chunk {
    /// What it covers.
    pub(crate) fn rectangle(&self) -> Rectangle<'_> {
        Rectangle { at: &self.at, size: &self.size }
    }

    /// True if it has no elements.
    pub(crate) fn is_empty(&self) -> bool {
        self.size.contains(&0)
    }
}
