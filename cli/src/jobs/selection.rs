//! Which state dict of a file a job is about.

use std::path::PathBuf;
use std::sync::Arc;

use statedict_checkpoint::Checkpoint;
use statedict_core::{Catalog, NotSelected, StateDict};

pub use crate::jobs::choice::{Choice, Role, Summary};
use crate::jobs::error::{Advice, Error};
use crate::jobs::observer::{Notice, Observer};
use crate::jobs::opening;
use crate::jobs::suggestions;

/// A file to read, and which of its state dicts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// The file or folder.
    pub file: PathBuf,
    /// The path of the state dict, whose last part may do; none where only one can be meant.
    pub at: Option<String>,
}

impl Input {
    /// A file of which only one state dict can be meant.
    pub fn file(file: impl Into<PathBuf>) -> Input {
        Input { file: file.into(), at: None }
    }

    /// Opens the file; no tensor is read.
    ///
    /// # Errors
    /// What keeps it from being opened.
    pub fn open(&self, observer: &Arc<dyn Observer>) -> Result<Checkpoint, Error> {
        opening::joined(opening::open(&self.file, observer)?, self.at.as_deref())
    }

    /// The state dict that is meant, of the opened file.
    ///
    /// # Errors
    /// There is none at the path, or none was named and several could be meant.
    pub fn select<'a>(&self, checkpoint: &'a Checkpoint) -> Result<&'a StateDict, Error> {
        self.only(checkpoint.catalog().select(self.at.as_deref()), Role::First)
    }

    /// Informs the observer which state dict was taken, if none was named and others could have been.
    pub(crate) fn notice_choice(
        &self,
        catalog: &Catalog,
        taken: &StateDict,
        of: Role,
        observer: &Arc<dyn Observer>,
    ) {
        if self.at.is_none()
            && let Some(choice) = Choice::of(catalog, taken)
        {
            observer.notice(&Notice::Choice { file: self.file.clone(), choice, of });
        }
    }

    /// The one state dict that was selected.
    pub(crate) fn only<'a>(
        &self,
        selected: Result<Vec<&'a StateDict>, NotSelected>,
        role: Role,
    ) -> Result<&'a StateDict, Error> {
        match selected {
            Ok(selected) => match selected.as_slice() {
                [one] => Ok(one),
                all => {
                    let problem = format!("{} state dicts are selected", all.len());
                    Err(Error::in_file(&self.file, problem).advise(Advice::SelectOne(role)))
                }
            },
            Err(error) => {
                let advice = match &error {
                    NotSelected::Several(known) => known
                        .first()
                        .map(|(path, _)| Advice::Select { of: role, path: path.clone() }),
                    NotSelected::Nowhere { .. } => suggestions::near_path(&error)
                        .map(|path| Advice::MeantPath { of: role, path }),
                    _ => None,
                };
                Err(Error::in_file(&self.file, &error).advise(advice))
            }
        }
    }
}
