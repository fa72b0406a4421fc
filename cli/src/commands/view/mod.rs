//! `view`: what files hold, as a page.

pub(crate) mod args;
mod beside;
mod findings;
mod headline;
mod precision;
mod tensors;

use std::io::Write;
use std::path::{Path, PathBuf};

use statedict::checkpoint::Checksums;
use statedict::core::Opening;
use statedict::jobs::{check, list, stats};
use statedict::{Check, List, Stats};

use crate::failure::{Exit, Failure};
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
    request.page.refuse_to_replace(request.files.iter().map(PathBuf::as_path))?;
    let (mut sheets, mut failure) = (Vec::new(), Failure::silent(Exit::Done));
    for file in &request.files {
        let (sheet, unopened) = request.sheet(file)?;
        sheets.push(sheet);
        if let Some(unopened) = unopened {
            failure.exit = failure.exit.max(unopened.exit);
            failure.errors.extend(unopened.errors);
            failure.hints.extend(unopened.hints);
        }
    }
    let title = match sheets.as_slice() {
        [only] => only.title.clone(),
        several => format!("{} files", several.len()),
    };
    request.page.save(&Page { title, sheets }, request.verbosity, out)?;
    if failure.exit == Exit::Done { Ok(()) } else { Err(failure) }
}

impl ViewRequest {
    /// What is shown of a file, and why it cannot be opened, if it cannot and `check` knows more.
    fn sheet(&self, file: &Path) -> Result<(Sheet, Option<Failure>), Failure> {
        let checked = self.checked(file)?;
        let known = match self.listed(file) {
            Ok(listed) => Known { listed, checked, measured: self.measured(file)? },
            Err(why) => {
                let findings = findings::unopened(file, &why, &checked);
                if findings.is_empty() {
                    return Err(why);
                }
                let (title, facts) =
                    (file.display().to_string(), vec![headline::loading(&checked)]);
                return Ok((Sheet { title, facts, findings, ..Sheet::default() }, Some(why)));
            }
        };
        let listed = &known.listed;
        let sheet = Sheet {
            title: file.display().to_string(),
            summary: headline::summary(listed),
            facts: headline::facts(&known),
            types: headline::types(listed),
            findings: findings::all(file, &known),
            looked_at: findings::looked_at(file, self.depth),
            tensors: tensors::all(listed, known.measured.as_ref()),
            ribbons: None,
            blocks: beside::blocks(listed),
        };
        Ok((sheet, None))
    }

    fn listed(&self, file: &Path) -> Result<list::Outcome, Failure> {
        let (file, opening) = (file.into(), self.opening.clone());
        let list = List { file, payload: true, opening, ..List::default() };
        followed(self.verbosity, |observer| list.run(observer))
    }

    fn checked(&self, file: &Path) -> Result<check::Outcome, Failure> {
        let checksums = match self.depth {
            Depth::Structure => Checksums::Skipped,
            Depth::Values => Checksums::Verified,
        };
        let check = Check { paths: vec![file.into()], checksums, ..Check::default() };
        followed(self.verbosity, |observer| check.run(observer))
    }

    fn measured(&self, file: &Path) -> Result<Option<stats::Outcome>, Failure> {
        if self.depth == Depth::Structure {
            return Ok(None);
        }
        let (file, opening) = (file.into(), self.opening.clone());
        let stats = Stats { file, opening, ..Stats::default() };
        followed(Verbosity::Errors, |observer| stats.run(observer)).map(Some)
    }
}
