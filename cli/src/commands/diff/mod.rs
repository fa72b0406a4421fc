//! `diff`: what differs between two files.

pub(crate) mod args;
mod json;
mod page;
mod report;

use std::io::Write;

use statedict::Diff;

use crate::failure::{Exit, Failure};
use crate::hints::command_line;
use crate::page::PageFile;
use crate::terminal::progress::followed;
use crate::terminal::text::say;
use crate::terminal::{OutputFormat, Verbosity};

/// What to compare, and how to show what differs.
pub(crate) struct DiffRequest {
    pub(crate) job: Diff,
    /// Where a page of it goes, if one is wanted.
    pub(crate) page: Option<PageFile>,
    pub(crate) output_format: OutputFormat,
    pub(crate) verbosity: Verbosity,
}

pub(crate) fn run(request: &DiffRequest, out: &mut dyn Write) -> Result<(), Failure> {
    if let Some(page) = &request.page {
        let files = [&request.job.a, &request.job.b].map(|input| input.file.as_path());
        page.refuse_to_replace(files)?;
    }
    let outcome = followed(request.verbosity, |observer| request.job.run(observer))?;
    if let Some(page) = &request.page {
        page.save(&page::page(&outcome), request.verbosity, out)?;
    }
    match (request.output_format, request.verbosity) {
        _ if request.page.as_ref().is_some_and(PageFile::is_standard_output) => {}
        (OutputFormat::Json, _) => json::difference(&outcome, out)?,
        (OutputFormat::Text, Verbosity::All) => report::difference(&outcome, out)?,
        (OutputFormat::Text, Verbosity::Errors) => {}
    }
    out.flush()?;
    if request.verbosity == Verbosity::All
        && let Some(command) = command_line::renaming(&outcome)
    {
        say("this renames the keys of the first as they are in the second:");
        say(&format!("  {command}"));
    }
    let not_compared = &outcome.diff.not_compared;
    match (outcome.is_same(), not_compared.is_empty()) {
        (false, _) => Err(Failure::no(Vec::new())),
        (true, true) => Ok(()),
        (true, false) => {
            let errors = not_compared.iter();
            let errors =
                errors.map(|it| format!("could not compare '{}': {}", it.path, it.why)).collect();
            Err(Failure { errors, ..Failure::silent(Exit::CouldNot) })
        }
    }
}
