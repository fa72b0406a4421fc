//! Checkpoints that are not part of the repository, where there are such.

use std::env;
use std::path::{Path, PathBuf};

/// A folder below the one that `STATEDICT_CORPUS` names; `None`, which is said, if it names none.
pub fn corpus(name: &str) -> Option<PathBuf> {
    let Some(folder) = env::var_os("STATEDICT_CORPUS").filter(|folder| !folder.is_empty()) else {
        println!("skipped: STATEDICT_CORPUS names no folder");
        return None;
    };
    let folder = Path::new(&folder).join(name);
    assert!(folder.is_dir(), "{} is not a folder", folder.display());
    Some(folder)
}
