//! The members of a tar archive, and the pickles and raw numbers in them.

use std::collections::HashMap;
use std::ops::Range;

use statedict_core::{Fault, Source};

use crate::pickle::opcode::{self, Op};

/// Bytes in a block of a tar archive.
const BLOCK: u64 = 512;

/// How much is read for a pickle between raw data at first; quadrupled until it is whole.
const FIRST_READ: u64 = 256;

/// The members of a tar archive, by name; empty for what is not a tar archive.
pub(super) fn members(source: &dyn Source) -> Result<HashMap<String, Range<u64>>, Fault> {
    let members = tar_members(source)?.into_iter();
    Ok(members.map(|member| (member.name, member.data)).collect())
}

/// A member of a tar archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TarMember {
    /// Its name, without a `./` in front.
    pub name: String,
    /// Where its bytes are.
    pub data: Range<u64>,
    /// True for what is unpacked as a link or a device instead of a file.
    pub is_special: bool,
}

/// The members of a tar archive as they follow each other; none for what is not a tar archive.
///
/// # Errors
/// A member that would end beyond the file.
pub fn tar_members(source: &dyn Source) -> Result<Vec<TarMember>, Fault> {
    let mut members = Vec::new();
    let mut at = 0;
    while source.len().saturating_sub(at) >= BLOCK {
        let block = source.bytes(at..at + BLOCK)?;
        let Some(Header { name, size, is_special }) = Header::parse(&block) else { break };
        let start = at + BLOCK;
        let end = start.checked_add(size).filter(|end| *end <= source.len());
        let Some(end) = end else {
            let what = format!("tar member '{name}' of {size} bytes ends beyond the file");
            return Err(Fault::malformed(at, what));
        };
        let name = name.trim_start_matches("./").to_string();
        members.push(TarMember { name, data: start..end, is_special });
        at = end.next_multiple_of(BLOCK);
    }
    Ok(members)
}

/// What a header block says.
struct Header {
    name: String,
    size: u64,
    is_special: bool,
}

impl Header {
    /// Reads a header block; `None` if its checksum does not hold.
    fn parse(block: &[u8]) -> Option<Header> {
        let octal = |range: Range<usize>| {
            let text = std::str::from_utf8(block.get(range)?).ok()?;
            u64::from_str_radix(text.trim_matches(['\0', ' ']), 8).ok()
        };
        let sum: u64 = block
            .iter()
            .enumerate()
            .map(|(i, byte)| match i {
                148..156 => u64::from(b' '),
                _ => u64::from(*byte),
            })
            .sum();
        if octal(148..156)? != sum {
            return None;
        }
        let name = block.get(..100)?.split(|byte| *byte == 0).next()?;
        Some(Header {
            name: String::from_utf8_lossy(name).into_owned(),
            size: octal(124..136)?,
            is_special: matches!(block.get(156)?, b'1'..=b'4' | b'6'),
        })
    }
}

/// Reads pickles and raw numbers one after another.
pub(super) struct Cursor<'a> {
    source: &'a dyn Source,
    pub(super) at: u64,
    end: u64,
}

impl<'a> Cursor<'a> {
    /// How long the file is that it reads.
    pub(super) fn file_len(&self) -> u64 {
        self.source.len()
    }

    pub(super) fn new(source: &'a dyn Source, range: Range<u64>) -> Cursor<'a> {
        Cursor { source, at: range.start, end: range.end }
    }

    /// The next pickle, up to its `STOP`.
    pub(super) fn pickle(&mut self) -> Result<Vec<u8>, Fault> {
        let mut len = FIRST_READ;
        let mut scanned = 0;
        loop {
            let available = len.min(self.end - self.at);
            let mut buffer = self.source.bytes(self.at..self.at + available)?;
            let fault = loop {
                match Op::at(&buffer, scanned) {
                    Ok(op) => {
                        scanned = op.whole.end as usize;
                        if op.code == opcode::STOP {
                            self.at += scanned as u64;
                            buffer.truncate(scanned);
                            return Ok(buffer);
                        }
                    }
                    Err(fault) => break fault,
                }
            };
            if available == self.end - self.at {
                return Err(fault);
            }
            len = len.saturating_mul(4);
        }
    }

    pub(super) fn skip(&mut self, bytes: u64) -> Result<Range<u64>, Fault> {
        let start = self.at;
        match start.checked_add(bytes).filter(|end| *end <= self.end) {
            Some(end) => {
                self.at = end;
                Ok(start..end)
            }
            None => {
                Err(Fault::malformed(start, format!("{bytes} bytes end beyond the tar member")))
            }
        }
    }

    pub(super) fn i32(&mut self) -> Result<i32, Fault> {
        let bytes = self.source.bytes(self.skip(4)?)?;
        Ok(i32::from_le_bytes(bytes.try_into().expect("four bytes were asked for")))
    }

    pub(super) fn size(&mut self) -> Result<u64, Fault> {
        let at = self.at;
        let bytes = self.source.bytes(self.skip(8)?)?;
        let number = i64::from_le_bytes(bytes.try_into().expect("eight bytes were asked for"));
        u64::try_from(number)
            .map_err(|_| Fault::malformed(at, format!("{number} cannot be a size")))
    }

    pub(super) fn sizes(&mut self, count: u64) -> Result<Vec<u64>, Fault> {
        // Refused before any memory is taken for it.
        let end = self.at.checked_add(count.saturating_mul(8));
        if end.is_none_or(|end| end > self.end) {
            return Err(Fault::malformed(
                self.at,
                format!("{count} sizes end beyond the tar member"),
            ));
        }
        (0..count).map(|_| self.size()).collect()
    }
}
