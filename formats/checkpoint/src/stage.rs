//! A new file beside its target, which becomes the target in one step or leaves no trace.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use statedict_core::{Fault, Layout, Source};
use tempfile::{NamedTempFile, PersistError};

use crate::elements::Stop;
use crate::error::{Action, Cause, Error};
use crate::source::check_regular;
use crate::write::write;

/// What to do with a file that stands where the new one is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Leave it and fail, also if it appears while the new one is written.
    Refuse,
    /// Replace it; a symbolic link is replaced itself, what it leads to stays.
    Replace,
}

/// A file that is written and synced and not yet in its place; dropped, it is gone.
#[must_use = "the file takes its place only when it is committed"]
#[derive(Debug)]
pub struct Staged {
    file: NamedTempFile,
    out: PathBuf,
    existing: Existing,
    len: u64,
}

/// Writes the layout beside `out`, with the mode and, where permitted, the owner of `like`.
pub(crate) fn stage(
    source: &dyn Source,
    like: &Metadata,
    layout: &Layout,
    out: &Path,
    existing: Existing,
) -> Result<Staged, Error> {
    let failed = |cause: Cause| Error::new(Action::Write, out, cause);
    check_target(out, existing).map_err(failed)?;
    let mut file = beside(out).map_err(failed)?;
    fill(&mut file, source, layout).map_err(failed)?;
    adopt(file.as_file(), like).map_err(|error| failed(error.into()))?;
    file.as_file().sync_all().map_err(|error| failed(error.into()))?;
    Ok(Staged { file, out: out.to_path_buf(), existing, len: layout.len() })
}

impl Staged {
    /// The length of the file in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if the file has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts the file in its place, in one step that survives a crash.
    ///
    /// # Errors
    /// What the system says; then the place is as it was and the new file is gone.
    pub fn commit(self) -> Result<(), Error> {
        let Staged { file, out, existing, .. } = self;
        let failed = |cause: Cause| Error::new(Action::Write, &out, cause);
        let persisted = match existing {
            Existing::Replace => file.persist(&out),
            Existing::Refuse => file.persist_noclobber(&out),
        };
        persisted.map_err(|PersistError { error, .. }| match error.kind() {
            io::ErrorKind::AlreadyExists => failed(Cause::AlreadyExists),
            _ => failed(error.into()),
        })?;
        sync_folder(folder(&out)).map_err(|error| {
            let doing =
                Some("the file is in its place, but its folder cannot be synced".to_string());
            failed(Cause::Io { doing, error })
        })
    }
}

/// Refuses a target that exists, unless it is a file or a link and may be replaced.
fn check_target(out: &Path, existing: Existing) -> Result<(), Cause> {
    if out.file_name().is_none() {
        return Err(Cause::NotAFile("a folder"));
    }
    match fs::symlink_metadata(out) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(there) => {
            if !there.is_symlink() {
                check_regular(there.file_type())?;
            }
            match existing {
                Existing::Refuse => Err(Cause::AlreadyExists),
                Existing::Replace => Ok(()),
            }
        }
    }
}

/// An empty file in the folder of `out`, so that a rename can put it in its place.
fn beside(out: &Path) -> Result<NamedTempFile, Cause> {
    let folder = folder(out);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".statedict-").suffix(".tmp").tempfile_in(folder).map_err(|error| {
        // The random name that was tried is of no use to anyone: only the kind of error is told.
        let error = io::Error::from(error.kind());
        let doing = Some(format!("no file can be made in the folder '{}'", folder.display()));
        Cause::Io { doing, error }
    })
}

fn folder(out: &Path) -> &Path {
    match out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn fill(file: &mut NamedTempFile, source: &dyn Source, layout: &Layout) -> Result<(), Cause> {
    match write(source, layout, file.as_file_mut()) {
        Ok(written) if written == layout.len() => Ok(()),
        Ok(written) => {
            let expected = layout.len();
            let what = format!("{written} bytes were written, expected {expected}");
            Err(Fault::broken(what).into())
        }
        Err(Stop::Read(fault)) => Err(fault.into()),
        Err(Stop::Sink(error)) => {
            let doing = Some(format!("the file needs {} bytes", layout.len()));
            Err(Cause::Io { doing, error })
        }
    }
}

/// Gives the file the mode of another, and its owner where that is permitted.
#[cfg(unix)]
fn adopt(file: &File, like: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let now = file.metadata()?;
    if (now.uid(), now.gid()) != (like.uid(), like.gid()) {
        // Only root may give files away; for everyone else the new file is their own.
        let _ = fchown(file, Some(like.uid()), Some(like.gid()));
    }
    file.set_permissions(like.permissions())
}

#[cfg(not(unix))]
fn adopt(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some file systems cannot sync folders, and keep renames in order without it.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
