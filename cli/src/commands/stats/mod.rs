//! `stats`: figures of what is in a file's tensors.

pub(crate) mod args;
mod csv;
mod json;
mod report;

use std::io::Write;

use statedict::Stats;
use statedict::jobs::stats::{Flaw, Outcome};

use crate::commands::several::Several;
use crate::failure::Failure;
use crate::terminal::color::{Meaning, Stream, painted};
use crate::terminal::progress::followed;
use crate::terminal::text::printable;
use crate::terminal::{OutputFormat, Verbosity};

/// Which figures to take, and how to show them.
pub(crate) struct StatsRequest {
    pub(crate) job: Stats,
    /// What the answer is no for.
    pub(crate) fail_on: Vec<Flaw>,
    pub(crate) form: Form,
    /// What comes before the figures, where there are several files.
    pub(crate) title: Option<String>,
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

/// Does it with each of the files.
pub(crate) fn run_all(several: &Several<StatsRequest>, out: &mut dyn Write) -> Result<(), Failure> {
    let format = several.requests.first().map(StatsRequest::output_format);
    several.run(format.unwrap_or(OutputFormat::Text), out, run)
}

fn run(request: &StatsRequest, out: &mut dyn Write) -> Result<(), Failure> {
    let outcome = followed(request.verbosity, |observer| request.job.run(observer))?;
    if let (Some(title), Form::Groups | Form::Tensors, Verbosity::All) =
        (&request.title, request.form, request.verbosity)
    {
        writeln!(out, "{}", painted(Stream::Out, Meaning::Title, &printable(title)))?;
    }
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

impl StatsRequest {
    fn output_format(&self) -> OutputFormat {
        OutputFormat::of(self.form == Form::Json)
    }
}

/// What was asked to fail on and is there, a line for each.
fn found(request: &StatsRequest, outcome: &Outcome) -> Vec<String> {
    let lines = request.fail_on.iter().filter_map(|flaw| report::flawed(outcome, *flaw));
    lines.collect()
}
