//! A stretch of a source as a source of its own.

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
            None => Err(Fault::malformed(offset, "unexpected end of this part of the file")),
        }
    }
}
