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
mod request;
mod slurm;

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_checkpoint::{Checkpoint, Existing, InputFile, Kind, Overflow, System, Workshop};
use statedict_core::{Manifest, NewFile, PendingFiles};

use crate::jobs::error::Error;
use crate::jobs::observer::Observer;
use crate::jobs::rename::{Outcome, Prepared, Rename, Written};
use crate::jobs::target;

use document::{Document, Input, Part, Read, Write, hex};
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

/// What the parts of a job are, as the plan of all of it says.
struct PartsPlan<'a> {
    output: &'a Path,
    files: &'a [NewFile],
    manifest: Option<&'a dyn Manifest>,
    parts: Vec<Part>,
}

impl<'a> PartsPlan<'a> {
    fn of(
        checkpoint: &Checkpoint,
        prepared: &'a Prepared,
        output: &'a Path,
        parts: usize,
    ) -> Result<PartsPlan<'a>, Error> {
        let (files, manifest) = several(prepared, output)?;
        let paths: Vec<PathBuf> = checkpoint.input_paths();
        let lengths: Vec<u64> = files.iter().map(|file| file.layout.len()).collect();
        let groups = grouping::groups(&lengths, parts).into_iter();
        let parts = (1..).zip(groups).map(|(part, group)| {
            let own = &files[group];
            let mut read = vec![0u64; paths.len()];
            for file in own {
                for (input, bytes) in checkpoint.reads(&file.layout) {
                    read[input] = read[input].saturating_add(bytes);
                }
            }
            let reads = paths.iter().zip(read).filter(|(_, bytes)| *bytes > 0);
            let reads =
                reads.map(|(path, bytes)| Ok(Read { file: request::absolute(path)?, bytes }));
            Ok(Part {
                part,
                bytes: own.iter().map(|file| file.layout.len()).sum(),
                reads: reads.collect::<Result<_, Error>>()?,
                writes: own.iter().map(write_of).collect(),
            })
        });
        let parts = parts.collect::<Result<_, Error>>()?;
        checkpoint.refuse_unwritable(pending(prepared)?, output)?;
        Ok(PartsPlan { output, files, manifest, parts })
    }

    fn index(&self) -> Option<String> {
        self.manifest.map(|manifest| manifest.name().to_string())
    }

    fn summaries(&self) -> Vec<PartSummary> {
        let summaries = self.parts.iter().map(|part| PartSummary {
            part: part.part,
            files: part.writes.len(),
            bytes: part.bytes,
            reads: part.reads.iter().map(|read| read.bytes).sum(),
        });
        summaries.collect()
    }

    /// Refuses a folder that has some of the files already.
    fn refuse_existing(&self) -> Result<(), Error> {
        let names = self.files.iter().map(|file| file.name.clone()).chain(self.index());
        let there = names
            .map(|name| self.output.join(name))
            .find(|path| fs::symlink_metadata(path).is_ok());
        match there {
            None => Ok(()),
            Some(path) => Err(Error::failed(format_args!(
                "cannot write '{}': already exists; expected a folder without the files of the job",
                path.display()
            ))),
        }
    }
}

fn write_of(file: &NewFile) -> Write {
    Write {
        file: file.name.clone(),
        bytes: file.layout.len(),
        header_sha256: hex(&Checkpoint::header_of(&file.layout)),
    }
}

fn pending(prepared: &Prepared) -> Result<&PendingFiles, Error> {
    prepared.work.pending().ok_or_else(|| Error::failed("parts need a folder to write to"))
}

/// The files that are to be written, and what leads to them.
fn several<'a>(
    prepared: &'a Prepared,
    output: &Path,
) -> Result<(&'a [NewFile], Option<&'a dyn Manifest>), Error> {
    match pending(prepared)? {
        PendingFiles::Folder { files, manifest, .. } => {
            Ok((files, manifest.as_ref().map(AsRef::as_ref)))
        }
        PendingFiles::File { .. } => Err(Error::failed(format_args!(
            "'{}' is one file, and parts are groups of files; --shard-size SIZE writes several",
            output.display()
        ))),
    }
}

/// Everything that is read, of which a change would change what is written.
fn inputs(job: &Rename, checkpoint: &Checkpoint) -> Result<Vec<Input>, Error> {
    let mut files = checkpoint.inputs()?;
    for path in job.configurations() {
        files.push(InputFile::whole(&path)?);
    }
    files.iter().map(Input::of).collect()
}

/// A job that is planned once more, and is what its file says.
struct Replanned {
    document: Document,
    output: PathBuf,
    job: Rename,
    checkpoint: Checkpoint,
    prepared: Prepared,
    workshop: Workshop,
}

impl Replanned {
    fn of(file: &Path, observer: &Arc<dyn Observer>) -> Result<Replanned, Error> {
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

    fn pending(&self) -> Result<(&[NewFile], Option<&dyn Manifest>), Error> {
        several(&self.prepared, &self.output)
    }

    /// The files of a part, counted from 0.
    fn files_of(&self, number: usize) -> Result<&[NewFile], Error> {
        let (files, _) = self.pending()?;
        let counts = self.document.parts.iter().map(|part| part.writes.len());
        let start: usize = counts.clone().take(number).sum();
        let end = start + counts.clone().nth(number).unwrap_or_default();
        Ok(files.get(start..end).unwrap_or_default())
    }

    /// True if all of the job was done before: what leads to the files is there, or nothing does and
    /// nobody is at work.
    fn is_finished(&self) -> bool {
        match self.pending() {
            Ok((_, Some(manifest))) => {
                let there = fs::read(self.output.join(manifest.name()));
                there.is_ok_and(|bytes| bytes == manifest.to_bytes())
            }
            _ => !self.workshop.is_there(),
        }
    }

    /// True if a file is there that this job has written.
    fn is_done(&self, file: &NewFile, is_finished: bool) -> Result<bool, Error> {
        let is_own = is_finished || self.workshop.has_noted(&file.name);
        Ok(is_own && Checkpoint::is_written(&file.layout, &self.output.join(&file.name))?)
    }

    /// Writes a file that is not there, wholly or not at all.
    fn write(&self, file: &NewFile, outcome: &mut PartOutcome) -> Result<(), Error> {
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
