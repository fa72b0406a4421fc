//! Why a job was not done, and what would help.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use statedict_checkpoint::{Kind, plain};
use statedict_core::{Issue, PlanError, UnsupportedTensors};

use crate::jobs::choice::Role;

/// Why a job was not done; nothing has been changed then.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    problems: Vec<String>,
    advice: Vec<Advice>,
    /// The file that is to blame, unless the error behind it names it.
    path: Option<PathBuf>,
    source: Option<Source>,
}

/// The error behind it.
#[derive(Debug)]
enum Source {
    Checkpoint(Box<statedict_checkpoint::Error>),
    Plan(Box<PlanError>),
    System(io::Error),
}

/// The kinds of failure, for callers to match on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request was understood, and the answer is no: the plan or the conversion is impossible.
    Refused,
    /// The request makes no sense, or a file cannot be read or written.
    Failed,
    /// The [`Observer`](crate::jobs::Observer) stopped the work.
    Stopped,
}

/// What would help; the caller puts it into the words of its own interface.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// Allow existing files to be replaced.
    ReplaceExisting,
    /// Allow protected files to be edited, or write another file.
    EditProtected,
    /// Write another file than the one that was read.
    WriteElsewhere,
    /// Give the output the extension of a format, or name the format.
    NameFormat,
    /// Take the state dict at this path.
    Select {
        /// Of this file.
        of: Role,
        /// The path, empty at the root.
        path: String,
    },
    /// Take the state dict at this path, or all of them.
    SelectOrAll(String),
    /// Take all mappings below this path as one state dict, with dots in its keys.
    SelectJoined(String),
    /// Take one state dict.
    SelectOne(Role),
    /// This path was probably meant.
    MeantPath {
        /// Of this file.
        of: Role,
        /// The path.
        path: String,
    },
    /// This key, pattern or rule was probably meant.
    Meant(String),
    /// Look at the keys of this file.
    ListKeys(PathBuf),
    /// The first segments of the keys, with the number of keys that start with each.
    FirstSegments(Vec<(String, usize)>),
    /// Allow rules that match nothing.
    AllowUnchanged,
    /// Extract the state dict of this file first, whose keys are fixed where they are.
    Extract {
        /// The file.
        file: PathBuf,
        /// The path of the state dict, if it was named.
        at: Option<String>,
    },
    /// Write the state dict alone, or cast fewer tensors.
    CastLess,
    /// Cast fewer tensors, or to a type of the same range.
    CastWithinRange,
    /// Name the configuration of an adapter, or give its alpha.
    AdapterConfig,
    /// Name the state dict of each of several files.
    SelectEach,
    /// Give the files or state dicts to be joined prefixes that tell them apart.
    TellApart,
    /// Say where the rest of the keys goes, or leave it out.
    TakeRest,
    /// Drop the tensors that the format cannot hold.
    DropUnsupported,
    /// Without strictness, names elsewhere in the file stay as they are.
    LeaveMentions,
    /// Write a format that has metadata.
    FormatWithMetadata,
    /// Save a plan when a recipe is applied; a plan has an inverse.
    SavePlan,
    /// A target is a checkpoint or a listing of one.
    TargetKinds,
    /// Use other evidence than positions, or drop keys by name.
    OtherEvidence,
    /// Drop keys of the checkpoint until both have as many.
    DropKeys,
    /// Give the whole error text; of this file, if there is one, `check` says more.
    WholeText(Option<PathBuf>),
}

impl Error {
    /// The answer is no, for each of these reasons.
    pub(crate) fn refused(problems: Vec<String>) -> Error {
        Error::of(ErrorKind::Refused, problems)
    }

    /// Something is in the way.
    pub(crate) fn failed(problem: impl fmt::Display) -> Error {
        Error::of(ErrorKind::Failed, vec![problem.to_string()])
    }

    /// The observer stopped it.
    pub(crate) fn stopped() -> Error {
        Error::of(ErrorKind::Stopped, vec!["stopped".into()])
    }

    /// Several things are in the way.
    pub(crate) fn all_failed(problems: Vec<String>) -> Error {
        Error::of(ErrorKind::Failed, problems)
    }

    /// Something is wrong with a file.
    pub(crate) fn in_file(file: &Path, problem: impl fmt::Display) -> Error {
        let error = Error::failed(format_args!("{}: {problem}", file.display()));
        Error { path: Some(file.into()), ..error }
    }

    /// What is to be written is there already.
    pub(crate) fn exists(file: &Path) -> Error {
        let problem = format_args!("cannot write '{}': already exists", file.display());
        Error { path: Some(file.into()), ..Error::failed(problem) }
    }

    /// The system refused to read a file.
    pub(crate) fn unreadable(file: &Path, error: io::Error) -> Error {
        let said = Error::in_file(file, plain(&error));
        Error { source: Some(Source::System(error)), ..said }
    }

    /// There is no such plan for a file.
    pub(crate) fn impossible(file: &Path, refused: PlanError) -> Error {
        let issues = refused.issues.iter();
        let problems = issues.map(|issue| format!("{}: {issue}", file.display())).collect();
        let source = Some(Source::Plan(Box::new(refused)));
        Error { source, path: Some(file.into()), ..Error::refused(problems) }
    }

    /// A format cannot hold these tensors.
    pub(crate) fn unsupported(file: &Path, unsupported: &UnsupportedTensors) -> Error {
        let entries = unsupported.entries.iter();
        let lines = entries.map(|(key, why)| format!("{}: '{key}': {why}", file.display()));
        let error = Error::refused(lines.collect()).advise(Advice::DropUnsupported);
        Error { path: Some(file.into()), ..error }
    }

    fn of(kind: ErrorKind, problems: Vec<String>) -> Error {
        Error { kind, problems, advice: Vec::new(), path: None, source: None }
    }

    /// The same, with something that would help.
    #[must_use]
    pub(crate) fn advise(mut self, advice: impl IntoIterator<Item = Advice>) -> Error {
        self.advice.extend(advice);
        self
    }

    /// The kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What went wrong, in a word that stays, for programs to compare: `refused`, `collision`,
    /// `exists`, `failed`, `stopped`, or the [name](statedict_checkpoint::Kind::name) of what is wrong
    /// with a file.
    pub fn kind_name(&self) -> &'static str {
        match (&self.source, self.kind) {
            (_, ErrorKind::Stopped) => Kind::Stopped.name(),
            (Some(Source::Checkpoint(error)), _) => error.kind().name(),
            (Some(Source::System(_)), _) => Kind::Io.name(),
            _ if self.advice.contains(&Advice::ReplaceExisting) => Kind::AlreadyExists.name(),
            (Some(Source::Plan(refused)), _) if refused.issues.iter().any(is_collision) => {
                "collision"
            }
            (_, ErrorKind::Refused) => "refused",
            (_, ErrorKind::Failed) => "failed",
        }
    }

    /// The file that is to blame, where that is known.
    pub fn path(&self) -> Option<&Path> {
        match &self.source {
            Some(Source::Checkpoint(error)) => Some(error.path()),
            _ => self.path.as_deref(),
        }
    }

    /// What is wrong, all of it, one line each.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// What would help, the best first.
    pub fn advice(&self) -> &[Advice] {
        &self.advice
    }

    /// The error of the file that was read or written, if that is the reason.
    pub fn checkpoint_error(&self) -> Option<&statedict_checkpoint::Error> {
        match &self.source {
            Some(Source::Checkpoint(error)) => Some(error),
            _ => None,
        }
    }

    /// Why no plan could be made, if that is the reason; each problem is one of its issues.
    pub fn plan_error(&self) -> Option<&PlanError> {
        match &self.source {
            Some(Source::Plan(error)) => Some(error),
            _ => None,
        }
    }
}

fn is_collision(issue: &Issue) -> bool {
    matches!(issue, Issue::Collision { .. })
}

impl IntoIterator for Advice {
    type Item = Advice;
    type IntoIter = std::iter::Once<Advice>;

    fn into_iter(self) -> Self::IntoIter {
        std::iter::once(self)
    }
}

impl From<statedict_checkpoint::Error> for Error {
    fn from(error: statedict_checkpoint::Error) -> Error {
        let kind = match error.kind() {
            Kind::Stopped => ErrorKind::Stopped,
            _ => ErrorKind::Failed,
        };
        let problems = vec![error.to_string()];
        Error { source: Some(Source::Checkpoint(Box::new(error))), ..Error::of(kind, problems) }
    }
}

impl From<statedict_core::BadRemap> for Error {
    fn from(error: statedict_core::BadRemap) -> Error {
        Error::failed(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problems.join("; "))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self.source.as_ref()? {
            Source::Checkpoint(error) => Some(error.as_ref()),
            Source::Plan(error) => Some(error.as_ref()),
            Source::System(error) => Some(error),
        }
    }
}
