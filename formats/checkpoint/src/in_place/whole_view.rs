//! A whole file, seen through the journal of an edit that was interrupted: mostly the old one.

use std::fs::File;
use std::ops::Range;

use statedict_core::{Fault, Source};

use super::edit::pieces;
use super::journal::{self, Decision, Journal};
use super::sentinel::{self, GUARD};
use crate::disk::plain_file::read_at;

/// The old file: the journal's bytes where the edit writes, the file's own elsewhere. Or the new one,
/// where all is written but its first bytes, and those are the journal's.
#[derive(Debug)]
pub(crate) struct WholeView {
    journal: Journal,
    age: Age,
    /// Ranges of it that the journal holds, each with its place there.
    saved: Vec<(Range<u64>, u64)>,
    /// How far the file's own bytes have moved on by now.
    moved: u64,
    /// The first byte of the old file that has; 0 but for a file system that was stopped midway.
    from: u64,
}

/// Which of the two files a view shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    Old,
    New,
}

/// A whole file, readable.
pub(crate) struct View<'a> {
    pub(crate) whole: &'a WholeView,
    pub(crate) file: &'a File,
}

impl WholeView {
    /// The old file, if this one is on its way between the old and the new; otherwise why it is
    /// not.
    pub(crate) fn new(
        journal: Journal,
        file: &File,
        len: u64,
    ) -> Result<Result<WholeView, String>, Fault> {
        let edit = &journal.edit;
        let (old, new) = (edit.old_len, edit.new_len);
        let moved = match edit.inserted {
            0 if (old.min(new)..=old.max(new)).contains(&len) => 0,
            inserted if inserted > 0 && len == old => 0,
            inserted if inserted > 0 && (old + inserted..=new).contains(&len) => inserted,
            _ => {
                let between = format!("between {} and {}", old.min(new), old.max(new));
                return Ok(Err(format!("the file has {len} bytes, expected {between}")));
            }
        };
        let mut at = journal.old_at;
        let mut saved = Vec::new();
        for range in edit.overwritten() {
            let len = range.end - range.start;
            saved.push((range, at));
            at += len;
        }
        let mut past = WholeView { journal, age: Age::Old, saved, moved, from: 0 };
        if past.explains(file, len)? || past.is_halfway(file, len)? {
            return Ok(Ok(past));
        }
        Ok(Err("the file has been changed or replaced since".into()))
    }

    /// The new file instead, if all of it is written but its first bytes, which the journal has;
    /// otherwise why it is not.
    pub(crate) fn finished(self, file: &File) -> Result<Result<WholeView, String>, Fault> {
        let journal = self.journal;
        let (mut at, mut saved) = (journal.new_at, Vec::new());
        for write in &journal.edit.writes {
            let (front, rest) = sentinel::parted(write);
            let rest_at = at + (front.end - front.start);
            if !front.is_empty() {
                saved.push((front, at));
            }
            for piece in pieces(rest.clone()) {
                let (len, behind) = (piece.end - piece.start, piece.start - rest.start);
                let mut now = vec![0; small(len)];
                read_at(file, piece.start, &mut now)?;
                if now != journal.bytes.bytes(rest_at + behind..rest_at + behind + len)? {
                    return Ok(Err("the new file is not all there".into()));
                }
            }
            at += write.end - write.start;
        }
        Ok(Ok(WholeView { journal, age: Age::New, saved, moved: 0, from: 0 }))
    }

    /// True if a loss of power stopped the file system while it moved the file's bytes; then `from`
    /// is where.
    ///
    /// It makes the file longer first and moves what is in it from the end on, so that there is a
    /// hole between what has moved and what has not. The ends of the old file must be where that
    /// puts them, and there must be one such hole.
    fn is_halfway(&mut self, file: &File, len: u64) -> Result<bool, Fault> {
        if self.moved == 0 || len != self.len() + self.moved {
            return Ok(false);
        }
        let mut places = holes(file, len);
        // That behind the old end is shorter if the end is within a block.
        let is_it =
            |hole: &Range<u64>| hole.end - hole.start >= self.moved || hole.start >= self.len();
        places.retain(is_it);
        let [hole] = places.as_slice() else { return Ok(false) };
        self.from = hole.start.min(self.len());
        Ok(journal::fingerprint(&View { whole: self, file })? == self.journal.fingerprint)
    }

    /// Why the journal need not be this user's, written for this very file.
    pub(crate) fn doubt(&self) -> Option<&'static str> {
        self.journal.doubt
    }

    /// The first byte of the old file that has moved.
    pub(crate) fn from(&self) -> u64 {
        self.from
    }

    pub(crate) fn moved(&self) -> u64 {
        self.moved
    }

    pub(crate) fn len(&self) -> u64 {
        match self.age {
            Age::Old => self.journal.edit.old_len,
            Age::New => self.journal.edit.new_len,
        }
    }

    /// Which of the two files it shows.
    pub(crate) fn age(&self) -> Age {
        self.age
    }

    /// What decides between the two, if the file is edited together with others.
    pub(crate) fn decision(&self) -> Option<&Decision> {
        self.journal.decision.as_ref()
    }

    /// Ranges that the journal holds, each with its place there.
    pub(crate) fn saved(&self) -> &[(Range<u64>, u64)] {
        &self.saved
    }

    /// True if every byte where the edit writes is an old or a new one or the guard's, and the ends of the old
    /// file are what they were.
    fn explains(&self, file: &File, len: u64) -> Result<bool, Fault> {
        let edit = &self.journal.edit;
        let mut at = self.journal.new_at;
        for write in &edit.writes {
            for piece in pieces(write.clone()) {
                let bytes = piece.end - piece.start;
                if !self.is_old_or_new(file, len, piece, at)? {
                    return Ok(false);
                }
                at += bytes;
            }
        }
        let old = View { whole: self, file };
        Ok(journal::fingerprint(&old)? == self.journal.fingerprint)
    }

    /// True if the file's bytes in a range of the new file are new, old, the guard's or not yet
    /// written.
    fn is_old_or_new(
        &self,
        file: &File,
        len: u64,
        range: Range<u64>,
        new_at: u64,
    ) -> Result<bool, Fault> {
        let edit = &self.journal.edit;
        // Before they move on, old bytes are where they were; what comes in front is not there.
        let back = edit.inserted - self.moved;
        let start = range.start.max(back);
        let end = range.end.min(len.saturating_add(back));
        if start >= end {
            return Ok(true);
        }
        let mut now = vec![0; small(end - start)];
        read_at(file, start - back, &mut now)?;
        let new = self
            .journal
            .bytes
            .bytes(new_at + (start - range.start)..new_at + (end - range.start))?;
        let under = edit.under(&(start..end));
        let old = View { whole: self, file }.bytes(under.clone())?;
        let first = small((under.start + edit.inserted).saturating_sub(start).min(end - start));
        let old_at = |i: usize| i.checked_sub(first).and_then(|i| old.get(i)).copied().unwrap_or(0);
        // The guard is where the old file began.
        let guard_at = |i: usize| {
            let at = (start + i as u64).checked_sub(edit.inserted)?;
            GUARD.get(usize::try_from(at).ok()?)
        };
        Ok(now
            .iter()
            .zip(&new)
            .enumerate()
            .all(|(i, (now, new))| now == new || *now == old_at(i) || guard_at(i) == Some(now)))
    }
}

impl Source for View<'_> {
    fn len(&self) -> u64 {
        self.whole.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        self.whole.read(self.file, offset, buffer)
    }
}

impl WholeView {
    /// Fills a buffer with the whole file's bytes.
    pub(crate) fn read(
        &self,
        file: &File,
        mut at: u64,
        mut buffer: &mut [u8],
    ) -> Result<(), Fault> {
        if at.checked_add(buffer.len() as u64).is_none_or(|end| end > self.len()) {
            return Err(Fault::malformed(at, "unexpected end of file"));
        }
        let mut next = self.saved.partition_point(|(range, _)| range.end <= at);
        while !buffer.is_empty() {
            let left = buffer.len() as u64;
            let saved = self.saved.get(next);
            let there = if at < self.from { left.min(self.from - at) } else { left };
            let (len, place) = match saved {
                Some((range, place)) if range.start <= at => {
                    (left.min(range.end - at), Some(place + (at - range.start)))
                }
                Some((range, _)) => (there.min(range.start - at), None),
                None => (there, None),
            };
            let (piece, rest) = buffer.split_at_mut(small(len));
            match place {
                Some(place) => {
                    self.journal.bytes.read_at(place, piece)?;
                    next += 1;
                }
                None if at < self.from => read_at(file, at, piece)?,
                None => read_at(file, at + self.moved, piece)?,
            }
            at += len;
            buffer = rest;
        }
        Ok(())
    }
}

/// Where the file system keeps nothing of a file, which reads as zeros.
#[cfg(target_os = "linux")]
fn holes(file: &File, len: u64) -> Vec<Range<u64>> {
    use rustix::fs::{SeekFrom, seek};
    let mut holes = Vec::new();
    let mut at = 0;
    while let Ok(start) = seek(file, SeekFrom::Hole(at)) {
        if start >= len {
            break;
        }
        // There are no data after a hole at the end.
        let end = seek(file, SeekFrom::Data(start)).unwrap_or(len);
        holes.push(start..end);
        at = end;
    }
    holes
}

#[cfg(not(target_os = "linux"))]
fn holes(_: &File, _: u64) -> Vec<Range<u64>> {
    Vec::new()
}

/// The length of something that is in memory.
fn small(len: u64) -> usize {
    usize::try_from(len).expect("pieces and buffers are in memory")
}
