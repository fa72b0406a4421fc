//! Layouts: a file described, not yet written.

use alloc::vec::Vec;
use core::ops::Range;

use crate::Elements;

/// A new file as ordered parts.
///
/// The length is known before anything is written, and every checksum is over parts before it, so
/// that a layout can be written from front to back in one pass.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    parts: Vec<Part>,
    len: u64,
}

/// One stretch of a new file.
#[derive(Clone, Debug)]
pub enum Part {
    /// Bytes of the source file, as they are.
    Copy(Range<u64>),
    /// Bytes that are at hand.
    New(Vec<u8>),
    /// The elements of a tensor, gathered, swapped or cast as they are written.
    Elements(Elements),
    /// The CRC-32 of a span of earlier parts, 4 bytes, little-endian.
    Crc32(Span),
}

/// A run of parts of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The parts, by position.
    pub parts: Range<usize>,
}

impl Part {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Part::Copy(range) => range.end - range.start,
            Part::New(bytes) => bytes.len() as u64,
            Part::Elements(elements) => elements.byte_len(),
            Part::Crc32(_) => 4,
        }
    }

    /// True if it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Layout {
    /// A layout without parts.
    pub fn new() -> Layout {
        Layout::default()
    }

    /// The parts, in file order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The length of the file so far, in bytes; saturates where tensors are beyond counting.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if the file has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends a range of the source file.
    pub fn copy(&mut self, range: Range<u64>) {
        debug_assert!(range.start <= range.end, "ranges are checked when they are read");
        self.push(Part::Copy(range));
    }

    /// Appends bytes.
    pub fn bytes(&mut self, bytes: Vec<u8>) {
        self.push(Part::New(bytes));
    }

    /// Appends a tensor's elements: a plain copy where the source holds the very bytes.
    pub fn elements(&mut self, elements: Elements) {
        match elements.verbatim() {
            Some(range) => self.copy(range),
            None => self.push(Part::Elements(elements)),
        }
    }

    /// Appends the checksum of parts that are there already.
    pub fn crc32(&mut self, span: Span) {
        debug_assert!(span.parts.end <= self.parts.len(), "a checksum follows what it covers");
        self.push(Part::Crc32(span));
    }

    /// Moves every copied range further on, where the source is part of a longer one.
    ///
    /// Computed tensors stay: they say themselves where their elements are.
    pub fn shift(&mut self, by: u64) {
        for part in &mut self.parts {
            if let Part::Copy(range) = part {
                *range = range.start + by..range.end + by;
            }
        }
    }

    /// The span from part `first` to the end as it is now; for [`Layout::crc32`].
    pub fn span_from(&self, first: usize) -> Span {
        Span { parts: first..self.parts.len() }
    }

    fn push(&mut self, part: Part) {
        self.len = self.len.saturating_add(part.len());
        self.parts.push(part);
    }
}
