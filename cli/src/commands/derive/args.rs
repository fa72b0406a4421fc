//! What can be typed after `derive`, and the request that it means.

use std::path::PathBuf;

use statedict::{Derive, Input};

use crate::commands::derive::DeriveRequest;
use crate::commands::output_args::existing;
use crate::terminal::{OutputFormat, Verbosity};

#[derive(Debug, clap::Args)]
pub(crate) struct DeriveArgs {
    /// The file whose keys are to be renamed
    a: PathBuf,
    /// The file that has the keys wanted, with the same weights
    b: PathBuf,
    /// Take the state dict at this path of the first file
    ///
    /// Needed only where it holds several.
    #[arg(long, value_name = "PATH")]
    at: Option<String>,
    /// Take the state dict at this path of the second file
    ///
    /// Otherwise that is the one at the same path, or the only one.
    #[arg(long, value_name = "PATH")]
    at_b: Option<String>,
    /// Save the recipe to this file instead of printing it
    #[arg(long, value_name = "FILE")]
    save_recipe: Option<PathBuf>,
    /// Replace the file of the recipe if it exists
    #[arg(long, requires = "save_recipe")]
    force: bool,
    /// Print one JSON object, the recipe in it
    #[arg(long)]
    json: bool,
}

impl DeriveArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> DeriveRequest {
        DeriveRequest {
            output_format: OutputFormat::of(self.json),
            verbosity,
            job: Derive {
                a: Input { file: self.a, at: self.at },
                b: Input { file: self.b, at: self.at_b },
                save_recipe: self.save_recipe,
                existing: existing(self.force),
            },
        }
    }
}
