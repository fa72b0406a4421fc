//! What a file format provides.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;
use core::ops::Range;

use thiserror::Error;

use crate::{
    Catalog, Headroom, Layout, Mentions, Plan, Section, TensorSet, UnsupportedTensors, Value,
    objects::Objects,
};

/// Bytes at known places: a slice, a file, one day a remote object.
pub trait Source: Send + Sync {
    /// How many bytes there are.
    fn len(&self) -> u64;

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// [`Fault::Malformed`] if the bytes end before the buffer is full.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault>;

    /// True if there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of a range, checked against the length before any memory is taken.
    fn bytes(&self, range: Range<u64>) -> Result<Vec<u8>, Fault> {
        let within = range.start <= range.end && range.end <= self.len();
        let Some(len) = within.then(|| range.end - range.start) else {
            let what = alloc::format!(
                "bytes {}..{} are needed and the file ends at {}",
                range.start,
                range.end,
                self.len()
            );
            return Err(Fault::malformed(range.start, what));
        };
        let len = usize::try_from(len)
            .map_err(|_| Fault::too_large(range.start, "a range beyond memory"))?;
        let mut buffer = alloc::vec![0; len];
        self.read_at(range.start, &mut buffer)?;
        Ok(buffer)
    }
}

impl Source for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        let start = usize::try_from(offset).ok();
        let end = start.and_then(|start| start.checked_add(buffer.len()));
        match start.zip(end).and_then(|(start, end)| self.get(start..end)) {
            Some(bytes) => {
                buffer.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(Fault::malformed(offset, "the file ends too early")),
        }
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn len(&self) -> u64 {
        S::len(self)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        S::read_at(self, offset, buffer)
    }
}

/// Why a file cannot be read, or not be rewritten.
///
/// Broken, unsupported and too large are different answers.
#[derive(Debug, Error)]
pub enum Fault {
    /// The file contradicts itself or its format.
    #[error("{}{what}", At(*.at))]
    Malformed {
        /// Where, in bytes from the start of the file, if that is known.
        at: Option<u64>,
        /// What was found and what was expected.
        what: String,
    },
    /// The file is sound, and this program cannot do that with it.
    #[error("{0}")]
    Unsupported(String),
    /// The file is beyond a limit of the reader.
    #[error("{}{what}", At(*.at))]
    TooLarge {
        /// Where, in bytes from the start of the file, if that is known.
        at: Option<u64>,
        /// Which limit.
        what: String,
    },
    /// The bytes could not be read at all.
    #[error("{0}")]
    Unreadable(Box<dyn Error + Send + Sync>),
}

impl Fault {
    /// A contradiction at a byte of the file.
    pub fn malformed(at: u64, what: impl Into<String>) -> Fault {
        Fault::Malformed { at: Some(at), what: what.into() }
    }

    /// A contradiction that has no one place.
    pub fn broken(what: impl Into<String>) -> Fault {
        Fault::Malformed { at: None, what: what.into() }
    }

    /// A limit crossed at a byte of the file.
    pub fn too_large(at: u64, what: impl Into<String>) -> Fault {
        Fault::TooLarge { at: Some(at), what: what.into() }
    }
}

struct At(Option<u64>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(at) => write!(f, "at byte {at}: "),
            None => Ok(()),
        }
    }
}

/// How the files of a sharded checkpoint are named: `model-00001-of-00002.safetensors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardNames {
    /// What comes before the number.
    pub stem: &'static str,
    /// The ending, without the dot.
    pub extension: &'static str,
}

/// A kind of file: how to open one, and how to lay out a new one.
pub trait Format: Sync {
    /// The name that reports use, such as `safetensors`.
    fn name(&self) -> &'static str;

    /// File name endings that ask for this format to be written, without the dot; the usual one
    /// first.
    fn extensions(&self) -> &'static [&'static str];

    /// How its files are named where a checkpoint is spread over several; `None` if loaders know no
    /// such checkpoints.
    fn shard_names(&self) -> Option<ShardNames> {
        None
    }

    /// True if several keys of one file can share their elements, so that ties need not be written
    /// out.
    fn shares_elements(&self) -> bool {
        false
    }

    /// True if the order of keys in a file means something, and is not how it was written by chance.
    fn orders_keys(&self) -> bool {
        false
    }

    /// True if a file can hold anything beside tensors: numbers, texts, containers, objects.
    fn holds_objects(&self) -> bool {
        false
    }

    /// True if a file says which version of its code each module had.
    fn versions_modules(&self) -> bool {
        false
    }

    /// True if [`Container::rewrite`] follows plans that cast tensors, with everything beside them
    /// as it was; otherwise the tensors are encoded again.
    fn casts_in_files(&self) -> bool {
        false
    }

    /// True if a file has a place for metadata: text under names, beside the tensors.
    fn holds_metadata(&self) -> bool {
        false
    }

    /// True if a key that shares another key's elements is recorded in the metadata.
    fn records_ties(&self) -> bool {
        false
    }

    /// Reads what the file holds; `None` if the bytes are those of another format.
    ///
    /// Tensor bytes are never read.
    ///
    /// # Errors
    /// What is wrong with a file that is of this format.
    fn open(&self, source: &dyn Source) -> Result<Option<Box<dyn Container>>, Fault>;

    /// Lays out a new file.
    ///
    /// # Errors
    /// Every tensor that the format cannot hold.
    fn encode(&self, contents: &TensorSet) -> Result<Layout, UnsupportedTensors>;
}

/// What a revision may do to the tensors' places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Nothing: every copied range stays at its offset.
    Within,
    /// Move all of them on by one multiple of a block, as a file system can insert blocks in front
    /// of a file without moving a byte.
    Insert {
        /// The length of a block in bytes; at least 1.
        block: u64,
    },
}

impl Growth {
    /// How long the head of a file becomes that has `old` bytes and needs `needed`; `None` if it
    /// may not grow so far.
    pub fn of_head(self, old: u64, needed: u64) -> Option<u64> {
        let missing = needed.saturating_sub(old);
        let inserted = match self {
            Growth::Within => 0,
            Growth::Insert { block } => missing.checked_next_multiple_of(block.max(1))?,
        };
        (inserted >= missing).then(|| old.checked_add(inserted)).flatten()
    }
}

/// An opened file.
pub trait Container: Send + Sync {
    /// The name of its kind, as `ls --json` gives it; more precise than [`Format::name`].
    fn kind(&self) -> &'static str;

    /// The kind that [`Container::rewrite`] writes; another one where this kind is only read.
    fn rewritten_as(&self) -> &'static str {
        self.kind()
    }

    /// What it holds.
    fn catalog(&self) -> &Catalog;

    /// Text beside the tensors, in order, each under a name of its own.
    fn metadata(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// The same under a renaming: names of keys in it that are known to follow have followed.
    fn metadata_after(&self, _section: &Section) -> Vec<(String, String)> {
        self.metadata()
    }

    /// Everything the file builds, to be held against another file's; `None` where that is tensors
    /// alone.
    ///
    /// # Errors
    /// What is beyond the reader's limits.
    fn objects(&self) -> Result<Option<Objects>, Fault> {
        Ok(None)
    }

    /// What the file holds beside its tensors; `None` where the format holds nothing else.
    ///
    /// # Errors
    /// Payload beyond the reader's limits.
    fn payload(&self) -> Result<Option<Value>, Fault> {
        Ok(None)
    }

    /// The names of keys that a plan changes which the file holds outside its state dicts.
    ///
    /// # Errors
    /// As [`Container::rewrite`].
    fn mentions(&self, _plan: &Plan) -> Result<Mentions, Fault> {
        Ok(Mentions::default())
    }

    /// The same file with other keys, everything else as it was, save for names of keys elsewhere
    /// that are known to follow.
    ///
    /// Where the format [casts in files](Format::casts_in_files), some tensors get other element
    /// types as well.
    /// A plan that changes nothing gives a copy of the whole file; any other a file that keeps
    /// `reserve`.
    ///
    /// # Errors
    /// The reason, for instance names that code in the file refers to.
    fn rewrite(&self, plan: &Plan, reserve: Headroom) -> Result<Layout, Fault>;

    /// The same, spelled so that loaders read it by default: pickles in protocol 2.
    ///
    /// A format that has one spelling only is written as by [`Container::rewrite`].
    ///
    /// # Errors
    /// As [`Container::rewrite`], and what cannot be spelled so.
    fn rewrite_plainly(&self, plan: &Plan, reserve: Headroom) -> Result<Layout, Fault> {
        self.rewrite(plan, reserve)
    }

    /// The file of [`Container::rewrite`] laid out around its tensors where they are, so that
    /// writing it is writing a few small ranges of the old file: [`Layout::edits`] says which.
    ///
    /// It holds what the rewritten file holds; where the two differ is only in padding and order
    /// of what is not a tensor, and in bytes that nothing refers to.
    /// `None` where the format, this file or these names leave no way to do that, and for plans that
    /// cast.
    ///
    /// # Errors
    /// As [`Container::rewrite`].
    fn rewrite_in_place(&self, _plan: &Plan, _growth: Growth) -> Result<Option<Layout>, Fault> {
        Ok(None)
    }
}
