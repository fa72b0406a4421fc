//! What an error of PyTorch's means, and the call that fixes it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use pyo3::prelude::*;
use statedict::core::Undefined;
use statedict::core::explain::{LoadError, Remedy};
use statedict::jobs::explain::{Fix, Outcome, Verdict};
use statedict::jobs::rename::{Destination, Extent, Pickles};
use statedict::jobs::words::count;
use statedict::{Convert, Explain, Fit, Rename, Rules, silent};

use crate::rules;
use crate::run::briefly;
use crate::words::{literal, printable_lines};

/// Explains a loading error; none if nothing in the text is known.
#[pyfunction]
pub(crate) fn explain(
    py: Python<'_>,
    text: String,
    file: Option<PathBuf>,
    target: Option<PathBuf>,
) -> PyResult<Option<String>> {
    if LoadError::read(&text).is_none() {
        return Ok(None);
    }
    let job = Explain { text, file, target };
    briefly(py, || job.run(&silent()).map(|outcome| printable_lines(&note(&job, &outcome))))
        .map(Some)
}

fn note(job: &Explain, outcome: &Outcome) -> String {
    let mut note = outcome.diagnosis.message.clone();
    match outcome.fix.as_ref().and_then(call) {
        Some(call) => {
            let _ = write!(note, "\n{}\n  {call}", heading(job, outcome));
        }
        None => note.push_str("\nstatedict cannot fix this"),
    }
    note
}

/// What the call does, and whether that was seen.
fn heading(job: &Explain, outcome: &Outcome) -> String {
    if [Remedy::Look, Remedy::Check].contains(&outcome.diagnosis.remedy) {
        return "for details:".into();
    }
    match (&outcome.verdict, &job.file) {
        (Verdict::Verified, Some(file)) => {
            format!("fix (verified on {}{}):", file.display(), found(outcome))
        }
        (Verdict::Refuted(_), _) => "closest fix (not verified):".into(),
        _ => "fix:".into(),
    }
}

/// How many keys were seen to be there.
fn found(outcome: &Outcome) -> String {
    match &outcome.error {
        LoadError::Mismatch(mismatch) if !mismatch.missing.is_empty() => {
            format!(", all {} found", count(mismatch.missing.len(), "missing key"))
        }
        _ => String::new(),
    }
}

/// The call that does what a job of `explain` does.
fn call(fix: &Fix) -> Option<String> {
    Some(match fix {
        Fix::Rename(rename) => of_rename(rename)?,
        Fix::Convert(convert) => of_convert(convert),
        Fix::Fit(fit) => of_fit(fit),
        Fix::Check(file) => format!("statedict.check({})", path(file)),
        Fix::List(file) => format!("print(statedict.open({}).summary())", path(file)),
    })
}

fn of_rename(rename: &Rename) -> Option<String> {
    let Rules::Stages(stages) = &rename.rules else { return None };
    let mut call = format!("statedict.rename_file({}", path(&rename.file));
    for rule in stages {
        let _ = write!(call, ", {}", literal(&rules::text(rule)));
    }
    call += &at(rename.at.as_ref());
    if rename.policy.undefined == Undefined::Drop {
        call += ", only=True";
    }
    call += alone(rename.encoding.extent);
    let metadata: Vec<String> = rename
        .metadata
        .set
        .iter()
        .map(|(key, value)| format!("{}: {}", literal(key), literal(value)))
        .collect();
    if !metadata.is_empty() {
        let _ = write!(call, ", metadata={{{}}}", metadata.join(", "));
    }
    if let Destination::File(output) = &rename.destination {
        let _ = write!(call, ", output={}", path(output));
    }
    Some(call + ")")
}

fn of_convert(convert: &Convert) -> String {
    let files: Vec<String> =
        [&convert.file].into_iter().chain(&convert.output).map(|file| path(file)).collect();
    let mut call = format!("statedict.convert({}", files.join(", "));
    for rule in &convert.encoding.casting.rules {
        let _ = write!(call, ", dtype={}", literal(&rule.to.to_string().to_lowercase()));
    }
    if convert.encoding.pickles == Pickles::Protocol2 {
        call += ", protocol=2";
    }
    call + &at(convert.at.as_ref()) + alone(convert.encoding.extent) + ")"
}

fn of_fit(fit: &Fit) -> String {
    let pairs = |rules: Vec<String>| -> String {
        let pairs = rules.iter().filter_map(|rule| rule.rsplit_once('='));
        pairs
            .map(|(pattern, how)| format!("{}: {}", literal(pattern), literal(how)))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut call = format!("state, plan = statedict.fit({}, model", path(&fit.source.file));
    call += &at(fit.source.at.as_ref());
    let init = pairs(fit.fill.initialiser.rules.iter().map(ToString::to_string).collect());
    let resize = pairs(fit.fill.resize.iter().map(ToString::to_string).collect());
    for (name, pairs) in [("init", init), ("resize", resize)] {
        if !pairs.is_empty() {
            let _ = write!(call, ", {name}={{{pairs}}}");
        }
    }
    call + ")"
}

fn alone(extent: Extent) -> &'static str {
    match extent {
        Extent::Alone => ", alone=True",
        Extent::Whole | Extent::Tensors => "",
    }
}

fn at(path: Option<&String>) -> String {
    path.map(|path| format!(", at={}", literal(path))).unwrap_or_default()
}

fn path(path: &Path) -> String {
    literal(&path.display().to_string())
}
