//! What can be typed after `index`, and the request that it means.

use std::path::PathBuf;

use statedict::Index;

use crate::commands::index::IndexRequest;
use crate::commands::output_args::existing;
use crate::terminal::{OutputFormat, Verbosity};

#[derive(Debug, clap::Args)]
pub(crate) struct IndexArgs {
    /// The folder
    folder: PathBuf,
    /// The shards, as they are named in the folder
    #[arg(value_name = "FILE")]
    files: Vec<String>,
    /// Show what would be written, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Replace an index that says something else
    #[arg(long)]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl IndexArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> IndexRequest {
        IndexRequest {
            output_format: OutputFormat::of(self.json),
            verbosity,
            job: Index {
                folder: self.folder,
                files: self.files,
                existing: existing(self.force),
                dry_run: self.dry_run,
            },
        }
    }
}
