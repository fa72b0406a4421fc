//! Where output goes: the names it may have, and the format that a name asks for.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_checkpoint::{
    Checkpoint, Disk, Existing, Protection, SideFiles, Staged, System, ending, format_named_by,
    written_formats,
};
use statedict_core::{Format, MetadataChange};

use crate::jobs::error::{Advice, Error};

/// Several files with an index.
#[derive(Clone, Copy)]
pub struct Sharding {
    /// The most bytes of elements in each.
    pub limit: u64,
    /// Their format, which must have names for shards.
    pub format: &'static dyn Format,
}

/// What becomes of the files beside the weights in a model folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Companions {
    /// They are copied along.
    #[default]
    Copied,
    /// They are left out.
    LeftOut,
}

/// True if the output is a folder: several files are written, or the input is a model folder and the
/// name asks for no format.
pub(crate) fn is_folder(
    output: &Path,
    checkpoint: &Checkpoint,
    asked: Option<&dyn Format>,
    sharding: Option<&Sharding>,
) -> bool {
    let from_folder = checkpoint.is_sharded() || checkpoint.model_folder().is_some();
    sharding.is_some()
        || asked.is_some_and(|format| format.facts().writes_folders)
        || (from_folder && format_named_by(output).is_none())
}

/// The name of the one file of a model folder in a format.
pub(crate) fn model_name(checkpoint: &Checkpoint, to: &dyn Format) -> String {
    let own = checkpoint.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    match checkpoint.model_file_name(to) {
        _ if to.name() == checkpoint.format().name() => own,
        Some(name) => name,
        None => sibling(Path::new(&own), "", to).display().to_string(),
    }
}

/// What lies beside the weights of a model folder and goes to another.
pub(crate) fn side_files(
    output: &Path,
    checkpoint: &Checkpoint,
    companions: Companions,
) -> Result<SideFiles, Error> {
    let same = checkpoint.model_folder().is_some_and(|folder| is_same_file(folder, output));
    match companions {
        Companions::Copied if !same => Ok(checkpoint.side_files()?.outside(output)),
        _ => Ok(SideFiles::default()),
    }
}

/// The format of a new file: the one asked for, or the one its name asks for.
pub(crate) fn format_of(
    output: &Path,
    asked: Option<&'static dyn Format>,
) -> Result<&'static dyn Format, Error> {
    asked.or_else(|| format_named_by(output)).ok_or_else(|| {
        let what = match output.extension() {
            Some(_) => "unknown file extension",
            None => "no file extension",
        };
        let error = Error::failed(format_args!("cannot write '{}': {what}", output.display()));
        error.advise(Advice::NameFormat)
    })
}

/// Refuses the name of a file for a folder of several files, which `option` writes.
pub(crate) fn refuse_file_name(output: &Path, option: &str) -> Result<(), Error> {
    match format_named_by(output) {
        Some(_) if !output.is_dir() => Err(Error::failed(format_args!(
            "cannot write '{}': it is the name of a file, and {option} writes a folder",
            output.display()
        ))),
        _ => Ok(()),
    }
}

/// The format of what is written to a folder, if its name or options ask for one.
pub(crate) fn format_of_folder(
    output: &Path,
    asked: Option<&'static dyn Format>,
    sharding: Option<&Sharding>,
) -> Result<Option<&'static dyn Format>, Error> {
    if let Some(sharding) = sharding {
        refuse_file_name(output, "--shard-size")?;
        return Ok(Some(sharding.format));
    }
    if let Some(format) = asked.filter(|format| format.facts().writes_folders) {
        refuse_file_name(output, &format!("--format {}", format.name()))?;
    }
    Ok(asked)
}

/// Refuses to put metadata into a file that has no place for them.
pub(crate) fn refuse_metadata(changes: &[MetadataChange], to: &dyn Format) -> Result<(), Error> {
    if to.facts().holds_metadata || changes.iter().all(|change| change.new.is_none()) {
        return Ok(());
    }
    let error = format!("--metadata: {} has no place for metadata", to.name());
    Err(Error::failed(error).advise(Advice::FormatWithMetadata))
}

/// Refuses files that exist and are not to be replaced.
pub(crate) fn refuse_to_overwrite<'a>(
    new: impl IntoIterator<Item = &'a Path>,
    existing: Existing,
) -> Result<(), Error> {
    for path in new {
        // A folder does not stop files that go into it; those are looked at one by one.
        let is_file = fs::symlink_metadata(path).is_ok_and(|there| !there.is_dir());
        if is_file && existing == Existing::Refuse {
            return Err(already_exists(path));
        }
    }
    Ok(())
}

/// That a file exists which is not to be replaced.
pub(crate) fn already_exists(path: &Path) -> Error {
    Error::exists(path).advise(Advice::ReplaceExisting)
}

/// Refuses to save a plan or a recipe over a file that the job reads or writes.
pub(crate) fn refuse_to_save_over<'a>(
    saved: Option<&Path>,
    what: &str,
    files: impl IntoIterator<Item = &'a Path>,
) -> Result<(), Error> {
    let Some(saved) = saved else { return Ok(()) };
    if files.into_iter().any(|file| is_same_file(saved, file)) {
        return Err(Error::in_file(saved, format_args!("the {what} would replace it")));
    }
    Ok(())
}

/// The same before a recipe is saved, which must not be one of these files either.
pub fn refuse_to_save<'a>(
    saved: Option<&Path>,
    what: &str,
    files: impl IntoIterator<Item = &'a Path>,
    existing: Existing,
) -> Result<(), Error> {
    refuse_to_save_over(saved, what, files)?;
    refuse_to_overwrite(saved, existing)
}

/// Refuses to edit files in place that are read-only, or shared through a link, if not forced.
pub(crate) fn refuse_protected(checkpoint: &Checkpoint, existing: Existing) -> Result<(), Error> {
    let protected = checkpoint.protected();
    if protected.is_empty() || existing == Existing::Replace {
        return Ok(());
    }
    let lines = protected.iter().map(|protected| {
        let file = protected.file.display();
        match &protected.by {
            Protection::ReadOnly => format!("cannot edit '{file}': it is read-only"),
            Protection::Link(target) => format!(
                "cannot edit '{file}': it is a link, and the file it leads to, '{}', may be shared",
                target.display()
            ),
        }
    });
    Err(Error::all_failed(lines.collect()).advise(Advice::EditProtected))
}

/// Writes a plan or a recipe beside its place.
pub fn stage_text(text: String, path: &Path, existing: Existing) -> Result<Staged, Error> {
    let disk: Arc<dyn Disk> = Arc::new(System);
    Ok(statedict_checkpoint::stage_text(text, path, existing, &disk)?)
}

/// What a symbolic link leads to that is about to be replaced by a file.
pub(crate) fn replaced_link(output: &Path) -> Option<PathBuf> {
    fs::read_link(output).ok().filter(|_| !output.is_dir())
}

/// A name beside a file: `net-new.pth` for `net.pth`; the ending stays if it is one of the format.
pub fn sibling(file: &Path, suffix: &str, format: &dyn Format) -> PathBuf {
    let extension = match ending(file) {
        Some((own, extension)) if own.name() == format.name() => extension,
        _ => format.facts().extensions.first().copied().unwrap_or_default(),
    };
    file.with_file_name(format!("{}{suffix}.{extension}", stem(file)))
}

/// A file's name without the ending of any format.
pub fn stem(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match ending(file) {
        Some((_, extension)) => name[..name.len() - extension.len() - 1].to_string(),
        None => file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
    }
}

/// The formats whose checkpoints can be several files.
pub fn sharded_formats() -> impl DoubleEndedIterator<Item = &'static dyn Format> {
    written_formats()
        .filter(|format| format.facts().shard_names.is_some() || format.facts().writes_folders)
}

/// True for two paths of one file.
pub(crate) fn is_same_file(a: &Path, b: &Path) -> bool {
    a == b || matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use statedict_checkpoint::format_called;

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
