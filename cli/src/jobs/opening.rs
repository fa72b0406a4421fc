//! Opening checkpoints for a job, whose observer learns what was noticed.

use std::path::Path;
use std::sync::Arc;

use statedict_checkpoint::{Checkpoint, System};
use statedict_core::Opening;

use crate::jobs::error::Error;
use crate::jobs::observer::{Notice, Observer};

/// Opens a checkpoint to read it.
pub(crate) fn open(path: &Path, observer: &Arc<dyn Observer>) -> Result<Checkpoint, Error> {
    open_as(path, &Opening::default(), observer)
}

/// The same with as much looked up as is asked for.
pub(crate) fn open_as(
    path: &Path,
    opening: &Opening,
    observer: &Arc<dyn Observer>,
) -> Result<Checkpoint, Error> {
    let opened = Checkpoint::opened(path, opening, Arc::new(System), observer.clone());
    Ok(noticed(opened?, observer))
}

/// The checkpoint, with the state dict at a path that is joined from mappings below, if it is.
pub(crate) fn joined(mut checkpoint: Checkpoint, at: Option<&str>) -> Result<Checkpoint, Error> {
    if let Some(at) = at.filter(|at| *at != "*") {
        checkpoint.join(at)?;
    }
    Ok(checkpoint)
}

/// Opens a checkpoint that nobody else is to edit meanwhile.
pub(crate) fn open_to_replace(
    path: &Path,
    observer: &Arc<dyn Observer>,
) -> Result<Checkpoint, Error> {
    Ok(noticed(Checkpoint::open_to_replace(path, Arc::new(System))?, observer))
}

/// The checkpoint, followed by the observer, which learns what is unusual about it.
pub(crate) fn noticed(checkpoint: Checkpoint, observer: &Arc<dyn Observer>) -> Checkpoint {
    if checkpoint.model_folder().is_some_and(|folder| folder != checkpoint.path()) {
        observer.notice(&Notice::Opened(checkpoint.path().to_path_buf()));
    }
    observer.notice(&Notice::Read {
        path: checkpoint.path().to_path_buf(),
        kind: checkpoint.kind().to_string(),
        tensors: checkpoint.catalog().rows.len(),
        bytes: checkpoint.len(),
    });
    let strays = checkpoint.strays();
    if !strays.is_empty() {
        observer.notice(&Notice::Strays(strays));
    }
    if !checkpoint.left_out().is_empty() {
        observer.notice(&Notice::LeftOut(checkpoint.left_out().to_vec()));
    }
    if let Some(inferred) = checkpoint.inferred() {
        observer.notice(&Notice::Inferred(inferred.to_string()));
    }
    for interrupted in checkpoint.interrupted() {
        observer.notice(&Notice::Interrupted(interrupted.clone()));
    }
    checkpoint.observed_by(observer.clone())
}
