//! What can be typed after `prune`, and the request that it means.

use std::path::PathBuf;

use statedict::Prune;
use statedict::jobs::rename::Destination;

use crate::commands::output_args::existing;
use crate::commands::prune::PruneRequest;
use crate::commands::several::{Placed, Several, Writing};
use crate::failure::Failure;
use crate::terminal::{OutputFormat, Verbosity};

#[derive(Debug, clap::Args)]
pub(crate) struct PruneArgs {
    /// The files to read; several are replaced with -i or written into the folder OUT
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Keep these entries, too: `epoch,hyper_parameters`
    #[arg(long, value_name = "ENTRY", value_delimiter = ',')]
    keep: Vec<String>,
    /// Write the result to this file
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Replace FILE itself
    #[arg(short, long, conflicts_with = "output")]
    in_place: bool,
    /// Replace OUT if it exists
    #[arg(long)]
    force: bool,
    /// Show what would be left out, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl PruneArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> Result<Several<PruneRequest>, Failure> {
        let destination = match self.output {
            _ if self.dry_run => Destination::Nowhere,
            Some(out) => Destination::File(out),
            None if self.in_place => Destination::InPlace,
            None => Destination::Nowhere,
        };
        let writing = if self.dry_run { Writing::Shown } else { Writing::Done };
        let placed = Placed::of(self.files, destination, None, writing)?;
        Ok(placed.into_requests(|file, destination| PruneRequest {
            output_format: OutputFormat::of(self.json),
            verbosity,
            job: Prune {
                file,
                destination,
                keep: self.keep.clone(),
                existing: existing(self.force),
            },
        }))
    }
}
