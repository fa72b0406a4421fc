//! The options that say how and where a new file is written.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use statedict::checkpoint::{Existing, format_called, written_formats};
use statedict::core::Format;
use statedict::jobs::target::{Companions, Sharding, sharded_formats};

use crate::failure::Failure;
use crate::terminal::size;

/// The options that say how and where the new file of a model is written.
#[derive(Debug, clap::Args)]
pub(crate) struct OutputArgs {
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
    /// Leave behind what lies beside the weights in a model folder: configuration, tokenizer
    #[arg(long)]
    pub(crate) weights_only: bool,
}

/// The options that say where and in which format a new file is written.
#[derive(Debug, clap::Args)]
pub(crate) struct PlaceArgs {
    /// Write the result to this file; its extension chooses the format
    ///
    /// A model folder is written to a folder, and one file to a file. An existing symbolic link is
    /// replaced itself, not what it leads to.
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) format: FormatArgs,
}

/// The options that say in which format a new file is written.
#[derive(Debug, clap::Args)]
pub(crate) struct FormatArgs {
    /// Write this format, whatever the extension of OUT
    ///
    /// `dcp` is a distributed checkpoint of PyTorch: OUT is a folder, which
    /// torch.distributed.checkpoint loads on any number of ranks.
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub(crate) format: Option<NamedFormat>,
    /// Write files of at most this size and an index into the folder OUT: `5GB`, `500MiB`
    ///
    /// They are safetensors unless --format says otherwise.
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) shard_size: Option<u64>,
}

/// What becomes of files that exist, with --force or without.
pub(crate) fn existing(force: bool) -> Existing {
    if force { Existing::Replace } else { Existing::Refuse }
}

/// A format that was asked for by name.
#[derive(Clone, Copy)]
pub(crate) struct NamedFormat(pub(crate) &'static dyn Format);

impl std::fmt::Debug for NamedFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name())
    }
}

/// The names of formats, as values of an option.
pub(crate) fn formats() -> impl TypedValueParser<Value = NamedFormat> {
    PossibleValuesParser::new(written_formats().map(|format| format.name()))
        .map(|name| NamedFormat(format_called(&name).expect("the names of the formats")))
}

impl OutputArgs {
    /// What becomes of the files beside the weights.
    pub(crate) fn companions(&self) -> Companions {
        if self.weights_only { Companions::LeftOut } else { Companions::Copied }
    }
}

impl FormatArgs {
    /// The format that was asked for.
    pub(crate) fn format(&self) -> Option<&'static dyn Format> {
        self.format.map(|NamedFormat(format)| format)
    }

    /// How the tensors are spread over several files, if they are to be.
    pub(crate) fn sharding(&self) -> Result<Option<Sharding>, Failure> {
        let Some(limit) = self.shard_size else { return Ok(None) };
        let usual = sharded_formats().next_back();
        let known = || sharded_formats().map(|format| format.name());
        if let Some(format) = self.format().or(usual)
            && known().any(|known| known == format.name())
        {
            return Ok(Some(Sharding { limit, format }));
        }
        let known = known().collect::<Vec<_>>().join(", ");
        let error = "this format is not spread over several files";
        Err(Failure::could_not(error)
            .hint(format!("with --shard-size, --format is one of {known}")))
    }
}

/// Refuses the name that other commands take for standard output.
pub(crate) fn refuse_standard_output<'a>(
    new: impl IntoIterator<Item = &'a Path>,
) -> Result<(), Failure> {
    if new.into_iter().all(|path| path.as_os_str() != "-") {
        return Ok(());
    }
    let error = "cannot write to standard output: a file is written beside its place and takes it \
                 in one step";
    Err(Failure::could_not(error).hint("give a file name; for a file that is called '-', ./-"))
}
