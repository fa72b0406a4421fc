//! `view`: what files hold, as a page.

pub(crate) mod args;
mod beside;
mod findings;
mod headline;
mod tensors;

use std::io::Write;
use std::path::{Path, PathBuf};

use statedict::checkpoint::Checksums;
use statedict::core::Opening;
use statedict::jobs::{check, list, stats};
use statedict::{Check, List, Stats};

use crate::failure::Failure;
use crate::page::{Page, PageFile, Sheet};
use crate::terminal::Verbosity;
use crate::terminal::progress::followed;

pub(crate) use tensors::row;

/// What to show of which files, and where the page goes.
pub(crate) struct ViewRequest {
    pub(crate) files: Vec<PathBuf>,
    pub(crate) page: PageFile,
    pub(crate) depth: Depth,
    pub(crate) opening: Opening,
    pub(crate) verbosity: Verbosity,
}

/// How much of the files is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Everything but the values.
    Structure,
    /// The values, too.
    Values,
}

/// What is known of a file.
struct Known {
    listed: list::Outcome,
    checked: check::Outcome,
    measured: Option<stats::Outcome>,
}

pub(crate) fn run(request: &ViewRequest, out: &mut dyn Write) -> Result<(), Failure> {
    let files = request.files.iter().map(PathBuf::as_path);
    request.page.refuse_to_replace(files)?;
    let sheets = request.files.iter().map(|file| request.sheet(file));
    let sheets = sheets.collect::<Result<Vec<_>, _>>()?;
    let title = match sheets.as_slice() {
        [only] => only.title.clone(),
        several => format!("{} files", several.len()),
    };
    let page = Page { title, sheets };
    request.page.save(&page, request.verbosity, out)
}

impl ViewRequest {
    fn sheet(&self, file: &Path) -> Result<Sheet, Failure> {
        let known = self.look(file)?;
        let listed = &known.listed;
        Ok(Sheet {
            title: file.display().to_string(),
            summary: headline::summary(listed),
            facts: headline::facts(&known),
            types: headline::types(listed),
            findings: findings::all(file, &known),
            looked_at: findings::looked_at(file, self.depth),
            tensors: tensors::all(listed, known.measured.as_ref()),
            ribbons: None,
            blocks: beside::blocks(listed),
        })
    }

    /// Runs the jobs that find out what the page shows.
    fn look(&self, file: &Path) -> Result<Known, Failure> {
        let opening = &self.opening;
        let list =
            List { file: file.into(), payload: true, opening: opening.clone(), ..List::default() };
        let listed = followed(self.verbosity, |observer| list.run(observer))?;
        let checksums = match self.depth {
            Depth::Structure => Checksums::Skipped,
            Depth::Values => Checksums::Verified,
        };
        let check = Check { paths: vec![file.into()], checksums, ..Check::default() };
        let checked = followed(self.verbosity, |observer| check.run(observer))?;
        let stats = Stats { file: file.into(), opening: opening.clone(), ..Stats::default() };
        let measured = match self.depth {
            Depth::Structure => None,
            Depth::Values => Some(followed(Verbosity::Errors, |observer| stats.run(observer))?),
        };
        Ok(Known { listed, checked, measured })
    }
}
