//! Where a page goes.

use std::io::Write;
use std::path::Path;

use statedict::Error;
use statedict::checkpoint::Existing;
use statedict::jobs::target::{refuse_to_save, stage_text};

use super::html::to_html;
use super::model::Page;
use crate::failure::Failure;
use crate::terminal::Verbosity;
use crate::terminal::text::{say, shell_path, size};

/// Standard output, where a file is expected.
const STANDARD_OUTPUT: &str = "-";

/// Sees to it before any work that a page can be saved and is none of the files that are read.
pub(crate) fn refuse_to_replace<'a>(
    page: &Path,
    files: impl IntoIterator<Item = &'a Path>,
    existing: Existing,
) -> Result<(), Failure> {
    if page.as_os_str() == STANDARD_OUTPUT {
        return Ok(());
    }
    Ok(refuse_to_save(Some(page), "page", files, existing)?)
}

/// Writes a page wholly or not at all; `-` is standard output.
pub(crate) fn save(
    page: &Page,
    path: &Path,
    existing: Existing,
    verbosity: Verbosity,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let html = to_html(page);
    if path.as_os_str() == STANDARD_OUTPUT {
        return Ok(out.write_all(html.as_bytes())?);
    }
    let bytes = html.len() as u64;
    stage_text(html, path, existing)?.commit().map_err(Error::from)?;
    if verbosity == Verbosity::All {
        say(&format!("wrote {} ({})", shell_path(path), size(bytes)));
    }
    Ok(())
}
