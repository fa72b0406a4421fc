//! Jobs in parts: planned, done part by part, and finished.

pub(crate) mod args;
mod json;

use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use statedict::jobs::parts::{FinishJob, PartSummary, PlanParts, PlannedParts, RunPart, Slurm};

use crate::commands::rename::{RenameRequest, report};
use crate::failure::Failure;
use crate::terminal::progress::followed;
use crate::terminal::text::{count, say, shell_path, size};
use crate::terminal::{OutputFormat, Verbosity};

/// The parts that a job is to be planned in.
#[derive(Clone)]
pub(crate) struct PartsWanted {
    pub(crate) parts: NonZeroUsize,
    /// The job file.
    pub(crate) file: PathBuf,
    /// The script for Slurm.
    pub(crate) slurm: Option<PathBuf>,
}

/// A part to do, and how to show what was done.
pub(crate) struct RunPartRequest {
    pub(crate) job: RunPart,
    pub(crate) output_format: OutputFormat,
    pub(crate) verbosity: Verbosity,
}

/// A job to finish, and how to show what was done.
pub(crate) struct FinishRequest {
    pub(crate) job: FinishJob,
    pub(crate) output_format: OutputFormat,
    pub(crate) verbosity: Verbosity,
}

/// Plans a job in parts.
pub(crate) fn plan(
    request: &RenameRequest,
    wanted: &PartsWanted,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let slurm = wanted
        .slurm
        .clone()
        .map(|script| Ok::<_, Failure>(Slurm { script, program: std::env::current_exe()? }));
    let job = PlanParts {
        job: request.job.clone(),
        parts: wanted.parts,
        file: wanted.file.clone(),
        slurm: slurm.transpose()?,
    };
    let planned = followed(request.verbosity, |observer| job.run(observer))?;
    if request.output_format == OutputFormat::Json {
        json::planned(&wanted.file, &planned, out)?;
        out.flush()?;
    }
    if request.verbosity == Verbosity::All {
        report::print(request, &planned.outcome);
        for line in lines(wanted, &planned) {
            say(&line);
        }
    }
    Ok(())
}

/// What was planned, and what to do next.
fn lines(wanted: &PartsWanted, planned: &PlannedParts) -> Vec<String> {
    let files = planned.parts.iter().map(|part| part.files).sum();
    let bytes: u64 = planned.parts.iter().map(|part| part.bytes).sum();
    let (job, parts) = (shell_path(&wanted.file), planned.parts.len());
    let what = format!("{}, {}", count(files, "file"), size(bytes));
    let mut lines = vec![format!(
        "planned {} of {what}, as {job}; nothing else is written",
        count(parts, "part")
    )];
    let filled = || planned.parts.iter().filter(|part| part.files > 0);
    let of =
        |bytes: fn(&PartSummary) -> u64| (filled().map(bytes).min(), filled().map(bytes).max());
    if let (Some(least), Some(most)) = of(|part| part.bytes) {
        lines.push(format!("  each {} to {}", size(least), size(most)));
    }
    let empty = parts - filled().count();
    if empty > 0 {
        let why = "a smaller --shard-size gives more files";
        lines.push(format!("note: {} have nothing to do; {why}", count(empty, "part")));
    }
    if let Some(script) = &wanted.slurm {
        lines.push(format!("to submit: sh {}", shell_path(script)));
    } else {
        lines.push(format!("for each N from 1 to {parts}: statedict run-part {job} N"));
        lines.push(format!("then: statedict finish {job}"));
    }
    lines
}

/// Does a part.
pub(crate) fn run_part(request: &RunPartRequest, out: &mut dyn Write) -> Result<(), Failure> {
    let outcome = followed(request.verbosity, |observer| request.job.run(observer))?;
    if request.output_format == OutputFormat::Json {
        json::part(&outcome, out)?;
        out.flush()?;
    }
    if request.verbosity == Verbosity::All {
        let (part, parts) = (outcome.part, outcome.parts);
        let found = match outcome.found.len() {
            0 => String::new(),
            found => format!("; {} complete already", count(found, "file")),
        };
        let wrote = format!("{}, {}", count(outcome.written.len(), "file"), size(outcome.bytes));
        let output = outcome.output.display();
        say(&format!("part {part} of {parts}: wrote {wrote} into {output}{found}"));
        report::print_overflows(&outcome.overflows);
    }
    Ok(())
}

/// Finishes a job.
pub(crate) fn finish(request: &FinishRequest, out: &mut dyn Write) -> Result<(), Failure> {
    let outcome = followed(request.verbosity, |observer| request.job.run(observer))?;
    if request.output_format == OutputFormat::Json {
        json::finished(&outcome, out)?;
        out.flush()?;
    }
    if request.verbosity == Verbosity::All {
        let path = match &outcome.index {
            Some(index) => outcome.output.join(index),
            None => outcome.output.clone(),
        };
        let what = format!("{}, {}", count(outcome.files, "file"), size(outcome.bytes));
        say(&format!("{}: all parts are there: {what}", display(&path)));
    }
    Ok(())
}

fn display(path: &Path) -> String {
    path.display().to_string()
}
