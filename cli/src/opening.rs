//! Opening checkpoints, with a word about edits that were cut short.

use std::path::Path;

use statedict_checkpoint::{Checkpoint, Interrupted};

use crate::failure::Failure;
use crate::terminal::text::{first_few, say, shell_path};

/// Opens a checkpoint to read it.
pub(crate) fn open(path: &Path) -> Result<Checkpoint, Failure> {
    Ok(told(Checkpoint::open(path)?))
}

/// The checkpoint, once it is said what was found of edits of it that were cut short.
pub(crate) fn told(checkpoint: Checkpoint) -> Checkpoint {
    if checkpoint.model_folder().is_some_and(|folder| folder != checkpoint.path()) {
        say(&format!("note: opened {}", checkpoint.path().display()));
    }
    let strays = checkpoint.strays();
    if !strays.is_empty() {
        say(&format!("note: not part of the checkpoint, not read: {}", first_few(&strays, 6)));
    }
    for interrupted in checkpoint.interrupted() {
        say(&format!("note: {interrupted}"));
        if let Interrupted::Pending { file } = interrupted {
            say(&format!("hint: statedict recover {} restores it", shell_path(file)));
        }
    }
    checkpoint
}
