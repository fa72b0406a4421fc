//! What is left out of a file, as JSON.

use std::io::Write;

use serde::Serialize;
use statedict::jobs::prune::{Entry, Outcome};

use crate::failure::Failure;
use crate::json::{SCHEMA_VERSION, put};

/// The object of `prune --json`.
#[derive(Serialize)]
struct Object<'a> {
    schema_version: u32,
    file: String,
    written: bool,
    left_out: Vec<Shown<'a>>,
    kept: Vec<Shown<'a>>,
    bytes: u64,
    new_bytes: u64,
}

/// An entry of the outermost mapping.
#[derive(Serialize)]
struct Shown<'a> {
    entry: &'a str,
    kind: &'a str,
    tensors: usize,
    bytes: u64,
}

/// One object that says what was done.
pub(crate) fn outcome(
    file: &std::path::Path,
    outcome: &Outcome,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let object = Object {
        schema_version: SCHEMA_VERSION,
        file: file.display().to_string(),
        written: outcome.written,
        left_out: outcome.left_out.iter().map(Shown::of).collect(),
        kept: outcome.kept.iter().map(Shown::of).collect(),
        bytes: outcome.bytes,
        new_bytes: outcome.new_bytes,
    };
    put(&object, out)?;
    Ok(writeln!(out)?)
}

impl<'a> Shown<'a> {
    fn of(entry: &'a Entry) -> Shown<'a> {
        let Entry { key, kind, tensors, bytes } = entry;
        Shown { entry: key, kind, tensors: *tensors, bytes: *bytes }
    }
}
