//! What can be typed after `recipes`, and the request that it means.

use crate::commands::recipes::RecipesRequest;
use crate::terminal::{OutputFormat, Verbosity};

#[derive(Debug, clap::Args)]
pub(crate) struct RecipesArgs {
    /// Print this recipe, to copy and change it
    name: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl RecipesArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> RecipesRequest {
        RecipesRequest { name: self.name, output_format: OutputFormat::of(self.json), verbosity }
    }
}
