//! The bytes of a pickle, a window of them at a time.

use statedict_core::{Fault, Source};
use statedict_pth::opcode;

/// How much is read at once, in bytes.
const WINDOW: usize = 1 << 20;

/// The longest text or number that is read, in bytes; names of parameters have some hundred.
const MAX_ARGUMENT: usize = 1 << 16;

/// True for opcodes that push a text, but for the one whose text is in quotes: no metadata has it.
pub(super) fn is_text(code: u8) -> bool {
    code != opcode::STRING && opcode::is_text(code)
}

/// Reads a source from front to back.
pub(super) struct Reader<'s> {
    source: &'s dyn Source,
    /// Where the window ends in the source.
    end: u64,
    window: Vec<u8>,
    /// Bytes of the window that were taken.
    taken: usize,
}

impl<'s> Reader<'s> {
    pub(super) fn new(source: &'s dyn Source) -> Reader<'s> {
        Reader { source, end: 0, window: Vec::new(), taken: 0 }
    }

    /// How many bytes were taken so far.
    pub(super) fn at(&self) -> u64 {
        self.end - (self.window.len() - self.taken) as u64
    }

    /// The next byte.
    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8, Fault> {
        if self.taken == self.window.len() {
            self.fill(1)?;
        }
        let byte = self.window[self.taken];
        self.taken += 1;
        Ok(byte)
    }

    /// The next few bytes.
    #[inline]
    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N as u64)?);
        Ok(bytes)
    }

    /// The next bytes, as many as an opcode says.
    pub(super) fn take(&mut self, len: u64) -> Result<&[u8], Fault> {
        let len = self.within_limit(len)?;
        if self.window.len() - self.taken < len {
            self.fill(len)?;
        }
        let bytes = &self.window[self.taken..self.taken + len];
        self.taken += len;
        Ok(bytes)
    }

    /// The next bytes, as many as there are in the window and at least so many, not taken; none
    /// before the end of the pickle.
    pub(super) fn ahead(&mut self, len: usize) -> Option<&[u8]> {
        if self.window.len() - self.taken < len {
            self.fill(len).ok()?;
        }
        self.window.get(self.taken..)
    }

    /// Takes bytes that were looked at.
    pub(super) fn pass(&mut self, len: usize) {
        self.taken += len;
    }

    /// Passes over bytes that are not looked at.
    pub(super) fn skip(&mut self, len: u64) -> Result<(), Fault> {
        let there = (self.window.len() - self.taken) as u64;
        if len <= there {
            self.taken += usize::try_from(len).unwrap_or(usize::MAX);
            return Ok(());
        }
        let end = self.end.checked_add(len - there).filter(|end| *end <= self.source.len());
        self.end = end.ok_or_else(|| self.ended())?;
        (self.window, self.taken) = (Vec::new(), 0);
        Ok(())
    }

    /// The next bytes up to a line break, which is taken as well.
    pub(super) fn line(&mut self) -> Result<Vec<u8>, Fault> {
        let mut line = Vec::new();
        loop {
            match self.byte()? {
                b'\n' => return Ok(line),
                byte if line.len() < MAX_ARGUMENT => line.push(byte),
                _ => return Err(self.too_long()),
            }
        }
    }

    /// The text behind an opcode that pushes one.
    pub(super) fn text(&mut self, code: u8) -> Result<String, Fault> {
        let at = self.at();
        let len = match code {
            opcode::SHORT_BINUNICODE | opcode::SHORT_BINSTRING => u64::from(self.byte()?),
            opcode::BINUNICODE | opcode::BINSTRING => u64::from(u32::from_le_bytes(self.bytes()?)),
            opcode::BINUNICODE8 => u64::from_le_bytes(self.bytes()?),
            _ => {
                let line = String::from_utf8(self.line()?).ok();
                let plain = line.filter(|line| !line.contains('\\'));
                return plain.ok_or_else(|| Fault::malformed(at, "a text with escapes"));
            }
        };
        let bytes = self.take(len)?.to_vec();
        String::from_utf8(bytes).map_err(|_| Fault::malformed(at, "a text is not UTF-8"))
    }

    /// Reads on until this many bytes are there.
    fn fill(&mut self, needed: usize) -> Result<(), Fault> {
        self.window.drain(..self.taken);
        self.taken = 0;
        let left = self.source.len() - self.end;
        let read = (WINDOW as u64).min(left);
        if ((self.window.len() as u64) + read) < needed as u64 {
            return Err(self.ended());
        }
        let start = self.window.len();
        self.window.resize(start + usize::try_from(read).unwrap_or(0), 0);
        self.source.read_at(self.end, &mut self.window[start..])?;
        self.end += read;
        Ok(())
    }

    fn within_limit(&self, len: u64) -> Result<usize, Fault> {
        let len = usize::try_from(len).ok().filter(|len| *len <= MAX_ARGUMENT);
        len.ok_or_else(|| self.too_long())
    }

    fn too_long(&self) -> Fault {
        let what = format!("a text or number has over {MAX_ARGUMENT} bytes, the limit");
        Fault::too_large(self.at(), what)
    }

    fn ended(&self) -> Fault {
        Fault::malformed(self.source.len(), "unexpected end of the pickle")
    }
}
