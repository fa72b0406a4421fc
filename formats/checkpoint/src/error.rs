//! What went wrong, and with which file.

use std::error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use statedict_core::{Fault, UnsupportedTensors};

use crate::disk::folder;
use crate::observer::Stopped;

/// Why a file could not be opened, read, laid out or written; its text is one line.
#[derive(Debug)]
pub struct Error {
    path: PathBuf,
    action: Action,
    cause: Cause,
}

/// The kinds of failure that callers distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The file contradicts itself or its format.
    Malformed,
    /// The file is sound, and this version cannot do that with it.
    Unsupported,
    /// Something is beyond a limit.
    TooLarge,
    /// Elements or files are missing, and some tensors are whole.
    Incomplete,
    /// The file is none of the known formats; the text says what it is, if that can be seen.
    Foreign,
    /// The path leads to a folder that does not open, or an index and its files disagree; the text
    /// says what is there.
    Folder,
    /// There is a file already, and it was not to be replaced.
    AlreadyExists,
    /// The path leads to a folder, a device or the like.
    NotAFile,
    /// An [`Observer`](crate::Observer) said that the work is to stop.
    Stopped,
    /// Somebody else is reading or editing the file.
    InUse,
    /// The journal of another edit has the name that is needed.
    Journal,
    /// The journal of an edit next to the file may be another user's.
    UntrustedJournal,
    /// There is no such tensor, or its name is ambiguous.
    NoSuchTensor,
    /// What was asked of a tensor is not what it is: another element type, length or shape.
    Mismatch,
    /// The system refused.
    Io,
}

impl Kind {
    /// Its name in a word that stays, for programs to compare.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Malformed => "malformed",
            Kind::Unsupported => "unsupported",
            Kind::TooLarge => "too-large",
            Kind::Incomplete => "incomplete",
            Kind::Foreign => "unknown-format",
            Kind::Folder => "folder",
            Kind::AlreadyExists => "exists",
            Kind::NotAFile => "not-a-file",
            Kind::Stopped => "stopped",
            Kind::InUse => "in-use",
            Kind::Journal | Kind::UntrustedJournal => "journal",
            Kind::NoSuchTensor => "no-such-tensor",
            Kind::Mismatch => "mismatch",
            Kind::Io => "io",
        }
    }
}

/// What was being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Read,
    Rewrite,
    Write,
    Recover,
}

#[derive(Debug)]
pub(crate) enum Cause {
    Fault(Fault),
    Foreign(String),
    AlreadyExists,
    NotAFile(&'static str),
    /// A folder that does not open, or files in it that contradict one another.
    Folder {
        what: String,
        /// What would open instead.
        files: Vec<PathBuf>,
        /// The folder that a new index would mend.
        mends: Option<PathBuf>,
    },
    /// An index and its files contradict one another; a new index would not.
    Disagreement(Disagreement),
    /// A link that leads to something other than a file.
    LeadsTo(&'static str),
    Stopped,
    InUse,
    Journal {
        journal: PathBuf,
        why: String,
    },
    Untrusted {
        journal: PathBuf,
        why: String,
    },
    NoTensor(String),
    Mismatch(String),
    /// Tensors that cannot be written.
    UnsupportedTensors(UnsupportedTensors),
    /// Something that is wrong with one tensor.
    Tensor {
        name: String,
        cause: Box<Cause>,
    },
    Io {
        doing: Option<String>,
        error: io::Error,
    },
}

impl Error {
    pub(crate) fn new(action: Action, path: &Path, cause: impl Into<Cause>) -> Error {
        Error { path: path.to_path_buf(), action, cause: cause.into() }
    }

    /// What keeps a checkpoint of several files from being read: the fault is of one of them, or of
    /// the manifest.
    pub(crate) fn in_folder(folder: &Path, manifest: &str, fault: Fault) -> Error {
        match fault {
            Fault::InFile { name, fault } => match *fault {
                Fault::Unreadable(error) if error.is::<Error>() => Error::unwrapped(error),
                fault => Error::new(Action::Read, &folder.join(name), fault),
            },
            Fault::Unreadable(error) if error.is::<Error>() => Error::unwrapped(error),
            fault => Error::new(Action::Read, &folder.join(manifest), fault),
        }
    }

    /// An error on its way through a format that cannot know it.
    fn unwrapped(error: Box<dyn error::Error + Send + Sync>) -> Error {
        *error.downcast().expect("it was asked whether it is one")
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What would open instead, where a folder holds several checkpoints.
    pub fn candidates(&self) -> &[PathBuf] {
        match &self.cause {
            Cause::Folder { files, .. } => files,
            _ => &[],
        }
    }

    /// The folder that a new index would mend, if one would.
    pub fn mended_by_index(&self) -> Option<&Path> {
        match &self.cause {
            Cause::Folder { mends, .. } => mends.as_deref(),
            Cause::Disagreement(_) => Some(folder(&self.path)),
            _ => None,
        }
    }

    /// How many tensors are whole, where others are not.
    pub fn whole_tensors(&self) -> usize {
        match &self.cause {
            Cause::Fault(Fault::Incomplete { whole, .. }) => *whole,
            _ => 0,
        }
    }

    /// The tensor of ranks of tensor parallelism of which nobody knows along which dimension it was
    /// cut, if that is what keeps a checkpoint from being opened.
    pub fn uncut(&self) -> Option<&str> {
        match &self.cause {
            Cause::Fault(fault) => uncut_of(fault),
            _ => None,
        }
    }

    /// The tensor that could not be read, if it is one alone.
    pub fn tensor(&self) -> Option<&str> {
        match &self.cause {
            Cause::Tensor { name, .. } => Some(name),
            _ => None,
        }
    }

    /// The kind of failure.
    pub fn kind(&self) -> Kind {
        self.cause.kind()
    }
}

impl Cause {
    fn kind(&self) -> Kind {
        match self {
            Cause::Fault(fault) => kind_of(fault),
            Cause::UnsupportedTensors(_) => Kind::Unsupported,
            Cause::Io { .. } => Kind::Io,
            Cause::Foreign(_) => Kind::Foreign,
            Cause::Folder { .. } | Cause::Disagreement(_) => Kind::Folder,
            Cause::AlreadyExists => Kind::AlreadyExists,
            Cause::NotAFile(_) | Cause::LeadsTo(_) => Kind::NotAFile,
            Cause::Stopped => Kind::Stopped,
            Cause::InUse => Kind::InUse,
            Cause::Journal { .. } => Kind::Journal,
            Cause::Untrusted { .. } => Kind::UntrustedJournal,
            Cause::NoTensor(_) => Kind::NoSuchTensor,
            Cause::Mismatch(_) => Kind::Mismatch,
            Cause::Tensor { cause, .. } => cause.kind(),
        }
    }

    /// The error beneath, mostly the system's.
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Cause::Io { error, .. } => Some(error),
            Cause::Fault(Fault::Unreadable(error)) => Some(error.as_ref()),
            Cause::Tensor { cause, .. } => cause.source(),
            _ => None,
        }
    }
}

fn uncut_of(fault: &Fault) -> Option<&str> {
    match fault {
        Fault::Uncut { key, .. } => Some(key),
        Fault::InFile { fault, .. } => uncut_of(fault),
        _ => None,
    }
}

fn kind_of(fault: &Fault) -> Kind {
    match fault {
        Fault::Malformed { .. } => Kind::Malformed,
        Fault::Unsupported(_) | Fault::Uncut { .. } => Kind::Unsupported,
        Fault::TooLarge { .. } => Kind::TooLarge,
        Fault::Incomplete { .. } => Kind::Incomplete,
        Fault::Unreadable(_) => Kind::Io,
        Fault::InFile { fault, .. } => kind_of(fault),
    }
}

/// The ways in which an index and its files contradict one another.
#[derive(Debug)]
pub(crate) struct Disagreement(pub(crate) String);

impl error::Error for Disagreement {}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the index and its files disagree: {}", self.0)
    }
}

/// The most tensors that one line names.
const LISTED: usize = 8;

impl From<Fault> for Cause {
    fn from(fault: Fault) -> Cause {
        match fault {
            Fault::Unreadable(error) if error.is::<Stopped>() => Cause::Stopped,
            Fault::Unreadable(error) if error.is::<io::Error>() => {
                (*error.downcast::<io::Error>().expect("it was asked whether it is one")).into()
            }
            Fault::Unreadable(error) => match error.downcast() {
                Ok(disagreement) => Cause::Disagreement(*disagreement),
                Err(error) => Cause::Fault(Fault::Unreadable(error)),
            },
            fault => Cause::Fault(fault),
        }
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Cause {
        Cause::Io { doing: None, error }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.cause.source()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} '{}': {}", self.action, self.path.display(), self.cause)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Action::Read => "read",
            Action::Rewrite => "rewrite",
            Action::Write => "write",
            Action::Recover => "recover",
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Fault(fault) => fault.fmt(f),
            Cause::Foreign(what)
            | Cause::Folder { what, .. }
            | Cause::NoTensor(what)
            | Cause::Mismatch(what) => f.write_str(what),
            Cause::Tensor { name, cause } => write!(f, "tensor '{name}': {cause}"),
            Cause::UnsupportedTensors(UnsupportedTensors { entries }) => {
                for (i, (key, why)) in entries.iter().take(LISTED).enumerate() {
                    let comma = if i == 0 { "" } else { "; " };
                    write!(f, "{comma}tensor '{key}': {why}")?;
                }
                match entries.len().saturating_sub(LISTED) {
                    0 => Ok(()),
                    more => write!(f, "; and {more} more tensors"),
                }
            }
            Cause::AlreadyExists => f.write_str("already exists"),
            Cause::NotAFile(what) => write!(f, "is {what}; expected a file"),
            Cause::Disagreement(disagreement) => disagreement.fmt(f),
            Cause::LeadsTo(what) => {
                write!(f, "is a link to {what}; expected a file")
            }
            Cause::Stopped => f.write_str("it was stopped"),
            Cause::InUse => f.write_str("another process is reading or editing it"),
            Cause::Journal { journal, why } => {
                let journal = journal.display();
                write!(f, "there is a journal of an edit, '{journal}', which is not used: {why}")
            }
            Cause::Untrusted { journal, why } => {
                let journal = journal.display();
                write!(f, "the journal of an edit beside it, '{journal}', is not trusted: {why}")
            }
            Cause::Io { doing: Some(doing), error } => write!(f, "{doing}: {}", plain(error)),
            Cause::Io { doing: None, error } => f.write_str(&plain(error)),
        }
    }
}

/// A system's error in the words of the others: in lower case, without its number.
pub fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_string(),
        io::ErrorKind::PermissionDenied => "permission denied".to_string(),
        io::ErrorKind::StorageFull => "no space is left on the disk".to_string(),
        io::ErrorKind::QuotaExceeded => "the disk quota is used up".to_string(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".to_string(),
        io::ErrorKind::NotADirectory => "a part of the path is a file, not a folder".to_string(),
        io::ErrorKind::IsADirectory => "is a folder; expected a file".to_string(),
        _ if error.raw_os_error().is_some() => without_number(&error.to_string()),
        _ => error.to_string(),
    }
}

/// `too many open files` for `Too many open files (os error 24)`.
fn without_number(text: &str) -> String {
    let words = text.rsplit_once(" (os error").map_or(text, |(words, _)| words);
    let mut letters = words.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_have_plain_words() {
        let cases = [
            (2, "no such file or directory"),
            (20, "a part of the path is a file, not a folder"),
            (24, "too many open files"),
        ];
        for (number, expected) in cases {
            assert_eq!(plain(&io::Error::from_raw_os_error(number)), expected);
        }
        assert_eq!(plain(&io::Error::other("As it is")), "As it is");
    }

    #[test]
    fn an_error_is_one_line_with_file_place_and_reason() {
        let check = |cause: Cause, kind, expected: &str| {
            let error = Error::new(Action::Read, Path::new("a.pth"), cause);
            assert_eq!((error.kind(), error.to_string().as_str()), (kind, expected));
        };
        check(
            Fault::malformed(12, "no end").into(),
            Kind::Malformed,
            "cannot read 'a.pth': at byte 12: no end",
        );
        check(
            io::Error::from(io::ErrorKind::StorageFull).into(),
            Kind::Io,
            "cannot read 'a.pth': no space is left on the disk",
        );
        check(
            Cause::NotAFile("a directory"),
            Kind::NotAFile,
            "cannot read 'a.pth': is a directory; expected a file",
        );
    }
}
