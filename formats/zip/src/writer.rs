//! Lays out a new archive from front to back.

use statedict_core::{Elements, Layout, Span};

use crate::fields::DESCRIPTOR;
use crate::header::{Attributes, DESCRIBED, UTF8};
use crate::member::{ENTRY_CRC_PLACE, Member};
use crate::tail::{TORCH_MADE_BY, Tail};
use crate::{Entry, Located};

/// The largest alignment whose padding surely fits an extra field's two-byte length.
const MAX_ALIGNMENT: u64 = 1 << 15;
/// From how many bytes on some are not copied together with their neighbours.
const LARGE: usize = 64 << 10;

/// The longest comment of an archive, in bytes: its length has two bytes.
const MAX_COMMENT_LEN: usize = 0xFFFF;

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
    Numpy { room: u64 },
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
        Writer::numpy_with_room(0)
    }

    /// The same with `room` more bytes of padding in every member's header, down to a multiple of
    /// the alignment, and as far as a header can hold it.
    pub fn numpy_with_room(room: u64) -> Writer {
        Writer::new(Style::Numpy { room })
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

    /// Makes room for members like these: what grows as it is filled takes twice as much memory.
    pub fn reserve(&mut self, entries: &[Entry]) {
        self.layout.reserve(2 * entries.len() + 2);
        self.directory.reserve_exact(entries.iter().map(Entry::directory_len).sum());
    }

    /// Appends a member of the source archive, its bytes as they are, compressed or not.
    ///
    /// Checksum and sizes are those of its entry (a checksum that was left out stays out); versions,
    /// time, attributes and comment are kept, and so are extra fields that are neither padding nor
    /// numbers, save those of a local header in PyTorch's style, which has no place for them.
    /// Under the name it has, it keeps that name's very bytes.
    pub fn copy(&mut self, entry: &Entry, located: &Located, name: &str) {
        let mut member = Member::of(entry, located, name);
        if name != entry.name() && matches!(self.style, Style::Torch { .. }) {
            member.attributes.set(UTF8, true);
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
        let member = Member { is_wide: self.is_wide(), ..Member::replacing(entry, &bytes) };
        self.stored(member, bytes);
    }

    /// Appends a stored member with these bytes.
    pub fn bytes(&mut self, name: &str, bytes: Vec<u8>) {
        let crc32 = crc32fast::hash(&bytes);
        self.stored(self.member(name, bytes.len() as u64, Some(crc32)), bytes);
    }

    /// Leaves bytes free behind what was appended last, which belong to no member.
    pub fn gap(&mut self, len: u64) {
        let end = self.pending.len().saturating_add(usize::try_from(len).unwrap_or(0));
        self.pending.resize(end, 0);
    }

    fn stored(&mut self, mut member: Member, bytes: Vec<u8>) {
        self.begin(&mut member);
        self.append(bytes);
        self.end(&member, Checksum::Known(member.crc32.unwrap_or(0)));
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
        let records = self.tail(offset, directory.len() as u64).records();
        match start {
            0 => self.append(directory),
            _ => self.pending.extend(directory.get(start..).unwrap_or_default()),
        }
        self.pending.extend(records);
        self.flush();
        self.layout
    }

    /// A new stored member in the archive's style.
    fn member(&self, name: &str, size: u64, crc32: Option<u32>) -> Member {
        let mut attributes = match self.style {
            Style::Torch { .. } => Attributes::TORCH,
            Style::Numpy { .. } => Attributes::NUMPY,
        };
        attributes.set(UTF8, self.flags_utf8(name));
        Member {
            name: name.as_bytes().to_vec(),
            attributes,
            size,
            compressed_size: size,
            crc32,
            header_offset: 0,
            is_wide: self.is_wide(),
            local_extra: Vec::new(),
            directory_extra: Vec::new(),
            comment: Vec::new(),
        }
    }

    fn tail(&self, offset: u64, size: u64) -> Tail<'_> {
        let made_by = matches!(self.style, Style::Torch { .. }).then_some(TORCH_MADE_BY);
        Tail { offset, size, count: self.count, made_by, comment: &self.comment }
    }

    /// True if local headers have a zip64 field, needed or not.
    fn is_wide(&self) -> bool {
        matches!(self.style, Style::Numpy { .. })
    }

    fn flags_utf8(&self, name: &str) -> bool {
        matches!(self.style, Style::Torch { .. }) || !name.is_ascii()
    }

    fn position(&self) -> u64 {
        self.layout.len().saturating_add(self.pending.len() as u64)
    }

    /// Appends bytes; many of them are a part of their own, as they are.
    fn append(&mut self, bytes: Vec<u8>) {
        if bytes.len() < LARGE {
            return self.pending.extend(bytes);
        }
        self.flush();
        self.layout.bytes(bytes);
    }

    fn flush(&mut self) {
        if !self.pending.is_empty() {
            self.layout.bytes(self.pending.as_slice());
            self.pending.clear();
        }
    }

    /// Writes the local header, and settles what depends on its place.
    fn begin(&mut self, member: &mut Member) {
        member.header_offset = self.position();
        let described = match self.style {
            Style::Torch { .. } => member.compressed_size > 0,
            Style::Numpy { .. } => member.crc32.is_none(),
        };
        member.attributes.set(DESCRIBED, described);
        let header = match self.style {
            Style::Torch { alignment } => member.torch_header(alignment),
            Style::Numpy { room } => member.numpy_header(room),
        };
        self.pending.extend(header);
    }

    /// Writes what follows the data, and the entry of the directory.
    fn end(&mut self, member: &Member, checksum: Checksum) {
        if member.attributes.has(DESCRIBED) {
            self.pending.extend(DESCRIPTOR);
            self.checksum(&checksum);
            self.pending.extend(match self.style {
                Style::Torch { .. } => member.sizes(),
                Style::Numpy { .. } => member.long_sizes(),
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
}
