//! Layouts: a file described, not yet written.

mod assembled;
mod below;
mod blocks;
mod computed;
mod container;
mod copies;
mod folder;
mod format;
mod headroom;
mod opened;
mod pending_files;
mod shortfall;
mod source;
mod tensor_set;

pub use assembled::{Assembled, ReadPayload};
pub use below::Below;
pub use blocks::Block;
pub use computed::Computed;
pub use container::{Container, Growth};
pub use copies::{Comparison, NamedCopy, WholeTensor};
pub use folder::{
    Cut, Depth, FilePart, Folder, FolderFormat, Incomplete, LeftOut, Opening, Store, StoreFile,
    Which,
};
pub use format::{Facts, Format, ShardNames};
pub use headroom::Headroom;
pub use opened::Opened;
pub use pending_files::{Manifest, Manner, NewFile, PendingFiles, Renamed};
pub use shortfall::{Shortfall, Total};
pub use source::{EndToEnd, Fault, Source, Stretch};
pub use tensor_set::{
    Elements, Omitted, Origin, Place, TensorSet, Ties, UnsupportedTensors, is_implied,
    is_recorded_tie,
};

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

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
    New(Box<[u8]>),
    /// The elements of a tensor, gathered, swapped, cast or drawn as they are written.
    Elements(Box<Elements>),
    /// The CRC-32 of a span of earlier parts, 4 bytes, little-endian.
    Crc32(Span),
}

/// A run of parts of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The parts, by position.
    pub parts: Range<usize>,
}

/// What makes the source file into the new one, where its copied bytes are left standing.
///
/// First `inserted` bytes in front of the file, which moves all it has; then the writes; then the
/// file is cut or extended to the layout's length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits<'a> {
    /// How far the copied bytes move on; 0 if they stay.
    pub inserted: u64,
    /// Bytes to write, each with its offset in the new file; ascending, apart, none empty.
    pub writes: Vec<(u64, &'a [u8])>,
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

    /// Makes room for this many parts more.
    pub fn reserve(&mut self, parts: usize) {
        self.parts.reserve_exact(parts);
    }

    /// Appends a range of the source file.
    pub fn copy(&mut self, range: Range<u64>) {
        debug_assert!(range.start <= range.end, "ranges are checked when they are read");
        self.push(Part::Copy(range));
    }

    /// Appends bytes.
    pub fn bytes(&mut self, bytes: impl Into<Box<[u8]>>) {
        self.push(Part::New(bytes.into()));
    }

    /// Appends a tensor's elements: a plain copy where the source holds the very bytes.
    pub fn elements(&mut self, elements: Elements) {
        match elements.verbatim() {
            Some(range) => self.copy(range),
            None => match elements.runs() {
                Some(runs) => runs.into_iter().for_each(|run| self.elements(run.clone())),
                None => self.push(Part::Elements(Box::new(elements))),
            },
        }
    }

    /// Appends another file, whose checksums are over its own parts as before.
    pub fn append(&mut self, file: Layout) {
        let first = self.parts.len();
        for part in file.parts {
            self.push(match part {
                Part::Crc32(Span { parts }) => {
                    Part::Crc32(Span { parts: first + parts.start..first + parts.end })
                }
                other => other,
            });
        }
    }

    /// Appends the checksum of parts that are there already.
    pub fn crc32(&mut self, span: Span) {
        debug_assert!(span.parts.end <= self.parts.len(), "a checksum follows what it covers");
        self.push(Part::Crc32(span));
    }

    /// True if the new file is this range of the source, byte for byte.
    pub fn is_copy_of(&self, range: Range<u64>) -> bool {
        let mut end = range.start;
        self.parts.iter().all(|part| match part {
            Part::Copy(copied) if copied.start == end => {
                end = copied.end;
                true
            }
            _ => false,
        }) && end == range.end
    }

    /// Moves everything that is read of the source further on, where that is part of a longer one.
    pub fn shift(&mut self, by: u64) {
        for part in &mut self.parts {
            match part {
                Part::Copy(range) => *range = range.start + by..range.end + by,
                Part::Elements(elements) => elements.shift(by),
                Part::New(_) | Part::Crc32(_) => {}
            }
        }
    }

    /// The span from part `first` to the end as it is now; for [`Layout::crc32`].
    pub fn span_from(&self, first: usize) -> Span {
        Span { parts: first..self.parts.len() }
    }

    /// How to make the source file into this one without moving its bytes apart.
    ///
    /// `None` if copied ranges do not all move on by the same distance, or if bytes have to be
    /// computed.
    pub fn edits(&self) -> Option<Edits<'_>> {
        let mut inserted = None;
        let mut writes = Vec::new();
        let mut at = 0;
        for part in self.parts.iter().filter(|part| !part.is_empty()) {
            match part {
                Part::Copy(range) => {
                    let moved = u64::checked_sub(at, range.start)?;
                    if *inserted.get_or_insert(moved) != moved {
                        return None;
                    }
                }
                Part::New(bytes) => writes.push((at, &**bytes)),
                Part::Elements(_) | Part::Crc32(_) => return None,
            }
            at += part.len();
        }
        Some(Edits { inserted: inserted.unwrap_or(0), writes })
    }

    fn push(&mut self, part: Part) {
        self.len = self.len.saturating_add(part.len());
        self.parts.push(part);
    }
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;
    use alloc::vec;

    use super::*;
    use crate::{DType, Storage, Tensor};

    fn layout(parts: &[Result<Range<u64>, &[u8]>]) -> Layout {
        let mut layout = Layout::new();
        for part in parts {
            match part {
                Ok(copied) => layout.copy(copied.clone()),
                Err(new) => layout.bytes(new.to_vec()),
            }
        }
        layout
    }

    /// Ranges to copy (`Ok`) and new bytes (`Err`), and what they come to.
    fn check(parts: &[Result<Range<u64>, &[u8]>], inserted: u64, writes: &[(u64, &[u8])]) {
        let expected = Edits { inserted, writes: writes.to_vec() };
        assert_eq!(layout(parts).edits(), Some(expected), "{parts:?}");
    }

    #[test]
    fn what_is_in_place_is_not_written() {
        check(&[Ok(0..9)], 0, &[]);
        check(&[Err(b"ab"), Ok(2..9)], 0, &[(0, b"ab")]);
        check(&[Ok(0..4), Err(b"ab"), Ok(6..9), Err(b"c")], 0, &[(4, b"ab"), (9, b"c")]);
        check(&[Err(b"abc"), Ok(7..7)], 0, &[(0, b"abc")]);
    }

    #[test]
    fn all_may_move_by_one_distance() {
        check(&[Err(b"abcdef"), Ok(2..9), Ok(9..12)], 4, &[(0, b"abcdef")]);
        assert_eq!(layout(&[Ok(0..1), Err(b"abcdef"), Ok(2..9)]).edits(), None);
        assert_eq!(layout(&[Err(b"a"), Ok(2..9)]).edits(), None);
    }

    #[test]
    fn a_shifted_layout_reads_everything_further_on() {
        let storage = Arc::new(Storage::stored(8..16));
        let tensor = Tensor::dense(DType::F32, vec![2], 0, storage).expect("within");
        let half = Elements::new(tensor, Some(&DType::F16)).expect("plain elements");
        let mut layout = layout(&[Ok(0..4), Err(b"ab")]);
        layout.elements(half.clone());
        layout.elements(Elements::concat(0, vec![half.clone(), half]).expect("alike"));
        layout.shift(100);
        let read = |part: &Part| match part {
            Part::Copy(range) => Some(range.clone()),
            Part::Elements(elements) => {
                let view = elements.tensor().and_then(Tensor::as_view).expect("of a tensor");
                Some(view.storage().location.range().clone())
            }
            _ => None,
        };
        let ranges: Vec<_> = layout.parts().iter().filter_map(read).collect();
        assert_eq!(ranges, [100..104, 108..116, 108..116, 108..116]);
    }

    #[test]
    fn a_file_within_another_has_the_checksums_of_its_own_parts() {
        let mut inner = layout(&[Err(b"ab"), Err(b"cd")]);
        inner.crc32(inner.span_from(1));
        let mut outer = layout(&[Err(b"abc")]);
        outer.append(inner);
        assert_eq!(outer.len(), 3 + 4 + 4);
        let Some(Part::Crc32(span)) = outer.parts().last() else { panic!("a checksum is last") };
        assert_eq!(*span, Span { parts: 2..3 });
    }

    #[test]
    fn what_has_to_be_computed_is_not_an_edit() {
        let mut layout = Layout::new();
        layout.bytes(vec![1]);
        layout.crc32(layout.span_from(0));
        assert_eq!(layout.edits(), None);
    }
}
