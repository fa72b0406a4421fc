//! Items that were compressed by Zstandard.

use std::io::{self, Read};

use ruzstd::decoding::StreamingDecoder;
use statedict_core::{Fault, Source};

/// How much is kept of the front and of the end of what is unpacked, in bytes: an archive's
/// directory is at its end, and what is read of it beside the elements is near either.
const KEPT: usize = 64 << 10;

/// The longest object that is unpacked, in bytes.
pub(super) const MAX_OBJECT: u64 = 64 << 20;

/// How much is unpacked at once, in bytes.
const WINDOW: usize = 64 << 10;

/// What an item unpacks to; of long ones the front and the end.
pub(super) struct Unpacked {
    len: u64,
    front: Vec<u8>,
    /// The last bytes; none before the front is full.
    end: Vec<u8>,
}

impl Unpacked {
    /// Unpacks an item, which has `limit` bytes at most.
    ///
    /// # Errors
    /// Data that is broken or has more bytes.
    pub(super) fn ends(source: &dyn Source, limit: u64) -> Result<Unpacked, Fault> {
        let mut unpacked = Unpacked { len: 0, front: Vec::new(), end: Vec::new() };
        unpack(source, limit, |bytes| unpacked.add(bytes, KEPT))?;
        Ok(unpacked)
    }

    /// Unpacks an object.
    ///
    /// # Errors
    /// Data that is broken, or longer than an object may be.
    pub(super) fn whole(source: &dyn Source) -> Result<Unpacked, Fault> {
        let mut unpacked = Unpacked { len: 0, front: Vec::new(), end: Vec::new() };
        unpack(source, MAX_OBJECT, |bytes| unpacked.add(bytes, usize::MAX))?;
        Ok(unpacked)
    }

    fn add(&mut self, bytes: &[u8], kept: usize) {
        self.len += bytes.len() as u64;
        let (front, rest) = bytes.split_at(bytes.len().min(kept - self.front.len()));
        self.front.extend_from_slice(front);
        self.end.extend_from_slice(rest);
        self.end.drain(..self.end.len().saturating_sub(kept));
    }
}

fn unpack(source: &dyn Source, limit: u64, mut take: impl FnMut(&[u8])) -> Result<(), Fault> {
    // What the decoder says of it are names of its own types.
    let broken = || Fault::broken("its Zstandard frame is damaged or cut off");
    let mut decoder = StreamingDecoder::new(Bytes { source, at: 0 }).map_err(|_| broken())?;
    let (mut window, mut len) = (vec![0; WINDOW], 0u64);
    loop {
        let read = decoder.read(&mut window).map_err(|_| broken())?;
        if read == 0 {
            return Ok(());
        }
        len += read as u64;
        if len > limit {
            let what = format!("it unpacks to over {limit} bytes, more than it should hold");
            return Err(Fault::TooLarge { at: None, what });
        }
        take(&window[..read]);
    }
}

impl Source for Unpacked {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        let last = self.len - self.end.len() as u64;
        if offset.saturating_add(buffer.len() as u64) <= self.front.len() as u64 {
            return self.front.as_slice().read_at(offset, buffer);
        }
        if let Some(at) = offset.checked_sub(last) {
            return self.end.as_slice().read_at(at, buffer);
        }
        if self.front.len() as u64 == last {
            // Both are adjacent, and a range that begins in one ends in the other.
            let at = usize::try_from(offset).unwrap_or(usize::MAX);
            let (front, end) = buffer.split_at_mut(self.front.len() - at);
            self.front.as_slice().read_at(offset, front)?;
            return self.end.as_slice().read_at(0, end);
        }
        Err(Fault::malformed(offset, "something other than elements is amid the elements"))
    }
}

/// A source as a reader.
struct Bytes<'s> {
    source: &'s dyn Source,
    at: u64,
}

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.source.len() - self.at).unwrap_or(usize::MAX);
        let len = left.min(buffer.len());
        self.source.read_at(self.at, &mut buffer[..len]).map_err(io::Error::other)?;
        self.at += len as u64;
        Ok(len)
    }
}
