//! Why a command ended without doing its work, and the exit status that says so.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use statedict::checkpoint::{Indexing, Kind, index_folder, plain};
use statedict::core::casting::BadCast;
use statedict::core::{BadRemap, Issue, PlanError};
use statedict::{Error, ErrorKind};

use crate::hints;
use crate::terminal::text::{count, first_few, shell_option, shell_path};
use statedict::jobs::grouping::grouped_whole;

/// What a command ends with, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// It did what was asked.
    Done,
    /// The answer is no: the plan or the conversion cannot be.
    No,
    /// Error: usage, unreadable, malformed, I/O.
    CouldNot,
    /// A signal of this number asked for the end.
    Stopped(u8),
}

/// An end before the work was done: what is wrong, and what would help.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What went wrong, in a word that stays.
    pub(crate) kind: &'static str,
    /// The file that is to blame, where that is known.
    pub(crate) path: Option<PathBuf>,
    /// One line each; none if there is nothing to say.
    pub(crate) errors: Vec<String>,
    pub(crate) hints: Vec<String>,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) fn status(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::CouldNot => 2,
            // As a shell shows what a signal ended.
            Exit::Stopped(signal) => 128 + signal,
        }
    }
}

impl Failure {
    /// An end of which nothing is to be said.
    pub(crate) fn silent(exit: Exit) -> Failure {
        Failure { exit, kind: "failed", path: None, errors: Vec::new(), hints: Vec::new() }
    }

    /// Something was in the way.
    pub(crate) fn could_not(error: impl fmt::Display) -> Failure {
        Failure { errors: vec![error.to_string()], ..Failure::silent(Exit::CouldNot) }
    }

    /// The system refused to read or write a file.
    pub(crate) fn in_file(path: &Path, error: &io::Error) -> Failure {
        let failure = Failure::could_not(format_args!("{}: {}", path.display(), plain(error)));
        Failure { kind: Kind::Io.name(), path: Some(path.into()), ..failure }
    }

    /// A signal ended the work, which left nothing behind.
    pub(crate) fn stopped(signal: u8) -> Failure {
        let error = format!("stopped by signal {signal}; every file is as it was");
        let kind = Kind::Stopped.name();
        Failure { kind, errors: vec![error], ..Failure::silent(Exit::Stopped(signal)) }
    }

    /// What was asked for cannot be, for each of these reasons.
    pub(crate) fn no(errors: Vec<String>) -> Failure {
        Failure { kind: "refused", errors, ..Failure::silent(Exit::No) }
    }

    /// The same, with a way out.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hints.push(hint.into());
        self
    }
}

/// Standard output could not be written; a reader that went away has simply had enough.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::silent(Exit::Done);
        }
        let failure =
            Failure::could_not(format_args!("cannot write to standard output: {}", plain(&error)));
        Failure { kind: Kind::Io.name(), ..failure }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let exit = match error.kind() {
            ErrorKind::Refused => Exit::No,
            ErrorKind::Failed | ErrorKind::Stopped => Exit::CouldNot,
        };
        let errors = match error.plan_error() {
            Some(refused) => grouped_issues(refused, error.problems()),
            None => error.problems().to_vec(),
        };
        let of_file = error.checkpoint_error().map(hints_of_file).unwrap_or_default();
        let hints = of_file.into_iter().chain(hints::of(error.advice())).collect();
        let (kind, path) = (error.kind_name(), error.path().map(Path::to_path_buf));
        Failure { exit, kind, path, errors, hints }
    }
}

impl From<statedict::checkpoint::Error> for Failure {
    fn from(error: statedict::checkpoint::Error) -> Failure {
        Error::from(error).into()
    }
}

/// Issues that differ in numbers alone share a line, as renames do.
fn grouped_issues(refused: &PlanError, problems: &[String]) -> Vec<String> {
    let pairs = refused.issues.iter().zip(problems).map(|(issue, problem)| {
        let key = match issue {
            Issue::Collision { to, .. } => to,
            Issue::Emptied { key, .. } | Issue::Undefined { key, .. } => key,
            _ => problem,
        };
        (key.as_str(), Some(problem.as_str()))
    });
    let lines = grouped_whole(pairs).into_iter().map(|line| {
        let more = if line.keys == 1 { String::new() } else { format!("  ({} alike)", line.keys) };
        format!("{}{more}", line.new.unwrap_or(line.old))
    });
    lines.collect()
}

/// Ways out of what is wrong with a file.
fn hints_of_file(error: &statedict::checkpoint::Error) -> Vec<String> {
    let mut hints = Vec::new();
    match error.kind() {
        Kind::Incomplete if error.whole_tensors() > 0 => {
            let whole = count(error.whole_tensors(), "tensor");
            let are = if error.whole_tensors() == 1 { "is" } else { "are" };
            hints.push(format!("--partial takes the {whole} that {are} whole"));
        }
        Kind::Journal => hints.push("if the file is whole, remove the journal".to_string()),
        Kind::UntrustedJournal => {
            let file = shell_path(error.path());
            let recover = format!("statedict recover --trust-journal {file}");
            hints.push(format!(
                "if an edit of your own was interrupted, {recover} restores the file"
            ));
            hints.push("if the journal came with the file, remove the journal".to_string());
        }
        _ => {}
    }
    if let Some(key) = error.uncut() {
        let cut = shell_option("--cut", &format!("{key}=DIM"));
        hints.push(format!("{cut} says along which dimension it was cut, counted from 0"));
    }
    match error.mended_by_index() {
        Some(folder) => hints.extend(index_of(folder)),
        None if error.candidates().is_empty() => {}
        None => {
            let named = error.candidates().iter().map(|path| shell_path(path)).collect::<Vec<_>>();
            hints.push(format!("name one of them: {}", first_few(&named, 4)));
        }
    }
    hints
}

impl From<BadCast> for Failure {
    fn from(error: BadCast) -> Failure {
        Failure::could_not(format_args!("--cast: {error}"))
    }
}

/// The command that makes an index of the shards in a folder, if they are shards of one checkpoint.
fn index_of(folder: &Path) -> Option<String> {
    let index = index_folder(folder, &[]).ok()?;
    let force = if index.replaces == Indexing::Nothing { "" } else { " --force" };
    let folder = shell_path(folder);
    Some(format!("statedict index {folder}{force} makes an index of the shards that are there"))
}

impl From<BadRemap> for Failure {
    fn from(error: BadRemap) -> Failure {
        Failure::could_not(error)
    }
}
