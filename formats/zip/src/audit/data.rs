//! A member's bytes, all of them, held against its length and checksum in bounded memory.

use std::io::{self, BufReader, Read};
use std::ops::Range;

use crc32fast::Hasher;
use flate2::bufread::DeflateDecoder;
use statedict_core::{Fault, Finding, Source};

use crate::content::Bytes;
use crate::{Entry, Located, Method};

/// Bytes that are looked at at a time: they are summed while they are still in a processor's cache.
const CHUNK_LEN: usize = 256 << 10;

impl Entry {
    /// Reads the whole member and holds it against its length and checksum.
    ///
    /// A checksum of 0 is one that the writer left out.
    ///
    /// # Errors
    /// Only what keeps the bytes from being read.
    pub fn verify(&self, source: &dyn Source, located: &Located) -> Result<Option<Finding>, Fault> {
        let wrong = match self.method() {
            Method::Stored => self.checksum_fault(sum(source, located.data.clone())?.finalize()),
            Method::Deflated => match inflated(self, source, located)? {
                Ok(crc32) => self.checksum_fault(crc32),
                Err(what) => Some(what),
            },
            Method::Other(method) => {
                Some(format!("compressed by method {method}, which is unknown"))
            }
        };
        Ok(wrong.map(|what| self.is_another(what)))
    }

    /// Holds the checksum of a stored member's bytes against the one that was written with it.
    ///
    /// A checksum of 0 is one that the writer left out.
    pub fn verify_sum(&self, found: u32) -> Option<Finding> {
        self.checksum_fault(found).map(|what| self.is_another(what))
    }

    fn is_another(&self, what: String) -> Finding {
        Finding::malformed(self.name(), what, "the member is not what was written")
    }

    fn checksum_fault(&self, found: u32) -> Option<String> {
        let expected = self.crc32();
        (expected != 0 && expected != found)
            .then(|| format!("checksum {found:08x}, expected {expected:08x}"))
    }
}

/// The checksum of a stretch of a source, which goes together with those of its neighbours.
///
/// # Errors
/// What keeps the bytes from being read.
pub fn sum(source: &dyn Source, stretch: Range<u64>) -> Result<Hasher, Fault> {
    let mut hasher = Hasher::new();
    let (mut at, end) = (stretch.start, stretch.end);
    let mut buffer = vec![0; CHUNK_LEN.min(usize::try_from(end - at).unwrap_or(CHUNK_LEN))];
    while at < end {
        let len = buffer.len().min(usize::try_from(end - at).unwrap_or(CHUNK_LEN));
        let chunk = &mut buffer[..len];
        source.read_at(at, chunk)?;
        hasher.update(chunk);
        at += len as u64;
    }
    Ok(hasher)
}

/// The checksum of a deflated member; the inner error is what is wrong with it.
fn inflated(
    entry: &Entry,
    source: &dyn Source,
    located: &Located,
) -> Result<Result<u32, String>, Fault> {
    let bytes = BufReader::new(Bytes { source, range: located.data.clone() });
    let mut decoder = DeflateDecoder::new(bytes);
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; CHUNK_LEN];
    let mut len = 0u64;
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => {
                hasher.update(&buffer[..read]);
                len += read as u64;
                if len > entry.size() {
                    return Ok(Err(format!("inflates to more than its {} bytes", entry.size())));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                return match error.downcast::<Fault>() {
                    Ok(fault) => Err(fault),
                    Err(error) => Ok(Err(format!("does not inflate: {error}"))),
                };
            }
        }
    }
    if len < entry.size() {
        return Ok(Err(format!("inflates to {len} bytes, expected {}", entry.size())));
    }
    let used = decoder.total_in();
    if used == located.data.end - located.data.start {
        Ok(Ok(hasher.finalize()))
    } else {
        Ok(Err("bytes follow the end of its deflate stream".into()))
    }
}
