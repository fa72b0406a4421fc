//! What is in a folder, by name.

use std::fs;
use std::path::Path;

use statedict_core::sorting;

use crate::error::Cause;

/// The names of what is in a folder, sorted.
#[derive(Default)]
pub(super) struct Names {
    /// Those of folders, too, with a slash behind them.
    pub(super) files: Vec<String>,
    pub(super) folders: Vec<String>,
}

/// The names of what is in a folder; links are followed, as hub caches need.
pub(super) fn names(folder: &Path) -> Result<Names, Cause> {
    let mut names = Names::default();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Names that are not text are not those of checkpoints.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let Ok(there) = fs::metadata(entry.path()) else { continue };
        if there.is_dir() {
            names.files.push(format!("{name}/"));
            names.folders.push(name);
        } else {
            names.files.push(name);
        }
    }
    sorting::sort(&mut names.files);
    sorting::sort(&mut names.folders);
    Ok(names)
}
