//! `fit`: make a checkpoint load into a model.

mod ambiguous;
pub(crate) mod args;
mod json;
mod page;
mod refusal;
mod report;
mod ribbons;

use std::io::Write;

use statedict::Fit;

use crate::commands::output_args::refuse_standard_output;
use crate::commands::rename::report::print_overflows;
use crate::commands::several::Several;
use crate::failure::Failure;
use crate::page::PageFile;
use crate::terminal::progress::followed;
use crate::terminal::{OutputFormat, Verbosity};

/// What is to fit into what, and how to show what came of it.
pub(crate) struct FitRequest {
    pub(crate) job: Fit,
    /// What was typed, to suggest it with an output where nothing was written.
    pub(crate) typed: Vec<String>,
    /// Where a page of it goes, if one is wanted.
    pub(crate) page: Option<PageFile>,
    pub(crate) output_format: OutputFormat,
    pub(crate) verbosity: Verbosity,
}

/// Does it with each of the files.
pub(crate) fn run_all(several: &Several<FitRequest>, out: &mut dyn Write) -> Result<(), Failure> {
    let format = several.requests.first().map(|it| it.output_format);
    several.run(format.unwrap_or(OutputFormat::Text), out, run)
}

fn run(request: &FitRequest, out: &mut dyn Write) -> Result<(), Failure> {
    let job = &request.job;
    let files = [&job.output, &job.save_recipe, &job.save_plan];
    refuse_standard_output(files.into_iter().filter_map(Option::as_deref))?;
    if let Some(page) = &request.page {
        let read = [&job.source, &job.target].map(|input| input.file.as_path());
        page.refuse_to_replace(files.into_iter().filter_map(Option::as_deref).chain(read))?;
    }
    let outcome = followed(request.verbosity, |observer| job.run(observer))?;
    if let Some(page) = &request.page {
        page.save(&page::page(request, &outcome), request.verbosity, out)?;
    }
    match (request.output_format, &job.output) {
        _ if request.page.as_ref().is_some_and(PageFile::is_standard_output) => {}
        (OutputFormat::Json, _) => json::fit(request, &outcome, out)?,
        (OutputFormat::Text, None) => report::fit(request, &outcome, out)?,
        (OutputFormat::Text, Some(_)) => {}
    }
    out.flush()?;
    if let Err(unmet) = &outcome.result {
        return Err(refusal::refusal(&outcome, unmet));
    }
    if request.verbosity == Verbosity::All {
        report::print(request, &outcome);
        print_overflows(&outcome.overflows);
    }
    Ok(())
}
