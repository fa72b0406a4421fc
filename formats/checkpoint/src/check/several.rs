//! Checkpoints of many files: each file by itself, and all of them together.

use std::collections::HashMap;
use std::path::Path;

use statedict_core::{Fault, FilePart, Finding, Opening};

use super::{Manner, check_file_with};
use crate::disk::System;
use crate::error::{Error, Kind};
use crate::folder::{InFolder, LocalFolder};
use crate::model_folder::{Sets, last_of};

/// What can be done where nothing leads to the files of a save.
const UNFINISHED: &str = "nothing else says what those files hold: copy the folder again with all \
    its files, or take a save that was finished";

/// Why a checkpoint that is not put together here is not called malformed for it.
const NOT_JOINED: &str = "whether the files go together is not known; each was checked by itself";

/// Why a file by itself is not whole.
const ALONE: &str = "it is of one rank of several, and the files of the others are not there";

/// Why it is worth knowing that something is in no file.
const INFERRED: &str = "compare the shapes with the model's before you rely on them";

/// All checkpoints of many files that are in one folder.
pub(super) fn check_sets(sets: &Sets, manner: &Manner<'_>) -> Result<Vec<Finding>, Error> {
    let unfinished = sets.unfinished.iter();
    let unfinished = unfinished.map(|fault| Finding::malformed("", fault.to_string(), UNFINISHED));
    Ok(unfinished.chain(check_each(sets.titled(), manner)?).collect())
}

/// Several checkpoints, whose findings begin with what each is called.
pub(super) fn check_each<'f>(
    parts: impl Iterator<Item = (&'f str, &'f InFolder)>,
    manner: &Manner<'_>,
) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    for (title, found) in parts {
        let own = check_several(found, manner)?.into_iter();
        match title {
            "" => findings.extend(own),
            title => findings.extend(own.map(|finding| finding.within(title))),
        }
    }
    Ok(findings)
}

/// An index, or the like, with the files that it leads to: each by itself, and all of them against
/// it.
pub(super) fn check_several(found: &InFolder, manner: &Manner<'_>) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    let store = LocalFolder::new(&found.folder, &System).observed_by(manner.observer.clone());
    let apart = match found.format.open(&store, &found.manifest, &Opening::default()) {
        Ok(opened) => {
            let inferred = opened.inferred().map(|what| Finding::note("", what, INFERRED));
            findings.extend(inferred);
            None
        }
        Err(fault) => Some(not_together(found, fault)?),
    };
    let examined = found.format.examine(&store, &found.manifest);
    findings.extend(examined.map_err(|fault| found.error(fault))?);
    let parts = found.format.parts(&store, &found.manifest).unwrap_or_default();
    let mut of_files = HashMap::<&str, Vec<&FilePart>>::new();
    for part in &parts {
        of_files.entry(&part.file).or_default().push(part);
    }
    let files = found.files(&System).unwrap_or_default();
    // Manifests are examined.
    for name in files.into_iter().filter(|name| !found.format.is_manifest(name)) {
        let parts = of_files.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
        match check_file_with(&found.folder.join(&name), parts, manner) {
            Ok(found) => findings.extend(found.into_iter().map(|finding| finding.within(&name))),
            Err(error) if error.kind() == Kind::Stopped => return Err(error),
            Err(error) if apart.is_none() => findings.push(unread(&name, &error)),
            // A file that is missing is named above.
            Err(_) => {}
        }
    }
    if let Some(apart) = apart {
        findings.insert(0, told_once(apart, &findings, found));
    }
    Ok(findings)
}

/// What keeps the files from being put together, without what the findings say of the file that is to
/// blame.
fn told_once(apart: Finding, findings: &[Finding], found: &InFolder) -> Finding {
    let file = apart.place.as_str();
    let is_of_file = |other: &Finding| other.verdict == apart.verdict && other.place == file;
    if file.is_empty() || !findings.iter().any(is_of_file) {
        return apart;
    }
    let what = format!("{}: it does not open, since this file is damaged", found.format.kind());
    Finding { what, ..apart }
}

/// What is wrong with a file by itself that is one of several by what is in it, none of which is
/// there.
pub(super) fn check_last(path: &Path, manner: &Manner<'_>) -> Result<Option<Finding>, Error> {
    let Some(found) = last_of(path) else { return Ok(None) };
    let store = LocalFolder::new(&found.folder, &System).observed_by(manner.observer.clone());
    match found.format.open(&store, &found.manifest, &Opening::default()) {
        Err(fault @ (Fault::Incomplete { .. } | Fault::Malformed { .. })) => {
            let what = format!("{}: {fault}", found.format.kind());
            Ok(Some(Finding::malformed("", what, ALONE)))
        }
        Err(fault @ Fault::Unreadable(_)) => Err(found.error(fault)),
        // What is wrong with the file itself is found where it is checked.
        _ => Ok(None),
    }
}

/// A file that cannot be read, though the others can do without it.
fn unread(name: &str, error: &Error) -> Finding {
    Finding::malformed(name, error.to_string(), "nobody can say what it holds")
}

/// What keeps the files from being put together, and what can be done about it.
///
/// # Errors
/// Only what keeps the manifest from being read, and that it was stopped.
fn not_together(found: &InFolder, fault: Fault) -> Result<Finding, Error> {
    let kind = found.format.kind();
    let disagree = format!("{} and files do not go together", found.format.manifest());
    let (place, fault) = match fault {
        Fault::InFile { name, fault } => (name, *fault),
        fault => (String::new(), fault),
    };
    Ok(match fault {
        Fault::Incomplete { what, whole } => {
            Finding::malformed(place, format!("{kind}: {what}"), what_is_left(whole))
        }
        Fault::Unsupported(what) => Finding::note(place, format!("{kind}: {what}"), NOT_JOINED),
        Fault::Unreadable(_) => {
            let error = found.error(fault);
            // What only stands for the others is one of them.
            let is_manifest = found.format.is_manifest(&found.manifest);
            let is_own = error.kind() == Kind::Io && error.path() == found.path();
            if (is_own && is_manifest) || error.kind() == Kind::Stopped {
                return Err(error);
            }
            Finding::malformed("", format!("{kind}: {error}"), disagree)
        }
        fault => Finding::malformed(place, format!("{kind}: {fault}"), disagree),
    })
}

/// What can be done where so many tensors are whole and others are not.
fn what_is_left(whole: usize) -> String {
    let some = match whole {
        0 => return "no tensor is whole, and only a sound copy of the files has them".to_string(),
        1 => "the tensor that is whole".to_string(),
        several => format!("the {several} tensors that are whole"),
    };
    format!("only a sound copy of the files has the rest; --partial of ls and convert takes {some}")
}
