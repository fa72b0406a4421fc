//! A zip archive: its structure, its members, and what is between them.

use std::collections::HashSet;
use std::io::{BufReader, Read};
use std::ops::Range;

use flate2::bufread::DeflateDecoder;
use statedict_core::{Fault, Finding, Source, Stretch, sorting};
use statedict_npz::Array;
use statedict_pth::{Loader, Trust, scan};
use statedict_zip::{Archive, Entry, Located, Method};

use super::code;
use super::content::{Content, HELD, Look};
use super::examined;
use super::limits::{Checksums, MAX_DEPTH, MAX_GROWTH, MAX_HELD, MAX_HELD_OF_BOMBS, Metered};
use crate::elements::inflate::RangeReader;

/// How much of a deflated member is read to see what it is.
const FRONT: u64 = 64 << 10;

/// What starts a member, in the directory or not.
const MEMBER: [u8; 4] = *b"PK\x03\x04";

/// The length of a local header before its name.
const HEADER_LEN: u64 = 30;

/// How much of the bytes between members is searched at a time.
const WINDOW: u64 = 1 << 20;

/// The most headers of dead members that are looked at in one stretch; an archive renamed a
/// thousand times has a thousand.
const MAX_DEAD: usize = 10_000;

/// How much of a deflated dead member is looked at: longer pickles need no hiding place.
const MAX_DEAD_LEN: u64 = 1 << 20;

const SCRIPTED: &str = "a TorchScript archive";
const SCRIPTED_LOADER: &str = "torch.jit.load loads it, and torch.load(weights_only=True) does not";

impl Look<'_> {
    /// Looks at an archive and at everything in it.
    pub(super) fn archive(&mut self, content: &Content<'_>) -> Result<(), Fault> {
        let source = content.source;
        if content.depth > MAX_DEPTH {
            let what = format!("archives are nested over {MAX_DEPTH} deep, the limit");
            self.malformed(content, what, "nesting limit exceeded");
            return Ok(());
        }
        let archive = match Archive::open(source) {
            Ok(Some(archive)) => archive,
            Ok(None) => return Ok(()),
            Err(fault @ Fault::Unreadable(_)) => return Err(fault),
            Err(fault) => {
                self.malformed(content, fault.to_string(), "the archive has no sound directory");
                return self.dead(content, 0..source.len());
            }
        };
        let audit = archive.audit(source)?;
        self.take(content, audit.findings.iter().cloned());
        if content.depth > 0 {
            let found = examined(source, &content.name)?.into_iter();
            found.for_each(|finding| self.faults.add(content.within(finding)));
        }
        let is_scripted = is_scripted(&archive);
        if is_scripted && content.depth == 0 {
            self.take(content, [Finding::note("", SCRIPTED, SCRIPTED_LOADER)].into_iter());
        }
        let loader = if is_scripted { Loader::TorchScript } else { content.loader };
        for (entry, located) in by_weight(archive.entries(), &audit.located) {
            if self.is_spent(content) {
                break;
            }
            self.member(content, entry, located, loader)?;
        }
        for gap in &audit.gaps {
            self.dead(content, gap.clone())?;
        }
        let source: &dyn Source = &archive.comment();
        let inside = Content { source, name: content.below("the comment"), ..content.clone() };
        self.hidden(&inside, 0..source.len())?;
        // Last, since it says nothing of what would run, and may use up what may be read.
        match self.budget.checksums {
            Checksums::Verified => self.verify(content, &archive, &audit),
            Checksums::Skipped => Ok(()),
        }
    }

    fn member(
        &mut self,
        content: &Content<'_>,
        entry: &Entry,
        located: &Located,
        loader: Loader,
    ) -> Result<(), Fault> {
        let name = content.below(entry.name());
        match entry.method() {
            Method::Stored => {
                let part = Stretch::new(content.source, located.data.clone());
                let source: &dyn Source = &part;
                let (len, depth) = (source.len(), content.depth + 1);
                self.content(&Content { source, len, name, loader, depth })?;
                self.code(entry, source, loader, content)
            }
            Method::Deflated => {
                let Some(bytes) = self.inflated(content, entry, located)? else { return Ok(()) };
                let source: &dyn Source = &bytes.as_slice();
                let (len, depth) = (entry.size(), content.depth + 1);
                let inside = Content { source, len, name, loader, depth };
                self.inflated_content(&inside, &bytes, len)?;
                self.code(entry, source, loader, content)
            }
            // The audit has said that nobody can read it.
            Method::Other(_) => Ok(()),
        }
    }

    /// As much of a deflated member as shows what it would run; `None` if it does not inflate.
    fn inflated(
        &mut self,
        content: &Content<'_>,
        entry: &Entry,
        located: &Located,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let read = |len: u64| match entry.read_head(content.source, located, len) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(fault @ Fault::Unreadable(_)) => Err(fault),
            Err(_) => Ok(None),
        };
        let Some(front) = read(FRONT)? else { return Ok(None) };
        if entry.size() <= FRONT || is_plain_array(&front, entry.size()) {
            return Ok(Some(front));
        }
        let room = MAX_HELD.saturating_sub(self.held);
        let mut held = entry.size().min(room);
        if entry.size() > room && !is_plain_storage(entry, &front) {
            let what = format!("'{}' inflates to over {room} bytes", entry.name());
            self.malformed(content, what, HELD);
            held = if is_bomb(entry) { held.min(MAX_HELD_OF_BOMBS) } else { held };
        }
        // What may not be read is not inflated either.
        held = held.min(self.budget.left()).max(FRONT);
        if self.budget.take_inflated(held) { read(held) } else { Ok(Some(front)) }
    }

    /// The code of a TorchScript archive can do a few things beside computing.
    fn code(
        &mut self,
        entry: &Entry,
        source: &dyn Source,
        loader: Loader,
        content: &Content<'_>,
    ) -> Result<(), Fault> {
        let name = entry.name().to_ascii_lowercase();
        let is_code = name.contains("/code/") && name.ends_with(".py");
        if loader == Loader::TorchScript && is_code {
            let text = source.bytes(0..source.len().min(MAX_HELD))?;
            self.take(content, code::check(entry.name(), &text).into_iter());
        }
        Ok(())
    }

    /// Bytes that no directory lists: earlier members, or something hidden.
    fn dead(&mut self, content: &Content<'_>, gap: Range<u64>) -> Result<(), Fault> {
        let inside = Content { name: content.below("bytes of no member"), ..content.clone() };
        self.hidden(&inside, gap.clone())?;
        let members = dead_members(content.source, self.affordable(gap))?;
        if members.len() == MAX_DEAD {
            let what = format!("over {MAX_DEAD} headers of members, the check's limit");
            self.malformed(&inside, what, "resource exhaustion");
        }
        // Many headers may lead to the same bytes.
        let mut starts = HashSet::new();
        for dead in members.into_iter().filter(|dead| starts.insert(dead.data.start)) {
            if self.is_spent(&inside) {
                break;
            }
            let (source, data) = (content.source, self.affordable(dead.data));
            let found = if dead.is_deflated {
                let bytes = self.inflated_dead(source, data);
                let slice = bytes.as_slice();
                let metered = Metered::new(&slice, self.budget);
                scan(&metered, 0..metered.len(), Trust::Guess, Loader::Python)?
            } else {
                scan(source, data, Trust::Guess, Loader::Python)?
            };
            self.take(&inside, found.findings.into_iter());
        }
        Ok(())
    }

    /// What a deflate stream gives that ends somewhere in a range, as far as it goes.
    fn inflated_dead(&self, source: &dyn Source, range: Range<u64>) -> Vec<u8> {
        let packed = BufReader::new(RangeReader::within(source, range));
        let mut bytes = Vec::new();
        // What comes before an error would have been read before it.
        let _ = DeflateDecoder::new(packed).take(MAX_DEAD_LEN).read_to_end(&mut bytes);
        if !self.budget.take_inflated(bytes.len() as u64) {
            self.budget.exhaust();
        }
        bytes
    }
}

/// True if PyTorch takes an archive for one of TorchScript: by the record `constants.pkl` right
/// below the archive's root.
///
/// Source: `_is_torchscript_zip` in `torch/serialization.py`.
fn is_scripted(archive: &Archive) -> bool {
    archive.root().is_some_and(|root| archive.find(&format!("{root}/constants.pkl")).is_some())
}

/// The members of an archive once each, those first that are pickles by their names: what would
/// run is found before anything can use up what may be read.
///
/// Members that share all their bytes with one of their kind are passed over.
fn by_weight<'e>(
    entries: &'e [Entry],
    located: &'e [Option<Located>],
) -> Vec<(&'e Entry, &'e Located)> {
    let is_pickle = |entry: &Entry| entry.name().to_ascii_lowercase().ends_with(".pkl");
    let mut seen = HashSet::new();
    let mut members: Vec<_> = entries.iter().zip(located).collect();
    sorting::sort_by_key(&mut members, |(entry, _)| !is_pickle(entry));
    let members = members.into_iter().filter_map(|(entry, located)| {
        let located = located.as_ref()?;
        let bytes = (located.data.start, located.data.end, entry.method() == Method::Stored);
        let is_new = seen.insert((bytes, is_pickle(entry), entry.name().ends_with(".py")));
        is_new.then_some((entry, located))
    });
    members.collect()
}

/// True if the front of a member is that of an array without pickled objects.
fn is_plain_array(front: &[u8], len: u64) -> bool {
    matches!(Array::read_front(&front, len), Ok(Some(Array { end: Some(_), .. })))
}

/// True if a member is a storage by its name, begins like no pickle, and is not a bomb.
fn is_plain_storage(entry: &Entry, front: &[u8]) -> bool {
    entry.name().contains("/data/") && !matches!(front, [0x80, ..]) && !is_bomb(entry)
}

/// True if a member is hardly more than one byte over and over.
fn is_bomb(entry: &Entry) -> bool {
    entry.size() / MAX_GROWTH > entry.compressed_size()
}

/// A member that no directory lists.
struct Dead {
    /// From where its data starts to where it ends at the latest.
    data: Range<u64>,
    is_deflated: bool,
}

/// The members that a stretch of a file holds, by their local headers.
fn dead_members(source: &dyn Source, stretch: Range<u64>) -> Result<Vec<Dead>, Fault> {
    let mut found = Vec::new();
    let mut at = stretch.start;
    while at < stretch.end && found.len() < MAX_DEAD {
        let end = at.saturating_add(WINDOW).min(stretch.end);
        let bytes = source.bytes(at..end.saturating_add(HEADER_LEN).min(stretch.end))?;
        for (place, header) in bytes.windows(HEADER_LEN as usize).enumerate() {
            if !header.starts_with(&MEMBER) {
                continue;
            }
            let length = |at: usize| u64::from(header[at]) | u64::from(header[at + 1]) << 8;
            let data = at + place as u64 + HEADER_LEN + length(26) + length(28);
            if data < stretch.end {
                let is_deflated = length(8) == 8;
                found.push(Dead { data: data..stretch.end, is_deflated });
            }
        }
        at = end;
    }
    Ok(found)
}
