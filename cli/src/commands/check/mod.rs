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
use crate::outcome;
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
    let job = Check { paths: request.paths.clone(), allowed, ..Check::default() };
    let mut exit = Exit::Done;
    followed_with(request.verbosity, |observer| {
        job.run_each(observer, &mut |found| request.show(found, out, &mut exit))
    })?;
    if exit == Exit::Done { Ok(()) } else { Err(Failure::silent(exit)) }
}

impl CheckRequest {
    fn show(&self, found: Found, out: &mut dyn Write, exit: &mut Exit) -> Result<(), Failure> {
        match found {
            Found::Checked(checked) => self.show_checked(&checked, out, exit)?,
            Found::Unreadable(error) => self.fail(error.into(), out, exit),
            Found::Empty(folder) => {
                let error = format!("{}: the folder holds no checkpoint", folder.display());
                let failure = Failure { path: Some(folder), ..Failure::could_not(error) };
                self.fail(failure, out, exit);
            }
            Found::NotExamined { folder, found } => {
                self.show_unread(&folder, &found, out, exit)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Says that something could not be read, which leaves what is dangerous an answer.
    fn fail(&self, failure: Failure, out: &mut dyn Write, exit: &mut Exit) {
        let failed = outcome::ended(self.output_format, out, |_| Err(failure));
        if *exit == Exit::Done {
            *exit = failed;
        }
    }

    /// Names what of a folder was not looked at, which --strict does not put up with.
    fn show_unread(
        &self,
        folder: &std::path::Path,
        found: &Checkable,
        out: &mut dyn Write,
        exit: &mut Exit,
    ) -> Result<(), Failure> {
        match (self.output_format, self.verbosity) {
            (OutputFormat::Json, _) => json::unread(folder, found, out)?,
            (OutputFormat::Text, Verbosity::All) => {
                writeln!(out, "{}", report::unread(folder, found))?;
            }
            (OutputFormat::Text, Verbosity::Errors) => {}
        }
        if self.unread == Unread::Refused && *exit == Exit::Done {
            *exit = Exit::No;
        }
        Ok(())
    }

    fn show_checked(
        &self,
        checked: &Checked,
        out: &mut dyn Write,
        exit: &mut Exit,
    ) -> Result<(), Failure> {
        let is_allowed = self.unknown == Unknown::Allowed;
        *exit = match (checked.verdict(), *exit) {
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
