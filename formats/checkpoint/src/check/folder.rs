//! Which files of a folder are worth a check, and which are not looked at.
//!
//! A name only ever adds files: those that are called like checkpoints are checked, and of all
//! others the bytes decide. What is neither a checkpoint or pickle nor plain text is counted, so
//! that nobody takes a folder for checked that was not.

use std::collections::HashSet;
use std::fs::{self, FileType};
use std::io::Read;
use std::path::{Path, PathBuf};

use statedict_core::{Source, sorting};
use statedict_pth::{Loader, Trust, scan};

use crate::disk::System;
use crate::error::{Action, Error};
use crate::folder::InFolder;
use crate::model_folder::{Sets, led_by, named};
use crate::source::FileSource;

/// Endings of files that are checkpoints, or that some loader unpickles.
const ENDINGS: [&str; 20] = [
    "bin",
    "ckpt",
    "dill",
    "distcp",
    "joblib",
    "jit",
    "nemo",
    "npy",
    "npz",
    "pickle",
    "pkl",
    "pt",
    "pt2",
    "pth",
    "ptl",
    "safetensors",
    "sav",
    "tar",
    "th",
    "z",
];

/// What distributed checkpoints call the pickle that says where their tensors are.
const DISTRIBUTED: &str = ".metadata";

/// How deep folders are descended: deeper ones hold no checkpoints.
const MAX_DEPTH: usize = 64;

/// How much of a file is read to see whether it is text, in bytes.
const FRONT: u64 = 8 << 10;

/// Where the word `ustar` is in a tar archive.
const TAR: std::ops::Range<usize> = 257..262;

/// The most files of a folder that are named as not looked at; the others are counted.
const MAX_NAMED: usize = 1_000;

/// What a path leads to.
#[derive(Debug, Default)]
pub struct Checkable {
    /// Files that are named or begin like a checkpoint or a pickle, and folders whose files are one
    /// checkpoint though none of them leads to the others; sorted.
    pub files: Vec<PathBuf>,
    /// How many files and folders are not looked at.
    pub unread: usize,
    /// The first of them by name.
    pub unread_names: Vec<PathBuf>,
}

/// The files that a path leads to: itself, or all in the folder and below that are named or begin
/// like a checkpoint or a pickle.
///
/// Links to folders are not followed. Files that an index names come with the index, files of ranks
/// and the like with their folder. What is plain text and no pickle is left out; everything else is
/// counted as not looked at.
///
/// # Errors
/// A folder that cannot be read.
pub fn checkable(path: &Path) -> Result<Checkable, Error> {
    let mut found = Checkable::default();
    if !path.is_dir() {
        found.files.push(path.to_path_buf());
        return Ok(found);
    }
    let mut sets = Vec::new();
    descend(path, 0, &mut found, &mut sets)?;
    let mut led: HashSet<PathBuf> = found.files.iter().flat_map(|file| led_to(file)).collect();
    for (folder, sets) in sets {
        // What an index or the like elsewhere leads to is checked with that.
        if !sets.is_among(&led) {
            led.extend(sets.found.iter().flat_map(|found| all_files(found).chain([found.path()])));
            found.files.push(folder);
        }
    }
    found.files.retain(|file| !led.contains(file));
    sorting::sort(&mut found.files);
    sorting::sort(&mut found.unread_names);
    Ok(found)
}

/// The files that an index, or the like, leads to, which are checked with it.
fn led_to(file: &Path) -> Vec<PathBuf> {
    named(file).iter().flat_map(all_files).collect()
}

/// The paths of the files of a checkpoint.
fn all_files(found: &InFolder) -> impl Iterator<Item = PathBuf> {
    let files = found.files(&System).unwrap_or_default();
    files.into_iter().map(|name| found.folder.join(name))
}

/// Looks through a folder and those below; `sets` takes those of them whose files are a checkpoint
/// to which no name of a file leads.
fn descend(
    folder: &Path,
    depth: usize,
    found: &mut Checkable,
    sets: &mut Vec<(PathBuf, Sets)>,
) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::new(Action::Read, folder, error);
    let here = Sets::of(folder).map_err(|cause| Error::new(Action::Read, folder, cause))?;
    if here.is_led_by_the_folder() {
        sets.push((folder.to_path_buf(), here));
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (kind, path) = (entry.file_type().map_err(failed)?, entry.path());
        if kind.is_dir() && depth < MAX_DEPTH {
            descend(&path, depth + 1, found, sets)?;
            continue;
        }
        match look(&path, kind) {
            Looks::Checkpoint => found.files.push(path),
            Looks::Text => {}
            Looks::Other => found.leave(path),
        }
    }
    Ok(())
}

impl Checkable {
    fn leave(&mut self, path: PathBuf) {
        self.unread += 1;
        if self.unread_names.len() < MAX_NAMED {
            self.unread_names.push(path);
        }
    }
}

/// What a file looks like.
enum Looks {
    /// By its name or its bytes it is a checkpoint, or something that is unpickled.
    Checkpoint,
    /// Plain text that is not a pickle.
    Text,
    /// Anything else, and whatever is not a regular file.
    Other,
}

fn look(path: &Path, kind: FileType) -> Looks {
    // Opening a pipe would wait for its other end.
    let is_regular = if kind.is_symlink() { path.is_file() } else { kind.is_file() };
    if !is_regular {
        return Looks::Other;
    }
    if is_named_like_one(path) {
        return Looks::Checkpoint;
    }
    let mut front = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(FRONT).read_to_end(&mut front));
    match read {
        Ok(_) if begins_like_one(&front) || is_pickle(path) => Looks::Checkpoint,
        Ok(_) if is_text(&front) => Looks::Text,
        _ => Looks::Other,
    }
}

fn is_named_like_one(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if led_by(&name).is_some() {
        return true;
    }
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    name == DISTRIBUTED || ENDINGS.contains(&ending)
}

/// True for what begins like an archive, an array, a pickle of protocol 2 or later, or what gzip
/// packed.
fn begins_like_one(front: &[u8]) -> bool {
    let begins = matches!(
        front,
        [0x80, 0..=5, ..] | [b'P', b'K', 3, 4, ..] | [0x93, b'N', ..] | [0x1f, 0x8b, 8, ..]
    );
    begins || front.get(TAR) == Some(&b"ustar"[..])
}

/// True for pickles of whatever protocol, the oldest of which are text.
fn is_pickle(path: &Path) -> bool {
    let Ok(source) = fs::File::open(path).and_then(FileSource::from_file) else { return false };
    let scanned = scan(&source, 0..source.len(), Trust::Guess, Loader::Python);
    scanned.is_ok_and(|found| {
        let is_whole = source.len() > 0 && found.end == source.len();
        is_whole || !found.findings.is_empty()
    })
}

/// True for UTF-8 without control characters; a character may be cut at the end.
fn is_text(front: &[u8]) -> bool {
    let text = match std::str::from_utf8(front) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&front[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\x0c' | '\x1b'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[PathBuf], folder: &Path) -> Vec<String> {
        let name = |path: &PathBuf| path.strip_prefix(folder).expect("inside").to_path_buf();
        paths.iter().map(|path| name(path).to_string_lossy().into_owned()).collect()
    }

    fn write(folder: &Path, name: &str, bytes: &[u8]) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("can be made");
        fs::write(path, bytes).expect("writable");
    }

    #[test]
    fn a_folder_stands_for_what_is_named_or_begins_like_a_checkpoint() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| write(folder.path(), name, bytes);
        write("a.pth", b"");
        write("notes.txt", b"words");
        write("hidden.txt", b"\x80\x02}q\0.");
        write("sub/b.NPZ", b"");
        write("m.bin.index.json", br#"{"weight_map":{"w":"m-1.bin"}}"#);
        write("m-1.bin", b"");
        let found = checkable(folder.path()).expect("readable");
        assert_eq!(
            names(&found.files, folder.path()),
            ["a.pth", "hidden.txt", "m.bin.index.json", "sub/b.NPZ"]
        );
        assert_eq!(found.unread, 0);
    }

    #[test]
    fn what_is_unpickled_is_found_whatever_it_is_called() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| write(folder.path(), name, bytes);
        let mut tar = vec![0; 1024];
        tar[..5].copy_from_slice(b"w.bin");
        tar[TAR].copy_from_slice(b"ustar");
        write("dcp/.metadata", b"cposix\nsystem\n(S'true'\ntR.");
        write("model.sav", b"x");
        write("model.pkl.z", b"x");
        write("model.pkl.gz", b"x");
        write("model.nemo", b"x");
        write("packed", b"\x1f\x8b\x08\0rest");
        write("packed.model", &tar);
        write("readme.md", b"cposix\nsystem\n(S'true'\ntR.");
        write("list.txt", b"(lp0\nI1\na.");
        let found = checkable(folder.path()).expect("readable");
        let expected = [
            "dcp/.metadata",
            "list.txt",
            "model.nemo",
            "model.pkl.gz",
            "model.pkl.z",
            "model.sav",
            "packed",
            "packed.model",
            "readme.md",
        ];
        assert_eq!(names(&found.files, folder.path()), expected);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_looked_at_is_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, bytes: &[u8]| write(folder.path(), name, bytes);
        write("a.pth", b"");
        write("a.7z", b"7z\xbc\xaf\x27\x1c");
        write("a.xz", b"\xfd7zXZ\0");
        write("logo.png", b"\x89PNG\r\n\x1a\n\0\0");
        write("config.json", b"{}");
        write("empty", b"");
        std::os::unix::fs::symlink("/", folder.path().join("link")).expect("room");
        std::os::unix::fs::symlink("nowhere", folder.path().join("broken")).expect("room");
        let found = checkable(folder.path()).expect("readable");
        let expected = ["a.7z", "a.xz", "broken", "link", "logo.png"];
        assert_eq!(names(&found.unread_names, folder.path()), expected);
        assert_eq!((names(&found.files, folder.path()), found.unread), (vec!["a.pth".into()], 5));
    }
}
