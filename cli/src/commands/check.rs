//! `check`: is a file whole, and what would it run?

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use statedict_checkpoint::{AllowList, Checkable, Checked, Checkpoint, check, checkable};
use statedict_core::{Finding, Verdict};

use crate::failure::{Exit, Failure};
use crate::json;
use crate::rescue;
use crate::terminal::text::{count, printable, say};
use crate::terminal::{OutputFormat, Verbosity};

/// What to check, and how to show what is found.
#[derive(Clone, Debug)]
pub(crate) struct Inspection {
    /// Files, and folders that stand for the files in them.
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) unknown: Unknown,
    pub(crate) unread: Unread,
    /// The file that names classes to take for safe.
    pub(crate) allow_list: Option<PathBuf>,
    pub(crate) form: OutputFormat,
    pub(crate) talk: Verbosity,
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

/// The most files that are not looked at that are named as text; JSON has more.
const MAX_UNREAD: usize = 5;

/// The most findings of one verdict that are shown as text; JSON has them all.
const MAX_SHOWN: usize = 100;

pub(crate) fn run(inspection: &Inspection, out: &mut dyn Write) -> Result<(), Failure> {
    let mut failure = Failure { exit: Exit::Done, errors: Vec::new(), hints: Vec::new() };
    let allowed = inspection.allowed()?;
    for path in &inspection.paths {
        let found = match checkable(path) {
            Ok(found) => found,
            Err(error) => {
                failure.add(error);
                continue;
            }
        };
        if found.files.is_empty() {
            failure.add(format_args!("{}: the folder holds no checkpoint", path.display()));
        }
        for file in &found.files {
            match check(file) {
                Ok(mut checked) => {
                    checked.allow(&allowed);
                    inspection.show(&checked, out, &mut failure)?;
                }
                Err(error) => failure.add(error),
            }
        }
        inspection.show_unread(path, &found, out, &mut failure)?;
    }
    match failure.exit {
        Exit::Done => Ok(()),
        _ => Err(failure),
    }
}

impl Inspection {
    fn allowed(&self) -> Result<AllowList, Failure> {
        let Some(path) = &self.allow_list else { return Ok(AllowList::default()) };
        let name = path.display();
        let text = fs::read_to_string(path).map_err(|error| format!("{name}: {error}"));
        let list =
            text.and_then(|text| AllowList::parse(&text).map_err(|what| format!("{name}: {what}")));
        list.map_err(|error| Failure {
            exit: Exit::CouldNot,
            errors: vec![error],
            hints: Vec::new(),
        })
    }

    /// Names what of a folder was not looked at, which --strict does not put up with.
    fn show_unread(
        &self,
        folder: &Path,
        found: &Checkable,
        out: &mut dyn Write,
        failure: &mut Failure,
    ) -> Result<(), Failure> {
        if found.unread == 0 {
            return Ok(());
        }
        match (self.form, self.talk) {
            (OutputFormat::Json, _) => json::unread(folder, found, out)?,
            (OutputFormat::Text, Verbosity::All) => writeln!(out, "{}", unread(folder, found))?,
            (OutputFormat::Text, Verbosity::Errors) => {}
        }
        if self.unread == Unread::Refused && failure.exit == Exit::Done {
            failure.exit = Exit::No;
        }
        Ok(())
    }

    fn show(
        &self,
        checked: &Checked,
        out: &mut dyn Write,
        failure: &mut Failure,
    ) -> Result<(), Failure> {
        let is_allowed = self.unknown == Unknown::Allowed;
        failure.exit = match (checked.verdict(), failure.exit) {
            (Verdict::Safe, exit) => exit,
            (Verdict::Unknown, exit) if is_allowed => exit,
            // Something dangerous is an answer, whatever else could not be told.
            (Verdict::Dangerous | Verdict::Unknown, _) => Exit::No,
            (Verdict::Malformed, Exit::No) => Exit::No,
            (Verdict::Malformed, _) => Exit::CouldNot,
        };
        match (self.form, self.talk) {
            (OutputFormat::Json, _) => json::checked(checked, out)?,
            (OutputFormat::Text, Verbosity::All) => report(checked, out)?,
            (OutputFormat::Text, Verbosity::Errors) => {}
        }
        out.flush()?;
        if self.talk == Verbosity::All {
            match checked.verdict() {
                Verdict::Dangerous => tell_rescue(&checked.path),
                Verdict::Unknown if !is_allowed => tell_rescue(&checked.path),
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

/// The files of a folder that were not looked at, in one line.
fn unread(folder: &Path, found: &Checkable) -> String {
    let names = found.unread_names.iter().take(MAX_UNREAD).map(|path| {
        let name = path.strip_prefix(folder).unwrap_or(path);
        printable(&name.display().to_string()).to_string()
    });
    let mut names: Vec<String> = names.collect();
    if found.unread > names.len() {
        names.push(format!("and {} more", found.unread - names.len()));
    }
    let folder = folder.display().to_string();
    let files = count(found.unread, "file");
    format!("{}: {files} not looked at: {}", printable(&folder), names.join(", "))
}

fn report(checked: &Checked, out: &mut dyn Write) -> Result<(), Failure> {
    let name = checked.path.display().to_string();
    writeln!(out, "{}: {}{}", printable(&name), checked.verdict(), summary(checked))?;
    for verdict in [Verdict::Dangerous, Verdict::Malformed, Verdict::Unknown] {
        let findings = checked.findings.iter().filter(|finding| finding.verdict == verdict);
        section(&findings.collect::<Vec<_>>(), "", out)?;
    }
    section(&checked.notes.iter().collect::<Vec<_>>(), "note: ", out)
}

/// How many unknown classes, known harm and notes there are, as far as that is worth saying.
fn summary(checked: &Checked) -> String {
    let unknown = checked.count(Verdict::Unknown);
    let mut parts = Vec::new();
    if unknown > 0 {
        let classes = if unknown == 1 { "unknown class" } else { "unknown classes" };
        parts.push(format!("{unknown} {classes}"));
        parts.push(format!("{} known harmful", checked.count(Verdict::Dangerous)));
    }
    if !checked.notes.is_empty() {
        parts.push(count(checked.notes.len(), "note"));
    }
    match parts.is_empty() {
        true => String::new(),
        false => format!(" ({})", parts.join(", ")),
    }
}

/// Findings of one verdict; unknown classes have a line each, and their reason once.
fn section(findings: &[&Finding], kind: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let shown = findings.get(..MAX_SHOWN).unwrap_or(findings);
    for (i, finding) in shown.iter().enumerate() {
        let Finding { verdict, place, what, why, .. } = finding;
        let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
        writeln!(out, "  {kind}{}", printable(&format!("{place}{what}")))?;
        let is_same = shown.get(i + 1).is_some_and(|next| next.why == *why);
        if *verdict != Verdict::Unknown || !is_same {
            writeln!(out, "      {}", printable(why))?;
        }
    }
    match findings.len() - shown.len() {
        0 => {}
        more => writeln!(out, "  {kind}and {more} more (--json lists them)")?,
    }
    Ok(())
}

/// Says how to have the tensors without what the file would run, where that works.
fn tell_rescue(file: &Path) {
    if let Some(command) = rescue::command(file) {
        say("this takes the tensors out and runs nothing:");
        say(&format!("  {command}"));
        return;
    }
    match Checkpoint::open(file) {
        Ok(checkpoint) if checkpoint.catalog().state_dicts.iter().all(|s| s.is_empty()) => {
            say(&format!("{}: there are no tensors in it to take out", file.display()));
        }
        Ok(_) => {}
        Err(error) => say(&format!("no tensors can be taken out: {error}")),
    }
}
