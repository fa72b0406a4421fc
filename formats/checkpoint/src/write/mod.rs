//! Writing a layout by the cheapest way that the file system has.
//!
//! Bytes that are in the source at the place the new file wants them are shared with it, if the
//! file system can clone files. Everything else that is long is written first, in any order and by
//! several threads, past the system's cache if the file is long; then what is short, and the
//! checksums, from front to back.

mod aligned;
mod checksums;
mod chunks;
mod computing;
mod copying;
mod filling;
mod output;
pub(crate) mod stage;
pub(crate) mod target;

pub use stage::{Staged, stage_text};
pub use target::{Protected, Protection};

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Mutex;

use statedict_core::Layout;

use crate::disk::Disk;
use crate::elements::StreamError;
use crate::elements::losses::Lossy;
use crate::observer::Observer;
use crate::source::Backed;

pub(crate) use chunks::BLOCK;
use chunks::{Chunk, stretches};
use filling::Filling;
use output::Output;

/// A layout on its way into an empty file.
#[derive(Clone, Copy)]
pub(crate) struct Writing<'a> {
    pub(crate) source: &'a dyn Backed,
    pub(crate) layout: &'a Layout,
    pub(crate) file: &'a File,
    /// Where the file is.
    pub(crate) path: &'a Path,
    pub(crate) disk: &'a dyn Disk,
    pub(crate) observer: &'a dyn Observer,
    /// Takes the elements that lost something.
    pub(crate) lossy: &'a Mutex<Vec<Lossy>>,
}

/// What may be written instead where the file system can clone.
#[derive(Clone, Copy)]
pub(crate) struct CloneLayouts<'a> {
    /// Where the file to clone starts in the source.
    pub(crate) start: u64,
    /// Layouts of the same file that leave more of that one in place.
    pub(crate) layouts: &'a dyn Fn() -> Vec<Layout>,
}

/// What the file has before anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteBase {
    /// Its length.
    Empty,
    /// Its length, on a file system where it can share blocks with the source.
    Sharing,
    /// Everything that the file has which starts at this byte of the source.
    Clone(u64),
}

impl Writing<'_> {
    /// Writes every part; does not wait for the disk.
    ///
    /// Where the file system can clone, it writes the first of the layouts in `instead` that leaves
    /// most of the source standing.
    pub(crate) fn run(&self, instead: Option<CloneLayouts<'_>>) -> Result<(), StreamError> {
        let own = stretches(self.layout);
        if let Some(start) = self.clone(&own, instead) {
            let others = instead.map(|instead| (instead.layouts)());
            for layout in others.iter().flatten().chain([self.layout]) {
                let (writing, stretches) = (Writing { layout, ..*self }, stretches(layout));
                if let Some(ground) = writing.ground(&stretches, start) {
                    writing.clear(ground).map_err(StreamError::Sink)?;
                    let output = Output::cached(self.file, self.disk);
                    return Filling { writing: &writing, output, ground }.complete(&stretches);
                }
            }
            self.clear(WriteBase::Empty).map_err(StreamError::Sink)?;
        }
        let len = self.layout.len();
        match self.disk.reserve(self.file, len) {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
            _ => self.disk.set_len(self.file, len),
        }
        .map_err(StreamError::Sink)?;
        let output = Output::new(self.file, self.path, len, self.disk);
        Filling { writing: self, output, ground: WriteBase::Empty }.complete(&own)
    }

    /// Makes the file a clone of the one it is made from, if the file system can and that may be of
    /// use; gives where that one starts in the source.
    fn clone(&self, stretches: &[Chunk<'_>], instead: Option<CloneLayouts<'_>>) -> Option<u64> {
        let (file, start) = self.source.file_at(
            instead.map(|it| it.start).or_else(|| stretches.iter().find_map(Chunk::from))?,
        )?;
        let is_of_use = instead.is_some() || self.ground(stretches, start).is_some();
        // What cannot be cloned is copied, and fails then if it cannot be.
        (is_of_use && self.disk.clone_file(&file, self.file).is_ok()).then_some(start)
    }

    /// What a clone can be kept for: most of the new file.
    fn ground(&self, stretches: &[Chunk<'_>], start: u64) -> Option<WriteBase> {
        [WriteBase::Clone(start), WriteBase::Sharing].into_iter().find(|ground| {
            let shared = stretches.iter().filter(|stretch| ground.has(stretch));
            shared.map(Chunk::len).sum::<u64>() > self.layout.len() / 2
        })
    }

    /// Leaves of a clone what it is kept for, with the length of the new file.
    fn clear(&self, ground: WriteBase) -> io::Result<()> {
        if !matches!(ground, WriteBase::Clone(_)) {
            self.disk.set_len(self.file, 0)?;
        }
        match ground {
            WriteBase::Empty => Ok(()),
            _ => self.disk.set_len(self.file, self.layout.len()),
        }
    }
}

impl WriteBase {
    /// True if the stretch is there.
    fn is_standing(self, stretch: &Chunk<'_>) -> bool {
        matches!(self, WriteBase::Clone(_)) && self.has(stretch)
    }

    /// True if the stretch is there, or can be shared.
    fn has(self, stretch: &Chunk<'_>) -> bool {
        let Some(from) = stretch.from().filter(|_| stretch.summed.is_none()) else { return false };
        match self {
            WriteBase::Empty => false,
            WriteBase::Sharing => from % BLOCK == stretch.at % BLOCK,
            WriteBase::Clone(start) => from.checked_sub(start) == Some(stretch.at),
        }
    }
}

#[cfg(test)]
mod tests;
