//! What can be typed after `diff`, and the request that it means.

use std::path::PathBuf;

use statedict::core::diff::Tolerance;
use statedict::jobs::diff::Depth;
use statedict::{Diff, Input};

use crate::args::headings::SELECTION;
use crate::commands::diff::DiffRequest;
use crate::commands::output_args::existing;
use crate::page::PageFile;
use crate::terminal::{OutputFormat, Verbosity};

#[derive(Debug, clap::Args)]
pub(crate) struct DiffArgs {
    /// The first file
    a: PathBuf,
    /// The second file
    b: PathBuf,
    /// Compare the state dict at this path of the first file
    ///
    /// Needed only where it holds several.
    #[arg(long, value_name = "PATH")]
    at: Option<String>,
    /// Compare it with the state dict at this path of the second file
    ///
    /// Otherwise that is the one at the same path, or the only one.
    #[arg(long, value_name = "PATH")]
    at_b: Option<String>,
    /// Compare keys, dtypes and shapes, and read no elements
    #[arg(long, help_heading = SELECTION)]
    keys_only: bool,
    /// Compare tensors, and leave out metadata and everything else that is not a tensor
    #[arg(long, conflicts_with = "keys_only", help_heading = SELECTION)]
    weights_only: bool,
    /// Take elements for the same that are at most this far apart
    ///
    /// With --rtol as well, |a - b| may be ATOL + RTOL * |b|. What is within does not differ, and
    /// another type does not count as a difference then.
    #[arg(long, value_name = "ATOL", value_parser = distance, conflicts_with = "keys_only")]
    atol: Option<f64>,
    /// Take elements for the same that are at most this much of the second apart
    #[arg(long, value_name = "RTOL", value_parser = distance, conflicts_with = "keys_only")]
    rtol: Option<f64>,
    /// Write a page of what differs, too: shaded by the relative distance; `-` is standard output
    #[arg(long, value_name = "PAGE.html")]
    html: Option<PathBuf>,
    /// Replace the page if it exists
    #[arg(long, requires = "html")]
    force: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A number that is not below 0.
fn distance(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| *number >= 0.0 && number.is_finite());
    number.ok_or_else(|| "expected a number that is not below 0".into())
}

impl DiffArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> DiffRequest {
        DiffRequest {
            output_format: OutputFormat::of(self.json),
            verbosity,
            page: self.html.map(|path| PageFile { path, existing: existing(self.force) }),
            job: Diff {
                a: Input { file: self.a, at: self.at },
                b: Input { file: self.b, at: self.at_b },
                tolerance: Tolerance {
                    atol: self.atol.unwrap_or_default(),
                    rtol: self.rtol.unwrap_or_default(),
                },
                depth: match (self.keys_only, self.weights_only) {
                    (true, _) => Depth::Keys,
                    (_, true) => Depth::Weights,
                    _ => Depth::All,
                },
            },
        }
    }
}
