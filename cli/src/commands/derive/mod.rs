//! `derive`: the recipe that turns the keys of one file into those of another.

pub(crate) mod args;
mod json;
mod report;

use std::io::Write;

use statedict::Derive;

use crate::commands::output_args::refuse_standard_output;
use crate::failure::Failure;
use crate::terminal::progress::followed;
use crate::terminal::text::say;
use crate::terminal::{OutputFormat, Verbosity};

/// Two files of the same weights, and how to show what was found.
pub(crate) struct DeriveRequest {
    pub(crate) job: Derive,
    pub(crate) output_format: OutputFormat,
    pub(crate) verbosity: Verbosity,
}

pub(crate) fn run(request: &DeriveRequest, out: &mut dyn Write) -> Result<(), Failure> {
    let saved = request.job.save_recipe.as_deref();
    refuse_standard_output(saved)?;
    let outcome = followed(request.verbosity, |observer| request.job.run(observer))?;
    match (request.output_format, saved) {
        (OutputFormat::Json, _) => json::outcome(&outcome, out)?,
        (OutputFormat::Text, None) => out.write_all(outcome.recipe().as_bytes())?,
        (OutputFormat::Text, Some(_)) => {}
    }
    out.flush()?;
    if request.verbosity == Verbosity::All {
        report::lines(&outcome).iter().for_each(|line| say(line));
        if let Some(path) = saved {
            say(&format!("saved the recipe as {}", path.display()));
        }
    }
    if outcome.derivation.is_complete() { Ok(()) } else { Err(Failure::no(Vec::new())) }
}
