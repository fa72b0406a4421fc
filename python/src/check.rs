//! Is a file whole, and what would it run?

use std::path::PathBuf;

use pyo3::prelude::*;
use statedict::checkpoint::AllowList;
use statedict::core::{Finding, Verdict};
use statedict::jobs::check::Found;
use statedict::{Check, Error};

use crate::error::Raised;
use crate::run::run;

/// What was found: verdict, place, what, why, and the class or function that it is about.
type Row = (&'static str, String, String, String, Option<String>);

/// A file with its verdict, its findings, and what is worth knowing and no fault.
type Examined = (String, &'static str, Vec<Row>, Vec<Row>);

/// Examines a file, or all files of a folder.
#[pyfunction]
pub(crate) fn check(
    py: Python<'_>,
    path: PathBuf,
    allow: Vec<String>,
    progress: Option<Bound<'_, PyAny>>,
) -> PyResult<Vec<Examined>> {
    let allowed = AllowList::parse(&allow.join("\n"));
    let allowed = allowed.map_err(|what| Raised::new("failed", what).into_err(py))?;
    let is_file = !path.is_dir();
    let job = Check { paths: vec![path], allowed, ..Check::default() };
    run(py, progress.as_ref(), |observer| {
        let mut results = Vec::new();
        for found in job.run(observer)?.results {
            results.extend(examined(found, is_file)?);
        }
        Ok(results)
    })
}

/// One file alone that cannot be read is an error.
fn examined(found: Found, is_alone: bool) -> Result<Option<Examined>, Error> {
    Ok(match found {
        Found::Checked(checked) => {
            let (path, verdict) = (checked.path.display().to_string(), checked.verdict().name());
            Some((path, verdict, rows(checked.findings), rows(checked.notes)))
        }
        Found::Unreadable(error) if is_alone => return Err(error),
        Found::Unreadable(error) => {
            let verdict = Verdict::Malformed.name();
            let what = error.to_string();
            Some((
                String::new(),
                verdict,
                vec![(verdict, String::new(), what, String::new(), None)],
                Vec::new(),
            ))
        }
        _ => None,
    })
}

fn rows(findings: Vec<Finding>) -> Vec<Row> {
    let rows =
        findings.into_iter().map(|it| (it.verdict.name(), it.place, it.what, it.why, it.name));
    rows.collect()
}
