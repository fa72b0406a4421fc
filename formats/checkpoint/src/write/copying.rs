//! Long ranges that are copied from the source: by the system, or through memory where their bytes
//! are summed or go past the cache.

use std::io;
use std::ops::Range;

use statedict_core::Source;

use crate::elements::{PIECE, StreamError};
use crate::observer::report;
use crate::parallel::{each_on, processors, waiting};
use crate::source::ReadOnce;

use super::WriteBase;
use super::aligned::Aligned;
use super::checksums::Sum;
use super::chunks::{BLOCK, Chunk, Work};
use super::filling::{Filling, Stretch};

/// Bytes that are read and written at once where each write waits for the disk.
const DIRECT_PIECE: u64 = 2 << 20;

impl Filling<'_> {
    /// Writes those of the stretches that are copied; gives the sums that were asked for.
    pub(super) fn copy_all(&self, stretches: &[&Chunk<'_>]) -> Result<Vec<Sum>, StreamError> {
        let shares = stretches.iter().flat_map(|stretch| stretch.shares());
        let threads = if self.output.is_direct() { waiting() } else { processors() };
        let sums = each_on(threads, shares, || {
            let mut buffer = Aligned::default();
            move |share: Chunk| {
                let done = self.copy_in_system(&share)?;
                self.copy(&share.after(done), &mut buffer)
            }
        })?;
        Ok(sums.into_iter().flatten().collect())
    }

    /// Lets the system copy the start of a stretch, in blocks that both files share where they can;
    /// gives how many bytes that were.
    fn copy_in_system(&self, stretch: &Chunk<'_>) -> Result<u64, StreamError> {
        let Chunk { at, work: Work::Copy(range), summed: None } = stretch else { return Ok(0) };
        let Some((file, start)) = self.writing.source.file_at(range.start) else { return Ok(0) };
        let len = match self.ground {
            WriteBase::Sharing if at.is_multiple_of(BLOCK) && self.ground.has(stretch) => {
                stretch.len() / BLOCK * BLOCK
            }
            WriteBase::Empty if !self.output.is_direct() => stretch.len(),
            _ => return Ok(0),
        };
        let mut done = 0;
        while done < len {
            let from = range.start - start + done..range.start - start + len;
            match self.writing.disk.copy(&file, from, self.writing.file, at + done) {
                Ok(copied @ 1..) => done += copied,
                // The reading that follows finds out why.
                Ok(0) | Err(_) => break,
            }
        }
        report(self.writing.observer, done).map_err(StreamError::Sink)?;
        Ok(done)
    }

    /// Copies a stretch through memory, and sums it if that is asked for.
    fn copy(&self, stretch: &Chunk<'_>, buffer: &mut Aligned) -> Result<Option<Sum>, StreamError> {
        let Chunk { at, work: Work::Copy(range), summed } = stretch else { return Ok(None) };
        let mut written = Stretch::new(self, *at, *summed);
        self.read(range.clone(), *at, buffer, &mut |bytes| written.put(bytes))?;
        Ok(written.sum)
    }

    /// Delivers a range of the source, which goes to a place of the new file, in pieces.
    pub(super) fn read(
        &self,
        range: Range<u64>,
        to: u64,
        buffer: &mut Aligned,
        deliver: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), StreamError> {
        // A file that is too long for the cache should not come into it where it is read either.
        let once = ReadOnce(self.writing.source);
        let (source, most): (&dyn Source, u64) = if self.output.is_direct() {
            (&once, DIRECT_PIECE)
        } else {
            (self.writing.source, PIECE)
        };
        let mut done = 0;
        while range.start + done < range.end {
            let (from, to) = (range.start + done, to + done);
            // All but the first begin where a block does.
            let len = (range.end - from).min(most - to % most);
            let piece = buffer.for_place(to, usize::try_from(len).expect("a piece fits in memory"));
            source.read_at(from, piece)?;
            deliver(piece).map_err(StreamError::Sink)?;
            done += len;
        }
        Ok(())
    }
}
