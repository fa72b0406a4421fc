//! Bytes at known places, and what can be wrong with them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;
use core::ops::Range;

use thiserror::Error;

use crate::sorting;

/// Bytes at known places: a slice, a file, one day a remote object.
pub trait Source: Send + Sync {
    /// How many bytes there are.
    fn len(&self) -> u64;

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// [`Fault::Malformed`] if the bytes end before the buffer is full.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault>;

    /// The bytes of several ranges, in the order in which they are asked for; what is far away can
    /// give them all at once.
    ///
    /// # Errors
    /// As [`Source::bytes`], if one of them cannot be read.
    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>, Fault> {
        ranges.iter().map(|range| self.bytes(range.clone())).collect()
    }

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
            None => Err(Fault::malformed(offset, "unexpected end of file")),
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

    fn read_ranges(&self, ranges: &[Range<u64>]) -> Result<Vec<Vec<u8>>, Fault> {
        S::read_ranges(self, ranges)
    }
}

/// A stretch of a source as a source of its own, counted from 0.
pub struct Stretch<'s> {
    source: &'s dyn Source,
    range: Range<u64>,
}

impl<'s> Stretch<'s> {
    /// The part of a range that the source has.
    pub fn new(source: &'s dyn Source, range: Range<u64>) -> Stretch<'s> {
        let start = range.start.min(source.len());
        Stretch { source, range: start..range.end.clamp(start, source.len()) }
    }
}

impl Source for Stretch<'_> {
    fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        match offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.len()) {
            Some(_) => self.source.read_at(self.range.start + offset, buffer),
            None => Err(Fault::malformed(offset, "unexpected end of this part of the file")),
        }
    }
}

/// Sources that lie end to end in one address space.
#[derive(Default)]
pub struct EndToEnd<'s> {
    /// Each with the place where it starts, in order.
    sources: Vec<(u64, &'s dyn Source)>,
}

impl<'s> EndToEnd<'s> {
    /// Sources with the places where they start.
    pub fn new(sources: impl IntoIterator<Item = (u64, &'s dyn Source)>) -> EndToEnd<'s> {
        let mut sources: Vec<_> = sources.into_iter().collect();
        sorting::sort_by_key(&mut sources, |(start, _)| *start);
        EndToEnd { sources }
    }
}

impl Source for EndToEnd<'_> {
    fn len(&self) -> u64 {
        self.sources.last().map_or(0, |(start, source)| start.saturating_add(source.len()))
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        let after = self.sources.partition_point(|(start, _)| *start <= offset);
        match after.checked_sub(1).and_then(|place| self.sources.get(place)) {
            Some((start, source)) => source.read_at(offset - start, buffer),
            None => Err(Fault::malformed(offset, "no file has these bytes")),
        }
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
    /// A tensor of ranks of tensor parallelism that nobody can join, unless the user says how.
    #[error("{what}")]
    Uncut {
        /// What is known of it.
        what: String,
        /// Its key.
        key: String,
    },
    /// The file is beyond a limit of the reader.
    #[error("{}{what}", At(*.at))]
    TooLarge {
        /// Where, in bytes from the start of the file, if that is known.
        at: Option<u64>,
        /// Which limit.
        what: String,
    },
    /// Some of what a checkpoint should hold is missing, and the rest is whole.
    #[error("{what}")]
    Incomplete {
        /// What is missing.
        what: String,
        /// Tensors that are whole.
        whole: usize,
    },
    /// The bytes could not be read at all.
    #[error("{0}")]
    Unreadable(Box<dyn Error + Send + Sync>),
    /// Something is wrong with one file of several.
    #[error("'{name}': {fault}")]
    InFile {
        /// The file's name in its folder.
        name: String,
        /// What is wrong with it.
        fault: Box<Fault>,
    },
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

    /// The same fault, of one file of several.
    pub fn in_file(self, name: impl Into<String>) -> Fault {
        Fault::InFile { name: name.into(), fault: Box::new(self) }
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
