//! What can be typed after `cat`, and the request that it means.

use std::path::PathBuf;

use statedict::Cat;
use statedict::checkpoint::Index;
use statedict::jobs::cat::{ValueFormat, slice};

use crate::commands::cat::{CatRequest, Form, Summary};
use crate::commands::output_args::existing;
use crate::failure::Failure;
use crate::terminal::Verbosity;

#[derive(Debug, clap::Args)]
pub(crate) struct CatArgs {
    /// The file to read
    file: PathBuf,
    /// The tensor: its key, or its path where several mappings have that key
    key: String,
    /// Take a part, as NumPy spells it: `0:3,:5`, `-1`, `::2`, `...,0`
    #[arg(long, value_name = "SLICE", value_parser = whole_slice, allow_hyphen_values = true)]
    slice: Option<Slice>,
    /// Print all values, however many there are
    #[arg(long, conflicts_with_all = ["output", "raw"])]
    full: bool,
    /// Write the values to this file instead: .npy, .csv, or .bin for the bytes alone
    ///
    /// `-` is standard output, for the bytes alone.
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Write the elements' bytes to standard output: row-major, little-endian
    #[arg(long, conflicts_with = "output")]
    raw: bool,
    /// Replace OUT if it exists
    #[arg(long)]
    force: bool,
}

/// A part of each dimension.
#[derive(Clone, Debug)]
struct Slice(Vec<Index>);

fn whole_slice(text: &str) -> Result<Slice, String> {
    slice::parse(text).map(Slice)
}

impl CatArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> Result<CatRequest, Failure> {
        let slice = self.slice.map(|Slice(indices)| indices).unwrap_or_default();
        let form = match self.output {
            None if self.raw => Form::Raw,
            None => Form::Text(if self.full { Summary::Never } else { Summary::OfMany }),
            Some(out) if out.as_os_str() == "-" => Form::Raw,
            Some(out) => match out.extension().and_then(|extension| extension.to_str()) {
                Some("npy") => Form::Saved(out, ValueFormat::Npy),
                Some("bin") => Form::Saved(out, ValueFormat::Bytes),
                Some("csv") => Form::Csv(out),
                _ => return Err(unknown_kind(&out)),
            },
        };
        Ok(CatRequest {
            job: Cat { file: self.file, key: self.key, slice },
            form,
            existing: existing(self.force),
            verbosity,
        })
    }
}

fn unknown_kind(out: &std::path::Path) -> Failure {
    let error = format!("{}: unknown file extension", out.display());
    let hint = "use .npy, .csv, or .bin for the bytes alone; 'statedict keep KEY FILE -o OUT' \
                writes a checkpoint of one tensor";
    Failure::could_not(error).hint(hint)
}
