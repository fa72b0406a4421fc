//! The directory of an archive.

use statedict_core::{Fault, IndexSet, Source, sorting};

use crate::end::End;
use crate::fields::{END, Fields, LOCAL};
use crate::folded::FoldedNames;
use crate::{Entry, Located};

/// How many local headers are asked for at once: some hundred kilobytes.
const HEADERS: usize = 1024;

/// A zip archive's directory.
///
/// Every entry's header and data are within the file by these numbers; what is there is looked at
/// later, by [`Entry::locate`].
#[derive(Clone, Debug)]
pub struct Archive {
    entries: Vec<Entry>,
    folded: FoldedNames,
    repeated: Vec<usize>,
    end: End,
}

impl Archive {
    /// Reads the directory; `None` if the source starts neither as a member (`PK\3\4`) nor as an
    /// empty archive (`PK\5\6`).
    ///
    /// # Errors
    /// A directory that is truncated, contradicts itself or the file's length; volumes; encryption.
    pub fn open(source: &dyn Source) -> Result<Option<Archive>, Fault> {
        let magic = source.bytes(0..source.len().min(4))?;
        if magic != LOCAL && magic != END {
            return Ok(None);
        }
        let end = End::find(source)?;
        let directory = source.bytes(end.offset..end.offset.saturating_add(end.size))?;
        let mut entries = parse(&directory, &end, source.len())?;
        bound(&mut entries, end.offset);
        Ok(Some(Archive::index(entries, end)))
    }

    fn index(entries: Vec<Entry>, end: End) -> Archive {
        let mut names = IndexSet::default();
        names.reserve(entries.len());
        let is_first = entries.iter().map(|entry| names.insert(entry.name()));
        let repeated = is_first.enumerate().filter(|(_, is_first)| !is_first);
        let repeated = repeated.map(|(place, _)| place).collect();
        let folded = FoldedNames::of(&entries);
        Archive { entries, folded, repeated, end }
    }

    /// Where the bytes of all members are, in their order; headers are read many at a time.
    ///
    /// # Errors
    /// As [`Entry::locate`].
    pub fn locate_all(&self, source: &dyn Source) -> Result<Vec<Located>, Fault> {
        let mut located = Vec::with_capacity(self.entries().len());
        for entries in self.entries().chunks(HEADERS) {
            let ranges: Vec<_> =
                entries.iter().map(|entry| entry.likely_header(0, source.len())).collect();
            for (entry, header) in entries.iter().zip(source.read_ranges(&ranges)?) {
                located.push(entry.locate_in(header, source, 0)?.0);
            }
        }
        Ok(located)
    }

    /// The entries as the directory has them, repeated names included.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of exactly this name; of several the last, as Python's `zipfile` has it.
    ///
    /// It looks at all of them.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().rfind(|entry| entry.name() == name)
    }

    /// The place of the entry that PyTorch finds by this name: it compares bytes, and takes ASCII
    /// letters of both cases for the same.
    ///
    /// Of several the first in the directory; PyTorch finds any of them, so that nobody should
    /// rely on it: see [`Archive::alike`].
    pub fn position_ignoring_case(&self, name: &str) -> Option<usize> {
        self.folded.find(&self.entries, name.as_bytes())
    }

    /// Two names that PyTorch takes for one.
    pub fn alike(&self) -> Option<(&str, &str)> {
        let (one, other) = self.folded.alike?;
        Some((self.entries.get(one)?.name(), self.entries.get(other)?.name()))
    }

    /// The folder that PyTorch takes for the root of all records: the first segment of the first
    /// entry's name.
    ///
    /// Source: `PyTorchStreamReader::init` in `caffe2/serialize/inline_container.cc`.
    pub fn root(&self) -> Option<&str> {
        self.entries.first()?.name().split_once('/').map(|(root, _)| root)
    }

    /// Names that occur more than once, each of them once.
    pub fn duplicates(&self) -> Vec<&str> {
        let repeated = self.repeated.iter().filter_map(|i| self.entries.get(*i));
        let mut names: Vec<&str> = repeated.map(Entry::name).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The comment at the end of the archive; for [`crate::Writer::comment`].
    pub fn comment(&self) -> &[u8] {
        &self.end.comment
    }

    pub(crate) fn end(&self) -> &End {
        &self.end
    }
}

/// Tells every entry where the next one's header or the directory starts, which its member may not
/// reach: members that share bytes would be more in all than the file.
fn bound(entries: &mut [Entry], directory: u64) {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    sorting::sort_by_key(&mut order, |i| entries[*i].header_offset());
    let mut limit = directory;
    for i in order.into_iter().rev() {
        entries[i].limit = limit;
        limit = limit.min(entries[i].header_offset());
    }
}

fn parse(directory: &[u8], end: &End, file_len: u64) -> Result<Vec<Entry>, Fault> {
    let mut rest = Fields(directory);
    let place =
        |rest: &Fields<'_>| end.offset.saturating_add((directory.len() - rest.0.len()) as u64);
    let mut entries = Vec::with_capacity(usize::try_from(end.count).unwrap_or(0));
    while (entries.len() as u64) < end.count {
        let at = place(&rest);
        let entry = Entry::parse(&mut rest, file_len).map_err(|misread| misread.fault(at))?;
        entries.push(entry);
    }
    if !rest.0.is_empty() {
        let what = format!("the zip directory goes on after its {} entries", end.count);
        return Err(Fault::malformed(place(&rest), what));
    }
    Ok(entries)
}
