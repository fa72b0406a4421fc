//! New files beside others, which take their places in one step or go again.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::disk::{Access, Disk, Existing, folder};
use crate::error::Cause;

/// What has no name of its own yet.
static UNPLACED: Mutex<Vec<(PathBuf, Arc<dyn Disk>)>> = Mutex::new(Vec::new());

/// Removes the files that are being written, and have not taken their places; to be called before the
/// process ends at once, where nothing is dropped.
pub fn remove_unplaced() {
    // Whoever has the lock may be the one that ends.
    if let Ok(mut files) = UNPLACED.try_lock() {
        for (path, disk) in files.drain(..) {
            let _ = disk.remove(&path);
        }
    }
}

/// A new file in the folder of another, open for writing.
#[derive(Debug)]
pub(crate) struct TempFile {
    pub(crate) file: File,
    pub(crate) name: TempName,
}

/// The name of a new file in the folder of another, taken away again when dropped.
#[derive(Debug)]
pub(crate) struct TempName {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    /// The file got the name it was made for.
    placed: bool,
}

impl TempFile {
    /// An empty file in the folder of `out`, so that a rename can put it in its place.
    pub(crate) fn new(disk: &Arc<dyn Disk>, out: &Path, access: Access) -> Result<TempFile, Cause> {
        let folder = folder(out);
        let mut builder = tempfile::Builder::new();
        builder.prefix(".statedict-").suffix(".tmp").disable_cleanup(true);
        let made = builder.make_in(folder, |path| disk.create(path, access)).map_err(|error| {
            // The random name that was tried is of no use to anyone: only the kind of error is
            // reported.
            let error = io::Error::from(error.kind());
            let doing = Some(format!("no file can be made in the folder '{}'", folder.display()));
            Cause::Io { doing, error }
        })?;
        let (file, path) = made.into_parts();
        let path = path.to_path_buf();
        let mut files = UNPLACED.lock().unwrap_or_else(PoisonError::into_inner);
        files.push((path.clone(), disk.clone()));
        Ok(TempFile { file, name: TempName { disk: disk.clone(), path, placed: false } })
    }
}

impl TempName {
    /// Where the file is until it is put in its place.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the file in its place in one step that survives a crash.
    pub(crate) fn place(self, out: &Path, existing: Existing) -> Result<(), Cause> {
        let disk = self.disk.clone();
        self.rename(out, existing)?;
        settle(disk.as_ref(), out)
    }

    /// Puts the file in its place, which a crash may still undo.
    pub(crate) fn rename(mut self, out: &Path, existing: Existing) -> Result<(), Cause> {
        let renamed = self.disk.rename(&self.path, out, existing);
        renamed.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Cause::AlreadyExists,
            _ => error.into(),
        })?;
        self.placed = true;
        Ok(())
    }
}

/// Waits until the name of a file that is in its place is on the disk.
pub(crate) fn settle(disk: &dyn Disk, out: &Path) -> Result<(), Cause> {
    disk.sync_folder(folder(out)).map_err(|error| {
        let doing = Some("the file is in its place, but its folder cannot be synced".to_string());
        Cause::Io { doing, error }
    })
}

impl Drop for TempName {
    fn drop(&mut self) {
        if !self.placed {
            let _ = self.disk.remove(&self.path);
        }
        let mut files = UNPLACED.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|(path, _)| *path != self.path);
    }
}
