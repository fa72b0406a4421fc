//! What differs between two files.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use statedict::core::Key;
use statedict::core::diff::{Change, Deviation};
use statedict::jobs::diff::{Depth, Outcome};
use statedict::{Diff, Input};

use crate::error::Raised;
use crate::rules;
use crate::run::run;

/// Compares two files; gives the lists of what differs by name.
#[pyfunction]
pub(crate) fn diff<'py>(
    py: Python<'py>,
    a: (PathBuf, Option<String>),
    b: (PathBuf, Option<String>),
    depth: &str,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let depth = match depth {
        "keys" => Depth::Keys,
        "weights" => Depth::Weights,
        "all" => Depth::All,
        other => {
            let what = format!("depth='{other}': expected keys, weights or all");
            return Err(Raised::new("failed", what).into_err(py));
        }
    };
    let input = |(file, at)| Input { file, at };
    let job = Diff { a: input(a), b: input(b), depth, ..Diff::default() };
    let outcome = run(py, progress.as_ref(), |observer| job.run(observer))?;
    found(py, &outcome)
}

fn found<'py>(py: Python<'py>, outcome: &Outcome) -> PyResult<Bound<'py, PyDict>> {
    let (diff, found) = (&outcome.diff, PyDict::new(py));
    let keys = |keys: &[Key]| keys.iter().map(|key| key.as_str().to_string()).collect::<Vec<_>>();
    found.set_item("same", diff.is_same())?;
    found.set_item("common", outcome.common)?;
    found.set_item("removed", keys(&diff.removed))?;
    found.set_item("added", keys(&diff.added))?;
    let renamed = diff.renamed.iter().map(|(a, b)| (a.as_str(), b.as_str()));
    found.set_item("renamed", renamed.collect::<Vec<_>>())?;
    found.set_item("dtypes", changes(&diff.dtypes, |dtype| dtype.name().to_string()))?;
    found.set_item("shapes", changes(&diff.shapes, Clone::clone))?;
    found.set_item("layouts", changes(&diff.layouts, Clone::clone))?;
    found.set_item("metadata", changes(&diff.metadata, Clone::clone))?;
    let values = diff.values.iter().map(|(key, far)| (key.as_str(), deviation(far)));
    found.set_item("values", values.collect::<Vec<_>>())?;
    let beside = diff.objects.iter().map(|change| change.path.as_str());
    let beside = beside.chain(diff.object_values.iter().map(|(path, _)| path.as_str()));
    found.set_item("payload", beside.collect::<Vec<_>>())?;
    let not_compared = diff.not_compared.iter().map(|it| (it.path.as_str(), it.why.as_str()));
    found.set_item("not_compared", not_compared.collect::<Vec<_>>())?;
    let rule = outcome.renaming.as_ref().map(rules::text);
    found.set_item("rename", rule)?;
    Ok(found)
}

/// Elements that differ, of how many, the largest differences, and how many are NaN on one side.
fn deviation(far: &Deviation) -> (u64, u64, Option<f64>, Option<f64>, u64) {
    let Deviation { count, of, max_abs, max_rel, nan, .. } = *far;
    (count, of, max_abs, max_rel, nan)
}

fn changes<T, U>(changes: &[Change<T>], shown: fn(&T) -> U) -> Vec<(&str, U, U)> {
    let shown = changes.iter().map(|it| (it.key.as_str(), shown(&it.a), shown(&it.b)));
    shown.collect()
}
