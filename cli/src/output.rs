//! Where output goes: the names it may have, and the format that a name asks for.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use statedict_checkpoint::{
    Checkpoint, Disk, Existing, FORMATS, Protected, Protection, SideFiles, Staged, System, ending,
    format_called, format_named_by,
};
use statedict_core::{Format, ShardNames};

use crate::commands::remap::is_same_file;
use crate::failure::{Exit, Failure};
use crate::request::Sharding;
use crate::size;

/// The options that say how and where a new file is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Output {
    /// Write the result to this file; its extension chooses the format
    ///
    /// A model folder is written to a folder, and one file to a file. An existing symbolic link is
    /// replaced itself, not what it leads to.
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Write this format, whatever the extension of OUT
    #[arg(long, value_name = "FORMAT", value_parser = formats())]
    pub(crate) format: Option<NamedFormat>,
    /// Write files of at most this size and an index into the folder OUT: `5GB`, `500MiB`
    ///
    /// They are safetensors unless --format says otherwise.
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    pub(crate) shard_size: Option<u64>,
    /// Leave behind what lies beside the weights in a model folder: configuration, tokenizer
    #[arg(long)]
    pub(crate) weights_only: bool,
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
    PossibleValuesParser::new(FORMATS.map(|format| format.name()))
        .map(|name| NamedFormat(format_called(&name).expect("the names of the formats")))
}

impl Output {
    /// What becomes of the files beside the weights.
    pub(crate) fn companions(&self) -> Companions {
        if self.weights_only { Companions::Left } else { Companions::Carried }
    }

    /// The format that was asked for.
    pub(crate) fn format(&self) -> Option<&'static dyn Format> {
        self.format.map(|NamedFormat(format)| format)
    }

    /// How the tensors are spread over several files, if they are to be.
    pub(crate) fn sharding(&self) -> Result<Option<Sharding>, Failure> {
        let Some(limit) = self.shard_size else { return Ok(None) };
        let can_be_sharded = |format: &&dyn Format| format.shard_names().is_some();
        let usual = FORMATS.into_iter().rev().find(can_be_sharded);
        match self.format().or(usual).filter(can_be_sharded) {
            Some(format) => Ok(Some(Sharding { limit, format })),
            None => {
                let known = FORMATS.into_iter().filter(can_be_sharded).map(|format| format.name());
                let known = known.collect::<Vec<_>>().join(", ");
                let error = "this format is not spread over several files";
                Err(Failure::could_not(error)
                    .hint(format!("with --shard-size, --format is one of {known}")))
            }
        }
    }
}

/// True if the output is a folder: several files are written, or the input is a model folder and the
/// name asks for no format.
pub(crate) fn is_folder(
    output: &Path,
    checkpoint: &Checkpoint,
    sharding: Option<&Sharding>,
) -> bool {
    let from_folder = checkpoint.is_sharded() || checkpoint.model_folder().is_some();
    sharding.is_some() || (from_folder && format_named_by(output).is_none())
}

/// The name of the one file of a model folder in a format.
pub(crate) fn model_name(checkpoint: &Checkpoint, to: &dyn Format) -> String {
    let own = checkpoint.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    match to.shard_names() {
        _ if to.name() == checkpoint.format().name() => own,
        Some(ShardNames { stem, extension }) => format!("{stem}.{extension}"),
        None => sibling(Path::new(&own), "", to).display().to_string(),
    }
}

/// What lies beside the weights of a model folder and goes to another.
pub(crate) fn side_files(
    output: &Path,
    checkpoint: &Checkpoint,
    companions: Companions,
) -> Result<SideFiles, Failure> {
    let same = checkpoint.model_folder().is_some_and(|folder| is_same_file(folder, output));
    match companions {
        Companions::Carried if !same => Ok(checkpoint.side_files()?.outside(output)),
        _ => Ok(SideFiles::default()),
    }
}

/// What becomes of the files beside the weights in a model folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Companions {
    /// They are carried along.
    Carried,
    /// They are left behind.
    Left,
}

/// The format of a new file: the one asked for, or the one its name asks for.
pub(crate) fn format_of(
    output: &Path,
    asked: Option<&'static dyn Format>,
) -> Result<&'static dyn Format, Failure> {
    asked.or_else(|| format_named_by(output)).ok_or_else(|| {
        let name = output.display();
        let extensions = FORMATS.iter().flat_map(|format| format.extensions());
        let extensions: Vec<_> = extensions.map(|extension| format!(".{extension}")).collect();
        let formats = FORMATS.map(|format| format.name()).join(", ");
        let error = match output.extension() {
            Some(_) => format!("cannot write '{name}': unknown file extension"),
            None => format!("cannot write '{name}': no file extension"),
        };
        Failure::could_not(error).hint(format!(
            "use one of {}, or add --format FORMAT ({formats})",
            extensions.join(", ")
        ))
    })
}

/// Refuses names that are taken for something other than a file, and files that are there and are
/// not to be replaced.
pub(crate) fn refuse_to_overwrite<'a>(
    new: impl IntoIterator<Item = &'a Path>,
    existing: Existing,
) -> Result<(), Failure> {
    for path in new {
        if path.as_os_str() == "-" {
            let error = "cannot write to standard output: a file is written beside its place and \
                         takes it in one step";
            return Err(Failure::could_not(error)
                .hint("give a file name; for a file that is called '-', ./-"));
        }
        // A folder is no obstacle to files that go into it; those are looked at one by one.
        let is_file = fs::symlink_metadata(path).is_ok_and(|there| !there.is_dir());
        if is_file && existing == Existing::Refuse {
            let error = format!("cannot write '{}': it exists already", path.display());
            return Err(Failure::could_not(error).hint("add --force to replace it"));
        }
    }
    Ok(())
}

/// Refuses to edit files in place that are read-only, or shared through a link, if not forced.
pub(crate) fn refuse_protected(checkpoint: &Checkpoint, existing: Existing) -> Result<(), Failure> {
    let protected = checkpoint.protected();
    if protected.is_empty() || existing == Existing::Replace {
        return Ok(());
    }
    let line = |protected: &Protected| {
        let file = protected.file.display();
        match &protected.by {
            Protection::ReadOnly => format!("cannot edit '{file}': it is read-only"),
            Protection::Link(target) => format!(
                "cannot edit '{file}': it is a link, and the file it leads to, '{}', may be shared",
                target.display()
            ),
        }
    };
    let errors = protected.iter().map(line).collect();
    let failure = Failure { exit: Exit::CouldNot, errors, hints: Vec::new() };
    Err(failure.hint("add --force to edit it nonetheless, or write another file with -o"))
}

/// Writes a plan or a recipe beside its place.
pub(crate) fn stage_text(
    text: String,
    path: &Path,
    existing: Existing,
) -> Result<Staged, statedict_checkpoint::Error> {
    let disk: Arc<dyn Disk> = Arc::new(System);
    statedict_checkpoint::stage_text(text, path, existing, &disk)
}

/// What a symbolic link leads to that is about to be replaced by a file.
pub(crate) fn replaced_link(output: &Path) -> Option<PathBuf> {
    fs::read_link(output).ok().filter(|_| !output.is_dir())
}

/// A name beside a file: `net-new.pth` for `net.pth`; the ending stays if it is one of the format.
pub(crate) fn sibling(file: &Path, suffix: &str, format: &dyn Format) -> PathBuf {
    let extension = match ending(file) {
        Some((own, extension)) if own.name() == format.name() => extension,
        _ => format.extensions().first().copied().unwrap_or_default(),
    };
    file.with_file_name(format!("{}{suffix}.{extension}", stem(file)))
}

/// A file's name without the ending of any format.
pub(crate) fn stem(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match ending(file) {
        Some((_, extension)) => name[..name.len() - extension.len() - 1].to_string(),
        None => file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_beside_a_file_keeps_its_ending_where_that_is_the_formats() {
        let check = |file: &str, format: &str, expected: &str| {
            let format = format_called(format).expect("a format");
            assert_eq!(sibling(Path::new(file), "-new", format), Path::new(expected));
        };
        check("in/net.pth", "pth", "in/net-new.pth");
        check("checkpoint.pth.tar", "pth", "checkpoint-new.pth.tar");
        check("old.tar", "pth", "old-new.pth");
        check("net.pth", "safetensors", "net-new.safetensors");
        check("blob", "safetensors", "blob-new.safetensors");
        check("v1.5.ckpt", "npz", "v1.5-new.npz");
        check("net.BIN", "pth", "net-new.bin");
    }
}
