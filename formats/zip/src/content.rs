//! Members' bytes, inflated if needed, never more than asked for.

use std::io::{self, BufReader, Read};
use std::ops::Range;

use flate2::bufread::DeflateDecoder;
use statedict_core::{Fault, Source};

use crate::entry::MAX_GROWTH;
use crate::{Entry, Located, Method};

/// Compressed bytes that are read at a time.
const CHUNK_LEN: u64 = 65_536;

impl Entry {
    /// The whole member, inflated if needed, its length and checksum held against the directory.
    ///
    /// A checksum of 0 is taken for one that the writer left out, as PyTorch does on request.
    ///
    /// # Errors
    /// More than `limit` bytes, another length or checksum, a stream that does not inflate, a
    /// method that is neither stored nor deflated.
    pub fn read(&self, source: &dyn Source, limit: u64) -> Result<Vec<u8>, Fault> {
        let content = self.read_unchecked(source, limit)?;
        let crc32 = crc32fast::hash(&content);
        if self.crc32() != 0 && self.crc32() != crc32 {
            let what = format!("checksum {crc32:08x}, expected {:08x}", self.crc32());
            return Err(self.fault(&what));
        }
        Ok(content)
    }

    /// The same with whatever checksum, as PyTorch reads its records.
    ///
    /// # Errors
    /// As [`Entry::read`], but for the checksum.
    pub fn read_unchecked(&self, source: &dyn Source, limit: u64) -> Result<Vec<u8>, Fault> {
        if self.size() > limit {
            let what = format!("member '{}' has {} bytes, over {limit}", self.name(), self.size());
            return Err(Fault::too_large(self.header_offset(), what));
        }
        let located = self.locate(source)?;
        let content = first(self, source, &located, self.size().saturating_add(1))?;
        if content.len() as u64 != self.size() {
            let found = if content.len() as u64 > self.size() { "more" } else { "fewer" };
            let what = format!("has {found} bytes than the {} the directory gives", self.size());
            return Err(self.fault(&what));
        }
        Ok(content)
    }

    /// The first `len` bytes of the member, inflated if needed; fewer if it has fewer.
    ///
    /// # Errors
    /// A stream that does not inflate, a method that is neither stored nor deflated.
    pub fn read_head(
        &self,
        source: &dyn Source,
        located: &Located,
        len: u64,
    ) -> Result<Vec<u8>, Fault> {
        first(self, source, located, len.min(self.size()))
    }
}

/// The first `len` bytes of a member; fewer if it has fewer.
fn first(
    entry: &Entry,
    source: &dyn Source,
    located: &Located,
    len: u64,
) -> Result<Vec<u8>, Fault> {
    let data = located.data.clone();
    match entry.method() {
        Method::Stored => source.bytes(data.start..data.end.min(data.start.saturating_add(len))),
        Method::Deflated => inflate(entry, source, data, len),
        Method::Other(method) => Err(Fault::Unsupported(format!(
            "member '{}' is compressed by method {method}; only stored and deflated are known",
            entry.name()
        ))),
    }
}

fn inflate(
    entry: &Entry,
    source: &dyn Source,
    data: Range<u64>,
    len: u64,
) -> Result<Vec<u8>, Fault> {
    let compressed_len = data.end.saturating_sub(data.start);
    let likely = len.min(compressed_len.saturating_mul(MAX_GROWTH));
    let chunk = compressed_len.clamp(1, CHUNK_LEN.min(len.max(512)));
    let bytes = BufReader::with_capacity(chunk as usize, Bytes { source, range: data });
    let mut content = Vec::with_capacity(usize::try_from(likely).unwrap_or(0));
    match DeflateDecoder::new(bytes).take(len).read_to_end(&mut content) {
        Ok(_) => Ok(content),
        Err(error) => Err(match error.downcast::<Fault>() {
            Ok(fault) => fault,
            Err(error) => entry.fault(&format!("does not inflate: {error}")),
        }),
    }
}

/// A range of a source as a stream.
pub(crate) struct Bytes<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) range: Range<u64>,
}

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.range.end.saturating_sub(self.range.start);
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..len) else { return Ok(0) };
        self.source.read_at(self.range.start, buffer).map_err(io::Error::other)?;
        self.range.start = self.range.start.saturating_add(len as u64);
        Ok(len)
    }
}
