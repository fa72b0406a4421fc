//! A file as a source of bytes, read by position.

use std::fmt;
use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use statedict_core::{Fault, Source};

use crate::disk::plain_file::{fault, is_same, read_exact_at, read_some_at, regular};
use crate::disk::{Disk, System};
use crate::error::Cause;
use crate::in_place::{Interrupted, WholeView, look};
use crate::observer::{Observer, Stopped};
use crate::open_files::{OpenFiles, ReadFile};

/// How much is read where little is asked for: headers of small members are adjacent.
const NEAR: usize = 4096;

/// What is as long as this is no header, and is read by itself.
const LITTLE: usize = 512;

/// A source some of whose bytes may be in a local file, which can be cloned.
pub(crate) trait Backed: Source {
    /// The file that has this byte, and where it starts, if it is read as it is.
    fn file_at(&self, offset: u64) -> Option<(Arc<File>, u64)>;

    /// Fills a buffer with bytes that are not needed again, and need not stay in the system's cache.
    ///
    /// # Errors
    /// As [`Source::read_at`].
    fn read_once_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        self.read_at(offset, buffer)
    }
}

/// A source all of which is read once.
pub(crate) struct ReadOnce<'a>(pub(crate) &'a dyn Backed);

impl Source for ReadOnce<'_> {
    fn len(&self) -> u64 {
        self.0.len()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        self.0.read_once_at(offset, buffer)
    }
}

/// Open regular files laid end to end, mostly one, with the lengths they had when they were opened;
/// copies share them.
#[derive(Clone, Debug)]
pub(crate) struct FileSource {
    files: Vec<Placed>,
    len: u64,
    /// What was found of edits that were interrupted.
    interrupted: Vec<Interrupted>,
    reader: Reader,
}

/// Who follows what is read, if somebody does.
#[derive(Clone, Default)]
struct Reader(Option<Arc<dyn Observer>>);

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// A file, and where it starts.
#[derive(Clone, Debug)]
struct Placed {
    start: u64,
    opened: Arc<Opened>,
}

#[derive(Debug)]
struct Opened {
    file: ReadFile,
    /// The path that led to it, where one did.
    path: Option<PathBuf>,
    /// The whole file, if an edit of it was interrupted; that is what is read.
    whole: Option<Box<WholeView>>,
    near: Mutex<ReadAhead>,
}

/// Bytes of a file that were read last because of others before them.
#[derive(Debug, Default)]
struct ReadAhead {
    at: u64,
    bytes: Vec<u8>,
}

impl ReadAhead {
    /// The bytes from `at` on, if that many are there.
    fn get(&self, at: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(at.checked_sub(self.at)?).ok()?;
        self.bytes.get(start..start.checked_add(len)?)
    }

    /// Reads on from `at`.
    fn read(&mut self, file: &File, at: u64) -> io::Result<()> {
        (self.at, self.bytes) = (at, vec![0; NEAR]);
        let read = read_some_at(file, at, &mut self.bytes);
        self.bytes.truncate(*read.as_ref().unwrap_or(&0));
        read.map(drop)
    }
}

impl FileSource {
    /// Opens a file that has bytes; anything but a regular file is refused, and so is one beside
    /// which a stranger's journal says that it was another.
    pub(crate) fn open(path: &Path, disk: &dyn Disk) -> Result<FileSource, Cause> {
        FileSource::looked_at(path, disk, None)
    }

    /// The same for one of many files, which is closed where others are read.
    pub(crate) fn open_among(
        files: &Arc<OpenFiles>,
        path: &Path,
        disk: &dyn Disk,
    ) -> Result<FileSource, Cause> {
        FileSource::looked_at(path, disk, Some(files))
    }

    fn looked_at(
        path: &Path,
        disk: &dyn Disk,
        among: Option<&Arc<OpenFiles>>,
    ) -> Result<FileSource, Cause> {
        let file = regular(path)?;
        let (whole, interrupted) = look(path, &file, disk)?;
        if let Some(Interrupted::Untrusted { journal, why }) = interrupted {
            return Err(Cause::Untrusted { journal, why });
        }
        let file = match among {
            // What is read through a journal is not what is at the path.
            Some(files) if whole.is_none() => files.take(path, file)?,
            _ => ReadFile::staying_open(file),
        };
        FileSource::new(file, Some(path), whole, interrupted.into_iter().collect())?.with_bytes()
    }

    /// Opens a file as it is, which is how other programs read it, whatever a journal beside it
    /// says that it was before.
    pub(crate) fn as_it_is(path: &Path) -> Result<FileSource, Cause> {
        let file = regular(path)?;
        let (_whole, interrupted) = look(path, &file, &System)?;
        let file = ReadFile::staying_open(file);
        FileSource::new(file, Some(path), None, interrupted.into_iter().collect())?.with_bytes()
    }

    /// A file that is locked, as it is after what was found of an edit that was interrupted.
    pub(crate) fn restored(
        file: &File,
        interrupted: Option<Interrupted>,
    ) -> Result<FileSource, Cause> {
        let interrupted = interrupted.into_iter().collect();
        let file = ReadFile::staying_open(file.try_clone()?);
        FileSource::new(file, None, None, interrupted)?.with_bytes()
    }

    fn with_bytes(self) -> Result<FileSource, Cause> {
        match self.len {
            0 => Err(Fault::broken("the file is empty").into()),
            _ => Ok(self),
        }
    }

    /// A regular file of any length as it is.
    pub(crate) fn whole(path: &Path) -> Result<FileSource, Cause> {
        Ok(FileSource::from_file(regular(path)?)?)
    }

    /// A file as it is.
    pub(crate) fn from_file(file: File) -> io::Result<FileSource> {
        FileSource::new(ReadFile::staying_open(file), None, None, Vec::new())
    }

    fn new(
        file: ReadFile,
        path: Option<&Path>,
        whole: Option<Box<WholeView>>,
        interrupted: Vec<Interrupted>,
    ) -> io::Result<FileSource> {
        let len = match &whole {
            Some(whole) => whole.len(),
            None => file.get()?.metadata()?.len(),
        };
        let (path, near) = (path.map(Path::to_path_buf), Mutex::default());
        let opened = Arc::new(Opened { file, path, whole, near });
        Ok(FileSource {
            files: [Placed { start: 0, opened }].into(),
            len,
            interrupted,
            reader: Reader::default(),
        })
    }

    /// The same files, whose observer sees what is read, and can stop it.
    pub(crate) fn observed_by(self, observer: Arc<dyn Observer>) -> FileSource {
        FileSource { reader: Reader(Some(observer)), ..self }
    }

    /// What was found of edits that were interrupted.
    pub(crate) fn interrupted(&self) -> &[Interrupted] {
        &self.interrupted
    }

    /// Adds what was found of edits that were interrupted.
    pub(crate) fn note(&mut self, interrupted: Vec<Interrupted>) {
        self.interrupted.extend(interrupted);
    }

    /// Several files as one.
    pub(crate) fn joined(sources: Vec<FileSource>) -> FileSource {
        let (files, interrupted, reader) = (Vec::new(), Vec::new(), Reader::default());
        let mut joined = FileSource { files, len: 0, interrupted, reader };
        sources.into_iter().for_each(|source| joined.append(source));
        joined
    }

    /// Lays other files after these.
    pub(crate) fn append(&mut self, other: FileSource) {
        let start = self.len;
        self.files.extend(
            other.files.into_iter().map(|file| Placed { start: start + file.start, ..file }),
        );
        self.len += other.len;
        self.interrupted.extend(other.interrupted);
    }

    fn file_with(&self, offset: u64) -> Option<&Placed> {
        self.files.get(self.number_at(offset)?)
    }

    /// Reads in one of the files, in one of the ways that it can be read.
    fn read_by(
        &self,
        read: fn(&Opened, u64, &mut [u8]) -> io::Result<()>,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), Fault> {
        // No range that is read crosses from one file into another.
        let Some(Placed { start, opened }) = self.file_with(offset) else {
            return Err(Fault::malformed(offset, "there is no file to read"));
        };
        if let Reader(Some(observer)) = &self.reader
            && observer.read(buffer.len() as u64).is_break()
        {
            return Err(Fault::Unreadable(Stopped.into()));
        }
        let at = offset - start;
        match &opened.whole {
            Some(whole) => {
                let file = opened.file.get().map_err(|error| fault(offset, error))?;
                whole.read(&file, at, buffer)
            }
            None => read(opened, at, buffer).map_err(|error| fault(offset, error)),
        }
    }

    /// The places of all files, each with the path that led to it, where one did.
    pub(crate) fn places(&self) -> impl Iterator<Item = (Range<u64>, Option<&Path>)> {
        let ends = self.files.iter().skip(1).map(|placed| placed.start).chain([self.len]);
        let files = self.files.iter().zip(ends);
        files.map(|(placed, end)| (placed.start..end, placed.opened.path.as_deref()))
    }

    /// The bytes of each of the files.
    pub(crate) fn lengths(&self) -> impl Iterator<Item = u64> {
        self.places().map(|(place, _)| place.end - place.start)
    }

    /// The most bytes that one of the files has.
    pub(crate) fn largest_file(&self) -> u64 {
        self.lengths().max().unwrap_or_default()
    }

    /// Which of the files has this byte.
    pub(crate) fn number_at(&self, offset: u64) -> Option<usize> {
        self.files.partition_point(|placed| placed.start <= offset).checked_sub(1)
    }

    /// What the system says of the first file.
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        match self.files.first() {
            Some(placed) => placed.opened.file.get()?.metadata(),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// The file that starts at a place, if it is one that is opened again when it is read: its path, and
    /// what the system said of it when it was opened first.
    pub(crate) fn reopened_at(&self, start: u64) -> Option<(&Path, &Metadata)> {
        let placed = self.file_with(start).filter(|placed| placed.start == start)?;
        match &placed.opened.file {
            ReadFile::Reopened { path, first, .. } => Some((path, first)),
            ReadFile::Open(_) => None,
        }
    }

    /// Lets go of all files that are opened again when they are read, and of what keeps others from
    /// editing them.
    pub(crate) fn let_go(&self) {
        for placed in &self.files {
            if let ReadFile::Reopened { open, .. } = &placed.opened.file {
                open.let_go();
            }
        }
    }

    /// True if both are known to be one file, whatever the paths that led to it.
    pub(crate) fn is_same_file(&self, other: &FileSource) -> bool {
        let alone = self.files.len() == 1 && other.files.len() == 1;
        let both = (self.metadata(), other.metadata());
        alone && cfg!(unix) && matches!(both, (Ok(a), Ok(b)) if is_same(&a, &b))
    }
}

impl Source for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        self.read_by(Opened::read, offset, buffer)
    }
}

impl Backed for FileSource {
    fn file_at(&self, offset: u64) -> Option<(Arc<File>, u64)> {
        let Placed { start, opened } = self.file_with(offset)?;
        if opened.whole.is_some() {
            return None;
        }
        // Who reads finds out why a file cannot be opened again.
        Some((opened.file.get().ok()?, *start))
    }

    fn read_once_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        self.read_by(Opened::read_once, offset, buffer)
    }
}

impl Opened {
    /// Fills a buffer with bytes that need not stay in the system's cache.
    fn read_once(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.open()?.read_once_at(at, buffer)
    }

    /// Fills a buffer with the file's bytes as they are.
    fn read(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        if buffer.len() >= LITTLE {
            return read_exact_at(&*self.file.get()?, at, buffer);
        }
        let mut near = self.near.lock().unwrap_or_else(PoisonError::into_inner);
        if near.get(at, buffer.len()).is_none() {
            near.read(&*self.file.get()?, at)?;
        }
        match near.get(at, buffer.len()) {
            Some(bytes) => buffer.copy_from_slice(bytes),
            // What one call did not give, several may.
            None => read_exact_at(&*self.file.get()?, at, buffer)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    fn message(path: &Path) -> String {
        FileSource::open(path, &System).expect_err("refused").to_string()
    }

    #[test]
    fn only_regular_files_with_bytes_are_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(message(folder.path()), "is a directory; expected a file");
        assert_eq!(message(&folder.path().join("no")), "no such file or directory");
        let empty = folder.path().join("empty");
        fs::write(&empty, b"").expect("writable");
        assert_eq!(message(&empty), "the file is empty");
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_refused_before_they_are_read() {
        let message = message(Path::new("/dev/zero"));
        assert_eq!(message, "is a device; expected a file");
    }

    #[test]
    fn reading_beyond_the_end_says_where() {
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"12345").expect("writable");
        let source = FileSource::from_file(file).expect("readable");
        let mut two = [0; 2];
        source.read_at(3, &mut two).expect("within");
        assert_eq!(&two, b"45");
        let fault = source.read_at(4, &mut two).expect_err("beyond");
        assert_eq!(fault.to_string(), "at byte 4: unexpected end of file");
    }
}
