//! Parts of a job, and its end.

use std::ffi::OsString;
use std::path::PathBuf;

use pyo3::prelude::*;
use statedict::jobs::parts::{FinishedJob, PartOutcome};
use statedict::jobs::words::{overflow_result, overflowed_values};
use statedict::{FinishJob, RunPart};

use crate::run::run;

/// How many parts there are, the folder, files that were written and that were there, bytes, and
/// what is worth knowing.
type Part = (usize, OsString, Vec<String>, Vec<String>, u64, Vec<String>);

/// The folder, files, bytes, and the index.
type Finished = (OsString, usize, u64, Option<String>);

/// Does one part.
#[pyfunction]
pub(crate) fn run_part(
    py: Python<'_>,
    job: PathBuf,
    part: usize,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<Part> {
    let request = RunPart { file: job, part };
    run(py, progress.as_ref(), |observer| Ok(done(request.run(observer)?)))
}

/// Verifies all parts and writes the index.
#[pyfunction]
pub(crate) fn finish(
    py: Python<'_>,
    job: PathBuf,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<Finished> {
    let request = FinishJob { file: job };
    run(py, progress.as_ref(), |observer| {
        let FinishedJob { output, files, bytes, index } = request.run(observer)?;
        Ok((output.into_os_string(), files, bytes, index))
    })
}

fn done(outcome: PartOutcome) -> Part {
    let notes = outcome.overflows.iter().map(|overflow| {
        let values = overflowed_values(&overflow.to, overflow.values);
        format!("{values} of '{}' became {}", overflow.key, overflow_result(&overflow.to))
    });
    let notes = notes.collect();
    let PartOutcome { parts, output, written, found, bytes, .. } = outcome;
    (parts, output.into_os_string(), written, found, bytes, notes)
}
