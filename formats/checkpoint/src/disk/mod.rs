//! The one place through which the disk is changed.
//!
//! Reading goes past it. What a crash leaves between any two of these calls is tested by a disk
//! that stops after the n-th, and what an error at any of them leaves by one that fails at it.

mod direct;
mod file_system;
pub(crate) mod page_cache;
pub(crate) mod plain_file;
mod secret;
mod system;
pub(crate) mod temp_file;

use std::fmt::Debug;
use std::fs::{File, Metadata};
use std::io;
use std::ops::Range;
use std::path::{Component, Path};
use std::thread;
use std::time::Duration;

pub use direct::DirectFile;
pub use file_system::PrependSupport;
pub use secret::{Identity, Secret};
pub use system::System;
pub use temp_file::remove_unplaced;

/// How long one waits for others who have a file; an edit in place takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who may use a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Its maker alone, until it is given the mode of another file.
    Private,
    /// Whoever may use the files that this user makes: the mode is what the umask leaves.
    Usual,
}

/// What to do with an existing file at the target's path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Leave it and fail, also if it appears while the new one is written.
    #[default]
    Refuse,
    /// Replace it; a symbolic link to a file is replaced itself, what it leads to stays.
    Replace,
}

/// Everything that changes the disk, one method for each call to the system.
///
/// [`System`] is the real one; others exist to test what failures leave behind.
///
/// # Errors
/// Every method gives what the system says. What a file system cannot do is
/// [`io::ErrorKind::Unsupported`], whatever the system calls it.
pub trait Disk: Debug + Send + Sync {
    /// How bytes can be put in front of a file; asking changes nothing.
    fn front(&self, file: &File) -> PrependSupport;

    /// What an open file is on this machine.
    fn identity(&self, file: &File) -> io::Result<Identity>;

    /// This user's secret, by which journals are known; `None` if there is none.
    fn secret(&self) -> Option<Secret>;

    /// The same, made if there is none; `None` where none can be kept.
    fn make_secret(&self) -> Option<Secret>;

    /// Makes a file that is not there yet, for reading and writing.
    fn create(&self, path: &Path, access: Access) -> io::Result<File>;

    /// Opens a file that is there, for reading and writing; changes nothing yet.
    fn open(&self, path: &Path) -> io::Result<File>;

    /// Makes a folder that is not there yet.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Writes all the bytes at a place of the file.
    fn write_at(&self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Opens a new file, which is at this path and is to have this length, once more, to write whole
    /// blocks of it past the system's cache; unsupported where that gains nothing.
    fn open_direct(&self, path: &Path, file: &File, len: u64) -> io::Result<DirectFile>;

    /// Writes whole blocks past the system's cache and gives how many bytes, which may be fewer.
    fn write_direct(&self, file: &DirectFile, offset: u64, bytes: &[u8]) -> io::Result<u64>;

    /// Cuts the file, or makes it longer by a hole.
    fn set_len(&self, file: &File, len: u64) -> io::Result<()>;

    /// Takes space for a file of this length, so that writing does not run out of it.
    fn reserve(&self, file: &File, len: u64) -> io::Result<()>;

    /// Moves everything from `offset` on further back and leaves a hole; whole blocks only.
    fn insert(&self, file: &File, offset: u64, len: u64) -> io::Result<()>;

    /// Takes a range away and moves what follows it to the front; whole blocks only.
    fn collapse(&self, file: &File, offset: u64, len: u64) -> io::Result<()>;

    /// Makes `to` share everything that `from` holds.
    fn clone_file(&self, from: &File, to: &File) -> io::Result<()>;

    /// Copies bytes of one file to a place in another and gives how many, which may be fewer.
    fn copy(&self, from: &File, range: Range<u64>, to: &File, offset: u64) -> io::Result<u64>;

    /// Gives the file the mode of another, and its owner where that is permitted.
    fn adopt(&self, file: &File, like: &Metadata) -> io::Result<()>;

    /// Waits until the file's bytes are on the disk.
    fn sync(&self, file: &File) -> io::Result<()>;

    /// Waits until the names in the folder are on the disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Gives a file another name in one step.
    fn rename(&self, from: &Path, to: &Path, existing: Existing) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder, if nothing is in it.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// Waits a little for others to release a file; false if `waited` has been long enough.
    fn wait(&self, waited: Duration) -> bool {
        if waited > PATIENCE {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
        true
    }
}

/// The folder that a path is in.
pub(crate) fn folder(out: &Path) -> &Path {
    match out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// True for the name of a file in a folder or below: a relative path that does not climb.
pub(crate) fn stays_inside(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(['\0', '\\'])
        && Path::new(name).components().all(|part| matches!(part, Component::Normal(_)))
}
