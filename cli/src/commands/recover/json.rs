//! What was restored, as JSON.

use std::io::Write;
use std::path::Path;

use statedict::checkpoint::Interrupted;

use crate::failure::Failure;
use crate::json::{SCHEMA_VERSION, path_bytes, put};

/// One object that says what was restored.
pub(crate) fn recovery(
    file: &Path,
    found: &[Interrupted],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (bytes, name) = (path_bytes(file), file.display().to_string());
    let mut object = serde_json::json!({
        "schema_version": SCHEMA_VERSION,
        "file": name,
        "outcome": found.first().map_or("nothing", word),
        "files": found.iter().map(of_file).collect::<Vec<_>>(),
    });
    if let Some(bytes) = bytes {
        object["file_bytes"] = bytes.into();
    }
    put(&object, out)?;
    Ok(writeln!(out)?)
}

/// What was done about one file.
fn of_file(found: &Interrupted) -> serde_json::Value {
    serde_json::json!({ "file": found.file().display().to_string(), "outcome": word(found) })
}

/// What was done, in one word.
fn word(found: &Interrupted) -> &'static str {
    match found {
        Interrupted::Restored { .. } => "restored",
        Interrupted::Finished { .. } => "finished",
        Interrupted::Discarded { .. } => "discarded",
        Interrupted::Pending { .. }
        | Interrupted::Decided { .. }
        | Interrupted::Untrusted { .. }
        | Interrupted::Ignored { .. } => "left",
    }
}
