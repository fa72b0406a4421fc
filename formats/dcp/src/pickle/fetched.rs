//! Which values of its memo a pickle fetches again.
//!
//! Python's pickler puts nearly everything into the memo; of a checkpoint's metadata a hundredth is
//! fetched, and only that is kept while the pickle is followed.

use statedict_core::{Fault, Source};

use super::opcode;
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
    let len = match code {
        opcode::PROTO | opcode::BININT1 | opcode::BINPUT | opcode::BINGET => 1,
        opcode::BININT2 => 2,
        opcode::BININT | opcode::LONG_BINPUT | opcode::LONG_BINGET => 4,
        opcode::BINFLOAT | opcode::FRAME => 8,
        opcode::SHORT_BINUNICODE
        | opcode::SHORT_BINBYTES
        | opcode::SHORT_BINSTRING
        | opcode::LONG1 => u64::from(reader.byte()?),
        opcode::BINUNICODE | opcode::BINBYTES | opcode::BINSTRING | opcode::LONG4 => {
            u64::from(u32::from_le_bytes(reader.bytes()?))
        }
        opcode::BINUNICODE8 | opcode::BINBYTES8 => u64::from_le_bytes(reader.bytes()?),
        opcode::GLOBAL => {
            reader.line()?;
            reader.line()?;
            0
        }
        opcode::INT | opcode::LONG | opcode::FLOAT | opcode::UNICODE | opcode::PUT => {
            reader.line()?;
            0
        }
        _ => 0,
    };
    reader.skip(len)
}
