//! `check`: is a file whole, and what would it run?

use std::io::Write;
use std::path::{Path, PathBuf};

use statedict_checkpoint::{Checked, check, checkable};
use statedict_core::{Finding, Verdict};

use crate::failure::{Exit, Failure};
use crate::json;
use crate::request::{Form, Talk};
use crate::rescue;
use crate::text::{count, printable, say};

/// What to check, and how to show what is found.
#[derive(Clone, Debug)]
pub(crate) struct Inspection {
    /// Files, and folders that stand for the files in them.
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) form: Form,
    pub(crate) talk: Talk,
}

pub(crate) fn run(inspection: &Inspection, out: &mut dyn Write) -> Result<(), Failure> {
    let mut failure = Failure { exit: Exit::Done, errors: Vec::new(), hints: Vec::new() };
    for path in &inspection.paths {
        let files = match checkable(path) {
            Ok(files) => files,
            Err(error) => {
                failure.add(error);
                continue;
            }
        };
        if files.is_empty() {
            failure.add(format_args!("{}: the folder holds no checkpoint", path.display()));
        }
        for file in files {
            match check(&file) {
                Ok(checked) => inspection.show(&checked, out, &mut failure)?,
                Err(error) => failure.add(error),
            }
        }
    }
    match failure.exit {
        Exit::Done => Ok(()),
        _ => Err(failure),
    }
}

impl Inspection {
    fn show(
        &self,
        checked: &Checked,
        out: &mut dyn Write,
        failure: &mut Failure,
    ) -> Result<(), Failure> {
        failure.exit = match (checked.verdict(), failure.exit) {
            (Verdict::Safe, exit) => exit,
            // Something dangerous is an answer, whatever else could not be told.
            (Verdict::Dangerous, _) => Exit::No,
            (Verdict::Malformed, Exit::No) => Exit::No,
            (Verdict::Malformed, _) => Exit::CouldNot,
        };
        match (self.form, self.talk) {
            (Form::Json, _) => json::checked(checked, out)?,
            (Form::Text, Talk::All) => report(checked, out)?,
            (Form::Text, Talk::Errors) => {}
        }
        out.flush()?;
        if self.talk == Talk::All && checked.verdict() == Verdict::Dangerous {
            tell_rescue(&checked.path);
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

fn report(checked: &Checked, out: &mut dyn Write) -> Result<(), Failure> {
    let name = checked.path.display().to_string();
    let notes = match (checked.verdict(), checked.notes.len()) {
        (_, 0) => String::new(),
        (_, notes) => format!(" ({})", count(notes, "note")),
    };
    writeln!(out, "{}: {}{notes}", printable(&name), checked.verdict())?;
    for finding in &checked.findings {
        line(finding, "", out)?;
    }
    for finding in &checked.notes {
        line(finding, "note: ", out)?;
    }
    Ok(())
}

fn line(finding: &Finding, kind: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let Finding { place, what, why, .. } = finding;
    let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
    writeln!(out, "  {kind}{}", printable(&format!("{place}{what}")))?;
    writeln!(out, "      {}", printable(why))?;
    Ok(())
}

/// Says how to have the tensors without what the file would run, where that works.
fn tell_rescue(file: &Path) {
    if let Some(command) = rescue::command(file) {
        say("this takes the tensors out and runs nothing:");
        say(&format!("  {command}"));
    }
}
