//! Several files of one command: which words are files, and where what is made of each goes.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use statedict::checkpoint::ending;
use statedict::core::Format;
use statedict::core::IndexSet;
use statedict::jobs::rename::Destination;

use crate::failure::Failure;
use crate::outcome;
use crate::terminal::OutputFormat;

/// What is asked of each of some files.
pub(crate) struct Several<T> {
    pub(crate) requests: Vec<T>,
    /// The folder that new files are written into, which may not be there yet.
    folder: Option<PathBuf>,
}

/// Whether something is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    Done,
    Shown,
}

/// Files, and where what is made of each goes.
pub(crate) struct Placed {
    files: Vec<(PathBuf, Destination)>,
    folder: Option<PathBuf>,
}

impl Placed {
    /// Each in its own place, or in a folder under its own name, with the extension of a format that
    /// was asked for.
    pub(crate) fn of(
        files: Vec<PathBuf>,
        destination: Destination,
        format: Option<&dyn Format>,
        writing: Writing,
    ) -> Result<Placed, Failure> {
        let is_alone = files.len() == 1;
        let folder = match destination {
            Destination::File(folder) if !is_alone || is_folder_for(&folder, &files[0], format) => {
                folder
            }
            Destination::Nowhere if !is_alone && writing == Writing::Done => {
                return Err(unplaced());
            }
            other => {
                return Ok(Placed::as_said(files, other));
            }
        };
        if ending(&folder).is_some() && !folder.is_dir() {
            let error = "cannot be used with several files: expected a folder";
            return Err(Failure::could_not(format_args!("'{}' {error}", folder.display())));
        }
        let mut taken = IndexSet::default();
        for file in &files {
            let new = folder.join(new_name(file, format)?);
            if let Some(twice) = taken.replace(new) {
                let twice = twice.display();
                let error = format!("several of the files would be written to '{twice}'");
                return Err(Failure::could_not(error).hint("write them into folders of their own"));
            }
        }
        let files = files.into_iter().zip(taken.into_iter().map(Destination::File)).collect();
        Ok(Placed { files, folder: Some(folder).filter(|_| writing == Writing::Done) })
    }

    /// What is made of each goes where it is said, which is no new file of several.
    pub(crate) fn as_said(files: Vec<PathBuf>, destination: Destination) -> Placed {
        let files = files.into_iter().map(|file| (file, destination.clone())).collect();
        Placed { files, folder: None }
    }

    /// The requests that these are.
    pub(crate) fn into_requests<T>(
        self,
        request: impl Fn(PathBuf, Destination) -> T,
    ) -> Several<T> {
        let requests = self.files.into_iter().map(|(file, place)| request(file, place)).collect();
        Several { requests, folder: self.folder }
    }

    pub(crate) fn is_one(&self) -> bool {
        self.files.len() == 1
    }
}

impl<T> Several<T> {
    /// A request of its own.
    pub(crate) fn one(request: T) -> Several<T> {
        Several::to_read(vec![request])
    }

    /// What writes no new file.
    pub(crate) fn to_read(requests: Vec<T>) -> Several<T> {
        Several { requests, folder: None }
    }

    pub(crate) fn map<U>(self, change: impl Fn(T) -> U) -> Several<U> {
        let requests = self.requests.into_iter().map(change).collect();
        Several { requests, folder: self.folder }
    }

    /// Does all of it; what one fails with does not stop the others.
    pub(crate) fn run(
        &self,
        format: OutputFormat,
        out: &mut dyn Write,
        work: impl Fn(&T, &mut dyn Write) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let Some(folder) = self.folder.as_ref().filter(|folder| !folder.is_dir()) else {
            return outcome::each(&self.requests, format, out, work);
        };
        fs::create_dir_all(folder).map_err(|error| Failure::in_file(folder, &error))?;
        let result = outcome::each(&self.requests, format, out, work);
        // A folder that nothing was written into goes again, and any other stays.
        let _ = fs::remove_dir(folder);
        result
    }
}

/// Parts words that may be rules or files. What has the extension of a checkpoint is a file; the last
/// word is one as well, unless only others are.
pub(crate) fn parted(words: Vec<String>, last: PathBuf) -> (Vec<String>, Vec<PathBuf>) {
    let (files, mut rules): (Vec<String>, Vec<String>) =
        words.into_iter().partition(|word| is_file(word));
    let mut files: Vec<PathBuf> = files.into_iter().map(PathBuf::from).collect();
    match last.to_str() {
        Some(word) if !files.is_empty() && !is_file(word) && !last.exists() => {
            rules.push(word.into());
        }
        _ => files.push(last),
    }
    (rules, files)
}

/// The files and the patterns of a command that begins with a file: what is there as a file is one, and
/// so is what has the extension of a checkpoint.
pub(crate) fn files_among(first: PathBuf, more: Vec<String>) -> (Vec<PathBuf>, Vec<String>) {
    let is_file = |word: &String| Path::new(word).exists() || ending(Path::new(word)).is_some();
    let (files, patterns): (Vec<String>, Vec<String>) = more.into_iter().partition(is_file);
    ([first].into_iter().chain(files.into_iter().map(PathBuf::from)).collect(), patterns)
}

fn is_file(word: &str) -> bool {
    let path = Path::new(word);
    let is_rule = word.contains(['*', '{', '[', '=', '>']) || word.starts_with("re:");
    ending(path).is_some() && (!is_rule || path.exists())
}

/// True if an output that was named for one file is a folder to put it into: so a pattern of the shell
/// that matches one file does as with two.
fn is_folder_for(output: &Path, file: &Path, format: Option<&dyn Format>) -> bool {
    if format.is_some_and(|format| format.facts().writes_folders) {
        return false;
    }
    let has_slash = output.as_os_str().as_encoded_bytes().last() == Some(&b'/');
    has_slash && ending(file).is_some() && !file.is_dir()
}

/// What is made of a file is called as the file, but for its extension.
fn new_name(file: &Path, format: Option<&dyn Format>) -> Result<PathBuf, Failure> {
    let unnamed = || Failure::could_not(format_args!("'{}' has no name", file.display()));
    let name = file.file_name().ok_or_else(unnamed)?;
    let extension = format.and_then(|format| format.facts().extensions.first());
    let Some((extension, (own, old))) = extension.zip(ending(file)) else {
        return Ok(name.into());
    };
    if format.is_some_and(|format| format.name() == own.name()) {
        return Ok(name.into());
    }
    let name = name.to_string_lossy();
    let stem = &name[..name.len() - old.len()];
    Ok(format!("{stem}{extension}").into())
}

fn unplaced() -> Failure {
    Failure::could_not("several files need a folder to write into, or --in-place").hint(
        "-o FOLDER writes files of the same names; -i, of commands that have it, edits each file \
         itself; -n shows what would be done",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_the_extension_of_a_checkpoint_is_a_file() {
        let check = |words: &[&str], last: &str, rules: &[&str], files: &[&str]| {
            let words = words.iter().map(|word| word.to_string()).collect();
            let (found_rules, found_files) = parted(words, last.into());
            assert_eq!(found_rules, rules);
            assert_eq!(found_files, files.iter().map(PathBuf::from).collect::<Vec<_>>());
        };
        check(&["a.**"], "m.pth", &["a.**"], &["m.pth"]);
        check(&["a.**", "b", "l.pth"], "m.pth", &["a.**", "b"], &["l.pth", "m.pth"]);
        check(&["m.pth"], "enc", &["enc"], &["m.pth"]);
        check(&["enc"], "model", &["enc"], &["model"]);
        check(
            &["a -> b.pt", "re:x.pth", "*.bin"],
            "m.pth",
            &["a -> b.pt", "re:x.pth", "*.bin"],
            &["m.pth"],
        );
    }

    #[test]
    fn new_files_have_the_names_of_the_old() {
        let files = || vec![PathBuf::from("a/x.pth"), "y.safetensors".into()];
        let out = Destination::File("out".into());
        let placed = Placed::of(files(), out.clone(), None, Writing::Done).expect("places");
        let names: Vec<_> = placed.files.into_iter().map(|(_, place)| place).collect();
        assert_eq!(
            names,
            ["out/x.pth", "out/y.safetensors"].map(|it| Destination::File(it.into()))
        );
        let twice = vec!["a/x.pth".into(), "b/x.pth".into()];
        assert!(Placed::of(twice, out, None, Writing::Done).is_err());
        assert!(Placed::of(files(), Destination::Nowhere, None, Writing::Done).is_err());
        assert!(Placed::of(files(), Destination::Nowhere, None, Writing::Shown).is_ok());
        let file = Destination::File("x.npz".into());
        assert!(Placed::of(files(), file, None, Writing::Done).is_err());
    }
}
