//! `ls`: what a file holds.

pub(crate) mod args;
mod json;
pub(crate) mod payload;
mod table;
mod tree;
mod wrapped;

use std::io::Write;

use statedict::List;

use crate::failure::Failure;
use crate::terminal::Verbosity;
use crate::terminal::progress::followed;

/// What to show of a file, and how.
pub(crate) struct ListRequest {
    pub(crate) job: List,
    pub(crate) shape: Shape,
}

/// How to show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A line for every tensor.
    Table,
    /// A line for every module.
    Tree,
    /// What lies beside the tensors, in lines.
    Payload,
    /// One JSON object.
    Json,
}

pub(crate) fn run(request: &ListRequest, out: &mut dyn Write) -> Result<(), Failure> {
    let outcome = followed(Verbosity::All, |observer| request.job.run(observer))?;
    match request.shape {
        Shape::Json => json::listing(&request.job, &outcome, out),
        Shape::Payload => {
            payload::payload(outcome.payload.as_ref(), &outcome.checkpoint.metadata(), out)
        }
        Shape::Table => table::table(&outcome, out),
        Shape::Tree => tree::tree(&outcome, out),
    }
}
