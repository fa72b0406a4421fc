//! A directory with the end records behind it, to be written.

use crate::fields::{
    ELSEWHERE_16, ELSEWHERE_32, END, END64, END64_LEN, LOCATOR, ZIP64_VERSION, short_16, short_32,
};

/// What PyTorch says made its zip64 end record.
pub(crate) const TORCH_MADE_BY: u16 = 0x031E;

/// The end of an archive.
pub(crate) struct Tail<'a> {
    /// Where the directory starts.
    pub(crate) offset: u64,
    /// The bytes of the directory, and how many entries they are.
    pub(crate) size: u64,
    pub(crate) count: u64,
    /// What is said to have made the zip64 end record; without it there is one where numbers need it.
    pub(crate) made_by: Option<u16>,
    /// At most 65,535 bytes.
    pub(crate) comment: &'a [u8],
}

impl Tail<'_> {
    /// The records that follow the directory.
    pub(crate) fn records(&self) -> Vec<u8> {
        let is_wide = self.count >= ELSEWHERE_16 || self.offset.max(self.size) >= ELSEWHERE_32;
        let made_by = self.made_by.or(is_wide.then_some(ZIP64_VERSION));
        let mut records = made_by.map_or(Vec::new(), |made_by| self.wide_records(made_by));
        let (count, comment_len) = (short_16(self.count), short_16(self.comment.len() as u64));
        records.extend(END);
        records.extend([0, 0, count, count].map(u16::to_le_bytes).concat());
        let place = [self.size, self.offset].map(|number| short_32(number).to_le_bytes());
        records.extend(place.concat());
        records.extend(comment_len.to_le_bytes());
        records.extend(self.comment);
        records
    }

    /// The zip64 end record and its locator.
    fn wide_records(&self, made_by: u16) -> Vec<u8> {
        let at = self.offset.saturating_add(self.size);
        let mut records = END64.to_vec();
        records.extend((END64_LEN - 12).to_le_bytes());
        records.extend([made_by, ZIP64_VERSION].map(u16::to_le_bytes).concat());
        records.extend([0; 8]);
        let numbers = [self.count, self.count, self.size, self.offset];
        records.extend(numbers.map(u64::to_le_bytes).concat());
        records.extend(LOCATOR);
        records.extend([0; 4]);
        records.extend(at.to_le_bytes());
        records.extend(1u32.to_le_bytes());
        records
    }
}
