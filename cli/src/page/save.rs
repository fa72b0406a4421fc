//! Where a page goes.

use std::io::Write;
use std::path::{Path, PathBuf};

use statedict::Error;
use statedict::checkpoint::Existing;
use statedict::jobs::target::{refuse_to_save, stage_text};

use super::html::to_html;
use super::model::Page;
use crate::failure::Failure;
use crate::terminal::Verbosity;
use crate::terminal::text::{say, shell_path, size};

/// The file that a page is written to; `-` is standard output.
#[derive(Clone)]
pub(crate) struct PageFile {
    pub(crate) path: PathBuf,
    pub(crate) existing: Existing,
}

impl PageFile {
    /// True if the page is all that may be printed.
    pub(crate) fn is_standard_output(&self) -> bool {
        self.path.as_os_str() == "-"
    }

    /// Sees to it before any work that the page can be saved and is none of these files.
    pub(crate) fn refuse_to_replace<'a>(
        &self,
        files: impl IntoIterator<Item = &'a Path>,
    ) -> Result<(), Failure> {
        if self.is_standard_output() {
            return Ok(());
        }
        Ok(refuse_to_save(Some(&self.path), "page", files, self.existing)?)
    }

    /// Writes a page wholly or not at all.
    pub(crate) fn save(
        &self,
        page: &Page,
        verbosity: Verbosity,
        out: &mut dyn Write,
    ) -> Result<(), Failure> {
        let html = to_html(page);
        if self.is_standard_output() {
            return Ok(out.write_all(html.as_bytes())?);
        }
        let bytes = html.len() as u64;
        stage_text(html, &self.path, self.existing)?.commit().map_err(Error::from)?;
        if verbosity == Verbosity::All {
            say(&format!("wrote {} ({})", shell_path(&self.path), size(bytes)));
        }
        Ok(())
    }
}
