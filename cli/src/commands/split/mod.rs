//! `split`: one file in several.

pub(crate) mod args;
mod json;

use std::io::Write;

use statedict::Split;
use statedict::core::Omitted;
use statedict::jobs::split::SplitOutcome;

use crate::commands::output_args::refuse_standard_output;
use crate::commands::rename::report::{
    print_omitted, print_overflows, print_ties, print_uncast, written,
};
use crate::failure::Failure;
use crate::terminal::progress::followed;
use crate::terminal::text::{NAMED, count, first_few, say};
use crate::terminal::{OutputFormat, Verbosity};

/// What to split, and how to show what came of it.
pub(crate) struct SplitRequest {
    pub(crate) job: Split,
    pub(crate) output_format: OutputFormat,
    pub(crate) verbosity: Verbosity,
}

pub(crate) fn run(request: &SplitRequest, out: &mut dyn Write) -> Result<(), Failure> {
    refuse_standard_output(request.job.parts.iter().map(|part| part.output.as_path()))?;
    let outcome = followed(request.verbosity, |observer| request.job.run(observer))?;
    if request.output_format == OutputFormat::Json {
        json::outcome(&request.job.input.file, &outcome, out)?;
        out.flush()?;
    }
    if request.verbosity == Verbosity::All {
        report(&outcome);
    }
    Ok(())
}

fn report(outcome: &SplitOutcome) {
    for (output, part) in &outcome.outputs {
        let counts = part.counts();
        let keys = count(counts.renamed + counts.unchanged, "key");
        match &part.output {
            Some(_) => say(&format!("{}: {keys}", written(part, output))),
            None => say(&format!("{}: {keys}", output.display())),
        }
        part.uncast.iter().for_each(print_uncast);
        print_overflows(&part.overflows);
        part.conversion.iter().for_each(print_ties);
    }
    if !outcome.in_no_file.is_empty() {
        let keys = count(outcome.in_no_file.len(), "key");
        let named = first_few(&outcome.in_no_file, NAMED);
        say(&format!("note: {keys} in no new file: {named}"));
    }
    let conversions = outcome.outputs.iter().filter_map(|(_, part)| part.conversion.as_ref());
    let mut said: Vec<&Omitted> = Vec::new();
    for conversion in conversions {
        // What all of them leave behind is said once.
        if !said.contains(&&conversion.omitted) {
            print_omitted(conversion);
            said.push(&conversion.omitted);
        }
    }
    if outcome.outputs.iter().all(|(_, part)| part.output.is_none()) {
        say("dry run, nothing written; to write, leave --dry-run out");
    }
}
