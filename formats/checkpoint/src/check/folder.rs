//! Which files of a folder are worth a check.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Action, Error};
use crate::index::is_index;
use crate::shards::read_index;

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
    let shards: HashSet<PathBuf> = files.iter().flat_map(|file| shards(file)).collect();
    files.retain(|file| !shards.contains(file));
    Ok(files)
}

/// The files that an index names, which are checked with it.
fn shards(file: &Path) -> Vec<PathBuf> {
    let folder = file.parent().unwrap_or(Path::new(""));
    match is_index(file).then(|| read_index(file)) {
        Some(Ok(index)) => index.files().into_iter().map(|name| folder.join(name)).collect(),
        _ => Vec::new(),
    }
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
    let extension = path.extension().and_then(|extension| extension.to_str());
    let extension = extension.unwrap_or_default().to_ascii_lowercase();
    is_index(path) || ENDINGS.contains(&extension.as_str()) || begins_like_one(path)
}

/// True for files that begin like an archive, an array or a pickle of protocol 2 or later.
fn begins_like_one(path: &Path) -> bool {
    let mut front = [0; 6];
    let read = fs::File::open(path).and_then(|mut file| file.read_exact(&mut front));
    read.is_ok() && matches!(front, [0x80, 0..=5, ..] | [b'P', b'K', 3, 4, ..] | [0x93, b'N', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_what_is_named_or_begins_like_a_checkpoint() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("can be made");
            fs::write(path, bytes).expect("writable");
        };
        write("a.pth", b"");
        write("notes.txt", b"words");
        write("hidden.txt", b"\x80\x02}q\0.");
        write("sub/b.NPZ", b"");
        write("m.bin.index.json", br#"{"weight_map":{"w":"m-1.bin"}}"#);
        write("m-1.bin", b"");
        let files = checkable(folder.path()).expect("readable");
        let names = files.iter().map(|file| file.strip_prefix(folder.path()).expect("inside"));
        let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
        assert_eq!(names, ["a.pth", "hidden.txt", "m.bin.index.json", "sub/b.NPZ"]);
    }
}
