//! An archive changed in place: members stay in their places, the directory is new.

use statedict_core::{Layout, sorting};

use crate::member::Member;
use crate::tail::Tail;
use crate::{Archive, Entry, Located};

/// What becomes of a member that is not moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Keep,
    /// It leaves the directory; its bytes stay, and nothing refers to them any more.
    Drop,
    /// It has another name.
    Rename(String),
    /// It has these bytes, stored as PyTorch stores them.
    Replace {
        /// The bytes.
        content: Vec<u8>,
        /// What their place is a multiple of.
        alignment: u64,
    },
}

/// A stored member that an archive gets, its place a multiple of an alignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// The whole name, at most [`MAX_NAME_LEN`](crate::MAX_NAME_LEN) bytes.
    pub name: String,
    /// The bytes.
    pub content: Vec<u8>,
    /// What their place is a multiple of.
    pub alignment: u64,
}

/// How many bytes of dropped members may stay behind unused, whatever the length of the file.
const WASTE: u64 = 64 << 10;
/// And which share of the file: beyond both, a file without them is worth writing.
const WASTE_SHARE: u64 = 100;

impl Archive {
    /// The archive with some members changed and every byte of the others left where it is.
    ///
    /// `located` and `changes` have one for each entry, in order; `len` is the file's length, and
    /// what is `added` is behind it, for the same reason as new bytes that have no room.
    /// - A longer name takes the padding of its local header, a shorter one leaves it there.
    /// - New bytes take the place of the old ones, where what follows leaves them room, and
    ///   otherwise behind the end of the file, so that no old byte is lost before the new directory
    ///   is written. Later ones fit there again, since only the directory follows: however often an
    ///   archive is changed, it grows by this once.
    /// - The directory comes last and never moves towards the front.
    ///
    /// `None` if a name has no room, or if dropped members would leave more unused than a file that
    /// is not rewritten should carry along.
    pub fn rewrite_in_place(
        &self,
        located: &[&Located],
        changes: Vec<Change>,
        added: Option<Added>,
        len: u64,
    ) -> Option<Layout> {
        let mut revision = Revision::new(self.end().offset, len);
        let mut wasted = 0u64;
        for ((entry, located), change) in self.entries().iter().zip(located).zip(changes) {
            match change {
                Change::Keep => revision.list(&Member::of(entry, located, entry.name())),
                Change::Drop => wasted = wasted.saturating_add(entry.compressed_size()),
                Change::Rename(name) => revision.rename(entry, located, &name)?,
                Change::Replace { content, alignment } => {
                    revision.replace(entry, &content, alignment);
                }
            }
        }
        added.iter().for_each(|added| revision.add(added));
        let is_little = wasted <= WASTE.max(len / WASTE_SHARE);
        is_little.then(|| revision.finish(self))
    }
}

/// The writes that change an archive.
struct Revision {
    writes: Vec<(u64, Vec<u8>)>,
    directory: Vec<u8>,
    count: u64,
    /// Where the old directory starts, which is behind all members.
    old_end: u64,
    /// Where the new one can.
    end: u64,
    /// The length of the file as it is.
    len: u64,
}

impl Revision {
    fn new(end: u64, len: u64) -> Revision {
        Revision { writes: Vec::new(), directory: Vec::new(), count: 0, old_end: end, end, len }
    }

    fn list(&mut self, member: &Member) {
        self.directory.extend(member.entry());
        self.count += 1;
    }

    fn rename(&mut self, entry: &Entry, located: &Located, name: &str) -> Option<()> {
        let member = Member::of(entry, located, name);
        let header = member.header_of(located.data.start - entry.header_offset())?;
        self.writes.push((entry.header_offset(), header));
        self.list(&member);
        Some(())
    }

    fn replace(&mut self, entry: &Entry, content: &[u8], alignment: u64) {
        let mut member = Member::replacing(entry, content);
        let mut record = member.torch_record(entry.header_offset(), content, alignment);
        let is_last = entry.limit == self.old_end;
        if !is_last && record.len() as u64 > entry.limit - entry.header_offset() {
            record = member.torch_record(self.end.max(self.len), content, alignment);
        }
        let end = member.header_offset.saturating_add(record.len() as u64);
        if is_last || member.header_offset > self.old_end {
            self.end = self.end.max(end);
        }
        self.writes.push((member.header_offset, record));
        self.list(&member);
    }

    fn add(&mut self, added: &Added) {
        let mut member = Member::new(&added.name, &added.content);
        let at = self.end.max(self.len);
        let record = member.torch_record(at, &added.content, added.alignment);
        self.end = at.saturating_add(record.len() as u64);
        self.writes.push((at, record));
        self.list(&member);
    }

    fn finish(self, archive: &Archive) -> Layout {
        let Revision { mut writes, directory, count, end, .. } = self;
        let (size, made_by) = (directory.len() as u64, archive.end().made_by);
        let tail = Tail { offset: end, size, count, made_by, comment: archive.comment() };
        writes.push((end, [directory, tail.records()].concat()));
        sorting::sort_by_key(&mut writes, |(at, _)| *at);
        let mut layout = Layout::new();
        for (at, bytes) in writes {
            if at > layout.len() {
                layout.copy(layout.len()..at);
            }
            layout.bytes(bytes);
        }
        layout
    }
}
