//! What was restored, as JSON.

use std::io::Write;
use std::path::Path;

use statedict::checkpoint::Interrupted;

use crate::failure::Failure;
use crate::json::{SCHEMA_VERSION, path_bytes, put};

/// One object that says what was restored.
pub(crate) fn recovery(
    file: &Path,
    found: Option<&Interrupted>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (bytes, name) = (path_bytes(file), file.display().to_string());
    let mut object = serde_json::json!({
        "schema_version": SCHEMA_VERSION,
        "file": name,
        "outcome": word(found),
    });
    if let Some(bytes) = bytes {
        object["file_bytes"] = bytes.into();
    }
    put(&object, out)?;
    Ok(writeln!(out)?)
}

/// What was done, in one word.
fn word(found: Option<&Interrupted>) -> &'static str {
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
