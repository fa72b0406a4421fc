//! The records of an archive that PyTorch reads beside the pickle and the storages.

use std::ops::RangeInclusive;

use statedict_core::{Fault, Finding, Source};
use statedict_zip::{Archive, Entry};

use crate::scan::is_python_integer;

/// The versions of its archives that PyTorch 2.15 reads.
const VERSIONS: RangeInclusive<u64> = 1..=10;

/// The longest record that says one thing, in bytes.
const MAX_NOTE: u64 = 1 << 10;

/// How much of such a record is shown, in bytes.
const SHOWN: usize = 20;

/// The record whose number PyTorch aligns storages by.
const ALIGNMENT: &str = ".storage_alignment";

/// The record that PyTorch reads last.
const SERIALIZATION_ID: &str = ".data/serialization_id";

const VERSIONLESS: &str = "PyTorch reads no archive without it";
const UNREAD: &str = "torch.load raises an error on it";

/// What makes PyTorch fail on an archive with its pickle although the tensors could be read;
/// nothing of other files.
///
/// Source: `PyTorchStreamReader` in `caffe2/serialize/inline_container.cc`, and `_load` in
/// `torch/serialization.py`.
pub(crate) fn examine(source: &dyn Source) -> Result<Vec<Finding>, Fault> {
    let archive = match Archive::open(source) {
        Ok(Some(archive)) => archive,
        Ok(None) => return Ok(Vec::new()),
        Err(fault @ Fault::Unreadable(_)) => return Err(fault),
        // Whoever opens it says what is wrong.
        Err(_) => return Ok(Vec::new()),
    };
    let Some(root) = archive.root() else { return Ok(Vec::new()) };
    let records = Records { archive: &archive, source, root };
    if records.find("data.pkl").is_none() {
        return Ok(Vec::new());
    }
    let unread = [records.misplaced(), records.alignment()?, records.serialization_id()?];
    let unread = unread.into_iter().flatten().map(|what| Finding::malformed("", what, UNREAD));
    let version = records.version()?.map(|what| Finding::malformed("", what, VERSIONLESS));
    Ok(version.into_iter().chain(unread).collect())
}

struct Records<'a> {
    archive: &'a Archive,
    source: &'a dyn Source,
    /// The folder that PyTorch looks for records in.
    root: &'a str,
}

impl Records<'_> {
    /// The record that PyTorch finds by a name.
    fn find(&self, name: &str) -> Option<&Entry> {
        let place = self.archive.position_ignoring_case(&format!("{}/{name}", self.root))?;
        self.archive.entries().get(place)
    }

    /// What a record says, or why it cannot be read.
    fn text(&self, entry: &Entry) -> Result<Result<Vec<u8>, String>, Fault> {
        match entry.read(self.source, MAX_NOTE) {
            Ok(text) => Ok(Ok(text)),
            Err(fault @ Fault::Unreadable(_)) => Err(fault),
            Err(fault) => Ok(Err(fault.to_string())),
        }
    }

    fn version(&self) -> Result<Option<String>, Fault> {
        let Some(entry) = self.find(".data/version").or_else(|| self.find("version")) else {
            return Ok(Some(format!("there is no record '{}/version'", self.root)));
        };
        let text = match self.text(entry)? {
            Ok(text) => text,
            Err(what) => return Ok(Some(what)),
        };
        let number = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
        let is_known = number.is_some_and(|number| VERSIONS.contains(&number));
        let (first, last) = (VERSIONS.start(), VERSIONS.end());
        Ok((!is_known).then(|| {
            format!("version '{}' of the archive, expected {first} to {last}", shown(&text))
        }))
    }

    /// The first record that is not below the archive's folder, letter by letter, or whose name is
    /// no text: listing all records is the first thing that PyTorch does.
    fn misplaced(&self) -> Option<String> {
        let folder = format!("{}/", self.root);
        let mut entries = self.archive.entries().iter();
        let entry = entries.find(|entry| {
            let name = entry.raw_name();
            !name.starts_with(folder.as_bytes()) || std::str::from_utf8(name).is_err()
        })?;
        Some(match std::str::from_utf8(entry.raw_name()) {
            Ok(name) => format!("record '{name}' is not below '{folder}', the first one's folder"),
            Err(_) => format!("the name of record '{}' is not UTF-8", entry.name()),
        })
    }

    fn alignment(&self) -> Result<Option<String>, Fault> {
        let Some(entry) = self.find(ALIGNMENT) else { return Ok(None) };
        Ok(match self.text(entry)? {
            Ok(text) if is_python_integer(&text) => None,
            Ok(text) => {
                Some(format!("record {ALIGNMENT} is '{}', expected a whole number", shown(&text)))
            }
            Err(what) => Some(what),
        })
    }

    fn serialization_id(&self) -> Result<Option<String>, Fault> {
        let Some(entry) = self.find(SERIALIZATION_ID) else { return Ok(None) };
        Ok(match self.text(entry)? {
            Ok(text) => std::str::from_utf8(&text).is_err().then(|| {
                format!("record {SERIALIZATION_ID} is '{}', which is not UTF-8", shown(&text))
            }),
            Err(what) => Some(what),
        })
    }
}

/// The front of a record.
fn shown(text: &[u8]) -> String {
    text.get(..text.len().min(SHOWN)).unwrap_or_default().escape_ascii().to_string()
}
