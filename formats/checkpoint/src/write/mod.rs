//! Writing a layout by the cheapest way that the file system has.
//!
//! Bytes that are in the source at the place the new file wants them are shared with it, if the
//! file system can clone files. Everything else that is long is written first, in any order and by
//! several threads; then what is short, and the checksums, from front to back.

mod checksums;
mod chunks;
pub(crate) mod stage;
pub(crate) mod target;

pub use stage::{Staged, stage_text};
pub use target::{Protected, Protection};

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crc32fast::Hasher;
use statedict_core::{Elements, Fault, Layout, Part};

use crate::disk::Disk;
use crate::elements::{self, PIECE, Sink, StreamError};
use crate::observer::{Observer, report};
use crate::parallel::each;
use crate::source::Backed;

use checksums::{Checksums, Sum};
pub(crate) use chunks::BLOCK;
use chunks::{Chunk, Work, stretches};

/// A layout on its way into an empty file.
#[derive(Clone, Copy)]
pub(crate) struct Writing<'a> {
    pub(crate) source: &'a dyn Backed,
    pub(crate) layout: &'a Layout,
    pub(crate) file: &'a File,
    pub(crate) disk: &'a dyn Disk,
    pub(crate) observer: &'a dyn Observer,
    /// Takes the elements of which a cast made some infinite.
    pub(crate) overflowed: &'a Mutex<Vec<Elements>>,
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
                    return writing.complete(&stretches, ground);
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
        self.complete(&own, WriteBase::Empty)
    }

    /// Makes the file a clone of the one it is made from, if the file system can and that may be of
    /// use; gives where that one starts in the source.
    fn clone(&self, stretches: &[Chunk<'_>], instead: Option<CloneLayouts<'_>>) -> Option<u64> {
        let (file, start) = self.source.file_at(
            instead.map(|it| it.start).or_else(|| stretches.iter().find_map(Chunk::from))?,
        )?;
        let is_of_use = instead.is_some() || self.ground(stretches, start).is_some();
        // What cannot be cloned is copied, and fails then if it cannot be.
        (is_of_use && self.disk.clone_file(file, self.file).is_ok()).then_some(start)
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

    /// Writes what is not there yet.
    fn complete(&self, stretches: &[Chunk<'_>], ground: WriteBase) -> Result<(), StreamError> {
        let (standing, apart): (Vec<_>, Vec<_>) = stretches
            .iter()
            .partition(|it| matches!(ground, WriteBase::Clone(_)) && ground.has(it));
        let standing = standing.into_iter().map(Chunk::len).sum();
        report(self.observer, standing).map_err(StreamError::Sink)?;
        let shares = apart.into_iter().flat_map(Chunk::shares);
        let sums = each(shares, || {
            let mut buffer = Vec::new();
            move |share: Chunk| {
                let shared =
                    if ground == WriteBase::Sharing { self.share_blocks(&share)? } else { 0 };
                self.write(&share.after(shared), &mut buffer)
            }
        })?;
        self.fill(stretches, Checksums::of(self.layout, sums.into_iter().flatten().collect()))
    }

    /// Shares the blocks at the start of a stretch; gives how many bytes that were.
    fn share_blocks(&self, stretch: &Chunk<'_>) -> Result<u64, StreamError> {
        let Chunk { at, work: Work::Copy(range), .. } = stretch else { return Ok(0) };
        let Some((file, start)) = self.source.file_at(range.start) else { return Ok(0) };
        if !at.is_multiple_of(BLOCK) || !WriteBase::Sharing.has(stretch) {
            return Ok(0);
        }
        let (mut done, len) = (0, stretch.len() / BLOCK * BLOCK);
        while done < len {
            let from = range.start - start + done..range.start - start + len;
            match self.disk.copy(file, from, self.file, at + done) {
                Ok(copied @ 1..) => done += copied,
                // The reading that follows finds out why.
                Ok(0) | Err(_) => break,
            }
        }
        report(self.observer, done).map_err(StreamError::Sink)?;
        Ok(done)
    }

    /// Writes a stretch, and sums it if that is asked for.
    fn write(&self, stretch: &Chunk<'_>, buffer: &mut Vec<u8>) -> Result<Option<Sum>, StreamError> {
        let Chunk { at, work, summed } = stretch;
        let mut sum = summed.map(|part| Sum { part, at: *at, hasher: Hasher::new() });
        let mut to = *at;
        let mut put = |bytes: &[u8]| {
            if let Some(sum) = &mut sum {
                sum.hasher.update(bytes);
            }
            self.put(to, bytes)?;
            to += bytes.len() as u64;
            Ok(())
        };
        match work {
            Work::Copy(range) => self.read(range.clone(), buffer, &mut put)?,
            Work::Elements(elements) => self.stream(elements, &mut put)?,
        }
        if to == stretch.end() { Ok(sum) } else { Err(self.unexpected(to)) }
    }

    /// Delivers elements, and notes them if a cast made some infinite.
    fn stream(&self, elements: &Elements, sink: &mut Sink<'_>) -> Result<(), StreamError> {
        if elements::stream_counting(self.source, elements, sink)? > 0 {
            let mut overflowed = self.overflowed.lock().unwrap_or_else(PoisonError::into_inner);
            overflowed.push(elements.clone());
        }
        Ok(())
    }

    fn put(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.write_at(self.file, at, bytes)?;
        report(self.observer, bytes.len() as u64)
    }

    /// Delivers a range of the source in pieces.
    fn read(
        &self,
        range: Range<u64>,
        buffer: &mut Vec<u8>,
        deliver: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), StreamError> {
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(PIECE);
            buffer.resize(usize::try_from(len).expect("a piece fits in memory"), 0);
            self.source.read_at(at, buffer)?;
            deliver(buffer).map_err(StreamError::Sink)?;
            at += len;
        }
        Ok(())
    }

    /// Writes what is between the stretches.
    fn fill(&self, stretches: &[Chunk<'_>], checksums: Checksums) -> Result<(), StreamError> {
        let mut between = Between { writing: self, checksums, start: 0, bytes: Vec::new() };
        let mut stretches = stretches.iter().peekable();
        let mut at = 0;
        for (i, part) in self.layout.parts().iter().enumerate() {
            between.checksums.reach(i);
            while stretches.next_if(|stretch| stretch.end() <= at).is_some() {}
            let is_apart = stretches.peek().is_some_and(|stretch| stretch.at <= at);
            at = u64::saturating_add(at, part.len());
            match part {
                _ if is_apart => between.leap(i, at).map_err(StreamError::Sink)?,
                Part::New(bytes) => between.put(bytes).map_err(StreamError::Sink)?,
                Part::Copy(range) => {
                    let mut buffer = Vec::new();
                    self.read(range.clone(), &mut buffer, &mut |bytes| between.put(bytes))?;
                }
                Part::Elements(elements) => {
                    self.stream(elements, &mut |bytes| between.put(bytes))?;
                }
                Part::Crc32(span) => {
                    let sum = between.checksums.sum(&span.parts);
                    between.put(&sum.to_le_bytes()).map_err(StreamError::Sink)?;
                }
            }
        }
        if between.end() == at {
            between.flush().map_err(StreamError::Sink)
        } else {
            Err(self.unexpected(between.end()))
        }
    }

    fn unexpected(&self, at: u64) -> StreamError {
        let len = self.layout.len();
        Fault::broken(format!("writing came to byte {at} of {len}, which is not as laid out"))
            .into()
    }
}

impl WriteBase {
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

/// Short parts that are side by side, written together.
struct Between<'a> {
    writing: &'a Writing<'a>,
    checksums: Checksums,
    /// Where the bytes start in the new file.
    start: u64,
    bytes: Vec<u8>,
}

impl Between<'_> {
    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.checksums.update(bytes);
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() as u64 >= PIECE { self.flush() } else { Ok(()) }
    }

    /// Goes on at `at`: part `i` is written already.
    fn leap(&mut self, i: usize, at: u64) -> io::Result<()> {
        self.checksums.join(i);
        self.flush()?;
        self.start = at;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.bytes.is_empty() {
            self.writing.put(self.start, &self.bytes)?;
            self.start = self.end();
            self.bytes.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
