//! Lays out a new archive from front to back.

use statedict_core::{Elements, Layout, Span};

use crate::extra::{self, Renamed};
use crate::fields::{
    DESCRIPTOR, ELSEWHERE_16, ELSEWHERE_32, END, END64, END64_LEN, LOCATOR, ZIP64_VERSION,
    short_16, short_32,
};
use crate::header::{Attributes, DESCRIBED, STORED, UTF8};
use crate::member::{ENTRY_CRC_PLACE, Member};
use crate::{Entry, Located};

/// The largest alignment whose padding surely fits an extra field's two-byte length.
const MAX_ALIGNMENT: u64 = 1 << 15;
/// The longest comment of an archive, in bytes: its length has two bytes.
const MAX_COMMENT_LEN: usize = 0xFFFF;
/// What PyTorch says made its zip64 end record.
const TORCH_END_MADE_BY: u16 = 0x031E;

/// A new archive, member by member.
///
/// Names are at most [`MAX_NAME_LEN`](crate::MAX_NAME_LEN) bytes, which callers see to; a longer one panics.
#[derive(Debug)]
pub struct Writer {
    style: Style,
    layout: Layout,
    /// Bytes that follow the layout's parts and are not yet one of them.
    pending: Vec<u8>,
    directory: Vec<u8>,
    /// Places in the directory, in ascending order, where a checksum computed later goes.
    checksums: Vec<(usize, Span)>,
    count: u64,
    comment: Vec<u8>,
}

/// Whose archives the new one is like.
#[derive(Clone, Copy, Debug)]
enum Style {
    Torch { alignment: u64 },
    Numpy,
}

/// A member's checksum.
enum Checksum {
    Known(u32),
    Computed(Span),
}

impl Writer {
    /// As PyTorch lays archives out: data aligned, checksums and sizes after the data, zip64 tail.
    ///
    /// Canonical input, copied in file order with the alignment it has, gives canonical output: the
    /// offsets that PyTorch computes for storages stay true.
    /// An alignment beyond what PyTorch's own padding can reach is lowered to that.
    pub fn torch(alignment: u64) -> Writer {
        Writer::new(Style::Torch { alignment: alignment.clamp(1, MAX_ALIGNMENT) })
    }

    /// As NumPy lays archives out, and with every member aligned to 64 bytes by padding that also
    /// leaves room for a longer name.
    pub fn numpy() -> Writer {
        Writer::new(Style::Numpy)
    }

    fn new(style: Style) -> Writer {
        Writer {
            style,
            layout: Layout::new(),
            pending: Vec::new(),
            directory: Vec::new(),
            checksums: Vec::new(),
            count: 0,
            comment: Vec::new(),
        }
    }

    /// Sets the comment at the end of the archive.
    pub fn comment(&mut self, comment: &[u8]) {
        self.comment = comment.get(..MAX_COMMENT_LEN).unwrap_or(comment).to_vec();
    }

    /// Appends a member of the source archive, its bytes as they are, compressed or not.
    ///
    /// Checksum and sizes are those of its entry (a checksum that was left out stays out); versions,
    /// time, attributes and comment are kept, and so are extra fields that are neither padding nor
    /// numbers, save those of a local header in PyTorch's style, which has no place for them.
    /// Under the name it has, it keeps that name's very bytes.
    pub fn copy(&mut self, entry: &Entry, located: &Located, name: &str) {
        let renamed = if name == entry.name() { Renamed::No } else { Renamed::Yes };
        let mut member = Member {
            name: entry.raw_name().to_vec(),
            attributes: entry.attributes,
            is_wide: extra::has_zip64(&located.local_extra),
            local_extra: extra::foreign(&located.local_extra, renamed),
            directory_extra: extra::foreign(&entry.extra, renamed),
            comment: entry.comment.clone(),
            ..self.member(name, entry.size(), Some(entry.crc32()))
        };
        member.compressed_size = entry.compressed_size();
        if renamed == Renamed::Yes {
            member.name = name.as_bytes().to_vec();
            member.attributes.set(UTF8, self.flags_utf8(name) || has_utf8_comment(entry));
        }
        self.begin(&mut member);
        self.flush();
        self.layout.copy(located.data.clone());
        self.end(&member, Checksum::Known(entry.crc32()));
    }

    /// Appends a stored member with these bytes in place of one of the source archive.
    ///
    /// It keeps the very bytes of the name, and what [`Writer::copy`] keeps of its entry.
    pub fn replace(&mut self, entry: &Entry, bytes: Vec<u8>) {
        let crc32 = crc32fast::hash(&bytes);
        let member = Member {
            name: entry.raw_name().to_vec(),
            attributes: Attributes { method: STORED, ..entry.attributes },
            directory_extra: extra::foreign(&entry.extra, Renamed::No),
            comment: entry.comment.clone(),
            ..self.member("", bytes.len() as u64, Some(crc32))
        };
        self.stored(member, crc32, bytes);
    }

    /// Appends a stored member with these bytes.
    pub fn bytes(&mut self, name: &str, bytes: Vec<u8>) {
        let crc32 = crc32fast::hash(&bytes);
        let member = self.member(name, bytes.len() as u64, Some(crc32));
        self.stored(member, crc32, bytes);
    }

    fn stored(&mut self, mut member: Member, crc32: u32, bytes: Vec<u8>) {
        self.begin(&mut member);
        self.pending.extend(bytes);
        self.end(&member, Checksum::Known(crc32));
    }

    /// Appends a stored member of `head` and a tensor's elements; its checksum is computed as it is
    /// written.
    pub fn elements(&mut self, name: &str, head: Vec<u8>, elements: Elements) {
        if elements.byte_len() == 0 {
            return self.bytes(name, head);
        }
        let size = elements.byte_len().saturating_add(head.len() as u64);
        let mut member = self.member(name, size, None);
        self.begin(&mut member);
        self.flush();
        let first = self.layout.parts().len();
        if !head.is_empty() {
            self.layout.bytes(head);
        }
        self.layout.elements(elements);
        let span = self.layout.span_from(first);
        self.end(&member, Checksum::Computed(span));
    }

    /// The archive with its directory.
    pub fn finish(mut self) -> Layout {
        let offset = self.position();
        let directory = std::mem::take(&mut self.directory);
        let mut start = 0;
        for (place, span) in std::mem::take(&mut self.checksums) {
            self.pending.extend(directory.get(start..place).unwrap_or_default());
            self.checksum(&Checksum::Computed(span));
            start = place + 4;
        }
        self.pending.extend(directory.get(start..).unwrap_or_default());
        self.tail(offset, directory.len() as u64);
        self.flush();
        self.layout
    }

    /// A new stored member in the archive's style.
    fn member(&self, name: &str, size: u64, crc32: Option<u32>) -> Member {
        let mut attributes = match self.style {
            Style::Torch { .. } => Attributes::TORCH,
            Style::Numpy => Attributes::NUMPY,
        };
        attributes.set(UTF8, self.flags_utf8(name));
        Member {
            name: name.as_bytes().to_vec(),
            attributes,
            size,
            compressed_size: size,
            crc32,
            header_offset: 0,
            is_wide: matches!(self.style, Style::Numpy),
            local_extra: Vec::new(),
            directory_extra: Vec::new(),
            comment: Vec::new(),
        }
    }

    fn flags_utf8(&self, name: &str) -> bool {
        matches!(self.style, Style::Torch { .. }) || !name.is_ascii()
    }

    fn position(&self) -> u64 {
        self.layout.len().saturating_add(self.pending.len() as u64)
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            self.layout.bytes(std::mem::take(&mut self.pending));
        }
    }

    /// Writes the local header, and settles what depends on where it stands.
    fn begin(&mut self, member: &mut Member) {
        member.header_offset = self.position();
        let described = match self.style {
            Style::Torch { .. } => member.compressed_size > 0,
            Style::Numpy => member.crc32.is_none(),
        };
        member.attributes.set(DESCRIBED, described);
        let header = match self.style {
            Style::Torch { alignment } => member.torch_header(alignment),
            Style::Numpy => member.numpy_header(),
        };
        self.pending.extend(header);
    }

    /// Writes what follows the data, and the entry of the directory.
    fn end(&mut self, member: &Member, checksum: Checksum) {
        if member.attributes.has(DESCRIBED) {
            self.pending.extend(DESCRIPTOR);
            self.checksum(&checksum);
            self.pending.extend(match self.style {
                Style::Torch { .. } if !member.is_beyond_32_bits() => member.short_sizes(),
                _ => [member.compressed_size, member.size].map(u64::to_le_bytes).concat(),
            });
        }
        let place = self.directory.len();
        self.directory.extend(member.entry());
        if let Checksum::Computed(span) = checksum {
            self.checksums.push((place + ENTRY_CRC_PLACE, span));
        }
        self.count += 1;
    }

    fn checksum(&mut self, checksum: &Checksum) {
        match checksum {
            Checksum::Known(crc32) => self.pending.extend(crc32.to_le_bytes()),
            Checksum::Computed(span) => {
                self.flush();
                self.layout.crc32(span.clone());
            }
        }
    }

    /// Writes the end records.
    fn tail(&mut self, offset: u64, size: u64) {
        let made_by = match self.style {
            Style::Torch { .. } => Some(TORCH_END_MADE_BY),
            Style::Numpy => {
                let wide = self.count >= ELSEWHERE_16 || offset.max(size) >= ELSEWHERE_32;
                wide.then_some(ZIP64_VERSION)
            }
        };
        if let Some(made_by) = made_by {
            let end64 = self.position();
            self.pending.extend(END64);
            self.pending.extend((END64_LEN - 12).to_le_bytes());
            self.pending.extend([made_by, ZIP64_VERSION].map(u16::to_le_bytes).concat());
            self.pending.extend([0; 8]);
            let numbers = [self.count, self.count, size, offset];
            self.pending.extend(numbers.map(u64::to_le_bytes).concat());
            self.pending.extend(LOCATOR);
            self.pending.extend([0; 4]);
            self.pending.extend(end64.to_le_bytes());
            self.pending.extend(1u32.to_le_bytes());
        }
        let (count, comment_len) = (short_16(self.count), short_16(self.comment.len() as u64));
        self.pending.extend(END);
        self.pending.extend([0, 0, count, count].map(u16::to_le_bytes).concat());
        self.pending.extend([size, offset].map(|number| short_32(number).to_le_bytes()).concat());
        self.pending.extend(comment_len.to_le_bytes());
        self.pending.append(&mut self.comment);
    }
}

fn has_utf8_comment(entry: &Entry) -> bool {
    entry.attributes.has(UTF8) && !entry.comment.is_ascii()
}
