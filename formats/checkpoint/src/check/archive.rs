//! A zip archive: its structure, its members, and what lies between them.

use std::io::Read;
use std::ops::{Range, RangeInclusive};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flate2::read::DeflateDecoder;
use statedict_core::{Fault, Finding, Source};
use statedict_npz::Array;
use statedict_pth::{Loader, Trust, scan, search};
use statedict_zip::{Archive, Audit, Entry, Located, Method};

use super::code;
use super::content::{Content, Look};
use super::limits::{MAX_DEPTH, MAX_GROWTH, MAX_HELD, MAX_HELD_OF_BOMBS};
use super::part::Part;

/// How much of a deflated member tells what it is.
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

/// How much of a deflated dead member is looked at: longer pickles are no secret.
const MAX_DEAD_LEN: u64 = 1 << 20;

/// The versions of its archives that PyTorch 2.15 reads.
const VERSIONS: RangeInclusive<u64> = 1..=10;

/// The longest record that says one thing, in bytes.
const MAX_NOTE: u64 = 1 << 10;

const INFLATES: &str = "the archive inflates to over 4 GiB and 100 times its length, the limit";

impl Look<'_> {
    /// Looks at an archive and at everything in it.
    pub(super) fn archive(&mut self, content: &Content<'_>) -> Result<(), Fault> {
        let source = content.source;
        if content.depth > MAX_DEPTH {
            let what = format!("archives lie in archives over {MAX_DEPTH} deep, the limit");
            self.malformed(content, what, "nobody packs a model like that");
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
        self.verify(content, &archive, &audit)?;
        if let Some(what) = version_fault(&archive, source)? {
            self.fault(content, "", what, "PyTorch reads no archive without it");
        }
        let is_scripted = is_scripted(&archive);
        let loader = if is_scripted { Loader::TorchScript } else { content.loader };
        for (entry, located) in archive.entries().iter().zip(&audit.located) {
            let Some(located) = located else { continue };
            self.member(content, entry, located, loader)?;
        }
        for gap in audit.gaps {
            self.dead(content, gap)?;
        }
        let comment = archive.comment();
        let hidden = search(&comment, 0..comment.len() as u64)?;
        let inside = Content { name: content.below("the comment"), ..content.clone() };
        self.take(&inside, hidden.into_iter());
        Ok(())
    }

    /// Holds every member's bytes against its length and checksum, on all cores.
    fn verify(
        &mut self,
        content: &Content<'_>,
        archive: &Archive,
        audit: &Audit,
    ) -> Result<(), Fault> {
        let entries = archive.entries();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut found = Vec::new();
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let (Some(entry), Some(located)) = (entries.get(i), audit.located.get(i)) else {
                    return Ok::<_, Fault>(found);
                };
                let Some(located) = located else { continue };
                let finding = match entry.method() {
                    Method::Deflated if !self.budget.take(entry.size()) => {
                        Some(Finding::malformed(entry.name(), INFLATES, "it is made to waste time"))
                    }
                    _ => entry.verify(content.source, located)?,
                };
                found.extend(finding.map(|finding| (i, finding)));
            }
        };
        let workers = thread::available_parallelism().map_or(1, usize::from).min(entries.len());
        let results: Vec<_> = thread::scope(|scope| {
            let others: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
            let mine = work();
            let join = |worker: thread::ScopedJoinHandle<'_, _>| worker.join();
            let theirs = others.into_iter().map(join);
            let theirs = theirs.map(|result| result.expect("checking a member does not panic"));
            [mine].into_iter().chain(theirs).collect()
        });
        let mut found: Vec<_> = results.into_iter().collect::<Result<Vec<_>, _>>()?.concat();
        found.sort_by_key(|(i, _)| *i);
        self.take(content, found.into_iter().map(|(_, finding)| finding));
        Ok(())
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
                let part = Part::new(content.source, located.data.clone());
                let source: &dyn Source = &part;
                let (len, depth) = (source.len(), content.depth + 1);
                self.content(&Content { source, len, name, loader, depth })?;
                self.code(entry, source, loader, content)
            }
            Method::Deflated => {
                let Some(bytes) = self.inflated(content, entry, located)? else { return Ok(()) };
                let source: &dyn Source = &bytes.as_slice();
                let (len, depth) = (entry.size(), content.depth + 1);
                self.content(&Content { source, len, name, loader, depth })?;
                self.code(entry, source, loader, content)
            }
            // The audit has said that nobody can read it.
            Method::Other(_) => Ok(()),
        }
    }

    /// As much of a deflated member as tells what it would run; `None` if it does not inflate.
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
        let mut held = entry.size().min(MAX_HELD);
        if entry.size() > MAX_HELD && !is_plain_storage(entry, &front) {
            let what = format!("'{}' inflates to over {MAX_HELD} bytes, the limit", entry.name());
            self.malformed(content, what, "only plain arrays and storages are that large");
            held = if is_bomb(entry) { MAX_HELD_OF_BOMBS } else { held };
        }
        match self.budget.take(held) {
            true => read(held),
            false => Ok(Some(front)),
        }
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

    /// Bytes that no directory tells of: earlier members, or something hidden.
    fn dead(&mut self, content: &Content<'_>, gap: Range<u64>) -> Result<(), Fault> {
        let inside = Content { name: content.below("bytes of no member"), ..content.clone() };
        let found = search(content.source, gap.clone())?;
        self.take(&inside, found.into_iter());
        for dead in dead_members(content.source, gap)? {
            let found = match dead.is_deflated {
                false => scan(content.source, dead.data, Trust::Guess, Loader::Python)?,
                true => {
                    let bytes = self.inflated_dead(content.source, dead.data)?;
                    scan(&bytes.as_slice(), 0..bytes.len() as u64, Trust::Guess, Loader::Python)?
                }
            };
            self.take(&inside, found.findings.into_iter());
        }
        Ok(())
    }

    /// What a deflate stream gives that ends somewhere in a range, as far as it goes.
    fn inflated_dead(&self, source: &dyn Source, range: Range<u64>) -> Result<Vec<u8>, Fault> {
        let end = range.end.min(range.start.saturating_add(MAX_DEAD_LEN));
        let packed = source.bytes(range.start..end)?;
        let mut bytes = Vec::new();
        if self.budget.take(MAX_DEAD_LEN) {
            // What comes before an error would have been read before it.
            let _ = DeflateDecoder::new(&*packed).take(MAX_DEAD_LEN).read_to_end(&mut bytes);
        }
        Ok(bytes)
    }
}

/// True if PyTorch takes an archive for one of TorchScript: by the record `constants.pkl` right
/// below the archive's root.
///
/// Source: `_is_torchscript_zip` in `torch/serialization.py`.
fn is_scripted(archive: &Archive) -> bool {
    let names = || archive.entries().iter().map(Entry::name);
    let root = names().next().and_then(|name| name.split_once('/')).map_or("", |(root, _)| root);
    names().any(|name| name.split_once('/') == Some((root, "constants.pkl")))
}

/// True if the front of a member is that of an array without pickled objects.
fn is_plain_array(front: &[u8], len: u64) -> bool {
    matches!(Array::read_front(&front, len), Ok(Some(Array { end: Some(_), .. })))
}

/// True if a member is a storage by its name, begins like no pickle, and is no bomb.
fn is_plain_storage(entry: &Entry, front: &[u8]) -> bool {
    entry.name().contains("/data/") && !matches!(front, [0x80, ..]) && !is_bomb(entry)
}

/// True if a member is hardly more than one byte over and over.
fn is_bomb(entry: &Entry) -> bool {
    entry.size() / MAX_GROWTH > entry.compressed_size()
}

/// What is wrong with the version of an archive with PyTorch's pickle, without which PyTorch does
/// not read it.
///
/// Source: `PyTorchStreamReader::init` in `caffe2/serialize/inline_container.cc`.
fn version_fault(archive: &Archive, source: &dyn Source) -> Result<Option<String>, Fault> {
    let pickle = archive.entries().iter().map(Entry::name).find(|n| n.ends_with("/data.pkl"));
    let Some(folder) = pickle.and_then(|name| name.strip_suffix("data.pkl")) else {
        return Ok(None);
    };
    let record = |name: &str| archive.find(&format!("{folder}{name}"));
    let Some(entry) = record(".data/version").or_else(|| record("version")) else {
        return Ok(Some(format!("there is no record '{folder}version'")));
    };
    let text = match entry.read(source, MAX_NOTE) {
        Ok(text) => text,
        Err(fault @ Fault::Unreadable(_)) => return Err(fault),
        Err(fault) => return Ok(Some(fault.to_string())),
    };
    let number = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
    let is_known = number.is_some_and(|number| VERSIONS.contains(&number));
    let (first, last) = (VERSIONS.start(), VERSIONS.end());
    Ok((!is_known).then(|| {
        let shown = text.get(..text.len().min(20)).unwrap_or_default().escape_ascii();
        format!("version '{shown}' of the archive, expected {first} to {last}")
    }))
}

/// A member that no directory tells of.
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
