//! Members' bytes, inflated if needed, never more than asked for.

use std::io::{self, BufReader, Read};
use std::ops::Range;

use flate2::bufread::DeflateDecoder;
use statedict_core::{Fault, Source};

use crate::{Entry, Located, Method};

/// Compressed bytes that are read at a time.
const CHUNK_LEN: u64 = 65_536;
/// No deflate stream grows to more than this many times its length: 258 bytes cost 2 bits.
pub(crate) const MAX_GROWTH: u64 = 1_032;

/// The first `len` bytes of a member; fewer if it has fewer.
pub(crate) fn first(
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
