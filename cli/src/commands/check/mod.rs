//! `check`: is a file whole, and what would unpickling it execute?

pub(crate) mod args;
mod json;
mod report;

use std::io::Write;
use std::path::PathBuf;

use statedict::Check;
use statedict::checkpoint::{Checkable, Checked};
use statedict::core::Verdict;
use statedict::jobs::check::Found;

use crate::failure::{Exit, Failure};
use crate::terminal::progress::followed_with;
use crate::terminal::{OutputFormat, Verbosity};

/// What to check, and how to show what is found.
pub(crate) struct CheckRequest {
    /// Files, and folders that stand for the files in them.
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) unknown: Unknown,
    pub(crate) unread: Unread,
    /// The file that names classes to take for safe.
    pub(crate) allow_list: Option<PathBuf>,
    pub(crate) output_format: OutputFormat,
    pub(crate) verbosity: Verbosity,
}

/// What unknown classes do to the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unknown {
    Refused,
    Allowed,
}

/// What files of a folder that are not looked at do to the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    Refused,
    Allowed,
}

pub(crate) fn run(request: &CheckRequest, out: &mut dyn Write) -> Result<(), Failure> {
    let allowed = match &request.allow_list {
        Some(path) => Check::read_allow_list(path)?,
        None => Default::default(),
    };
    let job = Check { paths: request.paths.clone(), allowed };
    let mut failure = Failure { exit: Exit::Done, errors: Vec::new(), hints: Vec::new() };
    followed_with(request.verbosity, |observer| {
        job.run_each(observer, &mut |found| request.show(found, out, &mut failure))
    })?;
    match failure.exit {
        Exit::Done => Ok(()),
        _ => Err(failure),
    }
}

impl CheckRequest {
    fn show(
        &self,
        found: Found,
        out: &mut dyn Write,
        failure: &mut Failure,
    ) -> Result<(), Failure> {
        match found {
            Found::Checked(checked) => self.show_checked(&checked, out, failure)?,
            Found::Unreadable(error) => failure.add(error),
            Found::Empty(folder) => {
                failure.add(format_args!("{}: the folder holds no checkpoint", folder.display()));
            }
            Found::NotExamined { folder, found } => {
                self.show_unread(&folder, &found, out, failure)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Names what of a folder was not looked at, which --strict does not put up with.
    fn show_unread(
        &self,
        folder: &std::path::Path,
        found: &Checkable,
        out: &mut dyn Write,
        failure: &mut Failure,
    ) -> Result<(), Failure> {
        match (self.output_format, self.verbosity) {
            (OutputFormat::Json, _) => json::unread(folder, found, out)?,
            (OutputFormat::Text, Verbosity::All) => {
                writeln!(out, "{}", report::unread(folder, found))?;
            }
            (OutputFormat::Text, Verbosity::Errors) => {}
        }
        if self.unread == Unread::Refused && failure.exit == Exit::Done {
            failure.exit = Exit::No;
        }
        Ok(())
    }

    fn show_checked(
        &self,
        checked: &Checked,
        out: &mut dyn Write,
        failure: &mut Failure,
    ) -> Result<(), Failure> {
        let is_allowed = self.unknown == Unknown::Allowed;
        failure.exit = match (checked.verdict(), failure.exit) {
            (Verdict::Safe, exit) => exit,
            (Verdict::Unknown, exit) if is_allowed => exit,
            // Something dangerous is an answer, whatever else is unknown.
            (Verdict::Dangerous | Verdict::Unknown, _) => Exit::No,
            (Verdict::Malformed, Exit::No) => Exit::No,
            (Verdict::Malformed, _) => Exit::CouldNot,
        };
        match (self.output_format, self.verbosity) {
            (OutputFormat::Json, _) => json::checked(checked, out)?,
            (OutputFormat::Text, Verbosity::All) => report::report(checked, out)?,
            (OutputFormat::Text, Verbosity::Errors) => {}
        }
        out.flush()?;
        if self.verbosity == Verbosity::All {
            match checked.verdict() {
                Verdict::Dangerous => report::print_salvage(&checked.path),
                Verdict::Unknown if !is_allowed => report::print_salvage(&checked.path),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Failure {
    /// Adds a file that could not be read, which leaves what is dangerous an answer.
    fn add(&mut self, error: impl std::fmt::Display) {
        self.errors.push(error.to_string());
        if self.exit == Exit::Done {
            self.exit = Exit::CouldNot;
        }
    }
}
