//! A job that was planned before: planned once more from its file, and held against what that says.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_checkpoint::{Checkpoint, Kind, System, Workshop};
use statedict_core::{Manifest, NewFile};

use crate::jobs::error::Error;
use crate::jobs::observer::Observer;
use crate::jobs::parts::PartOutcome;
use crate::jobs::parts::document::{Document, Input};
use crate::jobs::parts::plan::{PartsPlan, inputs, several, write_of};
use crate::jobs::rename::{Prepared, Rename};

/// A job that is planned once more, and is what its file says.
pub(super) struct Replanned {
    pub(super) document: Document,
    pub(super) output: PathBuf,
    job: Rename,
    pub(super) checkpoint: Checkpoint,
    pub(super) prepared: Prepared,
    pub(super) workshop: Workshop,
}

impl Replanned {
    pub(super) fn of(file: &Path, observer: &Arc<dyn Observer>) -> Result<Replanned, Error> {
        let document = Document::read(file)?;
        let bad = |error: String| Error::in_file(file, error);
        let job = document.request.job().map_err(bad)?;
        let (mut checkpoint, _) = job.open(observer)?;
        let adapter = job.open_adapter(&mut checkpoint, observer)?;
        // Before anything is planned, which might fail for what has changed.
        refuse_changed(&document, &job, &checkpoint)?;
        let prepared = job.prepare_with(&checkpoint, adapter.as_ref())?;
        let output = PathBuf::from(&document.request.output);
        let plan = PartsPlan::of(&checkpoint, &prepared, &output, document.parts.len())?;
        refuse_other(&document, &plan, file)?;
        let workshop = Workshop::below(&output, &document.id, Arc::new(System));
        Ok(Replanned { document, output, job, checkpoint, prepared, workshop })
    }

    pub(super) fn pending(&self) -> Result<(&[NewFile], Option<&dyn Manifest>), Error> {
        several(&self.prepared, &self.output)
    }

    /// The files of a part, counted from 0.
    pub(super) fn files_of(&self, number: usize) -> Result<&[NewFile], Error> {
        let (files, _) = self.pending()?;
        let counts = self.document.parts.iter().map(|part| part.writes.len());
        let start: usize = counts.clone().take(number).sum();
        let end = start + counts.clone().nth(number).unwrap_or_default();
        Ok(files.get(start..end).unwrap_or_default())
    }

    /// True if all of the job was done before: what leads to the files is there, or nothing does and
    /// nobody is at work.
    pub(super) fn is_finished(&self) -> bool {
        match self.pending() {
            Ok((_, Some(manifest))) => {
                let there = fs::read(self.output.join(manifest.name()));
                there.is_ok_and(|bytes| bytes == manifest.to_bytes())
            }
            _ => !self.workshop.is_there(),
        }
    }

    /// True if a file is there that this job has written.
    pub(super) fn is_done(&self, file: &NewFile, is_finished: bool) -> Result<bool, Error> {
        let is_own = is_finished || self.workshop.has_noted(&file.name);
        Ok(is_own && Checkpoint::is_written(&file.layout, &self.output.join(&file.name))?)
    }

    /// Writes a file that is not there, wholly or not at all.
    pub(super) fn write(&self, file: &NewFile, outcome: &mut PartOutcome) -> Result<(), Error> {
        let (checkpoint, plan) = (&self.checkpoint, &self.prepared.planned.plan);
        let staged = checkpoint.stage_one(file, &self.output, &self.workshop)?;
        self.job.exact(checkpoint, &staged, plan)?;
        outcome.overflows.extend(self.job.overflows(checkpoint, &staged, plan)?);
        // Noted first: a file without a note is somebody else's.
        self.workshop.note(&file.name, note(file))?;
        match staged.commit() {
            // The same part is done twice at once, and the other one was faster.
            Err(error) if error.kind() == Kind::AlreadyExists && self.is_done(file, false)? => {
                outcome.found.push(file.name.clone());
            }
            committed => {
                committed?;
                outcome.written.push(file.name.clone());
                outcome.bytes += file.layout.len();
            }
        }
        Ok(())
    }
}

fn note(file: &NewFile) -> String {
    serde_json::to_string(&write_of(file)).expect("texts and numbers serialise") + "\n"
}

/// Refuses inputs that are not what they were when the job was planned.
fn refuse_changed(document: &Document, job: &Rename, checkpoint: &Checkpoint) -> Result<(), Error> {
    let now = inputs(job, checkpoint)?;
    let mut problems = Vec::new();
    for input in &document.inputs {
        match now.iter().find(|other| other.file == input.file) {
            Some(same) if same == input => {}
            Some(_) => problems.push(format!("{}: changed since the job was planned", input.file)),
            None => problems.push(format!("{}: no longer part of the input", input.file)),
        }
    }
    let is_known = |input: &&Input| document.inputs.iter().any(|known| known.file == input.file);
    for new in now.iter().filter(|input| !is_known(input)) {
        problems.push(format!("{}: not part of the input when the job was planned", new.file));
    }
    if problems.is_empty() { Ok(()) } else { Err(Error::refused(problems)) }
}

/// Refuses a plan that is not the one the job file was made of.
fn refuse_other(document: &Document, plan: &PartsPlan<'_>, file: &Path) -> Result<(), Error> {
    if plan.parts == document.parts && plan.index() == document.index {
        return Ok(());
    }
    let (by, own) = (&document.planned_by, env!("CARGO_PKG_VERSION"));
    let differs = plan.parts.iter().zip(&document.parts).find(|(now, then)| now != then);
    let which = differs.map(|(_, then)| format!(" in part {}", then.part)).unwrap_or_default();
    let problem = format!(
        "{}: the job was planned by statedict {by}, and this one ({own}) would write other \
         files{which}; plan it again",
        file.display()
    );
    Err(Error::refused(vec![problem]))
}
