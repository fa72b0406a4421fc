//! Is a file whole, and what would it run? Nothing is taken on trust and nothing is run.
//!
//! | step | where |
//! |---|---|
//! | the reader of its format opens it: lengths, geometry, shards against their index | the formats |
//! | each format examines its own files: what readers pass over, what loaders fail on | the formats |
//! | files of one checkpoint are held against each other: what is missing, what disagrees | `several` |
//! | archives are held to more than reading takes: headers, places, names, checksums | `archive` |
//! | whatever the bytes are, by their looks and not their names, is looked into | `content` |
//! | pickles are followed and what they bring in is judged | `statedict_pth::scan` |
//!
//! The worst finding is the verdict: dangerous before malformed before unknown before safe.

mod allow;
mod archive;
mod checksums;
mod code;
mod content;
mod folder;
mod limits;
mod pieces;
mod several;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_core::{Fault, FilePart, Finding, Findings, Source, Verdict};

use self::content::{Content, Look};
pub use self::limits::Checksums;
use self::limits::{Budget, Metered};
use self::pieces::{check_parts, check_pieces, pieces};
use self::several::check_several;
use crate::error::{Action, Cause, Error};
use crate::identify::identify;
use crate::in_place::Interrupted;
use crate::model_folder::{Located, Sets, locate};
use crate::observer::Observer;
use crate::registry::FORMATS;
use crate::source::FileSource;

pub use allow::AllowList;
pub use folder::{Checkable, checkable};

/// What was found of a file.
#[derive(Debug)]
pub struct Checked {
    /// The file.
    pub path: PathBuf,
    /// What speaks against it, the worst first; nothing if it is safe.
    pub findings: Vec<Finding>,
    /// What is worth knowing and no fault.
    pub notes: Vec<Finding>,
}

impl Checked {
    fn new(path: &Path, findings: Vec<Finding>) -> Checked {
        let mut all = Findings::default();
        all.extend(findings);
        let (notes, findings) =
            all.into_sorted().into_iter().partition(|finding| finding.verdict == Verdict::Safe);
        Checked { path: path.to_path_buf(), findings, notes }
    }

    /// What the file is.
    pub fn verdict(&self) -> Verdict {
        self.findings.iter().map(|finding| finding.verdict).max().unwrap_or_default()
    }

    /// How many findings have a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }

    /// Takes the classes that a list allows for safe, and notes them.
    pub fn allow(&mut self, list: &AllowList) {
        let (allowed, others) = std::mem::take(&mut self.findings)
            .into_iter()
            .partition(|finding| list.allows(finding));
        self.findings = others;
        self.notes.extend(allow::as_notes(allowed));
    }
}

/// Checks a file of any kind, or the index of a sharded checkpoint with the files it names.
///
/// Reads all of it, in bounded memory.
///
/// # Errors
/// Only what keeps the file from being read.
pub fn check(path: &Path) -> Result<Checked, Error> {
    let observer = Arc::new(|_| ControlFlow::Continue(())) as Arc<dyn Observer>;
    check_observed(path, &observer, Checksums::Verified)
}

/// The same with an observer, which can stop it, and with checksums or without.
///
/// # Errors
/// Only what keeps the file from being read, and if the observer stops it.
pub fn check_observed(
    path: &Path,
    observer: &Arc<dyn Observer>,
    checksums: Checksums,
) -> Result<Checked, Error> {
    let manner = &Manner { observer, checksums };
    let failed = |cause: Cause| Error::new(Action::Read, path, cause);
    let sets = if path.is_dir() { Sets::of(path).map_err(failed)? } else { Sets::default() };
    if !sets.is_empty() {
        return Ok(Checked::new(path, several::check_sets(&sets, manner)?));
    }
    let findings = match locate(path).map_err(failed)? {
        Located::Folder(found) => check_several(&found, manner)?,
        Located::Several(several) => {
            let parts = several.parts.iter().map(|(title, found)| (title.as_str(), found));
            several::check_each(parts, manner)?
        }
        Located::File(file) => {
            let mut findings = check_file(&file, manner)?;
            findings.extend(several::check_last(&file, manner)?);
            findings
        }
    };
    Ok(Checked::new(path, findings))
}

/// Why bytes are malformed that are nothing known.
const EXPECTED: &str = "a checkpoint was expected";

/// Who follows a check, and whether it reads the elements.
struct Manner<'a> {
    observer: &'a Arc<dyn Observer>,
    checksums: Checksums,
}

/// Checks bytes that are in no file, or in part of one; the path is what they are named.
///
/// What is next to a file is not looked at.
///
/// # Errors
/// Only what keeps the bytes from being read.
pub fn check_source_named(source: &dyn Source, path: &Path) -> Result<Checked, Fault> {
    check_source(source, path, &Budget::for_file(source.len()))
        .map(|findings| Checked::new(path, findings))
}

fn check_file(path: &Path, manner: &Manner<'_>) -> Result<Vec<Finding>, Error> {
    check_file_with(path, &[], manner)
}

/// Checks a file some parts of which are known.
fn check_file_with(
    path: &Path,
    parts: &[&FilePart],
    manner: &Manner<'_>,
) -> Result<Vec<Finding>, Error> {
    let failed = |cause: Cause| Error::new(Action::Read, path, cause);
    let source = match FileSource::as_it_is(path) {
        Ok(source) => source.observed_by(manner.observer.clone()),
        Err(Cause::Fault(fault @ Fault::Malformed { .. })) => return Ok(vec![broken(&fault)]),
        Err(cause) => return Err(failed(cause)),
    };
    let is_distributed = path.extension().is_some_and(|extension| extension == "distcp");
    let budget = Budget::for_file(source.len()).with(manner.checksums);
    let pieces = is_distributed.then(|| pieces(&source)).transpose();
    let pieces = pieces.map_err(|fault| failed(fault.into()))?.flatten();
    let findings = match &pieces {
        Some(pieces) => check_pieces(&source, pieces, &budget),
        None if parts.is_empty() => check_source(&source, path, &budget),
        None => Ok(Vec::new()),
    };
    let mut findings = findings.map_err(|fault| failed(fault.into()))?;
    let others = check_parts(&source, parts, &pieces.unwrap_or_default(), &budget);
    findings.extend(others.map_err(|fault| failed(fault.into()))?);
    findings.extend(source.interrupted().iter().map(half_edited));
    Ok(findings)
}

/// What an edit that was interrupted makes of a file that is read as it is.
fn half_edited(interrupted: &Interrupted) -> Finding {
    match interrupted {
        Interrupted::Ignored { .. } => {
            Finding::note("", interrupted.to_string(), "the file is read as it is")
        }
        Interrupted::Untrusted { .. } => {
            let why = "other programs read the file as it is, whatever the journal says it was";
            Finding::malformed("", interrupted.to_string(), why)
        }
        _ => {
            let what = "an edit of it was interrupted, by the journal beside it";
            let why = "other programs read it as it is, which is neither old nor new";
            Finding::malformed("", what, why)
        }
    }
}

fn check_source(source: &dyn Source, path: &Path, budget: &Budget) -> Result<Vec<Finding>, Fault> {
    let mut look = Look::new(budget);
    look.content(&Content::file(&Metered::new(source, budget)))?;
    let (mut findings, faults) = (look.findings, look.faults.into_sorted());
    match opened(source)? {
        Opened::Sound => {
            findings.extend(faults);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            findings.extend(examined(source, &name)?);
        }
        Opened::Foreign if look.is_plain => findings.extend(faults),
        Opened::Foreign => {
            findings.add(Finding::malformed("", identify(source, path)?, EXPECTED));
        }
        Opened::Broken(finding) => findings.add(finding),
    }
    Ok(findings.into_sorted())
}

/// What the formats find wrong with a file that opens.
fn examined(source: &dyn Source, name: &str) -> Result<Vec<Finding>, Fault> {
    let mut findings = Vec::new();
    for format in FORMATS {
        findings.extend(format.examine(source, name)?);
    }
    Ok(findings)
}

/// What the formats make of a file.
enum Opened {
    Sound,
    Broken(Finding),
    Foreign,
}

fn opened(source: &dyn Source) -> Result<Opened, Fault> {
    for &format in FORMATS {
        match format.open(source) {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(Opened::Sound),
            Err(fault @ Fault::Unreadable(_)) => return Err(fault),
            Err(fault) => return Ok(Opened::Broken(broken(&fault))),
        }
    }
    Ok(Opened::Foreign)
}

fn broken(fault: &Fault) -> Finding {
    Finding::malformed("", fault.to_string(), "the file cannot be what it says it is")
}
