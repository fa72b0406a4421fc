//! What the file system of a file can do with whole blocks.

use std::fs::File;
use std::io;
use std::path::Path;

/// How bytes can be put in front of a file without copying what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrependSupport {
    /// Blocks are inserted into the file.
    Insert {
        /// Their length in bytes.
        block: u64,
    },
    /// Another file shares the blocks further back.
    Share {
        /// Their length in bytes.
        block: u64,
    },
    /// Not at all.
    Copy,
}

/// The numbers that statfs(2) has for file systems.
#[cfg(target_os = "linux")]
mod magic {
    pub(super) const EXT4: u64 = 0xEF53;
    pub(super) const XFS: u64 = 0x5846_5342;
    pub(super) const F2FS: u64 = 0xF2F5_2010;
    pub(super) const BTRFS: u64 = 0x9123_683E;
}

/// The number of a file's file system, and the length of its blocks.
#[cfg(target_os = "linux")]
fn system_of(file: &File) -> Option<(u64, u64)> {
    let system = rustix::fs::fstatfs(file).ok()?;
    Some((system.f_type as u64 & 0xFFFF_FFFF, system.f_bsize as u64))
}

#[cfg(target_os = "linux")]
impl PrependSupport {
    /// What the file's own file system can do; asking it may still show that it cannot.
    pub(crate) fn of(file: &File) -> PrependSupport {
        use magic::{BTRFS, EXT4, F2FS, XFS};
        match system_of(file) {
            None | Some((_, 0)) => PrependSupport::Copy,
            Some((EXT4 | XFS | F2FS, block)) => PrependSupport::Insert { block },
            Some((BTRFS, block)) => PrependSupport::Share { block },
            Some(_) => PrependSupport::Copy,
        }
    }
}

/// The unit in which a file's own file system writes past its cache, where that is known to keep what
/// is written through the cache beside it: on a disk of this machine.
///
/// No page of the cache has some of a block that is written so and some of another.
#[cfg(target_os = "linux")]
pub(super) fn direct_block(file: &File) -> Option<u64> {
    let (system, block) = system_of(file)?;
    let block = block.max(rustix::param::page_size() as u64);
    let is_known = matches!(system, magic::EXT4 | magic::XFS);
    let is_unit = block.is_power_of_two() && block <= super::DirectFile::MAX_BLOCK;
    (is_known && is_unit).then_some(block)
}

#[cfg(not(target_os = "linux"))]
impl PrependSupport {
    /// Only Linux has such calls.
    pub(crate) fn of(_: &File) -> PrependSupport {
        PrependSupport::Copy
    }
}

/// Waits until the names in a folder are on the disk.
#[cfg(unix)]
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        // Some file systems cannot sync folders, and keep renames in order without it.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        synced => synced,
    }
}

#[cfg(not(unix))]
pub(super) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
