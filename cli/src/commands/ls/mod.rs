//! `ls`: what a file holds.

pub(crate) mod args;
mod folded;
pub(crate) mod glance;
mod json;
pub(crate) mod payload;
mod table;
mod tree;
pub(crate) mod wrapped;

use std::cell::Cell;
use std::io::Write;

use statedict::List;
use statedict::jobs::list::Outcome;

use crate::failure::Failure;
use crate::outcome;
use crate::terminal::progress::followed;
use crate::terminal::text::printable;
use crate::terminal::{OutputFormat, Verbosity};

/// What to show of which files, and how.
pub(crate) struct ListRequest {
    pub(crate) jobs: Vec<List>,
    pub(crate) shape: Shape,
    pub(crate) verbosity: Verbosity,
}

/// How to show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A line for every tensor.
    Table(Lines),
    /// A line for every module down to this depth.
    Tree(usize),
    /// What lies beside the tensors, in lines.
    Payload,
    /// One JSON object.
    Json,
}

/// Which tensors have lines of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lines {
    /// All.
    All,
    /// Those of models; the states of an optimizer share lines.
    Folded,
}

pub(crate) fn run(request: &ListRequest, out: &mut dyn Write) -> Result<(), Failure> {
    let is_first = Cell::new(true);
    outcome::each(&request.jobs, request.output_format(), out, |job, out| {
        let outcome = followed(request.verbosity, |observer| job.run(observer))?;
        // What cannot be listed has no title, and is named by what is said of it.
        if request.jobs.len() > 1 && request.shape != Shape::Json {
            let gap = if is_first.replace(false) { "" } else { "\n" };
            writeln!(out, "{gap}{}:", printable(&job.file.display().to_string()))?;
        }
        request.show(job, &outcome, out)
    })
}

impl ListRequest {
    fn output_format(&self) -> OutputFormat {
        OutputFormat::of(self.shape == Shape::Json)
    }

    fn show(&self, job: &List, outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
        match self.shape {
            Shape::Json => json::listing(job, outcome, out),
            Shape::Payload => {
                payload::payload(outcome.payload.as_ref(), &outcome.checkpoint.metadata(), out)
            }
            Shape::Table(lines) => table::table(outcome, lines, out),
            Shape::Tree(depth) => tree::tree(outcome, depth, out),
        }
    }
}
