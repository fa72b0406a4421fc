//! Everything that writes by rules: strip, add, unwrap, rename, keep, drop, apply and convert.

pub(crate) mod args;
pub(crate) mod changes;
pub(crate) mod json;
pub(crate) mod merge_args;
pub(crate) mod metadata_args;
pub(crate) mod report;

use std::io::Write;
use std::path::PathBuf;

use statedict::Rename;
use statedict::jobs::rename::Destination;

use crate::commands::output_args::refuse_standard_output;
use crate::commands::parts::{self, PartsWanted};
use crate::commands::several::Several;
use crate::failure::Failure;
use crate::terminal::progress::followed;
use crate::terminal::text::printable;
use crate::terminal::{OutputFormat, Verbosity};

/// What to do, and how to show what was done.
#[derive(Clone)]
pub(crate) struct RenameRequest {
    pub(crate) job: Rename,
    /// The parts that it is to be planned in, instead of doing it.
    pub(crate) parts: Option<PartsWanted>,
    /// What was typed, to suggest it with an output where nothing was written.
    pub(crate) typed: Vec<String>,
    /// What the rules do, in words, where that is wanted.
    pub(crate) explanation: Vec<String>,
    pub(crate) count: Count,
    pub(crate) output_format: OutputFormat,
    pub(crate) verbosity: Verbosity,
}

/// Whether a file is the only one of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    One,
    Several,
}

/// Does it with each of the files.
pub(crate) fn run_all(
    several: &Several<RenameRequest>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Some(first) = several.requests.first() else { return Ok(()) };
    for line in &first.explanation {
        writeln!(out, "{}", printable(line))?;
    }
    several.run(first.output_format, out, run)
}

fn run(request: &RenameRequest, out: &mut dyn Write) -> Result<(), Failure> {
    request.refuse_standard_output()?;
    if let Some(wanted) = &request.parts {
        return parts::plan(request, wanted, out);
    }
    let outcome = followed(request.verbosity, |observer| request.job.run(observer))?;
    match (request.output_format, &outcome.output) {
        (OutputFormat::Json, _) => json::outcome(&outcome, out)?,
        (OutputFormat::Text, None) => report::plan(&outcome, out)?,
        (OutputFormat::Text, Some(_)) => {}
    }
    out.flush()?;
    if request.verbosity == Verbosity::All {
        report::print(request, &outcome);
    }
    Ok(())
}

impl RenameRequest {
    /// Refuses `-` for a name.
    pub(crate) fn refuse_standard_output(&self) -> Result<(), Failure> {
        let output = match &self.job.destination {
            Destination::File(path) => Some(path.as_path()),
            Destination::Nowhere | Destination::InPlace => None,
        };
        let job = self.parts.iter().flat_map(|parts| [Some(&parts.file), parts.slurm.as_ref()]);
        let job = job.flatten().map(PathBuf::as_path);
        refuse_standard_output(output.into_iter().chain(self.job.save_plan.as_deref()).chain(job))
    }
}
