//! New files that are open once more, to be written past the system's cache.
//!
//! A file that is only written would push others out of the cache, and where memory is full of
//! cached files the search for free pages takes longer than the disk.

use std::fs::File;

/// A new file that is open once more, so that whole blocks go to the disk and not into the cache.
#[derive(Debug)]
pub struct DirectFile {
    /// The file, open for writing.
    pub file: File,
    /// What places, lengths and addresses of memory are multiples of: a power of two, at most
    /// [`DirectFile::MAX_BLOCK`].
    pub block: u64,
}

impl DirectFile {
    /// The largest block there is: a page of any processor, and a block of any file system.
    pub const MAX_BLOCK: u64 = 64 << 10;
}

/// Files shorter than this are through the cache as soon, and are likely to be read next.
#[cfg(target_os = "linux")]
const LONG: u64 = 64 << 20;

#[cfg(target_os = "linux")]
pub(super) use linux::{open, write};

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::unix::fs::{FileExt, OpenOptionsExt};
    use std::path::Path;

    use rustix::fs::OFlags;

    use super::{DirectFile, File, LONG};
    use crate::disk::file_system::direct_block;
    use crate::disk::plain_file::is_same;

    pub(in crate::disk) fn open(path: &Path, file: &File, len: u64) -> io::Result<DirectFile> {
        let block = direct_block(file).filter(|_| len >= LONG).ok_or_else(unsupported)?;
        let flags = (OFlags::DIRECT | OFlags::NOFOLLOW).bits().cast_signed();
        let again = File::options().write(true).custom_flags(flags).open(path)?;
        // Whoever may write to the folder could have put another file under the name.
        if !is_same(&again.metadata()?, &file.metadata()?) {
            return Err(unsupported());
        }
        Ok(DirectFile { file: again, block })
    }

    pub(in crate::disk) fn write(to: &DirectFile, offset: u64, bytes: &[u8]) -> io::Result<u64> {
        match to.file.write_at(bytes, offset) {
            Ok(written) => Ok(written as u64),
            // A file system that opens such a file may still refuse to write to it.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(unsupported()),
            Err(error) => Err(error),
        }
    }

    fn unsupported() -> io::Error {
        io::ErrorKind::Unsupported.into()
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::io;
    use std::path::Path;

    use super::{DirectFile, File};

    pub(in crate::disk) fn open(_: &Path, _: &File, _: u64) -> io::Result<DirectFile> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(in crate::disk) fn write(_: &DirectFile, _: u64, _: &[u8]) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::{open, write};
