//! Reading storages from front to back, those in a deflate stream too.

use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use crc32fast::Hasher;
use flate2::bufread::DeflateDecoder;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use statedict_core::{Fault, Location, Source};

use crate::disk::plain_file::PlainFile;

/// Storages longer than this are inflated into an unlinked temporary file, not into memory, when
/// their elements are needed out of order.
const MAX_IN_MEMORY: u64 = 256 << 20;

/// Compressed bytes that are read at once.
const READ: usize = 256 << 10;

/// A reader of a storage's bytes from byte `from` of it on.
pub(crate) fn reader<'a>(
    source: &'a dyn Source,
    location: &Location,
    from: u64,
) -> Result<Box<dyn Read + 'a>, Fault> {
    match location {
        Location::Stored(range) => {
            let start = range.start.saturating_add(from).min(range.end);
            Ok(Box::new(RangeReader { source, range: start..range.end }))
        }
        Location::Deflated { compressed, skip, len, crc32 } => {
            let expected = crc32.map(|crc32| (skip.saturating_add(*len), crc32));
            let mut inflated = Inflater::new(source, compressed.clone(), expected);
            if pass_over(&mut inflated, skip.saturating_add(from))? {
                Ok(Box::new(inflated))
            } else {
                Err(inflated.ended())
            }
        }
        Location::Zstandard { compressed, skip, .. } => {
            let mut unpacked = Unpacked::new(source, compressed.clone())?;
            if pass_over(&mut unpacked, skip.saturating_add(from))? {
                Ok(Box::new(unpacked))
            } else {
                Err(unpacked.ended())
            }
        }
        Location::Latin1 { text, .. } => {
            let mut bytes = Latin1 { text: reader(source, text, 0)?, left: text.len(), lead: None };
            if pass_over(&mut bytes, from)? {
                Ok(Box::new(bytes))
            } else {
                Err(Fault::broken("unexpected end of a text that holds bytes"))
            }
        }
    }
}

/// Reads bytes that nobody asked for; false if there are fewer.
fn pass_over(bytes: &mut impl Read, count: u64) -> Result<bool, Fault> {
    let passed = io::copy(&mut bytes.by_ref().take(count), &mut io::sink());
    Ok(passed.map_err(fault)? == count)
}

/// A Zstandard frame as a reader whose errors say where it is.
struct Unpacked<'a> {
    decoder: StreamingDecoder<BufReader<RangeReader<'a>>, FrameDecoder>,
    start: u64,
}

impl<'a> Unpacked<'a> {
    fn new(source: &'a dyn Source, compressed: Range<u64>) -> Result<Unpacked<'a>, Fault> {
        let start = compressed.start;
        let reader = BufReader::with_capacity(READ, RangeReader { source, range: compressed });
        let decoder = StreamingDecoder::new(reader).map_err(|error| {
            Fault::malformed(start, format!("the compressed data is broken: {error}"))
        })?;
        Ok(Unpacked { decoder, start })
    }

    fn ended(&self) -> Fault {
        Fault::malformed(self.start, "the compressed data ends too early")
    }
}

impl Read for Unpacked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(buffer).map_err(|error| {
            let what = format!("the compressed data is broken: {error}");
            io::Error::other(Fault::malformed(self.start, what))
        })?;
        if read == 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, self.ended()));
        }
        Ok(read)
    }
}

/// What a failed read says, where the reader is one of this module.
pub(crate) fn fault(error: io::Error) -> Fault {
    match error.downcast::<Fault>() {
        Ok(fault) => fault,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Fault::broken("unexpected end of the data")
        }
        Err(error) => Fault::Unreadable(error.into()),
    }
}

/// A source that has the bytes of a whole deflated storage, from its first on.
pub(crate) fn whole(source: &dyn Source, location: &Location, len: u64) -> Result<Inflated, Fault> {
    let mut bytes = reader(source, location, 0)?.take(len);
    if len > MAX_IN_MEMORY {
        return to_file(&mut bytes, len).map(Inflated::File);
    }
    let mut memory = Vec::new();
    bytes.read_to_end(&mut memory).map_err(fault)?;
    complete(memory.len() as u64, len)?;
    Ok(Inflated::Memory(memory))
}

/// A source of everything that a packed location unpacks to.
///
/// # Errors
/// More bytes than the location says.
pub(crate) fn up_to(source: &dyn Source, location: &Location) -> Result<Inflated, Fault> {
    let mut bytes = ToEnd(reader(source, location, 0)?);
    let limit = location.len();
    let len = io::copy(&mut bytes.by_ref().take(limit.saturating_add(1)), &mut io::sink());
    match len.map_err(fault)? {
        len if len > limit => {
            let what = format!("it unpacks to over {limit} bytes, more than it should hold");
            Err(Fault::TooLarge { at: None, what })
        }
        len => whole(source, location, len),
    }
}

/// A reader for which the end of the data is no error.
struct ToEnd<'a>(Box<dyn Read + 'a>);

impl Read for ToEnd<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }
}

fn to_file(bytes: &mut dyn Read, len: u64) -> Result<PlainFile, Fault> {
    let unreadable = |error: io::Error| Fault::Unreadable(error.into());
    let mut file = tempfile::tempfile().map_err(unreadable)?;
    let mut buffer = vec![0; READ];
    let mut done = 0u64;
    loop {
        let read = bytes.read(&mut buffer).map_err(fault)?;
        if read == 0 {
            break;
        }
        file.write_all(&buffer[..read]).map_err(unreadable)?;
        done += read as u64;
    }
    complete(done, len)?;
    file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    PlainFile::new(file).map_err(unreadable)
}

fn complete(found: u64, len: u64) -> Result<(), Fault> {
    if found == len {
        Ok(())
    } else {
        Err(Fault::broken(format!(
            "the compressed data ends after {found} of the {len} bytes it should have"
        )))
    }
}

/// An inflated storage.
pub(crate) enum Inflated {
    Memory(Vec<u8>),
    File(PlainFile),
}

impl Source for Inflated {
    fn len(&self) -> u64 {
        match self {
            Inflated::Memory(bytes) => bytes.len() as u64,
            Inflated::File(file) => file.len(),
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        match self {
            Inflated::Memory(bytes) => bytes.as_slice().read_at(offset, buffer),
            Inflated::File(file) => file.read_at(offset, buffer),
        }
    }
}

/// A range of a source as a reader, from front to back.
pub(crate) struct RangeReader<'a> {
    source: &'a dyn Source,
    range: Range<u64>,
}

impl<'a> RangeReader<'a> {
    /// The part of a range that the source has.
    pub(crate) fn within(source: &'a dyn Source, range: Range<u64>) -> RangeReader<'a> {
        let start = range.start.min(source.len());
        RangeReader { source, range: start..range.end.clamp(start, source.len()) }
    }
}

impl Read for RangeReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.range.end - self.range.start).unwrap_or(usize::MAX);
        let len = left.min(buffer.len());
        self.source.read_at(self.range.start, &mut buffer[..len]).map_err(io::Error::other)?;
        self.range.start += len as u64;
        Ok(len)
    }
}

/// The bytes that the characters of a UTF-8 text stand for.
struct Latin1<'a> {
    text: Box<dyn Read + 'a>,
    /// Bytes of the text that were not read yet.
    left: u64,
    /// The first byte of a character whose second was not read yet.
    lead: Option<u8>,
}

impl Read for Latin1<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        // A character of two bytes may be all that a read gives half of.
        while filled == 0 && self.left > 0 && !buffer.is_empty() {
            let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
            let read = self.text.read(&mut buffer[..most])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.left -= read as u64;
            for i in 0..read {
                let byte = buffer[i];
                let decoded = match (self.lead.take(), byte) {
                    (Some(lead), 0x80..=0xbf) => lead << 6 | byte & 0x3f,
                    (None, 0..=0x7f) => byte,
                    (None, 0xc2 | 0xc3) => {
                        self.lead = Some(byte);
                        continue;
                    }
                    _ => {
                        let fault = Fault::broken("a text that holds bytes has other characters");
                        return Err(io::Error::other(fault));
                    }
                };
                buffer[filled] = decoded;
                filled += 1;
            }
        }
        Ok(filled)
    }
}

/// A raw deflate stream as a reader whose errors say where it is.
struct Inflater<'a> {
    decoder: DeflateDecoder<BufReader<RangeReader<'a>>>,
    start: u64,
    sum: Hasher,
    /// How many bytes there are, and their checksum.
    expected: Option<(u64, u32)>,
}

impl<'a> Inflater<'a> {
    fn new(
        source: &'a dyn Source,
        compressed: Range<u64>,
        expected: Option<(u64, u32)>,
    ) -> Inflater<'a> {
        let start = compressed.start;
        let reader = BufReader::with_capacity(READ, RangeReader { source, range: compressed });
        Inflater { decoder: DeflateDecoder::new(reader), start, sum: Hasher::new(), expected }
    }

    /// Once the last byte is there, the checksum of all must hold.
    fn check_sum(&self) -> Result<(), Fault> {
        match self.expected {
            Some((len, expected)) if self.decoder.total_out() == len => {
                let found = self.sum.clone().finalize();
                if found == expected {
                    return Ok(());
                }
                let what = format!("inflated to checksum {found:08x}, expected {expected:08x}");
                Err(Fault::malformed(self.start, what))
            }
            _ => Ok(()),
        }
    }

    fn ended(&self) -> Fault {
        let found = self.decoder.total_out();
        Fault::malformed(self.start, format!("the compressed data ends after {found} bytes"))
    }
}

impl Read for Inflater<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(buffer).map_err(|error| match error.downcast::<Fault>() {
            Ok(fault) => io::Error::other(fault),
            Err(error) => {
                let what = format!("the compressed data is broken: {error}");
                io::Error::other(Fault::malformed(self.start, what))
            }
        })?;
        if read == 0 && !buffer.is_empty() {
            return Err(io::Error::other(self.ended()));
        }
        if self.expected.is_some() {
            self.sum.update(&buffer[..read]);
            self.check_sum().map_err(io::Error::other)?;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_the_bytes_that_its_characters_number() {
        let bytes: Vec<u8> = (0..=255).collect();
        let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
        let file = format!("x{text}").into_bytes();
        let text = Box::new(Location::Stored(1..file.len() as u64));
        let (location, source) = (Location::Latin1 { text, len: 256 }, file.as_slice());
        for from in [0, 1, 127, 128, 129, 255, 256] {
            let mut found = Vec::new();
            let mut reader = reader(&source, &location, from).expect("within");
            let mut one = [0];
            while reader.read(&mut one).expect("sound") == 1 {
                found.push(one[0]);
            }
            assert_eq!(found, bytes[from as usize..]);
        }
    }
    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    /// A file with `junk` in front of the deflated bytes 0, 1, …, 255, 0, ….
    fn deflated(len: usize, skip: u64) -> (Vec<u8>, Location) {
        let mut encoder = DeflateEncoder::new(b"junk".to_vec(), Compression::default());
        let plain: Vec<u8> = (0..len).map(|i| i as u8).collect();
        encoder.write_all(&plain).expect("to memory");
        let file = encoder.finish().expect("to memory");
        let location = Location::Deflated {
            compressed: 4..file.len() as u64,
            skip,
            len: len as u64 - skip,
            crc32: Some(crc32fast::hash(&plain)),
        };
        (file, location)
    }

    #[test]
    fn a_deflated_storage_is_read_from_any_byte() {
        let (file, location) = deflated(1000, 10);
        let mut bytes = [0; 5];
        let file = file.as_slice();
        reader(&file, &location, 300).expect("sound").read_exact(&mut bytes).expect("sound");
        assert_eq!(bytes, [54, 55, 56, 57, 58]);
        let whole = whole(&file, &location, 990).expect("sound");
        whole.read_at(985, &mut bytes).expect("within");
        assert_eq!(bytes, [227, 228, 229, 230, 231]);
    }

    #[test]
    fn a_storage_can_be_inflated_into_a_file() {
        let (file, location) = deflated(1000, 10);
        let file = file.as_slice();
        let mut bytes = reader(&file, &location, 0).expect("sound").take(990);
        let inflated = to_file(&mut bytes, 990).expect("sound");
        assert_eq!(inflated.bytes(0..2).expect("within"), [10, 11]);
        assert_eq!(inflated.len(), 990);
    }

    #[test]
    fn a_wrong_checksum_is_noticed_with_the_last_byte() {
        let (file, mut location) = deflated(1000, 10);
        let Location::Deflated { crc32, .. } = &mut location else { unreachable!("deflated") };
        let right = crc32.replace(7).expect("a checksum");
        let file = file.as_slice();
        let mut bytes = vec![0; 989];
        let mut reader = reader(&file, &location, 0).expect("sound so far");
        reader.read_exact(&mut bytes).expect("sound so far");
        let error = fault(reader.read_exact(&mut bytes[..1]).expect_err("refused"));
        let expected = format!("at byte 4: inflated to checksum {right:08x}, expected 00000007");
        assert_eq!(error.to_string(), expected);
        let whole = whole(&file, &location, 990).err().expect("refused");
        assert_eq!(whole.to_string(), expected);
    }

    #[test]
    fn a_stream_that_ends_early_or_is_broken_is_distinguished_from_sound_ones() {
        let (file, location) = deflated(1000, 0);
        let message = |file: &[u8], from| match reader(&file, &location, from) {
            Ok(mut reader) => {
                let mut bytes = vec![0; 1000];
                fault(reader.read_exact(&mut bytes).expect_err("refused")).to_string()
            }
            Err(fault) => fault.to_string(),
        };
        assert_eq!(message(&file, 900), "at byte 4: the compressed data ends after 1000 bytes");
        let mut broken = file.clone();
        broken[4] = 0xFF;
        assert!(message(&broken, 0).starts_with("at byte 4: the compressed data is broken: "));
    }
}
