//! What can be typed after `join`, and the request that it means.

use std::path::PathBuf;

use statedict::Join;
use statedict::checkpoint::Existing;
use statedict::core::casting::{CastRule, Casting};
use statedict::core::{Headroom, SEPARATOR};
use statedict::jobs::join::{GivenPrefix, Sources};
use statedict::jobs::rename::{Encoding, Strictness};

use crate::commands::folder_args::FolderArgs;
use crate::commands::output_args::PlaceArgs;
use crate::commands::parts::args::PlanPartsArgs;
use crate::commands::rename::args::TiesWritten;
use crate::commands::rename::metadata_args::MetadataArgs;
use crate::commands::rename::{Count, RenameRequest};
use crate::failure::Failure;
use crate::hints::command_line::typed;
use crate::terminal::size;
use crate::terminal::{OutputFormat, Verbosity};

/// What `join` takes.
#[derive(Debug, clap::Args)]
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
    /// Cast floating-point tensors: `bf16`, `text.**=float32`; can be repeated
    ///
    /// Patterns are for keys with their prefixes.
    #[arg(long, value_name = "[PATTERN=]DTYPE")]
    cast: Vec<String>,
    /// Refuse what is otherwise done with a note: tensors that are not cast, values out of range
    #[arg(long)]
    strict: bool,
    /// Choose how tensors are written that several keys share
    #[arg(long, value_enum, default_value = "each")]
    ties: TiesWritten,
    /// Reserve this much header space, so that later in-place renames fit
    #[arg(long, value_name = "SIZE", value_parser = size::reserve)]
    reserve: Option<u64>,
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
        let casts = self.cast.iter().map(|text| CastRule::parse(text, SEPARATOR));
        let join = Join {
            opening: self.folder.opening()?,
            metadata: self.metadata.edits()?,
            encoding: Encoding {
                casting: Casting { rules: casts.collect::<Result<_, _>>()? },
                ties: self.ties.ties(),
                headroom: self.reserve.map_or(Headroom::Usual, Headroom::Bytes),
                format: self.place.format.format(),
                sharding: self.place.format.sharding()?,
                ..Encoding::default()
            },
            output: self.place.output,
            strictness: if self.strict { Strictness::Refuse } else { Strictness::Note },
            existing: if self.force { Existing::Replace } else { Existing::Refuse },
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
