//! What bytes are, whatever their name says, and what they would run.

use std::io::Read;

use flate2::read::{GzDecoder, ZlibDecoder};
use statedict_core::{Fault, Finding, Source, Verdict};
use statedict_npz::Array;
use statedict_pth::{Loader, Trust, scan, search, tar_members};

use super::limits::{Budget, MAX_FINDINGS, MAX_HELD};
use super::part::Part;

/// How much of the front tells what bytes are.
const FRONT: u64 = 512;

/// The bytes at the end among which the end of a zip archive must be.
const TAIL: u64 = (64 << 10) + 22;

/// Bytes to look at, and where they come from.
#[derive(Clone)]
pub(super) struct Content<'s> {
    pub(super) source: &'s dyn Source,
    /// The way to them through archives; empty for the file itself.
    pub(super) name: String,
    /// Who would read the pickles in them.
    pub(super) loader: Loader,
    /// In how many archives they are.
    pub(super) depth: usize,
}

impl<'s> Content<'s> {
    pub(super) fn file(source: &'s dyn Source) -> Content<'s> {
        Content { source, name: String::new(), loader: Loader::Python, depth: 0 }
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
    pub(super) findings: Vec<Finding>,
    /// True if the file is one pickle from its first byte, or one array.
    pub(super) is_plain: bool,
    pub(super) budget: &'b Budget,
}

impl Look<'_> {
    pub(super) fn malformed(&mut self, content: &Content<'_>, what: String, why: &str) {
        self.take(content, [Finding::malformed("", what, why)].into_iter());
    }

    pub(super) fn take(&mut self, content: &Content<'_>, findings: impl Iterator<Item = Finding>) {
        for finding in findings {
            let finding = match content.name.as_str() {
                "" => finding,
                name => finding.within(name),
            };
            // Notes and faults leave room for dangers.
            let room = match finding.verdict {
                Verdict::Dangerous => 2 * MAX_FINDINGS,
                _ => MAX_FINDINGS,
            };
            if self.findings.len() < room && !self.findings.contains(&finding) {
                self.findings.push(finding);
            }
        }
    }

    /// Looks at bytes, and at what is in them.
    pub(super) fn content(&mut self, content: &Content<'_>) -> Result<(), Fault> {
        let source = content.source;
        let front = source.bytes(0..source.len().min(FRONT))?;
        if is_zip(&front) {
            return self.archive(content);
        }
        if front.starts_with(b"\x93NUMPY") {
            return self.array(content);
        }
        if let Some(bytes) = self.unpacked(source, &front)? {
            let name = content.below("unpacked");
            let source: &dyn Source = &bytes.as_slice();
            let inside = Content { source, name, depth: content.depth + 1, ..content.clone() };
            if inside.depth <= super::limits::MAX_DEPTH {
                self.content(&inside)?;
            }
        }
        self.tar(content)?;
        self.pickles(content, &front)?;
        self.archive_behind(content)
    }

    /// True if the front of a member is that of an array without pickled objects.
    pub(super) fn is_plain_array(front: &[u8]) -> bool {
        front.starts_with(b"\x93NUMPY")
            && !front.windows(2).take(1 << 10).any(|two| two == b"|O" || two == b"'O")
    }

    fn array(&mut self, content: &Content<'_>) -> Result<(), Fault> {
        let source = content.source;
        match Array::read(source) {
            Ok(Some(Array { data, is_pickled: true })) => {
                let found = scan(source, data..source.len(), Trust::Pickle, content.loader)?;
                if let Some((at, what)) = &found.broken {
                    let what = format!("the pickle of its objects at byte {at}: {what}");
                    self.malformed(content, what, "NumPy cannot load it");
                }
                self.is_plain |= content.depth == 0;
                self.take(content, found.findings.into_iter());
            }
            Ok(_) => self.is_plain |= content.depth == 0,
            Err(fault @ Fault::Unreadable(_)) => return Err(fault),
            // The head of a deflated member is no whole array; the format's reader sees to those.
            Err(_) if content.depth > 0 => {}
            Err(fault) => self.malformed(content, fault.to_string(), "NumPy cannot load it"),
        }
        Ok(())
    }

    /// What gzip or zlib packed, which `joblib` and others load without being asked.
    fn unpacked(&self, source: &dyn Source, front: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
        let is_gzip = front.starts_with(b"\x1f\x8b\x08");
        let is_zlib = matches!(front, [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..]);
        if !is_gzip && !is_zlib {
            return Ok(None);
        }
        let packed = source.bytes(0..source.len().min(MAX_HELD))?;
        let mut bytes = Vec::new();
        let read = match is_gzip {
            true => GzDecoder::new(&*packed).take(MAX_HELD).read_to_end(&mut bytes),
            false => ZlibDecoder::new(&*packed).take(MAX_HELD).read_to_end(&mut bytes),
        };
        let is_paid = self.budget.take(bytes.len() as u64);
        Ok((is_paid && (read.is_ok() || !bytes.is_empty())).then_some(bytes))
    }

    fn tar(&mut self, content: &Content<'_>) -> Result<(), Fault> {
        let members = match tar_members(content.source) {
            Ok(members) => members,
            Err(fault @ Fault::Unreadable(_)) => return Err(fault),
            Err(_) => return Ok(()),
        };
        for (name, range) in members {
            let part = Part::new(content.source, range);
            let name = content.below(&name);
            let inside =
                Content { source: &part, name, depth: content.depth + 1, ..content.clone() };
            if inside.depth <= super::limits::MAX_DEPTH {
                self.content(&inside)?;
            }
        }
        Ok(())
    }

    fn pickles(&mut self, content: &Content<'_>, front: &[u8]) -> Result<(), Fault> {
        let source = content.source;
        // Storages can begin like a pickle by chance.
        let is_pickle = match content.depth {
            0 => matches!(front, [0x80, 0..=5, ..]),
            _ => content.name.ends_with(".pkl"),
        };
        let trust = if is_pickle { Trust::Pickle } else { Trust::Guess };
        let found = scan(source, 0..source.len(), trust, content.loader)?;
        self.take(content, found.findings.into_iter());
        if is_pickle && found.end > 0 {
            self.is_plain |= content.depth == 0 && found.broken.is_none();
            let hidden = search(source, found.end..source.len())?;
            self.take(content, hidden.into_iter());
        }
        Ok(())
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
        let part = Part::new(source, start..len);
        if !is_zip(&part.bytes(0..part.len().min(4))?) {
            return Ok(());
        }
        let what = format!("a zip archive begins at byte {start}");
        self.malformed(content, what, "readers differ on what the file is");
        let name = content.below("the archive behind");
        let depth = content.depth + 1;
        self.archive(&Content { source: &part, name, depth, ..content.clone() })
    }
}

fn is_zip(front: &[u8]) -> bool {
    front.starts_with(b"PK\x03\x04") || front.starts_with(b"PK\x05\x06")
}
