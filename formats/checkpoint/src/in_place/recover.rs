//! Undoing an edit that was interrupted.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use statedict_core::Source;

use super::edit::pieces;
use super::journal::{self, Found};
use super::lock::{Locked, resolved};
use super::original_view::{OriginalView, View};
use super::sentinel::{self, GUARD};
use crate::disk::plain_file::read_at;
use crate::disk::{Disk, System, folder};
use crate::error::{Action, Cause, Error};

/// What was found of an edit that was interrupted; its text is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// The file is read as it was before, through the journal of the edit.
    Pending {
        /// The file.
        file: PathBuf,
    },
    /// The file was restored as it was before.
    Restored {
        /// The file.
        file: PathBuf,
    },
    /// The edit did not begin; its unfinished journal was removed.
    Discarded {
        /// The file.
        file: PathBuf,
    },
    /// There is a journal that would change what is read, and need not be this user's.
    Untrusted {
        /// The journal.
        journal: PathBuf,
        /// Why.
        why: String,
    },
    /// There is a journal that is not believed; the file is read as it is.
    Ignored {
        /// The journal.
        journal: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Interrupted::Pending { file } => {
                let file = file.display();
                write!(f, "found an interrupted edit of '{file}'; reading the original")
            }
            Interrupted::Restored { file } => {
                let file = file.display();
                write!(f, "found an interrupted edit of '{file}'; restored the original")
            }
            Interrupted::Discarded { file } => {
                let file = file.display();
                write!(
                    f,
                    "found an edit of '{file}' that was interrupted before it began; the file is whole"
                )
            }
            Interrupted::Untrusted { journal, why } => {
                write!(f, "the journal '{}' is not trusted: {why}", journal.display())
            }
            Interrupted::Ignored { journal, why } => {
                write!(f, "the journal '{}' is ignored: {why}", journal.display())
            }
        }
    }
}

/// Which journals are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journals {
    /// Those that this user wrote on this machine, for this very file.
    Own,
    /// Whatever journal fits the file: somebody who knows where it comes from said so.
    Any,
}

/// Restores a file whose editing in place was interrupted; `None` if it was not.
///
/// # Errors
/// What the system says, an edit that is going on, or a journal that does not belong to the file
/// or is not believed.
pub fn recover(path: &Path, journals: Journals) -> Result<Option<Interrupted>, Error> {
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
) -> Result<Option<Interrupted>, Error> {
    let failed = |cause: Cause| Error::new(Action::Recover, path, cause);
    let locked = Locked::new(path, disk).map_err(failed)?;
    restore(&locked, disk, journals).map_err(failed)
}

/// Restores a file that nobody has open, if there is a journal; otherwise does not touch it.
pub(crate) fn restore_if_needed(
    path: &Path,
    disk: &dyn Disk,
) -> Result<Option<Interrupted>, Error> {
    match resolved(path) {
        Ok(at) if journal::is_there(&at) => recover_on(path, disk, Journals::Own),
        // Whoever opens it finds out what is wrong.
        _ => Ok(None),
    }
}

/// Restores the file from its journal, if there is one.
pub(crate) fn restore(
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
        Pending::OriginalView(_) | Pending::Untrusted(..) if !locked.is_writable => {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied).into());
        }
        Pending::OriginalView(past) | Pending::Untrusted(past, _) => {
            put_back(&past, &locked.file, disk)?;
            Interrupted::Restored { file }
        }
    };
    remove(&journal, disk)?;
    Ok(Some(found))
}

/// Takes a journal away for good.
pub(crate) fn remove(journal: &Path, disk: &dyn Disk) -> Result<(), Cause> {
    let doing = |error| {
        let doing = Some(format!("the journal '{}' cannot be removed", journal.display()));
        Cause::Io { doing, error }
    };
    disk.remove(journal).map_err(doing)?;
    disk.sync_folder(folder(journal)).map_err(doing)
}

/// What there is to undo.
pub(crate) enum Pending {
    Nothing,
    Torn,
    OriginalView(Box<OriginalView>),
    /// The file as it would have been, and why that need not be so.
    Untrusted(Box<OriginalView>, &'static str),
    Foreign(String),
}

/// Looks for the journal of an opened file, and whether it belongs to it.
pub(crate) fn find(path: &Path, file: &File, disk: &dyn Disk) -> Result<Pending, Cause> {
    Ok(match journal::find(path, file, disk)? {
        Found::Nothing => Pending::Nothing,
        Found::Torn if has_begun(file)? => {
            Pending::Foreign("it is damaged, and the file was being edited".into())
        }
        Found::Torn => Pending::Torn,
        Found::Foreign(why) => Pending::Foreign(why),
        Found::Whole(journal) => match OriginalView::new(*journal, file, file.metadata()?.len())? {
            Ok(past) => match past.doubt() {
                None => Pending::OriginalView(Box::new(past)),
                Some(why) => Pending::Untrusted(Box::new(past), why),
            },
            Err(why) => Pending::Foreign(why),
        },
    })
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
fn put_back(past: &OriginalView, file: &File, disk: &dyn Disk) -> Result<(), Cause> {
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
    let old = View { past, file };
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
