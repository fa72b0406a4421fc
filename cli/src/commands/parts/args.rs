//! What can be typed for jobs in parts.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use statedict::{FinishJob, RunPart};

use crate::args::numbers::whole;
use crate::commands::parts::{FinishRequest, PartsWanted, RunPartRequest};
use crate::terminal::{OutputFormat, Verbosity};

/// The most parts; Slurm has arrays of some thousand jobs.
const MOST_PARTS: usize = 1_000_000;

/// What plans a job in parts instead of doing it.
#[derive(Debug, clap::Args)]
pub(crate) struct PlanPartsArgs {
    /// Write nothing, and plan the work in this many parts, for as many machines
    ///
    /// A part is some of the files that are written (see --shard-size), as many bytes in each as can
    /// be. `statedict run-part JOB N` does part N, from 1 on, in any order and at any number of places
    /// at once that see the same input and output folder; `statedict finish JOB` verifies them and
    /// writes the index. What comes out is byte for byte what one machine would have written.
    #[arg(long, value_name = "N", value_parser = parts, requires = "job", conflicts_with = "force")]
    plan_parts: Option<NonZeroUsize>,
    /// Write the job file here: JSON with the request, what is read, and what each part writes
    #[arg(long, value_name = "FILE", requires = "plan_parts")]
    job: Option<PathBuf>,
    /// Write a script here that submits the parts to Slurm as an array, and `finish` after them
    ///
    /// `sh SCRIPT --partition=short` passes its options on to sbatch.
    #[arg(long, value_name = "SCRIPT", requires = "plan_parts")]
    slurm: Option<PathBuf>,
}

/// A number of parts.
fn parts(text: &str) -> Result<NonZeroUsize, String> {
    let parts = text.parse().ok().filter(|parts: &NonZeroUsize| parts.get() <= MOST_PARTS);
    parts.ok_or_else(|| format!("expected a whole number from 1 to {MOST_PARTS}"))
}

impl PlanPartsArgs {
    /// What was asked for.
    pub(crate) fn parts(self) -> Option<PartsWanted> {
        let (parts, file) = self.plan_parts.zip(self.job)?;
        Some(PartsWanted { parts, file, slurm: self.slurm })
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct RunPartArgs {
    /// The job file
    job: PathBuf,
    /// The number of the part, from 1 on
    #[arg(value_name = "N", value_parser = whole::<usize>)]
    part: usize,
    /// Print one JSON object that says what was done
    #[arg(long)]
    json: bool,
}

impl RunPartArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> RunPartRequest {
        RunPartRequest {
            job: RunPart { file: self.job, part: self.part },
            output_format: OutputFormat::of(self.json),
            verbosity,
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct FinishArgs {
    /// The job file
    job: PathBuf,
    /// Print one JSON object that says what was done
    #[arg(long)]
    json: bool,
}

impl FinishArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> FinishRequest {
        FinishRequest {
            job: FinishJob { file: self.job },
            output_format: OutputFormat::of(self.json),
            verbosity,
        }
    }
}
