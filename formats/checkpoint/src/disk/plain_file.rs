//! Files as they are: what is a regular one, and reading it by position.

use std::fs::{self, File, FileType, Metadata};
use std::io;
use std::path::Path;

use statedict_core::{Fault, Source};

use crate::error::Cause;

/// An open file as it is, with the length that it had when it was opened.
#[derive(Debug)]
pub(crate) struct PlainFile {
    file: File,
    len: u64,
}

impl PlainFile {
    /// A file that is open.
    pub(crate) fn new(file: File) -> io::Result<PlainFile> {
        let len = file.metadata()?.len();
        Ok(PlainFile { file, len })
    }
}

impl Source for PlainFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
        read_at(&self.file, offset, buffer)
    }
}

/// Opens a regular file.
pub(crate) fn regular(path: &Path) -> Result<File, Cause> {
    // Opening a pipe would wait for its other end, so its kind is asked for first.
    check_regular(fs::metadata(path)?.file_type())?;
    let file = File::open(path)?;
    check_regular(file.metadata()?.file_type())?;
    Ok(file)
}

/// Fills a buffer with the bytes of a file as it is.
pub(crate) fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
    read_exact_at(file, offset, buffer).map_err(|error| fault(offset, error))
}

pub(crate) fn fault(offset: u64, error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Fault::malformed(offset, "unexpected end of file"),
        _ => Fault::Unreadable(error.into()),
    }
}

/// True if both describe one file; where the system does not say, true.
#[cfg(unix)]
pub(crate) fn is_same(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

#[cfg(not(unix))]
pub(crate) fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

/// Reads as many bytes as one call gives.
#[cfg(unix)]
pub(crate) fn read_some_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
pub(crate) fn read_some_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}

#[cfg(unix)]
pub(crate) fn read_exact_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
pub(crate) fn read_exact_at(file: &File, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match read_some_at(file, offset, buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// Refuses what is not a regular file.
pub(crate) fn check_regular(kind: FileType) -> Result<(), Cause> {
    match special(kind) {
        None => Ok(()),
        Some(what) => Err(Cause::NotAFile(what)),
    }
}

pub(crate) fn special(kind: FileType) -> Option<&'static str> {
    match kind {
        kind if kind.is_file() => None,
        kind if kind.is_dir() => Some("a directory"),
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
