//! Several files of one checkpoint, edited so that all of them are old or all of them new.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_core::Layout;

use super::journal::Decision;
use super::lock::{Locked, resolved};
use super::recover::make_whole;
use super::{Editor, IN_PART, Journals, Replaced, WriteMethod};
use crate::disk::plain_file::PlainFile;
use crate::disk::{Disk, folder};
use crate::error::{Action, Cause, Error};
use crate::open_files::is_unchanged;

/// What is said where the new files are there, and what belongs to the edit could not be taken away.
const DECIDED: &str = "it is renamed, and what the edit left beside its files is taken away by the next \
                       command that writes to it";

/// A file that is edited with others.
pub(crate) struct Member {
    /// Where it is, links followed.
    path: PathBuf,
    /// What the system said of it when it was read.
    first: Metadata,
    /// What it becomes.
    layout: Layout,
}

/// The files of a checkpoint that are edited, whose manifest the caller has locked.
pub(crate) struct Together<'a> {
    pub(crate) members: Vec<Member>,
    pub(crate) decision: Decision,
    pub(crate) disk: &'a Arc<dyn Disk>,
}

impl Member {
    /// A file to be edited; `None` unless it is beside the manifest that decides, and nowhere else.
    pub(crate) fn new(
        path: &Path,
        first: &Metadata,
        manifest: &Path,
        layout: Layout,
    ) -> Result<Option<Member>, Cause> {
        let path = resolved(path)?;
        let is_beside = folder(&path) == folder(manifest);
        let member = Member { path, first: first.clone(), layout };
        Ok((is_beside && has_one_name(first)).then_some(member))
    }
}

/// True unless the same file has other names, by which it may be part of another checkpoint.
#[cfg(unix)]
fn has_one_name(file: &Metadata) -> bool {
    std::os::unix::fs::MetadataExt::nlink(file) == 1
}

#[cfg(not(unix))]
fn has_one_name(_: &Metadata) -> bool {
    true
}

impl Together<'_> {
    /// Edits all files of the checkpoint at a path, and replaces their manifest by `decide` in between;
    /// `None` if some file cannot be edited, and all are as they were.
    ///
    /// # Errors
    /// One before the manifest is replaced leaves the old files, one after it the new ones.
    pub(crate) fn edit(
        &self,
        path: &Path,
        decide: impl FnOnce() -> Result<(), Error>,
    ) -> Result<Option<Replaced>, Error> {
        let (mut begun, mut written) = (Vec::new(), 0);
        for member in &self.members {
            begun.push(member);
            match self.begin(member) {
                Ok(Some(bytes)) => written += bytes,
                Ok(None) => return self.settle(&begun).map(|()| None),
                Err(cause) => {
                    let error = Error::new(Action::Write, &member.path, cause);
                    return Err(self.given_up(&begun, error));
                }
            }
        }
        decide().map_err(|error| self.given_up(&begun, error))?;
        self.settle(&begun).map_err(|error| {
            let doing = Some(DECIDED.into());
            let error = io::Error::other(error.to_string());
            Error::new(Action::Write, path, Cause::Io { doing, error })
        })?;
        let files = self.members.len();
        Ok(Some(Replaced { way: WriteMethod::InPlace, written, files }))
    }

    /// Writes all of a file but its first bytes, and gives how many bytes that is; `None` if it cannot
    /// be edited.
    fn begin(&self, member: &Member) -> Result<Option<u64>, Cause> {
        let disk = self.disk;
        let locked = &Locked::new(&member.path, disk.as_ref())?;
        if !is_unchanged(&member.first, &locked.file.metadata()?) {
            let what = "it was changed or replaced while the checkpoint was being read";
            return Err(io::Error::other(what).into());
        }
        let source = &PlainFile::new(locked.file.try_clone()?)?;
        let editor = Editor { locked, source, disk };
        let front = disk.front(&locked.file);
        let Some(mut patch) = editor.patch(&member.layout, front)? else { return Ok(None) };
        if patch.edit.is_nothing() {
            return Ok(Some(0));
        }
        patch.cover_front(source)?;
        if !editor.can_apply(&patch) {
            return Ok(None);
        }
        let Some(saved) = editor.save(&patch, Some(&self.decision))? else { return Ok(None) };
        match editor.write_behind_guard(&locked.file, &patch) {
            Ok(_) => Ok(Some(saved + patch.len())),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes each file what the manifest says that it is: the old one or the new one.
    fn settle(&self, begun: &[&Member]) -> Result<(), Error> {
        let disk = self.disk.as_ref();
        for member in begun {
            let failed = |cause: Cause| Error::new(Action::Write, &member.path, cause);
            let locked = Locked::new(&member.path, disk).map_err(failed)?;
            make_whole(&locked, disk, Journals::Own).map_err(failed)?;
        }
        self.sync_names()
    }

    /// Waits until the names in the folder of the files are on the disk.
    fn sync_names(&self) -> Result<(), Error> {
        let Some(member) = self.members.first() else { return Ok(()) };
        let synced = self.disk.sync_folder(folder(&member.path));
        synced.map_err(|error| Error::new(Action::Write, &member.path, error))
    }

    /// The error of an edit that stopped, once its files are whole again.
    fn given_up(&self, begun: &[&Member], error: Error) -> Error {
        // The manifest may be in its place nonetheless; that is to outlast a loss of power first.
        let settled = self.sync_names().and_then(|()| self.settle(begun));
        match (settled, begun.last()) {
            (Err(_), Some(last)) => {
                let (doing, error) = (Some(IN_PART.into()), io::Error::other(error.to_string()));
                Error::new(Action::Write, &last.path, Cause::Io { doing, error })
            }
            _ => error,
        }
    }
}
