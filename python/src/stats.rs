//! Figures of what is in a file's tensors.

use std::path::PathBuf;

use pyo3::prelude::*;
use statedict::core::Statistics;
use statedict::{Shown, Stats};

use crate::run::run;

/// Mean, deviation, least, most, largest magnitude, norm.
type Numbers = [Option<f64>; 6];

/// Where a histogram starts, how wide its bins are, and how many elements are in each.
type Bins = Option<(f64, f64, Vec<u64>)>;

/// Path, key, type, shape, number of elements, how many are zero, NaN and infinite, figures and
/// histogram; or why there are none.
#[derive(IntoPyObject)]
struct Row {
    at: String,
    key: String,
    dtype: String,
    shape: Vec<u64>,
    count: u64,
    found: Option<Found>,
    why: Option<String>,
}

#[derive(IntoPyObject)]
struct Found {
    zeros: u64,
    nan: u64,
    inf: u64,
    numbers: Numbers,
    histogram: Bins,
}

/// Takes the figures of the tensors that match a pattern; of all without one.
#[pyfunction]
pub(crate) fn stats(
    py: Python<'_>,
    path: PathBuf,
    patterns: Vec<String>,
    at: Option<String>,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<Vec<Py<PyAny>>> {
    let shown = Shown { at, patterns, ..Shown::default() };
    let job = Stats { file: path, shown, ..Stats::default() };
    let rows = run(py, progress.as_ref(), |observer| {
        let outcome = job.run(observer)?;
        let rows = outcome.tensors().map(|tensor| Row {
            at: tensor.entry.path.to_string(),
            key: tensor.entry.key.as_str().to_string(),
            dtype: tensor.entry.tensor.dtype.name().to_string(),
            shape: tensor.entry.tensor.shape.clone(),
            count: tensor.entry.tensor.count(),
            found: tensor.measured.ok().map(Found::of),
            why: tensor.measured.err().map(str::to_string),
        });
        Ok(rows.collect::<Vec<Row>>())
    })?;
    rows.into_iter().map(|row| Ok(row.into_pyobject(py)?.into_any().unbind())).collect()
}

impl Found {
    fn of(found: &Statistics) -> Found {
        let numbers =
            [found.mean(), found.std(), found.min(), found.max(), found.absmax(), found.l2()];
        let histogram = found.histogram().map(|it| (it.start(), it.width(), it.counts()));
        Found { zeros: found.zeros, nan: found.nan, inf: found.inf, numbers, histogram }
    }
}
