//! `stats`: figures of what is in a file's tensors.

pub(crate) mod args;
mod csv;
mod json;
mod report;

use std::io::Write;

use statedict::Stats;
use statedict::jobs::stats::{Flaw, Outcome};

use crate::failure::Failure;
use crate::terminal::Verbosity;
use crate::terminal::progress::followed;

/// Which figures to take, and how to show them.
pub(crate) struct StatsRequest {
    pub(crate) job: Stats,
    /// What the answer is no for.
    pub(crate) fail_on: Vec<Flaw>,
    pub(crate) form: Form,
    pub(crate) verbosity: Verbosity,
}

/// How to show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A line for tensors that differ in numbers alone.
    Groups,
    /// A line for every tensor.
    Tensors,
    /// Comma-separated values.
    Csv,
    /// One JSON object.
    Json,
}

pub(crate) fn run(request: &StatsRequest, out: &mut dyn Write) -> Result<(), Failure> {
    let outcome = followed(request.verbosity, |observer| request.job.run(observer))?;
    match (request.form, request.verbosity) {
        (Form::Json, _) => json::figures(&outcome, out)?,
        (Form::Csv, _) => csv::table(&outcome, out)?,
        (Form::Groups, Verbosity::All) => report::groups(&outcome, out)?,
        (Form::Tensors, Verbosity::All) => report::tensors(&outcome, out)?,
        (Form::Groups | Form::Tensors, Verbosity::Errors) => {}
    }
    out.flush()?;
    match found(request, &outcome) {
        none if none.is_empty() => Ok(()),
        flaws => Err(Failure::no(flaws)),
    }
}

/// What was asked to fail on and is there, a line for each.
fn found(request: &StatsRequest, outcome: &Outcome) -> Vec<String> {
    let lines = request.fail_on.iter().filter_map(|flaw| report::flawed(outcome, *flaw));
    lines.collect()
}
