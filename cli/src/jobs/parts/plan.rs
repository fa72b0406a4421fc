//! What the parts of a job are to write, by the plan of all of it.

use std::fs;
use std::path::{Path, PathBuf};

use statedict_checkpoint::{Checkpoint, InputFile};
use statedict_core::{Manifest, NewFile, PendingFiles};

use crate::jobs::error::Error;
use crate::jobs::parts::document::{Input, Part, Read, Write, hex};
use crate::jobs::parts::texts::absolute;
use crate::jobs::parts::{PartSummary, grouping};
use crate::jobs::rename::{Prepared, Rename};

/// What the parts of a job are, as the plan of all of it says.
pub(super) struct PartsPlan<'a> {
    output: &'a Path,
    files: &'a [NewFile],
    manifest: Option<&'a dyn Manifest>,
    pub(super) parts: Vec<Part>,
}

impl<'a> PartsPlan<'a> {
    pub(super) fn of(
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
            let reads = reads.map(|(path, bytes)| Ok(Read { file: absolute(path)?, bytes }));
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

    pub(super) fn index(&self) -> Option<String> {
        self.manifest.map(|manifest| manifest.name().to_string())
    }

    pub(super) fn summaries(&self) -> Vec<PartSummary> {
        let summaries = self.parts.iter().map(|part| PartSummary {
            part: part.part,
            files: part.writes.len(),
            bytes: part.bytes,
            reads: part.reads.iter().map(|read| read.bytes).sum(),
        });
        summaries.collect()
    }

    /// Refuses a folder that has some of the files already.
    pub(super) fn refuse_existing(&self) -> Result<(), Error> {
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

/// The file as a job file names it.
pub(super) fn write_of(file: &NewFile) -> Write {
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
pub(super) fn several<'a>(
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
pub(super) fn inputs(job: &Rename, checkpoint: &Checkpoint) -> Result<Vec<Input>, Error> {
    let mut files = checkpoint.inputs()?;
    for path in job.configurations() {
        files.push(InputFile::whole(&path)?);
    }
    files.iter().map(Input::of).collect()
}
