//! Which files of a folder are worth a check.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Action, Error};

/// Endings of files that are checkpoints, or that some loader unpickles.
const ENDINGS: [&str; 17] = [
    "bin",
    "ckpt",
    "dill",
    "distcp",
    "joblib",
    "jit",
    "npy",
    "npz",
    "pickle",
    "pkl",
    "pt",
    "pt2",
    "pth",
    "ptl",
    "safetensors",
    "tar",
    "th",
];

/// How deep folders are descended: deeper ones are no place for checkpoints.
const MAX_DEPTH: usize = 64;

/// The files that a path leads to: itself, or all in the folder and below that are named or begin
/// like a checkpoint or a pickle, sorted.
///
/// Links to folders are not followed. Files that an index names come with the index.
///
/// # Errors
/// A folder that cannot be read.
pub fn checkable(path: &Path) -> Result<Vec<PathBuf>, Error> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = Vec::new();
    descend(path, 0, &mut files)?;
    files.sort();
    Ok(files)
}

fn descend(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::new(Action::Read, folder, error);
    if depth > MAX_DEPTH {
        return Ok(());
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (kind, path) = (entry.file_type().map_err(failed)?, entry.path());
        if kind.is_dir() {
            descend(&path, depth + 1, files)?;
        } else if path.is_file() && is_of_interest(&path) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_of_interest(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let extension = path.extension().and_then(|extension| extension.to_str());
    let extension = extension.unwrap_or_default().to_ascii_lowercase();
    let is_index = name.ends_with(".json") && name.contains(".index.");
    is_index || ENDINGS.contains(&extension.as_str()) || begins_like_one(path)
}

/// True for files that begin like an archive, an array or a pickle of protocol 2 or later.
fn begins_like_one(path: &Path) -> bool {
    let mut front = [0; 6];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut front));
    read.is_ok() && matches!(front, [0x80, 0..=5, ..] | [b'P', b'K', 3, 4, ..] | [0x93, b'N', ..])
}
