//! What fits into what, and how it is told.

pub(crate) mod json;
pub(crate) mod report;
pub(crate) mod target;

use std::path::{Path, PathBuf};

use statedict_checkpoint::{Checkpoint, Existing, SideFiles};
use statedict_core::{
    Format, Omitted, Template,
    fit::{FillOptions, Fit, FitError, Made, MatchBy},
};

use crate::commands::diff::Subject;
use crate::output::Companions;
use crate::request::{Form, Sharding, Talk};

/// What is to fit into what.
pub(crate) struct Fitting {
    pub(crate) source: Subject,
    pub(crate) target: Subject,
    pub(crate) by: MatchBy,
    /// Source keys to skip.
    pub(crate) drop: Vec<Template>,
    pub(crate) drop_last: usize,
    pub(crate) filling: FillOptions,
    pub(crate) destination: Destination,
    /// The format, if it was asked for by name.
    pub(crate) format: Option<&'static dyn Format>,
    /// What becomes of the files beside the weights.
    pub(crate) companions: Companions,
    /// Several files instead of one.
    pub(crate) sharding: Option<Sharding>,
    pub(crate) save_recipe: Option<PathBuf>,
    /// What to do if a file to be written is there already.
    pub(crate) existing: Existing,
    pub(crate) form: Form,
    pub(crate) talk: Talk,
}

/// Where the result goes.
pub(crate) enum Destination {
    /// Nowhere: the fit is shown, with what was typed and an output for it.
    Nowhere { typed: Vec<String> },
    /// Into another file, whose name chooses the format.
    File(PathBuf),
}

/// What came of it.
pub(crate) struct Fitted<'a> {
    pub(crate) source: &'a Checkpoint,
    pub(crate) target: &'a Path,
    pub(crate) fit: &'a Fit,
    /// What was put together, or why it could not be.
    pub(crate) result: Result<Put, Vec<FitError>>,
    /// The file that was written; none if nothing was.
    pub(crate) output: Option<&'a Path>,
}

/// What a new file is made of.
pub(crate) struct Put {
    pub(crate) made: Vec<Made>,
    pub(crate) left: Omitted,
    pub(crate) to: &'static dyn Format,
    /// Groups of keys that share their elements in the old file and not in the new one.
    pub(crate) tied: Vec<Vec<String>>,
    pub(crate) bytes: u64,
    /// How many files there are, an index excepted.
    pub(crate) files: usize,
    /// What lies beside the weights of a model folder, and goes with them or does not.
    pub(crate) side_files: SideFiles,
}

impl Fitting {
    /// The file to write, if one is.
    pub(crate) fn output(&self) -> Option<&Path> {
        match &self.destination {
            Destination::Nowhere { .. } => None,
            Destination::File(path) => Some(path),
        }
    }
}
