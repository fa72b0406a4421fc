//! What journals are known by: a secret of this user, and what a file is on this machine.
//!
//! The secret is 32 random bytes in `statedict/secret` below the user's folder for state
//! (`$XDG_STATE_HOME`, `~/.local/state`, `%LOCALAPPDATA%`), which nobody else may read. It never
//! leaves the machine: a journal holds a hash that only its holder can make.

use std::env;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Bytes of the secret, and of the seals made with it.
const LEN: usize = 32;

/// What only this user knows.
#[derive(Clone)]
pub struct Secret([u8; LEN]);

/// What a file is on this machine; a copy of it is another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The number of the device it is on, which may be another after a restart.
    pub device: u64,
    /// The number of the file system it is on, which some do not have.
    pub volume: u64,
    /// The number of the file there.
    pub inode: u64,
}

impl Secret {
    /// The secret that these bytes are.
    pub fn new(bytes: [u8; LEN]) -> Secret {
        Secret(bytes)
    }

    /// What only who knows the secret can make of a sum; both are of fixed length, so that nothing
    /// can be appended.
    pub(crate) fn seal(&self, sum: &[u8; LEN]) -> [u8; LEN] {
        let mut hasher = Sha256::new();
        hasher.update(b"statedict journal");
        hasher.update(self.0);
        hasher.update(sum);
        hasher.finalize().into()
    }

    /// This user's, if there is one that nobody else may read.
    pub(super) fn of_user() -> Option<Secret> {
        read(&state_folder()?)
    }

    /// This user's, made if there is none; `None` where none can be kept.
    pub(super) fn made() -> Option<Secret> {
        let folder = state_folder()?;
        read(&folder).or_else(|| {
            // Who came first made it.
            let _ = make(&folder);
            read(&folder)
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Identity {
    /// What a file is.
    #[cfg(unix)]
    pub(super) fn of(file: &File) -> io::Result<Identity> {
        use std::os::unix::fs::MetadataExt;
        let there = file.metadata()?;
        let volume = rustix::fs::fstatvfs(file).map_or(0, |system| system.f_fsid);
        Ok(Identity { device: there.dev(), volume, inode: there.ino() })
    }

    /// What a file is; its name and its bytes have to do.
    #[cfg(not(unix))]
    pub(super) fn of(_: &File) -> io::Result<Identity> {
        Ok(Identity::default())
    }

    /// True if both are one file: devices are renumbered when a machine starts, and some file
    /// systems have no number of their own.
    pub(crate) fn is_same(&self, other: &Identity) -> bool {
        let same_volume = self.volume != 0 && self.volume == other.volume;
        self.inode == other.inode && (self.device == other.device || same_volume)
    }
}

/// The folder of this program below the user's folder for state, which is the user's own.
#[cfg(not(windows))]
fn state_folder() -> Option<PathBuf> {
    let named = env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let (owned, state) = match named {
        Some(state) => (state.clone(), state),
        None => {
            let home = env::home_dir().filter(|home| home.is_absolute())?;
            (home.clone(), home.join(".local/state"))
        }
    };
    // Somebody else's home, as `sudo` may leave it set, is not a place for a secret of this user.
    let is_foreign = fs::metadata(owned).is_ok_and(|there| !is_own(&there));
    (!is_foreign).then(|| state.join("statedict"))
}

#[cfg(windows)]
fn state_folder() -> Option<PathBuf> {
    let state = env::var_os("LOCALAPPDATA").map(PathBuf::from)?;
    state.is_absolute().then(|| state.join("statedict"))
}

#[cfg(unix)]
fn is_own(there: &fs::Metadata) -> bool {
    std::os::unix::fs::MetadataExt::uid(there) == rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn is_own(_: &fs::Metadata) -> bool {
    true
}

/// True for what nobody else may read or write.
#[cfg(unix)]
fn is_private(there: &fs::Metadata) -> bool {
    is_own(there) && std::os::unix::fs::MetadataExt::mode(there) & 0o077 == 0
}

#[cfg(not(unix))]
fn is_private(_: &fs::Metadata) -> bool {
    true
}

fn read(folder: &Path) -> Option<Secret> {
    let path = folder.join("secret");
    let there = fs::symlink_metadata(&path).ok()?;
    let is_sound = there.is_file() && is_private(&there) && there.len() == LEN as u64;
    let bytes = is_sound.then(|| fs::read(&path).ok()).flatten()?;
    bytes.try_into().ok().map(Secret)
}

/// Makes the secret in one step, so that it is found whole or not at all.
fn make(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.recursive(true).create(folder)?;
    let mut bytes = [0; LEN];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    // Nobody else may read the temporary file either.
    let mut file = tempfile::Builder::new().prefix(".secret-").tempfile_in(folder)?;
    file.write_all(&bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(folder.join("secret")).map_err(|error| error.error)?;
    super::file_system::sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_is_nobody_elses() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("a/b");
        assert!(read(&state).is_none());
        make(&state).expect("made");
        let secret = read(&state).expect("there");
        make(&state).expect_err("there already");
        assert_eq!(read(&state).expect("there").0, secret.0);
        assert_ne!(secret.0, [0; LEN]);
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_that_others_may_read_is_none() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().expect("a folder");
        make(folder.path()).expect("made");
        let path = folder.path().join("secret");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("own");
        assert!(read(folder.path()).is_none());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("own");
        assert!(read(folder.path()).is_some());
        fs::rename(&path, folder.path().join("moved")).expect("own");
        symlink(folder.path().join("moved"), &path).expect("room");
        assert!(read(folder.path()).is_none());
    }

    #[test]
    fn a_file_is_known_by_its_number_and_that_of_its_device_or_its_file_system() {
        let identity = |device, volume, inode| Identity { device, volume, inode };
        let file = identity(1, 7, 9);
        assert!(file.is_same(&identity(1, 0, 9)));
        assert!(file.is_same(&identity(2, 7, 9)));
        assert!(!file.is_same(&identity(1, 7, 8)));
        assert!(!file.is_same(&identity(2, 8, 9)));
        assert!(!identity(1, 0, 9).is_same(&identity(2, 0, 9)));
    }
}
