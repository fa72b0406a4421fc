//! One member's headers, in PyTorch's style and in NumPy's.

use crate::extra::{self, Renamed};
use crate::fields::{
    CENTRAL, DESCRIPTOR, ELSEWHERE_32, LOCAL, LOCAL_LEN, ZIP64_VERSION, short_16, short_32,
};
use crate::header::{Attributes, DESCRIBED, STORED, UTF8};
use crate::{Entry, Located};

/// The longest name of a member, in bytes: its length has two bytes.
pub const MAX_NAME_LEN: usize = 0xFFFF;

/// The longest extra fields of a header together, in bytes: their length has two bytes.
const MAX_EXTRA_LEN: usize = 0xFFFF;
/// What NumPy aligns arrays to, counted from the start of the member: its headers are multiples
/// of this.
const NUMPY_ALIGNMENT: u64 = 64;
/// Where in an entry of the directory the checksum is.
pub(crate) const ENTRY_CRC_PLACE: usize = 16;

/// A member on its way into the archive.
pub(crate) struct Member {
    pub(crate) name: Vec<u8>,
    pub(crate) attributes: Attributes,
    pub(crate) size: u64,
    pub(crate) compressed_size: u64,
    /// The checksum; none if it is known only when the data has been written.
    pub(crate) crc32: Option<u32>,
    pub(crate) header_offset: u64,
    /// Has a zip64 field in its local header, needed or not.
    pub(crate) is_wide: bool,
    pub(crate) local_extra: Vec<u8>,
    pub(crate) directory_extra: Vec<u8>,
    pub(crate) comment: Vec<u8>,
}

impl Member {
    /// A member of an archive as it is, under this name.
    pub(crate) fn of(entry: &Entry, located: &Located, name: &str) -> Member {
        let renamed = if name == entry.name() { Renamed::No } else { Renamed::Yes };
        let mut member = Member {
            name: entry.raw_name().to_vec(),
            attributes: entry.attributes,
            size: entry.size(),
            compressed_size: entry.compressed_size(),
            crc32: Some(entry.crc32()),
            header_offset: entry.header_offset(),
            is_wide: extra::has_zip64(located.local_extra()),
            local_extra: extra::foreign(located.local_extra(), renamed),
            directory_extra: extra::foreign(entry.extra(), renamed),
            comment: entry.comment().to_vec(),
        };
        if renamed == Renamed::Yes {
            member.name = name.as_bytes().to_vec();
            let has_utf8_comment = entry.attributes.has(UTF8) && !entry.comment().is_ascii();
            member.attributes.set(UTF8, !name.is_ascii() || has_utf8_comment);
        }
        member
    }

    /// A stored member with these bytes in place of one of an archive.
    pub(crate) fn replacing(entry: &Entry, content: &[u8]) -> Member {
        Member {
            name: entry.raw_name().to_vec(),
            attributes: Attributes { method: STORED, ..entry.attributes },
            size: content.len() as u64,
            compressed_size: content.len() as u64,
            crc32: Some(crc32fast::hash(content)),
            header_offset: 0,
            is_wide: false,
            local_extra: Vec::new(),
            directory_extra: extra::foreign(entry.extra(), Renamed::No),
            comment: entry.comment().to_vec(),
        }
    }

    /// A new stored member with these bytes, in PyTorch's manner.
    pub(crate) fn new(name: &str, content: &[u8]) -> Member {
        let mut attributes = Attributes::TORCH;
        attributes.set(UTF8, true);
        Member {
            name: name.as_bytes().to_vec(),
            attributes,
            size: content.len() as u64,
            compressed_size: content.len() as u64,
            crc32: Some(crc32fast::hash(content)),
            header_offset: 0,
            is_wide: false,
            local_extra: Vec::new(),
            directory_extra: Vec::new(),
            comment: Vec::new(),
        }
    }

    fn has_long_data(&self) -> bool {
        self.size.max(self.compressed_size) >= ELSEWHERE_32
    }

    pub(crate) fn is_beyond_32_bits(&self) -> bool {
        self.has_long_data() || self.header_offset >= ELSEWHERE_32
    }

    fn short_sizes(&self) -> Vec<u8> {
        [self.compressed_size, self.size].map(|size| short_32(size).to_le_bytes()).concat()
    }

    pub(crate) fn long_sizes(&self) -> Vec<u8> {
        [self.compressed_size, self.size].map(u64::to_le_bytes).concat()
    }

    /// The sizes that follow the data in PyTorch's manner.
    pub(crate) fn sizes(&self) -> Vec<u8> {
        if self.is_beyond_32_bits() { self.long_sizes() } else { self.short_sizes() }
    }

    /// A whole member in PyTorch's manner, headers and all, as it is at an offset.
    pub(crate) fn torch_record(&mut self, at: u64, content: &[u8], alignment: u64) -> Vec<u8> {
        self.header_offset = at;
        self.attributes.set(DESCRIBED, !content.is_empty());
        let mut record = self.torch_header(alignment);
        record.extend(content);
        if !content.is_empty() {
            record.extend(DESCRIPTOR);
            record.extend(self.crc32.unwrap_or(0).to_le_bytes());
            record.extend(self.sizes());
        }
        record
    }

    /// PyTorch's: no checksum, no sizes but in a zip64 field, padding that ends at the alignment.
    pub(crate) fn torch_header(&self, alignment: u64) -> Vec<u8> {
        let mut numbers = Vec::new();
        if self.has_long_data() {
            // PyTorch's writer does not know the compressed size yet, and its offsets count on
            // both numbers being there.
            numbers.extend([self.size, 0]);
        }
        if self.header_offset >= ELSEWHERE_32 {
            numbers.push(self.header_offset);
        }
        self.header([0; 12].to_vec(), extra::zip64(&numbers), alignment, 0)
    }

    /// NumPy's: sizes in a zip64 field, the checksum if it is known, foreign fields, padding with
    /// `room` for a longer name.
    pub(crate) fn numpy_header(&mut self, room: u64) -> Vec<u8> {
        let wide = self.is_wide || self.has_long_data();
        let mut numbers = self.crc32.unwrap_or(0).to_le_bytes().to_vec();
        let mut extra = Vec::new();
        if wide || self.is_beyond_32_bits() {
            self.attributes.needed = self.attributes.needed.max(ZIP64_VERSION);
        }
        if wide {
            numbers.extend([0xFF; 8]);
            extra = extra::zip64(&[self.size, self.compressed_size]);
        } else {
            numbers.extend(self.short_sizes());
        }
        let left = MAX_EXTRA_LEN - extra.len() - 2 * NUMPY_ALIGNMENT as usize;
        if self.local_extra.len() <= left {
            extra.append(&mut self.local_extra);
        }
        let left = (MAX_EXTRA_LEN - extra.len()) as u64 - NUMPY_ALIGNMENT - extra::HEAD_LEN;
        let room = room.min(left) / NUMPY_ALIGNMENT * NUMPY_ALIGNMENT;
        self.header(numbers, extra, NUMPY_ALIGNMENT, room)
    }

    /// A local header of exactly this length, padding included; `None` if there is none for the name.
    ///
    /// The zip64 field that NumPy writes whatever the size goes where the name needs its room.
    pub(crate) fn header_of(&self, len: u64) -> Option<Vec<u8>> {
        let room = len.checked_sub(LOCAL_LEN + self.name.len() as u64)?;
        let room = usize::from(u16::try_from(room).ok()?);
        let can_be_short = !self.has_long_data() && !self.attributes.has(DESCRIBED);
        self.header_within(room, self.is_wide || self.has_long_data())
            .or_else(|| self.header_within(room, false).filter(|_| can_be_short))
    }

    /// A local header whose extra fields are exactly `room` bytes; numbers that follow the data are
    /// 0 in it.
    fn header_within(&self, room: usize, is_wide: bool) -> Option<Vec<u8>> {
        let is_described = self.attributes.has(DESCRIBED);
        let known = |number: u64| if is_described { 0 } else { number };
        let mut numbers = self.crc32.filter(|_| !is_described).unwrap_or(0).to_le_bytes().to_vec();
        let mut extra = Vec::new();
        if is_wide {
            numbers.extend([0xFF; 8]);
            extra = extra::zip64(&[self.size, self.compressed_size].map(known));
        } else {
            let sizes = [self.compressed_size, self.size].map(known);
            numbers.extend(sizes.map(|size| short_32(size).to_le_bytes()).concat());
        }
        extra.extend(&self.local_extra);
        extra.extend(extra::filling(room.checked_sub(extra.len())?)?);
        Some(self.header_with(numbers, &extra))
    }

    /// A local header: `numbers` are checksum and sizes, `extra` gets padding after it.
    fn header(&self, numbers: Vec<u8>, mut extra: Vec<u8>, alignment: u64, room: u64) -> Vec<u8> {
        let padding_at = LOCAL_LEN + self.name.len() as u64 + extra.len() as u64;
        let padding_at = self.header_offset.saturating_add(padding_at);
        extra.extend(extra::padding(padding_at, alignment, room));
        self.header_with(numbers, &extra)
    }

    fn header_with(&self, numbers: Vec<u8>, extra: &[u8]) -> Vec<u8> {
        let Attributes { needed, flags, method, time, date, .. } = self.attributes;
        let mut header = LOCAL.to_vec();
        header.extend([needed, flags, method, time, date].map(u16::to_le_bytes).concat());
        header.extend(numbers);
        let extra_len = short_16(extra.len() as u64);
        header.extend([self.name_len(), extra_len].map(u16::to_le_bytes).concat());
        header.extend(&self.name);
        header.extend(extra);
        header
    }

    /// The entry of the directory; a checksum to be computed is 0 here.
    pub(crate) fn entry(&self) -> Vec<u8> {
        let numbers = [self.size, self.compressed_size, self.header_offset];
        let wide: Vec<u64> = numbers.into_iter().filter(|n| *n >= ELSEWHERE_32).collect();
        let mut extra = extra::zip64(&wide);
        if self.directory_extra.len() <= MAX_EXTRA_LEN - extra.len() {
            extra.extend(&self.directory_extra);
        }
        let Attributes { made_by, needed, flags, method, time, date, .. } = self.attributes;
        let mut entry = CENTRAL.to_vec();
        entry.extend([made_by, needed, flags, method, time, date].map(u16::to_le_bytes).concat());
        entry.extend(self.crc32.unwrap_or(0).to_le_bytes());
        entry.extend(self.short_sizes());
        let [extra_len, comment_len] =
            [extra.len(), self.comment.len()].map(|len| short_16(len as u64));
        let disk = 0;
        let shorts = [self.name_len(), extra_len, comment_len, disk, self.attributes.internal];
        entry.extend(shorts.map(u16::to_le_bytes).concat());
        entry.extend(self.attributes.external.to_le_bytes());
        entry.extend(short_32(self.header_offset).to_le_bytes());
        entry.extend(&self.name);
        entry.extend(extra);
        entry.extend(&self.comment);
        entry
    }

    fn name_len(&self) -> u16 {
        u16::try_from(self.name.len()).expect("callers see to names that fit")
    }
}
