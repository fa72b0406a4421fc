//! The bytes that a pickle goes on with, looked at before they are taken.

use statedict_pth::opcode;

use super::machine::little_endian;

/// Some of the bytes that come next.
pub(super) struct Ahead<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Ahead<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Ahead<'b> {
        Ahead { bytes, at: 0 }
    }

    /// How many were looked at.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Those of a range.
    pub(super) fn range(&self, start: usize, end: usize) -> &'b [u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn take(&mut self, len: usize) -> Option<&'b [u8]> {
        let bytes = self.bytes.get(self.at..self.at.checked_add(len)?)?;
        self.at += len;
        Some(bytes)
    }

    /// Passes over bytes that are these.
    #[inline]
    pub(super) fn pass_same(&mut self, expected: &[u8]) -> Option<()> {
        let mut found = self.take(expected.len())?;
        let mut expected = expected;
        // By words: there are only a few, too few for a call that compares them.
        while let (Some((a, rest)), Some((b, found_rest))) =
            (expected.split_first_chunk::<8>(), found.split_first_chunk::<8>())
        {
            if a != b {
                return None;
            }
            (expected, found) = (rest, found_rest);
        }
        while let (Some((a, rest)), Some((b, found_rest))) =
            (expected.split_first(), found.split_first())
        {
            if a != b {
                return None;
            }
            (expected, found) = (rest, found_rest);
        }
        Some(())
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// The place that an opcode fetches.
    pub(super) fn place(&mut self, code: u8) -> Option<u32> {
        match code {
            opcode::BINGET => self.byte().map(u32::from),
            opcode::LONG_BINGET => self.array().map(u32::from_le_bytes),
            _ => None,
        }
    }

    /// The number that an opcode pushes.
    pub(super) fn integer(&mut self) -> Option<i64> {
        Some(match self.byte()? {
            opcode::BININT1 => i64::from(self.byte()?),
            opcode::BININT2 => i64::from(u16::from_le_bytes(self.array()?)),
            opcode::BININT => i64::from(i32::from_le_bytes(self.array()?)),
            opcode::LONG1 => {
                let len = usize::from(self.byte()?);
                little_endian(self.take(len)?)?
            }
            _ => return None,
        })
    }

    /// The bytes of the text that an opcode pushes.
    pub(super) fn text(&mut self) -> Option<&'b [u8]> {
        let len = match self.byte()? {
            opcode::SHORT_BINUNICODE => usize::from(self.byte()?),
            opcode::BINUNICODE => usize::try_from(u32::from_le_bytes(self.array()?)).ok()?,
            _ => return None,
        };
        self.take(len)
    }
}
