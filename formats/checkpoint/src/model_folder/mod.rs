//! Folders that hold a model: which of their files is the checkpoint, what is next to it, and the
//! index that is missing or wrong.
//!
//! A folder of the Hugging Face hub has one file of weights, or shards with an index, and files
//! that are none of its business: the configuration, the tokenizer. In a hub cache all of them are
//! links.

mod in_folder;
mod indexing;
mod kinds;
mod names;
pub(crate) mod roles;
pub(crate) mod series;
mod sets;
mod side_files;
mod survey;
mod trainers;

use std::path::{Path, PathBuf};

use crate::error::Cause;
use crate::folder::InFolder;

pub(crate) use kinds::led_by;
pub(crate) use names::stem_in;
pub(crate) use roles::strays;
pub(crate) use sets::{Sets, last_of};

pub use indexing::{Indexing, NewIndex, index_folder};
pub use side_files::SideFiles;
pub(crate) use side_files::{declared_dtype, side_files};
use survey::Survey;

/// How deep folders of trainers are descended that hold no checkpoint themselves.
const MAX_DEPTH: usize = 3;

/// What a path leads to.
pub(crate) enum Located {
    /// A file of its own.
    File(PathBuf),
    /// Several files, of which one leads to the others.
    Folder(InFolder),
    /// Several checkpoints of many files, below one folder or in it.
    Several(Several),
}

/// Checkpoints in one folder or below it, each with what it is called there.
pub(crate) struct Several {
    pub(crate) folder: PathBuf,
    pub(crate) parts: Vec<(String, InFolder)>,
}

/// The checkpoint that a path leads to: itself, or what there is in a folder.
pub(crate) fn locate(path: &Path) -> Result<Located, Cause> {
    if !path.is_dir() {
        return Ok(named(path).map_or_else(|| Located::File(path.to_path_buf()), Located::Folder));
    }
    if let Some(found) = trainers::in_subfolder(path)? {
        return Ok(Located::Folder(found));
    }
    let survey = Survey::of(path)?;
    if let Some(several) = trainers::titled(path, &survey.manifests) {
        return Ok(Located::Several(several));
    }
    match survey.manifests.as_slice() {
        [(name, format)] => {
            let (folder, manifest) = (path.to_path_buf(), name.clone());
            Ok(Located::Folder(InFolder { folder, format: *format, manifest }))
        }
        [] if survey.weights.is_empty() => match trainers::below(path, MAX_DEPTH)? {
            Some(found) => Ok(found),
            None => survey.only_file().map(|name| Located::File(path.join(name))),
        },
        [] => survey.only_file().map(|name| Located::File(path.join(name))),
        several => Err(survey.several_manifests(several)),
    }
}

/// The checkpoint whose manifest a path names.
pub(crate) fn named(path: &Path) -> Option<InFolder> {
    let manifest = path.file_name()?.to_str()?.to_string();
    let format = led_by(&manifest)?;
    let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
    Some(InFolder { folder, format, manifest })
}
