//! A file as a source of bytes, read by position.

use std::fs::{self, File, FileType, Metadata};
use std::io;
use std::path::Path;

use statedict_core::{Fault, Source};

use crate::error::Cause;

/// Open regular files laid end to end, mostly one, with the lengths they had when they were opened.
#[derive(Debug)]
pub(crate) struct FileSource {
    /// The files, each with the place where it starts.
    files: Vec<(u64, File)>,
    len: u64,
}

impl FileSource {
    /// Opens a file that has bytes; anything but a regular file is refused.
    pub(crate) fn open(path: &Path) -> Result<FileSource, Cause> {
        // Opening a pipe would wait for its other end, so its kind is asked for first.
        check_regular(fs::metadata(path)?.file_type())?;
        let file = File::open(path)?;
        check_regular(file.metadata()?.file_type())?;
        let source = FileSource::from_file(file)?;
        match source.len {
            0 => Err(Fault::broken("the file is empty").into()),
            _ => Ok(source),
        }
    }

    pub(crate) fn from_file(file: File) -> io::Result<FileSource> {
        let len = file.metadata()?.len();
        Ok(FileSource { files: [(0, file)].into(), len })
    }

    /// Several files as one.
    pub(crate) fn joined(sources: Vec<FileSource>) -> FileSource {
        let mut joined = FileSource { files: Vec::new(), len: 0 };
        sources.into_iter().for_each(|source| joined.append(source));
        joined
    }

    /// Lays other files after these.
    pub(crate) fn append(&mut self, other: FileSource) {
        let start = self.len;
        self.files.extend(other.files.into_iter().map(|(at, file)| (start + at, file)));
        self.len += other.len;
    }

    /// The file, if there is only one.
    pub(crate) fn only_file(&self) -> Option<&File> {
        match self.files.as_slice() {
            [(_, file)] => Some(file),
            _ => None,
        }
    }

    /// What the system says of the first file.
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        match self.files.first() {
            Some((_, file)) => file.metadata(),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// True if both are known to be one file, whatever the paths that led to it.
    #[cfg(unix)]
    pub(crate) fn is_same_file(&self, other: &FileSource) -> bool {
        use std::os::unix::fs::MetadataExt;
        let place = |source: &FileSource| source.metadata().map(|file| (file.dev(), file.ino()));
        let alone = self.files.len() == 1 && other.files.len() == 1;
        alone && matches!((place(self), place(other)), (Ok(a), Ok(b)) if a == b)
    }

    #[cfg(not(unix))]
    pub(crate) fn is_same_file(&self, _: &FileSource) -> bool {
        false
    }
}

impl Source for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        // No range that is read crosses from one file into another.
        let place = self.files.partition_point(|(start, _)| *start <= offset);
        let Some((start, file)) = place.checked_sub(1).and_then(|place| self.files.get(place))
        else {
            return Err(Fault::malformed(offset, "there is no file to read"));
        };
        read_exact_at(file, offset - start, buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Fault::malformed(offset, "the file ends too early"),
            _ => Fault::Unreadable(error.into()),
        })
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// Refuses what is no regular file.
pub(crate) fn check_regular(kind: FileType) -> Result<(), Cause> {
    match special(kind) {
        None => Ok(()),
        Some(what) => Err(Cause::NotAFile(what)),
    }
}

fn special(kind: FileType) -> Option<&'static str> {
    match kind {
        kind if kind.is_file() => None,
        kind if kind.is_dir() => Some("a folder"),
        kind => Some(device(kind)),
    }
}

#[cfg(unix)]
fn device(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn device(_: FileType) -> &'static str {
    "a device"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn message(path: &Path) -> String {
        FileSource::open(path).expect_err("refused").to_string()
    }

    #[test]
    fn only_regular_files_with_bytes_are_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(message(folder.path()), "it is a folder, and a regular file is expected");
        assert_eq!(message(&folder.path().join("no")), "there is no such file or folder");
        let empty = folder.path().join("empty");
        fs::write(&empty, b"").expect("writable");
        assert_eq!(message(&empty), "the file is empty");
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_refused_before_they_are_read() {
        let message = message(Path::new("/dev/zero"));
        assert_eq!(message, "it is a device, and a regular file is expected");
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
        assert_eq!(fault.to_string(), "at byte 4: the file ends too early");
    }
}
