//! Writing a layout by the cheapest way that the file system has.
//!
//! What stands in the source where the new file wants it is shared with it, if the file system can
//! clone files. Everything else that is long is written first, in any order and by several threads;
//! then what is short, and the checksums, from front to back.

mod checksums;
mod stretches;

use std::fs::File;
use std::io;
use std::ops::Range;

use crc32fast::Hasher;
use statedict_core::{Fault, Layout, Part, Source};

use crate::disk::Disk;
use crate::elements::{self, PIECE, Stop};
use crate::observer::{Observer, tell};
use crate::shares::each;
use crate::source::FileSource;

use checksums::{Checksums, Sum};
use stretches::{Stretch, Work, stretches};

/// A layout on its way into an empty file.
pub(crate) struct Writing<'a> {
    pub(crate) source: &'a FileSource,
    pub(crate) layout: &'a Layout,
    pub(crate) file: &'a File,
    pub(crate) disk: &'a dyn Disk,
    pub(crate) observer: &'a dyn Observer,
}

/// What the file has before anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ground {
    /// Nothing.
    Empty,
    /// What the source has.
    Clone,
}

impl Writing<'_> {
    /// Writes every part; does not wait for the disk.
    pub(crate) fn run(&self) -> Result<(), Stop> {
        let stretches = stretches(self.layout);
        let ground = self.prepare(&stretches).map_err(Stop::Sink)?;
        let stands = |stretch: &Stretch| ground == Ground::Clone && stretch.stands();
        let (standing, apart): (Vec<_>, Vec<_>) = stretches.iter().partition(|it| stands(it));
        let standing = standing.into_iter().map(Stretch::len).sum();
        tell(self.observer, standing).map_err(Stop::Sink)?;
        let shares = apart.into_iter().flat_map(Stretch::shares);
        let sums = each(shares, || {
            let mut buffer = Vec::new();
            move |share| self.write(&share, &mut buffer)
        })?;
        self.fill(&stretches, Checksums::of(self.layout, sums.into_iter().flatten().collect()))
    }

    /// Gives the file its length, and the source's bytes if most of them stay and can be shared.
    fn prepare(&self, stretches: &[Stretch<'_>]) -> io::Result<Ground> {
        let len = self.layout.len();
        let standing: u64 = stretches.iter().filter(|it| it.stands()).map(Stretch::len).sum();
        if standing > len / 2
            && let Some(file) = self.source.only_file()
        {
            if self.disk.clone_file(file, self.file).is_ok() {
                self.disk.set_len(self.file, len)?;
                return Ok(Ground::Clone);
            }
            // What cannot be cloned is copied, and fails then if it cannot be.
            self.disk.set_len(self.file, 0)?;
        }
        match self.disk.reserve(self.file, len) {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => return Err(error),
            _ => self.disk.set_len(self.file, len)?,
        }
        Ok(Ground::Empty)
    }

    /// Writes a stretch, and sums it if that is asked for.
    fn write(&self, stretch: &Stretch<'_>, buffer: &mut Vec<u8>) -> Result<Option<Sum>, Stop> {
        let Stretch { at, work, summed } = stretch;
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
            Work::Elements(elements) => elements::stream(self.source, elements, &mut put)?,
        }
        match to == stretch.end() {
            true => Ok(sum),
            false => Err(self.unexpected(to)),
        }
    }

    fn put(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.write_at(self.file, at, bytes)?;
        tell(self.observer, bytes.len() as u64)
    }

    /// Delivers a range of the source in pieces.
    fn read(
        &self,
        range: Range<u64>,
        buffer: &mut Vec<u8>,
        deliver: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Stop> {
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(PIECE);
            buffer.resize(usize::try_from(len).expect("a piece fits in memory"), 0);
            self.source.read_at(at, buffer)?;
            deliver(buffer).map_err(Stop::Sink)?;
            at += len;
        }
        Ok(())
    }

    /// Writes what lies between the stretches.
    fn fill(&self, stretches: &[Stretch<'_>], checksums: Checksums) -> Result<(), Stop> {
        let mut between = Between { writing: self, checksums, start: 0, bytes: Vec::new() };
        let mut stretches = stretches.iter().peekable();
        let mut at = 0;
        for (i, part) in self.layout.parts().iter().enumerate() {
            between.checksums.reach(i);
            while stretches.next_if(|stretch| stretch.end() <= at).is_some() {}
            let is_apart = stretches.peek().is_some_and(|stretch| stretch.at <= at);
            at = u64::saturating_add(at, part.len());
            match part {
                _ if is_apart => between.leap(i, at).map_err(Stop::Sink)?,
                Part::New(bytes) => between.put(bytes).map_err(Stop::Sink)?,
                Part::Copy(range) => {
                    let mut buffer = Vec::new();
                    self.read(range.clone(), &mut buffer, &mut |bytes| between.put(bytes))?;
                }
                Part::Elements(elements) => {
                    elements::stream(self.source, elements, &mut |bytes| between.put(bytes))?;
                }
                Part::Crc32(span) => {
                    let sum = between.checksums.sum(&span.parts);
                    between.put(&sum.to_le_bytes()).map_err(Stop::Sink)?;
                }
            }
        }
        match between.end() == at {
            true => between.flush().map_err(Stop::Sink),
            false => Err(self.unexpected(between.end())),
        }
    }

    fn unexpected(&self, at: u64) -> Stop {
        let len = self.layout.len();
        Fault::broken(format!("writing came to byte {at} of {len}, which is not as laid out"))
            .into()
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
