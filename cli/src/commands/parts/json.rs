//! Jobs in parts, as JSON.

use std::io::Write;
use std::path::Path;

use serde::Serialize;
use statedict::jobs::parts::{FinishedJob, PartOutcome, PartSummary, PlannedParts};

use crate::failure::Failure;
use crate::json::{SCHEMA_VERSION, put};

/// The object of `--plan-parts --json`.
#[derive(Serialize)]
struct Planned<'a> {
    schema_version: u32,
    job: String,
    index: Option<&'a str>,
    parts: Vec<Summary>,
}

#[derive(Serialize)]
struct Summary {
    part: usize,
    files: usize,
    bytes: u64,
    reads: u64,
}

/// The object of `run-part --json`.
#[derive(Serialize)]
struct Part<'a> {
    schema_version: u32,
    part: usize,
    parts: usize,
    output: String,
    written: &'a [String],
    found: &'a [String],
    bytes_written: u64,
    overflows: Vec<Overflowed<'a>>,
}

/// A tensor of which a cast made finite numbers infinite.
#[derive(Serialize)]
struct Overflowed<'a> {
    key: &'a str,
    values: u64,
}

/// The object of `finish --json`.
#[derive(Serialize)]
struct Finished<'a> {
    schema_version: u32,
    output: String,
    index: Option<&'a str>,
    files: usize,
    bytes: u64,
}

pub(super) fn planned(
    job: &Path,
    planned: &PlannedParts,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let parts = planned.parts.iter().map(|&PartSummary { part, files, bytes, reads }| Summary {
        part,
        files,
        bytes,
        reads,
    });
    line(
        &Planned {
            schema_version: SCHEMA_VERSION,
            job: job.display().to_string(),
            index: planned.index.as_deref(),
            parts: parts.collect(),
        },
        out,
    )
}

pub(super) fn part(outcome: &PartOutcome, out: &mut dyn Write) -> Result<(), Failure> {
    let overflows = outcome.overflows.iter();
    let overflows = overflows.map(|it| Overflowed { key: &it.key, values: it.values });
    line(
        &Part {
            schema_version: SCHEMA_VERSION,
            part: outcome.part,
            parts: outcome.parts,
            output: outcome.output.display().to_string(),
            written: &outcome.written,
            found: &outcome.found,
            bytes_written: outcome.bytes,
            overflows: overflows.collect(),
        },
        out,
    )
}

pub(super) fn finished(outcome: &FinishedJob, out: &mut dyn Write) -> Result<(), Failure> {
    line(
        &Finished {
            schema_version: SCHEMA_VERSION,
            output: outcome.output.display().to_string(),
            index: outcome.index.as_deref(),
            files: outcome.files,
            bytes: outcome.bytes,
        },
        out,
    )
}

fn line(object: &impl Serialize, out: &mut dyn Write) -> Result<(), Failure> {
    put(object, out)?;
    Ok(writeln!(out)?)
}
