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

#[cfg(target_os = "linux")]
impl PrependSupport {
    /// What the file's own file system can do; asking it may still show that it cannot.
    pub(crate) fn of(file: &File) -> PrependSupport {
        // The numbers that statfs(2) has for them.
        const EXT4: u64 = 0xEF53;
        const XFS: u64 = 0x5846_5342;
        const F2FS: u64 = 0xF2F5_2010;
        const BTRFS: u64 = 0x9123_683E;
        let Ok(system) = rustix::fs::fstatfs(file) else { return PrependSupport::Copy };
        let block = system.f_bsize as u64;
        match system.f_type as u64 & 0xFFFF_FFFF {
            _ if block == 0 => PrependSupport::Copy,
            EXT4 | XFS | F2FS => PrependSupport::Insert { block },
            BTRFS => PrependSupport::Share { block },
            _ => PrependSupport::Copy,
        }
    }
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
