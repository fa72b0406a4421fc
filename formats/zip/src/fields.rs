//! Little-endian fields, and the signatures and fixed lengths of the records they form.
//!
//! Numbers of sections are those of PKWARE's APPNOTE.TXT 6.3.

/// Starts a local header (4.3.7).
pub(crate) const LOCAL: [u8; 4] = *b"PK\x03\x04";
/// Starts an entry of the central directory (4.3.12).
pub(crate) const CENTRAL: [u8; 4] = *b"PK\x01\x02";
/// Starts a data descriptor (4.3.9).
pub(crate) const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
/// Starts the zip64 end of the central directory (4.3.14).
pub(crate) const END64: [u8; 4] = *b"PK\x06\x06";
/// Starts the locator of the zip64 end (4.3.15).
pub(crate) const LOCATOR: [u8; 4] = *b"PK\x06\x07";
/// Starts the end of the central directory (4.3.16).
pub(crate) const END: [u8; 4] = *b"PK\x05\x06";

/// Bytes of a local header before the name.
pub(crate) const LOCAL_LEN: u64 = 30;
/// Bytes of a directory entry before the name.
pub(crate) const CENTRAL_LEN: u64 = 46;
/// Bytes of a zip64 end without extensible data.
pub(crate) const END64_LEN: u64 = 56;
/// Bytes of a zip64 locator.
pub(crate) const LOCATOR_LEN: u64 = 20;
/// Bytes of an end of the directory without comment.
pub(crate) const END_LEN: u64 = 22;

/// The version of the zip format that knows zip64, and what says so in headers.
pub(crate) const ZIP64_VERSION: u16 = 45;

/// A 16-bit count that is elsewhere, in a zip64 record.
pub(crate) const ELSEWHERE_16: u64 = 0xFFFF;
/// A 32-bit number that is elsewhere, in a zip64 record or field.
pub(crate) const ELSEWHERE_32: u64 = 0xFFFF_FFFF;

/// Bytes from which fields are taken one after the other; `None` when they end.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    /// The fields after a signature; none if the bytes start otherwise.
    pub(crate) fn after(signature: [u8; 4], bytes: &'a [u8]) -> Option<Fields<'a>> {
        bytes.strip_prefix(&signature).map(Fields)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn bytes(&mut self, len: u16) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::from(len))?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }
}

/// The low 32 bits of a number, or the mark that it is elsewhere.
pub(crate) fn short_32(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The low 16 bits of a number, or the mark that it is elsewhere.
pub(crate) fn short_16(number: u64) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}
