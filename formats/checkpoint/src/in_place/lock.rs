//! A file that nobody else edits.

use std::fs::{File, Metadata, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::disk::plain_file::{check_regular, is_same};
use crate::disk::{Disk, System};
use crate::error::Cause;

/// How often a file that is replaced again and again is looked for again.
const ATTEMPTS: usize = 10;

/// A file, opened, with the lock that editors of this program ask for; let go when dropped.
#[derive(Debug)]
pub(crate) struct Locked {
    /// Where it is, links followed.
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    /// The system allows to write to it.
    pub(crate) is_writable: bool,
    /// The lock holds, which it does not on some file systems; what is there is not edited in
    /// place.
    pub(crate) is_locked: bool,
}

impl Locked {
    /// Opens the file that a path leads to, for nobody else to edit meanwhile.
    pub(crate) fn new(path: &Path, disk: &dyn Disk) -> Result<Locked, Cause> {
        for _ in 0..ATTEMPTS {
            let path = resolved(path)?;
            check_regular(std::fs::metadata(&path)?.file_type())?;
            let (file, is_writable) = open(&path, disk)?;
            let is_locked = wait(disk, || file.try_lock())?;
            let now: Metadata = std::fs::metadata(&path)?;
            // Whoever held the lock before may have put another file in its place.
            if is_same(&file.metadata()?, &now) {
                return Ok(Locked { path, file, is_writable, is_locked });
            }
        }
        Err(Cause::InUse)
    }

    /// Lets others read, and still not edit: for when a new file is written beside this one, which
    /// may take long.
    pub(crate) fn share(&self) -> Result<(), Cause> {
        if self.is_locked { keep_from_editors(&self.file) } else { Ok(()) }
    }
}

/// Sees to it that nobody edits a file as long as it is open; waits for those who do.
pub(crate) fn keep_from_editors(file: &File) -> Result<(), Cause> {
    // A file system without locks has no editors in place either.
    wait(&System, || file.try_lock_shared()).map(drop)
}

/// Takes a lock once nobody has one that conflicts; false if there are no locks.
fn wait(disk: &dyn Disk, take: impl Fn() -> Result<(), TryLockError>) -> Result<bool, Cause> {
    let start = Instant::now();
    loop {
        match take() {
            Err(TryLockError::WouldBlock) if disk.wait(start.elapsed()) => {}
            Err(TryLockError::WouldBlock) => return Err(Cause::InUse),
            taken => return Ok(taken.is_ok()),
        }
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

/// The path that leads to a file without any link.
pub(crate) fn resolved(path: &Path) -> Result<PathBuf, Cause> {
    Ok(std::fs::canonicalize(path)?)
}
