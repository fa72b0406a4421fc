//! A file that nobody else edits.

use std::fs::{File, Metadata, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::recover::resolved;
use crate::disk::Disk;
use crate::error::Cause;
use crate::source::{check_regular, is_same};

/// How often a file that is replaced again and again is looked for anew.
const ATTEMPTS: usize = 10;

/// A file, opened, with the lock that editors of this program ask for; let go when dropped.
#[derive(Debug)]
pub(crate) struct Locked {
    /// Where it is, links followed.
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    /// It can be written where it stands: the system allows it, and the lock holds.
    pub(crate) is_writable: bool,
}

impl Locked {
    /// Opens the file that a path leads to, for nobody else to edit meanwhile.
    pub(crate) fn new(path: &Path, disk: &dyn Disk) -> Result<Locked, Cause> {
        for _ in 0..ATTEMPTS {
            let path = resolved(path)?;
            check_regular(std::fs::metadata(&path)?.file_type())?;
            let (file, is_writable) = open(&path, disk)?;
            let is_locked = match file.try_lock() {
                Ok(()) => true,
                Err(TryLockError::WouldBlock) => return Err(Cause::InUse),
                // Some file systems have no locks; what stands there is not edited in place.
                Err(TryLockError::Error(_)) => false,
            };
            let now: Metadata = std::fs::metadata(&path)?;
            // Whoever held the lock before may have put another file in its place.
            if is_same(&file.metadata()?, &now) {
                return Ok(Locked { path, file, is_writable: is_writable && is_locked });
            }
        }
        Err(Cause::InUse)
    }
}

fn open(path: &Path, disk: &dyn Disk) -> io::Result<(File, bool)> {
    match disk.open(path) {
        Ok(file) => Ok((file, true)),
        Err(error) if is_forbidden(&error) => Ok((File::open(path)?, false)),
        Err(error) => Err(error),
    }
}

fn is_forbidden(error: &io::Error) -> bool {
    use io::ErrorKind::{ExecutableFileBusy, PermissionDenied, ReadOnlyFilesystem};
    matches!(error.kind(), PermissionDenied | ReadOnlyFilesystem | ExecutableFileBusy)
}
