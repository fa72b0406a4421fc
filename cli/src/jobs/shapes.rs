//! The names and shapes of a model's tensors, for checkpoints that do not say them.

use std::path::Path;
use std::sync::Arc;

use crate::jobs::error::Error;
use crate::jobs::fit::Target;
use crate::jobs::observer::Observer;
use crate::jobs::selection::{Input, Role};

/// The names and shapes of the tensors of a model, in its order: of a checkpoint, or of what
/// `ls --json` printed of one.
///
/// # Errors
/// A file that is neither, or of which it is not clear which state dict is meant.
pub fn read(path: &Path, observer: &Arc<dyn Observer>) -> Result<Vec<(String, Vec<u64>)>, Error> {
    let target = Target::open(path, observer)?;
    let catalog = target.catalog();
    let state_dict = Input::file(path).only(catalog.select(None), Role::Target)?;
    let shape = |key: &str| Some((key.to_string(), catalog.tensor(state_dict, key)?.shape.clone()));
    Ok(state_dict.keys().filter_map(shape).collect())
}
