//! Undoing an edit that was interrupted, or finishing it where other files have followed it already.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use statedict_core::Source;

use super::edit::pieces;
use super::interrupted::Interrupted;
use super::journal::{self, Decision, Found};
use super::lock::{Locked, keep_from_editors, resolved};
use super::sentinel::{self, GUARD};
use super::whole_view::{Age, View, WholeView};
use crate::disk::plain_file::{PlainFile, read_at, regular};
use crate::disk::{Disk, System, folder};
use crate::error::{Action, Cause, Error};
use crate::folder::InFolder;
use crate::model_folder::{Located, locate};

/// Which journals are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journals {
    /// Those that this user wrote on this machine, for this very file.
    Own,
    /// Whatever journal fits the file: somebody who knows where it comes from said so.
    Any,
}

/// Restores what an edit in place left when it was interrupted: a file, or the files of a checkpoint
/// whose manifest or folder this is. What was found of each; nothing if nothing was interrupted.
///
/// Of several files that were edited together, all become what they were, or the edit of all is
/// finished: if the manifest has been replaced already, by which the new files are read.
///
/// # Errors
/// What the system says, an edit that is going on, or a journal that does not belong to the file
/// or is not believed.
pub fn recover(path: &Path, journals: Journals) -> Result<Vec<Interrupted>, Error> {
    recover_on(path, &System, journals)
}

/// The same on another disk than the system's.
///
/// # Errors
/// As [`recover`].
pub fn recover_on(
    path: &Path,
    disk: &dyn Disk,
    journals: Journals,
) -> Result<Vec<Interrupted>, Error> {
    let failed = |cause: Cause| Error::new(Action::Recover, path, cause);
    match locate(path).map_err(failed)? {
        Located::File(file) => {
            Ok(recover_by(restore, &file, disk, journals)?.into_iter().collect())
        }
        Located::Folder(found) => recover_folder(&found, disk, journals),
        Located::Several(several) => {
            let mut all = Vec::new();
            for (_, found) in &several.parts {
                all.extend(recover_folder(found, disk, journals)?);
            }
            Ok(all)
        }
    }
}

fn recover_folder(
    found: &InFolder,
    disk: &dyn Disk,
    journals: Journals,
) -> Result<Vec<Interrupted>, Error> {
    let path = found.path();
    let failed = |cause: Cause| Error::new(Action::Recover, &path, cause);
    let locked = Locked::new(&path, disk).map_err(failed)?;
    let mut all = Vec::new();
    for name in found.files_of_locked(&locked.file, disk)? {
        let file = found.folder.join(name);
        if is_interrupted(&file) {
            all.extend(recover_by(restore_beside, &file, disk, journals)?);
        }
    }
    Ok(all)
}

/// A way in which a locked file is restored.
type Restoring = fn(&Locked, &dyn Disk, Journals) -> Result<Option<Interrupted>, Cause>;

fn recover_by(
    way: Restoring,
    path: &Path,
    disk: &dyn Disk,
    journals: Journals,
) -> Result<Option<Interrupted>, Error> {
    let failed = |cause: Cause| Error::new(Action::Recover, path, cause);
    let locked = Locked::new(path, disk).map_err(failed)?;
    way(&locked, disk, journals).map_err(failed)
}

/// Restores a file that nobody has open, if there is a journal; otherwise does not touch it. The caller
/// has locked the manifest that leads to it.
pub(crate) fn restore_if_needed(
    path: &Path,
    disk: &dyn Disk,
) -> Result<Option<Interrupted>, Error> {
    // Whoever opens a file that is not there finds out what is wrong.
    if !is_interrupted(path) {
        return Ok(None);
    }
    recover_by(restore_beside, path, disk, Journals::Own)
}

/// True if there is a journal beside a file.
fn is_interrupted(path: &Path) -> bool {
    resolved(path).is_ok_and(|at| journal::is_there(&at))
}

/// Restores the file from its journal, if there is one.
pub(crate) fn restore(
    locked: &Locked,
    disk: &dyn Disk,
    journals: Journals,
) -> Result<Option<Interrupted>, Cause> {
    // Who edits several files together has locked their manifest, and is not to be disturbed.
    let manifest = match find(&locked.path, &locked.file, disk)? {
        Pending::Whole(view) | Pending::Untrusted(view, _) => manifest_of(&view, &locked.path),
        Pending::Nothing | Pending::Torn | Pending::Foreign(_) => None,
    };
    let Some(manifest) = manifest else { return restore_beside(locked, disk, journals) };
    let manifest = regular(&manifest)?;
    keep_from_editors(&manifest)?;
    let restored = restore_beside(locked, disk, journals);
    // It is kept from them as long as it is open.
    drop(manifest);
    restored
}

/// The same if the caller has locked the manifest, or has edited the file alone.
pub(crate) fn restore_beside(
    locked: &Locked,
    disk: &dyn Disk,
    journals: Journals,
) -> Result<Option<Interrupted>, Cause> {
    let folder = folder(&locked.path);
    if journal::is_there(&locked.path) {
        // The manifest that decides is to outlast a loss of power first.
        disk.sync_folder(folder)?;
    }
    let found = make_whole(locked, disk, journals)?;
    if found.is_some() {
        disk.sync_folder(folder)
            .map_err(|error| cannot_remove(&journal::path_for(&locked.path), error))?;
    }
    Ok(found)
}

/// The same, for callers who wait before and after it until the names in the folder are on the disk.
pub(super) fn make_whole(
    locked: &Locked,
    disk: &dyn Disk,
    journals: Journals,
) -> Result<Option<Interrupted>, Cause> {
    let file = locked.path.clone();
    let journal = journal::path_for(&file);
    let found = match find(&file, &locked.file, disk)? {
        Pending::Nothing => return Ok(None),
        Pending::Foreign(why) => return Err(Cause::Journal { journal, why }),
        Pending::Torn => Interrupted::Discarded { file },
        Pending::Untrusted(_, why) if journals == Journals::Own => {
            return Err(Cause::Untrusted { journal, why: why.into() });
        }
        Pending::Whole(_) | Pending::Untrusted(..) if !locked.is_writable => {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied).into());
        }
        Pending::Whole(view) | Pending::Untrusted(view, _) => match view.age() {
            Age::Old => {
                put_back(&view, &locked.file, disk)?;
                Interrupted::Restored { file }
            }
            Age::New => {
                finish(&view, &locked.file, disk)?;
                Interrupted::Finished { file }
            }
        },
    };
    disk.remove(&journal).map_err(|error| cannot_remove(&journal, error))?;
    Ok(Some(found))
}

/// Where the manifest is that decides between the old file and the new one, if one does.
fn manifest_of(view: &WholeView, path: &Path) -> Option<PathBuf> {
    Some(path.with_file_name(&view.decision()?.manifest))
}

fn cannot_remove(journal: &Path, error: io::Error) -> Cause {
    let doing = Some(format!("the journal '{}' cannot be removed", journal.display()));
    Cause::Io { doing, error }
}

/// What there is to undo or to finish.
pub(crate) enum Pending {
    Nothing,
    Torn,
    Whole(Box<WholeView>),
    /// The file as it would have been, and why that need not be so.
    Untrusted(Box<WholeView>, &'static str),
    Foreign(String),
}

/// Looks for the journal of an opened file, and whether it belongs to it.
pub(crate) fn find(path: &Path, file: &File, disk: &dyn Disk) -> Result<Pending, Cause> {
    let journal = match journal::find(path, file, disk)? {
        Found::Nothing => return Ok(Pending::Nothing),
        Found::Torn if has_begun(file)? => {
            return Ok(Pending::Foreign("it is damaged, and the file was being edited".into()));
        }
        Found::Torn => return Ok(Pending::Torn),
        Found::Foreign(why) => return Ok(Pending::Foreign(why)),
        Found::Whole(journal) => journal,
    };
    let old = match WholeView::new(*journal, file, file.metadata()?.len())? {
        Ok(old) => old,
        Err(why) => return Ok(Pending::Foreign(why)),
    };
    let view = match age(&old, path)? {
        Ok(Age::Old) => Ok(old),
        Ok(Age::New) => old.finished(file)?,
        Err(why) => Err(why),
    };
    Ok(match view {
        Err(why) => Pending::Foreign(why),
        Ok(view) => match view.doubt() {
            None => Pending::Whole(Box::new(view)),
            Some(why) => Pending::Untrusted(Box::new(view), why),
        },
    })
}

/// Which of the two files it is; otherwise why that cannot be said.
fn age(old: &WholeView, path: &Path) -> Result<Result<Age, String>, Cause> {
    let Some(decision) = old.decision() else { return Ok(Ok(Age::Old)) };
    let Decision { manifest, before, after } = decision;
    let sum = match digest(&path.with_file_name(manifest)) {
        Err(Cause::Io { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Err(format!(
                "it is of an edit that '{manifest}' decides, which is not there"
            )));
        }
        sum => sum?,
    };
    Ok(match sum {
        sum if sum == *before => Ok(Age::Old),
        sum if sum == *after => Ok(Age::New),
        _ => Err(format!("it is of an edit that '{manifest}' decides, which was changed since")),
    })
}

/// The SHA-256 of a file.
pub(crate) fn digest(path: &Path) -> Result<[u8; 32], Cause> {
    let source = PlainFile::new(regular(path)?)?;
    Ok(journal::sum(&source, 0..source.len())?)
}

/// Writes the first bytes of a file of which all else is there.
fn finish(new: &WholeView, file: &File, disk: &dyn Disk) -> Result<(), Cause> {
    let view = View { whole: new, file };
    for (range, _) in new.saved() {
        disk.write_at(file, range.start, &view.bytes(range.clone())?)?;
    }
    Ok(disk.sync(file)?)
}

/// True if the guard is in front of the file.
fn has_begun(file: &File) -> Result<bool, Cause> {
    let mut front = [0; GUARD.len()];
    let is_there = file.metadata()?.len() >= sentinel::PLACE.end;
    if is_there {
        read_at(file, sentinel::PLACE.start, &mut front)?;
    }
    Ok(front == GUARD)
}

/// Makes the file what it was.
///
/// May be interrupted at any call itself: what has been put back are old bytes, as before. The
/// guard is in front of it meanwhile.
fn put_back(past: &WholeView, file: &File, disk: &dyn Disk) -> Result<(), Cause> {
    let len = past.len();
    match past.moved() {
        0 => {}
        // Nothing has moved yet: the file has only been made longer.
        _ if past.from() == len => disk.set_len(file, len)?,
        moved => {
            // First to the length that shows that the bytes have moved and nothing else has.
            if file.metadata()?.len() != len + moved {
                disk.set_len(file, len + moved)?;
            }
            disk.collapse(file, past.from(), moved).map_err(|error| {
                let doing = "the blocks put in front of the file cannot be taken away";
                Cause::Io { doing: Some(doing.into()), error }
            })?;
        }
    }
    let is_guarded = sentinel::is_covered(past.saved().iter().map(|(range, _)| range));
    if is_guarded {
        disk.write_at(file, sentinel::PLACE.start, &GUARD)?;
        disk.sync(file)?;
    }
    let old = View { whole: past, file };
    let put = |range: Range<u64>| -> Result<(), Cause> {
        pieces(range).try_for_each(|piece| {
            Ok(disk.write_at(file, piece.start, &old.bytes(piece.clone())?)?)
        })
    };
    let parted: Vec<_> = past.saved().iter().map(|(range, _)| sentinel::parted(range)).collect();
    parted.iter().try_for_each(|(_, rest)| put(rest.clone()))?;
    if file.metadata()?.len() != len {
        disk.set_len(file, len)?;
    }
    if is_guarded {
        disk.sync(file)?;
    }
    parted.iter().try_for_each(|(front, _)| put(front.clone()))?;
    Ok(disk.sync(file)?)
}
