//! Which values of its memo a pickle fetches again.
//!
//! Python's pickler puts nearly everything into the memo; of a checkpoint's metadata a hundredth is
//! fetched, and only that is kept while the pickle is followed.

use statedict_core::{Fault, Source};
use statedict_pth::opcode::{self, Argument};

use super::reader::Reader;

/// Places in a memo.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<u64>);

impl Places {
    pub(super) fn has(&self, place: u32) -> bool {
        let word = self.0.get(place as usize / 64).copied().unwrap_or(0);
        word >> (place % 64) & 1 == 1
    }

    /// Adds a place; true if it is new.
    pub(super) fn add(&mut self, place: u32) -> bool {
        let word = place as usize / 64;
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let is_new = !self.has(place);
        self.0[word] |= 1 << (place % 64);
        is_new
    }
}

/// The places that the pickle at the start of a source fetches.
pub(super) fn fetched(source: &dyn Source) -> Result<Places, Fault> {
    let mut reader = Reader::new(source);
    let mut places = Places::default();
    loop {
        let at = reader.at();
        let mut fetch = |place: u64| match u32::try_from(place) {
            // Each place takes a byte of the pickle at least.
            Ok(place) if u64::from(place) < source.len() => {
                places.add(place);
                Ok(())
            }
            _ => Err(Fault::malformed(at, "fetches a value that was never put into the memo")),
        };
        match reader.byte()? {
            opcode::STOP => return Ok(places),
            opcode::BINGET => fetch(u64::from(reader.byte()?))?,
            opcode::LONG_BINGET => fetch(u64::from(u32::from_le_bytes(reader.bytes()?)))?,
            opcode::GET => {
                let line = String::from_utf8(reader.line()?).unwrap_or_default();
                fetch(line.trim().parse().unwrap_or(u64::MAX))?;
            }
            code => pass_argument(&mut reader, code)?,
        }
    }
}

/// Passes over what an opcode has behind it.
pub(super) fn pass_argument(reader: &mut Reader<'_>, code: u8) -> Result<(), Fault> {
    let len = match opcode::argument(code) {
        Some(Argument::Fixed(len)) => len as u64,
        Some(Argument::Counted(width)) => opcode::little_endian(reader.take(width as u64)?),
        Some(Argument::CountedSigned) => u64::from(u32::from_le_bytes(reader.bytes()?)),
        Some(Argument::Lines(lines)) => {
            for _ in 0..lines {
                reader.line()?;
            }
            0
        }
        // What is not an opcode is refused where it is followed.
        None => 0,
    };
    reader.skip(len)
}
