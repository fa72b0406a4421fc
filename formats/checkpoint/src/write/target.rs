//! What exists where a new file is to go, and what else may not be changed without a word.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::disk::plain_file::{check_regular, special};
use crate::disk::{Existing, folder};
use crate::error::Cause;

/// How many links a path may lead through, as on Linux.
const MAX_LINKS: usize = 40;

/// Refuses a target that exists, unless it is a file, or a link to one, and may be replaced.
pub(crate) fn check_target(out: &Path, existing: Existing) -> Result<(), Cause> {
    if out.file_name().is_none() {
        return Err(Cause::NotAFile("a directory"));
    }
    match fs::symlink_metadata(out) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
        Ok(there) => {
            if there.is_symlink() {
                check_link(out)?
            } else {
                check_regular(there.file_type())?
            }
            match existing {
                Existing::Refuse => Err(Cause::AlreadyExists),
                Existing::Replace => Ok(()),
            }
        }
    }
}

/// Judges a link by what it leads to: replacing `/dev/stdout` would take it from every program.
fn check_link(link: &Path) -> Result<(), Cause> {
    if leads_through_the_system(link)? {
        return Err(Cause::LeadsTo("an open file or device of the system"));
    }
    match fs::metadata(link) {
        Ok(there) => special(there.file_type()).map_or(Ok(()), |what| Err(Cause::LeadsTo(what))),
        // A link that leads nowhere is in nobody's way.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// True if a link, or one that it leads to, is in `/dev` or `/proc` or leads there; what it leads
/// to at last may be a regular file, where a program's output is one.
fn leads_through_the_system(link: &Path) -> Result<bool, Cause> {
    let mut path = link.to_path_buf();
    for _ in 0..MAX_LINKS {
        if is_of_the_system(&path) {
            return Ok(true);
        }
        match fs::read_link(&path) {
            Ok(target) => path = folder(&path).join(target),
            Err(_) => return Ok(false),
        }
    }
    Err(io::Error::other("it leads through too many links").into())
}

fn is_of_the_system(path: &Path) -> bool {
    let Ok(folder) = fs::canonicalize(folder(path)) else { return false };
    let mut parts = folder.components().skip_while(|part| *part == Component::RootDir);
    cfg!(unix)
        && folder.is_absolute()
        && parts
            .next()
            .is_some_and(|first| ["dev", "proc"].iter().any(|it| first.as_os_str() == *it))
}

/// A file that an edit in place would change although something speaks against it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protected {
    /// The file, as it was named.
    pub file: PathBuf,
    /// What speaks against it.
    pub by: Protection,
}

/// What speaks against editing a file in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Its mode says that its owner does not write to it.
    ReadOnly,
    /// It is a symbolic link to this file, which others may lead to as well.
    Link(PathBuf),
}

/// What speaks against replacing a file whose links are followed.
pub(crate) fn protection(file: &Path) -> Option<Protected> {
    let by = match fs::read_link(file) {
        Ok(target) => Protection::Link(target),
        Err(_) if is_read_only(file) => Protection::ReadOnly,
        Err(_) => return None,
    };
    Some(Protected { file: file.to_path_buf(), by })
}

/// What speaks against replacing a file that is one of several, where a link is replaced itself.
pub(crate) fn protection_of_shard(file: &Path) -> Option<Protected> {
    let is_protected = !file.is_symlink() && is_read_only(file);
    is_protected.then(|| Protected { file: file.to_path_buf(), by: Protection::ReadOnly })
}

/// What the mode says, not what the system would allow: it allows root everything.
#[cfg(unix)]
fn is_read_only(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    const OWNER_WRITES: u32 = 0o200;
    fs::metadata(file).is_ok_and(|there| there.permissions().mode() & OWNER_WRITES == 0)
}

#[cfg(not(unix))]
fn is_read_only(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|there| there.permissions().readonly())
}
