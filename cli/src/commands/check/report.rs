//! What was found of files, as text.

use std::io::Write;
use std::path::Path;

use statedict::checkpoint::{Checkable, Checked, Checkpoint};
use statedict::core::{Finding, Verdict};
use statedict::jobs::check::salvage;

use crate::failure::Failure;
use crate::hints::command_line;
use crate::terminal::color::{Meaning, Stream, painted};
use crate::terminal::text::{count, printable, say};

/// The most files that are not looked at that are named as text; JSON has more.
const MAX_UNREAD: usize = 5;

/// The most findings of one verdict that are shown as text; JSON has them all.
const MAX_SHOWN: usize = 100;

/// The files of a folder that were not looked at, in one line.
pub(crate) fn unread(folder: &Path, found: &Checkable) -> String {
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

/// The verdict of a file, and why.
pub(crate) fn report(checked: &Checked, out: &mut dyn Write) -> Result<(), Failure> {
    let name = checked.path.display().to_string();
    let verdict = checked.verdict();
    let shown = verdict.to_string();
    let shown = painted(Stream::Out, meaning(verdict), &shown);
    writeln!(out, "{}: {shown}{}", printable(&name), summary(checked))?;
    for verdict in [Verdict::Dangerous, Verdict::Malformed, Verdict::Unknown] {
        let findings = checked.findings.iter().filter(|finding| finding.verdict == verdict);
        section(&findings.collect::<Vec<_>>(), "", out)?;
    }
    section(&checked.notes.iter().collect::<Vec<_>>(), "note: ", out)
}

/// What a verdict means for who reads it.
fn meaning(verdict: Verdict) -> Meaning {
    match verdict {
        Verdict::Safe => Meaning::Good,
        Verdict::Unknown => Meaning::Changed,
        Verdict::Dangerous | Verdict::Malformed => Meaning::Bad,
    }
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
    if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
}

/// Findings of one verdict; unknown classes have a line each, and their reason once.
fn section(findings: &[&Finding], kind: &str, out: &mut dyn Write) -> Result<(), Failure> {
    let shown = findings.get(..MAX_SHOWN).unwrap_or(findings);
    for (i, finding) in shown.iter().enumerate() {
        let Finding { verdict, place, what, why, .. } = finding;
        let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
        let line = format!("{place}{what}");
        let line = printable(&line);
        writeln!(out, "  {kind}{}", painted(Stream::Out, meaning(*verdict), &line))?;
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

/// Says how to have the tensors without what the file would execute, where that works.
pub(crate) fn print_salvage(file: &Path) {
    if let Some(convert) = salvage::conversion(file) {
        say("this extracts the tensors and runs nothing:");
        say(&format!("  {}", command_line::of_convert(&convert)));
        return;
    }
    match Checkpoint::open(file) {
        Ok(checkpoint) if checkpoint.catalog().state_dicts.iter().all(|s| s.is_empty()) => {
            say(&format!("{}: there are no tensors in it to extract", file.display()));
        }
        Ok(_) => {}
        Err(error) => say(&format!("no tensors can be extracted: {error}")),
    }
}
