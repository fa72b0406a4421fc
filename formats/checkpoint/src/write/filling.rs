//! Filling a new file with what its layout says.

use std::io;
use std::sync::PoisonError;

use crc32fast::Hasher;
use statedict_core::{Elements, Fault, Part};

use crate::elements::losses::{Losses, Lossy};
use crate::elements::{self, PIECE, Sink, StreamError};
use crate::observer::report;

use super::aligned::Aligned;
use super::checksums::{Checksums, Sum};
use super::chunks::Chunk;
use super::output::Output;
use super::{WriteBase, Writing};

/// A new file that has its length, and perhaps some of its bytes.
pub(super) struct Filling<'a> {
    pub(super) writing: &'a Writing<'a>,
    pub(super) output: Output<'a>,
    pub(super) ground: WriteBase,
}

impl Filling<'_> {
    /// Writes what is not there yet.
    pub(super) fn complete(&self, stretches: &[Chunk<'_>]) -> Result<(), StreamError> {
        let (standing, written): (Vec<_>, Vec<_>) =
            stretches.iter().partition(|chunk| self.ground.is_standing(chunk));
        let standing = standing.into_iter().map(Chunk::len).sum();
        report(self.writing.observer, standing).map_err(StreamError::Sink)?;
        let mut sums = self.copy_all(&written)?;
        sums.extend(self.compute_all(&written)?);
        self.fill(stretches, Checksums::of(self.writing.layout, sums))
    }

    /// Delivers elements, and notes what they lost.
    fn stream(&self, elements: &Elements, sink: &mut Sink<'_>) -> Result<(), StreamError> {
        let losses = elements::stream_counting(self.writing.source, elements, sink)?;
        self.note(elements, losses);
        Ok(())
    }

    /// Remembers elements that lost something.
    pub(super) fn note(&self, elements: &Elements, losses: Losses) {
        if !losses.is_none() {
            let lossy = self.writing.lossy.lock();
            let lost = Lossy { elements: elements.clone(), losses };
            lossy.unwrap_or_else(PoisonError::into_inner).push(lost);
        }
    }

    pub(super) fn put(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.output.put(at, bytes)?;
        report(self.writing.observer, bytes.len() as u64)
    }

    /// Writes what is between the stretches.
    fn fill(&self, stretches: &[Chunk<'_>], checksums: Checksums) -> Result<(), StreamError> {
        let mut between = Between { filling: self, checksums, start: 0, bytes: Vec::new() };
        let mut stretches = stretches.iter().peekable();
        let mut buffer = Aligned::default();
        let mut at = 0;
        for (i, part) in self.writing.layout.parts().iter().enumerate() {
            between.checksums.reach(i);
            while stretches.next_if(|stretch| stretch.end() <= at).is_some() {}
            let is_written = stretches.peek().is_some_and(|stretch| stretch.at <= at);
            let start = at;
            at = u64::saturating_add(at, part.len());
            match part {
                _ if is_written => between.leap(i, at).map_err(StreamError::Sink)?,
                Part::New(bytes) => between.put(bytes).map_err(StreamError::Sink)?,
                Part::Copy(range) => {
                    let mut put = |bytes: &[u8]| between.put(bytes);
                    self.read(range.clone(), start, &mut buffer, &mut put)?;
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

    pub(super) fn unexpected(&self, at: u64) -> StreamError {
        let len = self.writing.layout.len();
        Fault::broken(format!("writing came to byte {at} of {len}, which is not as laid out"))
            .into()
    }
}

/// Bytes of one stretch, written as they come, and summed if that is asked for.
pub(super) struct Stretch<'a> {
    filling: &'a Filling<'a>,
    pub(super) sum: Option<Sum>,
    /// Where the next bytes go in the new file.
    pub(super) at: u64,
}

impl Stretch<'_> {
    /// Bytes from `at` on of a part that is summed if it is one.
    pub(super) fn new<'a>(filling: &'a Filling<'a>, at: u64, summed: Option<usize>) -> Stretch<'a> {
        let sum = summed.map(|part| Sum { part, at, hasher: Hasher::new() });
        Stretch { filling, sum, at }
    }

    pub(super) fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(sum) = &mut self.sum {
            sum.hasher.update(bytes);
        }
        self.filling.put(self.at, bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

/// Short parts that are side by side, written together.
struct Between<'a> {
    filling: &'a Filling<'a>,
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
            self.filling.put(self.start, &self.bytes)?;
            self.start = self.end();
            self.bytes.clear();
        }
        Ok(())
    }
}
