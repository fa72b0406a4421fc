//! An edit as numbers: which bytes of a file are written, and which old ones that costs.

use std::borrow::Cow;
use std::ops::Range;

use statedict_core::{Fault, Source};

use super::sentinel;

/// The unit in which old and new bytes are compared, so that what is equal is not written.
const PAGE: u64 = 4096;

/// The bytes that are read at once.
pub(crate) const PIECE: u64 = 1 << 20;

/// What makes an old file into a new one: bytes put in front, then ranges written, then an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) old_len: u64,
    pub(crate) new_len: u64,
    /// How far the old bytes move on.
    pub(crate) inserted: u64,
    /// Places in the new file; ascending, apart, none empty.
    pub(crate) writes: Vec<Range<u64>>,
}

/// An edit with the bytes it writes.
#[derive(Debug)]
pub(crate) struct Patch<'a> {
    pub(crate) edit: Edit,
    /// One for each of the edit's writes.
    pub(crate) bytes: Vec<Cow<'a, [u8]>>,
}

impl Edit {
    /// True if the numbers agree with each other, which those of a stranger's journal need not.
    pub(crate) fn is_sound(&self) -> bool {
        let mut end = 0;
        let ascending = self.writes.iter().all(|write| {
            let apart = end <= write.start && write.start < write.end;
            end = write.end;
            apart
        });
        // Bytes in front go with a file that grows by them at least, so that its length shows
        // whether they are there yet.
        let grows = match self.old_len.checked_add(self.inserted) {
            Some(moved) => self.inserted == 0 || moved <= self.new_len,
            None => false,
        };
        let is_restored = !self.is_guarded() || sentinel::is_covered(self.writes.iter());
        ascending && grows && end <= self.new_len && self.old_len > 0 && is_restored
    }

    /// True if the front of the file is not a checkpoint's until all else is written.
    ///
    /// What only grows needs no guard: until its new end is whole, readers find the old one or
    /// none.
    pub(crate) fn is_guarded(&self) -> bool {
        self.inserted > 0 || !self.overwritten().is_empty()
    }

    /// True if it leaves the file as it is.
    pub(crate) fn is_nothing(&self) -> bool {
        self.writes.is_empty() && self.new_len == self.old_len
    }

    /// The old bytes that are overwritten or cut off, by their places in the old file; ascending,
    /// apart, none empty.
    pub(crate) fn overwritten(&self) -> Vec<Range<u64>> {
        let end = self.old_len.min(self.new_len);
        let mut ranges: Vec<Range<u64>> =
            self.writes.iter().map(|write| self.under(write)).collect();
        ranges.push(end..self.old_len);
        ranges.retain(|range| !range.is_empty());
        ranges
    }

    /// The place in the old file of the bytes that a write replaces.
    pub(crate) fn under(&self, write: &Range<u64>) -> Range<u64> {
        let old = |at: u64| at.saturating_sub(self.inserted).min(self.old_len);
        old(write.start)..old(write.end)
    }
}

impl<'a> Patch<'a> {
    /// The writes so far as they change a byte; old bytes are read from `source`.
    pub(crate) fn new(
        source: &dyn Source,
        new_len: u64,
        inserted: u64,
        writes: &[(u64, &'a [u8])],
    ) -> Result<Patch<'a>, Fault> {
        let edit = Edit { old_len: source.len(), new_len, inserted, writes: Vec::new() };
        let mut patch = Patch { edit, bytes: Vec::new() };
        let mut old = Vec::new();
        for &(at, bytes) in writes {
            for (start, len) in pages(at, bytes.len() as u64) {
                let range = within(start - at, len);
                let new = &bytes[range.clone()];
                if patch.differs(source, start, new, &mut old)? {
                    patch.push(at, bytes, range);
                }
            }
        }
        if patch.edit.is_guarded() {
            patch.cover_front(source)?;
        }
        Ok(patch)
    }

    /// Sees to it that a file that is changed has a guard in front of it, and that its first bytes, which
    /// that covers, are written even if they are not changed.
    pub(crate) fn cover_front(&mut self, source: &dyn Source) -> Result<(), Fault> {
        if self.edit.inserted > 0 || self.edit.is_nothing() {
            return Ok(());
        }
        let first = self.edit.writes.first().map_or(u64::MAX, |write| write.start);
        let unchanged = 0..first.min(sentinel::PLACE.end).min(self.edit.old_len);
        if !unchanged.is_empty() {
            self.bytes.insert(0, Cow::Owned(source.bytes(unchanged.clone())?));
            self.edit.writes.insert(0, unchanged);
        }
        Ok(())
    }

    /// The writes with their bytes, each cut in two: those in the guard's place, those behind it.
    pub(crate) fn parted(&self) -> [Vec<(u64, &[u8])>; 2] {
        let (mut front, mut rest) = (Vec::new(), Vec::new());
        for (write, bytes) in self.edit.writes.iter().zip(&self.bytes) {
            let (before, behind) = sentinel::parted(write);
            let (first, last) = bytes.split_at(within(0, before.end - before.start).end);
            front.extend((!first.is_empty()).then_some((before.start, first)));
            rest.extend((!last.is_empty()).then_some((behind.start, last)));
        }
        [front, rest]
    }

    /// Bytes to write, journal excepted.
    pub(crate) fn len(&self) -> u64 {
        self.edit.writes.iter().map(|write| write.end - write.start).sum()
    }

    fn differs(
        &self,
        source: &dyn Source,
        at: u64,
        new: &[u8],
        old: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        let under = self.edit.under(&(at..at + new.len() as u64));
        if under.end - under.start != new.len() as u64 {
            return Ok(true);
        }
        old.resize(new.len(), 0);
        source.read_at(under.start, old)?;
        Ok(old != new)
    }

    /// Adds a range of `bytes`, which begin at `at`; to the last write, if it follows on it.
    fn push(&mut self, at: u64, bytes: &'a [u8], range: Range<usize>) {
        let start = at + range.start as u64;
        let end = at + range.end as u64;
        match (self.edit.writes.last_mut(), self.bytes.last_mut()) {
            (Some(write), Some(last)) if write.end == start && write.start >= at => {
                write.end = end;
                *last = Cow::Borrowed(&bytes[within(write.start - at, end - write.start)]);
            }
            _ => {
                self.edit.writes.push(start..end);
                self.bytes.push(Cow::Borrowed(&bytes[range]));
            }
        }
    }
}

/// A range cut at the boundaries of pages: where each piece starts, and its length.
fn pages(start: u64, len: u64) -> impl Iterator<Item = (u64, u64)> {
    let end = start + len;
    let mut at = start;
    std::iter::from_fn(move || {
        let next = (at / PAGE + 1).saturating_mul(PAGE).min(end);
        let page = (at < end).then_some((at, next - at));
        at = next;
        page
    })
}

/// A range of bytes in memory.
fn within(start: u64, len: u64) -> Range<usize> {
    let number = |it: u64| usize::try_from(it).expect("bytes in memory are counted by usize");
    number(start)..number(start + len)
}

/// A range cut into pieces that memory holds easily.
pub(crate) fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let starts = (range.start..range.end).step_by(PIECE as usize);
    starts.map(move |start| start..range.end.min(start.saturating_add(PIECE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(old_len: u64, new_len: u64, inserted: u64, writes: &[(u64, u64)]) -> Edit {
        let writes = writes.iter().map(|(start, end)| *start..*end).collect();
        Edit { old_len, new_len, inserted, writes }
    }

    #[test]
    fn overwritten_bytes_are_named_by_their_old_places() {
        let check = |edit: Edit, expected: &[(u64, u64)]| {
            assert!(edit.is_sound(), "{edit:?}");
            let overwritten = edit.overwritten();
            let overwritten: Vec<_> = overwritten.iter().map(|it| (it.start, it.end)).collect();
            assert_eq!(overwritten, expected, "{edit:?}");
        };
        check(edit(20, 20, 0, &[(0, 9), (18, 20)]), &[(0, 9), (18, 20)]);
        check(edit(10, 20, 0, &[(0, 20)]), &[(0, 10)]);
        check(edit(10, 20, 0, &[(10, 20)]), &[]);
        check(edit(20, 16, 0, &[(0, 8)]), &[(0, 8), (16, 20)]);
        check(edit(10, 18, 8, &[(0, 11), (17, 18)]), &[(0, 3), (9, 10)]);
    }

    #[test]
    fn numbers_that_disagree_are_not_sound() {
        for edit in [
            edit(10, 10, 0, &[(2, 4), (8, 10)]),
            edit(10, 10, 0, &[(0, 8), (8, 8)]),
            edit(10, 10, 0, &[(0, 9), (8, 10)]),
            edit(10, 10, 0, &[(0, 11)]),
            edit(10, 17, 8, &[(0, 8)]),
            edit(u64::MAX, u64::MAX, 1, &[]),
            edit(0, 1, 0, &[(0, 1)]),
        ] {
            assert!(!edit.is_sound(), "{edit:?}");
        }
    }

    #[test]
    fn only_pages_that_differ_are_written() {
        let old = vec![1u8; 20_000];
        let mut new = old[100..].to_vec();
        new[0] = 2;
        new[9_000] = 2;
        new[13_000] = 2;
        let patch = Patch::new(&&old[..], 20_000, 0, &[(100, &new)]).expect("readable");
        assert_eq!(patch.edit.writes, [0..8, 100..4096, 8192..16384]);
        assert_eq!(patch.bytes, [&[1; 8], &new[..3996], &new[8092..16284]]);
        let patch = Patch::new(&&old[..], 20_000, 0, &[(100, &old[100..])]).expect("readable");
        assert!(patch.edit.is_nothing());
    }

    #[test]
    fn what_grows_is_written() {
        let old = [1u8; 10];
        let patch = Patch::new(&&old[..], 12, 0, &[(8, &[1; 4])]).expect("readable");
        assert_eq!(patch.edit.writes, [0..8, 8..12]);
        let patch = Patch::new(&&old[..], 12, 0, &[(10, &[1; 2])]).expect("readable");
        assert_eq!((patch.edit.writes[0].clone(), patch.bytes.len()), (10..12, 1));
        let patch = Patch::new(&&old[..], 14, 4, &[(0, &[1; 5])]).expect("readable");
        assert_eq!((patch.edit.writes[0].clone(), patch.bytes.len()), (0..5, 1));
    }
}
