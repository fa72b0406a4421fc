//! The journal: what a file was before an edit, beside it for as long as the edit takes.
//!
//! ```text
//! magic, version                    16 + 4 bytes
//! length of the head                8
//! head: number of files             4      one, in this version
//!   for each: length of its name    4      then the name
//!             old length, new length, bytes inserted in front      3 × 8
//!             fingerprint           32     of the old file's ends
//!             identity              3 × 8  the file's device, file system and number there
//!             length of a name      4      version 3: then the name of the manifest that decides
//!             its SHA-256           2 × 32 before the edit of several files, and after it
//!             number of writes      8      then start and end of each, in the new file: 2 × 8
//! for each file: the old bytes that are overwritten or cut off, then the new bytes of the writes
//! SHA-256 of everything before      32
//! seal                              32     a hash of that and of the user's secret
//! ```
//! Version 1 had neither identity nor seal. Version 2 is that of a file that is edited alone; version 3
//! that of one of several, which are all old as long as their manifest is, and all new once it is.
//! Numbers are little-endian. The new bytes are there so that a file which was replaced since is
//! not taken for one that was edited halfway: wherever the edit writes, the file has the old bytes
//! or the new ones. The seal is there because a journal may come with a file: one that was not
//! written by this user, on this machine and for this very file is not believed unless its user
//! says so.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use statedict_core::{Fault, Source};

use super::edit::{Edit, PIECE, Patch, pieces};
use crate::disk::plain_file::PlainFile;
use crate::disk::{Disk, Identity, Secret, stays_inside};
use crate::elements::StreamError;

const MAGIC: [u8; 16] = *b"statedict edit\r\n";
const VERSION: u32 = 2;

/// The version of a file that is edited together with others.
const TOGETHER: u32 = 3;

/// The version without identity and seal.
const UNSEALED: u32 = 1;

/// Magic, version and the length of the head.
const START: u64 = 28;

/// The longest head that is read: four million writes.
const MAX_HEAD: u64 = 64 << 20;

/// The length of the sum, and that of the seal.
const SUM: u64 = 32;

/// The longest name of a file that a journal's own name can hold, in bytes.
const MAX_NAME: usize = 200;

/// What says whose journal it is.
pub(crate) struct Maker {
    pub(crate) secret: Secret,
    pub(crate) identity: Identity,
}

/// What says whether a file that is edited together with others is the old one or the new one: the
/// manifest beside it, which is replaced between the two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    /// The name of the manifest.
    pub(crate) manifest: String,
    /// The SHA-256 that it has before the edit.
    pub(crate) before: [u8; 32],
    /// The SHA-256 that it has after it.
    pub(crate) after: [u8; 32],
}

/// A fingerprint of the ends of the old file.
pub(crate) type Fingerprint = [u8; 32];

/// How much of each end of a file goes into its fingerprint.
const END: u64 = 64 << 10;

/// A journal that is whole, opened.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) edit: Edit,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) bytes: PlainFile,
    /// Where the old bytes start in it.
    pub(crate) old_at: u64,
    /// Where the new bytes start in it.
    pub(crate) new_at: u64,
    /// Why it need not be this user's, written for this very file; none if it is.
    pub(crate) doubt: Option<&'static str>,
    /// What decides between the old file and the new one, if it is edited together with others.
    pub(crate) decision: Option<Decision>,
}

const OLDER: &str = "it was written by statedict 0.1, whose journals do not say whose they are";
const NOT_OURS: &str = "it was not written by this user on this machine";
const COPIED: &str = "it was written for another file, of which this one may be a copy";

/// What there is where a journal would be.
#[derive(Debug)]
pub(crate) enum Found {
    Nothing,
    /// A journal that was not finished, so that the edit did not begin.
    Torn,
    /// A whole journal.
    Whole(Box<Journal>),
    /// Something else; the text says what.
    Foreign(String),
}

/// Where the journal of a file is, whose path has been resolved.
pub(crate) fn path_for(file: &Path) -> PathBuf {
    let name = file.file_name().unwrap_or_default();
    let bytes = name.as_encoded_bytes();
    let mut journal = std::ffi::OsString::from(".");
    if bytes.len() <= MAX_NAME {
        journal.push(name);
    } else {
        let sum = Sha256::digest(bytes);
        journal.push(sum.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
    journal.push(".statedict-journal");
    file.with_file_name(journal)
}

/// True if there is something where the journal of a file would be.
pub(crate) fn is_there(file: &Path) -> bool {
    fs::symlink_metadata(path_for(file)).is_ok()
}

/// The fingerprint of a file with these bytes.
pub(crate) fn fingerprint(source: &dyn Source) -> Result<Fingerprint, Fault> {
    let (len, mut hasher) = (source.len(), Sha256::new());
    hasher.update(source.bytes(0..END.min(len))?);
    hasher.update(source.bytes(len.saturating_sub(END)..len)?);
    Ok(hasher.finalize().into())
}

/// Writes the journal of an edit and gives its length.
///
/// It is synced, and its name is not yet.
pub(crate) fn write(
    disk: &dyn Disk,
    journal: &File,
    name: &Path,
    source: &dyn Source,
    patch: &Patch<'_>,
    maker: &Maker,
    decision: Option<&Decision>,
) -> Result<u64, StreamError> {
    let mut out = Output { disk, file: journal, hasher: Sha256::new(), at: 0, buffer: Vec::new() };
    let fingerprint = fingerprint(source).map_err(StreamError::Read)?;
    out.put(&head(name, &patch.edit, &fingerprint, &maker.identity, decision))?;
    for range in patch.edit.overwritten() {
        for piece in pieces(range) {
            out.put(&source.bytes(piece).map_err(StreamError::Read)?)?;
        }
    }
    for bytes in &patch.bytes {
        out.put(bytes)?;
    }
    let sum: [u8; 32] = out.hasher.clone().finalize().into();
    out.put(&sum)?;
    out.put(&maker.secret.seal(&sum))?;
    out.flush()?;
    disk.sync(journal).map_err(StreamError::Sink)?;
    Ok(out.at)
}

/// A file that is written from front to back in large pieces, and summed.
struct Output<'a> {
    disk: &'a dyn Disk,
    file: &'a File,
    hasher: Sha256,
    at: u64,
    buffer: Vec<u8>,
}

impl Output<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        for bytes in bytes.chunks(PIECE as usize) {
            self.hasher.update(bytes);
            self.buffer.extend_from_slice(bytes);
            if self.buffer.len() as u64 >= PIECE {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        self.disk.write_at(self.file, self.at, &self.buffer).map_err(StreamError::Sink)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// Everything before the old bytes.
fn head(
    file: &Path,
    edit: &Edit,
    fingerprint: &Fingerprint,
    identity: &Identity,
    decision: Option<&Decision>,
) -> Vec<u8> {
    let name = name(file);
    let mut head = 1u32.to_le_bytes().to_vec();
    head.extend((name.len() as u32).to_le_bytes());
    head.extend(name);
    for number in [edit.old_len, edit.new_len, edit.inserted] {
        head.extend(number.to_le_bytes());
    }
    head.extend(fingerprint);
    for number in [identity.device, identity.volume, identity.inode] {
        head.extend(number.to_le_bytes());
    }
    if let Some(Decision { manifest, before, after }) = decision {
        head.extend((manifest.len() as u32).to_le_bytes());
        head.extend(manifest.as_bytes());
        head.extend(before);
        head.extend(after);
    }
    head.extend((edit.writes.len() as u64).to_le_bytes());
    for write in &edit.writes {
        head.extend(write.start.to_le_bytes());
        head.extend(write.end.to_le_bytes());
    }
    let len = (head.len() as u64).to_le_bytes();
    let version = if decision.is_some() { TOGETHER } else { VERSION };
    [&MAGIC[..], &version.to_le_bytes(), &len, &head].concat()
}

fn name(file: &Path) -> &[u8] {
    file.file_name().unwrap_or_default().as_encoded_bytes()
}

/// Looks for the journal of a file and reads it; nothing in it is believed unchecked.
pub(crate) fn find(path: &Path, file: &File, disk: &dyn Disk) -> io::Result<Found> {
    let file_path = path;
    let path = path_for(path);
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
        Ok(there) if !there.is_file() => {
            return Ok(Found::Foreign("it is not a regular file".into()));
        }
        Ok(there) if !is_trusted(&there, file_path)? => {
            return Ok(Found::Foreign("it belongs to another user".into()));
        }
        Ok(_) => {}
    }
    let opened = match File::open(&path) {
        // The edit has been finished meanwhile.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        opened => opened?,
    };
    let bytes = PlainFile::new(opened)?;
    let identity = disk.identity(file)?;
    parse(bytes, file_path, |seal| doubt(seal, &identity, disk)).map_err(|fault| match fault {
        Fault::Unreadable(error) => io::Error::other(error),
        fault => io::Error::other(fault.to_string()),
    })
}

/// What a journal says of whose it is.
struct Seal {
    identity: Identity,
    sum: [u8; SUM as usize],
    seal: [u8; SUM as usize],
}

/// Why a journal need not be this user's, written for this very file.
fn doubt(seal: Option<&Seal>, file: &Identity, disk: &dyn Disk) -> Option<&'static str> {
    let Some(Seal { identity, sum, seal }) = seal else { return Some(OLDER) };
    if disk.secret().is_none_or(|secret| secret.seal(sum) != *seal) {
        return Some(NOT_OURS);
    }
    (!identity.is_same(file)).then_some(COPIED)
}

/// True unless a stranger put the journal where both may make files.
#[cfg(unix)]
fn is_trusted(journal: &fs::Metadata, file: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let owner = journal.uid();
    let own = rustix::process::geteuid().as_raw();
    Ok([0, own, fs::metadata(file)?.uid()].contains(&owner))
}

#[cfg(not(unix))]
fn is_trusted(_: &fs::Metadata, _: &Path) -> io::Result<bool> {
    Ok(true)
}

fn parse(
    bytes: PlainFile,
    file: &Path,
    doubt: impl Fn(Option<&Seal>) -> Option<&'static str>,
) -> Result<Found, Fault> {
    let len = bytes.len();
    let start = bytes.bytes(0..START.min(len))?;
    let magic = &start[..start.len().min(MAGIC.len())];
    if magic.iter().all(|byte| *byte == 0) {
        // Some file systems give a file its length before its bytes.
        return Ok(Found::Torn);
    }
    if !MAGIC.starts_with(magic) {
        return Ok(Found::Foreign("it is not a journal of an edit".into()));
    }
    let mut fields = Fields(&start[magic.len()..]);
    let (Some(version), Some(head_len)) = (fields.number32(), fields.number()) else {
        return Ok(Found::Torn);
    };
    if !(UNSEALED..=TOGETHER).contains(&version) {
        let what = format!("it is of version {version}, and {TOGETHER} is the last known here");
        return Ok(Found::Foreign(what));
    }
    let Some(old_at) = START.checked_add(head_len).filter(|end| *end <= len) else {
        return Ok(Found::Torn);
    };
    if head_len > MAX_HEAD {
        return Ok(Found::Foreign(format!("its head has {head_len} bytes, over {MAX_HEAD}")));
    }
    let head = bytes.bytes(START..old_at)?;
    // A torn head may hold anything; so may a stranger's. Only the checksum distinguishes them.
    let listed = Fields(&head).file(file, version);
    let sealed = if version == UNSEALED { 0 } else { SUM };
    let expected = listed.as_ref().and_then(|Listed { edit, .. }| {
        let new_at = old_at.checked_add(total(&edit.overwritten())?)?;
        Some((new_at, new_at.checked_add(total(&edit.writes)?)?))
    });
    let end = match expected {
        Some((_, end)) if end.checked_add(SUM + sealed) == Some(len) => end,
        Some((_, end)) if end.checked_add(SUM + sealed).is_none_or(|end| end > len) => {
            return Ok(Found::Torn);
        }
        _ => len.saturating_sub(SUM + sealed).max(old_at),
    };
    let sum = sum(&bytes, 0..end)?;
    let after = bytes.bytes(end..len)?;
    let Some(seal) = after.strip_prefix(&sum) else { return Ok(Found::Torn) };
    match (listed, expected) {
        (Some(Listed { edit, fingerprint, identity, decision }), Some((new_at, _))) => {
            let seal = seal.first_chunk().zip(identity);
            let seal = seal.map(|(seal, identity)| Seal { identity, sum, seal: *seal });
            let doubt = doubt(seal.as_ref());
            let journal = Journal { edit, fingerprint, bytes, old_at, new_at, doubt, decision };
            Ok(Found::Whole(Box::new(journal)))
        }
        _ => Ok(Found::Foreign("it is the journal of another file".into())),
    }
}

fn total(ranges: &[Range<u64>]) -> Option<u64> {
    ranges.iter().try_fold(0u64, |sum, range| sum.checked_add(range.end - range.start))
}

pub(crate) fn sum(bytes: &PlainFile, range: Range<u64>) -> Result<[u8; 32], Fault> {
    let mut hasher = Sha256::new();
    for piece in pieces(range) {
        hasher.update(bytes.bytes(piece)?);
    }
    Ok(hasher.finalize().into())
}

/// What a head says of the one file it is about.
struct Listed {
    edit: Edit,
    fingerprint: Fingerprint,
    identity: Option<Identity>,
    decision: Option<Decision>,
}

/// The fields of a head that are not read yet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The only file, if it is this one and the numbers agree.
    fn file(mut self, file: &Path, version: u32) -> Option<Listed> {
        let files = self.number32()?;
        let name_len = usize::try_from(self.number32()?).ok()?;
        let named = self.take(name_len)?;
        let (old_len, new_len, inserted) = (self.number()?, self.number()?, self.number()?);
        let fingerprint = *self.take(32)?.first_chunk()?;
        let identity = match version {
            UNSEALED => None,
            _ => Some(Identity {
                device: self.number()?,
                volume: self.number()?,
                inode: self.number()?,
            }),
        };
        let decision = if version == TOGETHER { Some(self.decision()?) } else { None };
        let count = self.number()?;
        let mut writes = Vec::new();
        for _ in 0..count {
            writes.push(self.number()?..self.number()?);
        }
        let edit = Edit { old_len, new_len, inserted, writes };
        let is_whole = files == 1 && named == name(file) && self.0.is_empty();
        (is_whole && edit.is_sound()).then_some(Listed { edit, fingerprint, identity, decision })
    }

    /// What decides, if it is a file beside this one.
    fn decision(&mut self) -> Option<Decision> {
        let len = usize::try_from(self.number32()?).ok()?;
        let manifest = std::str::from_utf8(self.take(len)?).ok()?.to_string();
        let (before, after) = (*self.take(32)?.first_chunk()?, *self.take(32)?.first_chunk()?);
        let is_beside = stays_inside(&manifest) && !manifest.contains('/');
        is_beside.then_some(Decision { manifest, before, after })
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.take(8)?.first_chunk()?))
    }

    fn number32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }
}
