//! What can be typed after `stats`, and the request that it means.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use statedict::jobs::stats::Flaw;
use statedict::{Shown, Stats};

use crate::commands::several::{Several, files_among};
use crate::commands::stats::{Form, StatsRequest};
use crate::failure::Failure;
use crate::terminal::Verbosity;

#[derive(Debug, clap::Args)]
pub(crate) struct StatsArgs {
    /// The file to read
    file: PathBuf,
    /// More files, and patterns of the keys that are meant: `encoder`, `*.weight`, `layers.{i}.attn.**`
    ///
    /// What is there as a file is one, and so is what has the extension of a checkpoint. A module
    /// stands for everything below it.
    #[arg(value_name = "FILE|PATTERN")]
    more: Vec<String>,
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
    pub(crate) fn request(self, verbosity: Verbosity) -> Result<Several<StatsRequest>, Failure> {
        let form = match (self.json, self.csv, self.each) {
            (true, _, _) => Form::Json,
            (_, true, _) => Form::Csv,
            (_, _, true) => Form::Tensors,
            _ => Form::Groups,
        };
        let (files, patterns) = files_among(self.file, self.more);
        if files.len() > 1 && form == Form::Csv {
            return Err(Failure::could_not("--csv is the table of one file")
                .hint("--json prints an object for each file"));
        }
        let title = |file: &Path| (files.len() > 1).then(|| format!("{}:", file.display()));
        let shown = Shown { at: self.at, patterns, dtypes: self.dtype };
        let requests = files.iter().map(|file| StatsRequest {
            job: Stats { file: file.clone(), shown: shown.clone(), ..Stats::default() },
            fail_on: self.fail_on.iter().copied().map(Flaw::from).collect(),
            form,
            title: title(file),
            verbosity,
        });
        Ok(Several::to_read(requests.collect()))
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
