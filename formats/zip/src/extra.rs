//! Extra fields of headers: a two-byte tag, a two-byte length, and that many bytes, repeated.

use crate::fields::{ELSEWHERE_32, Fields};

/// Numbers beyond 32 bits (4.5.3).
const ZIP64: u16 = 0x0001;
/// Padding, as PyTorch writes it; the letters `FB`.
const PADDING: u16 = 0x4246;
/// The name again in UTF-8, which a new name makes untrue (4.6.9).
const UNICODE_PATH: u16 = 0x7075;

/// Bytes of a field before what it holds: its tag and its length.
pub(crate) const HEAD_LEN: u64 = 4;

/// What PyTorch fills its padding with.
const FILL: u8 = b'Z';

/// The 32-bit numbers of a directory entry, some of which may be in its zip64 field.
#[derive(Clone, Copy)]
pub(crate) struct Numbers {
    pub(crate) size: u64,
    pub(crate) compressed_size: u64,
    pub(crate) header_offset: u64,
    pub(crate) disk: u64,
}

/// The fields in order; bytes at the end that form no field are passed over.
fn fields(extra: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = Fields(extra);
    std::iter::from_fn(move || {
        let tag = rest.u16()?;
        let len = rest.u16()?;
        Some((tag, rest.bytes(len)?))
    })
}

/// True if a field would end beyond the others; up to three bytes at the end are padding of tools
/// that align members.
pub(crate) fn is_cut(extra: &[u8]) -> bool {
    let used: usize = fields(extra).map(|(_, field)| HEAD_LEN as usize + field.len()).sum();
    extra.len() - used >= HEAD_LEN as usize
}

/// True if there is a zip64 field.
pub(crate) fn has_zip64(extra: &[u8]) -> bool {
    fields(extra).any(|(tag, _)| tag == ZIP64)
}

/// The name that a Unicode path field gives: after a version and a checksum (4.6.9).
pub(crate) fn unicode_path(extra: &[u8]) -> Option<&[u8]> {
    fields(extra).find(|(tag, _)| *tag == UNICODE_PATH).and_then(|(_, field)| field.get(5..))
}

/// The numbers with those that are in the zip64 field; `None` if one of them is missing there.
pub(crate) fn resolve(short: Numbers, extra: &[u8]) -> Option<Numbers> {
    let zip64 = fields(extra).find(|(tag, _)| *tag == ZIP64);
    let mut rest = Fields(zip64.map_or(&[], |(_, field)| field));
    let mut wide = |number| if number == ELSEWHERE_32 { rest.u64() } else { Some(number) };
    let size = wide(short.size)?;
    let compressed_size = wide(short.compressed_size)?;
    let header_offset = wide(short.header_offset)?;
    let disk = match short.disk {
        0xFFFF => u64::from(rest.u32()?),
        disk => disk,
    };
    Some(Numbers { size, compressed_size, header_offset, disk })
}

/// The fields that are neither numbers nor padding, and still true of a member that `is_renamed`.
pub(crate) fn foreign(extra: &[u8], renamed: Renamed) -> Vec<u8> {
    let mut kept = Vec::new();
    for (tag, field) in fields(extra) {
        let stale = tag == UNICODE_PATH && renamed == Renamed::Yes;
        if tag != ZIP64 && tag != PADDING && !stale {
            push(&mut kept, tag, field);
        }
    }
    kept
}

/// The fields that are not padding.
pub(crate) fn without_padding(extra: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    for (tag, field) in fields(extra).filter(|(tag, _)| *tag != PADDING) {
        push(&mut kept, tag, field);
    }
    kept
}

/// Whether a member gets another name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renamed {
    Yes,
    No,
}

/// A zip64 field with these numbers; nothing if there are none.
pub(crate) fn zip64(numbers: &[u64]) -> Vec<u8> {
    let mut field = Vec::new();
    if !numbers.is_empty() {
        let numbers: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        push(&mut field, ZIP64, &numbers);
    }
    field
}

/// A padding field after which the offset is a multiple of `alignment`, if it starts at `at`; with
/// `room` more, which is a multiple of it too.
pub(crate) fn padding(at: u64, alignment: u64, room: u64) -> Vec<u8> {
    let start = at.wrapping_add(HEAD_LEN);
    let pad = start.next_multiple_of(alignment).wrapping_sub(start).wrapping_add(room);
    let mut field = Vec::new();
    push(&mut field, PADDING, &vec![FILL; usize::try_from(pad).unwrap_or(0)]);
    field
}

/// A padding field of exactly this length; `None` if none is so short or so long.
pub(crate) fn filling(len: usize) -> Option<Vec<u8>> {
    let mut field = Vec::new();
    if len > 0 {
        let pad = len.checked_sub(HEAD_LEN as usize)?;
        u16::try_from(pad).ok()?;
        push(&mut field, PADDING, &vec![FILL; pad]);
    }
    Some(field)
}

fn push(extra: &mut Vec<u8>, tag: u16, field: &[u8]) {
    let len = u16::try_from(field.len()).expect("fields come from headers or are small");
    extra.extend(tag.to_le_bytes());
    extra.extend(len.to_le_bytes());
    extra.extend(field);
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Numbers =
        Numbers { size: ELSEWHERE_32, compressed_size: 7, header_offset: ELSEWHERE_32, disk: 0 };

    #[test]
    fn saturated_numbers_stand_in_the_zip64_field_in_order() {
        let extra = [padding(0, 8, 0), zip64(&[1 << 32, 1 << 33])].concat();
        let wide = resolve(SHORT, &extra).expect("both are there");
        assert_eq!((wide.size, wide.compressed_size, wide.header_offset), (1 << 32, 7, 1 << 33));
        assert!(resolve(SHORT, &zip64(&[1 << 32])).is_none());
        assert!(resolve(SHORT, &[]).is_none());
    }

    #[test]
    fn a_field_that_ends_beyond_the_others_is_cut() {
        assert!(!is_cut(&[padding(0, 8, 0), vec![0; 3]].concat()));
        assert!(!is_cut(&[]));
        assert!(is_cut(&[padding(0, 8, 0), b"\x01\0\x02\0a".to_vec()].concat()));
    }

    #[test]
    fn padding_ends_at_the_alignment() {
        for at in 0..130 {
            assert_eq!((at + padding(at, 64, 128).len() as u64) % 64, 0);
        }
        assert_eq!(padding(60, 64, 0), b"FB\0\0");
    }

    #[test]
    fn a_field_for_the_old_name_goes_with_the_old_name() {
        let mut extra = zip64(&[1]);
        push(&mut extra, UNICODE_PATH, b"name");
        push(&mut extra, 0x5455, b"time");
        extra.extend(b"junk!");
        assert_eq!(foreign(&extra, Renamed::Yes), b"UT\x04\0time");
        assert_eq!(foreign(&extra, Renamed::No).len(), 16);
    }
}
