//! Is a file whole, and what would it run? Nothing is run.

pub mod salvage;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_checkpoint::{
    AllowList, Checkable, Checked, Checksums, Kind, check_observed, checkable,
};
use statedict_core::Verdict;

use crate::jobs::error::Error;
use crate::jobs::observer::Observer;

/// Checks files, and the files in folders: are they whole, and what would unpickling them execute?
///
/// # Example
/// ```no_run
/// use statedict::{Check, silent};
/// use statedict::core::Verdict;
///
/// let check = Check { paths: vec!["download.pth".into()], ..Check::default() };
/// assert_eq!(check.run(&silent())?.verdict(), Verdict::Safe);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Check {
    /// Files, and folders that stand for the files in them.
    pub paths: Vec<PathBuf>,
    /// Classes that are taken for safe.
    pub allowed: AllowList,
    /// Whether elements are read, to hold them against their checksums.
    pub checksums: Checksums,
}

/// What was found of every path.
#[derive(Debug, Default)]
pub struct Outcome {
    /// One after another, in the order in which they were looked at.
    pub results: Vec<Found>,
}

/// What was found of a path.
#[derive(Debug)]
#[non_exhaustive]
pub enum Found {
    /// A file was checked.
    Checked(Checked),
    /// A file or folder cannot be read.
    Unreadable(Error),
    /// A folder has no checkpoint in it.
    Empty(PathBuf),
    /// Files of a folder were not looked at.
    NotExamined {
        /// The folder.
        folder: PathBuf,
        /// What is in it.
        found: Checkable,
    },
}

impl Check {
    /// Reads the file that names the classes to take for safe, one a line.
    ///
    /// # Errors
    /// A file that cannot be read, and a line that is not a name.
    pub fn read_allow_list(path: &Path) -> Result<AllowList, Error> {
        let text = fs::read_to_string(path).map_err(|error| Error::unreadable(path, error))?;
        AllowList::parse(&text).map_err(|what| Error::in_file(path, what))
    }

    /// Checks all of them.
    ///
    /// # Errors
    /// Only that the observer stopped it; what is wrong with a file is in the outcome.
    pub fn run(&self, observer: &Arc<dyn Observer>) -> Result<Outcome, Error> {
        let mut outcome = Outcome::default();
        self.run_each(observer, &mut |found| {
            outcome.results.push(found);
            Ok::<(), Error>(())
        })?;
        Ok(outcome)
    }

    /// The same, telling what is found as it is found.
    ///
    /// # Errors
    /// That of `each`, and that the observer stopped it.
    pub fn run_each<E: From<Error>>(
        &self,
        observer: &Arc<dyn Observer>,
        each: &mut dyn FnMut(Found) -> Result<(), E>,
    ) -> Result<(), E> {
        let found: Vec<_> = self.paths.iter().map(|path| (path, checkable(path))).collect();
        let files = found.iter().filter_map(|(_, found)| found.as_ref().ok());
        let sizes = files.flat_map(|found| &found.files).map(|file| length(file));
        observer.begin_reading(sizes.fold(0, u64::saturating_add));
        for (path, found) in found {
            let found = match found {
                Ok(found) => found,
                Err(error) => {
                    each(Found::Unreadable(error.into()))?;
                    continue;
                }
            };
            if found.files.is_empty() {
                each(Found::Empty(path.clone()))?;
            }
            for file in &found.files {
                each(self.check(file, observer)?)?;
            }
            if found.unread > 0 {
                each(Found::NotExamined { folder: path.clone(), found })?;
            }
        }
        Ok(())
    }

    fn check(&self, file: &Path, observer: &Arc<dyn Observer>) -> Result<Found, Error> {
        let observer: Arc<dyn statedict_checkpoint::Observer> = observer.clone();
        match check_observed(file, &observer, self.checksums) {
            Ok(mut checked) => {
                checked.allow(&self.allowed);
                Ok(Found::Checked(checked))
            }
            Err(error) if error.kind() == Kind::Stopped => Err(error.into()),
            Err(error) => Ok(Found::Unreadable(error.into())),
        }
    }
}

/// The length of a file, as far as it is known.
fn length(file: &Path) -> u64 {
    fs::metadata(file).map_or(0, |known| known.len())
}

impl Outcome {
    /// The worst verdict; a file that cannot be read is malformed.
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.results.iter().map(|found| match found {
            Found::Checked(checked) => checked.verdict(),
            Found::Unreadable(_) => Verdict::Malformed,
            Found::Empty(_) | Found::NotExamined { .. } => Verdict::Safe,
        });
        verdicts.max().unwrap_or_default()
    }
}
