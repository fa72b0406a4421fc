//! An explanation, as JSON.

use std::io::{self, Write};

use serde::Serialize;
use statedict_core::{StateDict, explain::LoadError};

use crate::explanation::{Explanation, Verdict, report};
use crate::failure::Failure;
use crate::json::path_bytes;

/// The object of `explain --json`.
#[derive(Serialize)]
struct Explained<'a> {
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_bytes: Option<String>,
    cause: &'static str,
    explanation: &'a str,
    command: Option<String>,
    /// The words of the command, after the program's name.
    words: Option<&'a [String]>,
    /// True if the command was seen to help, null if there was nothing to try it on.
    verified: Option<bool>,
    /// Why it does not help.
    doubt: Option<&'a str>,
    /// True if the word MODEL in the command stands for a file that only the user has.
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
    fn of(state_dict: &'a StateDict) -> Other<'a> {
        Other { at: &state_dict.at, tensors: state_dict.tensors() }
    }
}

/// One object with all that is known.
pub(crate) fn explanation(explanation: &Explanation, out: &mut dyn Write) -> Result<(), Failure> {
    let (verified, doubt) = match &explanation.verdict {
        Verdict::Verified => (Some(true), None),
        Verdict::Refuted(doubt) => (Some(false), Some(doubt.as_str())),
        Verdict::Open => (None, None),
    };
    let (missing, unexpected, misfits) = match explanation.complaint {
        LoadError::Mismatch(mismatch) => {
            (mismatch.missing.len(), mismatch.unexpected.len(), mismatch.misfits.len())
        }
        _ => (0, 0, 0),
    };
    let explained = Explained {
        file: explanation.file.map(|file| file.display().to_string()),
        file_bytes: explanation.file.and_then(path_bytes),
        cause: explanation.diagnosis.cause.name(),
        explanation: &explanation.diagnosis.message,
        command: report::line(explanation),
        words: explanation.command.as_deref(),
        verified,
        doubt,
        needs_model: explanation.needs_model,
        others: explanation.choice.iter().flat_map(|it| &it.others).map(Other::of).collect(),
        missing,
        unexpected,
        misfits,
    };
    serde_json::to_writer(&mut *out, &explained).map_err(io::Error::from)?;
    Ok(writeln!(out)?)
}
