//! What an error of PyTorch's means, and what would make the file load.

mod fix;
mod trial;

use std::path::PathBuf;
use std::sync::Arc;

use statedict_checkpoint::Checkpoint;
use statedict_core::explain::{Diagnosis, LoadError, diagnose};

use crate::jobs::error::{Advice, Error};
use crate::jobs::observer::Observer;
use crate::jobs::selection::Choice;

pub use fix::{CHECKPOINT, Fix, MODEL};

/// Explains a PyTorch loading error, and finds the job that makes the file load.
///
/// # Example
/// ```
/// use statedict::{Explain, silent};
/// use statedict::jobs::explain::Fix;
///
/// let text = r#"Missing key(s) in state_dict: "fc.w". Unexpected key(s) in state_dict: "module.fc.w"."#;
/// let explain = Explain { text: text.into(), ..Explain::default() };
/// let outcome = explain.run(&silent())?;
/// assert!(matches!(outcome.fix, Some(Fix::Rename(_))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Explain {
    /// The error text, with whatever is around it.
    pub text: String,
    /// The checkpoint that does not load, if it is at hand: the fix is then tried on it.
    pub file: Option<PathBuf>,
    /// The model it is to be loaded into: a checkpoint of it, or what `ls --json` printed of one.
    pub target: Option<PathBuf>,
}

/// What is known of an error.
pub struct Outcome {
    /// What the text says.
    pub error: LoadError,
    /// What it means.
    pub diagnosis: Diagnosis,
    /// What helps, if something does.
    pub fix: Option<Fix>,
    /// True if the fix names a model that only the user has.
    pub needs_model: bool,
    /// Whether it does what it is to do.
    pub verdict: Verdict,
    /// The state dict that was looked at, if others could have been.
    pub choice: Option<Choice>,
}

/// Whether a fix does what it is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It does, on the file that was given.
    Verified,
    /// It does not, for this reason.
    Refuted(String),
    /// There was nothing to try it on.
    Open,
}

impl Explain {
    /// Says what happened, and tries the fix on the file, up to the writing.
    ///
    /// # Errors
    /// A file that is not there, and a text that is not known.
    pub fn run(&self, observer: &Arc<dyn Observer>) -> Result<Outcome, Error> {
        for file in self.file.iter().chain(&self.target) {
            std::fs::metadata(file).map_err(|error| Error::unreadable(file, error))?;
        }
        let Some(error) = LoadError::read(&self.text) else { return Err(self.unknown()) };
        let opened = self.file.as_deref().map(Checkpoint::open);
        let held = opened.as_ref().and_then(|opened| opened.as_ref().ok());
        let mut diagnosis = diagnose(&error, held.map(Checkpoint::catalog));
        if let Some(checkpoint) = held {
            trial::adjust_for_format(checkpoint, &mut diagnosis);
            trial::look_for_paths(checkpoint, &error, &mut diagnosis);
        }
        let fix = self.fix(&diagnosis, held.map(Checkpoint::format));
        let needs_model = matches!(fix, Some(Fix::Fit(_))) && self.target.is_none();
        let choice = held.and_then(|held| {
            let catalog = held.catalog();
            let taken = catalog.select(diagnosis.path.as_deref()).ok()?.into_iter().next()?;
            Choice::of(catalog, taken)
        });
        let verdict = Verdict::Open;
        let mut outcome = Outcome { error, diagnosis, fix, needs_model, verdict, choice };
        if let (Some(file), Some(opened)) = (&self.file, opened) {
            outcome.try_out(file, opened, observer);
        }
        Ok(outcome)
    }

    fn unknown(&self) -> Error {
        let problem = "nothing in the text is known as an error of PyTorch's or safetensors' about \
                       a checkpoint";
        Error::failed(problem).advise(Advice::WholeText(self.file.clone()))
    }
}
