//! Folders that hold a model: which of their files is the checkpoint, what lies beside it, and the
//! index that is missing or wrong.
//!
//! A folder of the Hugging Face hub has one file of weights, or shards with an index, and files
//! that are none of its business: the configuration, the tokenizer. In a hub cache all of them are
//! links.

mod indexing;
mod names;
pub(crate) mod series;
mod side_files;
mod survey;

use std::path::{Path, PathBuf};

use crate::error::Cause;
use crate::shards::index::is_index;

pub(crate) use names::stem_in;

pub use indexing::{Indexing, NewIndex, index_folder};
pub use side_files::SideFiles;
pub(crate) use side_files::{declared_dtype, side_files};
use survey::Survey;

/// What a path leads to.
pub(crate) enum Located {
    /// A file of its own.
    File(PathBuf),
    /// The index of a sharded checkpoint.
    Index(PathBuf),
}

/// The checkpoint that a path leads to: itself, or the one in a folder.
pub(crate) fn locate(path: &Path) -> Result<Located, Cause> {
    if !path.is_dir() {
        let path = path.to_path_buf();
        return Ok(if is_index(&path) { Located::Index(path) } else { Located::File(path) });
    }
    let survey = Survey::of(path)?;
    match survey.indexes.as_slice() {
        [index] => Ok(Located::Index(path.join(index))),
        [] => survey.only_file().map(|name| Located::File(path.join(name))),
        several => Err(Cause::Folder {
            what: format!("it is a folder with {} indexes: {}", several.len(), several.join(", ")),
            files: several.iter().map(|name| path.join(name)).collect(),
            mends: None,
        }),
    }
}

/// Weights in a folder that are not part of the checkpoint in it, by name.
pub(crate) fn strays(folder: &Path, is_part: impl Fn(&str) -> bool) -> Vec<String> {
    let weights = Survey::of(folder).map(|survey| survey.weights).unwrap_or_default();
    weights.into_iter().filter(|name| !is_part(name)).collect()
}
