//! Opcodes of a pickle that is somewhere in a source, read through a small window.

use std::ops::Range;

use statedict_core::{Fault, Source};

use crate::pickle::opcode::{Argument, argument, little_endian};

/// How much is read at first, in bytes; then four times as much each time, up to the longest.
const FIRST_WINDOW: u64 = 256;

/// How much is read at a time, in bytes.
const LONGEST_WINDOW: u64 = 64 << 10;

/// Room for any opcode with a fixed argument, in bytes.
const LONGEST_FIXED: u64 = 16;

/// An opcode as it is in the stretch, with places counted from the stretch's start.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub(super) code: u8,
    pub(super) at: u32,
    /// The argument: fixed bytes, counted bytes without their count, lines without the last feed.
    pub(super) argument: Range<u32>,
    pub(super) end: u32,
}

/// Why there is no opcode at a place.
pub(super) enum Bad {
    /// The bytes end.
    Cut,
    /// The byte is none.
    Unknown(u8),
    Fault(Fault),
}

impl From<Fault> for Bad {
    fn from(fault: Fault) -> Bad {
        Bad::Fault(fault)
    }
}

/// Reads opcodes of one stretch of a source in bounded memory, however long their arguments are.
pub(super) struct Reader<'s> {
    source: &'s dyn Source,
    stretch: Range<u64>,
    window: Vec<u8>,
    /// Where the window starts, counted from the stretch's start.
    start: u64,
}

impl<'s> Reader<'s> {
    /// A stretch is cut where 32 bits no longer count its bytes.
    pub(super) fn new(source: &'s dyn Source, stretch: Range<u64>) -> Reader<'s> {
        let start = stretch.start.min(source.len());
        let end = stretch.end.min(source.len()).min(start.saturating_add(u64::from(u32::MAX)));
        Reader { source, stretch: start..end.max(start), window: Vec::new(), start: 0 }
    }

    /// Bytes of the stretch.
    pub(super) fn len(&self) -> u64 {
        self.stretch.end - self.stretch.start
    }

    pub(super) fn op(&mut self, at: u32) -> Result<Op, Bad> {
        let after = u64::from(at) + 1;
        let code = *self.some(at.into(), LONGEST_FIXED)?.first().ok_or(Bad::Cut)?;
        let (from, to, end) = match argument(code).ok_or(Bad::Unknown(code))? {
            Argument::Fixed(len) => (after, after + len as u64, after + len as u64),
            Argument::Counted(width) => {
                let from = after + width as u64;
                let count = self.number(after, width)?;
                let end = from.checked_add(count).ok_or(Bad::Cut)?;
                (from, end, end)
            }
            Argument::CountedSigned => {
                let count = self.number(after, 4)? as u32 as i32;
                let end = after + 4 + u64::try_from(count).map_err(|_| Bad::Cut)?;
                (after + 4, end, end)
            }
            Argument::Lines(count) => {
                let mut feed = self.feed(after)?;
                for _ in 1..count {
                    feed = self.feed(feed + 1)?;
                }
                (after, feed, feed + 1)
            }
        };
        if end > self.len() {
            return Err(Bad::Cut);
        }
        let narrow = |place: u64| u32::try_from(place).map_err(|_| Bad::Cut);
        Ok(Op { code, at, argument: narrow(from)?..narrow(to)?, end: narrow(end)? })
    }

    /// The bytes of a range, at most `limit` of them.
    pub(super) fn bytes(&self, range: Range<u32>, limit: u32) -> Result<Vec<u8>, Fault> {
        let range = limited(range, limit);
        match self.held(&range) {
            Some(held) => Ok(held.to_vec()),
            None => self.fetched(range),
        }
    }

    /// The number that a range of at most eight bytes is.
    pub(super) fn number_in(&self, range: Range<u32>) -> Result<u64, Fault> {
        let range = limited(range, 8);
        match self.held(&range) {
            Some(held) => Ok(little_endian(held)),
            None => Ok(little_endian(&self.fetched(range)?)),
        }
    }

    /// The bytes of a range that the window has.
    fn held(&self, range: &Range<u32>) -> Option<&[u8]> {
        let from = u64::from(range.start).checked_sub(self.start)?;
        let to = u64::from(range.end).checked_sub(self.start)?;
        self.window.get(from as usize..to as usize)
    }

    fn fetched(&self, range: Range<u32>) -> Result<Vec<u8>, Fault> {
        let place = |at: u32| self.stretch.start.saturating_add(u64::from(at));
        self.source.bytes(place(range.start)..place(range.end))
    }

    fn number(&mut self, at: u64, width: usize) -> Result<u64, Bad> {
        let bytes = self.some(at, width as u64)?;
        bytes.get(..width).map(little_endian).ok_or(Bad::Cut)
    }

    /// The next line feed.
    fn feed(&mut self, mut at: u64) -> Result<u64, Bad> {
        loop {
            let bytes = self.some(at, 1)?;
            match bytes.iter().position(|byte| *byte == b'\n') {
                Some(place) => return Ok(at + place as u64),
                None if bytes.is_empty() => return Err(Bad::Cut),
                None => at += bytes.len() as u64,
            }
        }
    }

    /// What the window has from a place on: at least `len` bytes if the stretch has them.
    fn some(&mut self, at: u64, len: u64) -> Result<&[u8], Fault> {
        let wanted = at.saturating_add(len).min(self.len());
        let held = self.start..self.start + self.window.len() as u64;
        if at < held.start || wanted > held.end {
            let longer = (self.window.len() as u64 * 4).clamp(FIRST_WINDOW, LONGEST_WINDOW);
            let end = at.saturating_add(longer).min(self.len()).max(at);
            let place = |at: u64| self.stretch.start.saturating_add(at);
            self.window = if at < self.len() {
                self.source.bytes(place(at)..place(end))?
            } else {
                Vec::new()
            };
            self.start = at;
        }
        let from = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        Ok(self.window.get(from..).unwrap_or_default())
    }
}

/// The front of a range, of at most so many bytes.
fn limited(range: Range<u32>, limit: u32) -> Range<u32> {
    range.start..range.end.min(range.start.saturating_add(limit)).max(range.start)
}
