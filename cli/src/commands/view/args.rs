//! What can be typed after `view`, and the request that it means.

use std::path::PathBuf;

use crate::commands::folder_args::FolderArgs;
use crate::commands::output_args::existing;
use crate::commands::view::{Depth, ViewRequest};
use crate::failure::Failure;
use crate::page::PageFile;
use crate::terminal::Verbosity;

#[derive(Debug, clap::Args)]
pub(crate) struct ViewArgs {
    /// The files to show, one after another on the page
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The page to write; `-` is standard output
    #[arg(short, long, value_name = "PAGE.html")]
    output: PathBuf,
    /// Read all values, for the figures of `stats`: deviation, extremes, NaN, a histogram of each tensor
    ///
    /// Checksums are checked then, too.
    #[arg(long)]
    stats: bool,
    #[command(flatten)]
    folder: FolderArgs,
    /// Replace the page if it exists
    #[arg(long)]
    force: bool,
}

impl ViewArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> Result<ViewRequest, Failure> {
        Ok(ViewRequest {
            files: self.files,
            page: PageFile { path: self.output, existing: existing(self.force) },
            depth: if self.stats { Depth::Values } else { Depth::Structure },
            opening: self.folder.opening()?,
            verbosity,
        })
    }
}
