//! What can be typed after `join`, and the request that it means.

use std::path::PathBuf;

use statedict::Join;
use statedict::core::SEPARATOR;
use statedict::jobs::join::{GivenPrefix, Sources};

use crate::commands::copy_args::{CopyArgs, patterns_are_for};
use crate::commands::folder_args::FolderArgs;
use crate::commands::output_args::{PlaceArgs, existing};
use crate::commands::parts::args::PlanPartsArgs;
use crate::commands::rename::metadata_args::MetadataArgs;
use crate::commands::rename::{Count, RenameRequest};
use crate::failure::Failure;
use crate::hints::command_line::typed;
use crate::terminal::{OutputFormat, Verbosity};

/// What `join` takes.
#[derive(Debug, clap::Args)]
#[command(mut_arg("cast", |cast| patterns_are_for(cast, "keys with their prefixes")))]
pub(crate) struct JoinArgs {
    /// The files or folders to join, of any formats, in the order of the new file
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Put a prefix before the keys of a file: `text=` for the next, `text=a.safetensors` for that one
    ///
    /// `PREFIX=` is for the first file, the second for the second, and so on; `=` alone is none.
    /// `PREFIX=FILE` is for the file of that name, `PREFIX=PATH` for the state dict at that path.
    /// Where one file is named with several --at, those take their turns.
    #[arg(long = "prefix", value_name = "PREFIX=[FILE]", value_parser = GivenPrefix::parse)]
    prefixes: Vec<GivenPrefix>,
    /// Take the state dict at this path of each file; `*` takes all, each below its own path
    ///
    /// Given several times it is for one file after another, or, if there is only one, for several of
    /// its state dicts. Without it the state dict that is clearly the model is taken.
    #[arg(long, value_name = "PATH")]
    at: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    copy: CopyArgs,
    #[command(flatten)]
    metadata: MetadataArgs,
    #[command(flatten)]
    parts: PlanPartsArgs,
    /// Replace files that exist
    #[arg(long)]
    force: bool,
    /// Print one JSON object that says what was done
    #[arg(long)]
    json: bool,
}

impl JoinArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> Result<RenameRequest, Failure> {
        let join = Join {
            opening: self.folder.opening()?,
            metadata: self.metadata.edits()?,
            encoding: self.copy.encoding(&self.place.format, SEPARATOR)?,
            output: self.place.output,
            strictness: self.copy.strictness(),
            existing: existing(self.force),
            sources: Sources { files: self.files, at: self.at, prefixes: self.prefixes },
        };
        Ok(RenameRequest {
            job: join.into(),
            parts: self.parts.parts(),
            typed: typed(),
            explanation: Vec::new(),
            count: Count::One,
            output_format: OutputFormat::of(self.json),
            verbosity,
        })
    }
}
