//! Files of one checkpoint, of which there may be more than the system lets be open at once.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};

use crate::disk::page_cache::{read_no_further, read_once_at};
use crate::disk::plain_file::{is_same, regular};
use crate::error::Cause;
use crate::in_place::keep_from_editors;

/// How many files of a checkpoint are open at once; systems allow 256 in all, or more.
const MOST_OPEN: usize = 32;

/// A file to read from.
#[derive(Debug)]
pub(crate) enum ReadFile {
    /// One that stays open.
    Open(Arc<OpenFile>),
    /// One that is closed where others of its checkpoint are read, and opened again by its path.
    Reopened { path: PathBuf, first: Metadata, open: Arc<OpenFiles> },
}

/// A file as the system opened it.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) file: Arc<File>,
    /// Done when the first bytes are read that are not needed again: what the system is told then, it
    /// forgets when the file is closed.
    once: Once,
}

impl OpenFile {
    fn new(file: File) -> Arc<OpenFile> {
        Arc::new(OpenFile { file: Arc::new(file), once: Once::new() })
    }

    /// Fills a buffer with bytes that need not stay in the system's cache.
    pub(crate) fn read_once_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.once.call_once(|| read_no_further(&self.file));
        read_once_at(&self.file, at, buffer)
    }
}

impl ReadFile {
    /// A file that stays open.
    pub(crate) fn staying_open(file: File) -> ReadFile {
        ReadFile::Open(OpenFile::new(file))
    }

    /// The file, open.
    ///
    /// # Errors
    /// What the system says, and another file at the path than the one that was opened first.
    pub(crate) fn get(&self) -> io::Result<Arc<File>> {
        Ok(self.open()?.file.clone())
    }

    /// The same with what the system was told of it.
    ///
    /// # Errors
    /// As [`ReadFile::get`].
    pub(crate) fn open(&self) -> io::Result<Arc<OpenFile>> {
        match self {
            ReadFile::Open(file) => Ok(file.clone()),
            ReadFile::Reopened { path, first, open } => open.get(path, first),
        }
    }
}

/// Files that are open with their paths, the one that was read last at the end.
type Kept = VecDeque<(PathBuf, Arc<OpenFile>)>;

/// The files of a checkpoint that are open.
#[derive(Debug, Default)]
pub(crate) struct OpenFiles {
    files: Mutex<Kept>,
}

impl OpenFiles {
    /// Takes a file that was opened at a path, to be closed when there are too many.
    pub(crate) fn take(self: &Arc<OpenFiles>, path: &Path, file: File) -> io::Result<ReadFile> {
        let (path, first) = (std::path::absolute(path)?, file.metadata()?);
        keep(&mut self.lock(), &path, OpenFile::new(file));
        Ok(ReadFile::Reopened { path, first, open: self.clone() })
    }

    /// Closes all of them, once nobody reads them any more; they are opened again when they are read.
    pub(crate) fn let_go(&self) {
        self.lock().clear();
    }

    fn get(&self, path: &Path, first: &Metadata) -> io::Result<Arc<OpenFile>> {
        if let Some(file) = find(&mut self.lock(), path) {
            return Ok(file);
        }
        let file = OpenFile::new(reopened(path, first)?);
        let mut files = self.lock();
        // Another thread may have opened it meanwhile; one that is open is enough.
        if let Some(kept) = find(&mut files, path) {
            return Ok(kept);
        }
        keep(&mut files, path, file.clone());
        Ok(file)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The file if it is open; it is the last to be closed then.
fn find(files: &mut Kept, path: &Path) -> Option<Arc<OpenFile>> {
    let place = files.iter().rposition(|(open, _)| open == path)?;
    let found = files.remove(place)?;
    let file = found.1.clone();
    files.push_back(found);
    Some(file)
}

/// Keeps a file open, and lets go of the one that was read longest ago if there are too many.
fn keep(files: &mut Kept, path: &Path, file: Arc<OpenFile>) {
    files.push_back((path.to_path_buf(), file));
    if files.len() > MOST_OPEN {
        files.pop_front();
    }
}

/// The file at a path, if it is the one that was opened first, and nobody has written to it since.
fn reopened(path: &Path, first: &Metadata) -> io::Result<File> {
    let unreadable = |cause: Cause| io::Error::other(format!("'{}': {cause}", path.display()));
    let file = regular(path).map_err(unreadable)?;
    keep_from_editors(&file).map_err(unreadable)?;
    if is_unchanged(first, &file.metadata()?) {
        return Ok(file);
    }
    let what = "was changed or replaced while the checkpoint was being read";
    Err(io::Error::other(format!("'{}' {what}", path.display())))
}

/// True if a file is the one that it was, and nobody has written to it since.
pub(crate) fn is_unchanged(first: &Metadata, now: &Metadata) -> bool {
    is_same(first, now) && first.len() == now.len() && first.modified().ok() == now.modified().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder of files, each of which holds its own number.
    fn files(count: u8) -> (tempfile::TempDir, Vec<ReadFile>) {
        let folder = tempfile::tempdir().expect("a folder");
        let open = Arc::new(OpenFiles::default());
        let files = (0..count).map(|number| {
            let path = folder.path().join(number.to_string());
            fs::write(&path, [number]).expect("writable");
            let file = File::open(&path).expect("it is there");
            open.take(&path, file).expect("readable")
        });
        let files = files.collect();
        (folder, files)
    }

    #[test]
    fn of_many_files_few_are_open_and_all_can_be_read() {
        let (_folder, files) = files(100);
        for (number, file) in files.iter().enumerate() {
            let file = file.get().expect("the same file");
            assert_eq!(io::read_to_string(&*file).expect("text").as_bytes(), [number as u8]);
        }
        let ReadFile::Reopened { open, .. } = &files[0] else { panic!("it may be closed") };
        assert_eq!(open.files.lock().expect("no panic").len(), MOST_OPEN);
    }

    #[test]
    fn a_file_that_took_the_place_of_another_is_refused() {
        let (folder, files) = files(40);
        let replaced = folder.path().join("0");
        fs::write(folder.path().join("new"), [0]).expect("writable");
        fs::rename(folder.path().join("new"), &replaced).expect("the same folder");
        let message = files[0].get().expect_err("another file").to_string();
        assert!(message.ends_with("was changed or replaced while the checkpoint was being read"));
        assert!(files[1].get().is_ok());
    }

    #[test]
    fn a_file_that_grew_is_refused() {
        let (folder, files) = files(40);
        fs::write(folder.path().join("0"), [0, 0]).expect("writable");
        assert!(files[0].get().is_err());
    }
}
