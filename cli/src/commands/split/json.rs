//! What came out of a split, as JSON.

use std::io::Write;
use std::path::Path;

use serde::Serialize;
use statedict::jobs::split::SplitOutcome;

use crate::commands::rename::json::Behind;
use crate::failure::Failure;
use crate::json::{NotWhole, SCHEMA_VERSION, put};

/// What `split` did.
#[derive(Serialize)]
struct Done<'a> {
    schema_version: u32,
    file: String,
    outputs: Vec<Part<'a>>,
    /// Keys that are in none of them.
    in_no_file: &'a [String],
    /// Tensors that are not whole, and are left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<NotWhole<'a>>,
}

/// One of the new files.
#[derive(Serialize)]
struct Part<'a> {
    output: String,
    format: &'a str,
    written: bool,
    bytes_written: Option<u64>,
    /// The keys with the names they have now.
    keys: Vec<[&'a str; 2]>,
    left_behind: Behind<'a>,
}

/// One object that says what was done, or would be.
pub(super) fn outcome(
    file: &Path,
    outcome: &SplitOutcome,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let parts = outcome.outputs.iter().map(|(output, part)| {
        let to = part.conversion.as_ref().map_or(part.source.format, |conversion| conversion.to);
        let sections = part.planned.plan.sections().iter();
        Part {
            output: output.display().to_string(),
            format: to.name(),
            written: part.output.is_some(),
            bytes_written: part.bytes_written(),
            keys: sections.flat_map(|it| it.kept()).map(|(old, new)| [old, new]).collect(),
            left_behind: part
                .conversion
                .as_ref()
                .map(|it| Behind::of(&it.omitted))
                .unwrap_or_default(),
        }
    });
    let first = outcome.outputs.first().map(|(_, part)| part.left_out.as_slice());
    let done = Done {
        schema_version: SCHEMA_VERSION,
        file: file.display().to_string(),
        outputs: parts.collect(),
        in_no_file: &outcome.in_no_file,
        left_out: NotWhole::all(first.unwrap_or_default()),
    };
    put(&done, out)?;
    Ok(writeln!(out)?)
}
