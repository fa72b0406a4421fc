//! What can be typed after `split`, and the request that it means.

use std::path::PathBuf;

use statedict::core::SEPARATOR;
use statedict::jobs::split::{Rest, SplitPart};
use statedict::{Input, Split};

use crate::commands::copy_args::{CopyArgs, patterns_are_for};
use crate::commands::folder_args::FolderArgs;
use crate::commands::output_args::{FormatArgs, existing};
use crate::commands::rename::metadata_args::MetadataArgs;
use crate::commands::split::SplitRequest;
use crate::failure::Failure;
use crate::terminal::{OutputFormat, Verbosity};

/// The help of --reserve, where there are several files.
const RESERVE: &str =
    "Reserve this much header space in each file, so that later in-place renames fit";

/// What `split` takes.
#[derive(Debug, clap::Args)]
#[command(mut_arg("cast", |cast| patterns_are_for(cast, "keys as the file has them")))]
#[command(mut_arg("reserve", |reserve| reserve.help(RESERVE)))]
pub(crate) struct SplitArgs {
    /// The file or folder to split
    file: PathBuf,
    /// Put the keys that match in this file: `text.**=text.safetensors`
    ///
    /// The first pattern that matches a key decides. Several patterns may name one file.
    #[arg(value_name = "PATTERN=OUT", value_parser = SplitPart::parse)]
    parts: Vec<SplitPart>,
    /// Put the keys below a prefix in this file, without it: `text=text.safetensors`
    ///
    /// What 'join --prefix text=' did is undone so. Patterns come first.
    #[arg(long = "prefix", value_name = "PREFIX=OUT", value_parser = SplitPart::below_prefix)]
    prefixes: Vec<SplitPart>,
    /// Leave out the keys that go to no file, and list them
    #[arg(long)]
    only: bool,
    /// Split the state dict at this path, whose last part may do
    #[arg(long, value_name = "PATH")]
    at: Option<String>,
    #[command(flatten)]
    format: FormatArgs,
    #[command(flatten)]
    folder: FolderArgs,
    #[command(flatten)]
    copy: CopyArgs,
    #[command(flatten)]
    metadata: MetadataArgs,
    /// Replace files that exist
    #[arg(long)]
    force: bool,
    /// Show what would be written, and write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print one JSON object that says what was done
    #[arg(long)]
    json: bool,
}

impl SplitArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> Result<SplitRequest, Failure> {
        let parts: Vec<SplitPart> = self.parts.into_iter().chain(self.prefixes).collect();
        if parts.is_empty() {
            let hint = "such as 'text.**=text.safetensors', or --prefix text=text.safetensors";
            return Err(Failure::could_not("expected the keys of at least one file").hint(hint));
        }
        Ok(SplitRequest {
            output_format: OutputFormat::of(self.json),
            verbosity,
            job: Split {
                input: Input { file: self.file, at: self.at },
                parts,
                rest: if self.only { Rest::LeftOut } else { Rest::Refused },
                opening: self.folder.opening()?,
                encoding: self.copy.encoding(&self.format, SEPARATOR)?,
                metadata: self.metadata.edits()?,
                strictness: self.copy.strictness(),
                existing: existing(self.force),
                dry_run: self.dry_run,
            },
        })
    }
}
