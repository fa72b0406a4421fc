//! Jobs in parts: what writes several files is cut into groups of them, each of which any machine can
//! write by itself.
//!
//! A job file says what was asked for, what is read, and what each part is to write.
//! A part plans everything once more from the same inputs, holds the outcome against the job file,
//! and writes its own files alone; so nothing but the job file and the inputs has to be shared.
//! Files are complete or absent: each lies in a [`Workshop`] until it is whole, is noted there, and
//! takes its place in one step.
//! What leads to the files comes last, when all are there.

mod document;
mod grouping;
mod plan;
mod replanned;
mod request;
mod rules;
mod slurm;
mod texts;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use statedict_checkpoint::{Existing, Overflow, Workshop};

use crate::jobs::error::Error;
use crate::jobs::observer::Observer;
use crate::jobs::rename::{Outcome, Rename, Written};
use crate::jobs::target;

use document::Document;
use plan::{PartsPlan, inputs};
use replanned::Replanned;
use request::Request;

/// Plans a job in parts, and writes the job file.
pub struct PlanParts {
    /// What is to be done; its output is a folder.
    pub job: Rename,
    /// In how many parts.
    pub parts: NonZeroUsize,
    /// The job file to write, which must not be there yet.
    pub file: PathBuf,
    /// A script for Slurm to write beside it, if one is wanted.
    pub slurm: Option<Slurm>,
}

/// A script that submits parts to Slurm.
pub struct Slurm {
    /// Where to write it.
    pub script: PathBuf,
    /// The `statedict` command that it calls.
    pub program: PathBuf,
}

/// A job that was planned.
pub struct PlannedParts {
    /// What is to become of the checkpoint; nothing is written yet.
    pub outcome: Outcome,
    /// The parts, in order.
    pub parts: Vec<PartSummary>,
    /// What leads to the files, which is written last; none where nothing does.
    pub index: Option<String>,
}

/// How much there is to do in a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartSummary {
    /// Its number, from 1 on.
    pub part: usize,
    /// How many files it writes.
    pub files: usize,
    /// How many bytes they have.
    pub bytes: u64,
    /// How many bytes of elements it reads.
    pub reads: u64,
}

/// Does one part of a job.
pub struct RunPart {
    /// The job file.
    pub file: PathBuf,
    /// The number of the part, from 1 on.
    pub part: usize,
}

/// A part that is done.
pub struct PartOutcome {
    /// The number of the part.
    pub part: usize,
    /// How many parts there are.
    pub parts: usize,
    /// The folder that its files are in.
    pub output: PathBuf,
    /// Files that were written.
    pub written: Vec<String>,
    /// Files that were there already, complete.
    pub found: Vec<String>,
    /// Bytes that were written.
    pub bytes: u64,
    /// Tensors of which a cast made finite numbers infinite.
    pub overflows: Vec<Overflow>,
}

/// Verifies all parts of a job and writes what leads to their files.
pub struct FinishJob {
    /// The job file.
    pub file: PathBuf,
}

/// A job that is done.
pub struct FinishedJob {
    /// The folder that was written to.
    pub output: PathBuf,
    /// How many files there are, the index excepted.
    pub files: usize,
    /// How many bytes they have.
    pub bytes: u64,
    /// What leads to them; none where nothing does.
    pub index: Option<String>,
}

impl PlanParts {
    /// Plans the job and writes the job file, and nothing else.
    ///
    /// # Errors
    /// What keeps the job from being done, or from being cut into parts.
    pub fn run(&self, observer: &Arc<dyn Observer>) -> Result<PlannedParts, Error> {
        let slurm = self.slurm.as_ref().map(|it| it.script.as_path());
        for file in [self.file.as_path()].into_iter().chain(slurm) {
            target::refuse_to_overwrite([file], Existing::Refuse)?;
        }
        let request = Request::of(&self.job)?;
        // What is planned is what every part will read back, paths and all.
        let job = request.job().map_err(Error::failed)?;
        let (mut checkpoint, _) = job.open(observer)?;
        let prepared = job.prepare(&mut checkpoint, observer)?;
        let output = PathBuf::from(&request.output);
        let plan = PartsPlan::of(&checkpoint, &prepared, &output, self.parts.get())?;
        plan.refuse_existing()?;
        let (parts, index) = (plan.summaries(), plan.index());
        let inputs = inputs(&job, &checkpoint)?;
        let id = Workshop::new_name().map_err(Error::failed)?;
        let document = Document::new(id, request, inputs, plan.parts, index.clone());
        let staged = target::stage_text(document.to_json(), &self.file, Existing::Refuse)?;
        if let Some(Slurm { script, program }) = &self.slurm {
            let filled = parts.iter().filter(|part| part.files > 0).count();
            let text = slurm::script(&self.file, program, filled.max(1))?;
            target::stage_text(text, script, Existing::Refuse)?.commit()?;
        }
        staged.commit()?;
        let job = Rename { dry_run: true, ..job };
        let outcome = job.outcome(&checkpoint, prepared, Written::default());
        Ok(PlannedParts { outcome, parts, index })
    }
}

impl RunPart {
    /// Writes the files of the part that are not there yet.
    ///
    /// # Errors
    /// Inputs that have changed, files in the way, whatever keeps files from being written; those
    /// that are written stay.
    pub fn run(&self, observer: &Arc<dyn Observer>) -> Result<PartOutcome, Error> {
        let planned = Replanned::of(&self.file, observer)?;
        let parts = planned.document.parts.len();
        let number = self.part.checked_sub(1).filter(|part| *part < parts).ok_or_else(|| {
            let problem = format!("there is no part {}; its parts are 1 to {parts}", self.part);
            Error::in_file(&self.file, problem)
        })?;
        let mut outcome = PartOutcome {
            part: self.part,
            parts,
            output: planned.output.clone(),
            written: Vec::new(),
            found: Vec::new(),
            bytes: 0,
            overflows: Vec::new(),
        };
        let (mut missing, is_finished) = (Vec::new(), planned.is_finished());
        for file in planned.files_of(number)? {
            if planned.is_done(file, is_finished)? {
                outcome.found.push(file.name.clone());
            } else {
                missing.push(file);
            }
        }
        if missing.is_empty() {
            return Ok(outcome);
        }
        planned.workshop.make()?;
        observer.begin_writing(missing.iter().map(|file| file.layout.len()).sum());
        for file in missing {
            planned.write(file, &mut outcome)?;
        }
        Ok(outcome)
    }
}

impl FinishJob {
    /// Verifies that every file of every part is there, and writes what leads to them.
    ///
    /// # Errors
    /// Parts that are not done, by their numbers; inputs that have changed.
    pub fn run(&self, observer: &Arc<dyn Observer>) -> Result<FinishedJob, Error> {
        let planned = Replanned::of(&self.file, observer)?;
        let is_finished = planned.is_finished();
        let (mut problems, mut files, mut bytes) = (Vec::new(), 0, 0);
        for (number, part) in planned.document.parts.iter().enumerate() {
            let mut missing = Vec::new();
            for file in planned.files_of(number)? {
                if !planned.is_done(file, is_finished)? {
                    missing.push(file.name.as_str());
                }
            }
            files += part.writes.len();
            bytes += part.bytes;
            if let [first, others @ ..] = missing.as_slice() {
                let more = if others.is_empty() {
                    String::new()
                } else {
                    format!(" and {} more", others.len())
                };
                problems.push(format!("part {} is not done: no {first}{more}", part.part));
            }
        }
        if !problems.is_empty() {
            return Err(Error::refused(problems));
        }
        let (output, checkpoint) = (&planned.output, &planned.checkpoint);
        let (_, manifest) = planned.pending()?;
        let sides = &planned.prepared.side_files;
        checkpoint.stage_last(manifest, sides, output, &planned.workshop)?.commit()?;
        let index = planned.document.index.clone();
        planned.workshop.clone().remove()?;
        Ok(FinishedJob { output: planned.output, files, bytes, index })
    }
}
