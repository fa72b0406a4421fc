//! Why a checkpoint does not load, the command that helps, and whether it does.

pub(crate) mod command;
pub(crate) mod json;
pub(crate) mod report;
mod trial;

use std::path::Path;

use statedict_checkpoint::Checkpoint;
use statedict_core::{
    Catalog, StateDict,
    explain::{Diagnosis, LoadError, diagnose},
};

use crate::explanation::command::Names;

/// What is known of a complaint.
pub(crate) struct Explanation<'a> {
    pub(crate) file: Option<&'a Path>,
    pub(crate) complaint: &'a LoadError,
    pub(crate) diagnosis: Diagnosis,
    /// The words of the command that helps, if one does.
    pub(crate) command: Option<Vec<String>>,
    /// True if the command names a model that only the user has.
    pub(crate) needs_model: bool,
    pub(crate) verdict: Verdict,
    /// The state dict that was looked at, and the others, where the file holds several.
    pub(crate) choice: Option<Choice>,
}

/// Which of several state dicts was looked at.
pub(crate) struct Choice {
    pub(crate) taken: StateDict,
    pub(crate) others: Vec<StateDict>,
}

impl Choice {
    /// The state dict at a path, or the one that is meant without; `None` if there is no other.
    fn of(catalog: &Catalog, at: Option<&str>) -> Option<Choice> {
        let taken = catalog.select(at).ok()?.into_iter().next()?;
        let others: Vec<StateDict> = catalog.others(taken).cloned().collect();
        (!others.is_empty()).then(|| Choice { taken: taken.clone(), others })
    }
}

/// Whether the command does what it is to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// It does, on the file that was given.
    Verified,
    /// It does not, for this reason.
    Refuted(String),
    /// There was nothing to try it on.
    Open,
}

impl<'a> Explanation<'a> {
    /// Says what happened, and tries the command on the file if there is one.
    pub(crate) fn new(
        complaint: &'a LoadError,
        file: Option<&'a Path>,
        target: Option<&Path>,
    ) -> Explanation<'a> {
        let opened = file.map(Checkpoint::open);
        let held = opened.as_ref().and_then(|opened| opened.as_ref().ok());
        let mut diagnosis = diagnose(complaint, held.map(Checkpoint::catalog));
        if let Some(checkpoint) = held {
            trial::heed_format(checkpoint, &mut diagnosis);
            trial::look_for_paths(checkpoint, complaint, &mut diagnosis);
        }
        let names = Names::of(file, target, held.map(Checkpoint::format));
        let command = command::words(&diagnosis, &names);
        let needs_model = command::needs_model(&diagnosis) && target.is_none();
        let mut explanation = Explanation {
            file,
            complaint,
            diagnosis,
            command,
            needs_model,
            verdict: Verdict::Open,
            choice: None,
        };
        explanation.choice =
            held.and_then(|held| Choice::of(held.catalog(), explanation.diagnosis.at.as_deref()));
        if let (Some(file), Some(opened)) = (file, opened) {
            explanation.try_out(file, opened);
        }
        explanation
    }
}
