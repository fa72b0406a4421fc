//! The disk as the system has it.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::ops::Range;
use std::path::Path;

use tempfile::{PathPersistError, TempPath};

use super::file_system::sync_folder;
use super::{Access, DirectFile, Disk, Existing, Identity, PrependSupport, Secret, direct};

/// The real disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Disk for System {
    fn front(&self, file: &File) -> PrependSupport {
        PrependSupport::of(file)
    }

    fn identity(&self, file: &File) -> io::Result<Identity> {
        Identity::of(file)
    }

    fn secret(&self) -> Option<Secret> {
        Secret::of_user()
    }

    fn make_secret(&self) -> Option<Secret> {
        Secret::made()
    }

    fn create(&self, path: &Path, access: Access) -> io::Result<File> {
        let mut options = File::options();
        options.read(true).write(true).create_new(true);
        if access == Access::Private {
            make_private(&mut options);
        }
        options.open(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        File::options().read(true).write(true).open(path)
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn write_at(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        write_all_at(file, offset, bytes)
    }

    fn open_direct(&self, path: &Path, file: &File, len: u64) -> io::Result<DirectFile> {
        direct::open(path, file, len)
    }

    fn write_direct(&self, file: &DirectFile, offset: u64, bytes: &[u8]) -> io::Result<u64> {
        direct::write(file, offset, bytes)
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)
    }

    fn reserve(&self, file: &File, len: u64) -> io::Result<()> {
        blocks::reserve(file, len)
    }

    fn insert(&self, file: &File, offset: u64, len: u64) -> io::Result<()> {
        blocks::insert(file, offset, len)
    }

    fn collapse(&self, file: &File, offset: u64, len: u64) -> io::Result<()> {
        blocks::collapse(file, offset, len)
    }

    fn clone_file(&self, from: &File, to: &File) -> io::Result<()> {
        blocks::clone(from, to)
    }

    fn copy(&self, from: &File, range: Range<u64>, to: &File, offset: u64) -> io::Result<u64> {
        blocks::copy(from, range, to, offset)
    }

    fn adopt(&self, file: &File, like: &Metadata) -> io::Result<()> {
        adopt(file, like)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        sync_folder(folder)
    }

    fn rename(&self, from: &Path, to: &Path, existing: Existing) -> io::Result<()> {
        match existing {
            Existing::Replace => fs::rename(from, to),
            Existing::Refuse => {
                let renamed = TempPath::try_from_path(from)?.persist_noclobber(to);
                renamed.map_err(|PathPersistError { error, path }| {
                    // Removing it is the caller's business, who may be a test of what is left.
                    let _ = path.keep();
                    error
                })
            }
        }
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }
}

#[cfg(unix)]
fn make_private(options: &mut OpenOptions) {
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
}

#[cfg(not(unix))]
fn make_private(_: &mut OpenOptions) {}

#[cfg(unix)]
fn write_all_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

#[cfg(windows)]
fn write_all_at(file: &File, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match std::os::windows::fs::FileExt::seek_write(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => {
                bytes = &bytes[written..];
                offset += written as u64;
            }
        }
    }
    Ok(())
}

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

/// What only some file systems can do with blocks.
#[cfg(target_os = "linux")]
mod blocks {
    use super::*;
    use rustix::fs::{FallocateFlags, copy_file_range, fallocate, ioctl_ficlone};
    use rustix::io::Errno;

    /// Errors that say that the file system cannot do it, or not with these files.
    const CANNOT: [Errno; 5] =
        [Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL, Errno::XDEV, Errno::NOTTY];

    fn io_error(errno: Errno) -> io::Error {
        if CANNOT.contains(&errno) {
            io::Error::new(io::ErrorKind::Unsupported, io::Error::from(errno))
        } else {
            errno.into()
        }
    }

    pub(super) fn reserve(file: &File, len: u64) -> io::Result<()> {
        fallocate(file, FallocateFlags::KEEP_SIZE, 0, len).map_err(io_error)
    }

    pub(super) fn insert(file: &File, offset: u64, len: u64) -> io::Result<()> {
        fallocate(file, FallocateFlags::INSERT_RANGE, offset, len).map_err(io_error)
    }

    pub(super) fn collapse(file: &File, offset: u64, len: u64) -> io::Result<()> {
        fallocate(file, FallocateFlags::COLLAPSE_RANGE, offset, len).map_err(io_error)
    }

    pub(super) fn clone(from: &File, to: &File) -> io::Result<()> {
        ioctl_ficlone(to, from).map_err(io_error)
    }

    pub(super) fn copy(
        from: &File,
        range: Range<u64>,
        to: &File,
        mut offset: u64,
    ) -> io::Result<u64> {
        let mut start = range.start;
        let len = usize::try_from(range.end.saturating_sub(start)).unwrap_or(usize::MAX);
        let copied = copy_file_range(from, Some(&mut start), to, Some(&mut offset), len);
        copied.map(|bytes| bytes as u64).map_err(io_error)
    }
}

#[cfg(not(target_os = "linux"))]
mod blocks {
    use super::*;

    fn cannot<T>() -> io::Result<T> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn reserve(_: &File, _: u64) -> io::Result<()> {
        cannot()
    }

    pub(super) fn insert(_: &File, _: u64, _: u64) -> io::Result<()> {
        cannot()
    }

    pub(super) fn collapse(_: &File, _: u64, _: u64) -> io::Result<()> {
        cannot()
    }

    pub(super) fn clone(_: &File, _: &File) -> io::Result<()> {
        cannot()
    }

    pub(super) fn copy(_: &File, _: Range<u64>, _: &File, _: u64) -> io::Result<u64> {
        cannot()
    }
}
