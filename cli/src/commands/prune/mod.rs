//! `prune`: a trainer's file without what its models do not need.

pub(crate) mod args;
mod json;

use std::io::Write;

use statedict::Prune;
use statedict::jobs::prune::{Entry, Outcome};
use statedict::jobs::rename::Destination;
use statedict::jobs::target::stem;

use crate::commands::output_args::refuse_standard_output;
use crate::commands::several::Several;
use crate::failure::Failure;
use crate::terminal::color;
use crate::terminal::progress::followed;
use crate::terminal::text::{count, name, say, shell_path, shell_word, size};
use crate::terminal::{OutputFormat, Verbosity};

/// The file, and how to show what came of it.
pub(crate) struct PruneRequest {
    pub(crate) job: Prune,
    pub(crate) output_format: OutputFormat,
    pub(crate) verbosity: Verbosity,
}

/// Does it with each of the files.
pub(crate) fn run_all(several: &Several<PruneRequest>, out: &mut dyn Write) -> Result<(), Failure> {
    let format = several.requests.first().map(|it| it.output_format);
    several.run(format.unwrap_or(OutputFormat::Text), out, run)
}

fn run(request: &PruneRequest, out: &mut dyn Write) -> Result<(), Failure> {
    let job = &request.job;
    if let Destination::File(path) = &job.destination {
        refuse_standard_output([path.as_path()])?;
    }
    let outcome = followed(request.verbosity, |observer| job.run(observer))?;
    match (request.output_format, request.verbosity) {
        (OutputFormat::Json, _) => json::outcome(&job.file, &outcome, out)?,
        (OutputFormat::Text, Verbosity::All) => entries(&outcome, out)?,
        (OutputFormat::Text, Verbosity::Errors) => {}
    }
    out.flush()?;
    if request.verbosity == Verbosity::All {
        lines(job, &outcome).iter().for_each(|line| say(line));
    }
    Ok(())
}

/// A line for each entry: what goes, and what stays.
fn entries(outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    for (sign, entries) in [('-', &outcome.left_out), (' ', &outcome.kept)] {
        for entry in entries {
            let line = format!("{sign} {}", described(entry));
            writeln!(out, "{}", color::signed(&line))?;
        }
    }
    Ok(())
}

fn described(entry: &Entry) -> String {
    let what = match entry.tensors {
        0 => name(&entry.kind).into_owned(),
        _ if entry.kind == "tensor" => format!("tensor, {}", size(entry.bytes)),
        tensors => {
            let size = size(entry.bytes);
            format!("{}, {}, {size}", name(&entry.kind), count(tensors, "tensor"))
        }
    };
    format!("{} ({what})", name(&entry.key))
}

fn lines(job: &Prune, outcome: &Outcome) -> Vec<String> {
    let sizes = format!("{} instead of {}", size(outcome.new_bytes), size(outcome.bytes));
    let gone = match outcome.left_out.len() {
        1 => "1 entry".to_string(),
        entries => format!("{entries} entries"),
    };
    match &job.destination {
        Destination::File(path) => {
            vec![format!("wrote {}: {gone} left out, {sizes}", path.display())]
        }
        Destination::InPlace => {
            vec![format!("replaced {}: {gone} left out, {sizes}", job.file.display())]
        }
        Destination::Nowhere => vec![
            format!("dry run, nothing written; {gone} would be left out, {sizes}; to apply:"),
            format!("  {}", command(job)),
        ],
    }
}

/// The command that does it.
fn command(job: &Prune) -> String {
    let keep = match job.keep.as_slice() {
        [] => String::new(),
        keep => format!(" --keep {}", shell_word(&keep.join(","))),
    };
    let mut small = job.file.with_file_name(format!("{}-small", stem(&job.file)));
    if let Some(extension) = job.file.extension() {
        small.set_extension(extension);
    }
    format!("statedict prune {}{keep} -o {}", shell_path(&job.file), shell_path(&small))
}
