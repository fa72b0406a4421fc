//! What bytes are, whatever their name says, and what they would run.

use std::collections::HashSet;
use std::io::{BufReader, Read};
use std::ops::Range;

use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use statedict_core::{Fault, Finding, Findings, Source, Stretch, Verdict};
use statedict_npz::Array;
use statedict_pth::{Loader, TarMember, Trust, Unread, scan, search, tar_members};
use statedict_zip::climbs;

use super::limits::{Budget, MAX_DEPTH, MAX_HELD, Metered};
use crate::elements::inflate::RangeReader;

/// How much of the front is read to see what bytes are.
const FRONT: u64 = 512;

/// What an array begins with.
const MAGIC: [u8; 6] = *b"\x93NUMPY";

const UNPACKED: &str = "path traversal when extracted";
const TWICE: &str = "some readers take the first, some the last";
const REFUSED: &str = "torch.load(weights_only=True) raises an error there";
const REFUSED_WHOLE: &str = "torch.load(weights_only=True) loads no such file";
const UNREAD: &str = "torch.load(weights_only=True) supports the opcodes of protocol 2 alone";
const SPENT: &str = "looking into it takes more reading than its length allows, the check's limit";
pub(super) const HELD: &str = "the check holds no more of what is compressed in memory, its limit";
const PACKED: &str = "a file compressed by bzip2, xz, zstd, lz4, 7z or rar";
const NOT_UNPACKED: &str = "the check does not unpack it, and others load what is in it unasked";
const TAR: &str = "a tar archive";
const FOLLOWED: &str = "bytes follow a bare pickle";
const FIRST_ALONE: &str = "pickle.load reads the pickle alone, and torch.load loads no such file";
const NO_ARRAY: &str = "it is not what NumPy writes";

/// The bytes at the end among which the end of a zip archive must be.
const TAIL: u64 = (64 << 10) + 22;

/// Bytes to look at, and where they come from.
#[derive(Clone)]
pub(super) struct Content<'s> {
    pub(super) source: &'s dyn Source,
    /// How many bytes there are, of which the source may have only the first.
    pub(super) len: u64,
    /// The way to them through archives; empty for the file itself.
    pub(super) name: String,
    /// Who would read the pickles in them.
    pub(super) loader: Loader,
    /// In how many archives they are.
    pub(super) depth: usize,
}

impl<'s> Content<'s> {
    pub(super) fn file(source: &'s dyn Source) -> Content<'s> {
        Content { source, len: source.len(), name: String::new(), loader: Loader::Python, depth: 0 }
    }

    /// A finding in these bytes, by their name.
    pub(super) fn within(&self, finding: Finding) -> Finding {
        match self.name.as_str() {
            "" => finding,
            name => finding.within(name),
        }
    }

    /// The name of something in these bytes.
    pub(super) fn below(&self, name: &str) -> String {
        match self.name.as_str() {
            "" => name.to_string(),
            outer => format!("{outer}: {name}"),
        }
    }
}

/// What has been seen of a file.
pub(super) struct Look<'b> {
    pub(super) findings: Findings,
    /// What only a strict reading finds wrong, and is not worth telling of a file that is broken.
    pub(super) faults: Findings,
    /// True if the file is one pickle from its first byte, or one array.
    pub(super) is_plain: bool,
    pub(super) budget: &'b Budget,
    /// How many inflated bytes are in memory.
    pub(super) held: u64,
    /// True once it is reported that the budget is used up.
    is_spent: bool,
}

impl<'b> Look<'b> {
    /// Nothing seen yet.
    pub(super) fn new(budget: &'b Budget) -> Look<'b> {
        let (findings, faults) = (Findings::default(), Findings::default());
        Look { findings, faults, is_plain: false, budget, held: 0, is_spent: false }
    }
}

impl Look<'_> {
    pub(super) fn malformed(&mut self, content: &Content<'_>, what: String, why: &str) {
        self.take(content, [Finding::malformed("", what, why)].into_iter());
    }

    /// Notes what only a strict reading finds wrong.
    pub(super) fn fault(&mut self, content: &Content<'_>, place: &str, what: String, why: &str) {
        self.faults.add(content.within(Finding::malformed(place, what, why)));
    }

    pub(super) fn take(&mut self, content: &Content<'_>, findings: impl Iterator<Item = Finding>) {
        self.findings.extend(findings.map(|finding| content.within(finding)));
    }

    /// True if no more of the file may be read, which is reported once.
    pub(super) fn is_spent(&mut self, content: &Content<'_>) -> bool {
        let is_spent = self.budget.left() == 0;
        if is_spent && !self.is_spent {
            self.is_spent = true;
            self.malformed(content, SPENT.into(), "resource exhaustion");
        }
        is_spent
    }

    /// As much of a stretch as may still be read.
    pub(super) fn affordable(&self, stretch: Range<u64>) -> Range<u64> {
        let end = stretch.start.saturating_add(self.budget.left());
        stretch.start..stretch.end.min(end)
    }

    /// Looks for pickles among other bytes.
    pub(super) fn hidden(
        &mut self,
        content: &Content<'_>,
        stretch: Range<u64>,
    ) -> Result<(), Fault> {
        let found = search(content.source, self.affordable(stretch))?;
        self.take(content, found.into_iter());
        self.is_spent(content);
        Ok(())
    }

    /// Looks at bytes that were inflated, and at what is in them.
    pub(super) fn inflated_content(
        &mut self,
        content: &Content<'_>,
        bytes: &[u8],
        len: u64,
    ) -> Result<(), Fault> {
        self.held += bytes.len() as u64;
        let source: &dyn Source = &Metered::new(&bytes, self.budget);
        let looked = self.content(&Content { source, len, ..content.clone() });
        self.held -= bytes.len() as u64;
        looked
    }

    /// Looks at bytes, and at what is in them.
    pub(super) fn content(&mut self, content: &Content<'_>) -> Result<(), Fault> {
        if self.is_spent(content) {
            return Ok(());
        }
        let source = content.source;
        let front = source.bytes(0..source.len().min(FRONT))?;
        if is_zip(&front) {
            return self.archive(content);
        }
        if front.starts_with(&MAGIC) {
            self.is_plain |= content.depth == 0;
            return self.arrays(content);
        }
        if content.name.ends_with(".npy") {
            self.fault(content, "", "named as an array, and none".into(), NO_ARRAY);
        }
        if content.depth > 0 && is_packed(&front) {
            self.malformed(content, PACKED.into(), NOT_UNPACKED);
        }
        let (name, depth) = (content.below("unpacked"), content.depth + 1);
        let inside = Content { name, depth, ..content.clone() };
        if let Some(bytes) = self.unpacked(&inside, &front)? {
            self.inflated_content(&inside, &bytes, bytes.len() as u64)?;
        }
        self.tar(content)?;
        self.pickles(content, &front)?;
        self.archive_behind(content)
    }

    /// Looks at the arrays from a place on: files have several where a program saved one after the
    /// other.
    fn arrays(&mut self, content: &Content<'_>) -> Result<(), Fault> {
        let mut at = 0;
        loop {
            let part = Stretch::new(content.source, at..content.source.len());
            let array = match Array::read_front(&part, content.len.saturating_sub(at)) {
                Ok(Some(array)) => array,
                Ok(None) => return Ok(()),
                Err(fault @ Fault::Unreadable(_)) => return Err(fault),
                Err(fault) => {
                    self.fault(content, "", fault.to_string(), NO_ARRAY);
                    return Ok(());
                }
            };
            let Some(end) = array.end else {
                return self.objects(content, at.saturating_add(array.data));
            };
            at = at.saturating_add(end);
            if at >= content.len {
                return Ok(());
            }
            let next = at..at.saturating_add(MAGIC.len() as u64).min(content.len);
            if content.depth > 0 || content.source.bytes(next)? != MAGIC {
                let left = content.len - at;
                self.fault(content, "", format!("{left} bytes follow the array"), NO_ARRAY);
                return Ok(());
            }
        }
    }

    /// Looks at the pickle of an array's objects, which starts at a byte.
    fn objects(&mut self, content: &Content<'_>, start: u64) -> Result<(), Fault> {
        let source = content.source;
        let stretch = self.affordable(start..source.len());
        let found = scan(source, stretch, Trust::Pickle, content.loader)?;
        let broken = found.broken.as_ref().map(|(at, what)| (*at, what.as_str()));
        if let Some((at, what)) = broken.or(found.fault) {
            let what = format!("the pickle of its objects at byte {at}: {what}");
            self.malformed(content, what, "NumPy cannot load it");
        }
        self.take(content, found.findings.into_iter());
        self.hidden(content, found.end..source.len())
    }

    /// What gzip or zlib packed, which `joblib` and others load without being asked.
    fn unpacked(&mut self, content: &Content<'_>, front: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let is_gzip = front.starts_with(b"\x1f\x8b\x08");
        let is_zlib = matches!(front, [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..]);
        if !is_gzip && !is_zlib {
            return Ok(None);
        }
        if content.depth > MAX_DEPTH {
            let what = format!("archives are nested over {MAX_DEPTH} deep, the limit");
            self.malformed(content, what, "nesting limit exceeded");
            return Ok(None);
        }
        let room = MAX_HELD.saturating_sub(self.held);
        let packed = BufReader::new(RangeReader::within(content.source, 0..content.source.len()));
        let mut bytes = Vec::new();
        let read = if is_gzip {
            MultiGzDecoder::new(packed).take(room + 1).read_to_end(&mut bytes)
        } else {
            ZlibDecoder::new(packed).take(room + 1).read_to_end(&mut bytes)
        };
        if bytes.len() as u64 > room {
            bytes.pop();
            self.malformed(content, format!("it inflates to over {room} bytes"), HELD);
        }
        if !self.budget.take_inflated(bytes.len() as u64) {
            self.budget.exhaust();
        }
        Ok((read.is_ok() || !bytes.is_empty()).then_some(bytes))
    }

    fn tar(&mut self, content: &Content<'_>) -> Result<(), Fault> {
        let members = match tar_members(content.source) {
            Ok(members) => members,
            Err(fault @ Fault::Unreadable(_)) => return Err(fault),
            Err(_) => return Ok(()),
        };
        let Some(end) = members.last().map(|last| last.data.end) else { return Ok(()) };
        if content.depth == 0 {
            self.take(content, [Finding::note("", TAR, REFUSED_WHOLE)].into_iter());
        }
        let mut seen = HashSet::new();
        for TarMember { name, data, is_special } in &members {
            if climbs(name) {
                self.malformed(content, format!("the name '{name}' climbs"), UNPACKED);
            }
            if *is_special {
                self.malformed(content, format!("'{name}' is a link or a device"), UNPACKED);
            }
            if !seen.insert(name) {
                self.malformed(content, format!("two members are named '{name}'"), TWICE);
            }
            if self.is_spent(content) {
                return Ok(());
            }
            let part = Stretch::new(content.source, data.clone());
            let (len, depth) = (part.len(), content.depth + 1);
            let name = content.below(name);
            let inside = Content { source: &part, len, name, depth, ..content.clone() };
            if inside.depth <= MAX_DEPTH {
                self.content(&inside)?;
            }
        }
        self.hidden(content, end..content.source.len())
    }

    fn pickles(&mut self, content: &Content<'_>, front: &[u8]) -> Result<(), Fault> {
        let source = content.source;
        // Storages can begin like a pickle by chance.
        let is_pickle = match content.depth {
            0 => matches!(front, [0x80, 0..=5, ..]),
            _ => content.name.to_ascii_lowercase().ends_with(".pkl"),
        };
        let trust = if is_pickle { Trust::Pickle } else { Trust::Guess };
        let found = scan(source, self.affordable(0..source.len()), trust, content.loader)?;
        let worst = found.findings.iter().map(|finding| finding.verdict).max().unwrap_or_default();
        self.take(content, found.findings.into_iter());
        // A legacy stream may begin with any opcode, as long as its number is what is left.
        let is_pickle = is_pickle || (found.is_legacy && content.depth == 0);
        if is_pickle && found.end > 0 {
            let is_plain = content.depth == 0 && found.broken.is_none();
            self.is_plain |= is_plain;
            let has_more = found.count > 1 || found.end < source.len();
            if is_plain && has_more && !found.is_legacy && worst == Verdict::Safe {
                self.take(content, [Finding::note("", FOLLOWED, FIRST_ALONE)].into_iter());
            }
            if let Some((at, what)) = found.fault {
                self.fault(content, &format!("byte {at}"), what.into(), "no loader reads on");
            }
            if let Some((at, what)) = found.refusal {
                self.fault(content, &format!("byte {at}"), what.into(), REFUSED);
            }
            if let Some((at, unread)) = found.unread {
                self.unread(content, at, unread, worst);
            }
        }
        match found.end {
            0 => Ok(()),
            end => self.hidden(content, end..source.len()),
        }
    }

    /// Notes an opcode that weights-only loading does not read: a fault where no pickler writes it
    /// and nothing worse is there to say why the file is refused.
    fn unread(&mut self, content: &Content<'_>, at: u64, unread: Unread, worst: Verdict) {
        let (Unread::OfProtocol(code) | Unread::Odd(code)) = unread;
        let (place, what) = (format!("byte {at}"), format!("pickle opcode {code:#04x}"));
        match (unread, worst) {
            (Unread::Odd(_), Verdict::Safe) => self.fault(content, &place, what, UNREAD),
            _ => self.take(content, [Finding::note(place, what, UNREAD)].into_iter()),
        }
    }

    /// A zip archive at the end of something else, which Python's `zipfile` opens all the same.
    fn archive_behind(&mut self, content: &Content<'_>) -> Result<(), Fault> {
        let (source, len) = (content.source, content.source.len());
        let tail_start = len.saturating_sub(TAIL);
        let tail = source.bytes(tail_start..len)?;
        let places = tail.windows(22).enumerate().rev();
        let Some((place, end)) = places.into_iter().find(|(_, end)| end.starts_with(b"PK\x05\x06"))
        else {
            return Ok(());
        };
        let number =
            |at: usize| end[at..at + 4].iter().rev().fold(0, |n, b| n << 8 | u64::from(*b));
        let before = (tail_start + place as u64).checked_sub(number(12) + number(16));
        let Some(start) = before.filter(|start| *start > 0) else { return Ok(()) };
        let part = Stretch::new(source, start..len);
        if !is_zip(&part.bytes(0..part.len().min(4))?) {
            return Ok(());
        }
        let what = format!("a zip archive begins at byte {start}");
        self.malformed(content, what, "readers differ on what the file is");
        let name = content.below("the archive behind");
        let (len, depth) = (part.len(), content.depth + 1);
        self.archive(&Content { source: &part, len, name, depth, ..content.clone() })
    }
}

/// True for what is compressed in a way that is not looked into.
fn is_packed(front: &[u8]) -> bool {
    let magics: [&[u8]; 5] = [
        b"\xfd7zXZ\0",
        b"7z\xbc\xaf\x27\x1c",
        b"Rar!\x1a\x07",
        b"\x28\xb5\x2f\xfd",
        b"\x04\x22\x4d\x18",
    ];
    let is_bzip2 = matches!(front, [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', b'Y', b'&', ..]);
    is_bzip2 || magics.iter().any(|magic| front.starts_with(magic))
}

fn is_zip(front: &[u8]) -> bool {
    front.starts_with(b"PK\x03\x04") || front.starts_with(b"PK\x05\x06")
}
