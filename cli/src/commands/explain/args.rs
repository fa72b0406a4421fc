//! What can be typed after `explain`, and the request that it means.

use std::path::PathBuf;

use crate::commands::explain::ExplainRequest;
use crate::terminal::{OutputFormat, Verbosity};

#[derive(Debug, clap::Args)]
pub(crate) struct ExplainArgs {
    /// The checkpoint that does not load; the command is then held against what it holds
    #[arg(value_name = "CKPT")]
    file: Option<PathBuf>,
    /// The model it is to be loaded into: a checkpoint of it, or what `ls --json` printed of one
    #[arg(long = "to", value_name = "TARGET", requires = "file")]
    target: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl ExplainArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> ExplainRequest {
        ExplainRequest {
            file: self.file,
            target: self.target,
            output_format: OutputFormat::of(self.json),
            verbosity,
        }
    }
}
