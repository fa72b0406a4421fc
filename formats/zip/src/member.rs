//! One member's headers, in PyTorch's style and in NumPy's.

use crate::extra;
use crate::fields::{CENTRAL, ELSEWHERE_32, LOCAL, LOCAL_LEN, ZIP64_VERSION, short_16, short_32};
use crate::header::Attributes;

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
    fn has_long_data(&self) -> bool {
        self.size.max(self.compressed_size) >= ELSEWHERE_32
    }

    pub(crate) fn is_beyond_32_bits(&self) -> bool {
        self.has_long_data() || self.header_offset >= ELSEWHERE_32
    }

    pub(crate) fn short_sizes(&self) -> Vec<u8> {
        [self.compressed_size, self.size].map(|size| short_32(size).to_le_bytes()).concat()
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
        self.header([0; 12].to_vec(), extra::zip64(&numbers), alignment)
    }

    /// NumPy's: sizes in a zip64 field, the checksum if it is known, foreign fields, padding.
    pub(crate) fn numpy_header(&mut self) -> Vec<u8> {
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
        let room = MAX_EXTRA_LEN - extra.len() - 2 * NUMPY_ALIGNMENT as usize;
        if self.local_extra.len() <= room {
            extra.append(&mut self.local_extra);
        }
        self.header(numbers, extra, NUMPY_ALIGNMENT)
    }

    /// A local header: `numbers` are checksum and sizes, `extra` gets padding after it.
    fn header(&self, numbers: Vec<u8>, mut extra: Vec<u8>, alignment: u64) -> Vec<u8> {
        let padding_at = LOCAL_LEN + self.name.len() as u64 + extra.len() as u64;
        extra.extend(extra::padding(self.header_offset.saturating_add(padding_at), alignment));
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
