//! `recover`: a file whose editing in place was cut short becomes what it was.

use std::io::Write;
use std::path::PathBuf;

use statedict_checkpoint::{Interrupted, Journals, recover};

use crate::failure::Failure;
use crate::json;
use crate::terminal::text::say;
use crate::terminal::{OutputFormat, Verbosity};

/// The file to restore, and how to tell what came of it.
pub(crate) struct Recovery {
    pub(crate) file: PathBuf,
    pub(crate) journals: Journals,
    pub(crate) form: OutputFormat,
    pub(crate) talk: Verbosity,
}

pub(crate) fn run(recovery: &Recovery, out: &mut dyn Write) -> Result<(), Failure> {
    let found = recover(&recovery.file, recovery.journals)?;
    if recovery.form == OutputFormat::Json {
        json::recovery(&recovery.file, found.as_ref(), out)?;
    }
    if recovery.talk == Verbosity::All {
        say(&match &found {
            Some(found) => found.to_string(),
            None => format!("no edit of '{}' was cut short", recovery.file.display()),
        });
    }
    Ok(())
}

/// What was done, in one word.
pub(crate) fn word(found: Option<&Interrupted>) -> &'static str {
    match found {
        None => "nothing",
        Some(Interrupted::Restored { .. }) => "restored",
        Some(Interrupted::Discarded { .. }) => "discarded",
        Some(
            Interrupted::Pending { .. }
            | Interrupted::Untrusted { .. }
            | Interrupted::Ignored { .. },
        ) => "left",
    }
}
