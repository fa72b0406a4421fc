//! A stretch of a source as a source of its own, or as a stream.

use std::io::{self, Read};
use std::ops::Range;

use statedict_core::{Fault, Source};

/// Bytes `range` of another source, counted from 0.
pub(super) struct Part<'s> {
    source: &'s dyn Source,
    range: Range<u64>,
}

impl<'s> Part<'s> {
    /// The part of a range that the source has.
    pub(super) fn new(source: &'s dyn Source, range: Range<u64>) -> Part<'s> {
        let start = range.start.min(source.len());
        Part { source, range: start..range.end.clamp(start, source.len()) }
    }
}

impl Source for Part<'_> {
    fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        match offset.checked_add(buffer.len() as u64).filter(|end| *end <= self.len()) {
            Some(_) => self.source.read_at(self.range.start + offset, buffer),
            None => Err(Fault::malformed(offset, "the part of the file ends too early")),
        }
    }
}

/// Bytes `range` of a source, from front to back.
pub(super) struct Stream<'s> {
    source: &'s dyn Source,
    range: Range<u64>,
}

impl<'s> Stream<'s> {
    /// The part of a range that the source has.
    pub(super) fn new(source: &'s dyn Source, range: Range<u64>) -> Stream<'s> {
        let start = range.start.min(source.len());
        Stream { source, range: start..range.end.clamp(start, source.len()) }
    }
}

impl Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX);
        let len = left.min(buffer.len());
        self.source.read_at(self.range.start, &mut buffer[..len]).map_err(io::Error::other)?;
        self.range.start += len as u64;
        Ok(len)
    }
}
