//! `recover`: files whose editing in place was interrupted become whole.

pub(crate) mod args;
mod json;

use std::io::Write;

use statedict::Recover;

use crate::commands::several::Several;
use crate::failure::Failure;
use crate::terminal::progress::followed;
use crate::terminal::text::say;
use crate::terminal::{OutputFormat, Verbosity};

/// The files to restore, and how to show what came of it.
pub(crate) struct RecoverRequest {
    pub(crate) job: Recover,
    pub(crate) output_format: OutputFormat,
    pub(crate) verbosity: Verbosity,
}

/// Does it with each of the files.
pub(crate) fn run_all(
    several: &Several<RecoverRequest>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let format = several.requests.first().map(|it| it.output_format);
    several.run(format.unwrap_or(OutputFormat::Text), out, run)
}

fn run(request: &RecoverRequest, out: &mut dyn Write) -> Result<(), Failure> {
    let file = &request.job.file;
    let found = followed(request.verbosity, |observer| request.job.run(observer))?;
    if request.output_format == OutputFormat::Json {
        json::recovery(file, &found, out)?;
    }
    if request.verbosity == Verbosity::All {
        for found in &found {
            say(&found.to_string());
        }
        if found.is_empty() {
            say(&format!("no interrupted edit of '{}' found", file.display()));
        }
    }
    Ok(())
}
