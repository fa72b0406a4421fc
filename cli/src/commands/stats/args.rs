//! What can be typed after `stats`, and the request that it means.

use std::path::PathBuf;

use clap::ValueEnum;
use statedict::jobs::stats::Flaw;
use statedict::{Shown, Stats};

use crate::commands::stats::{Form, StatsRequest};
use crate::terminal::Verbosity;

#[derive(Debug, clap::Args)]
pub(crate) struct StatsArgs {
    /// The file to read
    file: PathBuf,
    /// Only tensors whose keys match one of these: `encoder`, `*.weight`, `layers.{i}.attn.**`
    ///
    /// A module stands for everything below it.
    #[arg(value_name = "PATTERN")]
    patterns: Vec<String>,
    /// Only what this path of dict keys and list indices leads to
    #[arg(long, value_name = "PATH")]
    at: Option<String>,
    /// Only tensors of these types: `bf16,f32`
    #[arg(long, value_name = "DTYPE", value_delimiter = ',')]
    dtype: Vec<String>,
    /// A line for every tensor, instead of one for those that differ in numbers alone
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    each: bool,
    /// Exit with 1 if a tensor has NaN, has infinities, or is zero throughout
    #[arg(long, value_name = "FLAWS", value_delimiter = ',')]
    fail_on: Vec<NamedFlaw>,
    /// Print a table of comma-separated values, a line for every tensor
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What can be wrong with a tensor.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum NamedFlaw {
    Nan,
    Inf,
    Zeros,
}

impl StatsArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> StatsRequest {
        let form = match (self.json, self.csv, self.each) {
            (true, _, _) => Form::Json,
            (_, true, _) => Form::Csv,
            (_, _, true) => Form::Tensors,
            _ => Form::Groups,
        };
        StatsRequest {
            job: Stats {
                file: self.file,
                shown: Shown { at: self.at, patterns: self.patterns, dtypes: self.dtype },
                ..Stats::default()
            },
            fail_on: self.fail_on.into_iter().map(Flaw::from).collect(),
            form,
            verbosity,
        }
    }
}

impl From<NamedFlaw> for Flaw {
    fn from(named: NamedFlaw) -> Flaw {
        match named {
            NamedFlaw::Nan => Flaw::Nan,
            NamedFlaw::Inf => Flaw::Inf,
            NamedFlaw::Zeros => Flaw::Zeros,
        }
    }
}
