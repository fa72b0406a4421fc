//! An explanation, as JSON.

use std::io::Write;

use serde::Serialize;
use statedict::Explain;
use statedict::core::explain::LoadError;
use statedict::jobs::explain::{Outcome, Verdict};
use statedict::jobs::selection::Summary;

use crate::failure::Failure;
use crate::hints::command_line;
use crate::json::{SCHEMA_VERSION, path_bytes, put};

/// The object of `explain --json`.
#[derive(Serialize)]
struct Explained<'a> {
    schema_version: u32,
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_bytes: Option<String>,
    cause: &'static str,
    explanation: &'a str,
    command: Option<String>,
    /// The words of the command, after the program's name.
    words: Option<Vec<String>>,
    /// True if the command was seen to help, null if there was nothing to try it on.
    verified: Option<bool>,
    /// Why it does not help.
    doubt: Option<&'a str>,
    /// True if MODEL in the command is a file that only the user has.
    needs_model: bool,
    /// The other state dicts that the file holds.
    others: Vec<Other<'a>>,
    missing: usize,
    unexpected: usize,
    misfits: usize,
}

/// A state dict that the explanation is not about.
#[derive(Serialize)]
struct Other<'a> {
    at: &'a str,
    tensors: usize,
}

impl<'a> Other<'a> {
    fn of(state_dict: &'a Summary) -> Other<'a> {
        Other { at: &state_dict.path, tensors: state_dict.tensors }
    }
}

/// One object with all that is known.
pub(crate) fn explanation(
    job: &Explain,
    outcome: &Outcome,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (verified, doubt) = match &outcome.verdict {
        Verdict::Verified => (Some(true), None),
        Verdict::Refuted(why) => (Some(false), Some(why.as_str())),
        Verdict::Open => (None, None),
    };
    let (missing, unexpected, misfits) = match &outcome.error {
        LoadError::Mismatch(it) => (it.missing.len(), it.unexpected.len(), it.misfits.len()),
        _ => (0, 0, 0),
    };
    let explained = Explained {
        schema_version: SCHEMA_VERSION,
        file: job.file.as_ref().map(|file| file.display().to_string()),
        file_bytes: job.file.as_deref().and_then(path_bytes),
        cause: outcome.diagnosis.cause.name(),
        explanation: &outcome.diagnosis.message,
        command: outcome.fix.as_ref().and_then(command_line::of_fix),
        words: outcome.fix.as_ref().and_then(command_line::words),
        verified,
        doubt,
        needs_model: outcome.needs_model,
        others: outcome.choice.iter().flat_map(|it| &it.others).map(Other::of).collect(),
        missing,
        unexpected,
        misfits,
    };
    put(&explained, out)?;
    Ok(writeln!(out)?)
}
